"""What an operator learns of notifications, and can have tried again: numbers, ids and causes, nothing of anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import inbox, new_id, now
from services.notifications import store_operating
from services.notifications.models_deliveries import Delivery, Outlet
from services.notifications.models_messages import Message
from services.notifications.models_subscriptions import Subscription
from services.refusals import Refusal
from tests.builders import House, context

SECRET = "2001010112345"


@pytest.fixture
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, services=("notifications",))
    yield made
    made.close()


def add_message(house: House, state: str, **changes: Any) -> str:
    at = now()
    row = {
        "message_id": new_id(), "event_id": new_id(), "recipient_kind": "patient", "recipient_id": SECRET,
        "channel": "email", "occasion": "record.opened", "happened_at": at, "state": state, "count": 1,
        "due_at": at - timedelta(seconds=30) if state == "queued" else None,
        "settled_at": None if state == "queued" else at,
        "history": [{"state": "queued", "at": "2026-01-01T00:00:00Z", "cause": None}],
    } | changes  # fmt: skip
    with house.sessions["notifications"].transaction() as session:
        session.add(Message(**row))
    return str(row["message_id"])


def add_subscription(house: House, state: str, waiting: int = 0, ended: bool = False, way: str = "queue") -> str:
    subscription_id, at = new_id(), now()
    with house.sessions["notifications"].transaction() as session:
        session.add(Subscription(
            subscription_id=subscription_id, establishment_id=new_id(), event_types=[], queue=f"sub.{subscription_id}",
            username=f"foreign-{subscription_id}", password_digest=bytes(32), created_by=new_id(), created_at=at,
            state="ended" if ended else "active", ended_at=at if ended else None,
        ))  # fmt: skip
        session.flush()
        session.add(Outlet(
            subscription_id=subscription_id, way=way, url=None if way == "queue" else f"https://{SECRET}.example",
            state=state, cause=None if state == "active" else "http_500", since=at, failures=7,
        ))  # fmt: skip
        for _ in range(waiting):
            session.add(Delivery(
                event_id=new_id(), subscription_id=subscription_id, type="t", subject=new_id(), time=at,
                data={"secret": SECRET}, state="waiting", created_at=at - timedelta(minutes=5),
            ))  # fmt: skip
    return subscription_id


def ask(house: House, method: str, **given: Any) -> Any:
    return house.ask("notifications", method, context(), process="operator", **given)


def figures(house: House) -> dict[tuple[str, ...], float]:
    told = ask(house, "backlog")["own"]
    return {(figure["name"], *figure["labels"].values()): figure["value"] for figure in told}


def message(house: House, message_id: str) -> Any:
    with house.sessions["notifications"].transaction() as session:
        found = session.get(Message, message_id)
        session.expunge(found)
        return found


def test_the_figures_tell_what_waits_by_channel_and_by_what_a_subscriber_is_like(house: House) -> None:
    assert figures(house) == {("messages_overdue_seconds",): 0, ("letters_waiting",): 0}
    add_message(house, "queued", attempts=3)
    add_message(house, "queued", due_at=now() + timedelta(hours=1))
    add_message(house, "queued", channel="sms")
    for state in ("sent", "sent", "bounced", "failed"):
        add_message(house, state)
    add_subscription(house, "active", waiting=2)
    add_subscription(house, "parked", waiting=3, way="webhook")
    add_subscription(house, "lagging", ended=True)
    told = figures(house)
    assert told["messages_queued", "email"] == 2 and told["messages_queued", "sms"] == 1
    assert told["messages_failing", "email"] == 1 and told["messages_failing", "sms"] == 0
    assert 30 <= told["messages_overdue_seconds",] < 3600
    assert told["messages_newest", "email", "sent"] == 2 and told["messages_newest", "email", "bounced"] == 1
    assert told["deliveries_waiting", "queue", "active"] == 2
    assert told["deliveries_waiting", "webhook", "parked"] == 3
    assert told["deliveries_oldest_seconds", "webhook", "parked"] >= 300
    assert told["subscriptions", "webhook", "parked"] == told["subscriptions", "queue", "active"] == 1
    assert ("subscriptions", "queue", "lagging") not in told, "what ended is nobody's worry"


def test_the_figures_of_late_are_those_of_the_newest_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_operating, "NEWEST", 3)
    for state in ("failed", "failed", "sent", "sent", "sent"):
        add_message(house, state)
    told = figures(house)
    assert told["messages_newest", "email", "sent"] == 3 and ("messages_newest", "email", "failed") not in told


def test_what_came_back_and_who_is_given_up_is_listed_with_its_cause_and_nothing_of_anybody(house: House) -> None:
    returned = add_message(house, "bounced", cause="refused")
    add_message(house, "failed", cause="no_channel")
    parked, ended = add_subscription(house, "parked", waiting=1), add_subscription(house, "parked", ended=True)
    add_subscription(house, "lagging")
    event_id = add_parked_event(house)
    told = ask(house, "list_parked")
    assert [(one["message_id"], one["cause"]) for one in told["messages"]] == [(returned, "refused")]
    assert [(one["subscription_id"], one["cause"]) for one in told["subscriptions"]] == [(parked, "http_500")]
    assert [one["event_id"] for one in told["parked"]] == [event_id]
    assert SECRET not in json.dumps(told) and ended not in json.dumps(told)


def add_parked_event(house: House) -> str:
    event_id = new_id()
    row = {"event_id": event_id, "source": "dossier", "type": "t", "envelope": "{}", "state": "parked", "attempts": 10}
    with house.sessions["notifications"].transaction() as session:
        session.execute(sa.insert(inbox).values(**row))
    return event_id


def test_a_replay_gives_everything_its_tries_again_but_what_is_of_no_use_any_more(house: House) -> None:
    returned = add_message(house, "bounced", cause="refused", attempts=4)
    late = add_message(house, "bounced", cause="refused", expires_at=now() - timedelta(seconds=1))
    given_up = add_message(house, "failed", cause="hidden")
    parked = add_subscription(house, "parked", waiting=1)
    event_id = add_parked_event(house)
    told = ask(house, "replay_parked")
    assert told == {"replayed": 3, "events": 1, "messages": 1, "subscriptions": 1}
    again = message(house, returned)
    assert (again.state, again.attempts, again.cause, again.settled_at) == ("queued", 0, None, None)
    assert again.due_at <= now()
    assert [step["state"] for step in again.history] == ["queued", "queued"]
    assert again.history[-1]["cause"] == "replayed"
    assert message(house, late).state == "bounced" and message(house, given_up).state == "failed"
    with house.sessions["notifications"].transaction() as session:
        outlet = session.get(Outlet, parked)
        assert outlet is not None and (outlet.state, outlet.cause, outlet.failures) == ("active", None, 0)
        event = session.execute(sa.select(inbox).where(inbox.c.event_id == event_id)).one()
        assert (event.state, event.attempts) == ("due", 0)
    assert ask(house, "replay_parked")["replayed"] == 0, "the same again changes nothing"


def test_a_replay_of_some_leaves_the_others(house: House) -> None:
    one, other = add_message(house, "bounced"), add_message(house, "bounced")
    subscription = add_subscription(house, "parked")
    told = ask(house, "replay_parked", event_ids=[one, "no id at all"])
    assert (told["messages"], told["subscriptions"], told["events"]) == (1, 0, 0)
    assert message(house, one).state == "queued" and message(house, other).state == "bounced"
    assert ask(house, "replay_parked", event_ids=[subscription])["subscriptions"] == 1


@pytest.mark.parametrize("method", ["backlog", "list_parked", "replay_parked"])
@pytest.mark.parametrize("process", ["gateway", "identity"])
def test_nobody_but_an_operator_may_ask(house: House, method: str, process: str) -> None:
    with pytest.raises(Refusal) as refused:
        house.ask("notifications", method, context(), process=process)
    assert refused.value.code == "not_allowed"
