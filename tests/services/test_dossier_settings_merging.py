"""What the holders of two records had set, when these turn out to be one person's: what goes along, what goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.db import new_id
from services.dossier.models import Record
from services.dossier.models_desk import Setting
from tests.services.dossier_house import refusal_code
from tests.services.dossier_twins import Pair, merged
from tests.services.own_access_house import RISK, OwnAccessHouse


class Settings:
    """Two records of what is one person: `one` survives, `other` is merged into it."""

    def __init__(self, house: OwnAccessHouse) -> None:
        self.house, self.pair = house, Pair(house)
        self.one, self.other = self.pair.record, self.pair.other

    def in_one(self, name: str, value: str, **more: Any) -> None:
        self.house.set(self.pair.holder, self.one, name, value, **more)

    def in_other(self, name: str, value: str, **more: Any) -> None:
        self.house.set(self.pair.twin, self.other, name, value, **more)

    def merge_again(self) -> None:
        self.pair.merge_id = new_id()
        self.pair.merge()

    def holds(self, name: str, record_id: str | None = None) -> str:
        """What decisions go by, and what stands in the settings: the same."""
        where = record_id or self.one
        [record] = [row for row in self.house.rows(Record) if row.record_id == where]
        repeated = str(getattr(record, name))
        words = [row for row in self.house.rows(Setting) if (row.record_id, row.name) == (where, name)]
        standing = [row.value for row in words if row.until is None]
        assert standing in ([], [repeated])
        return repeated


@pytest.fixture
def both(database: Callable[[str], str]) -> Iterator[Settings]:
    house = OwnAccessHouse(database("dossier"))
    yield Settings(house)
    house.sessions.engine.dispose()


def test_a_refusal_said_in_one_record_holds_in_the_one_it_leads_to_and_goes_back(both: Settings) -> None:
    both.in_other("emergency", "refused", **RISK)
    both.pair.merge()
    assert both.holds("emergency") == "refused"
    answer = both.house.break_glass(both.house.of_emergency(), both.one)
    assert refusal_code(answer) == "emergency_refused"
    both.pair.unmerge()
    assert both.holds("emergency") == "normal"
    assert both.holds("emergency", both.other) == "refused"
    assert both.house.break_glass(both.house.of_emergency(), both.one)["kind"] == "emergency"
    both.merge_again()
    assert both.holds("emergency") == "refused"


@pytest.mark.parametrize(
    ("ours", "theirs", "holds"),
    [("normal", "refused", "refused"), ("refused", "normal", "refused"), ("with_confidential", "normal", "normal"),
     ("normal", "with_confidential", "normal")],
)  # fmt: skip
def test_where_both_have_said_something_the_better_guard_holds(
    both: Settings, ours: str, theirs: str, holds: str
) -> None:
    both.in_one("emergency", ours, **RISK)
    both.in_other("emergency", theirs, **RISK)
    both.pair.merge()
    assert both.holds("emergency") == holds
    both.pair.unmerge()
    assert (both.holds("emergency"), both.holds("emergency", both.other)) == (ours, theirs), "each has its own again"


def test_what_was_said_since_is_not_said_over_by_a_later_word_of_the_directory(both: Settings) -> None:
    both.in_other("responsibility", "refused")
    both.pair.merge()
    both.in_one("responsibility", "allowed")
    third, _ = both.house.holder()
    merged(both.house, both.pair.holder, third)
    assert both.holds("responsibility") == "allowed"
    both.pair.unmerge()
    assert both.holds("responsibility") == "allowed", "the holder's own word, said since, stays"


def test_a_refusal_said_since_in_the_surviving_record_holds_in_the_restored_one_too(both: Settings) -> None:
    both.pair.merge()
    both.in_one("emergency", "refused", **RISK)
    both.pair.unmerge()
    assert (both.holds("emergency"), both.holds("emergency", both.other)) == ("refused", "refused")


def test_an_opening_said_since_in_the_surviving_record_stays_there(both: Settings) -> None:
    both.in_other("emergency", "refused", **RISK)
    both.pair.merge()
    both.in_one("emergency", "with_confidential")
    both.pair.unmerge()
    assert both.holds("emergency", both.other) == "refused"


def test_default_levels_and_declarations_go_along_and_back(both: Settings) -> None:
    both.in_one("default_level", "confidential")
    both.in_other("default_level", "private")
    both.in_other("default_level", "private", folder="imaging")
    dossier = both.house.dossier
    given = {"name": "organ_donation", "value": "donor", "declared_on": "2026-03-01", "note": "Sauf les cornées."}
    said = dossier.declare(both.pair.twin, record_id=both.other, **given)
    both.pair.merge()
    [one] = [row for row in both.house.rows(Record) if row.record_id == both.one]
    assert one.default_levels == {"": "private", "imaging": "private"}
    along = dossier.declaration(both.pair.holder, record_id=both.one, name="organ_donation")
    assert along == {**said, "since": along["since"]}
    both.pair.unmerge()
    [one] = [row for row in both.house.rows(Record) if row.record_id == both.one]
    assert one.default_levels == {"": "confidential"}
    assert dossier.declaration(both.pair.holder, record_id=both.one, name="organ_donation")["value"] == "not_said"
    assert dossier.declaration(both.pair.twin, record_id=both.other, name="organ_donation") == said


def test_of_two_declarations_the_later_one_holds(both: Settings) -> None:
    given = {"name": "organ_donation", "declared_on": "2026-03-01", "note": None}
    both.house.dossier.declare(both.pair.holder, record_id=both.one, value="donor", **given)
    both.house.dossier.declare(both.pair.twin, record_id=both.other, value="not_a_donor", **given)
    both.pair.merge()
    found = both.house.dossier.declaration(both.pair.holder, record_id=both.one, name="organ_donation")
    assert found["value"] == "not_a_donor"


def test_what_came_out_of_a_record_that_its_holder_had_closed_is_nothing(both: Settings) -> None:
    both.in_other("emergency", "refused", **RISK)
    both.house.set_state(both.other, "closed")
    both.pair.merge()
    assert both.holds("emergency") == "normal"


def test_a_merged_record_is_no_place_to_end_an_emergency_session(both: Settings) -> None:
    doctor = both.house.of_emergency()
    both.house.break_glass(doctor, both.other)
    both.pair.merge()
    assert both.house.scope(doctor, both.one).clauses[0].ground == "emergency", "it runs where its record leads"
    ended = both.house.dossier.end_emergency_session(doctor, record_id=both.other)
    assert refusal_code(ended) == "mandate_not_found"
    both.house.dossier.end_emergency_session(doctor, record_id=both.one)
    assert both.house.scope(doctor, both.one).clauses == ()
