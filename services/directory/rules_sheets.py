"""The sheets that directory accepts: of a patient, a professional, an establishment, and what changes in a patient's.

Pure: no I/O, no clock (today is an argument). Messages of faults are codes; they never repeat what was typed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from services.directory.contract import (
    ADDRESS_USES,
    CHANGES_LIMIT,
    CHECK_DOCUMENTS,
    ESTABLISHMENT_KINDS,
    EVIDENCES,
    IDENTIFIER_SYSTEMS,
    LANGUAGES,
    MARITAL_STATUSES,
    MATRICULE_CAUSES,
    PROFESSIONS,
    SEXES,
    Address,
    FurtherAddress,
    Identifier,
)
from services.directory.rules import as_id, birth_date_differs, fault, same_identity
from services.directory.rules_blocking import stored_keys
from services.directory.rules_fields import Fields
from services.refusals import InvalidInput

MOST_SPECIALITIES: Final = 20
MOST_WORKPLACES: Final = 50
MOST_ADDRESSES: Final = 5
MOST_IDENTIFIERS: Final = 20


@dataclass(frozen=True)
class PatientSheet:
    """A checked identity sheet [seed 002, Fiche identité]; no matricule: of somebody who is not affiliated."""

    matricule: str | None
    birth_name: str
    usual_name: str | None
    first_names: str
    sex: str
    birth_date: date
    language: str
    address: Address
    identity_check_due: bool
    birth_date_evidence: str = "unknown"
    birth_place: str | None = None
    birth_commune: str | None = None
    birth_postal_code: str | None = None
    birth_country: str | None = None
    marital_status: str | None = None
    mobile: str | None = None
    phone: str | None = None
    email: str | None = None
    addresses: tuple[FurtherAddress, ...] = ()
    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True)
class FieldChange:
    """One field of a sheet that is no longer what it was, as text; None where there was, or is, nothing."""

    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class ProfessionalSheet:
    """A checked directory entry of a professional."""

    matricule: str
    family_name: str
    first_name: str
    profession: str
    specialities: tuple[str, ...]
    establishment_ids: tuple[str, ...]
    language: str
    address: Address | None


@dataclass(frozen=True)
class EstablishmentSheet:
    """A checked directory entry of an establishment."""

    name: str
    kind: str
    address: Address | None = None


# --- a patient's sheet ------------------------------------------------------------------------------------------------


def require_patient_sheet(values: Mapping[str, object], today: date) -> PatientSheet:
    """Returns the checked sheet of a patient; further addresses and identifiers come back once each.

    Refuses: InvalidInput naming every faulty field at once.
    """
    check = Fields(values)
    matricule = check.matricule() if check.has("matricule") else None
    birth_date = check.birth_date(today)
    needed = {field: read(check, field) for field, read in _NEEDED.items()}
    further = {"usual_name": None} | {field: read(check, field) for field, read in _FURTHER.items() if check.has(field)}
    sheet = PatientSheet(
        matricule=matricule,
        birth_date=birth_date or today,
        address=check.address(),
        addresses=_addresses(check),
        identifiers=_identifiers(check),
        identity_check_due=bool(birth_date and _is_doubtful(matricule, birth_date)),
        **needed,
        **further,
    )
    check.refuse_faults()
    return sheet


def require_changed_sheet(sheet: PatientSheet, changes: Mapping[str, object], today: date) -> PatientSheet:
    """Returns the sheet with these fields in place of what it has; null empties a field that may be empty.

    Addresses and identifiers are given as whole lists. The matricule is no such field: it has a history of its own.
    Refuses: InvalidInput naming every faulty field at once.
    """
    if not isinstance(changes, Mapping):
        raise InvalidInput(errors=[fault("changes", "type")])
    check = Fields(changes)
    check.refuse_others({*_NEEDED, *_FURTHER, "birth_date", "address", "addresses", "identifiers"})
    said: dict[str, Any] = {field: read(check, field) for field, read in _NEEDED.items() if field in changes}
    for field, read in _FURTHER.items():
        if field in changes:
            nothing = "unknown" if field == "birth_date_evidence" else None
            said[field] = read(check, field) if check.has(field) else nothing
    if "birth_date" in changes:
        born = check.birth_date(today)
        said["birth_date"] = born
        if born != sheet.birth_date:  # whatever proved the former one does not prove this one
            said.setdefault("birth_date_evidence", "unknown")
            said["identity_check_due"] = bool(born and _is_doubtful(sheet.matricule, born))
    if "address" in changes:
        said["address"] = check.address()
    if "addresses" in changes:
        said["addresses"] = _addresses(check)
    if "identifiers" in changes:
        said["identifiers"] = _identifiers(check)
    check.refuse_faults()
    return replace(sheet, **said)


def with_matricule(sheet: PatientSheet, matricule: str) -> PatientSheet:
    """Returns the sheet under another matricule, flagged when that tells another birth date."""
    return replace(sheet, matricule=matricule, identity_check_due=_is_doubtful(matricule, sheet.birth_date))


def checked(sheet: PatientSheet, evidence: str) -> PatientSheet:
    """Returns the sheet as it is once an agent has compared it with a document."""
    return replace(sheet, birth_date_evidence=evidence, identity_check_due=False)


def require_evidence(document: object) -> str:
    """Returns what a birth date rests on after a check against this document. Refuses: InvalidInput."""
    if not isinstance(document, str) or document not in CHECK_DOCUMENTS:
        raise InvalidInput(errors=[fault("document", "choice")])
    return CHECK_DOCUMENTS[document]


def require_matricule_cause(cause: object) -> str:
    """Returns why a matricule changes. Refuses: InvalidInput."""
    if not isinstance(cause, str) or cause not in MATRICULE_CAUSES:
        raise InvalidInput(errors=[fault("cause", "choice")])
    return cause


def require_changes_limit(limit: object) -> int:
    """Returns how many changes a page holds. Refuses: InvalidInput."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= CHANGES_LIMIT:
        raise InvalidInput(errors=[fault("limit", "out_of_range")])
    return limit


