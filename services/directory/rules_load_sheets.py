"""Sheets as lines of COPY and back: cells separated by tabs, `\\N` where there is nothing.

One text per sheet is what travels between processes, what the tables take, and what tells at once whether a sheet
stands there already as the file says it. Pure.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from services.directory.contract import Address, Identifier
from services.directory.rules import as_id, searchable_establishment, searchable_names, searchable_text
from services.directory.rules_sheets import EstablishmentSheet, PatientSheet, ProfessionalSheet, keys_of
from services.refusals import InvalidInput

PATIENT_COLUMNS: Final = (
    "birth_name", "usual_name", "first_names", "sex", "birth_date", "identity_check_due", "language", "address_line",
    "postal_code", "locality", "country", "birth_date_evidence", "birth_place", "birth_commune", "birth_postal_code",
    "birth_country", "marital_status", "mobile", "phone", "email", "keys",
)  # fmt: skip
PROFESSIONAL_COLUMNS: Final = (
    "family_name", "first_name", "profession", "specialities", "language", "address_line", "postal_code", "locality",
    "country", "names_folded", "found_by",
)  # fmt: skip
ESTABLISHMENT_COLUMNS: Final = (
    "name", "kind", "address_line", "postal_code", "locality", "country", "found_by",
)  # fmt: skip

NOTHING: Final = "\\N"
_FURTHER: Final = (
    "birth_place", "birth_commune", "birth_postal_code", "birth_country", "marital_status", "mobile", "phone", "email",
)  # fmt: skip


def patient_text(sheet: PatientSheet) -> str:
    """Returns the sheet in the order of PATIENT_COLUMNS."""
    address = sheet.address
    return "\t".join((
        cell(sheet.birth_name), cell(sheet.usual_name), cell(sheet.first_names), sheet.sex,
        sheet.birth_date.isoformat(), "t" if sheet.identity_check_due else "f", sheet.language, cell(address["line"]),
        address["postal_code"], cell(address["locality"]), address["country"], sheet.birth_date_evidence,
        cell(sheet.birth_place), cell(sheet.birth_commune), cell(sheet.birth_postal_code), cell(sheet.birth_country),
        cell(sheet.marital_status), cell(sheet.mobile), cell(sheet.phone), cell(sheet.email), _keys(sheet),
    ))  # fmt: skip


def patient_sheet(text: str, matricule: str | None, identifiers: Sequence[tuple[str, str]]) -> PatientSheet:
    """Returns the sheet of a text without its last column, which follows from the others."""
    said = [None if each == NOTHING else _plain(each) for each in text.split("\t")]
    known: dict[str, Any] = dict(zip(PATIENT_COLUMNS, said, strict=False))
    address: Address = {
        "line": known["address_line"], "postal_code": known["postal_code"], "locality": known["locality"],
        "country": known["country"],
    }  # fmt: skip
    pairs: tuple[Identifier, ...] = tuple({"system": system, "value": value} for system, value in identifiers)
    return PatientSheet(
        matricule=matricule, birth_name=known["birth_name"], usual_name=known["usual_name"],
        first_names=known["first_names"], sex=known["sex"], birth_date=date.fromisoformat(known["birth_date"]),
        language=known["language"], address=address, identity_check_due=known["identity_check_due"] == "t",
        birth_date_evidence=known["birth_date_evidence"], identifiers=pairs,
        **{name: known[name] for name in _FURTHER},
    )  # fmt: skip


def professional_text(sheet: ProfessionalSheet) -> str:
    """Returns the entry in the order of PROFESSIONAL_COLUMNS."""
    return "\t".join((
        cell(sheet.family_name), cell(sheet.first_name), sheet.profession, cell(array(sheet.specialities)),
        sheet.language, *_address(sheet.address), searchable_names(sheet.family_name, sheet.first_name),
        searchable_text(sheet.family_name, sheet.first_name, sheet.profession, sheet.specialities),
    ))  # fmt: skip


def establishment_text(sheet: EstablishmentSheet) -> str:
    """Returns the entry in the order of ESTABLISHMENT_COLUMNS."""
    locality = sheet.address["locality"] if sheet.address else None
    found_by = searchable_establishment(sheet.name, sheet.kind, locality)
    return "\t".join((cell(sheet.name), sheet.kind, *_address(sheet.address), found_by))


def require_establishment_id(value: object) -> str:
    """Returns the id of an establishment, given as a UUID or as a URN of one.

    Refuses: InvalidInput.
    """
    found = as_id(value)
    if found is None:
        code = "required" if value is None else "uuid"
        raise InvalidInput(errors=[{"pointer": "/establishment_id", "message": code}])
    return found


def _address(address: Address | None) -> tuple[str, str, str, str]:
    if address is None:
        return NOTHING, NOTHING, NOTHING, NOTHING
    return cell(address["line"]), cell(address["postal_code"]), cell(address["locality"]), address["country"]


def cell(value: str | None) -> str:
    """Returns a value as a cell; checked texts hold neither tabs nor line breaks."""
    if value is None:
        return NOTHING
    return value.replace("\\", "\\\\") if "\\" in value else value


def _keys(sheet: PatientSheet) -> str:
    # Letters, figures, spaces and #: nothing that an array or a cell would want escaped.
    keys = keys_of(sheet)
    return '{"' + '","'.join(keys) + '"}' if keys else "{}"


def array(values: Sequence[str]) -> str:
    """Returns texts as PostgreSQL writes an array; as a cell it is escaped like any other text."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def _plain(value: str) -> str:
    return value.replace("\\\\", "\\") if "\\" in value else value
