"""The designation of a referring physician as pure rules: the calendar, the signatures, the ends, the fund's list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dossier import rules_referring as rules
from services.dossier.contract import DesignationNotSigned, DesignationOver, DesignationPending
from services.dossier.rules_referring import HERE, HOLDER, PHYSICIAN, Designation, Told
from services.refusals import InvalidInput, NotAllowed

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=HERE).astimezone(UTC)


def designation(name: str = "one", whose: str = "doctor", **facts: Any) -> Designation:
    return Designation(name, whose, "holder", moment("2020-01-01"), **facts)


def signed(name: str = "one", whose: str = "doctor", **facts: Any) -> Designation:
    return designation(name, whose, holder_signed_at=AT, physician_signed_at=AT, **facts)


# --- the calendar -----------------------------------------------------------------------------------------------------


@given(MOMENTS)
def test_what_was_notified_counts_from_the_first_moment_of_the_1st_of_the_following_month(at: datetime) -> None:
    effective = rules.effective_after(at).astimezone(HERE)
    notified = at.astimezone(HERE)
    assert (effective.day, effective.hour, effective.minute, effective.second, effective.microsecond) == (1, 0, 0, 0, 0)
    assert (effective.year * 12 + effective.month) - (notified.year * 12 + notified.month) == 1
    assert rules.effective_after(at) > at


@pytest.mark.parametrize(
    ("notified", "effective"),
    [
        ("2026-11-01T00:00", "2026-12-01"),
        ("2026-11-30T23:59:59", "2026-12-01"),
        ("2026-12-01T00:00", "2027-01-01"),
        ("2028-02-29T12:00", "2028-03-01"),
        ("2026-03-31T23:30", "2026-04-01"),
        ("2026-10-25T02:30", "2026-11-01"),
    ],
)
def test_the_month_is_that_of_luxembourg(notified: str, effective: str) -> None:
    assert rules.effective_after(moment(notified)) == moment(effective)


def test_the_last_hour_of_a_month_in_luxembourg_is_not_the_next_month_of_utc() -> None:
    assert rules.effective_after(datetime(2026, 10, 31, 22, 59, tzinfo=UTC)) == moment("2026-11-01")
    assert rules.effective_after(datetime(2026, 10, 31, 23, 1, tzinfo=UTC)) == moment("2026-12-01")


@given(MOMENTS, st.integers(1, 24))
def test_so_many_months_later_it_is_the_same_day_or_the_last_one_of_a_shorter_month(at: datetime, months: int) -> None:
    before, later = at.astimezone(HERE), rules.months_later(at, months).astimezone(HERE)
    assert (later.year * 12 + later.month) - (before.year * 12 + before.month) == months
    assert later.day == before.day or ((later + timedelta(days=1)).day == 1 and later.day < before.day)
    assert rules.months_later(at, months) > at


# --- how it stands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (designation(holder_signed_at=AT), "proposed"),
        (designation(physician_signed_at=AT), "proposed"),
        (signed(), "signed"),
        (signed(effective_at=AT + timedelta(seconds=1)), "notified"),
        (signed(effective_at=AT), "effective"),
        (signed(effective_at=AT, ends_at=AT + timedelta(days=1)), "effective"),
        (signed(effective_at=AT, ends_at=AT), "ended"),
        (signed(effective_at=AT - timedelta(days=1), ended_at=AT), "ended"),
        (designation(holder_signed_at=AT, ended_at=AT), "ended"),
    ],
)
def test_how_far_a_designation_is(one: Designation, state: str) -> None:
    assert rules.state_of(one, AT) == state


def test_whoever_stands_in_is_the_referring_physician_until_their_time_is_over() -> None:
    main = signed("main", effective_at=AT - timedelta(days=400))
    stands_in = signed("in", "other", replaces_id="main", effective_at=AT, ends_at=AT + timedelta(days=30))
    all_ = [main, stands_in]
    assert rules.current(all_, AT - timedelta(days=1)) == main
    assert rules.current(all_, AT) == stands_in
    assert rules.current(all_, AT + timedelta(days=30)) == main
    assert rules.current([signed()], AT) is None


# --- the notice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sides", [{"holder_signed_at": AT}, {"physician_signed_at": AT}, {}])
def test_a_designation_that_one_side_has_not_signed_cannot_be_notified(sides: dict[str, Any]) -> None:
    assert isinstance(rules.require_notice(designation(**sides), [], AT), DesignationNotSigned)


def test_a_designation_both_have_signed_can_be_notified_unless_another_takes_effect_first() -> None:
    one, running = signed(), signed("other", "x", effective_at=AT - timedelta(days=5))
    coming = signed("other", "x", effective_at=AT + timedelta(days=5))
    assert rules.require_notice(one, [one], AT) is None
    assert rules.require_notice(one, [one, running], AT) is None
    assert isinstance(rules.require_notice(one, [one, coming], AT), DesignationPending)
    assert rules.require_notice(one, [one, replace(coming, ended_at=AT)], AT) is None


def test_a_replacement_needs_somebody_to_stand_in_for_and_nobody_beside_it() -> None:
    main = signed("main", effective_at=AT - timedelta(days=5))
    one = signed("in", "other", replaces_id="main", ends_at=AT + timedelta(days=100))
    assert rules.require_notice(one, [main, one], AT) is None
    assert isinstance(rules.require_notice(one, [one], AT), DesignationOver)
    assert isinstance(rules.require_notice(one, [replace(main, ends_at=AT + timedelta(days=2))], AT), DesignationOver)
    short = replace(one, ends_at=AT + timedelta(days=1))
    assert isinstance(rules.require_notice(short, [main, short], AT), DesignationOver)
    beside = signed("too", "third", replaces_id="main", effective_at=AT, ends_at=AT + timedelta(days=60))
    assert isinstance(rules.require_notice(one, [main, one, beside], AT), DesignationPending)
    gone = replace(beside, ends_at=AT + timedelta(days=3))
    assert rules.require_notice(one, [main, one, gone], AT) is None


@given(MOMENTS, st.integers(1, 1500))
def test_a_replacement_never_lasts_longer_than_twelve_months(at: datetime, days: int) -> None:
    one = rules.notified(signed(replaces_id="main", ends_at=at + timedelta(days=days)), at)
    assert one.effective_at is not None and one.ends_at is not None
    assert one.ends_at <= rules.months_later(one.effective_at, 12)
    assert one.ends_at == min(at + timedelta(days=days), rules.months_later(one.effective_at, 12))


def test_only_a_replacement_has_an_end_beforehand_and_every_replacement_has_one() -> None:
    soon, late = moment("2027-12-01"), moment("2027-12-01T00:01")
    rules.require_until(None, None, AT)
    rules.require_until("main", soon, AT)
    for replaces_id, until, message in (
        (None, soon, "only_of_replacement"), ("main", None, "required"), ("main", late, "replacement_too_long"),
        ("main", moment("2026-12-01"), "before_beginning"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as refused:
            rules.require_until(replaces_id, until, AT)
        assert refused.value.detail["errors"] == [{"pointer": "/until", "message": message}]


# --- the end ----------------------------------------------------------------------------------------------------------

BEGAN = moment("2026-02-01")


def test_what_was_not_notified_comes_to_nothing_at_once() -> None:
    one = designation(holder_signed_at=AT)
    assert rules.ending(one, HOLDER, "notice", AT) == rules.Ending(ended=True, cause="withdrawn")
    assert rules.ending(one, PHYSICIAN, "notice", AT) == rules.Ending(ended=True, cause="refusal")


def test_in_the_first_year_it_ends_when_both_have_asked_and_not_before() -> None:
    one, last = signed(effective_at=BEGAN), moment("2027-01-31T23:59")
    assert rules.ending(one, HOLDER, "notice", last) == rules.Ending()
    asked = replace(one, end_asked_by=HOLDER)
    assert rules.ending(asked, HOLDER, "notice", last) == rules.Ending(), "asking twice is one side still"
    assert rules.ending(asked, PHYSICIAN, "notice", last) == rules.Ending(ended=True, cause="mutual_agreement")


@pytest.mark.parametrize("side", [HOLDER, PHYSICIAN])
def test_after_the_first_year_either_side_ends_it_with_two_months_notice(side: str) -> None:
    one, at = signed(effective_at=BEGAN), moment("2027-02-01")
    assert rules.ending(one, side, "notice", at) == rules.Ending(moment("2027-04-01"), cause="notice")
    earlier = replace(one, ends_at=moment("2027-03-01"), end_cause="replaced")
    assert rules.ending(earlier, side, "notice", at) == rules.Ending(moment("2027-03-01"), cause="replaced")


def test_a_physician_who_refuses_is_free_on_the_1st_and_the_holder_cannot_refuse_so() -> None:
    one = signed(effective_at=BEGAN)
    assert rules.ending(one, PHYSICIAN, "refusal", AT) == rules.Ending(moment("2026-12-01"), cause="refusal")
    assert isinstance(rules.ending(one, HOLDER, "refusal", AT), NotAllowed)


def test_what_has_ended_cannot_be_ended_again() -> None:
    assert isinstance(rules.ending(signed(effective_at=BEGAN, ended_at=AT), HOLDER, "notice", AT), DesignationOver)


# --- the health fund's list -------------------------------------------------------------------------------------------


def line(**facts: Any) -> dict[str, Any]:
    return {"record_id": "0197aaaa-0000-7000-8000-000000000001",
            "professional_id": "0197aaaa-0000-7000-8000-000000000002", **facts}  # fmt: skip


@pytest.mark.parametrize(
    ("given_line", "reason"),
    [
        (line(), "incomplete"),
        (line(effective_on="2026-12-01", patient_id="0197aaaa-0000-7000-8000-000000000003"), "incomplete"),
        ({"professional_id": "x", "effective_on": "2026-12-01"}, "incomplete"),
        (line(effective_on="2026-12-02"), "not_first_of_month"),
        (line(effective_on="1.12.2026"), "date"),
        (line(effective_on="2026-12-01", ended_on="2026-12-01"), "before_beginning"),
    ],
)
def test_a_line_that_says_nothing_sensible_is_refused_with_its_reason(given_line: dict[str, Any], reason: str) -> None:
    assert rules.told_by(given_line) == reason


def test_a_line_says_days_of_luxembourg() -> None:
    told = rules.told_by(line(effective_on="2026-12-01", ended_on="2027-02-15"))
    assert isinstance(told, Told)
    assert (told.effective_at, told.ends_at) == (moment("2026-12-01"), moment("2027-02-15"))


MONTHS = st.integers(0, 30).map(lambda month: rules.midnight(date(2025 + month // 12, month % 12 + 1, 1)))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), MONTHS), max_size=8))
def test_whatever_the_list_says_in_whatever_order_one_physician_counts_at_a_time(
    lines: list[tuple[str, datetime]],
) -> None:
    known: list[Designation] = []
    for number, (whose, begins) in enumerate(lines):
        known = rules.apply(known, rules.transcribe(known, Told(whose, begins, None), str(number), AT), AT)
    for whose, begins in lines:
        again = rules.transcribe(known, Told(whose, begins, None), "again", AT)
        assert (again.outcome, again.added, again.ends) == ("unchanged", None, ())
    spans = sorted(
        (one.effective_at, rules.told_end(one) or NEVER)
        for one in known if one.effective_at and one.effective_at != rules.told_end(one)
    )  # fmt: skip
    assert all(end <= begins for (_, end), (begins, _) in pairwise(spans))
    for month in {begins for _, begins in lines}:  # each day is the one's who was told last of that day
        last = [whose for whose, begins in lines if begins == month]
        first_time = list(dict.fromkeys(last))[-1]
        counts = [
            one for one in known
            if one.effective_at and one.effective_at <= month < (rules.told_end(one) or NEVER)
        ]  # fmt: skip
        assert [one.professional_id for one in counts] == [first_time]


def test_an_end_is_noted_once_and_of_nobody_else() -> None:
    known = [signed("one", "a", effective_at=BEGAN)]
    told = Told("a", None, moment("2026-06-01"))
    done = rules.transcribe(known, told, "new", AT)
    assert (done.outcome, done.ends) == ("changed", (("one", moment("2026-06-01"), "notice"),))
    after = rules.apply(known, done, AT)
    assert after[0].ends_at == moment("2026-06-01") and after[0].ended_at == AT, "the ground itself ends only now"
    assert rules.transcribe(after, told, "new", AT).outcome == "unchanged"
    other = rules.transcribe(known, Told("b", None, moment("2026-06-01")), "new", AT)
    assert (other.outcome, other.reason) == ("refused", "designation_not_found")
