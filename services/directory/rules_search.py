"""What a search for patients must say, how often somebody may search, and who of those found is shown.

Pure: no I/O, no clock. How alike two people are: `rules_matching.py`; how candidates are found: `rules_blocking.py`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from services.directory.contract import SEXES, SearchedPatient
from services.directory.rules import LONGEST_TEXT, fault, is_beginning, normalise_matricule, require_matricule
from services.directory.rules_matching import (
    MISSING,
    THRESHOLDS,
    Identity,
    Reading,
    agreement,
    known_birth_date,
    match_rate,
    read,
    tells_enough,
)
from services.refusals import InvalidInput

MOST_SHOWN: Final = 10
"""A search is for one person: whoever meets more than this says more of whom they mean [ours]."""

LIMITS: Final[Mapping[str, int]] = {"matricule": 600, "name": 120}
"""Searches of each kind that one person may send in an hour [ours]: a busy desk does not reach them, and at them a walk
through the country's names takes years."""

SOFTWARE_TIMES: Final = 10
"""Software asks for a whole house: so many times as often, for each person it acts for [ours]."""

STRETCH: Final = timedelta(hours=1)

_BORN = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?(?:-([0-9]{2}))?")


@dataclass(frozen=True)
class Sought:
    """Whom a search means: a matricule, whole or its first eleven digits, or what a person is called and born."""

    matricule: str | None = None
    reading: Reading | None = None

    @property
    def is_whole_matricule(self) -> bool:
        """Whether it is a matricule with its check digits."""
        return self.matricule is not None and not is_beginning(self.matricule)

    @property
    def kind(self) -> str:
        """The row of LIMITS it counts under."""
        return "name" if self.matricule is None else "matricule"


class Candidate(NamedTuple):
    """What a sheet is compared by; matricule only where it could say that the day of birth is unknown."""

    patient_id: str
    birth_name: str
    usual_name: str | None
    first_names: str
    birth_date: date
    sex: str
    matricule: str | None


class Hit(NamedTuple):
    """A sheet and how well it matches."""

    patient_id: str
    rate: int


# --- the question -----------------------------------------------------------------------------------------------------


def require_search(given: Mapping[str, object]) -> Sought:
    """Returns whom a search means.

    given: the members of the search, None for those that were left out.
    Refuses: InvalidInput when it says neither or both of matricule and name, when the matricule is none, and naming
    every field that is missing: with less than a name, a first name and a year it would list families and birthdays.
    """
    said = {name: value for name, value in given.items() if value is not None}
    if "matricule" in said:
        if len(said) > 1:
            raise InvalidInput(errors=[fault("matricule", "matricule_or_name")])
        digits = normalise_matricule(said["matricule"])
        return Sought(matricule=digits if is_beginning(digits) else require_matricule(digits))
    if not said:
        raise InvalidInput(errors=[fault("matricule", "matricule_or_name")])
    return Sought(reading=_require_person(said))


def _require_person(said: Mapping[str, object]) -> Reading:
    texts = {name: said.get(name, "") for name in ("name", "first_names", "birth_date", "sex")}
    wrong = [
        fault(name, "type" if not isinstance(text, str) else "too_long")
        for name, text in texts.items()
        if not isinstance(text, str) or len(text) > LONGEST_TEXT
    ]
    if wrong:
        raise InvalidInput(errors=wrong)
    name, first_names, written, sex = (str(text) for text in texts.values())
    born = _padded(written)
    sought = read(Identity(birth_name=name, first_names=first_names, birth_date=born or "", sex=sex))
    missing = {"name": not sought.birth_name.folded, "first_names": not sought.first_names.folded}
    wrong = [fault(field, "required") for field, lacks in missing.items() if lacks]
    if born is None:
        wrong.append(fault("birth_date", "birth_date" if written else "required"))
    if sex not in ("", *SEXES):
        wrong.append(fault("sex", "choice"))
    if wrong or not tells_enough(sought):
        raise InvalidInput(errors=wrong)
    return sought


def _padded(born: str) -> str | None:
    """Returns a date, a month or a year as the rules of matching know it, 00 for what was not said; None of no date."""
    match = _BORN.fullmatch(born)
    if match is None:
        return None
    year, month, day = match.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    return f"{year}-{month or '00'}-{day or '00'}"


# --- how often --------------------------------------------------------------------------------------------------------


def may_ask(kind: str, software: bool, searches: int) -> bool:
    """Whether this one of so many searches within the stretch is still answered."""
    return searches <= most(kind, software)


def most(kind: str, software: bool) -> int:
    """So many searches of a kind are answered within the stretch."""
    return LIMITS[kind] * (SOFTWARE_TIMES if software else 1)


def stretch_of(at: datetime) -> datetime:
    """Returns the beginning of the hour in which searches are counted together."""
    return at.replace(minute=0, second=0, microsecond=0)


def wait(at: datetime) -> int:
    """Returns the seconds until counting begins anew, at least one."""
    return max(1, -int((at - stretch_of(at) - STRETCH).total_seconds() // 1))


# --- the answer -------------------------------------------------------------------------------------------------------


def reading_of(sheet: Candidate) -> Reading:
    """Returns a sheet as comparing needs it."""
    born = known_birth_date(sheet.birth_date.isoformat(), sheet.matricule or "")
    return read(Identity(sheet.birth_name, sheet.first_names, born, sheet.sex, sheet.usual_name))


def rated(sought: Reading, candidates: Iterable[Candidate], least: int = THRESHOLDS.shown) -> list[Hit]:
    """Returns the candidates that match at least so well, each with its rate."""
    hits: list[Hit] = []
    for candidate in candidates:
        sheet = reading_of(candidate)
        rate = match_rate(sought, sheet)
        if rate >= least and _is_named(sought, sheet):
            hits.append(Hit(candidate.patient_id, rate))
    return hits


def _is_named(sought: Reading, sheet: Reading) -> bool:
    """Whether a family name or a whole first name leads to the sheet: a day and an initial would walk through a day."""
    levels = agreement(sought, sheet)
    family = levels.birth_name != "other" or levels.elsewhere != MISSING
    return family or levels.first_names not in ("beginning", "shared", "other")


def looked_at(hits: Iterable[Hit]) -> dict[str, int]:
    """Returns the rates of the best hits, from the best on; where they match alike, the same ones first each time.

    More than are shown, because several may be sheets of one person.
    """
    ordered = sorted(hits, key=lambda hit: (-hit.rate, hit.patient_id))
    return dict(ordered[: 4 * MOST_SHOWN])


def shown(patients: Sequence[SearchedPatient]) -> tuple[list[SearchedPatient], bool]:
    """Returns the patients to show, and whether there are more: never how many.

    patients: from the best on. Two sheets of one person are one line, by the better of the two.
    """
    lines: dict[str, SearchedPatient] = {}
    for patient in patients:
        lines.setdefault(patient["patient_id"], patient)
    return list(lines.values())[:MOST_SHOWN], len(lines) > MOST_SHOWN
