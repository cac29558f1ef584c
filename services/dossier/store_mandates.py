"""The queries of mandates of every kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.dossier.models import Mandate
from services.dossier.models_desk import Deadline
from services.dossier.rules_tables import MandateWarning
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
    query = sa.select(*MANDATE).where(Mandate.record_id == record_id, ~Mandate.taken_back)
    if professional_id is not None:
        of_all = Mandate.professional_id.is_(None) & (Mandate.establishment_id == establishment_id)
        query = query.where((Mandate.professional_id == professional_id) | of_all)
    if kind is not None:
        query = query.where(Mandate.kind == kind)
    return session.execute(query.order_by(Mandate.mandate_id.desc())).all()


def mandate(session: Session, record_id: str, mandate_id: str) -> Any | None:
    """One mandate of this record."""
    query = sa.select(*MANDATE).where(
        Mandate.record_id == record_id, Mandate.mandate_id == mandate_id, ~Mandate.taken_back
    )
    return session.execute(query).first()


def reading_mandate(session: Session, record_id: str, professional_id: str, kind: str, at: datetime) -> Any | None:
    """The mandate of this kind under which this professional reads now.

    One that a merge brought along is another's, and ends with it.
    """
    query = sa.select(*MANDATE).where(
        Mandate.record_id == record_id,
        Mandate.professional_id == professional_id,
        Mandate.kind == kind,
        Mandate.copied_from.is_(None),
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


# With each mandate its record is held: one that somebody is changing this moment is left for a later round. What came
# along from a merged record has lasted since it began there.
_WARN = sa.text(
    """
    with due as materialized (
        select m.mandate_id
          from mandates m
          join records r on r.record_id = m.record_id
          join unnest(cast(:kinds as text[]), cast(:before as interval[]), cast(:lives as interval[]))
               as warned (kind, before, lives) on warned.kind = m.kind
          left join mandates first on first.mandate_id = m.copied_from
         where m.ended_at is null and m.deposit_until > :at and m.deposit_until <= :latest
           and m.deposit_until <= :at + warned.before
           and m.deposit_until - least(m.starts_at, first.starts_at) >= warned.lives
           and m.warned_of is distinct from m.deposit_until
           and r.merged_into is null and r.state = any (cast(:states as text[]))
         order by m.deposit_until limit :most
           for update of m skip locked for no key update of r skip locked),
    warned as (
        update mandates m set warned_of = m.deposit_until from due where m.mandate_id = due.mandate_id
        returning cast(m.record_id as text), cast(m.mandate_id as text), cast(m.professional_id as text), m.kind,
                  cast(m.establishment_id as text), m.deposit_until)
    select * from warned order by record_id, mandate_id
    """
)


def warn_of_ends(
    session: Session, warnings: Collection[MandateWarning], states: Collection[str], at: datetime, most: int
) -> Sequence[Any]:
    """Notes of so many mandates at most that their end is told, and gives them: those whose end comes near by now and
    was not told yet, in records in one of these states that lead to no other."""
    if not warnings:
        return []
    asked = {
        "at": at, "most": most, "states": list(states), "latest": at + max(one.before for one in warnings),
        "kinds": [one.kind for one in warnings], "before": [one.before for one in warnings],
        "lives": [one.lives for one in warnings],
    }  # fmt: skip
    return session.execute(_WARN, asked).all()
