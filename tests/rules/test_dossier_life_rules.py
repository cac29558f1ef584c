"""Every transition of a record's life beside its forbidden twin, and the days on which time alone takes one.

The table is the dictionary's own, written down again: "Life of a record".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier import rules_life
from services.dossier.contract import (
    CLOSING_CAUSES,
    LIFE_PERIODS,
    STATE_CAUSES,
    STATES,
    NotInThisState,
    RecordNotFound,
)
from services.dossier.rules_life import Life
from services.dossier.rules_tables import Period
from services.dossier.tables import tables_at
from services.refusals import NotAllowed

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TABLES = tables_at(NOW)
OPENED = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def life(state: str = "active", **changes: object) -> Life:
    """A record opened in September and never looked at."""
    stands = Life(
        record_id="0190aaaa-0000-7000-8000-000000000001", patient_id="0190aaaa-0000-7000-8000-000000000002",
        state=state, since=OPENED, merged=False, began_at=OPENED, opened_at=OPENED, accessed_on=None,
    )  # fmt: skip
    return replace(stands, **changes)  # type: ignore[arg-type]


def may(stands: Life, becomes: str, cause: str) -> bool:
    return rules_life.require_step(TABLES, stands, becomes, cause) is None


# --- every transition and its twin ------------------------------------------------------------------------------------

# What happens, the cause, from which states it leads where; from every other state it is refused.
TRANSITIONS = [
    ("the identity was checked", "identity_checked", {"requested": "open"}),
    ("the holder activates", "activation", {"open": "active", "open_by_lapse": "active"}),
    ("nobody activates in time", "lapse", {"open": "open_by_lapse"}),
    ("the holder opposes", "opposition", {"requested": "deleted", "open": "deleted"}),
    ("the holder closes", "holder_request", {"open": "closed", "open_by_lapse": "closed", "active": "closed"}),
    ("the agency closes", "agency_request", {"open": "closed", "open_by_lapse": "closed", "active": "closed"}),
    ("the holder dies", "death",
     {"open": "closed", "open_by_lapse": "closed", "active": "closed", "closed": "closed"}),
    ("the death was none", "death_withdrawn", {"closed": "closed"}),
    ("nobody comes for ten years", "ten_years_without_access",
     {"open": "closed", "open_by_lapse": "closed", "active": "closed"}),
    ("the holder reopens", "reopening", {"closed": "active"}),
    ("ten years closed", "ten_years_closed", {"closed": "deleted"}),
]  # fmt: skip


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("cause", "leads"), [row[1:] for row in TRANSITIONS], ids=[row[0] for row in TRANSITIONS])
def test_a_step_leads_where_the_dictionary_says_and_is_refused_from_everywhere_else(
    cause: str, leads: dict[str, str], state: str
) -> None:
    allowed = {becomes for becomes in STATES if may(life(state), becomes, cause)}
    assert allowed == ({leads[state]} if state in leads else set())


def test_every_cause_of_the_life_cycle_is_a_word_of_the_contract() -> None:
    assert {cause for _, _, cause in TABLES.life_cycle} == set(STATE_CAUSES)
    assert set(CLOSING_CAUSES) < set(STATE_CAUSES)


def test_nothing_leads_out_of_a_deleted_record() -> None:
    assert not [row for row in TABLES.life_cycle if row[0] == "deleted"]


def test_a_refusal_names_the_state_and_a_merged_record_takes_no_step_of_its_own() -> None:
    refusal = rules_life.require_step(TABLES, life("active"), "deleted", "opposition")
    assert isinstance(refusal, NotInThisState) and refusal.detail == {"state": "active"}
    for _, cause, leads in TRANSITIONS:
        for state, becomes in leads.items():
            assert not may(life(state, merged=True), becomes, cause)


# --- opposition -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "leads"),
    [
        ("requested", ("deleted", "opposition")),
        ("open", ("deleted", "opposition")),
        ("open_by_lapse", ("closed", "holder_request")),
        ("active", None),
        ("closed", None),
    ],
)
def test_an_opposition_deletes_what_nobody_could_use_closes_what_lapsed_and_leaves_what_is_active(
    state: str, leads: tuple[str, str] | None
) -> None:
    assert rules_life.after_opposition(TABLES, life(state)) == leads
    assert rules_life.after_opposition(TABLES, life(state, merged=True)) is None


# --- reopening --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agency", [False, True])
@pytest.mark.parametrize("cause", ["holder_request", "agency_request", "ten_years_without_access", "death"])
def test_the_holder_reopens_and_after_a_death_the_agency_alone(cause: str, agency: bool) -> None:
    closed = life("closed", closed_for=cause, closed_from="active")
    refusal = rules_life.require_reopening(TABLES, closed, agency, NOW)
    assert (refusal is None) is ((cause == "death") is agency)
    assert refusal is None or isinstance(refusal, NotAllowed)


@pytest.mark.parametrize("state", STATES)
def test_only_a_closed_record_is_reopened(state: str) -> None:
    refusal = rules_life.require_reopening(TABLES, life(state), False, NOW)
    assert (refusal is None) is (state == "closed")
    assert refusal is None or isinstance(refusal, NotInThisState)


def test_a_record_is_reopened_within_ten_years_and_not_a_moment_later() -> None:
    closed = life("closed", closed_for="holder_request", closed_from="active")
    over = datetime(2036, 9, 1, 8, 30, tzinfo=UTC)
    assert rules_life.require_reopening(TABLES, closed, False, over - timedelta(microseconds=1)) is None
    assert isinstance(rules_life.require_reopening(TABLES, closed, False, over), NotInThisState)


def test_a_death_noted_by_mistake_leaves_closed_what_the_holder_had_closed() -> None:
    assert rules_life.reopening(life("closed", closed_for="death", closed_from="active")) == ("active", "reopening")
    twice = life("closed", closed_for="death", closed_from="closed")
    assert rules_life.reopening(twice) == ("closed", "death_withdrawn")
    assert rules_life.require_reopening(TABLES, twice, True, NOW) is None
    back = life("closed", closed_for="death_withdrawn", closed_from="closed")
    assert rules_life.require_reopening(TABLES, back, False, NOW) is None
    assert isinstance(rules_life.require_reopening(TABLES, back, True, NOW), NotAllowed)


def test_who_may_not_is_told_so_on_the_holder_side_and_finds_no_record_elsewhere() -> None:
    assert isinstance(rules_life.hidden_state(holder_side=True), NotAllowed)
    assert isinstance(rules_life.hidden_state(holder_side=False), RecordNotFound)


# --- what time alone does ---------------------------------------------------------------------------------------------


def test_the_periods_are_thirty_days_and_twice_ten_years() -> None:
    assert TABLES.life_periods == {
        "lapse": Period(days=30, years=0), "inactivity": Period(days=0, years=10), "deletion": Period(days=0, years=10)
    }  # fmt: skip
    assert set(TABLES.life_periods) == set(LIFE_PERIODS)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("2026-11-21", "2036-11-21"),
        ("2024-02-29", "2034-02-28"),
        ("2028-02-29", "2038-02-28"),
        ("2026-12-31", "2036-12-31"),
    ],
)
def test_ten_years_end_on_the_same_day_and_on_the_last_of_a_shorter_february(begins: str, ends: str) -> None:
    moment = datetime.fromisoformat(f"{begins}T09:15:00+00:00")
    assert Period(days=0, years=10).after(moment) == datetime.fromisoformat(f"{ends}T09:15:00+00:00")


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    later=st.timedeltas(timedelta(0), timedelta(days=800)),
)
def test_who_begins_later_never_ends_earlier(moment: datetime, later: timedelta) -> None:
    for period in TABLES.life_periods.values():
        assert moment < period.after(moment) <= period.after(moment + later)


def test_the_years_without_access_count_from_the_last_day_somebody_came_or_from_the_last_beginning() -> None:
    never = rules_life.closes_without_access(TABLES, life())
    assert never == datetime(2036, 9, 1, 8, 30, tzinfo=UTC)
    came = life(accessed_on=date(2026, 11, 20))
    assert rules_life.closes_without_access(TABLES, came) == datetime(2036, 11, 21, tzinfo=UTC)
    reopened = replace(came, began_at=NOW)
    assert rules_life.closes_without_access(TABLES, reopened) == datetime(2036, 11, 21, 12, 0, tzinfo=UTC)


@given(st.dates(date(2026, 9, 1), date(2096, 12, 31)), st.timedeltas(timedelta(0), DAY - timedelta(microseconds=1)))
def test_a_visit_at_any_hour_of_its_day_gives_no_less_than_ten_years(day: date, hour: timedelta) -> None:
    came_at = datetime.combine(day, datetime.min.time(), UTC) + hour
    closes_at = rules_life.closes_without_access(TABLES, life(accessed_on=day))
    ten_years = TABLES.life_periods["inactivity"].after(came_at)
    assert ten_years <= closes_at <= ten_years + DAY


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("requested", set()),
        ("open", {"lapses_on", "closes_on"}),
        ("open_by_lapse", {"closes_on"}),
        ("active", {"closes_on"}),
        ("closed", {"deleted_on"}),
    ],
)
def test_a_state_shows_the_days_of_its_own_next_steps_and_no_others(state: str, shown: set[str]) -> None:
    days = rules_life.days_to_come(TABLES, life(state), OPENED + 31 * DAY)
    assert set(days) == {"lapses_on", "closes_on", "deleted_on"}
    assert {name for name, day in days.items() if day is not None} == shown
    assert days["deleted_on"] in (None, date(2036, 9, 1)) and days["lapses_on"] in (None, date(2026, 10, 2))
    assert set(rules_life.days_to_come(TABLES, life(state, merged=True), OPENED).values()) == {None}


def test_an_open_record_whose_letter_is_not_printed_yet_does_not_lapse() -> None:
    assert rules_life.days_to_come(TABLES, life("open"), None)["lapses_on"] is None
