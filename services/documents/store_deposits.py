"""Every query of deposits: what was announced, the tries to put its bytes, and the documents they became."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.documents import store_wishes
from services.documents.models import Id, documents, levels, record_keys, uploads, versions
from services.documents.rules import Scope
from services.documents.store import Row, visible
from services.documents.store_examining import WAITING
from services.documents.store_rows import added, rows
from services.dossier.contract import AccessScope, Clause
from services.plans import planned_once
from services.words import say_last

# --- uploads ----------------------------------------------------------------------------------------------------------


def ready_for(session: Session, record_id: str) -> Row:
    """What a record has ready for deposits: `wrapped_key`, None where it has none, and `opposed`, the wishes that stand
    against some, for `store_wishes.oppositions`."""
    return session.execute(_READY, {"record_id": record_id}).one()


_READY = planned_once(
    sa.text(f"""
        select (select wrapped_key from record_keys where record_id = cast(:record_id as uuid)) as wrapped_key,
               {store_wishes.opposing("cast(:record_id as uuid)")} as opposed
    """).columns(record_keys.c.wrapped_key, sa.column("opposed", sa.JSON))  # noqa: S608 (words of this file alone)
)


def add_uploads(session: Session, said: Sequence[dict[str, Any]]) -> None:
    """Keeps what was said about documents until their bytes are there, with the commit."""
    say_last(session, _ADD_UPLOADS, new_uploads=rows(said))


_SAID = (
    "upload_id, record_id, home_record_id, account_id, capacity, type, title, act_date, language, replaces, details,"
    " author_id, size, prepared_at, expires_at"
)
_ADD_UPLOADS = added(uploads, _SAID, "new_uploads")


def upload(session: Session, upload_id: str, account_id: str, capacity: str) -> Row | None:
    """A person's own upload in this capacity, with its record's key and, when committed, the version made of it."""
    return session.execute(_OWN, {"ids": [upload_id], "account_id": account_id, "capacity": capacity}).first()


def own_uploads(session: Session, upload_ids: Sequence[str], account_id: str, capacity: str) -> list[Row]:
    """A person's own uploads in this capacity, in the order of their ids."""
    whose = {"ids": list(upload_ids), "account_id": account_id, "capacity": capacity}
    return list(session.execute(_OWN, whose).all())


def hold_uploads(session: Session, upload_ids: Sequence[str]) -> None:
    """Holds uploads until the commit: of two simultaneous commits one deposits, the other finds it done.

    What the other one wrote is seen by the next statement only.
    """
    session.execute(_HOLD, {"ids": list(upload_ids)})


def held_uploads(
    session: Session, tries: dict[str, str], account_id: str, capacity: str, not_before: datetime
) -> list[Row]:
    """A person's own uploads, held until the commit with the tries that are meant; each with its try's wrapped key.

    tries: the try of each upload. `try_key` and `try_record` are None of a try that is not this upload's, or too old:
    the sweeper has it. `opposed`: the wishes against deposits in the upload's record, for `store_wishes.oppositions`.
    """
    asked = {"ids": list(tries), "tries": list(tries.values()), "account_id": account_id, "capacity": capacity,
             "not_before": not_before}  # fmt: skip
    return list(session.execute(_HELD, asked).all())


# Built once: building a statement costs more than the database needs for it.
_ID_LIST = ARRAY(Id)
_HOLD = planned_once(
    sa.select(uploads.c.upload_id).where(uploads.c.upload_id == sa.any_(sa.bindparam("ids", type_=_ID_LIST)))
    .order_by(uploads.c.upload_id).with_for_update()
)  # fmt: skip
_OWN = planned_once(
    sa.select(
        uploads, versions.c.sha256,
        sa.select(record_keys.c.wrapped_key).where(record_keys.c.record_id == uploads.c.record_id)
        .scalar_subquery().label("wrapped_record_key"),
    ).select_from(uploads.outerjoin(versions, versions.c.version_id == uploads.c.version_id))
    .where(
        uploads.c.upload_id == sa.any_(sa.bindparam("ids", type_=_ID_LIST)),
        uploads.c.account_id == sa.bindparam("account_id", type_=Id), uploads.c.capacity == sa.bindparam("capacity"),
    ).order_by(uploads.c.upload_id)
)  # fmt: skip
# One word of three statements: what the first two waited for is seen by the last.
_HELD = planned_once(
    sa.text(f"""
        select from uploads where upload_id = any(cast(:ids as uuid[])) order by upload_id for update;
        select from attempts where version_id = any(cast(:tries as uuid[])) and upload_id = any(cast(:ids as uuid[]))
         order by version_id for update;
        select {", ".join(f"uploads.{column.name}" for column in uploads.c)}, versions.sha256,
               {store_wishes.opposing("uploads.record_id")} as opposed,
               attempts.wrapped_key as try_key, attempts.key_record_id as try_record
          from unnest(cast(:ids as uuid[]), cast(:tries as uuid[])) as meant (upload_id, version_id)
          join uploads on uploads.upload_id = meant.upload_id
           and uploads.account_id = cast(:account_id as uuid) and uploads.capacity = :capacity
          left join versions on versions.version_id = uploads.version_id
          left join attempts on attempts.version_id = meant.version_id and attempts.upload_id = meant.upload_id
           and attempts.condemned_at is null and attempts.started_at > :not_before
         order by uploads.upload_id
    """).columns(  # noqa: S608 (words of this file and the names of columns)
        *uploads.c, versions.c.sha256, sa.column("opposed", sa.JSON), sa.column("try_key", sa.LargeBinary),
        sa.column("try_record", Id),
    )
)  # fmt: skip


