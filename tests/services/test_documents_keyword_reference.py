"""The search by words against a reference that knows no index: what a reader sees and what fits, in one order.

The words are forms of few families in five languages; they meet in titles, texts and the names of types and authors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.db import Sessions, new_id
from services.documents import rules_words, store_words
from services.documents.contract import LEVELS, PDF
from services.documents.document_types import document_types, type_names
from services.documents.models import documents, record_keys, restrictions, versions
from services.documents.rules_finding import EVERYTHING, Place
from services.dossier.contract import AccessScope, Clause
from tests.builders import caller

FAMILIES = (
    ("analyse", "analyses"), ("Entzündung", "Entzündungen"), ("fracture", "fractured"), ("receita", "receitas"),
    ("radio",), ("radiographie",), ("sang",), ("œdème",), ("ënnersicht",), ("thorax",), ("10",), ("B12",),
)  # fmt: skip
"""Words that are forms of one another."""

WORDS = tuple(word for family in FAMILIES for word in family)
TYPES = ("medical_report", "laboratory_results", "imaging")
AUTHORS = {new_id(): "Thorax Anna", new_id(): "Weber Paul"}
READER = new_id()
RECORD, NEIGHBOUR = new_id(), new_id()
BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)
KINDS = document_types()
Shelf = tuple[Sessions, list[dict[str, Any]]]

# --- the reference ----------------------------------------------------------------------------------------------------


def plain(word: str) -> str:
    return word.lower().translate(str.maketrans({"ü": "u", "œ": "oe", "è": "e", "ë": "e"}))


FAMILY = {plain(word): number for number, family in enumerate(FAMILIES) for word in family}


def fits(term: str, word: str) -> bool:
    """Whether a folded word is one that a folded term finds."""
    related = term in FAMILY and FAMILY[term] == FAMILY.get(word, -1)
    return word == term or related or (len(term) >= 3 and word.startswith(term))


def told(row: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    names = " ".join(type_names()[row["type"]].values()) + " " + AUTHORS.get(row["author_id"], "")
    title, body = ([plain(word) for word in row[part].split()] for part in ("title", "body"))
    return title, rules_words.words(names), body


def points(row: dict[str, Any], term: tuple[str, ...]) -> int:
    """4 for the title, 2 for the names beside it, 1 for the text."""
    for worth, words in zip((4, 2, 1), told(row), strict=True):
        if len(term) == 1 and any(fits(term[0], word) for word in words):
            return worth
        if len(term) > 1 and any(tuple(words[at : at + len(term)]) == term for at in range(len(words))):
            return worth
    return 0


def sees(scope: AccessScope, row: dict[str, Any]) -> bool:
    """The dictionary's words, one after the other."""
    if row["record_id"] != RECORD:
        return False
    if row["state"] != "available":
        kind = "holder" if scope.holder_side else "professional"
        own = row["account_id"] == scope.account_id and row["author_kind"] == kind
        return own and row["state"] != "removed" and bool(scope.clauses or scope.author_id)
    if row["author_id"] is not None and row["author_id"] == scope.author_id:
        return True
    hidden = (
        (row["patient_blocked_at"] and not scope.may_see_blocked)
        or (row["withheld_at"] and not scope.may_see_withheld)
        or (row["against"] and scope.reader_id == READER)
    )
    return not hidden and any(
        row["category"] in clause.read and row["level"] in clause.levels and row["type"] not in clause.unread
        for clause in scope.clauses
    )


# --- all there can be -------------------------------------------------------------------------------------------------


