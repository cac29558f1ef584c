"""Deliveries to foreign systems: numbers without a gap, in order, whatever dies; played again; limits that say so."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from services.bus import Received
from services.db import inbox, new_id, now, rfc3339
from services.documents.contract import DocumentDeposited
from services.notifications import reference_subscriber, rules_sending, sending
from services.notifications.contract import DOCUMENT_DEPOSITED, DOCUMENT_NO_LONGER_AVAILABLE, SubscriptionNotFound
from services.notifications.desk import Outside
from services.notifications.models_deliveries import Delivery, Outlet
from services.notifications.models_subscriptions import Subscription
from services.notifications.rules_sending import FRESH, HELD, KEPT
from services.refusals import InvalidInput, NotAllowed, Unavailable
from services.tokens import Caller
from tests.builders import caller, context
from tests.services import test_notifications as notices
from tests.services.test_notifications import AGENT, Office, a_deposit, drain

house, office = notices.house, notices.office  # its fixtures


@pytest.fixture(autouse=True)
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is not tried again before a test says that its wait is over."""
    monkeypatch.setattr(rules_sending, "FIRST_WAIT", timedelta(hours=1))
    monkeypatch.setattr(sending.random, "random", lambda: 1.0)


def put(office: Office, record_id: str) -> str:
    """A deposit is told and put down; nothing goes out yet."""
    event_id = new_id()
    with office.house.sessions["notifications"].transaction() as session:
        office._handle(session, "documents", a_deposit(record_id), event_id)
    return event_id


def came(given: dict[str, Any]) -> list[dict[str, Any]]:
    """What lies in a subscriber's queue, taken as the subscriber."""
    return [json.loads(body) for body, _ in drain(given)]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [int(event["sequence"]) for event in events]


def age(office: Office, column: Any, by: timedelta) -> None:
    notices._age(office, column, by)


def ask(office: Office, method: str, who: Caller = AGENT, **kwargs: Any) -> Any:
    return office.house.ask("notifications", method, who, **kwargs)


def health(office: Office, given: dict[str, Any]) -> tuple[str, str | None]:
    shown = ask(office, "read_subscription", subscription_id=given["subscription_id"])
    return shown["delivery"], shown["cause"]


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_each_subscriber_has_a_row_of_numbers_of_its_own(office: Office) -> None:
    record_id, near = office.record_with_reader()
    early = office.subscribe(near)
    first = office.happen("documents", a_deposit(record_id))
    late = office.subscribe(near)
    rest = [office.happen("documents", a_deposit(record_id)) for _ in range(2)]
    events = drain(early)
    told = [json.loads(body) for body, _ in events]
    assert [(event["id"], event["sequence"]) for event in told] == [(first, "1"), (rest[0], "2"), (rest[1], "3")]
    assert {event["sequencetype"] for event in told} == {"Integer"}
    assert numbers(came(late)) == [1, 2]
    # As the SDK reads it, extension and all.
    read = [JSONFormat().read(CloudEvent, body) for body, _ in events]
    assert [event.get_extension("sequence") for event in read] == ["1", "2", "3"]


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Does the work and dies at its `step`th line in the sender's files; False when it has fewer."""
    files = ("notifications/sending.py", "notifications/store_deliveries.py", "notifications/store_outlets.py",
             "ports/subscriber_broker.py")  # fmt: skip
    left = step

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(files):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        work()
        return False
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)


