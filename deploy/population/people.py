"""The people themselves, one after another: nothing is kept but a few counters and the duplicates still to come.

What a real register holds and a careless sample lacks is here on purpose: twins (same family name, day and address),
sons with their father's whole name, two- and three-part Portuguese names, women known by their husband's name, and
duplicates with the errors of `errors.py`, each with the matricule of its original.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from deploy.population import errors, names
from deploy.population.names import Drawn, Families
from deploy.population.places import ABROAD, AT_HOME, STREETS, postal_code
from services.directory.rules import check_digits

FIRST_DAY: Final = date(1925, 1, 1)
LAST_DAY: Final = date(2026, 10, 31)

TWIN_BIRTHS: Final = 0.016
"""Of births, those that are of two: 1.6 in a hundred in western Europe today."""
NAMED_AFTER_FATHER: Final = 0.01
UNKNOWN_DAY: Final = 0.001
DOUBLE_NAMES_SINCE: Final = 2006
PATIENTS_SEQUENCES: Final = 900
"""Patients have the sequences below, professionals those from here on, so that no two people share a matricule."""
WAITING: Final = 500
"""How many originals wait for their duplicate to be written: far enough apart, few enough to keep memory flat."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient as an affiliation feed tells them; a duplicate knows its original's matricule and its own errors."""

    matricule: str
    birth_name: str
    usual_name: str | None
    first_names: str
    sex: str
    birth_date: str
    language: str
    address_line: str
    postal_code: str
    locality: str
    country: str
    duplicate_of: str | None = None
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Community:
    """People who draw their names from one stock; shares are of the insured, those from across the borders included."""

    share: float
    families: Families
    first_names: dict[str, tuple[Drawn, Drawn]]
    languages: tuple[str, ...]
    abroad: float
    takes_husbands_name: float
    several_first_names: tuple[float, float]


COMMUNITIES: Final = (
    Community(0.43, names.LUXEMBOURGISH, names.LUXEMBOURGISH_FIRST, ("lb", "lb", "fr", "de"), 0.0, 0.4, (0.7, 0.4)),
    Community(0.16, names.PORTUGUESE, names.PORTUGUESE_FIRST, ("pt", "pt", "fr"), 0.02, 0.1, (0.75, 0.6)),
    Community(0.18, names.FRENCH, names.FRENCH_FIRST, ("fr",), 0.5, 0.4, (0.6, 0.3)),
    Community(0.08, names.GERMAN, names.GERMAN_FIRST, ("de",), 0.5, 0.4, (0.4, 0.2)),
    Community(0.05, names.ITALIAN, names.ITALIAN_FIRST, ("fr", "lb", "fr", "en"), 0.0, 0.05, (0.3, 0.15)),
    Community(0.1, names.OTHER, names.OTHER_FIRST, ("fr", "en", "en"), 0.3, 0.15, (0.3, 0.15)),
)
_SHARES: Final = list(accumulate(community.share for community in COMMUNITIES))
_PORTUGUESE = COMMUNITIES[1]
_LUXEMBOURGISH = COMMUNITIES[0]


class Matricules:
    """Hands out matricules that nobody else has: per day a ring of sequences walked in steps, so none looks counted."""

    def __init__(self, lowest: int, sequences: int) -> None:
        self._lowest, self._sequences = lowest, sequences
        self._given = array("H", bytes(2 * ((LAST_DAY - FIRST_DAY).days + 1)))
        self._given_unknown: dict[str, int] = {}

    def of(self, born: date) -> str:
        """A matricule of this very day."""
        place = (born - FIRST_DAY).days
        self._given[place] += 1
        return self._next(f"{born:%Y%m%d}", place, self._given[place])

    def of_unknown(self, digits: str) -> str:
        """A matricule of a day given as eight digits with 00 in them."""
        self._given_unknown[digits] = given = self._given_unknown.get(digits, 0) + 1
        return self._next(digits, int(digits), given)

    def _next(self, digits: str, start: int, given: int) -> str:
        if given > self._sequences:
            raise ValueError(f"more than {self._sequences} people born on {digits}")
        first = f"{digits}{self._lowest + (start * 631 + given * 67) % self._sequences:03d}"
        return first + check_digits(first)


def patients(count: int, seed: int, duplicates: float = 0.01) -> Iterator[Patient]:
    """`count` patients, of whom about `duplicates` (a share of the originals) are a second sheet of an earlier one."""
    random = Random(f"patients of {seed}")  # noqa: S311 (invented, no secret)
    matricules = Matricules(0, PATIENTS_SEQUENCES)
    originals = _originals(random, matricules)
    waiting: list[Patient] = []
    for left in range(count, 0, -1):
        if len(waiting) >= min(WAITING, left):
            yield _duplicate(random, matricules, waiting.pop(random.randrange(len(waiting))))
            continue
        person = next(originals)
        if random.random() < duplicates:
            waiting.append(person)
        yield person


def _originals(random: Random, matricules: Matricules) -> Iterator[Patient]:
    """People without end, some in pairs."""
    while True:
        community = random.choices(COMMUNITIES, cum_weights=_SHARES)[0]
        born = birth_date(random)
        person = _person(random, matricules, community, born)
        yield person
        chance = random.random()
        if chance < TWIN_BIRTHS:
            yield _twin(random, matricules, community, born, person)
        elif chance < TWIN_BIRTHS + NAMED_AFTER_FATHER and person.sex == "M" and born.year < LAST_DAY.year - 36:
            yield _son(random, matricules, community, born, person)


