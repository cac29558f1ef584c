"""Questions over a broker of their own: one whose memory is full, or that is gone, does not take the other along.

While the broker of events takes nothing every request is answered as ever, and what follows from them waits in the
outboxes. While the broker of questions takes nothing requests are refused in time, and events go their way.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
import requests

from deploy.local import operator, rabbitmq
from deploy.local.layout import SERVICES, Layout
from deploy.visitors import Visitor, wait_for
from services.db import new_id, now, rfc3339
from tests.builders import pdf
from tests.conftest import wait_for_query
from tests.system.conftest import Village, every
from tests.system.outer_broker import memory_alarm, rpc_broker
from tests.system.test_alarms import (
    DEADLINE,
    DEPOSITED,
    LASTS,
    Answers,
    Subscriber,
    figures,
    require_nothing_waits,
)
from tests.system.test_outages import (
    SIZE,
    deposits_meanwhile,
    every_answered_deposit_is_there_once,
    try_deposit,
    ward,
)

__all__ = ["ward"]  # a fixture


@pytest.fixture(scope="module")
def apart(village: Village) -> Iterator[Layout]:
    """The broker of questions alone."""
    with rpc_broker(village.platform) as layout:
        yield layout


def health(village: Village) -> tuple[str, str]:
    """What the gateway says of the whole, and of the events."""
    told = requests.get(f"{village.platform.url}/health/ready", timeout=60).json()
    return told["status"], told["dependencies"]["events"]


def connected(layout: Layout) -> Counter[str]:
    """Who holds how many connections to a broker, by the names they give them."""
    told = rabbitmq.control(layout, "list_connections", "client_properties")
    return Counter(re.findall(r'"connection_name",(?:longstr,)?(?:<<)?"([^"]+)"', told))


def test_questions_go_over_their_broker_alone_and_events_over_theirs(village: Village, apart: Layout) -> None:
    found = figures(village)  # by the monitor, which asks everybody
    asking, telling = connected(apart), connected(village.platform.stack.layout)
    for service in SERVICES:
        assert asking[f"{service}:rpc"] and asking[f"{service}:consumer"] == telling[f"{service}:consumer"] == 1
        assert f"{service}:events" not in asking
    assert not [name for name in telling if name.endswith(":rpc") or name.startswith("gateway")]
    assert asking["gateway:rpc"] and asking["monitor:rpc"]
    assert found["opendsp_broker_up",] == found["opendsp_rpc_broker_up",] == 1
    assert found["opendsp_queue_consumers", "rpc-dossier"] == found["opendsp_queue_consumers", "dossier.inbox"] == 1
    assert operator.parked(village.platform.stack.layout) == [], "an operator asks there too"


@pytest.mark.parametrize("lasts", LASTS)
def test_while_the_broker_of_events_takes_nothing_all_is_answered_and_what_follows_waits(
    village: Village, apart: Layout, ward: tuple[Visitor, Visitor], lasts: float
) -> None:
    patient, doctor = ward
    other = village.professional("doctor trusted meanwhile")
    body = {"establishment_id": village.practice, "event_types": [DEPOSITED]}
    given = village.agent.ask("POST", "/subscriptions", json=body)
    record = f"/records/{patient.ids['record_id']}"
    entry = {"matricule": patient.matricule, "password": patient.password}
    seen = len(village.town.mails(patient.email))
    asks: dict[str, Callable[[], requests.Response]] = {
        "identity": lambda: patient.raw("GET", "/sessions/current"),
        "directory": lambda: doctor.raw("GET", "/professionals?q=weber"),
        "dossier": lambda: doctor.raw("GET", record),
        "documents": lambda: patient.raw("GET", f"{record}/documents"),
        "audit": lambda: patient.raw("GET", f"{record}/access-history"),
        "notifications": lambda: patient.raw("GET", "/notifications"),
        "monitor": lambda: requests.get(f"{village.platform.stack.monitor_url}/metrics", timeout=60),
    }
    answered: dict[str, str] = {}
    with memory_alarm(village.platform.stack.layout), Answers(asks) as answers:
        end = time.monotonic() + lasts
        began = time.monotonic()
        challenge = patient.ask("POST", "/sessions", json=entry)
        trusted = patient.raw("PUT", f"{record}/circle/{other.ids['professional_id']}", json={})
        assert trusted.status_code == 204 and other.raw("GET", record).status_code == 200, "a decision needs no event"
        assert time.monotonic() - began < 3 * DEADLINE
        while time.monotonic() < end:
            title = f"retenu {lasts} {len(answered)}"
            document_id = try_deposit(doctor, patient, title, pdf(title, SIZE))
            assert document_id is not None, "a deposit waits for no event"
            answered[title] = document_id
        wait_for(lambda: kept_back(village, "documents") >= len(answered) or None, "what waits in the figures")
        wait_for(lambda: all_up(village) or None, "figures of every service, and both brokers in them")
        wait_for(lambda: health(village) == ("ok", "delayed") or None, "the word that events wait and nothing else")
    assert {name: answers.by_status(name) for name in asks} == {name: {200} for name in asks}
    assert max(seconds for _, _, seconds, _ in answers.got) < DEADLINE

    code = patient.one_time_code(seen)
    patient.ask("POST", f"/sessions/{challenge['challenge_id']}/code", json={"code": code}, expect=201)
    require_nothing_waits(village)
    wait_for(lambda: health(village) == ("ok", "ok") or None, "the word that nothing waits")
    every_answered_deposit_is_there_once(village, ward, answered)
    assert noticed(patient) == Counter(answered.values())
    assert delivered(given) == sorted(answered.values())
    village.agent.ask("DELETE", f"/subscriptions/{given['subscription_id']}")


def kept_back(village: Village, service: str) -> float:
    return figures(village).get(("opendsp_outbox_depth", service), 0)


def all_up(village: Village) -> bool:
    found = figures(village)
    brokers = found["opendsp_broker_up",] == found["opendsp_rpc_broker_up",] == 1
    return brokers and all(found["opendsp_up", service] == 1 for service in SERVICES)


def noticed(patient: Visitor) -> Counter[str]:
    """How often the patient was told of which new document."""
    found = every(patient, "/notifications", "notifications")
    return Counter(one["object_id"] for one in found if one["occasion"] == "record_news.document_added")


def delivered(given: dict[str, Any]) -> list[str]:
    """The documents of which a foreign system was told, in numbers without a gap and each by one event."""
    events: dict[str, dict[str, Any]] = {}
    with Subscriber(given) as subscriber:
        while (event := subscriber.next(3)) is not None:
            assert events.setdefault(event["id"], event) == event
    numbers = [int(event["sequence"]) for event in events.values()]
    assert numbers == list(range(1, 1 + len(numbers)))
    return sorted(event["data"]["document_id"] for event in events.values())


@pytest.mark.parametrize("lasts", LASTS)
def test_while_the_broker_of_questions_takes_nothing_requests_are_refused_in_time_and_events_go_on(
    village: Village, apart: Layout, ward: tuple[Visitor, Visitor], lasts: float
) -> None:
    patient, doctor = ward
    record = f"/records/{patient.ids['record_id']}"
    asks: dict[str, Callable[[], requests.Response]] = {
        "record": lambda: doctor.raw("GET", record),
        "upload": lambda: doctor.raw("POST", f"{record}/uploads", json={"type": "medical_report", "title": "alarme"}),
        "ready": lambda: requests.get(f"{village.platform.url}/health/ready", timeout=60),
        "live": lambda: requests.get(f"{village.platform.url}/health/live", timeout=60),
        "monitor": lambda: requests.get(f"{village.platform.stack.monitor_url}/metrics", timeout=60),
    }
    seen: list[Answers] = []

    def alarm() -> None:
        time.sleep(2)  # deposits are answered, and what they tell is on its way
        with memory_alarm(apart), Answers(asks) as answers:
            seen.append(answers)
            end = time.monotonic() + lasts
            while time.monotonic() < end:
                an_event_goes_its_way(village)

    answered = deposits_meanwhile(doctor, patient, f"unheard {lasts}", alarm)
    [answers] = seen
    assert max(seconds for _, _, seconds, _ in answers.got) < DEADLINE
    for name in ("record", "upload"):
        refused = [answer for asked, status, _, answer in answers.got if asked == name and status == 503]
        assert answers.by_status(name) <= {200, 201, 503} and refused
        assert all(answer.json()["type"] == "urn:dsp:problem:unavailable" for answer in refused)
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert 503 in answers.by_status("ready") and answers.by_status("live") == answers.by_status("monitor") == {200}
    last = [answer.text for asked, _, _, answer in answers.got if asked == "monitor"][-1]
    assert 'opendsp_up{service="dossier"} 0.0' in last and "opendsp_rpc_broker_up 1.0" in last

    village.platform.wait_ready()
    assert doctor.raw("GET", record).status_code == 200
    every_answered_deposit_is_there_once(village, ward, answered)
    require_nothing_waits(village)


def an_event_goes_its_way(village: Village) -> None:
    """From the outbox of identity into the tables of those who listen: the end of a session that nobody had."""
    layout, session_id = village.platform.stack.layout, new_id()
    at = rfc3339(now())
    event = {
        "id": new_id(), "source": "identity", "type": "session_ended.v1", "time": at, "subject": session_id,
        "number": 1, "request_id": new_id(), "traceparent": None, "data": {"session_id": session_id, "at": at},
    }  # fmt: skip
    with psycopg2.connect(layout.database_url("identity").replace("+psycopg2", "")) as connection:
        keep = "insert into outbox (event_id, type, envelope) values (%s, %s, %s); notify outbox"
        connection.cursor().execute(keep, (event["id"], event["type"], json.dumps(event)))
    connection.close()
    for service in ("dossier", "notifications"):
        kept = f"select ended_at from ended_sessions where session_id = '{session_id}'"
        assert wait_for_query(layout.database_url(service), kept)


def test_a_service_that_begins_while_the_broker_of_events_is_gone_answers_and_tells_of_it_later(
    village: Village, apart: Layout, ward: tuple[Visitor, Visitor]
) -> None:
    patient, doctor = ward
    village.platform.stop("rabbitmq")
    village.platform.restart("documents")
    village.platform.wait_ready()
    title = "sans diffusion"
    document_id = wait_for(lambda: try_deposit(doctor, patient, title, pdf(title, SIZE)), "a deposit")
    wait_for(lambda: health(village) == ("ok", "delayed") or None, "the truth about the events")
    found = figures(village)
    assert (found["opendsp_broker_up",], found["opendsp_rpc_broker_up",]) == (0, 1)
    village.platform.start("rabbitmq")
    village.platform.wait_ready()
    require_nothing_waits(village)
    every_answered_deposit_is_there_once(village, ward, {title: document_id})
