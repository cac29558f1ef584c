"""Every query from a patient to the record they hold; who was merged into somebody holds what that one holds.

A token names the patient for whom its account was made, which after a merge may be another than who speaks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.rules import Facts, Grant
from services.plans import named, planned_once
from services.tokens import Caller

SPEAKS: Final = "coalesce((select speaks_id from patient_merges where merged_id = {id} and state = 'running'), {id})"
"""Who speaks for a patient, in SQL: themselves, or whom they were merged into in the end."""

_SITUATION = """
    select cast(r.patient_id as text) as patient_id, r.state, cast(r.merged_into as text) as merged_into,
           r.emergency, r.responsibility, r.autonomous_minor, r.default_levels, r.last_access_on,
           cast(own.patient_id as text) as own_patient_id, g.ground, g.kind, g.since, g.until, g.together_until
      from records r
      cross join (select {speaks} as patient_id) as own
      left join lateral (
           select 'legal_representative' as ground, l.kind, l.since, l.until, l.together_until
             from representatives l
            where l.record_id = r.record_id and {l_speaks} = own.patient_id
              and l.ended_at is null
           union all
           select 'assistant', null, a.accepted_at, a.until, null
             from assistants a
            where a.record_id = r.record_id and {a_speaks} = own.patient_id
              and a.ended_at is null
      ) as g on true
     where r.record_id = :record_id
"""
_RECORDS = """
    select cast(r.record_id as text) as record_id, asked.patient_id, r.state, r.since
      from (select cast(told as text) as patient_id, {speaks} as speaks_id
              from unnest(cast(:patient_ids as uuid[])) as told) as asked
      join records r on r.patient_id = asked.speaks_id and r.state <> 'deleted' and r.merged_into is null
     order by r.record_id
"""
_LOCK = """
    select cast(record_id as text) as record_id, state from records
     where patient_id = {speaks} and state <> 'deleted' and merged_into is null
       for no key update
"""
_OF_ONE = SPEAKS.format(id="cast(:patient_id as uuid)")
# Whoever was recorded under an id that was merged since, before or after, is the same person still.
_SITUATION_OF_HOLDER = planned_once(
    sa.text(
        _SITUATION.format(
            speaks=_OF_ONE, l_speaks=SPEAKS.format(id="l.patient_id"), a_speaks=SPEAKS.format(id="a.patient_id")
        )
    ).columns(*named(
        "patient_id state merged_into emergency responsibility autonomous_minor default_levels last_access_on"
        " own_patient_id ground kind since until together_until"
    )),
    record_id="uuid",
    patient_id="uuid",
)
_RECORDS_OF = sa.text(_RECORDS.format(speaks=SPEAKS.format(id="told")))
_LOCK_RECORD_OF = sa.text(_LOCK.format(speaks=_OF_ONE))
_SPEAKER = sa.text(f"select cast({_OF_ONE} as text)")


def situation_of_holder(session: Session, caller: Caller, record_id: str) -> Facts:
    """What a decision about a patient, or about anybody who is no professional, needs; in one statement."""
    asked = {"record_id": record_id, "patient_id": caller.patient_id}
    rows = session.execute(_SITUATION_OF_HOLDER, asked).all()
    if not rows:
        return Facts(record_id, None, None, caller.capacity, own_patient_id=caller.patient_id)
    first = rows[0]
    return Facts(
        record_id=record_id,
        patient_id=first.patient_id,
        state=first.state,
        capacity=caller.capacity,
        own_patient_id=first.own_patient_id,
        merged_into=first.merged_into,
        grants=tuple(
            Grant(row.ground, row.since, row.until, row.until, row.kind, row.together_until)
            for row in rows
            if row.ground is not None
        ),
        settings={
            "emergency": first.emergency,
            "responsibility": first.responsibility,
            "autonomous_minor": first.autonomous_minor,
        },
        default_levels=first.default_levels,
        accessed_on=first.last_access_on,
    )


def records_of_patients(session: Session, patient_ids: Sequence[str]) -> Sequence[Any]:
    """The records that speak for these patients and are not deleted: record_id, patient_id (as asked), state, since."""
    return session.execute(_RECORDS_OF, {"patient_ids": list(patient_ids)}).all()


def lock_record_of_patient(session: Session, patient_id: str) -> Any | None:
    """record_id and state of the record that speaks for a patient and is not deleted, held until the commit."""
    return session.execute(_LOCK_RECORD_OF, {"patient_id": patient_id}).first()


def who_speaks_for(session: Session, patient_id: str) -> str:
    """The patient who speaks for this one."""
    return str(session.scalar(_SPEAKER, {"patient_id": patient_id}))
