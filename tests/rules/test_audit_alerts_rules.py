"""Each rule that raises alerts, on both of its sides; and all of them along a log, however it is cut into stretches."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit import rules_alerts as rules
from services.audit.rules_alerts import Found, Seen, Thresholds, Times

NOON = datetime(2026, 11, 18, 11, 0, tzinfo=UTC)  # a Wednesday, 12:00 in Luxembourg
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WHO, RECORD, PLACE, ACCOUNT = "p1", "r1", "e1", "a1"
ALIKE, SAME, STRANGERS = frozenset({"same_surname"}), frozenset({"same_surname", "same_person"}), frozenset[str]()
THRESHOLDS = Thresholds(
    patients_an_hour=3, failures_an_hour=2, care_ended_days=30, again_days=7, day_begins=7, day_ends=20
)  # fmt: skip


def seen(**changes: Any) -> Seen:
    """A reading by a professional in somebody's circle, at noon."""
    entry = Seen("t1", NOON, "document.opened", "allowed", None, "circle", ACCOUNT, WHO, PLACE, RECORD, "d1")
    return replace(entry, **changes)


REFUSED = seen(outcome="refused", reason="record_not_found", ground=None)
OF_A_PATIENT = seen(professional_id=None, establishment_id=None, ground="holder")


# --- surnames and own records -----------------------------------------------------------------------------------------


def test_a_professional_in_a_record_of_their_own_name_is_worth_a_look_and_in_anybody_elses_not() -> None:
    assert rules.same_surname(seen(), ALIKE)
    assert not rules.same_surname(seen(), STRANGERS)


def test_ones_own_record_is_another_matter_than_one_of_the_same_name() -> None:
    assert rules.own_record(seen(), SAME) and not rules.same_surname(seen(), SAME)
    assert not rules.own_record(seen(), ALIKE)
    assert rules.own_record(seen(), frozenset({"same_person"})), "whoever changed their name is the same person"


@pytest.mark.parametrize("entry", [REFUSED, OF_A_PATIENT, seen(record_id=None)])
def test_who_was_not_let_in_or_is_no_professional_is_not_compared(entry: Seen) -> None:
    assert not rules.same_surname(entry, ALIKE)
    assert not rules.own_record(entry, SAME)


# --- many patients ----------------------------------------------------------------------------------------------------


def visits(count: int, apart: timedelta) -> set[rules.Sight]:
    """So many records up to noon, each so long after the one before."""
    return {(rules.minute_of(NOON - number * apart), f"r{number}") for number in range(count)}


def test_one_patient_more_than_allowed_within_the_hour_is_many() -> None:
    assert rules.many_patients(seen(), visits(4, 15 * MINUTE), 3) == 4
    assert rules.many_patients(seen(), visits(3, 15 * MINUTE), 3) is None


def test_what_lies_an_hour_back_is_of_another_hour() -> None:
    assert rules.many_patients(seen(), visits(4, 20 * MINUTE), 3) is None, "the first was sixty minutes before"
    assert rules.many_patients(seen(), visits(4, 19 * MINUTE), 3) == 4


def test_the_same_patient_again_is_one() -> None:
    again = {(rules.minute_of(NOON - number * MINUTE), RECORD) for number in range(30)}
    assert rules.many_patients(seen(), again, 3) is None


def test_an_entry_that_comes_late_is_counted_in_its_own_hour() -> None:
    later = {(NOON + number * MINUTE, f"r{number}") for number in range(2, 5)}
    assert rules.many_patients(seen(), later | {(NOON, RECORD)}, 3) == 4
    much_later = {(NOON + HOUR + number * MINUTE, f"r{number}") for number in range(2, 5)}
    assert rules.many_patients(seen(), much_later | {(NOON, RECORD)}, 3) is None


def test_zero_turns_the_counting_rules_off() -> None:
    assert rules.many_patients(seen(), visits(50, MINUTE), 0) is None
    failure = seen(outcome="refused", reason="presence_code_refused")
    assert rules.repeated_failures(failure, visits(50, MINUTE), 0) is None


