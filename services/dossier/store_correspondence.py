"""The queries of who may write to whom."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier import store
from services.dossier.models import Professional
from services.dossier.rules import Facts
from services.dossier.store_holders import SPEAKS

_OF_THESE = sa.text(
    store.SITUATION.format(
        asked="""
           select cast(:record_id as uuid) as record_id, told.professional_id, cast(null as uuid) as establishment_id
             from (select unnest(cast(:professional_ids as uuid[])) as professional_id
                   union
                   select professional_id from circle_members
                    where cast(:everybody as boolean) and record_id = :record_id and until is null
                   union
                   select professional_id from referring_grants
                    where cast(:everybody as boolean) and record_id = :record_id) as told"""
    )
)

# After a death that nobody has withdrawn there is no holder side any more: only the agency acts.
_LIVING = """
    r.merged_into is null and r.state <> 'deleted' and not exists (
        select from state_changes d
         where d.record_id = r.record_id and d.cause = 'death'
           and not exists (select from state_changes w
                            where w.record_id = d.record_id and w.at > d.at
                              and (w.cause = 'death_withdrawn' or w.state not in ('closed', 'deleted'))))
"""
# Whoever was recorded under an id that was merged since is the same person still; and what was written in a record that
# leads to another one is found with that one, as documents are.
_SIDES = sa.text(
    f"""
    with recursive own as (select {SPEAKS.format(id="cast(:patient_id as uuid)")} as patient_id),
    ids as (
        select patient_id from own
        union select m.merged_id from patient_merges m join own on m.speaks_id = own.patient_id
               where m.state = 'running'),
    sides as (
        select r.record_id, 1 as place, 'holder' as role
          from records r join own on r.patient_id = own.patient_id where {_LIVING}
        union all
        select r.record_id, 2, 'representative'
          from representatives l join ids on l.patient_id = ids.patient_id
          join records r on r.record_id = l.record_id
         where {_LIVING} and l.since <= :at and l.ended_at is null and (l.until is null or l.until > :at)
           and (l.kind = any (cast(:acting_alone as text[])) or l.together_until > :at)),
    homes as (
        select record_id as home, record_id as found_in, place, role from sides
        union
        select r.record_id, h.found_in, h.place, h.role from homes h join records r on r.merged_into = h.home
         where r.state_before <> 'closed')
    select distinct on (home) cast(home as text) as record_id, cast(found_in as text) as found_in, role
      from homes order by home, place
    """  # noqa: S608 (words of this file alone)
)
_GONE = sa.text(
    """
    with recursive way as (
        select record_id as asked, record_id, merged_into, state_before, state
          from records where record_id = any (cast(:record_ids as uuid[]))
        union all
        select way.asked, r.record_id, r.merged_into, r.state_before, r.state
          from way join records r on r.record_id = way.merged_into
         where way.state_before <> 'closed')
    select cast(asked as text) from way
     where state = 'deleted' and (merged_into is null or state_before = 'closed')
    """
)


def situations_of(
    session: Session, record_id: str, professional_ids: Collection[str] | None, now: datetime
) -> list[Facts]:
    """The situation of each of these professionals in a record; None: of all who have a lasting ground in it."""
    asked = {
        "record_id": record_id, "professional_ids": sorted(professional_ids or ()),
        "everybody": professional_ids is None, "now": now,
    }  # fmt: skip
    rows: dict[str, list[Any]] = {}
    for row in session.execute(_OF_THESE, asked):
        rows.setdefault(row.professional_id, []).append(row)
    return [store.facts_of(record_id, each, claimed_profession=each[0].profession) for each in rows.values()]


def sides_of(session: Session, patient_id: str, acting_alone: Collection[str], at: datetime) -> Sequence[Any]:
    """The records on whose holder side a patient stands now, assistants aside, and those that lead there."""
    asked = {"patient_id": patient_id, "acting_alone": list(acting_alone), "at": at}
    return session.execute(_SIDES, asked).all()


def gone(session: Session, record_ids: Collection[str]) -> list[str]:
    """Those of these records that are deleted, themselves or where they lead."""
    return list(session.scalars(_GONE, {"record_ids": list(record_ids)}))


def practising(session: Session, professional_ids: Collection[str]) -> list[str]:
    """Those of these professionals who may practise now."""
    asked = sa.select(Professional.professional_id).where(
        Professional.professional_id.in_(professional_ids), Professional.licence == "valid"
    )
    return list(session.scalars(asked.order_by(Professional.professional_id)))
