"""Every query of deposits: what was announced, the tries to put its bytes, and the documents they became."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.documents.models import Id, attempts, documents, levels, record_keys, upload_parts, uploads, versions
from services.documents.rules import Scope
from services.documents.store import Row, visible

# --- uploads ----------------------------------------------------------------------------------------------------------


def add_uploads(session: Session, rows: list[dict[str, Any]]) -> None:
    """Keeps what was said about documents until their bytes are there."""
    session.execute(sa.insert(uploads), rows)


def upload(session: Session, upload_id: str, account_id: str, capacity: str) -> Row | None:
    """A person's own upload in this capacity, with its record's key and, when committed, the version made of it."""
    return session.execute(_own([upload_id], account_id, capacity)).first()


def hold_uploads(session: Session, upload_ids: Sequence[str]) -> None:
    """Holds uploads until the commit: of two simultaneous commits one deposits, the other finds it done.

    A word of its own: what the other one wrote is seen by the next statement only.
    """
    held = sa.select(uploads.c.upload_id).where(uploads.c.upload_id == _any_of(upload_ids))
    session.execute(held.order_by(uploads.c.upload_id).with_for_update())


def own_uploads(session: Session, upload_ids: Sequence[str], account_id: str, capacity: str) -> list[Row]:
    """A person's own uploads in this capacity, in the order of their ids."""
    return list(session.execute(_own(upload_ids, account_id, capacity).order_by(uploads.c.upload_id)).all())


def _own(upload_ids: Sequence[str], account_id: str, capacity: str) -> sa.Select[Any]:
    key = sa.select(record_keys.c.wrapped_key).where(record_keys.c.record_id == uploads.c.record_id)
    digest = sa.select(versions.c.sha256).where(versions.c.version_id == uploads.c.version_id)
    return sa.select(
        uploads, key.scalar_subquery().label("wrapped_record_key"), digest.scalar_subquery().label("sha256")
    ).where(
        uploads.c.upload_id == _any_of(upload_ids), uploads.c.account_id == account_id,
        uploads.c.capacity == capacity,
    )  # fmt: skip


def _any_of(ids: Collection[str]) -> sa.ColumnElement[Any]:
    # one array parameter, where `in` would have the statement rebuilt around its list at every call
    return sa.any_(sa.cast(sa.literal(list(ids), ARRAY(sa.Text)), ARRAY(Id)))


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
    """Remembers one try of an upload before its URL leaves: no object without a row."""
    session.execute(
        sa.insert(attempts).values(
            version_id=version_id, upload_id=upload_id, wrapped_key=wrapped_key, key_record_id=key_record_id,
            started_at=at,
        )
    )  # fmt: skip


def take_attempts(session: Session, tries: dict[str, str], not_before: datetime) -> dict[str, Row]:
    """Takes these tries out of the sweeper's reach, all or none, and gives their wrapped keys by upload.

    tries: the try of each upload. Nothing when one of them is unknown or too old: none was taken then, so that what
    lies in the store for the others is still swept.
    """
    due = (
        sa.select(attempts.c.version_id, attempts.c.upload_id)
        .where(
            attempts.c.version_id == _any_of(tries.values()), attempts.c.upload_id == _any_of(tries),
            attempts.c.condemned_at.is_(None), attempts.c.started_at > not_before,
        ).with_for_update().cte("due")
    )  # fmt: skip
    complete = sa.select(sa.func.count()).select_from(due).scalar_subquery() == len(tries)
    taken = session.execute(
        sa.delete(attempts)
        .where(attempts.c.version_id.in_(sa.select(due.c.version_id)), complete)
        .returning(attempts.c.upload_id, attempts.c.version_id, attempts.c.wrapped_key, attempts.c.key_record_id)
    ).all()
    return {row.upload_id: row for row in taken}


def forget_parts(session: Session, version_id: str) -> None:
    """Drops the rows of parts whose object was put together and deposited."""
    session.execute(sa.delete(upload_parts).where(upload_parts.c.version_id == version_id))


# --- what they became -------------------------------------------------------------------------------------------------


def add_documents(
    session: Session, made: list[dict[str, Any]], first: list[dict[str, Any]], level_rows: list[dict[str, Any]]
) -> None:
    """Writes new documents, the first version of each and its first level."""
    session.execute(sa.insert(documents), made)
    session.execute(sa.insert(versions), first)
    session.execute(sa.insert(levels), level_rows)


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
        .order_by(documents.c.deposited_at.desc(), documents.c.document_id.desc())
    ).all()
    return {bytes(row.sha256): row.document_id for row in rows}  # the last one written is the first deposited
