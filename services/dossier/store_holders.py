"""Every query from a patient to the record they hold; who was merged into somebody holds what that one holds.

A token names the patient for whom its account was made, which after a merge may be another than who speaks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.dossier.rules import Facts
from services.tokens import Caller

SPEAKS: Final = "coalesce((select speaks_id from patient_merges where merged_id = {id} and state = 'running'), {id})"
"""Who speaks for a patient, in SQL: themselves, or whom they were merged into in the end."""

_SITUATION = """
    select cast(patient_id as text) as patient_id, state, cast(merged_into as text) as merged_into,
           cast({speaks} as text) as own_patient_id
      from records where record_id = :record_id
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
_SITUATION_OF_HOLDER = sa.text(_SITUATION.format(speaks=_OF_ONE))
_RECORDS_OF = sa.text(_RECORDS.format(speaks=SPEAKS.format(id="told")))
_LOCK_RECORD_OF = sa.text(_LOCK.format(speaks=_OF_ONE))
_SPEAKER = sa.text(f"select cast({_OF_ONE} as text)")


def situation_of_holder(session: Session, caller: Caller, record_id: str) -> Facts:
    """What a decision about a patient, or about anybody who is no professional, needs; in one statement."""
    asked = {"record_id": record_id, "patient_id": caller.patient_id}
    found = session.execute(_SITUATION_OF_HOLDER, asked).first()
    return Facts(
        record_id=record_id,
        patient_id=found.patient_id if found else None,
        state=found.state if found else None,
        capacity=caller.capacity,
        own_patient_id=found.own_patient_id if found else caller.patient_id,
        merged_into=found.merged_into if found else None,
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
