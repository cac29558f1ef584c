"""Every query of what hides a document: restrictions, patient blocks and withholdings, each with the time it ran.

Whoever begins or ends one holds the document's row (`store.lock_document`), so two changes come one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.documents.models import documents, levels, patient_blocks, restrictions, withholdings
from services.documents.rules import Scope
from services.documents.store import Row, visible
from services.dossier.contract import DocumentFacts


@dataclass(frozen=True)
class Seen:
    """What decisions about anybody need to know of a document, and since when it is there."""

    facts: DocumentFacts
    deposited_at: datetime


# --- the facts of a document ------------------------------------------------------------------------------------------


def facts_seen(
    session: Session, scope: Scope, record_id: str, document_id: str, at: datetime | None = None
) -> Seen | None:
    """The facts of a document that this scope lets through; at: as they were then, of what is visible now."""
    level = sa.select(levels.c.level).where(levels.c.document_id == documents.c.document_id)
    level = level.where(_ran(levels.c.valid_from, levels.c.valid_to, at)).order_by(levels.c.valid_from.desc()).limit(1)
    against = sa.select(restrictions.c.professional_id).where(*_of_document(restrictions, at))
    against = against.order_by(restrictions.c.professional_id)
    row = session.execute(
        sa.select(
            documents.c.category, documents.c.type, documents.c.folder, documents.c.author_id, documents.c.deposited_at,
            sa.func.coalesce(level.scalar_subquery(), documents.c.level).label("level"),
            sa.exists().where(*_of_document(patient_blocks, at)).label("patient_blocked"),
            sa.exists().where(*_of_document(withholdings, at)).label("withheld"),
            sa.func.array(against.scalar_subquery()).label("restricted"),
        )
        .where(documents.c.document_id == document_id, visible(scope, record_id))
    ).first()  # fmt: skip
    if row is None:
        return None
    facts = DocumentFacts(
        category=row.category, type=row.type, folder=row.folder, level=row.level, author_id=row.author_id,
        patient_blocked=row.patient_blocked, withheld=row.withheld,
        restricted=tuple(str(each) for each in row.restricted),
    )  # fmt: skip
    return Seen(facts, row.deposited_at)


def _of_document(table: sa.Table, at: datetime | None) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.document_id == documents.c.document_id, _ran(table.c.since, table.c.until, at)


def _ran(since: sa.Column[Any], until: sa.Column[Any], at: datetime | None) -> sa.ColumnElement[bool]:
    return until.is_(None) if at is None else (since <= at) & (until.is_(None) | (until > at))


# --- restrictions -----------------------------------------------------------------------------------------------------


def restrict(
    session: Session, document_id: str, professional_id: str, *, restriction_id: str, account_id: str,
    risk_version: str, at: datetime,
) -> bool:  # fmt: skip
    """Hides a document from a professional; False when it was hidden before."""
    begun = insert(restrictions).values(
        restriction_id=restriction_id, document_id=document_id, professional_id=professional_id, since=at,
        account_id=account_id, risk_version=risk_version,
    )  # fmt: skip
    begun = begun.on_conflict_do_nothing(
        index_elements=["document_id", "professional_id"], index_where=restrictions.c.until.is_(None)
    )
    return session.execute(begun.returning(restrictions.c.restriction_id)).first() is not None


def unrestrict(session: Session, document_id: str, professional_id: str, at: datetime) -> bool:
    """Ends what hides a document from a professional; False when nothing did."""
    theirs = (restrictions.c.document_id == document_id) & (restrictions.c.professional_id == professional_id)
    return _end(session, restrictions, theirs, at)


def restrictions_of(session: Session, document_id: str) -> Sequence[Row]:
    """professional_id and since of the restrictions of a document that run."""
    return session.execute(
        sa.select(restrictions.c.professional_id, restrictions.c.since)
        .where(restrictions.c.document_id == document_id, restrictions.c.until.is_(None))
        .order_by(restrictions.c.since, restrictions.c.restriction_id)
    ).all()


# --- patient blocks ---------------------------------------------------------------------------------------------------


def block(
    session: Session, document_id: str, *, block_id: str, professional_id: str, account_id: str, reason: str,
    at: datetime,
) -> None:  # fmt: skip
    """Hides a document from the holder side."""
    session.execute(
        sa.insert(patient_blocks).values(
            block_id=block_id, document_id=document_id, professional_id=professional_id, account_id=account_id,
            reason=reason, since=at,
        )
    )  # fmt: skip
    _mark(session, document_id, patient_blocked_at=at)


def release(session: Session, document_id: str, *, how: str, released_by: str | None, at: datetime) -> None:
    """Shows a document to the holder side again."""
    of_this = patient_blocks.c.document_id == document_id
    _end(session, patient_blocks, of_this, at, released_how=how, released_by=released_by)
    _mark(session, document_id, patient_blocked_at=None, released_at=at)


def block_of(session: Session, document_id: str) -> Row | None:
    """The block of a document that runs: since, professional_id, reason."""
    return session.execute(
        sa.select(patient_blocks.c.since, patient_blocks.c.professional_id, patient_blocks.c.reason)
        .where(patient_blocks.c.document_id == document_id, patient_blocks.c.until.is_(None))
    ).first()  # fmt: skip


_BLOCK = (
    sa.select(
        patient_blocks.c.block_id, patient_blocks.c.document_id, patient_blocks.c.professional_id,
        patient_blocks.c.since, patient_blocks.c.reminded_at, patient_blocks.c.escalated_at,
        documents.c.record_id, documents.c.home_record_id, documents.c.author_id, documents.c.withheld_at,
        documents.c.state,
    )
    .select_from(patient_blocks.join(documents, documents.c.document_id == patient_blocks.c.document_id))
    .where(patient_blocks.c.until.is_(None), documents.c.state == "available")
)  # fmt: skip


def blocks_due(
    session: Session, *, reminded_before: datetime, escalated_before: datetime, released_before: datetime | None,
    limit: int,
) -> Sequence[Row]:  # fmt: skip
    """The blocks about which something is to be done, the oldest first; each moment: of blocks begun by then."""
    since, steps = patient_blocks.c.since, [patient_blocks.c.reminded_at, patient_blocks.c.escalated_at]
    due = ((since <= reminded_before) & steps[0].is_(None)) | ((since <= escalated_before) & steps[1].is_(None))
    if released_before is not None:
        due |= since <= released_before
    return session.execute(_BLOCK.where(due).order_by(since, patient_blocks.c.block_id).limit(limit)).all()


def claim_block(session: Session, block_id: str) -> Row | None:
    """A running block with its document, out of every other replica's reach until the commit; None where one has it.

    It waits for nobody, so that it cannot wait in a circle with who releases the same document.
    """
    return session.execute(
        _BLOCK.where(patient_blocks.c.block_id == block_id).with_for_update(skip_locked=True)
    ).first()


def note_reminder(session: Session, block_id: str, at: datetime, *, escalated: bool) -> None:
    """Notes that somebody was reminded of a block."""
    told: dict[str, Any] = {"reminded_at": sa.func.coalesce(patient_blocks.c.reminded_at, at)}
    if escalated:
        told["escalated_at"] = at
    session.execute(sa.update(patient_blocks).where(patient_blocks.c.block_id == block_id).values(**told))


# --- withholdings -----------------------------------------------------------------------------------------------------


def withhold(session: Session, document_id: str, *, withholding_id: str, account_id: str, at: datetime) -> None:
    """Hides a document from the legal representatives."""
    session.execute(
        sa.insert(withholdings).values(
            withholding_id=withholding_id, document_id=document_id, account_id=account_id, since=at
        )
    )
    _mark(session, document_id, withheld_at=at)


def show(session: Session, document_id: str, at: datetime) -> None:
    """Shows a document to the legal representatives again."""
    _end(session, withholdings, withholdings.c.document_id == document_id, at)
    _mark(session, document_id, withheld_at=None)


# --- inside -----------------------------------------------------------------------------------------------------------


def _end(session: Session, table: sa.Table, which: sa.ColumnElement[bool], at: datetime, **facts: Any) -> bool:
    """Ends what runs; False where nothing did."""
    ended = sa.update(table).where(which, table.c.until.is_(None))
    ended = ended.values(until=sa.func.greatest(table.c.since, at), **facts)
    return session.execute(ended.returning(table.c.since)).first() is not None


def _mark(session: Session, document_id: str, **since: datetime | None) -> None:
    session.execute(sa.update(documents).where(documents.c.document_id == document_id).values(**since))
