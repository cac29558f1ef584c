"""Every query of requests to put a document right."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.documents.models import documents, versions
from services.documents.models_care import rectifications
from services.documents.rules import Place, Scope
from services.documents.store import Row, visible

_JOINED = rectifications.join(documents, documents.c.document_id == rectifications.c.document_id)
_SHOWN = (*rectifications.c, documents.c.record_id, documents.c.author_id)
_NEWEST = (rectifications.c.asked_at.desc(), rectifications.c.rectification_id.desc())


def ask(session: Session, row: dict[str, Any]) -> bool:
    """Writes a request; False where one of the same document is open."""
    made = insert(rectifications).values(**row).on_conflict_do_nothing(
        index_elements=["document_id"], index_where=rectifications.c.answered_at.is_(None)
    )  # fmt: skip
    return session.execute(made.returning(rectifications.c.rectification_id)).first() is not None


def of_document(session: Session, scope: Scope, record_id: str, document_id: str) -> Sequence[Row]:
    """The requests about a visible document, the newest first."""
    return session.execute(
        sa.select(*_SHOWN).select_from(_JOINED)
        .where(rectifications.c.document_id == document_id, visible(scope, record_id)).order_by(*_NEWEST)
    ).all()  # fmt: skip


def asked_of(session: Session, professional_id: str, limit: int) -> Sequence[Row]:
    """What a professional is asked about documents of theirs that stand, in all records, the newest first."""
    return session.execute(
        sa.select(*_SHOWN).select_from(_JOINED)
        .where(documents.c.author_id == professional_id, documents.c.state == "available")
        .order_by(*_NEWEST).limit(limit)
    ).all()  # fmt: skip


def place_of(session: Session, rectification_id: str) -> Place:
    """Where the document lies that a request is about, and whose it is."""
    row = session.execute(
        sa.select(documents.c.document_id, documents.c.record_id, documents.c.home_record_id).select_from(_JOINED)
        .where(rectifications.c.rectification_id == rectification_id)
    ).first()  # fmt: skip
    return Place(*(row or (None, None, None)))


def lock(session: Session, scope: Scope, record_id: str, rectification_id: str) -> Row | None:
    """A request to the author who reads, about a document they see, held until the commit."""
    if scope.author_id is None:
        return None
    return session.execute(
        sa.select(*_SHOWN).select_from(_JOINED)
        .where(
            rectifications.c.rectification_id == rectification_id, documents.c.author_id == scope.author_id,
            visible(scope, record_id),
        ).with_for_update(of=rectifications)
    ).first()  # fmt: skip


def answer(session: Session, row: Row, *, answered_by: str, answer: str, words: str | None, at: datetime) -> Row:
    """Writes an author's answer, with the version that they made since they were asked."""
    since = (
        sa.select(versions.c.version_id)
        .where(
            versions.c.document_id == row.document_id, versions.c.author_id == answered_by,
            versions.c.created_at > row.asked_at, versions.c.state != "rejected",
        ).order_by(versions.c.number.desc()).limit(1)
    )  # fmt: skip
    return session.execute(
        sa.update(rectifications).where(rectifications.c.rectification_id == row.rectification_id)
        .values(answered_at=at, answered_by=answered_by, answer=answer, words=words,
                version_id=since.scalar_subquery())
        .returning(*rectifications.c)
    ).one()  # fmt: skip


def overdue(session: Session, at: datetime, limit: int) -> Sequence[Row]:
    """Marks the open requests whose day has passed and of which nobody was reminded; those of removed ones are none."""
    due = (
        sa.select(rectifications.c.rectification_id).select_from(_JOINED)
        .where(
            rectifications.c.answered_at.is_(None), rectifications.c.reminded_at.is_(None),
            rectifications.c.due_at <= at, documents.c.state == "available",
        ).order_by(rectifications.c.due_at).limit(limit).with_for_update(of=rectifications, skip_locked=True)
    )  # fmt: skip
    return session.execute(
        sa.update(rectifications)
        .where(
            rectifications.c.rectification_id.in_(due), documents.c.document_id == rectifications.c.document_id
        )
        .values(reminded_at=at).returning(*_SHOWN)
    ).all()  # fmt: skip