def record_of_upload(session: Session, upload_id: str) -> str | None:
    """The record that somebody's upload was meant for, for the trace of a stranger's try."""
    return session.scalar(sa.select(uploads.c.record_id).where(uploads.c.upload_id == upload_id))


def submission_of(session: Session, document_id: str) -> str | None:
    """With what else a document was deposited."""
    return session.scalar(sa.select(documents.c.submission_id).where(documents.c.document_id == document_id))


# --- tries ------------------------------------------------------------------------------------------------------------


def add_attempt(
    session: Session, upload_id: str, version_id: str, wrapped_key: bytes, key_record_id: str, at: datetime
) -> None:
    """Remembers one try of an upload before its URL leaves, with the commit: no object without a row."""
    say_last(
        session, _ADD_ATTEMPT, try_id=version_id, try_of=upload_id, try_key=wrapped_key, try_record=key_record_id,
        tried_at=at,
    )  # fmt: skip


_ADD_ATTEMPT = """
    insert into attempts (version_id, upload_id, wrapped_key, key_record_id, started_at)
    values (cast(:try_id as uuid), cast(:try_of as uuid), :try_key, cast(:try_record as uuid), :tried_at)
"""


# --- what they became -------------------------------------------------------------------------------------------------


def add_documents(
    session: Session, made: Sequence[dict[str, Any]], first: Sequence[dict[str, Any]],
    level_rows: Sequence[dict[str, Any]], titles: Sequence[dict[str, Any]],
) -> None:  # fmt: skip
    """Writes new documents with the commit, in one word: with the first version and level of each, the words of its
    title, and the errand to look at the bytes closely.

    titles: of each its `document_id` and `words`.
    """
    say_last(
        session, _ADD_DOCUMENTS, new_documents=rows(made), new_versions=rows(first), new_levels=rows(level_rows),
        titles=rows(titles),
    )  # fmt: skip


_ADD_DOCUMENTS = "; ".join((
    added(
        documents, "document_id, record_id, home_record_id, upload_id, submission_id, type, category, folder, title,"
        " act_date, language, author_kind, author_id, institution_id, establishment_id, level, current_version_id,"
        " deposited_at, state, account_id, capacity", "new_documents",
    ),
    added(
        versions, "version_id, content_id, state, document_id, number, wrapped_key, key_record_id, store_version,"
        " media_type, size, sha256, author_id, establishment_id, account_id, capacity, created_at", "new_versions",
    ),
    added(levels, "level_id, document_id, level, valid_from, account_id, risk_accepted", "new_levels"),
    """
    insert into texts (document_id, body, words)
    select document_id, '', document_words(words, '{}')
      from json_to_recordset(cast(:titles as json)) as titled(document_id uuid, words text[])
    """,
    """
    insert into examinations (version_id, queued_at, due_at)
    select version_id, created_at, created_at
      from json_populate_recordset(cast(null as versions), cast(:new_versions as json))
    """,
    f"select pg_notify('{WAITING}', '')",
))  # fmt: skip


def note_deposited(session: Session, done: Sequence[dict[str, Any]]) -> None:
    """Writes, with the commit, that uploads are done and what their answers point out; their tries leave the sweeper's
    reach.

    done: of each its `upload_id`, `document_id`, `version_id` and `duplicate_of`.
    """
    say_last(session, _DEPOSITED, uploads_done=rows(done))


