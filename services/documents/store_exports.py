"""Every query of exports: which run, and what they are made of. Only what `visible` lets through is ever named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import ended_sessions
from services.documents.models import documents, record_keys, versions
from services.documents.models_care import exports
from services.documents.rules import Position, Scope
from services.documents.store import readable, visible
from services.documents.store_erasing import any_of

Row = Any


def add(session: Session, row: dict[str, Any]) -> None:
    session.execute(sa.insert(exports).values(**row))


def running(session: Session, export_id: str, since: datetime) -> Row | None:
    """An export begun after `since` in a session that has not ended."""
    over = sa.exists().where(ended_sessions.c.session_id == exports.c.session_id)
    return session.execute(
        sa.select(exports).where(exports.c.export_id == export_id, exports.c.begun_at > since, ~over)
    ).first()  # fmt: skip


def forget(session: Session, before: datetime) -> None:
    """Drops exports that were begun before a moment."""
    session.execute(sa.delete(exports).where(exports.c.begun_at <= before))


def _whole(scope: Scope, record_id: str) -> sa.ColumnElement[bool]:
    return visible(scope, record_id) & readable(scope)


def counted(session: Session, scope: Scope, record_id: str) -> tuple[int, int]:
    """How many documents and how many files of them this scope lets through."""
    both = documents.join(versions, versions.c.document_id == documents.c.document_id)
    row = session.execute(
        sa.select(sa.func.count(documents.c.document_id.distinct()), sa.func.count(versions.c.version_id))
        .select_from(both).where(_whole(scope, record_id))
    ).one()  # fmt: skip
    return int(row[0]), int(row[1])


def page(
    session: Session, scope: Scope, record_id: str, until: datetime, after: Position | None, limit: int
) -> Sequence[Row]:
    """Visible documents deposited until a moment, the oldest first; one more than `limit` when there are more."""
    query = sa.select(
        documents.c.document_id, documents.c.type, documents.c.category, documents.c.folder, documents.c.title,
        documents.c.act_date, documents.c.language, documents.c.author_id, documents.c.author_kind, documents.c.level,
        documents.c.deposited_at, documents.c.current_version_id,
    ).where(visible(scope, record_id), documents.c.deposited_at <= until)  # fmt: skip
    if after is not None:
        place = sa.tuple_(documents.c.deposited_at, documents.c.document_id)
        query = query.where(place > sa.tuple_(sa.literal(after.deposited_at), sa.literal(after.document_id)))
    return session.execute(query.order_by(documents.c.deposited_at, documents.c.document_id).limit(limit + 1)).all()


def versions_of(session: Session, scope: Scope, document_ids: Sequence[str]) -> Sequence[Row]:
    """The versions of visible documents that passed, the oldest first."""
    return session.execute(
        sa.select(
            versions.c.document_id, versions.c.version_id, versions.c.number, versions.c.media_type, versions.c.size,
            versions.c.sha256, versions.c.author_id, versions.c.created_at,
        )
        .where(versions.c.document_id == any_of(document_ids), readable(scope))
        .order_by(versions.c.document_id, versions.c.number)
    ).all()  # fmt: skip


def file(session: Session, scope: Scope, record_id: str, version_id: str) -> Row | None:
    """One version of a visible document with its wrapped keys."""
    both = documents.join(versions, versions.c.document_id == documents.c.document_id).join(
        record_keys, record_keys.c.record_id == versions.c.key_record_id
    )
    return session.execute(
        sa.select(
            versions.c.content_id, versions.c.store_version, versions.c.media_type, versions.c.size, versions.c.sha256,
            versions.c.wrapped_key, versions.c.key_record_id, record_keys.c.wrapped_key.label("wrapped_record_key"),
        )
        .select_from(both).where(versions.c.version_id == version_id, _whole(scope, record_id))
    ).first()  # fmt: skip
