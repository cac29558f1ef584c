"""How sending to foreign systems waits, stops and is played again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.contract import DOCUMENT_DEPOSITED, DOCUMENT_NO_LONGER_AVAILABLE
from services.notifications.rules_sending import (
    FIRST_WAIT,
    HIGHEST,
    LONGEST_WAIT,
    WEBHOOK_PATIENCE,
    asked_wait,
    failed,
    instead,
    moment,
    well,
    wrong_replay,
)
from services.notifications.rules_subscriptions import ForeignEvent

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WAYS = st.sampled_from(("queue", "webhook"))


@given(WAYS, st.integers(0, 1000), st.floats(0, 1))
def test_a_wait_is_somewhere_between_nothing_and_twice_the_one_before_and_has_a_cap(
    way: str, failures: int, jitter: float
) -> None:
    health = failed(way, failures, NOW, "timeout", NOW, jitter)
    assert health.retry_at is not None and health.failures == failures + 1
    wait = health.retry_at - NOW
    assert timedelta(0) <= wait <= min(LONGEST_WAIT[way], FIRST_WAIT * 2 ** min(failures, 20))


def test_the_wait_grows_until_its_cap() -> None:
    waits = [failed("webhook", failures, NOW, "timeout", NOW, 1.0).retry_at for failures in range(20)]
    assert waits == sorted(waits) and waits[0] == NOW + FIRST_WAIT and waits[-1] == NOW + LONGEST_WAIT["webhook"]


def test_it_lags_from_its_first_failure_on() -> None:
    first = failed("webhook", 0, None, "http_500", NOW, 1.0)
    assert (first.state, first.cause, first.since) == ("lagging", "http_500", NOW)
    later = failed("webhook", 1, first.since, "timeout", NOW + timedelta(hours=1), 1.0)
    assert (later.state, later.cause, later.since) == ("lagging", "timeout", NOW)
    assert well(NOW).state == "active" and well(NOW).cause is None and well(NOW).failures == 0


@pytest.mark.parametrize(
    ("way", "for_so_long", "cause", "state"),
    [
        ("webhook", WEBHOOK_PATIENCE - timedelta(seconds=1), "timeout", "lagging"),
        ("webhook", WEBHOOK_PATIENCE, "timeout", "parked"),
        ("webhook", timedelta(0), "http_410", "parked"),
        ("queue", WEBHOOK_PATIENCE * 3, "queue_full", "lagging"),
    ],
)
def test_a_webhook_is_given_up_after_a_day_or_when_it_says_that_it_is_gone(
    way: str, for_so_long: timedelta, cause: str, state: str
) -> None:
    health = failed(way, 5, NOW - for_so_long, cause, NOW, 1.0)
    assert health.state == state and (health.retry_at is None) == (state == "parked")


def test_who_asks_for_time_gets_it_but_not_for_ever() -> None:
    assert failed("webhook", 0, None, "http_429", NOW, 0.0, timedelta(seconds=90)).retry_at == NOW + timedelta(
        seconds=90
    )
    longest = NOW + LONGEST_WAIT["webhook"]
    assert failed("webhook", 0, None, "http_429", NOW, 0.0, timedelta(days=9)).retry_at == longest


@pytest.mark.parametrize(
    ("said", "asked"),
    [("0", 0), ("120", 120), (None, None), ("", None), ("-1", None), ("soon", None), ("٣", None), ("1" * 7, None),
     ("Fri, 31 Dec 2027 23:59:59 GMT", None)],
)  # fmt: skip
def test_a_retry_after_is_a_number_of_seconds_or_nothing(said: str | None, asked: int | None) -> None:
    assert asked_wait(said) == (None if asked is None else timedelta(seconds=asked))


def test_a_lost_event_says_that_it_was_lost_and_nothing_else_and_is_another_event() -> None:
    record_id, document_id = str(uuid4()), str(uuid4())
    event = ForeignEvent(str(uuid4()), DOCUMENT_DEPOSITED, record_id, NOW, {"type": "x", "level": "secret"})
    once = instead(event, document_id, NOW, "now")
    again = instead(event, document_id, NOW + timedelta(days=1), "later")
    assert once.type == DOCUMENT_NO_LONGER_AVAILABLE and once.subject == record_id
    assert once.data == {"record_id": record_id, "document_id": document_id, "at": "now"}
    assert once.event_id == again.event_id != event.event_id


@given(
    st.one_of(st.none(), st.integers(), st.integers(1, 9), st.text(), st.booleans()),
    st.one_of(st.none(), st.text(), st.integers()),
)
def test_a_replay_begins_at_a_number_or_at_a_time(from_sequence: object, since: object) -> None:
    right = (
        since is None
        and isinstance(from_sequence, int)
        and not isinstance(from_sequence, bool)
        and 1 <= from_sequence <= HIGHEST
    ) or (from_sequence is None and moment(since) is not None)
    assert (wrong_replay(from_sequence, since) == []) is right


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_read_as_it_was_written_and_only_with_its_offset(at: datetime) -> None:
    assert moment(at.isoformat()) == at and moment(at.replace(tzinfo=None).isoformat()) is None
