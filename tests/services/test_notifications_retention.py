"""What people were told is deleted after a time, read or not, and nothing that is younger, or waits to be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local.supervise import wait_until
from services.db import new_id, now
from services.notifications import retention, store_departures
from services.notifications.models_messages import Message
from services.notifications.rules_retention import kept_since
from services.notifications.store_stream import Bell
from services.settings import load
from tests.builders import House
from tests.services.inbox_house import InboxHouse, of, patient

DAY = timedelta(days=1)
TERM = load().notice_days * DAY


@pytest.fixture(scope="module")
def together(database: Callable[[str], str]) -> Iterator[tuple[House, str]]:
    url = database("notifications")
    house = House(lambda _: url, ("notifications",))
    yield house, url
    house.close()


@pytest.fixture
def house(together: tuple[House, str]) -> InboxHouse:
    made = InboxHouse(together[0])
    with made.sessions.transaction() as session:
        session.execute(sa.delete(Message))
    return made


def forget(house: InboxHouse, after: timedelta) -> int:
    return int(house.house.notifications._forget_messages(now() + after))


def kept(house: InboxHouse) -> set[str]:
    with house.sessions.transaction() as session:
        return set(session.scalars(sa.select(Message.message_id)))


def settle(house: InboxHouse, message_id: str) -> None:
    """A message went out this moment."""
    with house.sessions.transaction() as session:
        session.execute(
            sa.update(Message).where(Message.message_id == message_id)
            .values(state="sent", due_at=None, settled_at=now())
        )  # fmt: skip


def test_after_two_years_a_notice_is_gone_and_the_day_before_it_is_not(house: InboxHouse) -> None:
    me = patient()
    told = house.told(of(me))
    assert forget(house, TERM - DAY) == 0
    assert house.page(me) == [told] and house.unread(me) == 1
    assert forget(house, TERM) == 1
    assert house.page(me) == [] and house.unread(me) == 0
    assert forget(house, TERM) == 0


def test_it_goes_whether_it_was_read_or_not_and_by_whatever_way_it_went(house: InboxHouse) -> None:
    me = patient()
    house.ask("read_notification", me, notification_id=house.told(of(me)))
    settle(house, house.told(of(me), channel="email"))
    house.told(of(me))
    assert forget(house, TERM) == 3 and kept(house) == set()


def test_what_waits_to_be_sent_is_never_deleted(house: InboxHouse) -> None:
    waiting = house.told(of(patient()), channel="email")
    sent = house.told(of(patient()), channel="email")
    settle(house, sent)
    assert forget(house, 10 * TERM) == 1 and kept(house) == {waiting}


def test_the_young_stay_when_the_old_go(house: InboxHouse) -> None:
    me = patient()
    old, young = house.told(of(me)), house.told(of(me))
    with house.sessions.transaction() as session:
        session.execute(sa.update(Message).where(Message.message_id == old).values(settled_at=now() - TERM))
    assert forget(house, timedelta(0)) == 1 and house.page(me) == [young]


def test_where_the_operator_says_so_nothing_is_ever_deleted(house: InboxHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    told = house.told(of(patient()))
    settings = load()
    monkeypatch.setattr(retention, "load", lambda: replace(settings, notice_days=0))
    assert forget(house, 100 * TERM) == 0 and kept(house) == {told}
    monkeypatch.setattr(retention, "load", lambda: replace(settings, notice_days=100))
    assert forget(house, 99 * DAY) == 0
    assert forget(house, 100 * DAY) == 1


def test_killed_between_two_batches_the_next_goes_on(house: InboxHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "FORGOTTEN_AT_ONCE", 2)
    for _ in range(5):
        house.told(of(patient()))
    real, rounds = retention.store_messages.forget, 0

    def dies(*args: Any) -> int:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            real(*args)
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(retention.store_messages, "forget", dies)
    with pytest.raises(KeyboardInterrupt):
        forget(house, TERM)
    assert len(kept(house)) == 3
    assert forget(house, TERM) == 3


def test_replicas_that_sweep_at_once_delete_everything_once(house: InboxHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "FORGOTTEN_AT_ONCE", 3)
    for _ in range(20):
        house.told(of(patient()))
    with ThreadPoolExecutor(4) as replicas:
        counts = list(replicas.map(lambda _: forget(house, TERM), range(4)))
    assert sum(counts) + forget(house, TERM) == 20 and kept(house) == set()


def test_what_another_replica_holds_is_not_waited_for(house: InboxHouse) -> None:
    held, free = house.told(of(patient())), house.told(of(patient()))
    with house.sessions.transaction() as session:
        session.execute(sa.select(Message).where(Message.message_id == held).with_for_update())
        assert forget(house, TERM) == 1
    assert free not in kept(house) and held in kept(house)


def test_whoever_follows_their_inbox_is_rung_for_when_something_unread_goes(
    house: InboxHouse, together: tuple[House, str]
) -> None:
    unread, read = patient(), patient()
    house.told(of(unread))
    house.ask("read_notification", read, notification_id=house.told(of(read)))
    bell, rung = Bell(together[1]), set()
    forget(house, TERM)

    def rings() -> bool:
        rung.update(bell.rung())
        return ("patient", str(unread.patient_id)) in rung

    assert wait_until(rings, 30)
    assert ("patient", str(read.patient_id)) not in rung
    bell.close()


def test_who_left_a_record_is_forgotten_with_the_last_notice_of_it(house: InboxHouse) -> None:
    gone, record_id = patient(), new_id()
    house.told(of(gone), role="assistant", record_id=record_id)
    with house.sessions.transaction() as session:
        store_departures.settle(session, [record_id], [], None, now())

    def left() -> int:
        with house.sessions.transaction() as session:
            return int(session.scalar(sa.text("select count(*) from departures")) or 0)

    forget(house, TERM - DAY)
    assert left() == 1 and house.page(gone) == []
    forget(house, TERM)
    assert left() == 0


AT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "since"), [(730, AT - 730 * DAY), (30, AT - 30 * DAY), (1, AT - 30 * DAY), (0, None), (-5, None)]
)
def test_it_is_kept_for_so_many_days_and_never_for_less_than_a_month(days: int, since: datetime | None) -> None:
    assert kept_since(AT, days) == since
