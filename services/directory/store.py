"""What all stores of directory need: whose a matricule is and was, and the columns that several tables have.

Queries of one noun are in `store_<noun>.py`. Nothing here decides; what comes in has been checked by the rules.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.directory.contract import Address, PersonSheet
from services.directory.models import Matricule
from services.tokens import Caller

# --- columns ----------------------------------------------------------------------------------------------------------

NO_SHEET: PersonSheet = {
    "birth_name": None, "usual_name": None, "first_names": None, "birth_date": None, "sex": None,
    "family_name": None, "first_name": None, "profession": None, "workplaces": None,
}  # fmt: skip
"""What a person confirms, before anything of it is known."""


def registration(by: Caller, at: datetime) -> dict[str, Any]:
    """Returns who registered a row, when, and with which software."""
    return {"registered_at": at, "registered_by": by.account_id, "registered_with": by.context.software}


def address_of(row: Any) -> Address:
    """Returns the address that a row has."""
    return {
        "line": row.address_line,
        "postal_code": row.postal_code,
        "locality": row.locality,
        "country": row.country,
    }


# --- matricules -------------------------------------------------------------------------------------------------------


def claim_matricule_for_patient(session: Session, matricule: str, patient_id: str, at: datetime) -> str:
    """Returns whose matricule it is: `patient_id` when nobody was faster, now or years ago."""
    return _claim(session, Matricule.patient_id, matricule, patient_id, at)


def claim_matricule_for_professional(session: Session, matricule: str, professional_id: str, at: datetime) -> str:
    """Returns whose matricule it is: `professional_id` when nobody was faster, now or years ago."""
    return _claim(session, Matricule.professional_id, matricule, professional_id, at)


def _claim(session: Session, whose: Any, matricule: str, person_id: str, at: datetime) -> str:
    # The insert waits for a registration of the same matricule under way elsewhere; the read then sees its row.
    claimed = session.scalar(
        insert(Matricule)
        .values({"matricule": matricule, whose.key: person_id, "since": at})
        .on_conflict_do_nothing(index_elements=["matricule"], index_where=whose.is_not(None))
        .returning(whose)
    )
    if claimed is not None:
        return str(claimed)
    return str(session.scalars(sa.select(whose).where(Matricule.matricule == matricule, whose.is_not(None))).one())


def person_of_matricule(session: Session, matricule: str) -> tuple[str | None, str | None]:
    """Returns (patient_id, professional_id) of a present or former matricule."""
    # Two look-ups, because each of the two unique indexes covers the rows of one kind of person.
    patient, professional = (
        sa.select(whose).where(Matricule.matricule == matricule, whose.is_not(None)).scalar_subquery()
        for whose in (Matricule.patient_id, Matricule.professional_id)
    )
    row = session.execute(sa.select(patient.label("patient_id"), professional.label("professional_id"))).one()
    return row.patient_id, row.professional_id


def whole_matricule(session: Session, beginning: str) -> str | None:
    """Returns the one matricule that begins with these eleven digits; None when there is none, or more than one."""
    within = Matricule.matricule.between(f"{beginning}00", f"{beginning}99")
    # One look-up per kind of person, because each of the two unique indexes covers the rows of one.
    per_kind = (
        sa.select(Matricule.matricule).where(within, whose.is_not(None))
        for whose in (Matricule.patient_id, Matricule.professional_id)
    )
    found = session.scalars(sa.union(*per_kind).limit(2)).all()
    return found[0] if len(found) == 1 else None
