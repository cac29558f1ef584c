"""The privacy officer's reviews: each step from each state, by whom, and what is asked of the lists."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier import rules_reviews
from services.dossier.rules_reviews import Action, Place
from services.identity.contract import ROLES
from services.refusals import InvalidInput

OFFICER, COLLEAGUE, SUSPECT = "officer", "colleague", "suspect"

# (action, state, in whose hand) -> the refusal, or None where the step is taken.
STEPS = {
    ("take", "waiting", None): None,
    ("take", "taken", OFFICER): None,
    ("take", "taken", COLLEAGUE): "review_taken",
    ("take", "settled", OFFICER): "review_settled",
    ("take", "settled", COLLEAGUE): "review_settled",
    ("release", "waiting", None): "review_not_taken",
    ("release", "taken", OFFICER): None,
    ("release", "taken", COLLEAGUE): None,
    ("release", "settled", OFFICER): "review_settled",
    ("release", "settled", COLLEAGUE): "review_settled",
    ("settle", "waiting", None): "review_not_taken",
    ("settle", "taken", OFFICER): None,
    ("settle", "taken", COLLEAGUE): "review_taken",
    ("settle", "settled", OFFICER): "review_settled",
    ("settle", "settled", COLLEAGUE): "review_settled",
}


def wrong(call: Any, *arguments: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        call(*arguments)
    [error] = refused.value.detail["errors"]
    return dict(error)


# --- steps --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "state", "taken_by"), STEPS)
def test_a_step_is_taken_or_refused_as_the_table_says(action: Action, state: str, taken_by: str | None) -> None:
    refusal = rules_reviews.step(action, state, taken_by, SUSPECT, OFFICER)
    assert (None if refusal is None else refusal.code) == STEPS[action, state, taken_by]


@pytest.mark.parametrize("action", ["take", "settle"])
def test_nobody_takes_or_settles_the_review_of_their_own_access(action: str) -> None:
    for state, taken_by in (("waiting", None), ("taken", SUSPECT), ("taken", COLLEAGUE)):
        refusal = rules_reviews.step(cast("Action", action), state, taken_by, SUSPECT, SUSPECT)
        assert refusal is not None and refusal.code == "not_allowed"


def test_what_a_step_writes_is_what_the_state_means() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    assert rules_reviews.written("take", OFFICER, at) == {"state": "taken", "taken_by": OFFICER, "taken_at": at}
    assert rules_reviews.written("release", OFFICER, at) == {"state": "waiting", "taken_by": None, "taken_at": None}
    settled = {"state": "settled", "settled_by": OFFICER, "settled_at": at}
    assert rules_reviews.written("settle", OFFICER, at) == settled


@pytest.mark.parametrize("role", [*ROLES, None])
@pytest.mark.parametrize("capacity", ["agent", "professional", "patient", "machine"])
def test_a_privacy_officer_of_the_agency_reviews_and_nobody_else(capacity: str, role: str | None) -> None:
    assert rules_reviews.may_review(capacity, role) is (capacity == "agent" and role == "privacy_officer")


# --- lists --------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**9 - 1), st.uuids())
def test_a_place_in_the_statistics_is_found_again(emergencies: int, whose: UUID) -> None:
    cursor = rules_reviews.place_after(emergencies, str(whose))
    assert rules_reviews.require_place(cursor) == Place(emergencies, str(whose))


@given(st.one_of(st.text(), st.integers(), st.text("0123456789.-abcdef")))
def test_what_is_no_place_is_refused_and_breaks_nothing(cursor: Any) -> None:
    try:
        found = rules_reviews.require_place(cursor)
    except InvalidInput as refused:
        assert refused.detail["errors"] == [{"pointer": "/cursor", "message": "cursor"}]
    else:
        assert found is not None and str(UUID(found.professional_id)) == found.professional_id


@given(st.dates(date(1900, 1, 1), date(2998, 12, 31)), st.integers(0, 731))
def test_a_period_runs_from_midnight_to_midnight_whatever_the_clocks_do_in_between(first: date, days: int) -> None:
    last = first + timedelta(days=days)
    period = rules_reviews.require_period(first.isoformat(), last.isoformat())
    assert (period.since.date(), period.since.hour, period.since.minute) == (first, 0, 0)
    assert (period.until.date(), period.until.hour) == (last + timedelta(days=1), 0)


def test_a_day_of_summer_time_and_one_of_winter_time_begin_at_their_own_midnight() -> None:
    summer = rules_reviews.require_period("2026-07-01", "2026-07-01")
    winter = rules_reviews.require_period("2026-12-01", "2026-12-01")
    assert summer.since.astimezone(UTC) == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert winter.since.astimezone(UTC) == datetime(2026, 11, 30, 23, tzinfo=UTC)


@given(st.dates(date(1901, 1, 1), date(2990, 1, 1)), st.integers(1, 5000))
def test_a_period_that_ends_before_it_begins_or_never_ends_is_pointed_at(first: date, days: int) -> None:
    before = (first - timedelta(days=days % 300 + 1)).isoformat()
    assert wrong(rules_reviews.require_period, first.isoformat(), before)["message"] == "before_beginning"
    if days > 732:
        after = (first + timedelta(days=days)).isoformat()
        assert wrong(rules_reviews.require_period, first.isoformat(), after)["message"] == "range"


@pytest.mark.parametrize("limit", [0, 101, True, "5", None, 2.5])
def test_a_page_has_a_sensible_length(limit: Any) -> None:
    assert wrong(rules_reviews.require_limit, limit) == {"pointer": "/limit", "message": "range"}
    assert rules_reviews.require_limit(100) == 100


@pytest.mark.parametrize("asked", [("lost", None), (["waiting"], None), (None, "presence"), (None, 7)])
def test_the_queue_is_narrowed_by_its_own_words_alone(asked: tuple[Any, Any]) -> None:
    assert wrong(rules_reviews.require_queue, *asked, 50, None)["message"] == "choice"
    queue = rules_reviews.require_queue("waiting", "emergency", 50, None)
    assert (queue.state, queue.kind, queue.after) == ("waiting", "emergency", None)
