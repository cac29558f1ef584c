"""The queries of mandates of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import Mandate
from services.dossier.models_desk import Deadline
from services.dossier.store import leads_nowhere

END: Final = "mandate_end"
"""The deadline that announces that a mandate's time is over."""

MANDATE = (
    Mandate.mandate_id,
    Mandate.record_id,
    Mandate.kind,
    Mandate.professional_id,
    Mandate.establishment_id,
    Mandate.starts_at,
    Mandate.read_until,
    Mandate.deposit_until,
    Mandate.ended_at,
    Mandate.reference,
    Mandate.closes_at,
    Mandate.consent_at,
    Mandate.prolonged_days,
    Mandate.reason_category,
    Mandate.reason,
)


def mandates(
    session: Session,
    record_id: str,
    professional_id: str | None = None,
    establishment_id: str | None = None,
    kind: str | None = None,
) -> Sequence[Any]:
    """The mandates of a record, the newest first: all, or one professional's own and those of their establishment."""
    query = sa.select(*MANDATE).where(Mandate.record_id == record_id)
    if professional_id is not None:
        of_all = Mandate.professional_id.is_(None) & (Mandate.establishment_id == establishment_id)
        query = query.where((Mandate.professional_id == professional_id) | of_all)
    if kind is not None:
        query = query.where(Mandate.kind == kind)
    return session.execute(query.order_by(Mandate.mandate_id.desc())).all()


def mandate(session: Session, record_id: str, mandate_id: str) -> Any | None:
    """One mandate of this record."""
    query = sa.select(*MANDATE).where(Mandate.record_id == record_id, Mandate.mandate_id == mandate_id)
    return session.execute(query).first()


def reading_mandate(session: Session, record_id: str, professional_id: str, kind: str, at: datetime) -> Any | None:
    """The mandate of this kind under which this professional reads now."""
    query = sa.select(*MANDATE).where(
        Mandate.record_id == record_id,
        Mandate.professional_id == professional_id,
        Mandate.kind == kind,
        Mandate.ended_at.is_(None),
        Mandate.starts_at <= at,
        Mandate.read_until > at,
    )
    return session.execute(query).first()


def insert_mandate(session: Session, values: dict[str, Any]) -> Any:
    """A new mandate, as it stands in the table; its end will be announced."""
    made = sa.insert(Mandate).values(mandate_id=new_id(), **values).returning(*MANDATE).cte("made")
    due = sa.select(sa.literal(END), made.c.mandate_id, made.c.record_id, made.c.deposit_until)
    columns = ("kind", "subject_id", "record_id", "due_at")
    planned = sa.insert(Deadline).from_select(columns, due).cte("planned")
    return session.execute(sa.select(made).add_cte(planned)).one()


def end_mandate(session: Session, record_id: str, mandate_id: str, at: datetime, by: str | None = None) -> bool:
    """Ends a running mandate; False when there is none of this id that runs. by: the account that ends it."""
    ended = _ending(record_id, at, by).where(Mandate.mandate_id == mandate_id).returning(Mandate.mandate_id)
    return session.execute(ended).first() is not None


def end_mandates(
    session: Session, record_id: str, at: datetime, by: str, professional_id: str | None = None
) -> Sequence[Any]:
    """Ends every running mandate of a record, or one professional's; returns them, in the order in which they began."""
    ending = _ending(record_id, at, by)
    if professional_id is not None:
        ending = ending.where(Mandate.professional_id == professional_id)
    ended = session.execute(ending.returning(*MANDATE)).all()
    return sorted(ended, key=lambda mandate: str(mandate.mandate_id))


def _ending(record_id: str, at: datetime, by: str | None) -> sa.Update:
    runs = (Mandate.ended_at.is_(None), Mandate.deposit_until > at)
    here = (Mandate.record_id == record_id, leads_nowhere(record_id))
    return sa.update(Mandate).where(*here, *runs).values(ended_at=at, ended_by=by)


def mandate_over(session: Session, mandate_id: str) -> Any | None:
    """A mandate that nobody ended, in a record that was not merged; None for any other."""
    query = sa.select(*MANDATE).where(
        Mandate.mandate_id == mandate_id, Mandate.ended_at.is_(None), leads_nowhere(Mandate.record_id)
    )
    return session.execute(query).first()
