"""How well keys and score find who is one person, on invented people with known duplicates (`deploy/population`).

The table and the thresholds were fixed on seed 1; other seeds judge them here. `pytest -s` prints the figures, per kind
of error. What they depend on is in the open: PEOPLE, the share of DUPLICATES (fewer of them, and the same number of
confusable twins weighs more), and the mix of `deploy/population/errors.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import pytest
from rich.console import Console
from rich.table import Table as Sheet

from deploy.population.people import Patient, patients
from services.directory import rules_matching as matching
from services.directory.rules_blocking import blocking_keys, search_keys
from services.directory.rules_matching import SCALE, TABLE, Identity, Odds, Reading, Scale, Table

PEOPLE = 20_000
DUPLICATES = 0.05
JUDGES = (2, 3)

LEAST_RECALL = 0.98
LEAST_PRECISION = 0.99
LEAST_RECALL_OF_KEYS = 0.99
MOST_COMPARED = 3.0

Pair = tuple[int, int]


@dataclass(frozen=True)
class Population:
    """People read, the pairs that share a key, and the pairs that are one person with what was mistaken."""

    readings: list[Reading]
    compared: frozenset[Pair]
    planted: Mapping[Pair, tuple[str, ...]]


@dataclass(frozen=True)
class Verdict:
    """What a table says of a population."""

    found: frozenset[Pair]
    planted: Mapping[Pair, tuple[str, ...]]

    @property
    def recall(self) -> float:
        return len(self.found & self.planted.keys()) / len(self.planted)

    @property
    def precision(self) -> float:
        return len(self.found & self.planted.keys()) / len(self.found) if self.found else 0.0

    @property
    def good(self) -> bool:
        return self.recall >= LEAST_RECALL and self.precision >= LEAST_PRECISION


def identity(patient: Patient) -> Identity:
    born = matching.known_birth_date(patient.birth_date, patient.matricule)
    return Identity(patient.birth_name, patient.first_names, born, patient.sex, patient.usual_name)


@cache
def population(seed: int) -> Population:
    readings: list[Reading] = []
    places: dict[str, int] = {}
    planted: dict[Pair, tuple[str, ...]] = {}
    by_key: dict[str, list[int]] = defaultdict(list)
    for place, patient in enumerate(patients(PEOPLE, seed, DUPLICATES)):
        places[patient.matricule] = place
        readings.append(matching.read(identity(patient)))
        if patient.duplicate_of:
            planted[places[patient.duplicate_of], place] = patient.errors
        for key in blocking_keys(readings[-1]):
            by_key[key].append(place)
    compared = {
        (min(one, other), max(one, other))
        for one, reading in enumerate(readings)
        for key in search_keys(reading)
        for other in by_key.get(key, ())
        if one != other
    }
    return Population(readings, frozenset(compared), planted)


def judged(people: Population, scale: Scale = SCALE) -> Verdict:
    certain = matching.THRESHOLDS.certain
    found = {
        (one, other)
        for one, other in people.compared
        if matching.match_rate(people.readings[one], people.readings[other], scale) >= certain
    }
    return Verdict(frozenset(found), people.planted)


@pytest.mark.parametrize("seed", JUDGES)
def test_the_keys_find_99_in_100_duplicates_and_compare_a_handful(seed: int) -> None:
    people = population(seed)
    assert len(people.planted) > 0.8 * DUPLICATES * PEOPLE
    assert len(people.compared & people.planted.keys()) / len(people.planted) >= LEAST_RECALL_OF_KEYS
    assert len(people.compared) / PEOPLE <= MOST_COMPARED


@pytest.mark.parametrize("seed", JUDGES)
def test_who_is_certainly_one_person_is_found_98_times_in_100_and_wrongly_once(seed: int) -> None:
    people = population(seed)
    verdict = judged(people)
    report(seed, people, verdict)
    assert verdict.recall >= LEAST_RECALL, f"{verdict.recall:.4f}"
    assert verdict.precision >= LEAST_PRECISION, f"{verdict.precision:.4f}"


# --- it can fail ------------------------------------------------------------------------------------------------------


def without(*fields: str) -> Table:
    """The table as if these fields told nothing."""
    silent = {field: {level: Odds(0.5, 0.5, odds.why) for level, odds in TABLE[field].items()} for field in fields}
    return {**TABLE, **silent}


def only_to_the_letter(field: str) -> Table:
    """The table as if every degree of agreement but the best were none."""
    best, worst = ("several_same", "same"), TABLE[field]["other"]
    return {**TABLE, field: {level: odds if level in best else worst for level, odds in TABLE[field].items()}}


def as_good_as_the_date(level: str) -> Table:
    """The table as if this degree were as good as the very date."""
    return {**TABLE, "birth_date": {**TABLE["birth_date"], level: TABLE["birth_date"]["same"]}}


BROKEN = {
    "first names tell nothing": without("first_names"),
    "birth dates tell nothing": without("birth_date"),
    "any date of the year is the date": as_good_as_the_date("year"),
    "family names to the letter": only_to_the_letter("birth_name"),
    "first names to the letter": only_to_the_letter("first_names"),
    "birth dates to the letter": only_to_the_letter("birth_date"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_table_is_found_out(broken: str) -> None:
    verdict = judged(population(JUDGES[0]), Scale(BROKEN[broken]))
    Console().print(f"{broken}: recall {verdict.recall:.4f}, precision {verdict.precision:.4f}")
    assert not verdict.good


def test_broken_keys_are_found_out() -> None:
    people = population(JUDGES[0])
    by_date = {pair for pair in people.compared if share_a_key(people, pair, "d")}
    assert len(by_date & people.planted.keys()) / len(people.planted) < LEAST_RECALL_OF_KEYS


def share_a_key(people: Population, pair: Pair, kind: str) -> bool:
    one, other = (blocking_keys(people.readings[place]) for place in pair)
    return any(key.startswith(kind) for key in one & other)


# --- what -s prints ---------------------------------------------------------------------------------------------------


def report(seed: int, people: Population, verdict: Verdict) -> None:
    planted, compared, found = Counter[str](), Counter[str](), Counter[str]()
    for pair, errors in people.planted.items():
        kind = "two errors" if len(errors) > 1 else "".join(errors) or "none"
        planted[kind] += 1
        compared[kind] += pair in people.compared
        found[kind] += pair in verdict.found
    wrong = len(verdict.found - people.planted.keys())
    sheet = Sheet(
        title=f"seed {seed}: {PEOPLE:,} sheets, {len(people.compared):,} pairs compared, {wrong} wrongly certain"
    )
    for column in ("error", "duplicates", "found by keys", "certain", "recall"):
        sheet.add_column(column, justify="left" if column == "error" else "right")
    for kind, number in sorted(planted.items(), key=lambda each: -each[1]):
        sheet.add_row(kind, str(number), str(compared[kind]), str(found[kind]), f"{found[kind] / number:.3f}")
    sheet.add_section()
    sheet.add_row("all", str(planted.total()), str(compared.total()), str(found.total()), f"{verdict.recall:.4f}")
    sheet.add_row("precision", "", "", "", f"{verdict.precision:.4f}")
    Console(width=100).print(sheet)
