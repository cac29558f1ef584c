"""The queries of what the directory says of professionals, and of what ends everywhere with a licence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.dossier.models import Id, Professional

# --- what they are --------------------------------------------------------------------------------------------

# Whatever order the versions come in, each has its period; only the highest is what they are now.
_TAKE_OVER = sa.text(
    """
    with period as (
        insert into professional_periods (professional_id, version, profession, licence, establishment_ids, since)
        values (:professional_id, :version, :profession, :licence, cast(:establishment_ids as uuid[]), :since)
        on conflict do nothing),
    before as (
        select profession, licence, establishment_ids from professionals where professional_id = :professional_id),
    taken as (
    insert into professionals (professional_id, version, profession, licence, establishment_ids,
                               emergency_establishment_ids)
    values (:professional_id, :version, :profession, :licence, cast(:establishment_ids as uuid[]),
            cast(:emergency_establishment_ids as uuid[]))
    on conflict (professional_id) do update
       set version = excluded.version, profession = excluded.profession, licence = excluded.licence,
           establishment_ids = excluded.establishment_ids,
           emergency_establishment_ids = excluded.emergency_establishment_ids
     where professionals.version < excluded.version
    returning profession, licence, establishment_ids)
    select exists (select from before, taken
                    where before.licence = 'valid' and not (taken.licence = 'valid'
                      and taken.profession = before.profession and taken.establishment_ids @> before.establishment_ids))
    """
)


def upsert_professional(session: Session, values: dict[str, Any], since: datetime) -> bool:
    """Takes over what the directory says, unless a later version is known; since when they were that stays noted.

    Says whether they could do something before that they cannot now.
    """
    return session.scalar(_TAKE_OVER, {**values, "since": since}) is True


def has_professional(session: Session, professional_id: str) -> bool:
    """Whether the directory announced this professional."""
    return profession_of(session, professional_id) is not None


def at_workplace(session: Session, professional_id: str, establishment_id: str) -> Any | None:
    """A professional's id, profession and licence, if they work there; else None."""
    there = sa.cast([establishment_id], ARRAY(Id))
    return session.execute(
        sa.select(Professional.professional_id, Professional.profession, Professional.licence).where(
            Professional.professional_id == professional_id, Professional.establishment_ids.op("@>")(there)
        )
    ).first()


def profession_of(session: Session, professional_id: str) -> str | None:
    """What the directory says this professional is; None when it never announced them."""
    return session.scalar(
        sa.select(Professional.profession).where(Professional.professional_id == professional_id)
    )  # fmt: skip


# --- what ends with a licence -----------------------------------------------------------------------------------

# What is told of a licence as it was before a later version is no news any more, and neither is what was heard before.
_NOTE_STOP = sa.text(
    """
    update professionals p set stopped_at = :told_at
     where p.professional_id = :professional_id and (p.stopped_at is null or p.stopped_at < :told_at)
       and not exists (select from professional_periods later
                        where later.professional_id = p.professional_id and later.since > :told_at
                          and later.licence <> :licence)
    returning true
    """
)
_LOCK_RECORDS = sa.text(
    """
    select cast(r.record_id as text) as record_id, cast(r.patient_id as text) as patient_id,
           r.merged_into is null as open
      from records r
     where r.record_id in (
           select record_id from circle_members
            where professional_id = :professional_id and until is null
           union
           select record_id from mandates
            where professional_id = :professional_id and ended_at is null and deposit_until > :at
           union
           select record_id from referring_physicians where professional_id = :professional_id and ended_at is null)
     order by r.record_id
       for no key update of r
    """
)
# Where somebody stands in for the professional meanwhile, that ends too. What ran out before is only tidied.
_END = """
    with circle as (
        update circle_members set until = least(ends_at, :at)
         where professional_id = :professional_id and until is null),
    held as (
        update mandates set ended_at = :at
         where professional_id = :professional_id and ended_at is null and deposit_until > :at),
    gone as (
        select designation_id from referring_physicians where professional_id = :professional_id and ended_at is null)
    update referring_physicians d
       set ended_at = least(d.ends_at, :at), end_cause = case when d.ends_at <= :at then d.end_cause else 'licence' end
     where d.ended_at is null
       and (d.designation_id in (select designation_id from gone) or d.replaces_id in (select designation_id from gone))
    returning cast(d.designation_id as text) as designation_id, cast(d.record_id as text) as record_id,
              cast(d.professional_id as text) as professional_id, d.effective_at, d.ended_at
"""
_END_EVERYWHERE = sa.text(_END)


def note_stop(session: Session, professional_id: str, licence: str, told_at: datetime) -> bool:
    """Notes that a licence was stopped; False where this, or something later, is known already."""
    asked = {"professional_id": professional_id, "licence": licence, "told_at": told_at}
    return session.execute(_NOTE_STOP, asked).first() is not None


def lock_records_of(session: Session, professional_id: str, at: datetime) -> Sequence[Any]:
    """Every record in which a professional has something of their own that has not ended, held until the commit:
    record_id, patient_id, open (false of one that was merged away)."""
    return session.execute(_LOCK_RECORDS, {"professional_id": professional_id, "at": at}).all()


def end_everywhere(session: Session, professional_id: str, at: datetime) -> Sequence[Any]:
    """Ends circle memberships, personal mandates and designations of a professional in every record, in one statement.

    Gives the designations that ended, those who stood in for the professional included.
    """
    return session.execute(_END_EVERYWHERE, {"professional_id": professional_id, "at": at}).all()
