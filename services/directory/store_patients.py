"""Every query of identity sheets. Nothing here decides; what comes in has been checked by the rules."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.contract import (
    Address,
    LetterAddress,
    PersonSheet,
)
from services.directory.models import Matricule, Patient, PatientAddress
from services.directory.rules import display_name, letter_lines, letter_name
from services.directory.store import NO_SHEET, address_of, speaking_for


def patient_identity(session: Session, patient_id: str) -> tuple[str, str]:
    """Returns (birth_name, first_names) of a patient known to exist."""
    row = session.execute(
        sa.select(Patient.birth_name, Patient.first_names).where(Patient.patient_id == patient_id)
    ).one()
    return row.birth_name, row.first_names


def living(session: Session, patient_id: str) -> str | None:
    """Returns the id of the sheet that speaks for this one: its own, or whom it was merged into; None for nobody."""
    return living_of(session, [patient_id]).get(patient_id)


def living_of(session: Session, patient_ids: Sequence[str]) -> dict[str, str]:
    """Returns, by id, the id of the sheet that speaks for each of these that exists."""
    if not patient_ids:
        return {}
    found = speaking_for(Patient.patient_id.in_(patient_ids))
    return {row.asked_id: row.patient_id for row in session.execute(sa.select(found))}


def ids_led_to(session: Session, patient_id: str) -> list[str]:
    """Returns the id of a sheet, and those of the sheets for which it speaks."""
    led = sa.select(sa.literal(patient_id, Patient.patient_id.type).label("patient_id")).cte("led", recursive=True)
    led = led.union_all(sa.select(Patient.patient_id).join(led, Patient.merged_into == led.c.patient_id))
    return list(session.scalars(sa.select(led.c.patient_id)))


def has_matricule(session: Session, patient_id: str, matricule: str) -> bool:
    """Whether this matricule is or was of the patient, or of one for whom they speak."""
    ids = ids_led_to(session, living(session, patient_id) or patient_id)
    found = sa.exists().where(Matricule.matricule == matricule, Matricule.patient_id.in_(ids))
    return bool(session.scalar(sa.select(found)))


def living_sheet(session: Session, patient_id: str | None) -> Patient | None:
    """Returns the sheet that speaks for a patient; a second statement only where two were merged."""
    patient = session.get(Patient, patient_id) if patient_id else None
    if patient is None or patient.merged_into is None:
        return patient
    return session.get(Patient, living(session, patient.merged_into))


def sheet_of_patient(session: Session, patient_id: str | None) -> PersonSheet | None:
    """Returns what a patient confirms about themselves."""
    patient = living_sheet(session, patient_id)
    if patient is None:
        return None
    return {
        **NO_SHEET, "birth_name": patient.birth_name, "usual_name": patient.usual_name,
        "first_names": patient.first_names, "birth_date": patient.birth_date.isoformat(), "sex": patient.sex,
    }  # fmt: skip


def birth_dates(session: Session, patient_ids: Sequence[str]) -> dict[str, str]:
    """Returns the birth date of each of these patients that exists; of a merged one the survivor's."""
    speaks = living_of(session, patient_ids)
    born = sa.select(Patient.patient_id, Patient.birth_date).where(Patient.patient_id.in_(set(speaks.values())))
    dates = {row.patient_id: row.birth_date.isoformat() for row in session.execute(born)} if speaks else {}
    return {asked: dates[speaker] for asked, speaker in speaks.items()}


def patient_names(session: Session, patient_ids: Sequence[str]) -> dict[str, str]:
    """Returns the name to show of each patient that exists: the one they go by, and of a merged one the survivor's."""
    if not patient_ids:
        return {}
    goes_by = sa.func.coalesce(Patient.usual_name, Patient.birth_name)
    shown = sa.select(Patient.patient_id, goes_by.label("family"), Patient.first_names, Patient.merged_into)
    found = session.execute(shown.where(Patient.patient_id.in_(patient_ids))).all()
    names = {row.patient_id: display_name(row.family, row.first_names) for row in found}
    # Two statements more, and only where somebody was merged: a list of people costs what it did.
    speaks = living_of(session, [row.patient_id for row in found if row.merged_into is not None])
    if speaks:
        of_living = session.execute(shown.where(Patient.patient_id.in_(set(speaks.values()))))
        living_names = {row.patient_id: display_name(row.family, row.first_names) for row in of_living}
        names |= {merged: living_names[speaker] for merged, speaker in speaks.items()}
    return names


def letter_address_of_patient(session: Session, patient_id: str | None) -> LetterAddress | None:
    """Returns where this patient's letters go: to the postal address where there is one, else to the registered."""
    patient = living_sheet(session, patient_id)
    if patient is None:
        return None
    postal = session.scalars(
        sa.select(PatientAddress)
        .where(PatientAddress.patient_id == patient.patient_id, PatientAddress.use == "postal")
        .order_by(PatientAddress.address_id.desc())
        .limit(1)
    ).first()
    return {
        "name_lines": [letter_name(patient.usual_name or patient.birth_name, patient.first_names)],
        "address_lines": letter_lines(_further(postal) if postal else address_of(patient)),
        "language": patient.language,
    }


def _further(row: PatientAddress) -> Address:
    return {"line": row.line, "postal_code": row.postal_code, "locality": row.locality, "country": row.country}