def _person(random: Random, matricules: Matricules, community: Community, born: date) -> Patient:
    sex = "F" if random.random() < 0.5 else "M"
    birth_name = family_name(random, community, born)
    line, code, locality, country = address(random, community.abroad)
    matricule = matricules.of(born)
    if random.random() < UNKNOWN_DAY:
        matricule, born = _of_unknown_day(random, matricules, born)
    return Patient(
        matricule=matricule,
        birth_name=birth_name,
        usual_name=_husbands_name(random, community, birth_name) if sex == "F" and born.year < 2000 else None,
        first_names=first_names(random, community, sex, born),
        sex=sex if random.random() > 0.0003 else "X",
        birth_date=born.isoformat(),
        language=random.choice(community.languages),
        address_line=line,
        postal_code=code,
        locality=locality,
        country=country,
    )


def _twin(random: Random, matricules: Matricules, community: Community, born: date, other: Patient) -> Patient:
    sex = other.sex if random.random() < 0.66 else ("M" if other.sex == "F" else "F")
    given = other.first_names
    while _called(given) in _each(other.first_names) or _called(other.first_names) in _each(given):
        given = first_names(random, community, sex, born)  # nobody calls both by one name
    return replace(
        other, matricule=matricules.of(born), sex=sex, first_names=given, birth_date=born.isoformat(), usual_name=None
    )


def _called(given: str) -> str:
    return given.split()[0]


def _each(given: str) -> list[str]:
    return given.replace("-", " ").split() + given.split()


def _son(random: Random, matricules: Matricules, community: Community, born: date, father: Patient) -> Patient:
    son = birth_date(random)
    while not 20 <= son.year - born.year <= 45:
        son = birth_date(random)
    line, code, locality, country = address(random, community.abroad)
    return replace(
        father, matricule=matricules.of(son), birth_date=son.isoformat(), address_line=line, postal_code=code,
        locality=locality, country=country,
    )  # fmt: skip


def _of_unknown_day(random: Random, matricules: Matricules, born: date) -> tuple[str, date]:
    """Registers that know the year only, or year and month, write 00 in the matricule and the first on the sheet."""
    if random.random() < 0.5:
        return matricules.of_unknown(f"{born.year}0000"), born.replace(month=1, day=1)
    return matricules.of_unknown(f"{born:%Y%m}00"), born.replace(day=1)


def _duplicate(random: Random, matricules: Matricules, original: Patient) -> Patient:
    """A second sheet of somebody, as another desk wrote it."""
    sheet, made = errors.mistaken(random, errors.Sheet(
        original.birth_name, original.usual_name, original.first_names, original.sex, original.birth_date,
    ))  # fmt: skip
    born = date.fromisoformat(sheet.birth_date)
    matricule = matricules.of(born)
    if "date_unknown" in made:
        matricule, born = _of_unknown_day(random, matricules, born)
    return replace(
        original, matricule=matricule, birth_name=sheet.birth_name, usual_name=sheet.usual_name,
        first_names=sheet.first_names, sex=sheet.sex, birth_date=born.isoformat(),
        duplicate_of=original.matricule, errors=made,
    )  # fmt: skip


# --- what a person has ------------------------------------------------------------------------------------------------


def _crowd(year: int) -> float:
    """How many of the insured were born in a year, against the fullest."""
    age = LAST_DAY.year - year
    for youngest, crowd in ((96, 0.03), (86, 0.2), (76, 0.5), (66, 0.75), (57, 1.1), (30, 1.6), (20, 1.2)):
        if age >= youngest:
            return crowd
    return 0.9


_YEARS = range(FIRST_DAY.year, LAST_DAY.year + 1)
_CROWDS = list(accumulate(_crowd(year) for year in _YEARS))


def birth_date(random: Random) -> date:
    """A day as the ages of the insured are spread."""
    while True:
        year = random.choices(_YEARS, cum_weights=_CROWDS)[0]
        born = date(year, 1, 1) + timedelta(days=random.randrange(365))
        if born <= LAST_DAY:
            return born


def family_name(random: Random, community: Community, born: date) -> str:
    """A birth name; Portuguese children have their mother's and their father's, others may since DOUBLE_NAMES_SINCE."""
    name = community.families.one(random)
    if born.year >= DOUBLE_NAMES_SINCE and community is not _PORTUGUESE and random.random() < 0.12:
        return f"{name}{random.choice('- ')}{community.families.one(random)}"
    if community is _PORTUGUESE and random.random() < 0.6:
        further = community.families.one(random)
        return name if further == name else f"{name} {further}"
    return name


def _husbands_name(random: Random, community: Community, birth_name: str) -> str | None:
    if random.random() >= community.takes_husbands_name:
        return None
    husband = community if random.random() < 0.7 else random.choices(COMMUNITIES, cum_weights=_SHARES)[0]
    name = husband.families.one(random)
    if name == birth_name:
        return None
    return f"{name}-{birth_name}" if community is _LUXEMBOURGISH and random.random() < 0.5 else name


def first_names(random: Random, community: Community, sex: str, born: date) -> str:
    """One to three first names of the time; the older, the more."""
    old = born.year <= names.OLD_NAMES_UNTIL
    stock = community.first_names[sex if sex in community.first_names else "F"][0 if old else 1]
    given = [stock.one(random)]
    more = community.several_first_names[0 if old else 1]
    while len(given) < 3 and random.random() < more:
        name = stock.one(random)
        if name not in given:
            given.append(name)
        more /= 2
    return " ".join(given)


def address(random: Random, abroad: float) -> tuple[str, str, str, str]:
    """Line, postal code, locality and country."""
    place = (ABROAD if random.random() < abroad else AT_HOME).one(random)
    return f"{random.randint(1, 180)}, {random.choice(STREETS)}", postal_code(place, random), place.name, place.country
