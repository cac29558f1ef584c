"""Every query of binders. Whose a binder is stands in each of them: account and capacity, which nothing else opens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.documents.models import documents
from services.documents.models_reading import binder_documents, binders
from services.documents.rules import Scope
from services.documents.store import visible
from services.tokens import Caller

Row = Any


def in_binder(caller: Caller, binder_id: str) -> sa.ColumnElement[bool]:
    """The documents in a binder of the caller's own, as a WHERE clause over `documents`."""
    joined = binder_documents.join(binders, binders.c.binder_id == binder_documents.c.binder_id)
    return sa.exists().select_from(joined).where(
        binder_documents.c.document_id == documents.c.document_id, binders.c.binder_id == binder_id, _own(caller)
    )  # fmt: skip


def record_of_binder(session: Session, caller: Caller, binder_id: str) -> str | None:
    """The record that a binder of the caller's own belongs to."""
    return session.scalar(sa.select(binders.c.record_id).where(binders.c.binder_id == binder_id, _own(caller)))


def listed(session: Session, caller: Caller, scope: Scope, record_id: str, binder_id: str | None = None) -> list[Row]:
    """The caller's binders of a record by name, or one of them, each with how many of its documents show."""
    shown = (
        sa.select(sa.func.count()).select_from(
            binder_documents.join(documents, documents.c.document_id == binder_documents.c.document_id)
        )
        .where(binder_documents.c.binder_id == binders.c.binder_id, visible(scope, record_id))
    )  # fmt: skip
    query = (
        sa.select(binders.c.binder_id, binders.c.record_id, binders.c.name, binders.c.created_at,
                  shown.scalar_subquery().label("documents"))
        .where(binders.c.record_id == record_id, _own(caller)).order_by(binders.c.name, binders.c.binder_id)
    )  # fmt: skip
    if binder_id is not None:
        query = query.where(binders.c.binder_id == binder_id)
    return list(session.execute(query).all())


def lock_reader(session: Session, caller: Caller, record_id: str) -> None:
    """Lets the changes of one reader's binders of one record come one after the other."""
    key = f"binders {caller.account_id} {caller.capacity} {record_id}"
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))))


def names(session: Session, caller: Caller, record_id: str) -> Sequence[Row]:
    """The ids and names of the caller's binders of a record."""
    return session.execute(
        sa.select(binders.c.binder_id, binders.c.name).where(binders.c.record_id == record_id, _own(caller))
    ).all()


def add(session: Session, caller: Caller, record_id: str, binder_id: str, name: str, at: datetime) -> None:
    session.execute(
        sa.insert(binders).values(
            binder_id=binder_id, record_id=record_id, home_record_id=record_id, account_id=caller.account_id,
            capacity=caller.capacity, name=name, created_at=at,
        )
    )  # fmt: skip


def rename(session: Session, binder_id: str, name: str) -> None:
    session.execute(sa.update(binders).where(binders.c.binder_id == binder_id).values(name=name))


def remove(session: Session, binder_id: str) -> None:
    """Takes a binder away; what was in it stays in the record."""
    session.execute(sa.delete(binders).where(binders.c.binder_id == binder_id))


def put_in(session: Session, binder_id: str, document_id: str, at: datetime) -> None:
    """Once more changes nothing."""
    fresh = insert(binder_documents).values(binder_id=binder_id, document_id=document_id, added_at=at)
    session.execute(fresh.on_conflict_do_nothing())


def take_out(session: Session, binder_id: str, document_id: str) -> None:
    session.execute(
        sa.delete(binder_documents).where(
            binder_documents.c.binder_id == binder_id, binder_documents.c.document_id == document_id
        )
    )


def _own(caller: Caller) -> sa.ColumnElement[bool]:
    return (binders.c.account_id == caller.account_id) & (binders.c.capacity == caller.capacity)
