"""The queries of the comparison of professionals and patients: surnames, and matricules that both have."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.models import Patient, Professional
from services.directory.store import speaking_for

# Who was merged is asked for by what any sheet of the same person has: the one that speaks, and those led to it.
_ONE_PERSON = sa.text(
    """
    with recursive asked (professional_id, patient_id) as (
        select told.* from unnest(cast(:professional_ids as uuid[]), cast(:patient_ids as uuid[])) as told
    ), speaks (patient_id, sheet_id, merged_into) as (
        select distinct p.patient_id, p.patient_id, p.merged_into from patients p join asked using (patient_id)
        union
        select speaks.patient_id, p.patient_id, p.merged_into
          from speaks join patients p on p.patient_id = speaks.merged_into
    ), sheets (patient_id, sheet_id) as (
        select patient_id, sheet_id from speaks
        union
        select sheets.patient_id, p.patient_id from sheets join patients p on p.merged_into = sheets.sheet_id
    )
    select distinct cast(asked.professional_id as text) as professional_id, cast(asked.patient_id as text) as patient_id
      from asked join sheets using (patient_id)
      join matricules theirs on theirs.patient_id = sheets.sheet_id
      join matricules own on own.matricule = theirs.matricule and own.professional_id = asked.professional_id
    """
)


def one_person(session: Session, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Returns those of these pairs of a professional and a patient who have or had the same matricule."""
    asked = {"professional_ids": [who for who, _ in pairs], "patient_ids": [whom for _, whom in pairs]}
    return {(row.professional_id, row.patient_id) for row in session.execute(_ONE_PERSON, asked)}


def names_of_professionals(session: Session, professional_ids: Collection[str]) -> dict[str, list[str]]:
    """Returns the surname of each professional that exists."""
    found = sa.select(Professional.professional_id, Professional.family_name)
    rows = session.execute(found.where(Professional.professional_id.in_(professional_ids)))
    return {row.professional_id: [row.family_name] for row in rows}


def names_of_patients(session: Session, patient_ids: Collection[str]) -> dict[str, list[str]]:
    """Returns the surnames, at birth and in use, of each patient that exists; of a merged one the survivor's."""
    speaks = speaking_for(Patient.patient_id.in_(patient_ids))
    found = sa.select(speaks.c.asked_id, Patient.birth_name, Patient.usual_name)
    names: dict[str, list[str]] = defaultdict(list)
    for row in session.execute(found.join(Patient, Patient.patient_id == speaks.c.patient_id)):
        names[row.asked_id] += [name for name in (row.birth_name, row.usual_name) if name]
    return names