@given(st.lists(st.tuples(st.integers(0, 180), st.integers(0, 8)), max_size=25), st.integers(0, 180))
def test_the_fullest_hour_around_an_entry_is_what_counts(sights: list[tuple[int, int]], at: int) -> None:
    told = {(NOON + minute * MINUTE, str(thing)) for minute, thing in [*sights, (at, 99)]}
    hours = [
        len({thing for minute, thing in told if start <= minute < start + HOUR})
        for start in (NOON + (at - back) * MINUTE for back in range(60))
    ]
    assert rules.many_patients(seen(at=NOON + at * MINUTE), told, 1) == (max(hours) if max(hours) > 1 else None)


# --- failures ---------------------------------------------------------------------------------------------------------


def wrong(**changes: Any) -> Seen:
    return seen(**({"outcome": "refused", "reason": "presence_code_refused", "ground": None} | changes))


def test_one_wrong_code_more_than_allowed_within_the_hour_is_repeated() -> None:
    assert rules.repeated_failures(wrong(), visits(3, MINUTE), 2) == 3
    assert rules.repeated_failures(wrong(), visits(2, MINUTE), 2) is None
    assert rules.repeated_failures(wrong(), visits(3, 30 * MINUTE), 2) is None


@pytest.mark.parametrize("reason", sorted(rules.CODE_FAILURES))
def test_every_kind_of_wrong_code_counts(reason: str) -> None:
    assert rules.is_failure(wrong(reason=reason))


@pytest.mark.parametrize("entry", [
    seen(), REFUSED, wrong(reason="invalid_input"), wrong(professional_id=None, account_id=None),
    wrong(outcome="allowed"),
])  # fmt: skip
def test_other_refusals_and_tries_of_nobody_known_do_not(entry: Seen) -> None:
    assert not rules.is_failure(entry)
    assert rules.repeated_failures(entry, visits(9, MINUTE), 2) is None


def test_who_is_no_professional_is_counted_by_their_account() -> None:
    [(who, _)] = rules.sights_of(wrong(professional_id=None))
    assert who == ("repeated_failures", ACCOUNT)


# --- after the care ---------------------------------------------------------------------------------------------------


def over(days: int) -> Times:
    return Times(NOON - (days + 20) * DAY, NOON - days * DAY)


AUTHOR = seen(ground="author")


@pytest.mark.parametrize("entry", [
    AUTHOR, seen(ground="emergency"), seen(ground="responsibility"), REFUSED,
])  # fmt: skip
def test_who_comes_or_tries_long_after_the_care_is_asked_about(entry: Seen) -> None:
    assert rules.after_care(entry, [over(30)], 30) == 30
    assert rules.after_care(entry, [over(29)], 30) is None


def test_the_last_care_counts_and_care_that_runs_outweighs_all() -> None:
    assert rules.after_care(AUTHOR, [over(90), over(40)], 30) == 40
    assert rules.after_care(AUTHOR, [over(90), over(3)], 30) is None
    assert rules.after_care(AUTHOR, [over(90), Times(NOON - DAY, None)], 30) is None
    assert rules.after_care(AUTHOR, [over(90), Times(NOON - DAY, NOON + DAY)], 30) is None


def test_care_begun_anew_after_its_end_runs_and_care_yet_to_come_does_not() -> None:
    assert rules.after_care(AUTHOR, [Times(NOON - DAY, NOON - 40 * DAY)], 30) is None
    assert rules.after_care(AUTHOR, [Times(NOON + DAY, NOON - 40 * DAY)], 30) == 40


def test_an_end_whose_beginning_was_never_told_is_an_end() -> None:
    assert rules.after_care(AUTHOR, [Times(None, NOON - 40 * DAY)], 30) == 40


def test_who_never_had_care_has_left_none() -> None:
    assert rules.after_care(REFUSED, [], 30) is None
    assert rules.after_care(REFUSED, [Times(NOON - DAY, None)], 30) is None
    assert rules.after_care(REFUSED, [Times(NOON - DAY, NOON + DAY)], 30) is None, "an end that is still to come"


