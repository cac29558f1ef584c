"""What all stores of directory need: whose a matricule is and was, and the columns that several tables have.

Queries of one noun are in `store_<noun>.py`. Nothing here decides; what comes in has been checked by the rules.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.directory.contract import Address, PersonSheet
from services.directory.models import Matricule, Patient
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


def address_columns(address: Address | None) -> dict[str, str | None]:
    """Returns the columns that an address fills; without one they are empty."""
    return {
        "address_line": address["line"] if address else None,
        "postal_code": address["postal_code"] if address else None,
        "locality": address["locality"] if address else None,
        "country": address["country"] if address else None,
    }


def speaking_for(asked: sa.ColumnElement[bool]) -> sa.Subquery:
    """Returns (asked_id, patient_id): of each sheet that `asked` finds, the sheet that speaks for it now.

    That is itself, or whom it was merged into, however many merges lie in between.
    """
    line = (
        sa.select(Patient.patient_id.label("asked_id"), Patient.patient_id, Patient.merged_into)
        .where(asked)
        .cte("line", recursive=True)
    )
    line = line.union_all(
        sa.select(line.c.asked_id, Patient.patient_id, Patient.merged_into).join(
            line, Patient.patient_id == line.c.merged_into
        )
    )
    return sa.select(line.c.asked_id, line.c.patient_id).where(line.c.merged_into.is_(None)).subquery()


# --- matricules -------------------------------------------------------------------------------------------------------


def claim_matricule_for_patient(
    session: Session, matricule: str, patient_id: str, at: datetime, until: datetime | None = None
) -> str:
    """Returns whose matricule it is: `patient_id` when nobody was faster, now or years ago.

    until: of a matricule claimed for somebody who has another one still.
    """
    return _claim(session, Matricule.patient_id, matricule, patient_id, at, until)


def claim_matricule_for_professional(session: Session, matricule: str, professional_id: str, at: datetime) -> str:
    """Returns whose matricule it is: `professional_id` when nobody was faster, now or years ago."""
    return _claim(session, Matricule.professional_id, matricule, professional_id, at)


def _claim(
    session: Session, whose: Any, matricule: str, person_id: str, at: datetime, until: datetime | None = None
) -> str:
    # The insert waits for a registration of the same matricule under way elsewhere; the read then sees its row.
    claimed = session.scalar(
        insert(Matricule)
        .values({"matricule": matricule, whose.key: person_id, "since": at, "until": until})
        .on_conflict_do_nothing(index_elements=["matricule"], index_where=whose.is_not(None))
        .returning(whose)
    )
    if claimed is not None:
        return str(claimed)
    return str(session.scalars(sa.select(whose).where(Matricule.matricule == matricule, whose.is_not(None))).one())


def person_of_matricule(session: Session, matricule: str) -> tuple[str | None, str | None]:
    """Returns (patient_id, professional_id) of a present or former matricule; the patient's is the living sheet's."""
    # Two look-ups, because each of the two unique indexes covers the rows of one kind of person.
    whose = sa.select(Matricule.patient_id).where(Matricule.matricule == matricule, Matricule.patient_id.is_not(None))
    patient = sa.select(speaking_for(Patient.patient_id == whose.scalar_subquery()).c.patient_id).scalar_subquery()
    professional = (
        sa.select(Matricule.professional_id)
        .where(Matricule.matricule == matricule, Matricule.professional_id.is_not(None))
        .scalar_subquery()
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