def every_document() -> Iterator[dict[str, Any]]:
    """Documents with all that hides them, in turns of different lengths, and words drawn from few."""
    whose, account = [None, *AUTHORS], new_id()
    for number in range(240):
        author, at = whose[number % 3], BEGINNING + timedelta(minutes=number // 4)
        kind = KINDS[TYPES[number // 2 % 3]]
        drawn = [WORDS[(number * 7 + step * step * 5) % len(WORDS)] for step in range(1, 7)]
        state = ("available", "available", "available", "checking", "rejected", "removed")[number // 5 % 6]
        yield {
            "document_id": new_id(), "record_id": NEIGHBOUR if number % 11 == 0 else RECORD, "type": kind.slug,
            "category": kind.category, "folder": kind.folder, "title": " ".join(drawn[:2]), "body": " ".join(drawn[2:]),
            "author_kind": "professional" if author else "holder", "author_id": author,
            "level": LEVELS[number // 3 % 3 if number % 5 else 0],
            "patient_blocked_at": at if number % 7 == 0 else None,
            "withheld_at": at if number % 8 == 0 else None, "current_version_id": new_id(), "deposited_at": at,
            "upload_id": new_id(), "state": state, "removed_at": at if state == "removed" else None,
            "account_id": account, "against": number % 9 == 0,
        }  # fmt: skip


@pytest.fixture(scope="module")
def shelf(database: Callable[[str], str]) -> Iterator[Shelf]:
    """A database with them, their words as the keepers write them."""
    sessions, rows = Sessions(database("documents")), list(every_document())
    with sessions.transaction() as session:
        for record_id in (RECORD, NEIGHBOUR):
            session.execute(sa.insert(record_keys).values(record_id=record_id, wrapped_key=b"k", created_at=BEGINNING))
        columns = [column.name for column in documents.c if column.name in rows[0]]
        session.execute(sa.insert(documents), [
            {"home_record_id": row["record_id"], **{name: row[name] for name in columns}} for row in rows
        ])  # fmt: skip
        session.execute(sa.insert(versions), [
            {"version_id": row["current_version_id"], "content_id": row["current_version_id"],
             "document_id": row["document_id"], "number": 1, "wrapped_key": b"k", "key_record_id": row["record_id"],
             "media_type": PDF, "size": 1, "sha256": bytes(32), "account_id": new_id(),
             "created_at": row["deposited_at"]}
            for row in rows
        ])  # fmt: skip
        for row in rows:
            store_words.keep(
                session, row["document_id"], row["body"], title_words=rules_words.indexed(row["title"]),
                body_words=rules_words.indexed(row["body"]),
            )  # fmt: skip
            if row["against"]:
                session.execute(sa.insert(restrictions).values(
                    restriction_id=new_id(), document_id=row["document_id"], professional_id=READER, since=BEGINNING,
                    account_id=new_id(), risk_version="r"))  # fmt: skip
        for professional_id in AUTHORS:
            store_words.add_author(session, professional_id)
    with sessions.transaction() as session:
        for professional_id, name in AUTHORS.items():
            store_words.name_author(session, professional_id, name, rules_words.indexed(name), BEGINNING)
    yield sessions, rows
    sessions.engine.dispose()


categories = st.sets(st.sampled_from([KINDS[slug].category for slug in TYPES])).map(tuple)
clauses = st.builds(
    Clause, ground=st.just("circle"), rule=st.just("a"), read=categories, deposit=st.just(()), folders=st.none(),
    levels=st.sets(st.sampled_from(LEVELS)).map(tuple), unread=st.sets(st.sampled_from(TYPES), max_size=1).map(tuple),
)  # fmt: skip
scopes = st.builds(
    AccessScope, record_id=st.just(RECORD), patient_id=st.none(), state=st.none(), holder_side=st.booleans(),
    may_see_blocked=st.booleans(), may_see_withheld=st.booleans(), author_id=st.sampled_from((None, *AUTHORS)),
    clauses=st.lists(clauses, max_size=3).map(tuple), reader_id=st.sampled_from((None, READER)),
)  # fmt: skip
loose = st.sampled_from([*(plain(word) for word in WORDS), "rad", "th", "result", "weber", "rapport", "absent"])
phrases = st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)).map(lambda pair: tuple(map(plain, pair)))
asked = st.lists(st.one_of(loose.map(lambda word: (word,)), phrases), min_size=1, max_size=3, unique=True)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scope=scopes, terms=asked, limit=st.sampled_from((3, 20, 50)), with_account=st.booleans())
def test_a_search_finds_exactly_what_is_visible_and_fits_in_the_order_of_the_reference(
    shelf: Shelf, scope: AccessScope, terms: list[tuple[str, ...]], limit: int, with_account: bool
) -> None:
    sessions, rows = shelf
    scope = AccessScope(**{**vars(scope), "account_id": rows[0]["account_id"] if with_account else None})
    right = [
        (sum(points(row, term) for term in terms), row["deposited_at"], row["document_id"])
        for row in rows
        if sees(scope, row) and all(points(row, term) for term in terms)
    ]
    query = " ".join(f'"{" ".join(term)}"' if len(term) > 1 else term[0] for term in terms)
    assert whole_search(sessions, scope, query, limit) == [each[2] for each in sorted(right, reverse=True)]


def whole_search(sessions: Sessions, scope: AccessScope, query: str, limit: int) -> list[str]:
    """The ids of all pages."""
    terms = rules_words.read_query(query)
    assert terms is not None
    seen: list[str] = []
    after = None
    with sessions.transaction() as session:
        sought = rules_words.sought(terms, store_words.stems(session, rules_words.loose_words(terms)))
        while True:
            rows = store_words.search(session, caller("agent"), scope, RECORD, EVERYTHING, sought, after, limit)
            seen += [row.document_id for row in rows[:limit]]
            if len(rows) <= limit:
                return seen
            last = rows[limit - 1]
            after = Place(last.deposited_at, last.document_id, rank=int(last.rank))