@pytest.mark.parametrize("entry", [
    seen(ground="circle"), seen(ground="presence"), seen(ground="referring_physician"),
    seen(outcome="refused", reason="document_not_found"), replace(OF_A_PATIENT, ground="author"),
    replace(AUTHOR, record_id=None),
])  # fmt: skip
def test_a_ground_of_care_speaks_for_itself(entry: Seen) -> None:
    assert rules.after_care(entry, [over(90)], 30) is None


def test_zero_days_turn_it_off() -> None:
    assert rules.after_care(AUTHOR, [over(90)], 0) is None


@pytest.mark.parametrize(("kind", "carer"), [
    ("presence", WHO), ("admission", WHO), ("emergency", None), ("responsibility", None),
])  # fmt: skip
def test_what_one_opens_on_ones_own_word_is_no_care(kind: str, carer: str | None) -> None:
    assert rules.carer_of(kind, WHO, PLACE) == carer
    assert rules.carer_of("admission", None, PLACE) == PLACE


def test_a_lasting_ground_is_kept_under_one_id_whenever_it_begins_anew() -> None:
    assert rules.lasting_care(RECORD, WHO, "circle") == rules.lasting_care(RECORD, WHO, "circle")
    others = {rules.lasting_care(RECORD, WHO, "referring_physician"), rules.lasting_care(RECORD, "p2", "circle"),
              rules.lasting_care("r2", WHO, "circle")}  # fmt: skip
    assert len(others | {rules.lasting_care(RECORD, WHO, "circle")}) == 4


# --- out of hours -----------------------------------------------------------------------------------------------------


def emergency(at: str, **changes: Any) -> Seen:
    told = {"at": datetime.fromisoformat(at), "action": "emergency.opened", "ground": "emergency", "object_id": "m1"}
    return seen(**(told | changes))


@pytest.mark.parametrize(("at", "odd"), [
    ("2026-11-18T07:00:00+01:00", False), ("2026-11-18T06:59:59+01:00", True),
    ("2026-11-18T19:59:59+01:00", False), ("2026-11-18T20:00:00+01:00", True),
    ("2026-11-20T12:00:00+01:00", False), ("2026-11-21T12:00:00+01:00", True), ("2026-11-22T12:00:00+01:00", True),
    ("2026-06-22T12:00:00+02:00", False), ("2026-06-23T12:00:00+02:00", True),  # the national holiday, a Tuesday
    ("2026-07-01T05:30:00+00:00", False), ("2026-12-01T05:30:00+00:00", True),  # the same hour there, in two seasons
])  # fmt: skip
def test_night_weekend_and_holiday_in_luxembourg_are_out_of_hours(at: str, odd: bool) -> None:
    assert rules.out_of_hours(emergency(at), 7, 20) is odd


@pytest.mark.parametrize("changes", [
    {"outcome": "refused", "reason": "emergency_refused"}, {"action": "document.opened"}, {"action": "emergency.ended"},
])  # fmt: skip
def test_only_the_opening_of_an_emergency_access_is_looked_at(changes: dict[str, Any]) -> None:
    night = "2026-11-18T03:00:00+01:00"
    assert rules.out_of_hours(emergency(night), 7, 20)
    assert not rules.out_of_hours(emergency(night, **changes), 7, 20)
    assert not rules.out_of_hours(emergency(night), 7, 7), "hours that end when they begin turn the rule off"


def test_the_public_holidays_are_those_of_the_law() -> None:
    year = [date(2026, 1, 1) + number * DAY for number in range(365)]
    assert [day for day in year if rules.is_holiday(day)] == [
        date(2026, 1, 1), date(2026, 4, 6), date(2026, 5, 1), date(2026, 5, 9), date(2026, 5, 14), date(2026, 5, 25),
        date(2026, 6, 23), date(2026, 8, 15), date(2026, 11, 1), date(2026, 12, 25), date(2026, 12, 26),
    ]  # fmt: skip
    easter_mondays = {2024: date(2024, 4, 1), 2025: date(2025, 4, 21), 2027: date(2027, 3, 29), 2038: date(2038, 4, 26)}
    assert all(rules.is_holiday(day) for day in easter_mondays.values())


# --- along the log ----------------------------------------------------------------------------------------------------

LIKENESS = {("p1", "r1"): SAME, ("p2", "r1"): ALIKE, ("p2", "r2"): ALIKE}
CARES = {("r3", "p1"): [over(60)], ("r3", PLACE): [over(50)]}


