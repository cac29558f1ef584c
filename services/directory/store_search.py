"""Every query of the search for patients."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.directory.contract import (
    FoundPatient,
)
from services.directory.models import Matricule, Patient


def find_patient_by_matricule(session: Session, matricule: str) -> FoundPatient | None:
    """Returns the patient who has or had this very matricule."""
    patient = session.scalars(
        sa.select(Patient).join(Matricule, Matricule.patient_id == Patient.patient_id)
        .where(Matricule.matricule == matricule, Matricule.patient_id.is_not(None))
    ).one_or_none()  # fmt: skip
    if patient is None:
        return None
    return {
        "patient_id": patient.patient_id,
        "birth_name": patient.birth_name,
        "usual_name": patient.usual_name,
        "first_names": patient.first_names,
        "birth_date": patient.birth_date.isoformat(),
        "sex": patient.sex,
        "rate": 100,
    }
