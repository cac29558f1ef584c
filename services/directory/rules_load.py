"""The lines of a load, read one by one: what a line says, what is wrong with it, and the text that COPY takes of it.

A line is a person or an establishment, in CSV too: a line break between quotation marks would let one forgotten mark
swallow all that follows. What is checked is checked by the very rules of registering. Pure: no I/O, no clock; runs in
processes of its own, which send text and tuples back because those travel fastest.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final, NamedTuple

from services.directory.rules_load_fhir import Roles
from services.directory.rules_load_fhir import values as fhir_values
from services.directory.rules_load_sheets import (
    establishment_text,
    patient_text,
    professional_text,
    require_establishment_id,
)
from services.directory.rules_sheets import (
    EstablishmentSheet,
    PatientSheet,
    ProfessionalSheet,
    require_establishment_sheet,
    require_patient_sheet,
    require_professional_sheet,
)
from services.refusals import InvalidInput

KINDS: Final = ("patients", "professionals", "establishments")
FORMS: Final = ("csv", "ndjson")
LONGEST_LINE: Final = 64 * 1024
LIST_SEPARATOR: Final = "|"

ADDRESS: Final = {
    "address_line": "line", "postal_code": "postal_code", "locality": "locality", "country": "country",
}  # fmt: skip

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "patients": ("birth_name", "first_names", "sex", "birth_date", "language", *ADDRESS),
    "professionals": ("matricule", "family_name", "first_name", "profession", "language"),
    "establishments": ("establishment_id", "name", "kind"),
}
OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "patients": ("matricule", "usual_name", "birth_date_evidence", "birth_place", "birth_commune", "birth_postal_code",
                 "birth_country", "marital_status", "mobile", "phone", "email", "identifiers"),
    "professionals": ("specialities", "establishment_ids", *ADDRESS),
    "establishments": tuple(ADDRESS),
}  # fmt: skip
NOT_READ: Final[Mapping[str, tuple[str, ...]]] = {
    "patients": (), "professionals": ("sex", "birth_date"), "establishments": (),
}  # fmt: skip
"""What a register says of its people and the directory does not keep."""

LISTS: Final = ("specialities", "establishment_ids")
_ANOTHER_IDENTIFIER = re.compile(r"\|(?=[^|=]*=)")

Faults = tuple[tuple[str, str], ...]
"""What is wrong with a line: (field, code of the message); no field where it is the line itself."""

Sheet = PatientSheet | ProfessionalSheet | EstablishmentSheet


class HeaderRefused(Exception):
    """The first line of a CSV file does not say what each line must: nothing of the file can be read."""

    def __init__(self, missing: Sequence[str] = (), unknown: Sequence[str] = (), twice: Sequence[str] = ()) -> None:
        super().__init__("header")
        self.missing, self.unknown, self.twice = tuple(missing), tuple(unknown), tuple(twice)


class Good(NamedTuple):
    """A line that says somebody.

    identifier: by which the file tells them from all others. text: of the sheet, as COPY takes it. unsaid: the fields,
    separated by spaces, of which the file says nothing. sheet: None where the text is all that is needed.
    """

    number: int
    identifier: str
    text: str
    unsaid: str
    identifiers: tuple[tuple[str, str], ...] = ()
    sheet: Sheet | None = None


class Refused(NamedTuple):
    """A line that was not taken, and why; roles: of the second file of professionals."""

    number: int
    faults: Faults
    roles: bool = False


class Unreadable(Exception):
    """A line that is no line of this form; code of the message."""


def require_header(kind: str, line: bytes) -> tuple[str, ...]:
    """Returns the columns of a CSV file, from its first line.

    Refuses: HeaderRefused when one that is needed is missing, or, where all of them are there, one is unknown (a
    misspelt one must not pass as not given) or stands twice.
    """
    try:
        columns = tuple(name.strip() for name in cells(decoded(line)))
    except Unreadable:
        columns = ()
    needed, wanted = REQUIRED[kind], {*REQUIRED[kind], *OPTIONAL[kind], *NOT_READ[kind]}
    missing = [name for name in needed if name not in columns]
    # Without all that is needed the line may be somebody's: a cell that is a column's name by chance proves nothing,
    # and what else stands there is not repeated.
    told = () if missing else columns
    if kind == "patients" and "matricule" not in columns and "identifiers" not in columns:
        missing.append("matricule")
    if any(name in columns for name in ADDRESS):
        missing += [name for name in ADDRESS if name not in columns and name not in missing]
    unknown = [name for name in told if name not in wanted]
    twice = sorted({name for name in told if told.count(name) > 1})
    if missing or unknown or twice:
        raise HeaderRefused(missing, unknown, twice)
    return columns


def decoded(line: bytes) -> str:
    """Returns a line as text, without its end.

    Refuses: Unreadable.
    """
    if len(line) > LONGEST_LINE:
        raise Unreadable("too_long")
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Unreadable("encoding") from None


def cells(text: str) -> list[str]:
    """Returns the cells of a line of CSV.

    Refuses: Unreadable.
    """
    try:
        return next(csv.reader((text,), strict=True), [])
    except csv.Error:
        raise Unreadable("csv_line") from None


@dataclass(frozen=True)
class Reader:
    """Reads the lines of one file. columns: of CSV. roles: of professionals in NDJSON. day: births come before it."""

    kind: str
    form: str
    day: date
    columns: tuple[str, ...] = ()
    roles: Roles = field(default_factory=Roles)

    def read(self, first: int, lines: Sequence[bytes]) -> tuple[list[Good], list[Refused]]:
        """Returns what the lines say, and those that cannot be taken; empty lines are neither."""
        good: list[Good] = []
        refused: list[Refused] = []
        for number, line in enumerate(lines, start=first):
            try:
                text = decoded(line)
                if text and not text.isspace():
                    good.append(self._read(number, text))
            except Unreadable as wrong:
                refused.append(Refused(number, (("", str(wrong)),)))
            except InvalidInput as wrong:
                refused.append(Refused(number, self._faults(wrong.detail["errors"])))
        return good, refused

    def _read(self, number: int, text: str) -> Good:
        if self.form == "csv":
            values, unsaid = self._csv_values(text), self._csv_unsaid
        else:
            try:
                values, unsaid = fhir_values(self.kind, text, self.roles)
            except ValueError as wrong:
                raise Unreadable(str(wrong)) from None
        return _MADE[self.kind](number, values, unsaid, self.day)

    @cached_property
    def _csv_unsaid(self) -> str:
        return " ".join(name for name in OPTIONAL[self.kind] if name not in self.columns and name != "matricule")

    def _csv_values(self, text: str) -> dict[str, Any]:
        found = cells(text)
        if len(found) != len(self.columns):
            raise Unreadable("columns")
        values: dict[str, Any] = {name: cell or None for name, cell in zip(self.columns, found, strict=True)}
        if "address_line" in values:
            address = {part: values.pop(column) for column, part in ADDRESS.items()}
            values["address"] = address if any(address.values()) or self.kind == "patients" else None
        for name in LISTS:
            if name in values:
                values[name] = (values[name] or "").split(LIST_SEPARATOR) if values[name] else []
        if values.get("identifiers"):
            pairs = (each.partition("=") for each in _ANOTHER_IDENTIFIER.split(values["identifiers"]))
            values["identifiers"] = [{"system": system, "value": value} for system, _, value in pairs]
        return values

    def _faults(self, errors: Sequence[Mapping[str, str]]) -> Faults:
        named = {f"address/{part}": column for column, part in ADDRESS.items()} if self.form == "csv" else {}
        pointers = ((error["pointer"].removeprefix("/"), error["message"]) for error in errors)
        return tuple((named.get(pointer, pointer), code) for pointer, code in pointers)


# --- what a line says -------------------------------------------------------------------------------------------------


def _patient(number: int, values: Mapping[str, Any], unsaid: str, today: date) -> Good:
    sheet = require_patient_sheet(values, today)
    pairs = tuple((one["system"], one["value"]) for one in sheet.identifiers)
    if sheet.matricule is None and not pairs:
        raise InvalidInput(errors=[{"pointer": "/matricule", "message": "required"}])
    identifier = sheet.matricule or " ".join(pairs[0])
    return Good(number, identifier, patient_text(sheet), unsaid, pairs)


def _professional(number: int, values: Mapping[str, Any], unsaid: str, _today: date) -> Good:
    sheet = require_professional_sheet(values)
    return Good(number, sheet.matricule, professional_text(sheet), unsaid, sheet=sheet)


def _establishment(number: int, values: Mapping[str, Any], unsaid: str, _today: date) -> Good:
    identifier = require_establishment_id(values.get("establishment_id"))
    sheet = require_establishment_sheet(values)
    return Good(number, identifier, establishment_text(sheet), unsaid, sheet=sheet)


_MADE: Final[Mapping[str, Callable[[int, Mapping[str, Any], str, date], Good]]] = {
    "patients": _patient, "professionals": _professional, "establishments": _establishment,
}  # fmt: skip


# --- who stands twice -------------------------------------------------------------------------------------------------


class Seen:
    """Whom a file has named so far, so that a second line about somebody is told.

    Matricules are bits: some hundred years with a bit for each possible number are eight megabytes, however many come.
    Others (patients without a matricule, establishments) are few and kept by their digests.
    """

    def __init__(self) -> None:
        self._years: dict[str, bytearray] = {}
        self._others: set[int] = set()

    def is_new(self, identifier: str) -> bool:
        """Whether this is the first line about somebody; from now on it has been."""
        if not (len(identifier) == 13 and identifier.isdigit()):
            before = len(self._others)
            self._others.add(hash(identifier))
            return len(self._others) > before
        bits = self._years.get(identifier[:4])
        if bits is None:
            bits = self._years[identifier[:4]] = bytearray(13 * 32 * 1000 // 8)
        place = (int(identifier[4:6]) * 32 + int(identifier[6:8])) * 1000 + int(identifier[8:11])
        was = bits[place >> 3] >> (place & 7) & 1
        bits[place >> 3] |= 1 << (place & 7)
        return not was
