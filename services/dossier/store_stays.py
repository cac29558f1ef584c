"""The queries of stays and orders: mandates of an establishment, found by its own reference."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.dossier import store_deadlines
from services.dossier.models import Id, Mandate, Professional
from services.dossier.rules_stays import Times
from services.dossier.store_mandates import END, MANDATE


def has_emergency_service(session: Session, establishment_id: str) -> bool:
    """Whether the directory knows anybody who is attached to an emergency service there."""
    there = sa.cast([establishment_id], ARRAY(Id))
    attached = sa.exists().where(
        Professional.establishment_ids.op("&&")(there), Professional.emergency_establishment_ids.op("&&")(there)
    )
    return bool(session.scalar(sa.select(attached)))


def registered(session: Session, record_id: str, establishment_id: str, kind: str, reference: str) -> Any | None:
    """What this establishment registered under this reference; of several, as after a merge, one that runs."""
    query = _of(record_id, establishment_id).where(Mandate.kind == kind, Mandate.reference == reference)
    first = query.order_by(Mandate.ended_at.is_not(None), Mandate.mandate_id).limit(1)
    return session.execute(first).first()


def held(session: Session, record_id: str, mandate_id: str, establishment_id: str, kinds: Collection[str]) -> Any:
    """A mandate that this establishment has in this record, held until the commit; None when it has none."""
    query = _of(record_id, establishment_id).where(Mandate.mandate_id == mandate_id, Mandate.kind.in_(kinds))
    return session.execute(query.with_for_update()).first()


def _of(record_id: str, establishment_id: str) -> Any:
    return sa.select(*MANDATE).where(
        Mandate.record_id == record_id,
        Mandate.establishment_id == establishment_id,
        Mandate.professional_id.is_(None),
        ~Mandate.taken_back,
    )


def change(session: Session, mandate: Any, times: Times, **noted: datetime | str) -> Any:
    """Gives a mandate other times, with the end that is announced; returns it as it stands then.

    noted: closes_at, consent_at or wording_version.
    """
    given = {
        "read_until": times.read_until,
        "deposit_until": times.deposit_until,
        "prolonged_days": times.prolonged_days,
        **noted,
    }
    changed = sa.update(Mandate).where(Mandate.mandate_id == mandate.mandate_id).values(given).returning(*MANDATE)
    row = session.execute(changed).one()
    if row.deposit_until != mandate.deposit_until:
        store_deadlines.put(session, END, row.mandate_id, row.record_id, row.deposit_until)
    return row
