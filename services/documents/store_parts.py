"""Every query of uploads in parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.documents.models import attempts, record_keys, upload_parts
from services.documents.store import Row

NOT_BEGUN = ""
"""The store's name for the parts of a try of which the store does not know yet."""


def attempt(session: Session, upload_id: str) -> Row | None:
    """The one try of an upload that comes in parts, with the key of its record; None before the first part."""
    return session.execute(
        sa.select(attempts, record_keys.c.wrapped_key.label("wrapped_record_key"))
        .select_from(attempts.join(record_keys, record_keys.c.record_id == attempts.c.key_record_id))
        .where(
            attempts.c.upload_id == upload_id, attempts.c.multipart_id.is_not(None), attempts.c.condemned_at.is_(None)
        )
    ).first()  # fmt: skip


def add_attempt(
    session: Session, upload_id: str, version_id: str, wrapped_key: bytes, key_record_id: str, at: datetime
) -> Row:
    """Notes the one try of an upload that comes in parts, before the store hears of it."""
    session.execute(
        sa.insert(attempts).values(
            version_id=version_id, upload_id=upload_id, wrapped_key=wrapped_key, key_record_id=key_record_id,
            started_at=at, multipart_id=NOT_BEGUN,
        )
    )  # fmt: skip
    return session.execute(
        sa.select(attempts, record_keys.c.wrapped_key.label("wrapped_record_key"))
        .select_from(attempts.join(record_keys, record_keys.c.record_id == attempts.c.key_record_id))
        .where(attempts.c.version_id == version_id)
    ).one()  # fmt: skip


def note_begun(session: Session, version_id: str, multipart_id: str) -> bool:
    """Keeps the store's name for the parts; False where another that began at once was first."""
    noted = (
        sa.update(attempts).where(attempts.c.version_id == version_id, attempts.c.multipart_id == NOT_BEGUN)
        .values(multipart_id=multipart_id).returning(attempts.c.version_id)
    )  # fmt: skip
    return session.execute(noted).first() is not None


def note_part(session: Session, version_id: str, number: int, size: int, sha256: bytes) -> Row | None:
    """Writes down what a part is before it is sealed; its receipt, or None when it was begun with other bytes."""
    row = insert(upload_parts).values(version_id=version_id, number=number, size=size, sha256=sha256)
    session.execute(row.on_conflict_do_nothing())
    same = sa.select(upload_parts.c.etag).where(
        upload_parts.c.version_id == version_id, upload_parts.c.number == number, upload_parts.c.size == size,
        upload_parts.c.sha256 == sha256,
    )  # fmt: skip
    return session.execute(same).first()


def note_stored(session: Session, version_id: str, number: int, etag: str) -> None:
    """Keeps the store's receipt for a part."""
    session.execute(
        sa.update(upload_parts).where(upload_parts.c.version_id == version_id, upload_parts.c.number == number)
        .values(etag=etag)
    )  # fmt: skip


def parts_of_upload(session: Session, upload_id: str) -> Sequence[Row]:
    """The parts of an upload that were begun, in order."""
    return session.execute(
        sa.select(upload_parts)
        .select_from(upload_parts.join(attempts, attempts.c.version_id == upload_parts.c.version_id))
        .where(attempts.c.upload_id == upload_id, attempts.c.multipart_id.is_not(None))
        .order_by(upload_parts.c.number)
    ).all()  # fmt: skip
