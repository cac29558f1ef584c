"""Every query of deposits: what was announced, the tries to put its bytes, and the documents they became."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.db import rfc3339, say_last
from services.documents.models import Id, attempts, documents, levels, record_keys, upload_parts, uploads, versions
from services.documents.rules import Scope
from services.documents.store import Row, visible
from services.documents.store_examining import WAITING
from services.plans import planned_once

# --- uploads ----------------------------------------------------------------------------------------------------------


def add_uploads(session: Session, rows: list[dict[str, Any]]) -> None:
    """Keeps what was said about documents until their bytes are there."""
    session.execute(sa.insert(uploads), rows)


def upload(session: Session, upload_id: str, account_id: str, capacity: str) -> Row | None:
    """A person's own upload in this capacity, with its record's key and, when committed, the version made of it."""
    return session.execute(_OWN, {"ids": [upload_id], "account_id": account_id, "capacity": capacity}).first()


def hold_uploads(session: Session, upload_ids: Sequence[str]) -> None:
    """Holds uploads until the commit: of two simultaneous commits one deposits, the other finds it done.

    A word of its own: what the other one wrote is seen by the next statement only.
    """
    session.execute(_HOLD, {"ids": list(upload_ids)})


def own_uploads(session: Session, upload_ids: Sequence[str], account_id: str, capacity: str) -> list[Row]:
    """A person's own uploads in this capacity, in the order of their ids."""
    whose = {"ids": list(upload_ids), "account_id": account_id, "capacity": capacity}
    return list(session.execute(_OWN, whose).all())


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


def take_attempts(session: Session, tries: dict[str, str], not_before: datetime) -> dict[str, Row]:
    """Takes these tries out of the sweeper's reach, all or none, and gives their wrapped keys by upload.

    tries: the try of each upload. Nothing when one of them is unknown or too old: none was taken then, so that what
    lies in the store for the others is still swept.
    """
    asked = {"tries": list(tries.values()), "ids": list(tries), "not_before": not_before, "count": len(tries)}
    return {row.upload_id: row for row in session.execute(_TAKE, asked)}


_DUE = (
    sa.select(attempts.c.version_id)
    .where(
        attempts.c.version_id == sa.any_(sa.bindparam("tries", type_=_ID_LIST)),
        attempts.c.upload_id == sa.any_(sa.bindparam("ids", type_=_ID_LIST)),
        attempts.c.condemned_at.is_(None), attempts.c.started_at > sa.bindparam("not_before"),
    ).with_for_update().cte("due")
)  # fmt: skip
_TAKE = planned_once(
    sa.delete(attempts)
    .where(
        attempts.c.version_id.in_(sa.select(_DUE.c.version_id)),
        sa.select(sa.func.count()).select_from(_DUE).scalar_subquery() == sa.bindparam("count"),
    )
    .returning(attempts.c.upload_id, attempts.c.version_id, attempts.c.wrapped_key, attempts.c.key_record_id)
)


def forget_parts(session: Session, version_id: str) -> None:
    """Drops the rows of parts whose object was put together and deposited."""
    session.execute(sa.delete(upload_parts).where(upload_parts.c.version_id == version_id))


# --- what they became -------------------------------------------------------------------------------------------------


def add_documents(
    session: Session, made: Sequence[dict[str, Any]], first: Sequence[dict[str, Any]],
    level_rows: Sequence[dict[str, Any]], done: Sequence[dict[str, Any]],
) -> None:  # fmt: skip
    """Writes new documents with the commit, in one word: with the first version and level of each, the words of its
    title, what the upload's answer points out, and the errand to look at the bytes closely.

    done: of each its `upload_id`, `document_id`, `version_id`, `duplicate_of` and `words`.
    """
    say_last(
        session, _ADD_DOCUMENTS, new_documents=_rows(made), new_versions=_rows(first), new_levels=_rows(level_rows),
        uploads_done=_rows(done),
    )  # fmt: skip


def _rows(rows: Sequence[dict[str, Any]]) -> str:
    return json.dumps([{name: _plain(value) for name, value in row.items()} for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    return "\\x" + value.hex() if isinstance(value, bytes) else value


def _added(table: sa.Table, columns: str, parameter: str) -> str:
    return (
        f"insert into {table.name} ({columns})"  # noqa: S608 (words of this file alone)
        f" select {columns} from json_populate_recordset(cast(null as {table.name}), cast(:{parameter} as json))"
    )


_ADD_DOCUMENTS = "; ".join((
    _added(
        documents, "document_id, record_id, home_record_id, upload_id, submission_id, type, category, folder, title,"
        " act_date, language, author_kind, author_id, institution_id, establishment_id, level, current_version_id,"
        " deposited_at, state, account_id, capacity", "new_documents",
    ),
    _added(
        versions, "version_id, content_id, state, document_id, number, wrapped_key, key_record_id, store_version,"
        " media_type, size, sha256, author_id, establishment_id, account_id, capacity, created_at", "new_versions",
    ),
    _added(levels, "level_id, document_id, level, valid_from, account_id, risk_accepted", "new_levels"),
    """
    insert into texts (document_id, body, words)
    select document_id, '', document_words(words, '{}')
      from json_to_recordset(cast(:uploads_done as json)) as done(document_id uuid, words text[])
    """,
    """
    update uploads set document_id = done.document_id, version_id = done.version_id, duplicate_of = done.duplicate_of
      from json_to_recordset(cast(:uploads_done as json))
           as done(upload_id uuid, document_id uuid, version_id uuid, duplicate_of uuid)
     where uploads.upload_id = done.upload_id
    """,
    """
    insert into examinations (version_id, queued_at, due_at)
    select version_id, created_at, created_at
      from json_populate_recordset(cast(null as versions), cast(:new_versions as json))
    """,
    f"select pg_notify('{WAITING}', '')",
))  # fmt: skip


def note_deposited(session: Session, upload_id: str, document_id: str, version_id: str, like: str | None) -> None:
    """Writes that an upload is done, and what its answer points out."""
    session.execute(
        sa.update(uploads).where(uploads.c.upload_id == upload_id)
        .values(document_id=document_id, version_id=version_id, duplicate_of=like)
    )  # fmt: skip


def same_bytes(session: Session, scope: Scope, record_id: str, digests: Collection[bytes]) -> dict[bytes, str]:
    """By digest, the first document of the record that this scope lets through and that has, or had, these bytes.

    Asked for every deposit alike, whatever there is: the answer to who may not see one is that of no such document.
    """
    wanted = sa.any_(sa.literal(list(digests), ARRAY(sa.LargeBinary)))
    rows = session.execute(
        sa.select(versions.c.sha256, documents.c.document_id)
        .select_from(versions.join(documents, documents.c.document_id == versions.c.document_id))
        .where(versions.c.sha256 == wanted, versions.c.state != "rejected", visible(scope, record_id))
        .distinct(versions.c.sha256)
        .order_by(versions.c.sha256, documents.c.deposited_at, documents.c.document_id)
    ).all()
    return {bytes(row.sha256): row.document_id for row in rows}
