"""The query behind a search for patients: how many records stand to one reader, at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.rules import Facts
from services.dossier.store import SITUATED, SITUATION, facts_of
from services.plans import named, planned_once
from services.tokens import Caller

_OF_PATIENTS = """
    select record_id, :professional_id as professional_id,
           coalesce(:establishment_id, cast('00000000-0000-0000-0000-000000000000' as uuid)) as establishment_id
      from records
     where patient_id = any (:patient_ids) and state <> 'deleted' and merged_into is null
"""

# Of an establishment's stays those that read: two with the same times, as of two records that were merged, are one.
_FOUND = """
    select known.*, stays.begun_at, stays.open_until
      from ({known}) as known
      left join lateral (
           select array_agg(stay.starts_at order by stay.starts_at, stay.read_until),
                  array_agg(stay.read_until order by stay.starts_at, stay.read_until)
             from (select distinct m.starts_at, m.read_until
                     from mandates m
                    where m.record_id = cast(known.record_id as uuid) and m.kind = 'admission'
                      and m.establishment_id = :establishment_id and m.ended_at is null
                      and m.starts_at <= :now and m.read_until > :now) as stay
      ) as stays (begun_at, open_until) on true
"""
_OF_THESE = planned_once(
    sa.text(_FOUND.format(known=SITUATION.format(asked=_OF_PATIENTS)))
    .columns(*named(f"{SITUATED} begun_at open_until")),
    patient_ids="uuid[]", professional_id="uuid", now="timestamptz", establishment_id="uuid",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A patient's record, how it stands to the reader, and the stays that run at the reader's own establishment."""

    facts: Facts
    record_number: int
    stays: tuple[tuple[datetime, datetime], ...]


def records_found(session: Session, caller: Caller, patient_ids: Sequence[str], now: datetime) -> list[Found]:
    """Returns the records of these patients that are not deleted, in one statement."""
    asked = {
        "patient_ids": list(patient_ids),
        "professional_id": caller.professional_id,
        "now": now,
        "establishment_id": caller.establishment_id,
    }
    rows = sorted(session.execute(_OF_THESE, asked).all(), key=lambda row: str(row.record_id))
    by_record = groupby(rows, key=lambda row: str(row.record_id))
    return [_found(record_id, list(own), caller.profession) for record_id, own in by_record]


def _found(record_id: str, rows: Sequence[Any], profession: str | None) -> Found:
    first = rows[0]
    stays = tuple(zip(first.begun_at or (), first.open_until or (), strict=True))
    return Found(facts_of(record_id, rows, profession), first.record_number, stays)