_DEPOSITED = """
    update uploads set document_id = done.document_id, version_id = done.version_id, duplicate_of = done.duplicate_of
      from json_to_recordset(cast(:uploads_done as json))
           as done(upload_id uuid, document_id uuid, version_id uuid, duplicate_of uuid)
     where uploads.upload_id = done.upload_id;
    delete from attempts
     where version_id = any(array(
           select version_id from json_to_recordset(cast(:uploads_done as json)) as done(version_id uuid)))
"""


def add_done(session: Session, upload: dict[str, Any]) -> None:
    """Writes, with the commit, an upload that nobody waits for: its document is written before, its slot goes."""
    say_last(session, _ADD_DONE, done_at_once=rows([upload]))


_ADD_DONE = "; ".join((
    added(uploads, f"{_SAID}, document_id, version_id, duplicate_of", "done_at_once"),
    """
    delete from attempts
     where version_id = any(array(
           select version_id from json_to_recordset(cast(:done_at_once as json)) as done(version_id uuid)))
    """,
))  # fmt: skip


def same_bytes(session: Session, scope: Scope, record_id: str, digests: Collection[bytes]) -> dict[bytes, str]:
    """By digest, the first document of the record that this scope lets through and that has, or had, these bytes.

    Asked for every deposit alike, whatever there is: the answer to who may not see one is that of no such document.
    """
    ids = {"account_id": scope.account_id, "author_id": scope.author_id, "reader_id": scope.reader_id}
    known = frozenset(name for name, value in ids.items() if value is not None)
    like = _like(scope.clauses, scope.holder_side, scope.may_see_blocked, scope.may_see_withheld, known)
    found = session.execute(like, {**ids, "record_id": record_id, "digests": list(digests)})
    return {bytes(row.sha256): row.document_id for row in found}


@lru_cache(maxsize=512)
def _like(
    clauses: tuple[Clause, ...], holder_side: bool, may_see_blocked: bool, may_see_withheld: bool, known: frozenset[str]
) -> sa.Select[Any]:
    """The question for everybody whose scope lets the same through, with places for who they are.

    Built anew for each deposit it took a fourth of what the whole deposit takes this service.
    """
    place: dict[str, Any] = {name: sa.bindparam(name, type_=Id) for name in (*known, "record_id")}
    scope = AccessScope(
        "", None, None, holder_side, may_see_blocked, place.get("author_id"), clauses, may_see_withheld,
        reader_id=place.get("reader_id"), account_id=place.get("account_id"),
    )  # fmt: skip
    seen = (
        sa.select(documents.c.document_id, documents.c.deposited_at)
        .where(documents.c.document_id == _SAME.c.document_id, visible(scope, place["record_id"]))
        .limit(sa.literal_column("1")).lateral("seen")
    )  # fmt: skip
    return planned_once(
        sa.select(_SAME.c.sha256, seen.c.document_id).select_from(_SAME.join(seen, sa.true()))
        .distinct(_SAME.c.sha256)
        .order_by(_SAME.c.sha256, seen.c.deposited_at, seen.c.document_id)
    )  # fmt: skip


SELDOM = 64
"""The versions of the same bytes, in whatever record, that are looked at before it is asked what lies in this one."""


def _same() -> sa.Subquery:
    """What has these bytes and may lie in this record.

    By the bytes first, each step said so: a plan made while a record was small would go through all that lies in it by
    now. Only what half the country has, a leaflet, is sought among what lies in the record.
    """
    wanted = sa.any_(sa.bindparam("digests", type_=ARRAY(sa.LargeBinary)))
    has_them = versions.c.sha256 == wanted, versions.c.state != "rejected"
    columns = versions.c.sha256, versions.c.document_id
    anywhere = (
        sa.select(*columns).where(*has_them).limit(sa.literal_column(str(SELDOM)))
        .cte("anywhere").prefix_with("materialized")
    )  # fmt: skip
    found = sa.select(sa.func.count()).select_from(anywhere).scalar_subquery()
    beside = documents.alias("beside")
    of_each = (
        sa.select(*columns).where(versions.c.document_id == beside.c.document_id, *has_them)
        .offset(sa.literal_column("0")).lateral("of_each")  # each by itself, for each of the record's
    )  # fmt: skip
    return sa.union_all(
        sa.select(anywhere.c.sha256, anywhere.c.document_id).where(found < SELDOM),
        sa.select(of_each.c.sha256, of_each.c.document_id).select_from(beside.join(of_each, sa.true()))
        .where(beside.c.record_id == sa.bindparam("record_id", type_=Id), found >= SELDOM),
    ).subquery("same")  # fmt: skip


_SAME = _same()
