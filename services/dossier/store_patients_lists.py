"""The query behind a professional's lists: every record in which a ground lets them in now, as `access_scope` decides.

The tables decide in SQL too: which ground gives anything in which matrix column, and under which setting, goes in as
rows, so that a list and a decision cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.rules_patients_lists import Giving
from services.tokens import Caller

# Each branch goes by an index of the professional's, or of the establishment's they are logged in at. `given`: what
# the tables give by a ground while it reads or afterwards; `rank`: the strength of the ground.
_STANDING = """
    with me as (
        select p.professional_id, p.establishment_ids from professionals p
         where p.professional_id = :professional_id and p.licence = 'valid' and p.profession = :profession),
    held as (
        select c.record_id, 'circle' as ground, c.since, c.ends_at as read_until, c.ends_at as deposit_until
          from circle_members c join me on me.professional_id = c.professional_id
         where c.until is null
        union all
        select m.record_id, m.kind, m.starts_at, m.read_until, m.deposit_until
          from mandates m join me on me.professional_id = m.professional_id
         where m.ended_at is null and m.deposit_until > :now
        union all
        select m.record_id, m.kind, m.starts_at, m.read_until, m.deposit_until
          from me join mandates m on m.establishment_id = cast(:establishment_id as uuid)
         where m.professional_id is null and m.establishment_id = any (me.establishment_ids)
           and m.ended_at is null and m.deposit_until > :now
        union all
        select d.record_id, 'referring_physician', d.since, d.until, d.until
          from referring_grants d join me on me.professional_id = d.professional_id
         where d.ended_at is null and d.since <= :now and (d.until is null or d.until > :now)),
    given as (
        select told.* from unnest(cast(:grounds as text[]), cast(:reading as boolean[]), cast(:ranks as int[]),
                                  cast(:settings as text[]), cast(:values as text[]))
                        as told (ground, reading, rank, setting, value)),
    standing as (
        select distinct on (h.record_id) h.record_id, r.patient_id, h.ground, h.since,
               case when given.reading then h.read_until else h.deposit_until end as until
          from held h
          join given on given.ground = h.ground and given.reading = (h.read_until is null or h.read_until > :now)
          join records r on r.record_id = h.record_id
         where h.since <= :now and (h.deposit_until is null or h.deposit_until > :now)
           and r.state = any (cast(:states as text[]))
           and (given.setting is null or given.value = case given.setting
                when 'emergency' then r.emergency when 'responsibility' then r.responsibility
                when 'autonomous_minor' then r.autonomous_minor end)
           and not exists (select from blocklist b
                            where b.record_id = h.record_id and b.professional_id = :professional_id
                              and b.since <= :now and (b.until is null or b.until > :now))
         order by h.record_id, given.rank, given.reading desc, until desc nulls first, h.since)
"""
_MINE = """
    {standing}
    select cast(record_id as text) as record_id, cast(patient_id as text) as patient_id, ground, since, until
      from standing
     where cast(:after_at as timestamptz) is null or (since, record_id) < (:after_at, cast(:after_id as uuid))
     order by standing.since desc, standing.record_id desc
     limit :limit
"""
_LATEST = """
    {standing}
    select cast(s.record_id as text) as record_id, cast(s.patient_id as text) as patient_id, s.ground,
           f.last_at as since, s.until
      from standing s
      join first_accesses f on f.record_id = s.record_id and f.professional_id = :professional_id
     where cast(:after_at as timestamptz) is null or (f.last_at, s.record_id) < (:after_at, cast(:after_id as uuid))
     order by f.last_at desc, s.record_id desc
     limit :limit
"""
_MY_PATIENTS = sa.text(_MINE.format(standing=_STANDING))
_LATEST_RECORDS = sa.text(_LATEST.format(standing=_STANDING))


@dataclass(frozen=True)
class Place:
    """After which line a page begins."""

    at: datetime
    record_id: str


def my_patients(
    session: Session, caller: Caller, given: Giving, after: Place | None, limit: int, now: datetime
) -> Sequence[Any]:
    """The records in which a ground of this professional runs, the latest ground first: in one statement."""
    return session.execute(_MY_PATIENTS, _asked(caller, given, after, limit, now)).all()


def latest_records(
    session: Session, caller: Caller, given: Giving, after: Place | None, limit: int, now: datetime
) -> Sequence[Any]:
    """Of these records, those the professional has been in, the last one first; `since`: about when they last came."""
    return session.execute(_LATEST_RECORDS, _asked(caller, given, after, limit, now)).all()


def _asked(caller: Caller, given: Giving, after: Place | None, limit: int, now: datetime) -> dict[str, Any]:
    return {
        "professional_id": caller.professional_id,
        "profession": caller.profession,
        "establishment_id": caller.establishment_id,
        "now": now,
        "states": list(given.states),
        "grounds": [row.ground for row in given.rows],
        "reading": [row.reading for row in given.rows],
        "ranks": [row.rank for row in given.rows],
        "settings": [row.setting for row in given.rows],
        "values": [row.value for row in given.rows],
        "after_at": after and after.at,
        "after_id": after and after.record_id,
        "limit": limit,
    }
