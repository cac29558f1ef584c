"""What an operator sees and does: the figures of a running platform, what was given up, and its tries again."""

from __future__ import annotations

import json
from typing import Any

import psycopg2
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.layout import SERVICES
from deploy.local.operator import parked, replay
from deploy.visitors import wait_for
from services.db import new_id, now, rfc3339
from tests.conftest import Platform


def figures(platform: Platform) -> dict[tuple[str, ...], float]:
    answer = requests.get(f"{platform.stack.monitor_url}/metrics", timeout=60)
    assert answer.status_code == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def tell(platform: Platform, statement: str, *values: Any) -> None:
    with psycopg2.connect(platform.stack.layout.database_url("notifications").replace("+psycopg2", "")) as connection:
        connection.cursor().execute(statement, values)
    connection.close()


def test_the_monitor_has_figures_of_every_service_and_queue(platform: Platform) -> None:
    found = figures(platform)
    for service in SERVICES:
        assert found["opendsp_up", service] == 1
        assert ("opendsp_outbox_depth", service) in found and ("opendsp_inbox_depth", service) in found
        assert found["opendsp_queue_consumers", f"rpc-{service}"] >= 1
        assert ("opendsp_queue_messages", f"{service}.parked") in found
    assert found["opendsp_broker_up",] == 1 and ("opendsp_letters_waiting",) in found
    page = requests.get(platform.stack.monitor_url, timeout=60)
    assert page.status_code == 200 and all(f"<td>{service}</td>" in page.text for service in SERVICES)


def test_two_replicas_are_both_seen(platform: Platform) -> None:
    def replicas() -> int:
        return len({name for name in figures(platform) if name[0] == "opendsp_question_seconds_total" and
                    name[-1] == "directory"})  # fmt: skip

    platform.stack.scale("directory", 2)
    try:
        wait_for(lambda: replicas() == 2 or None, "the second replica", patience=90)
    finally:
        platform.stack.scale("directory", 1)
        platform.wait_ready()


def test_what_was_given_up_is_listed_with_its_cause_and_a_replay_has_it_tried_again(platform: Platform) -> None:
    event_id, message_id, session_id = new_id(), new_id(), new_id()
    envelope = {"id": event_id, "source": "identity", "type": "session_ended.v1", "time": rfc3339(now()),
                "subject": None, "number": None, "request_id": event_id, "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
                "data": {"session_id": session_id}}  # fmt: skip
    tell(
        platform,
        "insert into inbox (event_id, source, type, envelope, state, attempts, cause) values"
        " (%s, 'identity', 'session_ended.v1', %s, 'parked', 10, 'KeyError')", event_id, json.dumps(envelope),
    )  # fmt: skip
    tell(
        platform,
        "insert into messages (message_id, event_id, recipient_kind, recipient_id, channel, occasion, happened_at,"
        " state, cause, settled_at)"
        " values (%s, %s, 'patient', %s, 'email', 'record.opened', now(), 'bounced', 'refused', now())",
        message_id, new_id(), new_id(),
    )  # fmt: skip
    listed = {one["id"]: (one["service"], one["what"], one["cause"]) for one in parked(platform.stack.layout)}
    assert listed[event_id] == ("notifications", "event", "KeyError")
    assert listed[message_id] == ("notifications", "message", "refused")
    assert figures_of_parked(platform) >= 1
    assert replay(platform.stack.layout, "notifications")["notifications"] >= 2
    wait_for(lambda: not {event_id, message_id} & {one["id"] for one in parked(platform.stack.layout)} or None, "a try")
    wait_for(lambda: ended(platform, session_id) or None, "what the event is for")


def figures_of_parked(platform: Platform) -> float:
    return float(wait_for(lambda: figures(platform)["opendsp_inbox_parked", "notifications"] or None, "the figure"))


def ended(platform: Platform, session_id: str) -> bool:
    with psycopg2.connect(platform.stack.layout.database_url("notifications").replace("+psycopg2", "")) as connection:
        cursor = connection.cursor()
        cursor.execute("select count(*) from ended_sessions where session_id = %s", (session_id,))
        found = bool((cursor.fetchone() or (0,))[0])
    connection.close()
    return found
