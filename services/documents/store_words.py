"""Every query over words: what documents are found by, the names of authors, and the search in one record.

A search goes over the record's own index first and over the words of those rows then. What decides and what ranks is in
each document alone: no statistics of others, so that a hidden one leaves no trace in the order of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.documents import store, store_finding
from services.documents.models import documents
from services.documents.models_reading import authors, texts
from services.documents.rules import Scope
from services.documents.rules_finding import Place, Wanted
from services.documents.rules_words import SNIPPET_BEFORE, SNIPPET_LENGTH, Question, Sought, Stems
from services.tokens import Caller
from services.words import say_last

Row = Any

_TEXTS = ARRAY(sa.Text)

# --- searching --------------------------------------------------------------------------------------------------------

# `mine`, put in front, is what the caller may see of the record: nothing else is looked at. Its words are put together
# once for each document, and the text is opened only for phrases, and for the page that is shown.
_BEST = """
    select mine.document_id, mine.deposited_at, ranked.rank
      from mine
      left join texts on texts.document_id = mine.document_id
      left join type_words on type_words.type = mine.type
      left join authors on authors.professional_id = mine.author_id
     cross join lateral (
           select coalesce(texts.words, '') || coalesce(type_words.words, '') || coalesce(authors.words, '') as words
           offset 0) as whole
     cross join lateral (
           select sum(points) as rank, bool_and(optional or points > 0) as fits from (
                  select term.optional, case
                         when term.pattern <> '' then case
                              when mine.title ~* term.pattern then 4
                              when type_words.names ~* term.pattern or authors.name ~* term.pattern then 2
                              when texts.body ~* term.pattern then 1 else 0 end
                         when whole.words @@ term.in_title then 4
                         when whole.words @@ term.beside then 2
                         when whole.words @@ term.anywhere then 1 else 0 end as points
                    from unnest(cast(:anywhere as tsquery[]), cast(:in_title as tsquery[]),
                                cast(:beside as tsquery[]), cast(:pattern as text[]), cast(:optional as boolean[]))
                         as term (anywhere, in_title, beside, pattern, optional)) as each_term) as ranked
     where whole.words @@ cast(:required as tsquery) and ranked.fits {after}
     order by ranked.rank desc, mine.deposited_at desc, mine.document_id desc limit :most
"""
_AFTER = """and (ranked.rank, mine.deposited_at, mine.document_id)
            < (:after_rank, cast(:after_moment as timestamptz), cast(:after_id as uuid))"""
# The text is taken out of its compressed form once, however often it is looked at.
_SPOT = """
    select opened.body, regexp_instr(opened.body, :first, 1, 1, 0, 'i') as spot from (
           select texts.body || '' as body from texts where texts.document_id = best.document_id offset 0) as opened
    offset 0
