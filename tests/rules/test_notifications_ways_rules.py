"""On which ways and when somebody is told: what they have set, what the law fixes, quiet hours, the digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.notifications.rules_occasions import (
    AUDIENCES,
    AWAY,
    CHANNELS,
    DEFAULT,
    NEW_DOCUMENT,
    OCCASIONS,
    of_setting,
    settings_of,
)
from services.notifications.rules_ways import (
    HERE,
    Digest,
    PersonSettings,
    QuietHours,
    Way,
    after_quiet,
    is_quiet,
    next_time,
    ways,
)

NOON = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)  # 12:00 in Luxembourg
MIDNIGHT = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
NIGHT = QuietHours(time(22), time(7))
EVENING = Digest(time(18))
SWITCHED = "record_news.mandate_opened"
FIXED = "record_first_accessed_by"
URGENT = "record_news.presence_code_tried"
KINDS = ("patient", "professional", "account")

moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))
clocks = st.times().map(lambda at: at.replace(second=0, microsecond=0))
SPRING = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)  # a minute before 02:00, which is followed by 03:00
AUTUMN = datetime(2026, 10, 25, 0, 15, tzinfo=UTC)  # the first 02:15 of two
AUTUMN_AGAIN = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)


@dataclass(frozen=True)
class About:
    document_type: str | None = None
    author_id: str | None = None


def told(occasion: str, settings: PersonSettings | None, now: datetime = NOON, about: About = About()) -> list[Way]:
    return ways(occasion, settings, about, now)


def channels(found: list[Way]) -> list[str]:
    return [way.channel for way in found]


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_occasion_is_heard_by_somebody_on_channels_that_exist() -> None:
    for name, occasion in OCCASIONS.items():
        assert occasion.name == name and occasion.audience and set(occasion.audience) <= set(AUDIENCES)
        assert set(occasion.channels) <= set(CHANNELS), name


@pytest.mark.parametrize("kind", KINDS)
def test_what_shares_a_switch_is_fixed_alike_and_goes_the_same_ways(kind: str) -> None:
    for setting in settings_of(kind):
        alike = {(one.fixed, one.channels) for one in of_setting(setting, kind)}
        assert len(alike) == 1, (kind, setting)


def test_every_occasion_can_be_found_among_somebodys_settings() -> None:
    shown = {one.name for kind in KINDS for setting in settings_of(kind) for one in of_setting(setting, kind)}
    assert shown == set(OCCASIONS)


def test_a_first_access_and_an_emergency_are_always_told() -> None:
    for name in ("record_first_accessed_by", "record_news.first_access", "record_news.emergency_access_opened"):
        assert OCCASIONS[name].fixed is not None and OCCASIONS[name].urgent


# --- who has set nothing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("occasion", OCCASIONS)
def test_who_has_set_nothing_is_told_at_once_on_the_usual_ways(occasion: str) -> None:
    assert told(occasion, None) == [Way(channel, NOON) for channel in OCCASIONS[occasion].channels]
    assert told(occasion, PersonSettings()) == told(occasion, None)


def test_the_usual_ways_are_mail_inbox_and_device() -> None:
    assert OCCASIONS[SWITCHED].channels == DEFAULT == ("email", "inbox", "push")


def test_an_occasion_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        told("record_news.something", None)


# --- who has switched something ---------------------------------------------------------------------------------------


def test_what_somebody_switched_off_is_not_told_and_the_rest_is() -> None:
    settings = PersonSettings(channels={"mandates": ()})
    assert told(SWITCHED, settings) == []
    assert channels(told("record_news.closed", settings)) == list(DEFAULT)


def test_somebody_is_told_on_the_channels_they_chose() -> None:
    assert channels(told(SWITCHED, PersonSettings(channels={"mandates": ("sms", "inbox")}))) == ["sms", "inbox"]


@pytest.mark.parametrize("occasion", [one.name for one in OCCASIONS.values() if one.fixed is not None])
def test_what_is_fixed_is_told_at_once_whatever_is_set(occasion: str) -> None:
    settings = PersonSettings({OCCASIONS[occasion].setting: ()}, NIGHT, EVENING, frozenset(), frozenset())
    assert told(occasion, settings, MIDNIGHT) == [Way(channel, MIDNIGHT) for channel in OCCASIONS[occasion].channels]


def test_what_is_fixed_may_have_another_way_besides() -> None:
    found = told(FIXED, PersonSettings(channels={"first_access": ("sms", "email")}))
    assert sorted(channels(found)) == ["email", "inbox", "push", "sms"]


def test_what_goes_to_an_accounts_addresses_has_no_row_in_an_inbox() -> None:
    account = [one for one in OCCASIONS.values() if one.setting == "account"]
    assert account and all(one.channels == AWAY and one.urgent for one in account)


# --- new documents ----------------------------------------------------------------------------------------------------

LETTER, PICTURE = "medical_report", "imaging"
ME, OTHER = "01936f00-0000-7000-8000-00000000000a", "01936f00-0000-7000-8000-00000000000b"


@pytest.mark.parametrize(
    ("types", "authors", "document", "is_told"),
    [
        (None, None, About(LETTER, ME), True), (None, None, About(), True),
        ({LETTER}, None, About(LETTER, ME), True), ({LETTER}, None, About(PICTURE, ME), False),
        (None, {ME}, About(LETTER, ME), True), (None, {ME}, About(LETTER, OTHER), False),
        (None, {ME}, About(LETTER, None), False), ({LETTER}, {ME}, About(LETTER, ME), True),
        ({LETTER}, {ME}, About(PICTURE, ME), False), ({LETTER}, {ME}, About(LETTER, OTHER), False),
        (set(), None, About(LETTER, ME), False),
    ],
)  # fmt: skip
def test_a_new_document_is_told_by_its_type_and_its_author(
    types: set[str] | None, authors: set[str] | None, document: About, is_told: bool
) -> None:
    settings = PersonSettings(
        channels={NEW_DOCUMENT: ("email",)}, types=None if types is None else frozenset(types),
        authors=None if authors is None else frozenset(authors),
    )  # fmt: skip
    new = [one.name for one in OCCASIONS.values() if one.setting == NEW_DOCUMENT]
    assert new and all(bool(told(name, settings, about=document)) is is_told for name in new)


def test_a_choice_of_documents_says_nothing_of_other_news() -> None:
    assert told(SWITCHED, PersonSettings(types=frozenset(), authors=frozenset())) == told(SWITCHED, None)


# --- quiet hours ------------------------------------------------------------------------------------------------------


def test_in_quiet_hours_the_inbox_fills_and_nothing_rings_until_they_end() -> None:
    morning = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)  # 07:00
    assert told(SWITCHED, PersonSettings(quiet=NIGHT), MIDNIGHT) == [
        Way("email", morning), Way("inbox", MIDNIGHT), Way("push", morning),
    ]  # fmt: skip


def test_outside_quiet_hours_all_goes_at_once() -> None:
    assert all(way.due_at == NOON for way in told(SWITCHED, PersonSettings(quiet=NIGHT)))


def test_what_is_urgent_rings_in_quiet_hours_and_waits_for_no_digest() -> None:
    settings = PersonSettings(quiet=NIGHT, digest=EVENING)
    assert told(URGENT, settings, MIDNIGHT) == [Way(channel, MIDNIGHT) for channel in DEFAULT]


def test_what_is_urgent_may_be_switched_off_where_it_is_not_fixed() -> None:
    assert OCCASIONS[URGENT].fixed is None
    assert told(URGENT, PersonSettings(channels={"presence_code": ()})) == []


@given(moments, clocks, clocks)
@example(SPRING, time(22), time(2, 30))
@example(SPRING, time(1), time(2))
@example(AUTUMN, time(22), time(2, 30))
@example(AUTUMN_AGAIN, time(22), time(2, 30))
@example(AUTUMN_AGAIN, time(2, 10), time(2))
def test_nothing_rings_in_quiet_hours_and_nothing_is_held_longer_than_they_last(
    now: datetime, begin: time, end: time
) -> None:
    if begin == end:
        return
    quiet = QuietHours(begin, end)
    due = after_quiet(quiet, now)
    assert due >= now and not is_quiet(quiet, due.astimezone(HERE).time())
    minutes = (end.hour - begin.hour) * 60 + end.minute - begin.minute
    assert due - now <= timedelta(minutes=minutes % 1440) + timedelta(hours=1), "an hour more where the clocks go back"
    if not is_quiet(quiet, now.astimezone(HERE).time()):
        assert due == now


# --- the digest -------------------------------------------------------------------------------------------------------


def test_with_a_digest_the_inbox_fills_at_once_and_one_row_waits_for_its_hour() -> None:
    evening = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)  # 18:00
    assert told(SWITCHED, PersonSettings(digest=EVENING)) == [Way("inbox", NOON), Way("email", evening, digest=True)]
    by_sms = PersonSettings(digest=Digest(time(18), "sms"))
    assert told(SWITCHED, by_sms) == [Way("inbox", NOON), Way("sms", evening, digest=True)]


def test_who_wants_something_in_the_inbox_alone_gets_it_in_no_digest() -> None:
    settings = PersonSettings(channels={"mandates": ("inbox",)}, digest=EVENING)
    assert told(SWITCHED, settings) == [Way("inbox", NOON)]


def test_what_comes_at_the_hour_itself_waits_for_the_next_day() -> None:
    at = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
    assert next_time(time(18), at) == at + timedelta(days=1)
    assert next_time(time(18), at - timedelta(microseconds=1)) == at


def test_where_the_clocks_show_an_hour_twice_both_times_count() -> None:
    assert next_time(time(2, 30), AUTUMN) == AUTUMN + timedelta(minutes=15)
    assert next_time(time(2, 30), AUTUMN_AGAIN) == AUTUMN_AGAIN + timedelta(minutes=15)
    assert next_time(time(2, 10), AUTUMN) == AUTUMN + timedelta(minutes=55)
    assert next_time(time(2, 30), SPRING) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "03:30"


@given(moments, clocks)
@example(SPRING, time(2, 30))
@example(AUTUMN, time(2, 30))
@example(AUTUMN_AGAIN, time(2, 30))
def test_the_next_hour_is_later_than_now_within_a_day_and_what_the_clocks_show(now: datetime, at: time) -> None:
    found = next_time(at, now)
    assert now < found <= now + timedelta(hours=25)
    shown = found.astimezone(HERE)
    skipped = shown.date() in {datetime(2026, 3, 29).date(), datetime(2027, 3, 28).date()} and at.hour == 2
    assert shown.time() == (at.replace(hour=3) if skipped else at)


@given(
    moments, st.sampled_from(sorted(OCCASIONS)), st.lists(st.sampled_from(CHANNELS), unique=True),
    st.none() | st.tuples(clocks, clocks), st.none() | st.tuples(clocks, st.sampled_from(("email", "sms", "push"))),
)  # fmt: skip
def test_whatever_is_set_nobody_gets_two_rows_on_a_channel_and_none_is_due_before_it_happened(
    now: datetime, occasion: str, chosen: list[str], quiet: tuple[time, time] | None, digest: tuple[time, str] | None
) -> None:
    settings = PersonSettings(
        {OCCASIONS[occasion].setting: tuple(chosen)}, None if quiet is None else QuietHours(*quiet),
        None if digest is None else Digest(*digest),
    )  # fmt: skip
    found = told(occasion, settings, now)
    assert len({way.channel for way in found}) == len(found) and all(way.due_at >= now for way in found)
    assert ("inbox" in channels(found)) == ("inbox" in {*chosen, *OCCASIONS[occasion].channels * fixed(occasion)})
    if not chosen and not fixed(occasion):
        assert found == []


def fixed(occasion: str) -> bool:
    return OCCASIONS[occasion].fixed is not None
