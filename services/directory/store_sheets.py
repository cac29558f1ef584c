"""Every query of whole identity sheets and their history. Nothing here decides; the rules have checked what comes."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id, rfc3339
from services.directory.contract import (
    MATRICULE_SYSTEM,
    DatedIdentifier,
    FurtherAddress,
    Identification,
    Identifier,
    IdentifierTaken,
    PatientExists,
    Sheet,
    SheetChange,
    Written,
)
from services.directory.models import Matricule, Patient, PatientAddress, PatientChange, PatientIdentifier
from services.directory.rules_sheets import FieldChange, PatientSheet, keys_of
from services.directory.store import address_of, claim_matricule_for_patient, registration
from services.directory.store_patients import living
from services.tokens import Caller

_AS_THEY_ARE = (
    "birth_name", "usual_name", "first_names", "sex", "birth_date", "language", "identity_check_due",
    "birth_date_evidence", "birth_place", "birth_commune", "birth_postal_code", "birth_country", "marital_status",
    "mobile", "phone", "email",
)  # fmt: skip
"""The columns of a sheet that are called as its fields are."""

_NOBODY = "00000000-0000-0000-0000-000000000000"
_CURRENT = sa.and_(Matricule.patient_id == Patient.patient_id, Matricule.until.is_(None))


class StoredSheet(NamedTuple):
    """A sheet as it stands, with the row that nobody else changes until this transaction is over."""

    patient_id: str
    version: int
    sheet: PatientSheet


# --- reading ----------------------------------------------------------------------------------------------------------


def whole_sheet(session: Session, patient_id: str, names_accounts: bool) -> Sheet | None:
    """Returns the identity sheet that speaks for a patient; None for nobody.

    names_accounts: whether it says which account wrote it, or only that the agency did.
    """
    found = _living_row(session, patient_id)
    if found is None:
        return None
    row, matricule = found
    last = written(row.changed_at, row.changed_by, row.changed_with, names_accounts) if row.changed_at else None
    return {
        **_identification(row, matricule),
        "identifiers": _dated_identifiers(session, row.patient_id),
        "birth_commune": row.birth_commune,
        "birth_postal_code": row.birth_postal_code,
        "marital_status": row.marital_status,
        "mobile": row.mobile,
        "phone": row.phone,
        "email": row.email,
        "language": row.language,
        "address": address_of(row),
        "addresses": list(_addresses(session, row.patient_id)),
        "identity_check_due": row.identity_check_due,
        "created": written(row.registered_at, row.registered_by, row.registered_with, names_accounts),
        "changed": last,
    }


def identification(session: Session, patient_id: str) -> Identification | None:
    """Returns who a patient is, from the sheet that speaks for them; None for nobody."""
    found = _living_row(session, patient_id)
    return _identification(*found) if found is not None else None


def current_matricule(session: Session, patient_id: str | None) -> str | None:
    """Returns the matricule of this very sheet; None for nobody, and for who has none.

    Nobody costs the same query: how long an answer takes must not tell whether somebody is known.
    """
    whose = sa.and_(Matricule.patient_id == (patient_id or _NOBODY), Matricule.until.is_(None))
    return session.scalar(sa.select(Matricule.matricule).where(whose))


def written(at: datetime, by: str | None, software: str | None, names_account: bool) -> Written:
    """Returns who wrote something, and when; what no account wrote came by a feed."""
    return {
        "at": rfc3339(at),
        "by": "agency" if by else "feed",
        "account_id": by if names_account else None,
        "software": software,
    }


def sheet_changes(
    session: Session, patient_id: str, after: str | None, most: int, names_accounts: bool
) -> list[tuple[str, SheetChange]]:
    """Returns changes of a sheet and of those merged into it, newest first, each with the id a cursor marks.

    after: of the last one already shown; ids are made in the order of time.
    """
    spoken_for = _spoken_for(patient_id)
    asked = sa.select(PatientChange).where(PatientChange.patient_id.in_(sa.select(spoken_for.c.patient_id)))
    if after is not None:
        asked = asked.where(PatientChange.change_id < after)
    rows = session.scalars(asked.order_by(PatientChange.change_id.desc()).limit(most)).all()
    return [
        (row.change_id, {**written(row.at, row.account_id, row.software, names_accounts), "field": row.field,
                         "old": row.old, "new": row.new})
        for row in rows
    ]  # fmt: skip


def _living_row(session: Session, patient_id: str) -> tuple[Patient, str | None] | None:
    of = sa.select(Patient, Matricule.matricule).outerjoin(Matricule, _CURRENT)
    row = session.execute(of.where(Patient.patient_id == patient_id)).first()
    if row is not None and row.Patient.merged_into is not None:
        row = session.execute(of.where(Patient.patient_id == living(session, patient_id))).first()
    return None if row is None else (row.Patient, row.matricule)


def _identification(row: Patient, matricule: str | None) -> Identification:
    return {
        "patient_id": row.patient_id,
        "version": row.version,
        "matricule": matricule,
        "birth_name": row.birth_name,
        "usual_name": row.usual_name,
        "first_names": row.first_names,
        "sex": row.sex,
        "birth_date": row.birth_date.isoformat(),
        "birth_date_evidence": row.birth_date_evidence,
        "birth_place": row.birth_place,
        "birth_country": row.birth_country,
    }


def _spoken_for(patient_id: str) -> sa.CTE:
    """The ids of a sheet and of all that were merged into it, directly or not."""
    start = sa.select(Patient.patient_id).where(Patient.patient_id == patient_id)
    line = start.cte("spoken_for", recursive=True)
    return line.union_all(sa.select(Patient.patient_id).join(line, Patient.merged_into == line.c.patient_id))


def _dated_identifiers(session: Session, patient_id: str) -> list[DatedIdentifier]:
    """The matricules, the present one first, then the numbers of other systems; those of merged sheets too."""
    whose = sa.select(_spoken_for(patient_id).c.patient_id)
    matricules = sa.select(
        sa.literal(0).label("place"), sa.literal(MATRICULE_SYSTEM).label("system"), Matricule.matricule.label("value"),
        Matricule.since, Matricule.until, (Matricule.patient_id != patient_id).label("merged"),
    ).where(Matricule.patient_id.in_(whose))  # fmt: skip
    others = sa.select(
        sa.literal(1), PatientIdentifier.system, PatientIdentifier.value, PatientIdentifier.since,
        sa.null().cast(Matricule.until.type), PatientIdentifier.patient_id != patient_id,
    ).where(PatientIdentifier.patient_id.in_(whose))  # fmt: skip
    every = sa.union_all(matricules, others).subquery()
    order = (every.c.place, every.c.merged, every.c.until.desc().nulls_first(), every.c.system, every.c.value)
    return [
        {"system": row.system, "value": row.value, "since": rfc3339(row.since),
         "until": rfc3339(row.until) if row.until else None}
        for row in session.execute(sa.select(every).order_by(*order))
    ]  # fmt: skip


def _addresses(session: Session, patient_id: str) -> tuple[FurtherAddress, ...]:
    rows = session.scalars(
        sa.select(PatientAddress).where(PatientAddress.patient_id == patient_id).order_by(PatientAddress.address_id)
    )
    return tuple(
        {"use": row.use, "line": row.line, "postal_code": row.postal_code, "locality": row.locality,
         "country": row.country}
        for row in rows
    )  # fmt: skip


def _identifiers(session: Session, patient_id: str) -> tuple[Identifier, ...]:
    rows = session.execute(
        sa.select(PatientIdentifier.system, PatientIdentifier.value)
        .where(PatientIdentifier.patient_id == patient_id)
        .order_by(PatientIdentifier.system, PatientIdentifier.value)
    )
    return tuple({"system": row.system, "value": row.value} for row in rows)


# --- writing ----------------------------------------------------------------------------------------------------------


def insert_sheet(session: Session, patient_id: str, sheet: PatientSheet, by: Caller, at: datetime) -> None:
    """Writes a new identity sheet; its matricule has been claimed before.

    Refuses: IdentifierTaken, to be undone by whoever asked.
    """
    values = {"patient_id": patient_id, **_columns(sheet), **registration(by, at)}
    session.execute(sa.insert(Patient).values(values))
    _insert_addresses(session, patient_id, sheet)
    _claim_identifiers(session, patient_id, sheet.identifiers, at)


def locked_sheet(session: Session, patient_id: str) -> StoredSheet | None:
    """Returns the sheet that speaks for a patient, held against every other change; None for nobody."""
    speaker = living(session, patient_id)
    while speaker is not None:
        held = sa.select(Patient).where(Patient.patient_id == speaker).with_for_update()
        row = session.scalars(held.execution_options(populate_existing=True)).one()
        if row.merged_into is None:
            return StoredSheet(row.patient_id, row.version, _sheet(session, row))
        speaker = living(session, speaker)  # merged while we waited for it
    return None


def write_changes(
    session: Session, stored: StoredSheet, new: PatientSheet, changes: Sequence[FieldChange], by: Caller, at: datetime
) -> int:
    """Writes a held sheet as it is from now on, and its history; returns its new version.

    Refuses: IdentifierTaken, to be undone by whoever asked.
    """
    patient_id, version = stored.patient_id, stored.version + 1
    mark = {"version": version, "changed_at": at, "changed_by": by.account_id, "changed_with": by.context.software}
    session.execute(sa.update(Patient).where(Patient.patient_id == patient_id).values(_columns(new) | mark))
    if new.addresses != stored.sheet.addresses:
        session.execute(sa.delete(PatientAddress).where(PatientAddress.patient_id == patient_id))
        _insert_addresses(session, patient_id, new)
    _replace_identifiers(session, patient_id, stored.sheet.identifiers, new.identifiers, at)
    note_changes(session, patient_id, changes, by, at)
    return version


def note_changes(
    session: Session, patient_id: str, changes: Sequence[FieldChange], by: Caller, at: datetime
) -> None:  # fmt: skip
    """Writes what changed into the history of a sheet; the last of several is the newest."""
    whole = {"patient_id": patient_id, "at": at, "account_id": by.account_id, "software": by.context.software}
    if changes:
        rows = [{"change_id": new_id(), **whole, **asdict(change)} for change in changes]
        session.execute(sa.insert(PatientChange), rows)


def switch_matricule(session: Session, patient_id: str, matricule: str, cause: str, at: datetime) -> None:
    """Makes a matricule the present one of a held sheet; the one before stays, with its end, for ever.

    One that the patient had before is theirs again from now on. Refuses: PatientExists when it is another's.
    """
    if claim_matricule_for_patient(session, matricule, patient_id, at, until=at) != patient_id:
        raise PatientExists()
    theirs = sa.update(Matricule).where(Matricule.patient_id == patient_id)
    # In two steps: at no moment may a patient have two present ones.
    session.execute(theirs.where(Matricule.until.is_(None)).values(until=at))
    session.execute(theirs.where(Matricule.matricule == matricule).values(since=at, until=None, cause=cause))


def _columns(sheet: PatientSheet) -> dict[str, Any]:
    return {
        **{name: getattr(sheet, name) for name in _AS_THEY_ARE},
        "address_line": sheet.address["line"],
        "postal_code": sheet.address["postal_code"],
        "locality": sheet.address["locality"],
        "country": sheet.address["country"],
        "keys": keys_of(sheet),
    }


def _sheet(session: Session, row: Patient) -> PatientSheet:
    return PatientSheet(
        matricule=current_matricule(session, row.patient_id),
        address=address_of(row),
        addresses=_addresses(session, row.patient_id),
        identifiers=_identifiers(session, row.patient_id),
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
    )


def _insert_addresses(session: Session, patient_id: str, sheet: PatientSheet) -> None:
    if sheet.addresses:
        rows = [{"address_id": new_id(), "patient_id": patient_id, **address} for address in sheet.addresses]
        session.execute(sa.insert(PatientAddress), rows)


def _replace_identifiers(
    session: Session, patient_id: str, old: Sequence[Identifier], new: Sequence[Identifier], at: datetime
) -> None:
    gone = [(one["system"], one["value"]) for one in old if one not in new]
    if gone:
        key = sa.tuple_(PatientIdentifier.system, PatientIdentifier.value)
        session.execute(sa.delete(PatientIdentifier).where(PatientIdentifier.patient_id == patient_id, key.in_(gone)))
    _claim_identifiers(session, patient_id, [one for one in new if one not in old], at)


def _claim_identifiers(session: Session, patient_id: str, new: Sequence[Identifier], at: datetime) -> None:
    if not new:
        return
    rows = [{**one, "patient_id": patient_id, "since": at} for one in new]
    claim = insert(PatientIdentifier).values(rows).on_conflict_do_nothing().returning(PatientIdentifier.value)
    if len(session.scalars(claim).all()) < len(rows):
        raise IdentifierTaken()