def require_changes_cursor(cursor: object) -> str | None:
    """Returns the change after which a page begins, None for the newest. Refuses: InvalidInput."""
    if cursor is None or as_id(cursor):
        return as_id(cursor)
    raise InvalidInput(errors=[fault("cursor", "invalid")])


def changes_between(old: PatientSheet, new: PatientSheet) -> tuple[FieldChange, ...]:
    """Returns field by field what is no longer the same; nothing for two sheets that say the same."""
    before, after = _as_texts(old), _as_texts(new)
    return tuple(
        FieldChange(field, before.get(field), after.get(field))
        for field in {**before, **after}
        if before.get(field) != after.get(field)
    )


def keys_of(sheet: PatientSheet) -> list[str]:
    """Returns the keys that the sheet is found by."""
    return stored_keys(
        sheet.birth_name, sheet.usual_name, sheet.first_names, sheet.birth_date, sheet.sex, sheet.matricule
    )


def is_patient(sheet: PatientSheet, birth_name: str, first_names: str) -> bool:
    """True when a sheet is about the patient of these names; other facts of a person change, these do not."""
    return same_identity((sheet.birth_name, sheet.first_names), (birth_name, first_names))


def _is_doubtful(matricule: str | None, birth_date: date) -> bool:
    return bool(matricule and birth_date_differs(matricule, birth_date))


def _as_texts(sheet: PatientSheet) -> dict[str, str]:
    texts = {field: getattr(sheet, field) for field in ("matricule", *_NEEDED, *_FURTHER)}
    texts["birth_date"] = sheet.birth_date.isoformat()
    texts |= {f"address.{part}": str(value) for part, value in sheet.address.items()}
    kept = [(f"address:{one['use']}", address_text(one)) for one in sheet.addresses]
    kept += [(f"identifier:{one['system']}", one["value"]) for one in sheet.identifiers]
    for field, text in sorted(kept):
        texts[field] = f"{texts[field]}; {text}" if field in texts else text
    return {field: text for field, text in texts.items() if text is not None}


