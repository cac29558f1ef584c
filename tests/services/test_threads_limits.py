"""A professional reaches so many colleagues with secure messages and no more for now; who waits is let again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local import processes
from deploy.local.stack import Stack
from services.db import new_id, now
from services.notifications import rules_thread_limits, store_thread_limits, thread_desk, thread_limits
from services.notifications.contract_threads import CORRESPONDENTS_MOST
from services.notifications.rules_thread_limits import COLLEAGUES, COUNTED, MESSAGES, ThreadLimit
from services.refusals import TooManyTries
from services.tokens import Caller
from tests.builders import House
from tests.services.thread_house import Threads

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def together(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, ("dossier", "notifications"))
    yield house
    house.close()


@pytest.fixture
def mail(together: House, infra: Stack) -> Threads:
    made = Threads(together, processes.load_settings(infra.layout, "notifications"))
    for table in ("outbox", "messages", "threads", "thread_reaches"):
        made.sql(f"delete from {table}")
    return made


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_to(counts: str, most: int, window: timedelta = DAY) -> None:
        monkeypatch.setattr(thread_desk, "LIMITS", (ThreadLimit("x", counts, most, window),))

    return set_to


def refused(call: Callable[[], Any]) -> int:
    """How many seconds to wait."""
    with pytest.raises(TooManyTries) as refusal:
        call()
    return int(refusal.value.detail["retry_after"])


def age(mail: Threads, by: timedelta) -> None:
    mail.sql("update thread_reaches set at = at - cast(:by as interval)", by=by)


def people(mail: Threads, count: int) -> list[Caller]:
    return [mail.professional() for _ in range(count)]


# --- colleagues -------------------------------------------------------------------------------------------------------


def test_who_has_reached_so_many_colleagues_reaches_no_other_and_goes_on_with_these(
    mail: Threads, limit: Callable[..., None]
) -> None:
    limit(COLLEAGUES, 3)
    doctor, *others = people(mail, 5)
    known = mail.begin(doctor, *others[:2], record_id=None)
    mail.begin(doctor, others[2], record_id=None)
    assert 0 < refused(lambda: mail.begin(doctor, others[3], record_id=None)) <= DAY.total_seconds()
    mail.write(doctor, known, "Encore")
    mail.begin(doctor, *others[:3], record_id=None)
    assert mail.there(others[3]) == []


def test_a_refusal_keeps_nobody_else_out_and_the_holder_side_is_not_counted(
    mail: Threads, limit: Callable[..., None]
) -> None:
    limit(COLLEAGUES, 1)
    doctor, one, other = people(mail, 3)
    trusted = [mail.trusted() for _ in range(3)]
    mail.begin(doctor, one, record_id=None)
    refused(lambda: mail.begin(doctor, other, record_id=None))
    mail.begin(one, other, record_id=None)
    mail.begin(mail.holder, *trusted)
    alone = mail.begin(trusted[0])
    mail.write(trusted[0], alone)
    mail.begin(trusted[0], trusted[1])
    refused(lambda: mail.begin(trusted[0], trusted[2]))


def test_after_the_time_that_was_said_there_is_room_again_and_not_before(
    mail: Threads, limit: Callable[..., None]
) -> None:
    limit(COLLEAGUES, 2)
    doctor, *others = people(mail, 5)
    mail.begin(doctor, others[0], record_id=None)
    age(mail, 20 * HOUR)
    mail.begin(doctor, others[1], record_id=None)
    wait = refused(lambda: mail.begin(doctor, others[2], record_id=None))
    assert 3 * 3600 < wait <= 4 * 3600, "the first of the two makes room"
    age(mail, timedelta(seconds=wait - 60))
    assert refused(lambda: mail.begin(doctor, others[2], record_id=None)) <= 60
    age(mail, timedelta(seconds=61))
    mail.begin(doctor, others[2], record_id=None)
    refused(lambda: mail.begin(doctor, others[3], record_id=None))


def test_who_is_let_take_part_is_reached_and_a_thread_without_a_message_reaches_nobody(
    mail: Threads, limit: Callable[..., None]
) -> None:
    limit(COLLEAGUES, 2)
    doctor, *others = people(mail, 6)
    silent = mail.begin(doctor, *others[:2], record_id=None, text=None)
    mail.begin(doctor, others[4], record_id=None)
    refused(lambda: mail.write(doctor, silent))
    small = mail.begin(doctor, others[4], record_id=None)
    added = {"thread_id": small, "professional_id": others[0].professional_id}
    mail.ask("add_correspondent", doctor, **added)
    refused(lambda: mail.ask("add_correspondent", doctor, **added | {"professional_id": others[1].professional_id}))
    mail.ask("add_correspondent", doctor, **added)
    assert len(mail.thread(doctor, small)["correspondents"]) == 3


# --- messages ---------------------------------------------------------------------------------------------------------


def test_each_message_counts_for_every_colleague_who_hears_it(mail: Threads, limit: Callable[..., None]) -> None:
    limit(MESSAGES, 5, HOUR)
    doctor, *others = people(mail, 4)
    thread_id = mail.begin(doctor, *others, record_id=None)
    assert 0 < refused(lambda: mail.write(doctor, thread_id)) <= 3600
    assert mail.texts(others[0], thread_id) == ["Bonjour"]
    mail.write(others[0], thread_id, "Bien reçu")
    mail.begin(doctor, *others[:2], record_id=None)
    age(mail, HOUR)
    mail.write(doctor, thread_id)


# --- counted once, and all --------------------------------------------------------------------------------------------


def test_the_same_request_again_counts_once_and_a_refused_one_not_at_all(
    mail: Threads, limit: Callable[..., None]
) -> None:
    limit(MESSAGES, 3)
    doctor, *others = people(mail, 3)
    keyed = replace(doctor, context=replace(doctor.context, idempotency_key=new_id()))
    assert mail.begin(keyed, *others, record_id=None) == mail.begin(keyed, *others, record_id=None)
    for _ in range(5):
        refused(lambda: mail.begin(doctor, *others, record_id=None))
    mail.begin(doctor, others[0], record_id=None)
    assert [row[0] for row in mail.sql("select cardinality(colleague_ids) from thread_reaches order by at")] == [2, 1]


def test_of_many_at_once_no_more_are_let_than_there_is_room_for(mail: Threads, limit: Callable[..., None]) -> None:
    limit(COLLEAGUES, 3)
    doctor, *others = people(mail, 9)

    def begin(other: Caller) -> bool:
        try:
            mail.begin(doctor, other, record_id=None)
        except TooManyTries:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(begin, others)) == 3


def test_what_is_killed_on_the_way_reached_nobody(
    mail: Threads, limit: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(COLLEAGUES, 1)
    doctor, one, other = people(mail, 3)

    def dies(*args: Any, **said: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(mail.service), "_tell_of", dies)
        with pytest.raises(KeyboardInterrupt):
            mail.begin(doctor, one, record_id=None)
    mail.begin(doctor, other, record_id=None)


def test_a_refusal_leaves_one_trace_and_nothing_is_written(mail: Threads, limit: Callable[..., None]) -> None:
    limit(COLLEAGUES, 1)
    doctor, one, other = people(mail, 3)
    thread_id = mail.begin(doctor, one, record_id=None)
    mail.sql("delete from outbox")
    refused(lambda: mail.begin(doctor, other, record_id=None))
    added = {"thread_id": thread_id, "professional_id": other.professional_id}
    refused(lambda: mail.ask("add_correspondent", doctor, **added))
    assert [(trace["action"], trace["outcome"], trace["reason"]) for trace in mail.traces()] == [
        ("thread.created", "refused", "too_many_tries"), ("thread.joined", "refused", "too_many_tries"),
    ]  # fmt: skip
    assert mail.sql("select count(*) from threads")[0][0] == 1


def test_what_no_limit_counts_any_more_is_forgotten_and_what_one_does_is_kept(mail: Threads) -> None:
    doctor, one, other = people(mail, 3)
    mail.begin(doctor, one, record_id=None)
    age(mail, DAY)
    mail.begin(doctor, other, record_id=None)
    for _ in range(2):
        mail.service._forget_reaches(now())
    [kept] = mail.sql("select colleague_ids from thread_reaches")
    assert [str(one) for one in kept[0]] == [other.professional_id]


# --- the sums against a count by hand ---------------------------------------------------------------------------------

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
COLLEAGUES_OF_ALL = [new_id() for _ in range(8)]


def has_room(reaches: list[tuple[datetime, list[str]]], limit: ThreadLimit, wanted: list[str], at: datetime) -> bool:
    counted = [who for when, whom in reaches if when > at - limit.window for who in whom] + wanted
    return (len(set(counted)) if limit.counts == COLLEAGUES else len(counted)) <= limit.most


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(COUNTED), st.integers(4, 9))
def test_there_is_room_exactly_from_the_moment_that_is_said(together: House, seed: int, counts: str, most: int) -> None:
    chance, whose = random.Random(seed), new_id()
    minutes = sorted(chance.sample(range(1, 120), chance.randint(0, 8)), reverse=True)
    reaches = [(AT - timedelta(minutes=one), chance.sample(COLLEAGUES_OF_ALL, chance.randint(1, 3)))
               for one in minutes]  # fmt: skip
    wanted = chance.sample(COLLEAGUES_OF_ALL, chance.randint(1, 4))
    limit = ThreadLimit("x", counts, most, HOUR)
    with together.sessions["notifications"].transaction() as session:
        for at, whom in reaches:
            store_thread_limits.note(session, whose, whom, at)
        store_thread_limits.note(session, new_id(), COLLEAGUES_OF_ALL, AT)
        [found] = store_thread_limits.room_at(session, [limit], whose, wanted, AT)
    assert (found is None) == has_room(reaches, limit, wanted, AT)
    if found is not None:
        assert has_room(reaches, limit, wanted, found)
        assert not has_room(reaches, limit, wanted, found - timedelta(microseconds=1))


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_limits_stand_in_a_table() -> None:
    found = {(one.counts, one.most, one.window) for one in thread_limits.LIMITS}
    assert found == {(COLLEAGUES, 200, DAY), (MESSAGES, 600, HOUR)}
    assert rules_thread_limits.longest(thread_limits.LIMITS) == DAY


@pytest.mark.parametrize(
    ("row", "wrong"),
    [("a,flights,200,60", "unknown word"), ("a,messages,200,0", "window"),
     (f"a,messages,{CORRESPONDENTS_MOST - 1},60", "less than a thread takes"),
     ("a,messages,200,60\na,colleagues,200,60", "twice")],
)  # fmt: skip
def test_a_broken_table_stops_the_process(row: str, wrong: str) -> None:
    head = "limit,counts,most,window_minutes\n"
    assert thread_limits.limits_of(f"{head}a,messages,{CORRESPONDENTS_MOST},60\n")
    with pytest.raises(ValueError, match=wrong):
        thread_limits.limits_of(head + row + "\n")


@pytest.mark.parametrize(
    ("until", "wait"),
    [([], 0), ([None, None], 0), ([AT + timedelta(seconds=5), None], 5), ([AT + timedelta(milliseconds=1)], 1),
     ([AT + timedelta(seconds=5, milliseconds=1), AT + HOUR], 3600), ([AT - HOUR], 1)],
)  # fmt: skip
def test_the_longest_wait_is_said_in_whole_seconds(until: list[datetime | None], wait: int) -> None:
    assert rules_thread_limits.seconds_to_wait(until, AT) == wait
