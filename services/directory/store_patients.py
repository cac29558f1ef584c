"""Every query of identity sheets. Nothing here decides; what comes in has been checked by the rules."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.contract import (
    LetterAddress,
    PersonSheet,
)
from services.directory.models import Patient
from services.directory.rules import display_name, letter_lines, letter_name
from services.directory.rules_sheets import PatientSheet
from services.directory.store import NO_SHEET, address_of, registration
from services.tokens import Caller


def insert_patient(session: Session, patient_id: str, sheet: PatientSheet, by: Caller, at: datetime) -> None:
    """Writes a new identity sheet."""
    session.execute(
        sa.insert(Patient).values(
            patient_id=patient_id,
            birth_name=sheet.birth_name,
            usual_name=sheet.usual_name,
            first_names=sheet.first_names,
            sex=sheet.sex,
            birth_date=sheet.birth_date,
            identity_check_due=sheet.identity_check_due,
            language=sheet.language,
            address_line=sheet.address["line"],
            postal_code=sheet.address["postal_code"],
            locality=sheet.address["locality"],
            country=sheet.address["country"],
            **registration(by, at),
        )
    )


def patient_identity(session: Session, patient_id: str) -> tuple[str, str]:
    """Returns (birth_name, first_names) of a patient known to exist."""
    row = session.execute(
        sa.select(Patient.birth_name, Patient.first_names).where(Patient.patient_id == patient_id)
    ).one()
    return row.birth_name, row.first_names


def sheet_of_patient(session: Session, patient_id: str | None) -> PersonSheet | None:
    """Returns what a patient confirms about themselves."""
    patient = session.get(Patient, patient_id) if patient_id else None
    if patient is None:
        return None
    return {
        **NO_SHEET, "birth_name": patient.birth_name, "usual_name": patient.usual_name,
        "first_names": patient.first_names, "birth_date": patient.birth_date.isoformat(), "sex": patient.sex,
    }  # fmt: skip


def patient_names(session: Session, patient_ids: Sequence[str]) -> dict[str, str]:
    """Returns the name to show of each patient that exists: the one they go by."""
    if not patient_ids:
        return {}
    goes_by = sa.func.coalesce(Patient.usual_name, Patient.birth_name)
    rows = session.execute(
        sa.select(Patient.patient_id, goes_by, Patient.first_names).where(Patient.patient_id.in_(patient_ids))
    )
    return {patient_id: display_name(family, first) for patient_id, family, first in rows}


def letter_address_of_patient(session: Session, patient_id: str | None) -> LetterAddress | None:
    """Returns where this patient's letters go."""
    patient = session.get(Patient, patient_id) if patient_id else None
    if patient is None:
        return None
    return {
        "name_lines": [letter_name(patient.usual_name or patient.birth_name, patient.first_names)],
        "address_lines": letter_lines(address_of(patient)),
        "language": patient.language,
    }
