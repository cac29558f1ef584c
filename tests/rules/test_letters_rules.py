"""The decisions on letters that wait: until when, how long one rests that could not be printed, who sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.db import rfc3339
from services.notifications import rules
from services.notifications.contract import LETTER_OCCASIONS, LETTER_STATES

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def test_a_letter_is_due_seven_days_after_it_was_asked_for() -> None:
    assert rules.letter_due_by("2026-11-21T09:30:00.000000Z") == NOW + timedelta(days=7)


def test_a_letter_that_cannot_be_printed_rests_longer_each_time_up_to_a_bound() -> None:
    for outage, longest in ((True, timedelta(minutes=1)), (False, timedelta(hours=1))):
        waits = [rules.wait_before_print(attempts, outage) for attempts in range(1, 100)]
        assert waits == sorted(waits) and waits[0] == timedelta(seconds=1) and waits[-1] == longest


@pytest.mark.parametrize(
    ("capacity", "may"), [("agent", True), ("patient", False), ("professional", False), ("machine", False)]
)
def test_only_agents_see_letters(capacity: str, may: bool) -> None:
    assert rules.may_see_letters(capacity) is may


@pytest.mark.parametrize("state", LETTER_STATES)
@pytest.mark.parametrize(("due_in", "late"), [(timedelta(0), False), (timedelta(seconds=-1), True)])
def test_late_is_what_should_be_on_its_way_and_waits(state: str, due_in: timedelta, late: bool) -> None:
    letter: dict[str, Any] = {
        "letter_id": "l", "occasion": LETTER_OCCASIONS[0], "state": state, "due_by": NOW + due_in,
        "printed_at": None if state == "waiting" else NOW,
    }  # fmt: skip
    assert rules.shown_letter(letter, NOW, rfc3339)["overdue"] is (late and state == "waiting")


def test_every_letter_there_is_has_an_occasion_of_the_contract() -> None:
    invited = {rules.letter_of_invited(kind, purpose) for kind in rules.LETTER_OF_INVITED
               for purpose in ("activation", "recovery")}  # fmt: skip
    assert invited | {"record_opened"} == set(LETTER_OCCASIONS)
