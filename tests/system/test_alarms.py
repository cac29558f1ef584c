"""A broker whose memory is full takes no messages: nobody waits longer than they would have, and nothing is lost.

The inner broker carries every question, so while it takes none the answer is a 503, at once. The subscribers' broker is
another one in a deployment: while it takes nothing, deposits go on, and what its subscribers are to hear waits.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.layout import SERVICES, Layout
from deploy.local.supervise import wait_until
from deploy.visitors import Visitor, wait_for
from tests.builders import pdf
from tests.system.conftest import Village
from tests.system.outer_broker import memory_alarm, outer_broker
from tests.system.test_outages import deposits_meanwhile, every_answered_deposit_is_there_once, try_deposit, ward

__all__ = ["ward"]  # a fixture

DEADLINE = 8.0  # seconds: that of a request (rpc_timeout), and room for a busy machine
DEPOSITED = "lu.dsp.document.deposited.v1"
LASTS = [12, pytest.param(180, marks=pytest.mark.long)]  # seconds
QUICK = 0.3  # seconds between two requests of one client


class Answers:
    """What clients got who asked one after the other all the while, and how long each took."""

    def __init__(self, asks: dict[str, Callable[[], requests.Response]]) -> None:
        self.got: list[tuple[str, int, float, requests.Response]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=one) for one in asks.items()]

    def __enter__(self) -> Answers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self, name: str, ask: Callable[[], requests.Response]) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            answer = ask()
            self.got.append((name, answer.status_code, time.monotonic() - began, answer))
            time.sleep(QUICK)

    def by_status(self, name: str) -> set[int]:
        return {status for asked, status, _, _ in self.got if asked == name}


def figures(village: Village) -> dict[tuple[str, ...], float]:
    """What the monitor tells."""
    answer = requests.get(f"{village.platform.stack.monitor_url}/metrics", timeout=60)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def what_waits(village: Village) -> dict[tuple[str, ...], float]:
    """The outboxes and inboxes that are not empty, or of which the monitor could not be told yet."""
    boxes = [(box, name) for box in ("opendsp_outbox_depth", "opendsp_inbox_depth") for name in SERVICES]
    found = figures(village)
    return {box: found.get(box, float("nan")) for box in boxes if found.get(box) != 0}


def require_nothing_waits(village: Village) -> None:
    if not wait_until(lambda: not what_waits(village), 120, step=2):
        logs = (village.platform.log_lines(name)[-2000:] for name in SERVICES)
        failing = [line for log in logs for line in log if "put off" in line]
        raise AssertionError(f"{what_waits(village)} wait still; {failing[-3:]}")


@pytest.mark.parametrize("lasts", LASTS)
def test_while_the_inner_broker_takes_nothing_every_request_is_answered_in_time_and_nothing_is_lost(
    village: Village, ward: tuple[Visitor, Visitor], lasts: float
) -> None:
    patient, doctor = ward
    record = f"/records/{patient.ids['record_id']}"
    monitor = village.platform.stack.monitor_url
    asks: dict[str, Callable[[], requests.Response]] = {
        "record": lambda: doctor.raw("GET", record),
        "upload": lambda: doctor.raw("POST", f"{record}/uploads", json={"type": "medical_report", "title": "alarme"}),
        "ready": lambda: requests.get(f"{village.platform.url}/health/ready", timeout=60),
        "live": lambda: requests.get(f"{village.platform.url}/health/live", timeout=60),
        "monitor": lambda: requests.get(f"{monitor}/metrics", timeout=60),
    }
    seen: list[Answers] = []

    def alarm() -> None:
        time.sleep(2)  # deposits are answered, and what they tell is on its way
        with memory_alarm(village.platform.stack.layout), Answers(asks) as answers:
            seen.append(answers)
            time.sleep(lasts)

    answered = deposits_meanwhile(doctor, patient, f"alarm {lasts}", alarm)
    [answers] = seen
    assert max(seconds for _, _, seconds, _ in answers.got) < DEADLINE
    for name in ("record", "upload"):
        refused = [answer for asked, status, _, answer in answers.got if asked == name and status == 503]
        assert answers.by_status(name) <= {200, 201, 503} and refused
        assert all(answer.json()["type"] == "urn:dsp:problem:unavailable" for answer in refused)
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert 503 in answers.by_status("ready") and answers.by_status("live") == answers.by_status("monitor") == {200}
    last = [answer.text for asked, _, _, answer in answers.got if asked == "monitor"][-1]
    assert 'opendsp_up{service="dossier"} 0.0' in last and "opendsp_broker_up 1.0" in last, "it still has eyes"

    village.platform.wait_ready()
    assert doctor.raw("GET", record).status_code == 200
    every_answered_deposit_is_there_once(village, ward, answered)
    require_nothing_waits(village)


@pytest.fixture(scope="module")
def outer(village: Village) -> Iterator[Layout]:
    with outer_broker(village.platform) as layout:
        yield layout


class Subscriber:
    """Reads its queue, as long as the block lasts."""

    def __init__(self, given: dict[str, Any]) -> None:
        login = pika.PlainCredentials(given["username"], given["password"])
        self._connection = pika.BlockingConnection(
            pika.ConnectionParameters(given["host"], given["port"], given["vhost"], login, heartbeat=0)
        )
        self._queue = given["queue"]

    def __enter__(self) -> Subscriber:
        self._channel = self._connection.channel()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def next(self, seconds: float) -> dict[str, Any] | None:
        for method, _, body in self._channel.consume(self._queue, inactivity_timeout=seconds):
            if method is None:
                return None
            self._channel.basic_ack(method.delivery_tag)
            event: dict[str, Any] = json.loads(body)
            return event
        return None


@pytest.mark.parametrize("lasts", LASTS)
def test_while_the_subscribers_broker_takes_nothing_deposits_go_on_and_their_events_wait(
    village: Village, outer: Layout, ward: tuple[Visitor, Visitor], lasts: float
) -> None:
    patient, doctor = ward
    body = {"establishment_id": village.practice, "event_types": [DEPOSITED]}
    given = village.agent.ask("POST", "/subscriptions", json=body)
    assert given["port"] == outer.ports["rabbitmq"] != village.platform.stack.layout.ports["rabbitmq"]
    with Subscriber(given) as subscriber:
        first = str(try_deposit(doctor, patient, "avant l'alarme", pdf("avant")))
        heard = wait_for(lambda: subscriber.next(1), "the first event", patience=60)
        assert heard["data"]["document_id"] == first

        record = f"/records/{patient.ids['record_id']}"
        asks = {
            "record": lambda: patient.raw("GET", record),
            "documents": lambda: patient.raw("GET", f"{record}/documents"),
        }
        deposited = []
        with memory_alarm(outer), Answers(asks) as answers:
            end = time.monotonic() + lasts
            while time.monotonic() < end:
                document_id = try_deposit(
                    doctor, patient, f"pendant {len(deposited)}", pdf(f"pendant {len(deposited)}")
                )
                assert document_id is not None, "a deposit waits for no subscriber"
                deposited.append(document_id)
            assert subscriber.next(0.5) is None
            assert village.platform.is_ready(), "nothing of the platform is unavailable"
            wait_for(lambda: waiting(village) >= len(deposited) or None, "what waits in the figures", patience=60)
        assert answers.by_status("record") == answers.by_status("documents") == {200}
        assert max(seconds for _, _, seconds, _ in answers.got) < DEADLINE

        events = {heard["id"]: heard}  # what was on its way into the alarm may come twice: by the same id and number
        while len(events) <= len(deposited):
            event = wait_for(lambda: subscriber.next(1), "an event that waited", patience=180)
            assert events.setdefault(event["id"], event) == event
        wait_for(lambda: waiting(village) == 0 or None, "empty deliveries", patience=60)
        while (repeat := subscriber.next(2)) is not None:
            assert events[repeat["id"]] == repeat
    assert sorted(event["data"]["document_id"] for event in events.values()) == sorted([first, *deposited])
    numbers = [int(event["sequence"]) for event in events.values()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "in their order and without a gap"
    village.agent.ask("DELETE", f"/subscriptions/{given['subscription_id']}")


def waiting(village: Village) -> float:
    """How many deliveries wait, as an operator sees it."""
    return sum(value for (name, *_), value in figures(village).items() if name == "opendsp_deliveries_waiting")
