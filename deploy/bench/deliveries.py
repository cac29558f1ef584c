"""How long after a commit foreign systems have the event of it: twenty subscribers, each at a queue of its own.

An event is committed into documents' outbox, as a deposit does it; from there on all is the platform's own way: relay,
bus, inbox, dossier's answer, numbers, the subscribers' queues. Beside it one bare message to twenty quorum queues of
the same broker, by pika on both ends. The same program consumes both; it notes the moment of each message by the clock
that all processes of a machine share. `python -m deploy.bench.deliveries` is the consumer; passwords come on its stdin.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from queue import Queue
from threading import Thread
from typing import Any

import pika
import psycopg2
from pika.adapters.select_connection import IOLoop

from deploy.bench.figures import Row
from deploy.bench.ground import Ground, program
from deploy.bench.rounds import alternate, percentile
from deploy.local import rabbitmq
from deploy.local.layout import password
from services.bus import emit
from services.db import Sessions, new_id, now, rfc3339
from services.documents.contract import DocumentDeposited
from services.notifications.contract import DOCUMENT_DEPOSITED
from services.notifications.rules_subscriptions import queue_arguments

NAME = "bench-deliveries"
SUBSCRIBERS = 20
EVENTS = {"small": 40, "full": 200}
APART = 0.05  # seconds between two events, so that each makes its way alone
GRANTED = 20.0  # ms that a delivery may take beside what the bare message takes
LATEST = 20.0  # seconds after which a message is lost

Address = dict[str, Any]


def delivery(ground: Ground) -> list[Row]:
    """Milliseconds from the commit until a subscriber has the event, at p99 and less the 20 granted; and bare ones."""
    events = EVENTS[ground.amount.size]
    queues = _subscribed(ground)
    with closing(_sessions(ground)) as documents, _bare(ground) as (bare_queues, publish):

        def ours() -> float:
            with _consumer(ground, queues) as arrivals:
                waits = [_waits(arrivals, lambda: _deposited(documents, ground.record_id)) for _ in range(events)]
            return max(0.0, percentile([wait for some in waits for wait in some], 99) - GRANTED)

        def bare() -> float:
            with _consumer(ground, bare_queues) as arrivals:
                waits = [_waits(arrivals, publish) for _ in range(events)]
            return percentile([wait for some in waits for wait in some], 99)

        ours()
        seen = alternate(ours, bare, ground.amount.rounds)
    return [seen.row("delivery_p99", ground.amount.size)]


class _Documents:
    """The outbox of documents, written as documents writes it."""

    def __init__(self, url: str) -> None:
        self.sessions = Sessions(url, speaks_for="documents")

    def close(self) -> None:
        self.sessions.engine.dispose()


def _sessions(ground: Ground) -> _Documents:
    return _Documents(ground.stack.layout.database_url("documents"))


def _deposited(documents: _Documents, record_id: str) -> tuple[str, int]:
    """Commits the event of a deposit; its id, and the moment of the commit."""
    told = DocumentDeposited(
        record_id=record_id, document_id=new_id(), version_id=new_id(), document_type="medical_report",
        category="care_reports", level="standard", author_id=None, media_type="application/pdf", size=10,
        deposited_at=rfc3339(now()),
    )  # fmt: skip
    with documents.sessions.transaction() as session:
        event_id = emit(session, told)
    return event_id, time.monotonic_ns()


def _waits(arrivals: Queue[tuple[str, int]], send: Callable[[], tuple[str, int]]) -> list[float]:
    """How many milliseconds one message took to each of its receivers."""
    time.sleep(APART)
    message_id, sent = send()
    waits: list[float] = []
    while len(waits) < SUBSCRIBERS:
        arrived_id, at = arrivals.get(timeout=LATEST)
        if arrived_id == message_id:
            waits.append((at - sent) / 1e6)
    return waits


def _subscribed(ground: Ground) -> list[Address]:
    """Subscriptions of the practice whose physician has a mandate in the demo record."""
    _record = ground.record_id
    url = ground.stack.layout.database_url("directory").replace("+psycopg2", "")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("select establishment_id::text from establishments where name = 'Cabinet du Parc'")
        [practice] = cursor.fetchone()
    wanted = {"establishment_id": practice, "event_types": [DOCUMENT_DEPOSITED]}
    return [dict(ground.person("agent").ask("POST", "/subscriptions", json=wanted)) for _ in range(SUBSCRIBERS)]


@contextmanager
def _bare(ground: Ground) -> Iterator[tuple[list[Address], Callable[[], tuple[str, int]]]]:
    """Twenty quorum queues at one exchange of a vhost of their own, and what sends one message to all of them."""
    layout, secret = ground.stack.layout, password()
    common = {
        "host": "127.0.0.1",
        "port": layout.ports["rabbitmq"],
        "vhost": NAME,
        "username": NAME,
        "password": secret,
    }
    rabbitmq.control(layout, "add_vhost", NAME)
    try:
        rabbitmq.control(layout, "add_user", NAME, secret)
        rabbitmq.control(layout, "set_permissions", "--vhost", NAME, NAME, ".*", ".*", ".*")
        with pika.BlockingConnection(_parameters(common)) as connection:
            channel = connection.channel()
            channel.exchange_declare(NAME, "fanout")
            queues = [common | {"queue": f"{NAME}.{number}"} for number in range(SUBSCRIBERS)]
            for one in queues:
                channel.queue_declare(one["queue"], durable=True, arguments=queue_arguments())
                channel.queue_bind(one["queue"], NAME)

            def publish() -> tuple[str, int]:
                message_id = new_id()
                body = json.dumps({"id": message_id, "data": "x" * 600})
                sent = time.monotonic_ns()
                channel.basic_publish(NAME, "", body.encode(), pika.BasicProperties(delivery_mode=2))
                return message_id, sent

            yield queues, publish
    finally:
        rabbitmq.control(layout, "delete_vhost", NAME)
        if f"{NAME}\t" in rabbitmq.control(layout, "list_users"):
            rabbitmq.control(layout, "delete_user", NAME)


@contextmanager
def _consumer(ground: Ground, queues: list[Address]) -> Iterator[Queue[tuple[str, int]]]:
    """What arrives in these queues: (id, moment), from a process of its own."""
    arrivals: Queue[tuple[str, int]] = Queue()
    with program(ground.stack.layout, ["-W", "ignore", "-m", "deploy.bench.deliveries"], {}, pipes=True) as consumer:
        assert consumer.stdin is not None and consumer.stdout is not None
        consumer.stdin.write(json.dumps(queues) + "\n")
        consumer.stdin.flush()
        # What an earlier consumer had not acknowledged yet comes first, again.
        while (line := consumer.stdout.readline()) != "ready\n":
            if not line:
                raise RuntimeError("the subscribers cannot be connected; the reason stands above")
        Thread(target=_read, args=(consumer, arrivals), daemon=True).start()
        yield arrivals


def _read(consumer: subprocess.Popen[str], arrivals: Queue[tuple[str, int]]) -> None:
    assert consumer.stdout is not None
    for line in consumer.stdout:
        message_id, _, at = line.partition(" ")
        arrivals.put((message_id, int(at)))


def _parameters(address: Address) -> pika.ConnectionParameters:
    login = pika.PlainCredentials(address["username"], address["password"])
    return pika.ConnectionParameters(address["host"], address["port"], address["vhost"], login, heartbeat=0)


def consume(addresses: list[Address]) -> None:
    """Prints id and moment of whatever arrives, until ended: all connections in one loop."""
    loop = IOLoop()
    waiting = len(addresses)

    def on_message(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        at = time.monotonic_ns()
        channel.basic_ack(method.delivery_tag)
        sys.stdout.write(f"{json.loads(body)['id']} {at}\n")
        sys.stdout.flush()

    def on_consuming(_frame: Any) -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0:
            sys.stdout.write("ready\n")
            sys.stdout.flush()

    def begin(address: Address) -> None:
        def on_channel(channel: Any) -> None:
            channel.basic_consume(address["queue"], on_message, callback=on_consuming)

        pika.SelectConnection(
            _parameters(address), on_open_callback=lambda connection: connection.channel(on_open_callback=on_channel),
            custom_ioloop=loop,
        )  # fmt: skip

    for one in addresses:
        begin(one)
    loop.start()


if __name__ == "__main__":
    consume(json.loads(sys.stdin.readline()))
