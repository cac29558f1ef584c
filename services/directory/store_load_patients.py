"""Every query by which patients are loaded: which of them exist, the new, the changed, their numbers and history."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import new_id
from services.directory.rules_load_sheets import PATIENT_COLUMNS, cell
from services.directory.rules_sheets import FieldChange
from services.directory.store_load import Overtaken, copied, copy, wire

COMPARED: Final = PATIENT_COLUMNS[:-1]
"""The sheet without its keys, which follow from it."""

_COMPARED: Final = ", ".join(f"p.{column}" for column in COMPARED)

Pair = tuple[str, str]


class Known(NamedTuple):
    """A patient who has a sheet. matricule: the present one. former: the one asked for is not. text: of COMPARED."""

    patient_id: str
    version: int
    merged: bool
    former: bool
    matricule: str | None
    text: str


class Changed(NamedTuple):
    """A sheet that is another from now on; text: of all PATIENT_COLUMNS."""

    patient_id: str
    version: int
    text: str
    changes: Sequence[FieldChange]


def by_matricule(session: Session, matricules: Sequence[str]) -> dict[str, Known]:
    """Returns whose these matricules are or were."""
    rows = copied(
        session,
        "select m.matricule, p.patient_id, p.version, p.merged_into is not null, m.until is not null,"  # noqa: S608
        f" {_COMPARED} from matricules m join patients p on p.patient_id = m.patient_id"
        " where m.matricule = any(%s) and m.patient_id is not null",
        list(matricules),
    )
    found = {}
    for row in rows:
        matricule, patient_id, version, merged, former, text = row.split("\t", 5)
        found[matricule] = Known(patient_id, int(version), merged == "t", former == "t", matricule, text)
    return found


def by_id(session: Session, patient_ids: Sequence[str]) -> dict[str, Known]:
    """Returns these patients."""
    rows = copied(
        session,
        f"select p.patient_id, p.version, p.merged_into is not null, m.matricule, {_COMPARED} from patients p"  # noqa: S608
        " left join matricules m on m.patient_id = p.patient_id and m.until is null"
        " where p.patient_id = any(%s::uuid[])",
        list(patient_ids),
    )
    found = {}
    for row in rows:
        patient_id, version, merged, matricule, text = row.split("\t", 4)
        number = None if matricule == "\\N" else matricule
        found[patient_id] = Known(patient_id, int(version), merged == "t", False, number, text)
    return found


def holders(session: Session, pairs: Sequence[Pair]) -> dict[Pair, str]:
    """Returns who has each of these numbers of other systems."""
    if not pairs:
        return {}
    systems, values = zip(*pairs, strict=True)
    rows = session.execute(
        sa.text(
            "select system, value, cast(patient_id as text) from patient_identifiers where (system, value) in"
            " (select * from unnest(cast(:systems as text[]), cast(:values as text[])))"
        ),
        {"systems": list(systems), "values": list(values)},
    )
    return {(system, value): patient_id for system, value, patient_id in rows}


def numbers_of(session: Session, patient_ids: Sequence[str]) -> dict[str, list[Pair]]:
    """Returns the numbers of other systems that these patients have."""
    found: dict[str, list[Pair]] = {}
    if patient_ids:
        rows = session.execute(
            sa.text(
                "select cast(patient_id as text), system, value from patient_identifiers"
                " where patient_id = any(cast(:ids as uuid[])) order by system, value"
            ),
            {"ids": list(patient_ids)},
        )
        for patient_id, system, value in rows:
            found.setdefault(patient_id, []).append((system, value))
    return found


def add(session: Session, new: Sequence[tuple[str, str]], software: str, at: datetime) -> None:
    """Writes new sheets; new: each an id and a text of PATIENT_COLUMNS."""
    mark = f"{at.isoformat()}\t{cell(software)}"
    columns = ("patient_id", *PATIENT_COLUMNS, "registered_at", "registered_with")
    copy(session, "patients", columns, (f"{patient_id}\t{text}\t{mark}" for patient_id, text in new))


def claim_matricules(session: Session, of: Sequence[tuple[str, str]], at: datetime) -> None:
    """Writes whose these matricules are from now on; of: each an id and a matricule."""
    since = at.isoformat()
    columns = ("matricule", "patient_id", "since")
    copy(session, "matricules", columns, (f"{matricule}\t{patient_id}\t{since}" for patient_id, matricule in of))


def claim_numbers(session: Session, of: Sequence[tuple[str, Pair]], at: datetime) -> None:
    """Writes whose these numbers of other systems are from now on."""
    columns = ("system", "value", "patient_id", "since")
    lines = (f"{cell(system)}\t{cell(value)}\t{patient_id}\t{at.isoformat()}" for patient_id, (system, value) in of)
    copy(session, "patient_identifiers", columns, lines)


def change(session: Session, changed: Sequence[Changed], software: str, at: datetime) -> None:
    """Writes sheets as they are from now on, each with its history; who they are is compared with others anew.

    Refuses: Overtaken when one of them is no longer what it was when it was read.
    """
    if not changed:
        return
    with wire(session).cursor() as cursor:
        cursor.execute(
            "create temporary table if not exists load_changed (like patients including defaults) on commit delete rows"
        )
    columns = ("patient_id", "version", *PATIENT_COLUMNS, "registered_at")
    rows = (f"{one.patient_id}\t{one.version}\t{one.text}\t{at.isoformat()}" for one in changed)
    copy(session, "load_changed", columns, rows)
    who = ("birth_name", "usual_name", "first_names", "birth_date", "sex")
    before, after = (", ".join(f"{row}.{column}" for column in who) for row in "pc")
    written = session.execute(
        sa.text(
            f"update patients p set {', '.join(f'{column} = c.{column}' for column in PATIENT_COLUMNS)},"  # noqa: S608
            " version = p.version + 1, changed_at = :at, changed_by = null, changed_with = :software, compared_at ="
            f" case when ({before}) is distinct from ({after}) then null else p.compared_at end"
            " from load_changed c where c.patient_id = p.patient_id and c.version = p.version"
            " and p.merged_into is null"
        ),
        {"at": at, "software": software},
    )
    if written.rowcount != len(changed):  # type: ignore[attr-defined]
        raise Overtaken()
    mark = f"{at.isoformat()}\t{cell(software)}"
    history = ("change_id", "patient_id", "at", "software", "field", "old", "new")
    copy(session, "patient_changes", history, (
        f"{new_id()}\t{one.patient_id}\t{mark}\t{cell(each.field)}\t{cell(each.old)}\t{cell(each.new)}"
        for one in changed for each in one.changes
    ))  # fmt: skip
