"""Every query of removals: who asked for one, who decided, and when the last byte was gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.documents.models import documents
from services.documents.models_care import condemned, removals
from services.documents.store_erasing import any_of

Row = Any


def lies(session: Session, document_id: str) -> Row | None:
    """Whose a document is (`home_record_id`); None for unknown and for what is removed already."""
    return session.execute(
        sa.select(documents.c.document_id, documents.c.home_record_id)
        .where(documents.c.document_id == document_id, documents.c.state != "removed")
    ).first()  # fmt: skip


def hold_document(session: Session, document_id: str) -> None:
    """Lets those who ask about one document come one after the other."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"removal {document_id}", 0))))


def open_of(session: Session, document_id: str) -> str | None:
    """The removal of a document that is not decided."""
    return session.scalar(
        sa.select(removals.c.removal_id).where(removals.c.document_id == document_id, removals.c.state == "asked")
    )  # fmt: skip


def add(
    session: Session, removal_id: str, document_id: str, *, cause: str, reason: str, asked_by: str, at: datetime
) -> None:
    session.execute(
        sa.insert(removals).values(
            removal_id=removal_id, document_id=document_id, cause=cause, reason=reason, state="asked",
            asked_by=asked_by, asked_at=at,
        )
    )  # fmt: skip


_SHOWN = sa.select(removals, documents.c.record_id).select_from(
    removals.join(documents, documents.c.document_id == removals.c.document_id)
)


def one(session: Session, removal_id: str, *, hold: bool = False) -> Row | None:
    """A removal; hold: until the commit, so that of two agents one decides."""
    query = _SHOWN.where(removals.c.removal_id == removal_id)
    return session.execute(query.with_for_update(of=removals) if hold else query).first()


def page(session: Session, state: str | None, after: str | None, limit: int) -> Sequence[Row]:
    """Removals that somebody asked for, newest first; one more than `limit` when there are more."""
    query = _SHOWN.where(removals.c.asked_by.is_not(None))
    if state is not None:
        query = query.where(removals.c.state == state)
    if after is not None:
        query = query.where(removals.c.removal_id < after)
    return session.execute(query.order_by(removals.c.removal_id.desc()).limit(limit + 1)).all()


def decide(session: Session, removal_id: str, state: str, *, decided_by: str, at: datetime) -> None:
    session.execute(
        sa.update(removals).where(removals.c.removal_id == removal_id)
        .values(state=state, decided_by=decided_by, decided_at=at)
    )  # fmt: skip


def approve_alone(session: Session, document_ids: Collection[str], cause: str, at: datetime) -> None:
    """Has documents removed that nobody was asked about; what an agent had asked for comes to the same."""
    asked = session.scalars(
        sa.update(removals).where(removals.c.document_id == any_of(document_ids), removals.c.state == "asked")
        .values(state="approved", cause=cause, decided_at=at).returning(removals.c.document_id)
    ).all()  # fmt: skip
    rows = [
        {"removal_id": new_id(), "document_id": document_id, "cause": cause, "reason": "", "state": "approved",
         "asked_at": at, "decided_at": at}
        for document_id in document_ids if document_id not in set(asked)
    ]  # fmt: skip
    if rows:
        session.execute(sa.insert(removals), rows)


# --- destroying -------------------------------------------------------------------------------------------------------


def condemned_objects(session: Session, limit: int, after: str | None) -> Sequence[Row]:
    """Some objects that must go from the store, in the order of their names (`object_id`, `removal_id`)."""
    query = sa.select(condemned.c.object_id, condemned.c.removal_id).order_by(condemned.c.object_id).limit(limit)
    return session.execute(query if after is None else query.where(condemned.c.object_id > after)).all()


def strike(session: Session, object_id: str, removal_id: str | None) -> None:
    """Drops the row of an object that is gone; those of one removal one after the other, so that one is the last."""
    if removal_id is not None:
        session.execute(sa.select(removals.c.removal_id).where(removals.c.removal_id == removal_id).with_for_update())
    session.execute(sa.delete(condemned).where(condemned.c.object_id == object_id))


def destroyed(session: Session, removal_id: str | None, at: datetime) -> Row | None:
    """Notes that the last object of a removal is gone; its document and how many there were, once, or None.

    removal_id: None for any whose objects are all gone and that nobody noted.
    """
    left = sa.exists().where(condemned.c.removal_id == removals.c.removal_id)
    over = sa.select(removals.c.removal_id).where(removals.c.state == "approved", ~left)
    if removal_id is not None:
        over = over.where(removals.c.removal_id == removal_id)
    done = (
        sa.update(removals)
        .where(removals.c.removal_id.in_(over.limit(1).with_for_update(skip_locked=removal_id is None)))
        .values(state="destroyed", destroyed_at=at).returning(removals.c.document_id, removals.c.objects).cte("done")
    )  # fmt: skip
    return session.execute(
        sa.select(done.c.document_id, done.c.objects, documents.c.record_id, documents.c.home_record_id)
        .select_from(done.join(documents, documents.c.document_id == done.c.document_id))
    ).first()  # fmt: skip
