"""The sheets that directory accepts: of a patient, a professional, an establishment, read field by field.

Pure: no I/O, no clock (today is an argument). Messages of faults are codes; they never repeat what was typed.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.directory.contract import (
    ESTABLISHMENT_KINDS,
    LANGUAGES,
    PROFESSIONS,
    SEXES,
    Address,
)
from services.directory.rules import (
    LONGEST_TEXT,
    Fault,
    as_id,
    birth_date_differs,
    fault,
    fold,
    matricule_fault,
    normalise_matricule,
    same_identity,
)
from services.refusals import InvalidInput

MOST_SPECIALITIES: Final = 20
MOST_WORKPLACES: Final = 50
OLDEST_PERSON: Final = 150

_POSTAL_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 -]{0,10}[A-Za-z0-9])?")
_COUNTRY = re.compile(r"[A-Za-z]{2}")


@dataclass(frozen=True)
class PatientSheet:
    """A checked identity sheet [seed 002, Fiche identité]."""

    matricule: str
    birth_name: str
    usual_name: str | None
    first_names: str
    sex: str
    birth_date: date
    language: str
    address: Address
    identity_check_due: bool


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


def require_patient_sheet(values: Mapping[str, object], today: date) -> PatientSheet:
    """Returns the checked sheet of a patient.

    Refuses: InvalidInput naming every faulty field at once.
    """
    check = _Check(values)
    matricule, birth_date = check.matricule(), check.birth_date(today)
    sheet = PatientSheet(
        matricule=matricule,
        birth_name=check.name("birth_name"),
        usual_name=check.name("usual_name") if values.get("usual_name") is not None else None,
        first_names=check.name("first_names"),
        sex=check.one_of("sex", SEXES),
        birth_date=birth_date or today,
        language=check.one_of("language", LANGUAGES),
        address=check.address(),
        identity_check_due=bool(matricule and birth_date and birth_date_differs(matricule, birth_date)),
    )
    check.refuse_faults()
    return sheet


def require_professional_sheet(values: Mapping[str, object]) -> ProfessionalSheet:
    """Returns the checked sheet of a professional; workplaces come back once each, in id order.

    Refuses: InvalidInput naming every faulty field at once.
    """
    check = _Check(values)
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
    check = _Check(values)
    sheet = EstablishmentSheet(name=check.name("name"), kind=check.one_of("kind", ESTABLISHMENT_KINDS))
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


def is_patient(sheet: PatientSheet, birth_name: str, first_names: str) -> bool:
    """True when a sheet is about the patient of these names; other facts of a person change, these do not."""
    return same_identity((sheet.birth_name, sheet.first_names), (birth_name, first_names))


def is_professional(sheet: ProfessionalSheet, family_name: str, first_name: str) -> bool:
    """True when a sheet is about the professional of these names."""
    return same_identity((sheet.family_name, sheet.first_name), (family_name, first_name))


class _Check:
    """Reads fields one by one and collects what is wrong, so that a form is answered once and not field by field."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._faults: list[Fault] = []

    def refuse_faults(self) -> None:
        if self._faults:
            raise InvalidInput(errors=self._faults)

    def matricule(self) -> str:
        matricule = normalise_matricule(self._values.get("matricule"))
        return self._without("matricule", matricule, matricule_fault(matricule))

    def name(self, field: str) -> str:
        text = self._text(field, self._values.get(field))
        return self._without(field, text, "characters" if text and not fold(text) else None)

    def one_of(self, field: str, allowed: tuple[str, ...]) -> str:
        value = self._values.get(field)
        if isinstance(value, str) and value in allowed:
            return value
        return self._without(field, "", "required" if value is None else "unknown")

    def birth_date(self, today: date) -> date | None:
        value = self._values.get("birth_date")
        if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            self._without("birth_date", "", "required" if value is None else "date")
            return None
        try:
            born = date.fromisoformat(value)
        except ValueError:
            self._without("birth_date", "", "date")
            return None
        possible = born <= today and born.year >= today.year - OLDEST_PERSON
        self._without("birth_date", "", None if possible else "out_of_range")
        return born if possible else None

    def texts(self, field: str, most: int) -> tuple[str, ...]:
        return tuple(self._text(f"{field}/{place}", each) for place, each in enumerate(self._list(field, most)))

    def ids(self, field: str, most: int) -> tuple[str, ...]:
        found = [
            self._without(f"{field}/{place}", as_id(each) or "", None if as_id(each) else "unknown")
            for place, each in enumerate(self._list(field, most))
        ]
        return tuple(sorted(set(found)))

    def address(self) -> Address:
        given = self._values.get("address")
        if not isinstance(given, Mapping):
            self._without("address", "", "required" if given is None else "type")
            given = {"line": "-", "postal_code": "00", "locality": "-", "country": "LU"}
        return {
            "line": self._text("address/line", given.get("line")),
            "postal_code": self._matching("address/postal_code", given.get("postal_code"), _POSTAL_CODE),
            "locality": self._text("address/locality", given.get("locality")),
            "country": self._matching("address/country", given.get("country"), _COUNTRY).upper(),
        }

    def _list(self, field: str, most: int) -> list[object]:
        value = self._values.get(field)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self._without(field, "", "type")
            return []
        self._without(field, "", "too_many" if len(value) > most else None)
        return list(value[:most])

    def _matching(self, field: str, value: object, pattern: re.Pattern[str]) -> str:
        text = self._text(field, value)
        return self._without(field, text, "characters" if text and not pattern.fullmatch(text) else None)

    def _text(self, field: str, value: object) -> str:
        if not isinstance(value, str):
            return self._without(field, "", "required" if value is None else "type")
        text = unicodedata.normalize("NFC", " ".join(value.split()))
        if not text:
            return self._without(field, "", "required")
        if len(text) > LONGEST_TEXT:
            return self._without(field, "", "too_long")
        unseen = any(unicodedata.category(letter).startswith("C") for letter in text)
        return self._without(field, text, "characters" if unseen else None)

    def _without(self, field: str, value: str, message: str | None) -> str:
        """Returns the value, or an empty one once its fault has been noted."""
        if message is None:
            return value
        self._faults.append(fault(field, message))
        return ""