def along(entries: list[Seen], cuts: list[int], again_days: int = 7) -> list[Found]:
    """What is raised when the log is looked at in these stretches, remembering what a database would."""
    counted: dict[rules.Person, set[rules.Sight]] = defaultdict(set)
    heard: dict[rules.Person, list[datetime]] = defaultdict(list)
    raised: list[Found] = []
    borders = sorted({0, len(entries), *cuts})
    for begin, end in itertools.pairwise(borders):
        stretch = entries[begin:end]
        found = rules.findings(stretch, LIKENESS, CARES, counted, THRESHOLDS)
        new = rules.unheard(found, heard, again_days)
        for entry in stretch:
            for person, sight in rules.sights_of(entry):
                counted[person].add(sight)
        for each in new:
            heard[each.rule, each.subject].append(each.entry.at)
        raised += new
    return raised


def names(found: list[Found]) -> list[tuple[str, str, int | None]]:
    return [(each.rule, each.entry.trace_id, each.number) for each in found]


def test_each_rule_raises_its_alert_once_for_its_cause() -> None:
    log = [
        seen(trace_id="own"), seen(trace_id="own again", at=NOON + DAY),
        seen(trace_id="kin", professional_id="p2"), seen(trace_id="other kin", professional_id="p2", record_id="r2"),
        seen(trace_id="left", record_id="r3", ground="author"),
        *(seen(trace_id=f"many {n}", professional_id="p3", record_id=f"r{n}", at=NOON + n * MINUTE) for n in range(6)),
        *(wrong(trace_id=f"wrong {n}", professional_id="p4", at=NOON + n * MINUTE) for n in range(5)),
        emergency("2026-11-21T12:00:00+01:00", trace_id="night", professional_id="p5"),
        emergency("2026-11-21T12:01:00+01:00", trace_id="night again", professional_id="p5"),
    ]  # fmt: skip
    assert names(along(log, [])) == [
        ("own_record", "own", None), ("same_surname", "kin", None), ("same_surname", "other kin", None),
        ("after_care", "left", 50), ("many_patients", "many 3", 4), ("repeated_failures", "wrong 2", 3),
        ("out_of_hours", "night", None),
    ]  # fmt: skip


def test_the_same_is_said_again_after_its_time_and_no_earlier() -> None:
    log = [seen(trace_id=str(day), at=NOON + day * DAY) for day in range(15)]
    assert [each.entry.trace_id for each in along(log, [])] == ["0", "7", "14"]
    of_an_hour = [
        seen(trace_id=f"{hour}/{n}", professional_id="p3", record_id=f"r{n}", at=NOON + hour * HOUR + n * MINUTE)
        for hour in (0, 2) for n in range(6)
    ]  # fmt: skip
    assert [each.entry.trace_id for each in along(of_an_hour, [])] == ["0/3", "2/3"]


def test_nobody_and_nothing_odd_raises_nothing() -> None:
    log = [seen(trace_id=str(n), professional_id="p9", at=NOON + n * MINUTE) for n in range(20)]
    assert along([*log, OF_A_PATIENT, seen(professional_id="p9", record_id=None)], []) == []


people = st.sampled_from(["p1", "p2", "p3"])
entries_of_any_kind = st.builds(
    lambda minute, who, record, ground, fails: seen(
        at=NOON + minute * MINUTE, professional_id=who, record_id=record, ground=ground,
        **({"outcome": "refused", "reason": "presence_code_refused"} if fails else {}),
    ),
    st.integers(0, 200), people, st.sampled_from([f"r{n}" for n in range(7)]), st.sampled_from(["circle", "author"]),
    st.booleans(),
)  # fmt: skip


@given(st.lists(entries_of_any_kind, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_however_the_log_is_cut_into_stretches_the_same_is_raised(entries: list[Seen], cuts: list[int]) -> None:
    log = [replace(entry, trace_id=f"t{place}") for place, entry in enumerate(entries)]
    whole = along(log, [])
    assert names(along(log, cuts)) == names(whole)
    assert len({(each.rule, each.entry.trace_id) for each in whole}) == len(whole)