"""
_COLUMNS = (
    sa.column("document_id", sa.Uuid(as_uuid=False)), sa.column("deposited_at", sa.DateTime(timezone=True)),
    sa.column("rank", sa.Integer),
)  # fmt: skip


_FOUND = sa.text(_SPOT).columns(sa.column("body", sa.Text), sa.column("spot", sa.Integer)).lateral("found")


@cache
def _best(goes_on: bool) -> sa.CTE:
    """The best of them, or those that come after a place."""
    return sa.text(_BEST.format(after=_AFTER if goes_on else "")).columns(*_COLUMNS).cte("best")


def search(
    session: Session, caller: Caller, scope: Scope, record_id: str, wanted: Wanted, sought: Sought,
    after: Place | None, limit: int,
) -> Sequence[Row]:  # fmt: skip
    """The visible documents that fit, what ranks highest first and then the newest, one more than `limit` if there are.

    Rank: for each term 4 where it is in the title, 2 in the names of type or author, 1 in the text, all added. Beside
    the columns of a list: rank; excerpt, what stands around the first word found in the text, null where none is;
    excerpt_at, where that begins; length, of the whole text.
    """
    mine = (
        sa.select(documents.c.document_id, documents.c.type, documents.c.title, documents.c.author_id,
                  documents.c.deposited_at)
        .where(store.visible(scope, record_id), *store_finding.narrowing(caller, wanted)).cte("mine")
    )  # fmt: skip
    asked: dict[str, Any] = {name: [getattr(each, name) for each in sought.questions] for name in _ASKED}
    asked |= {"required": sought.required, "most": limit + 1}
    if after is not None:
        asked |= {"after_rank": after.rank, "after_moment": after.deposited_at, "after_id": after.document_id}
    best, found = _best(after is not None), _FOUND
    begins = sa.func.greatest(1, found.c.spot - SNIPPET_BEFORE)
    excerpt = sa.case((found.c.spot > 0, sa.func.substr(found.c.body, begins, SNIPPET_LENGTH)))
    query = (
        store.items().add_columns(
            best.c.rank, excerpt.label("excerpt"), begins.label("excerpt_at"),
            sa.func.length(found.c.body).label("length"),
        )
        .join(best, best.c.document_id == documents.c.document_id).outerjoin(found, sa.true())
        .add_cte(mine).order_by(best.c.rank.desc(), best.c.deposited_at.desc(), best.c.document_id.desc())
    )  # fmt: skip
    return session.execute(query, {**asked, "first": sought.first}).all()


_ASKED = tuple(Question.__dataclass_fields__)


# --- the words of documents -------------------------------------------------------------------------------------------


def stems(session: Session, words: Sequence[str]) -> Mapping[str, Stems]:
    """The stems of words, and which of them say little: asked for once by a process, they never change."""
    if not _known.keys() >= set(words):
        if len(_known) > _ROOM:
            _known.clear()
        _known.update(_stems(session, words))
    return {word: _known[word] for word in words}


_known: dict[str, Stems] = {}
_ROOM = 20_000  # words


def _stems(session: Session, words: Sequence[str]) -> Mapping[str, Stems]:
    asked = session.execute(_STEMS, {"words": list(words)})
    return {row.word: Stems(tuple(row.stems), row.stop) for row in asked}


_STEMS = sa.text(
    """
    select word, word_stems(word) as stems,
           '{}' in (ts_lexize('french_stem', word), ts_lexize('german_stem', word), ts_lexize('english_stem', word),
                    ts_lexize('portuguese_stem', word)) as stop
      from unnest(cast(:words as text[])) as word
    """
)


def keep(
    session: Session, document_id: str, body: str | None, *, title_words: Sequence[str], body_words: Sequence[str]
) -> None:
    """Writes what a document is found by, with the commit. body: None leaves the text as it is, whose words are given
    all the same."""
    say_last(
        session, _KEEP if body is not None else _KEEP_WORDS, found_in=document_id, found_body=body or "",
        found_title=list(title_words), found_words=list(body_words),
    )  # fmt: skip


_KEEP_WORDS = """
    insert into texts (document_id, body, words)
    values (cast(:found_in as uuid), :found_body,
            document_words(cast(:found_title as text[]), cast(:found_words as text[])))
    on conflict (document_id) do update set words = excluded.words
"""
_KEEP = _KEEP_WORDS + ", body = excluded.body"


def body_of(session: Session, document_id: str) -> str:
    """The text of a document, held until the commit; empty where none was found in it."""
    query = sa.select(texts.c.body).where(texts.c.document_id == document_id).with_for_update()
    return session.scalar(query) or ""


# --- the names of authors ---------------------------------------------------------------------------------------------


def add_author(session: Session, professional_id: str) -> None:
    """Notes with the commit that documents of a professional are to be found by their name."""
    say_last(session, _ADD_AUTHOR, found_author=professional_id)


_ADD_AUTHOR = "insert into authors (professional_id) values (cast(:found_author as uuid)) on conflict do nothing"


def ask_again(session: Session, professional_id: str) -> None:
    """Notes that an author may be called otherwise by now."""
    session.execute(sa.update(authors).where(authors.c.professional_id == professional_id).values(asked_at=None))


def authors_due(session: Session, limit: int) -> Sequence[str]:
    """Authors whose names are to be asked for."""
    return session.scalars(sa.select(authors.c.professional_id).where(authors.c.asked_at.is_(None)).limit(limit)).all()


def name_author(session: Session, professional_id: str, name: str, words: Sequence[str], at: datetime) -> None:
    """Writes an author's name, as directory told it."""
    found_by = sa.func.setweight(sa.func.document_words(sa.literal(list(words), _TEXTS), sa.literal([], _TEXTS)), "B")
    session.execute(
        sa.update(authors).where(authors.c.professional_id == professional_id)
        .values(name=name, words=found_by, asked_at=at)
    )  # fmt: skip
