"""Every query of renditions: what was made of a version's bytes to be shown in their place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.documents.models import record_keys
from services.documents.models_reading import renditions
from services.documents.store_rows import added, rows
from services.words import say_last

Row = Any


def begin(session: Session, begun: Sequence[dict[str, Any]]) -> None:
    """Writes down with the commit what objects will be put, before they are: no object without a row."""
    say_last(session, _BEGIN, begun=rows(begun))


_BEGIN = added(
    renditions, "rendition_id, content_id, kind, number, media_type, size, sha256, wrapped_key, key_record_id,"
    " begun_at", "begun",
)  # fmt: skip


def kinds(session: Session, content_id: str) -> set[tuple[str, int]]:
    """Which renditions of these bytes are there already."""
    there = session.execute(
        sa.select(renditions.c.kind, renditions.c.number)
        .where(renditions.c.content_id == content_id, renditions.c.stored_at.is_not(None))
    ).all()  # fmt: skip
    return {(row.kind, row.number) for row in there}


def keep(session: Session, stored: dict[str, str | None], at: datetime) -> None:
    """Lets objects count that are stored, with the commit: by their ids, with the store's names for exactly those."""
    if stored:
        say_last(session, _KEEP, kept=list(stored), kept_as=list(stored.values()), kept_at=at)


_KEEP = """
    update renditions set stored_at = :kept_at, store_version = told.store_version
      from unnest(cast(:kept as uuid[]), cast(:kept_as as text[])) as told (rendition_id, store_version)
     where renditions.rendition_id = told.rendition_id and not exists (
           select from renditions as there
            where there.content_id = renditions.content_id and there.kind = renditions.kind
              and there.number = renditions.number and there.stored_at is not null)
"""


def stored(session: Session, content_id: str, kind: str, number: int = 1) -> Row | None:
    """A rendition of these bytes that may be given, with its keys; None while there is none."""
    return session.execute(
        sa.select(renditions, record_keys.c.wrapped_key.label("wrapped_record_key"))
        .select_from(renditions.join(record_keys, record_keys.c.record_id == renditions.c.key_record_id))
        .where(
            renditions.c.content_id == content_id, renditions.c.kind == kind, renditions.c.number == number,
            renditions.c.stored_at.is_not(None), record_keys.c.wrapped_key.is_not(None),
        )
    ).first()  # fmt: skip


def left_behind(session: Session, before: datetime, limit: int) -> Sequence[str]:
    """The objects of tries begun before a moment that came to nothing."""
    return session.scalars(
        sa.select(renditions.c.rendition_id)
        .where(renditions.c.stored_at.is_(None), renditions.c.begun_at <= before).limit(limit)
    ).all()  # fmt: skip


def forget(session: Session, rendition_id: str) -> None:
    """Drops the row of a try whose object is gone."""
    session.execute(
        sa.delete(renditions).where(renditions.c.rendition_id == rendition_id, renditions.c.stored_at.is_(None))
    )
