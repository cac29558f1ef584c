"""What the steps of a thing count, in whatever order they come; who reads statistics; what may be asked for."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.contract import ACTIONS
from services.audit.rules_statistics import (
    ACCESSES,
    DEPOSITED,
    REMOVED,
    account_in,
    corrected,
    counts_of,
    day_of,
    days_of,
    difference,
    ended_on,
    may_read_statistics,
    numbered,
    percent,
    require_added,
    require_dates,
    require_day,
    require_months,
    require_standing,
)
from services.refusals import InvalidInput

KEYS = ("medical_report", "imaging", "laboratory_results")
DAYS = st.dates(date(2015, 10, 1), date(2015, 10, 9)).map(date.isoformat)
STEPS = st.dictionaries(
    st.integers(0, 12).map(numbered), st.tuples(st.sampled_from((None, *KEYS)), DAYS).map(list), max_size=6
)


def added_up(*changes: dict[tuple[str, str], tuple[int, int, int, int]]) -> dict[tuple[str, str], list[int]]:
    sums: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        for place, counts in change.items():
            sums[place] = [had + more for had, more in zip(sums.get(place, [0] * 4), counts, strict=True)]
    return {place: counts for place, counts in sums.items() if any(counts)}


# --- what steps count -------------------------------------------------------------------------------------------------


def test_a_document_that_is_deposited_corrected_and_removed_counts_each_on_its_day() -> None:
    steps = {
        REMOVED: [None, "2016-04-30"], corrected(2): ["imaging", "2016-02-01"],
        DEPOSITED: ["medical_report", "2016-01-15"],
    }  # fmt: skip
    assert counts_of(steps) == {
        ("2016-01-15", "medical_report"): (1, 0, 0, 0),
        ("2016-02-01", "medical_report"): (0, 0, 1, 0),
        ("2016-02-01", "imaging"): (0, 1, 0, 0),
        ("2016-04-30", "imaging"): (0, 0, 0, 1),
    }


def test_a_tenth_correction_comes_after_the_second() -> None:
    steps = {DEPOSITED: ["a", "2016-01-01"], corrected(10): ["c", "2016-01-03"], corrected(2): ["b", "2016-01-02"]}
    assert counts_of(steps)[("2016-01-03", "c")] == (0, 1, 0, 0)


def test_a_correction_that_leaves_the_type_as_it_is_counts_nothing() -> None:
    steps = {DEPOSITED: ["imaging", "2016-01-15"], corrected(2): ["imaging", "2016-02-01"]}
    assert counts_of(steps) == {("2016-01-15", "imaging"): (1, 0, 0, 0)}


def test_a_removed_document_and_a_deleted_record_are_over_and_nothing_else_is() -> None:
    there = {DEPOSITED: ["imaging", "2016-01-15"], corrected(2): ["surgery", "2016-03-01"]}
    assert ended_on(there) is None and ended_on({**there, REMOVED: [None, "2016-02-01"]}) == "2016-03-01"
    closed = {numbered(1): ["open", "2016-01-15"], numbered(3): ["closed", "2016-02-01"]}
    assert ended_on(closed) is None
    assert ended_on({**closed, numbered(11): ["deleted", "2026-02-01"]}) == "2026-02-01"


def test_a_step_dated_before_the_one_it_follows_is_of_that_ones_day() -> None:
    steps = {numbered(1): ["open", "2016-01-15"], numbered(2): ["active", "2016-01-14"]}
    assert counts_of(steps)[("2016-01-15", "active")] == (0, 1, 0, 0)


@given(STEPS, st.randoms())
def test_whatever_the_order_in_which_steps_are_told_they_count_the_same(
    steps: dict[str, list[str]], chance: object
) -> None:
    told = [(place, step) for place, step in steps.items() for _ in range(2)]  # each of them twice
    chance.shuffle(told)  # type: ignore[attr-defined]
    known: dict[str, list[str]] = {}
    changes = []
    for place, step in told:
        after = {place: step, **known}
        changes.append(difference(known, after))
        known = after
    assert added_up(*changes) == added_up(counts_of(steps))


@given(STEPS)
def test_a_thing_is_counted_as_one_key_at_most_at_the_end_of_every_day(steps: dict[str, list[str]]) -> None:
    counts = counts_of(steps)
    standing: Counter[str] = Counter()
    for day in sorted({day for day, _ in counts}):
        for (when, key), (came, moved_in, moved_out, went) in counts.items():
            if when == day:
                standing[key] += came + moved_in - moved_out - went
        assert all(number in (0, 1) for number in standing.values()) and sum(standing.values()) <= 1


def test_an_account_has_one_thing_to_count_for_each_of_its_capacities() -> None:
    account = "0198c0de-0000-7000-8000-000000000001"
    assert account_in(account, "patient") == account_in(account, "patient") != account_in(account, "professional")


def test_a_day_is_luxembourgs() -> None:
    assert day_of("2016-01-31T23:30:00.000000Z") == "2016-02-01"
    assert day_of("2016-07-31T21:59:59.000000Z") == "2016-07-31"
    assert day_of("2016-07-31T22:00:00.000000Z") == "2016-08-01"


def test_accesses_are_actions_of_the_catalogue() -> None:
    assert set(ACCESSES) <= ACTIONS and len(set(ACCESSES)) == len(ACCESSES)


# --- who, and what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacity", "may"), [("agent", True), ("patient", False), ("professional", False), ("", False)]
)
def test_agents_read_statistics_and_nobody_else(capacity: str, may: bool) -> None:
    assert may_read_statistics(capacity) is may


def test_months_are_every_one_from_the_first_to_the_last() -> None:
    assert require_months("2015-11", "2016-02") == ["2015-11", "2015-12", "2016-01", "2016-02"]
    assert require_months("2016-02", "2016-02") == ["2016-02"]
    assert len(require_months("2010-01", "2019-12")) == 120
    assert days_of(["2015-11", "2015-12"]) == (date(2015, 11, 1), date(2016, 1, 1))
    assert days_of(["2016-02"]) == (date(2016, 2, 1), date(2016, 3, 1))


@pytest.mark.parametrize(("since", "until"), [
    ("2016-02", "2016-01"), ("2010-01", "2020-01"), ("2016-13", "2017-01"), ("2016-1", "2017-01"), ("", "2017-01"),
    (None, "2017-01"), ("2016-01", 7), ("0000-01", "0001-01"), ("2016-01-01", "2016-02-01"),
])  # fmt: skip
def test_what_are_no_months_is_refused(since: object, until: object) -> None:
    with pytest.raises(InvalidInput):
        require_months(since, until)


def test_days_are_taken_in_the_order_in_which_they_are_asked_for() -> None:
    assert require_dates(["2017-06-30", "2015-10-31"]) == [date(2017, 6, 30), date(2015, 10, 31)]
    assert require_day(None) is None and require_day("2017-06-30") == date(2017, 6, 30)


@pytest.mark.parametrize("dates", [[], None, "2015-10-31", ["2015-10"], ["20151031"], [7], ["2015-10-31"] * 61,
                                   ["2015-02-29"]])  # fmt: skip
def test_what_are_no_days_is_refused(dates: object) -> None:
    with pytest.raises(InvalidInput):
        require_dates(dates)


def test_what_only_happens_never_stands() -> None:
    assert require_standing("records") == "records" and require_added("accesses") == "accesses"
    for measure, require in (("accesses", require_standing), ("records", require_added), ("=1", require_added)):
        with pytest.raises(InvalidInput):
            require(measure)


def test_a_share_is_told_where_both_its_numbers_are() -> None:
    assert (percent(1, 3), percent(0, 3), percent(3, 0), percent(None, 3), percent(1, None)) == (
        33.3, 0.0, None, None, None,
    )  # fmt: skip