def test_killed_at_any_line_no_number_is_missing_and_each_means_one_event(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given, other = office.subscribe(near), office.subscribe(near)
    told, step = [], 1
    while True:
        told += [put(office, record_id), put(office, record_id)]
        if not killed_at(step, office.send):
            break
        office.go_out(office.settings)  # another process, with nothing in its hands
        office.send()
        step += 9
    assert step > 100
    for one in (given, other):
        events = came(one)
        by_number = {int(event["sequence"]): event["id"] for event in events}
        assert sorted(by_number) == list(range(1, len(told) + 1))
        assert [by_number[number] for number in sorted(by_number)] == told
        assert {(int(event["sequence"]), event["id"]) for event in events} == set(by_number.items())
        # Whoever drops what it has seen gets all in their order.
        assert list(dict.fromkeys(numbers(events))) == sorted(by_number)


def test_two_replicas_send_each_event_once_and_in_order(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = [office.subscribe(near) for _ in range(3)]
    done, broken = threading.Event(), []

    def replica() -> None:
        service = copy.copy(office.service)
        service.outside = Outside.of(office.settings)
        try:
            while not done.is_set() or service._send_deliveries():
                service._send_deliveries()
        except BaseException as error:  # a thread's end is no test's end
            broken.append(error)
        service.outside.subscribers.close()

    threads = [threading.Thread(target=replica) for _ in range(2)]
    for thread in threads:
        thread.start()
    told = [put(office, record_id) for _ in range(30)]
    done.set()
    for thread in threads:
        thread.join()
    assert broken == []
    for one in given:
        events = came(one)
        assert [event["id"] for event in events] == told and numbers(events) == list(range(1, 31))


# --- the order of a record --------------------------------------------------------------------------------------------


def numbered(office: Office, deposit: DocumentDeposited, number: int) -> str:
    """An event arrives in the inbox, as its record's `number`th."""
    event_id = new_id()
    envelope = json.dumps({"subject": deposit.record_id, "number": number})
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(sa.insert(inbox).values(event_id=event_id, source="documents", type=deposit.type,
                                                envelope=envelope))  # fmt: skip
    return event_id


def work(office: Office, deposit: DocumentDeposited, event_id: str, number: int) -> None:
    """The inbox works an event."""
    event = Received(event_id, "documents", deposit.type, rfc3339(now()), deposit.record_id, number, deposit,
                     context("documents"))  # fmt: skip
    with office.house.sessions["notifications"].transaction() as session:
        office.service.on_document_deposited(session, event)
        session.execute(sa.update(inbox).where(inbox.c.event_id == event_id).values(state="done"))


def test_events_of_one_record_go_out_in_its_order_and_hold_up_no_other(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    deposits = [a_deposit(record_id) for _ in range(3)]
    first, second, third = (numbered(office, deposit, at) for at, deposit in enumerate(deposits, 1))
    # The first is tried again later, as its handler failed; the third was quicker than the second.
    work(office, deposits[2], third, 3)
    work(office, deposits[1], second, 2)
    office.send()
    assert came(given) == []
    elsewhere, holder = office.active_record()
    office.reader(near, elsewhere, holder)
    free = office.happen("documents", a_deposit(elsewhere))
    assert [event["id"] for event in came(given)] == [free]
    work(office, deposits[0], first, 1)
    office.send()
    events = came(given)
    assert [event["id"] for event in events] == [first, second, third] and numbers(events) == [2, 3, 4]


def test_an_event_waits_for_an_earlier_one_for_a_while_only(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    deposits = [a_deposit(record_id) for _ in range(2)]
    numbered(office, deposits[0], 1)
    second = numbered(office, deposits[1], 2)
    work(office, deposits[1], second, 2)
    office.send()
    assert came(given) == []
    age(office, Delivery.created_at, HELD)
    office.send()
    assert [event["id"] for event in came(given)] == [second]


# --- who may see it by then -------------------------------------------------------------------------------------------


def without_ground(office: Office) -> tuple[dict[str, Any], str, Callable[[], None]]:
    """(subscription, record, what takes its readers' ground away)."""
    record_id, holder = office.active_record()
    near = office.establishment()
    doctor = office.reader(near, record_id, holder)

    def leave() -> None:
        office.house.ask("dossier", "remove_from_circle", holder, record_id=record_id,
                         professional_id=doctor.professional_id)  # fmt: skip

    return office.subscribe(near), record_id, leave


def test_what_is_lost_once_it_has_a_number_goes_out_as_that_under_it(office: Office) -> None:
    given, record_id, leave = without_ground(office)
    event_id = put(office, record_id)
    office.service.outside.subscribers.publish = _away
    office.send()
    del office.service.outside.subscribers.publish
    [row] = office.rows(Delivery)
    assert (row.state, row.sequence) == ("waiting", 1)
    leave()
    age(office, Delivery.allowed_at, FRESH)
    office.send()
    [event] = came(given)
    assert event["type"] == DOCUMENT_NO_LONGER_AVAILABLE and event["sequence"] == "1" and event["id"] != event_id
    assert set(event["data"]) == {"record_id", "document_id", "at"}


def _away(_: Any) -> dict[str, int]:
    raise Unavailable(service="subscribers")


def test_nothing_overtakes_what_has_to_be_asked_for_first(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    first = put(office, record_id)
    age(office, Delivery.allowed_at, FRESH)
    second = put(office, record_id)
    office.send()
    assert [event["id"] for event in came(given)] == [first, second]


def test_while_dossier_is_away_what_has_to_be_asked_for_waits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    put(office, record_id)
    age(office, Delivery.allowed_at, FRESH)

    class Silent:
        def readable_at(self, *_: Any, **__: Any) -> None:
            raise Unavailable(service="dossier")

    with monkeypatch.context() as away:
        away.setattr(office.service, "dossier", Silent())
        office.send()
    assert came(given) == []
    office.send()
    assert len(came(given)) == 1


# --- once more --------------------------------------------------------------------------------------------------------


def test_a_replay_from_a_number_sends_the_same_under_the_same_numbers_before_anything_new(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given, other = office.subscribe(near), office.subscribe(near)
    for _ in range(4):
        office.happen("documents", a_deposit(record_id))
    first, _ = came(given), came(other)
    told = ask(office, "replay_subscription", subscription_id=given["subscription_id"], from_sequence=3)
    assert told == {"subscription_id": given["subscription_id"], "events": 2, "first_sequence": 3, "last_sequence": 4}
    fifth = office.happen("documents", a_deposit(record_id))
    again = came(given)
    assert again[:2] == first[2:] and [event["id"] for event in again[2:]] == [fifth]
    assert [event["id"] for event in came(other)] == [fifth]
    [trace] = office.traces("subscription.replayed")
    assert (trace["object_id"], trace["count"]) == (given["subscription_id"], 2)


def test_a_replay_from_a_time_sends_what_happened_from_then_on(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    office.happen("documents", a_deposit(record_id))
    after = rfc3339(now())
    second = office.happen("documents", a_deposit(record_id))
    came(given)
    told = ask(office, "replay_subscription", subscription_id=given["subscription_id"], since=after)
    assert (told["events"], told["first_sequence"]) == (1, 2)
    office.send()
    assert [event["id"] for event in came(given)] == [second]


def test_what_was_lost_since_is_not_played_again_but_its_loss(office: Office) -> None:
    given, record_id, leave = without_ground(office)
    event_id = office.happen("documents", a_deposit(record_id))
    [before] = came(given)
    assert before["type"] == DOCUMENT_DEPOSITED
    leave()
    for _ in range(2):
        ask(office, "replay_subscription", subscription_id=given["subscription_id"], from_sequence=1)
        office.send()
    one, again = came(given)
    assert one["type"] == again["type"] == DOCUMENT_NO_LONGER_AVAILABLE
    assert one["sequence"] == "1" and one["id"] == again["id"] != event_id
    assert one["data"]["document_id"] == before["data"]["document_id"]


def test_one_request_replays_once_however_often_it_arrives(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    office.happen("documents", a_deposit(record_id))
    came(given)
    who = replace(AGENT, context=replace(AGENT.context, idempotency_key=new_id()))
    asked = {"subscription_id": given["subscription_id"], "from_sequence": 1}
    told = ask(office, "replay_subscription", who, **asked)
    office.send()
    assert ask(office, "replay_subscription", who, **asked) == told
    office.send()
    assert len(came(given)) == 1


@pytest.mark.parametrize(
    "wish",
    [{}, {"from_sequence": 1, "since": "2026-01-01T00:00:00Z"}, {"from_sequence": 0}, {"from_sequence": True},
     {"from_sequence": "1"}, {"since": "yesterday"}, {"since": "2026-01-01T00:00:00"}, {"since": 7}],
)  # fmt: skip
def test_a_replay_from_nowhere_is_refused(office: Office, wish: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ask(office, "replay_subscription", subscription_id=new_id(), **wish)


@pytest.mark.parametrize(("method", "more"), [("replay_subscription", {"from_sequence": 1}),
                                              ("resume_subscription", {}), ("test_subscription", {})])  # fmt: skip
def test_nobody_but_its_owner_moves_a_subscription(office: Office, method: str, more: dict[str, Any]) -> None:
    near = office.establishment()
    given = office.subscribe(near)
    asked = {"subscription_id": given["subscription_id"], **more}
    for capacity in ("patient", "professional"):
        with pytest.raises(NotAllowed):
            ask(office, method, caller(capacity), **asked)
    with pytest.raises(SubscriptionNotFound):
        ask(office, method, AGENT, **{**asked, "subscription_id": new_id()})
    ask(office, method, AGENT, **asked)
    ask(office, "end_subscription", subscription_id=given["subscription_id"])
    with pytest.raises(SubscriptionNotFound):
        ask(office, method, AGENT, **asked)


def test_a_test_event_arrives_without_a_number(office: Office) -> None:
    given = office.subscribe()
    told = ask(office, "test_subscription", subscription_id=given["subscription_id"])
    assert (told["delivered"], told["cause"]) == (True, None)
    [event] = came(given)
    assert event["type"] == "lu.dsp.subscription.tested.v1" and "sequence" not in event


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_full_queue_makes_its_subscription_lag_and_room_in_it_makes_it_well(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_id, near = office.record_with_reader()
    monkeypatch.setattr("services.notifications.ports.subscriber_broker.queue_arguments",
                        lambda: {**notices.systems.queue_arguments(), "x-max-length-bytes": 1})  # fmt: skip
    full = office.subscribe(near)
    monkeypatch.undo()
    told = [put(office, record_id) for _ in range(4)]
    office.send()
    while health(office, full) == ("active", None):
        told.append(put(office, record_id))
        office.send()
    assert health(office, full) == ("lagging", "queue_full")
    [outlet] = office.rows(Outlet)
    assert outlet.failures == 1 and outlet.retry_at is not None
    seen: list[dict[str, Any]] = []
    while len(seen) < len(told):
        seen += came(full)
        age(office, Outlet.retry_at, timedelta(hours=1))
        office.send()
    assert [event["id"] for event in seen] == told and numbers(seen) == list(range(1, len(told) + 1))
    came(full)
    age(office, Outlet.retry_at, timedelta(hours=1))
    office.send()
    assert health(office, full) == ("active", None)


def test_whoever_lags_for_too_long_is_parked_until_resumed(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given, well = office.subscribe(near), office.subscribe(near)
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(
            sa.update(Outlet).where(Outlet.subscription_id == given["subscription_id"])
            .values(state="lagging", cause="queue_full", failures=9, since=now() - KEPT - timedelta(minutes=1))
        )  # fmt: skip
    office.service.keep_deliveries_small()
    assert health(office, given) == ("parked", "queue_full") and health(office, well) == ("active", None)
    told = [office.happen("documents", a_deposit(record_id)) for _ in range(2)]
    assert came(given) == [] and [event["id"] for event in came(well)] == told
    answer = ask(office, "resume_subscription", subscription_id=given["subscription_id"])
    assert answer["waiting"] == 2
    office.send()
    assert [event["id"] for event in came(given)] == told and health(office, given) == ("active", None)


def test_with_too_many_waiting_a_subscription_is_parked_and_says_so(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_WAITING", 2)
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    for _ in range(2):
        put(office, record_id)
    office.service.keep_deliveries_small()
    assert health(office, given) == ("active", None)
    put(office, record_id)
    office.service.keep_deliveries_small()
    assert health(office, given) == ("parked", "too_many_waiting")


def test_what_is_too_old_is_forgotten_and_leaves_a_gap_that_its_subscriber_sees(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    office.happen("documents", a_deposit(record_id))
    assert numbers(came(given)) == [1]
    put(office, record_id)
    age(office, Delivery.created_at, KEPT + timedelta(minutes=1))
    office.service.keep_deliveries_small()
    assert office.rows(Delivery) == []
    office.happen("documents", a_deposit(record_id))
    assert numbers(came(given)) == [3]
    told = ask(office, "replay_subscription", subscription_id=given["subscription_id"], from_sequence=1)
    assert told["first_sequence"] == 3


def test_what_waits_for_a_suspended_software_waits_until_it_is_back(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)
    put(office, record_id)
    _suspend(office, now())
    office.send()
    assert [row.state for row in office.rows(Delivery)] == ["waiting"]
    _suspend(office, None)
    age(office, Delivery.allowed_at, FRESH)
    office.send()
    assert len(came(given)) == 1


def _suspend(office: Office, at: Any) -> None:
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(sa.update(Subscription).values(suspended_at=at))


# --- the reference subscriber -----------------------------------------------------------------------------------------


def test_the_reference_subscriber_sees_a_gap_and_has_what_is_missing_sent_once_more(
    office: Office, tmp_path: Path
) -> None:
    record_id, near = office.record_with_reader()
    given = office.subscribe(near)

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body))
            answer = ask(office, "replay_subscription", subscription_id=given["subscription_id"], **body)
            office.send()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None:
            """The test's output stays readable."""

    asked: list[Any] = []
    gateway = HTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    for name, text in (("password", given["password"]), ("token", "t0ken")):
        (tmp_path / name).write_text(text + "\n")

    def run(count: int) -> tuple[list[str], str]:
        done = subprocess.run(
            [sys.executable, reference_subscriber.__file__, "--host", given["host"], "--port", str(given["port"]),
             "--vhost", given["vhost"], "--queue", given["queue"], "--username", given["username"],
             "--password-file", str(tmp_path / "password"), "--seen", str(tmp_path / "seen"), "--count", str(count),
             "--api", f"http://127.0.0.1:{gateway.server_address[1]}", "--subscription", given["subscription_id"],
             "--token-file", str(tmp_path / "token")],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return [json.loads(line)["id"] for line in done.stdout.splitlines()], done.stderr

    first = office.happen("documents", a_deposit(record_id))
    told, err = run(1)
    assert told == [first] and "gap" not in err
    lost = [office.happen("documents", a_deposit(record_id)) for _ in range(2)]
    assert len(came(given)) == 2  # somebody else took them out of the queue
    fourth = office.happen("documents", a_deposit(record_id))
    told, err = run(3)
    assert "gap: 2 to 3 have not come" in err and told == [fourth, *lost]
    assert asked == [(f"/subscriptions/{given['subscription_id']}/replay", "Bearer t0ken", {"from_sequence": 2})]
    last = office.happen("documents", a_deposit(record_id))
    told, err = run(1)
    assert told == [last] and "gap" not in err
    gateway.shutdown()
    gateway.server_close()