def address_text(address: Address) -> str:
    """Returns an address in one line."""
    return f"{address['line']}, {address['postal_code']} {address['locality']}, {address['country']}"


_Reader = Callable[[Fields, str], Any]

_NEEDED: Final[dict[str, _Reader]] = {
    "birth_name": Fields.name,
    "first_names": Fields.name,
    "sex": lambda check, field: check.one_of(field, SEXES),
    "language": lambda check, field: check.one_of(field, LANGUAGES),
}
_FURTHER: Final[dict[str, _Reader]] = {
    "usual_name": Fields.name,
    "birth_date_evidence": lambda check, field: check.one_of(field, EVIDENCES),
    "birth_place": Fields.name,
    "birth_commune": Fields.name,
    "birth_postal_code": Fields.postal_code,
    "birth_country": Fields.country,
    "marital_status": lambda check, field: check.one_of(field, MARITAL_STATUSES),
    "mobile": Fields.mobile,
    "phone": Fields.phone,
    "email": Fields.email,
}


def _addresses(check: Fields) -> tuple[FurtherAddress, ...]:
    found: list[FurtherAddress] = []
    for part in check.parts("addresses", MOST_ADDRESSES):
        use = part.one_of("use", ADDRESS_USES)
        one: FurtherAddress = {"use": use, **part.own_address()}
        found += [] if one in found else [one]
    return tuple(found)


def _identifiers(check: Fields) -> tuple[Identifier, ...]:
    found: list[Identifier] = []
    for part in check.parts("identifiers", MOST_IDENTIFIERS):
        one: Identifier = {"system": part.one_of("system", IDENTIFIER_SYSTEMS), "value": part.number("value")}
        found += [] if one in found else [one]
    return tuple(found)


# --- others -----------------------------------------------------------------------------------------------------------


def require_professional_sheet(values: Mapping[str, object]) -> ProfessionalSheet:
    """Returns the checked sheet of a professional; workplaces come back once each, in id order.

    Refuses: InvalidInput naming every faulty field at once.
    """
    check = Fields(values)
    sheet = ProfessionalSheet(
        matricule=check.matricule(),
        family_name=check.name("family_name"),
        first_name=check.name("first_name"),
        profession=check.one_of("profession", PROFESSIONS),
        specialities=check.texts("specialities", MOST_SPECIALITIES),
        establishment_ids=check.ids("establishment_ids", MOST_WORKPLACES),
        language=check.one_of("language", LANGUAGES),
        address=check.address() if values.get("address") is not None else None,
    )
    check.refuse_faults()
    return sheet


def require_establishment_sheet(values: Mapping[str, object]) -> EstablishmentSheet:
    """Returns the checked sheet of an establishment.

    Refuses: InvalidInput naming every faulty field at once.
    """
    check = Fields(values)
    sheet = EstablishmentSheet(
        name=check.name("name"),
        kind=check.one_of("kind", ESTABLISHMENT_KINDS),
        address=check.address() if values.get("address") is not None else None,
    )
    check.refuse_faults()
    return sheet


def require_known_establishments(asked: Iterable[str], known: Iterable[str]) -> None:
    """Every workplace is registered.

    Refuses: InvalidInput pointing at each unknown one.
    """
    there = set(known)
    faults = [fault(f"establishment_ids/{place}", "unknown") for place, each in enumerate(asked) if each not in there]
    if faults:
        raise InvalidInput(errors=faults)


def is_professional(sheet: ProfessionalSheet, family_name: str, first_name: str) -> bool:
    """True when a sheet is about the professional of these names."""
    return same_identity((sheet.family_name, sheet.first_name), (family_name, first_name))
