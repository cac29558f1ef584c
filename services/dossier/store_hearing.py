"""The query of those professionals who have the holder of a record in their care for longer than a mandate runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.rules import Facts
from services.dossier.store import SITUATED, SITUATION, facts_of
from services.plans import named, planned_once

_LASTING = planned_once(
    sa.text(SITUATION.format(
        asked="""
           select cast(:record_id as uuid) as record_id, lasting.professional_id,
                  cast(null as uuid) as establishment_id
             from (select professional_id from circle_members
                    where record_id = :record_id and until is null and (ends_at is null or ends_at > :now)
                   union
                   select professional_id from referring_grants
                    where record_id = :record_id and since <= :now and (until is null or until > :now)) as lasting"""
    )).columns(*named(SITUATED)),
    record_id="uuid",
    now="timestamptz",
)


def lasting_situations(session: Session, record_id: str, now: datetime) -> list[Facts]:
    """The situation of each professional in the circle of trust of a record, and of its referring physician."""
    by_professional: dict[str, list[Any]] = {}
    for row in session.execute(_LASTING, {"record_id": record_id, "now": now}):
        by_professional.setdefault(row.professional_id, []).append(row)
    return [facts_of(record_id, rows, claimed_profession=rows[0].profession) for rows in by_professional.values()]
