"""How fast events leave a service and are worked by another: the relay, and an inbox with poison in it.

Relay: rows of an outbox, carried by the running service's own relay into a quorum queue like an inbox, beside the same
messages published bare into the same queue. Poison: the same number of events worked by a running service, once with
one in a hundred that fails whatever happens. Those have to be parked with their cause, and to be worked by a replay
once the cause is mended, or there is no figure.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from deploy.bench.bare_relay import Publisher
from deploy.bench.figures import Row
from deploy.bench.ground import Ground, program
from deploy.bench.rounds import alternate
from deploy.local import operator, rabbitmq
from deploy.local.layout import write_private
from deploy.local.supervise import wait_until
from deploy.rabbitmq import topology
from services.bus.outbox import RELAY_BATCH
from services.db import new_id, now, rfc3339

EVENTS = {"small": 20_000, "full": 200_000}
WORKED = {"small": 3_000, "full": 20_000}
POISON_EVERY = 100
POISONED = 7  # rounds: a good hundredth more or less drowns in the noise of three
EMITTER, KIND, QUEUE = "directory", "bench_relayed.v1", "bench.relayed"
WORKER, SOURCE, WORKED_KIND, KEY = "dossier", "identity", "session_ended.v1", "bench_worked"
PATIENCE = 600.0


# --- the relay ------------------------------------------------------------------------------------------------------


def relay(ground: Ground) -> list[Row]:
    """Events a second from the outbox into the broker, beside bare publishing with its confirms pipelined."""
    amount = ground.amount
    count, body = EVENTS[amount.size], json.dumps(envelope_of(EMITTER, KIND, facts()))
    with queue(ground), publisher(ground) as bare:

        def ours() -> float:
            return _then_purged(ground, carried(ground, count, body))

        carried(ground, RELAY_BATCH, body)
        seen = alternate(ours, lambda: _then_purged(ground, asked(bare, body=body, count=count)), 3)
    return [seen.row("relay", amount.size)]


def facts() -> dict[str, Any]:
    """Data of the size of most events: ids, codes and times."""
    ids = {f"{name}_id": new_id() for name in ("record", "document", "version", "author", "establishment")}
    return {**ids, "type": "laboratory_results", "category": "laboratory", "level": "standard", "at": rfc3339(now())}


def envelope_of(source: str, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event as a service would emit it."""
    event_id = new_id()
    trace = f"00-{event_id.replace('-', '')}-{event_id.replace('-', '')[-16:]}-01"
    return {"id": event_id, "source": source, "type": kind, "time": rfc3339(now()), "subject": None, "number": None,
            "request_id": event_id, "traceparent": trace, "data": data}  # fmt: skip


def carried(ground: Ground, count: int, body: str) -> float:
    """So many rows become visible at once; how many a second are gone, that is, confirmed."""
    with closing(_connected(ground, EMITTER)) as connection, connection.cursor() as cursor:
        rows = [(new_id(), KIND, body) for _ in range(count)]
        execute_values(cursor, "insert into outbox (event_id, type, envelope) values %s", rows, page_size=1000)
        cursor.execute("notify outbox")
        connection.commit()
        began = time.perf_counter()
        connection.autocommit = True

        def gone() -> bool:
            cursor.execute("select not exists (select from outbox where type = %s)", (KIND,))
            return bool((cursor.fetchone() or (False,))[0])

        if not wait_until(gone, PATIENCE, step=0.02):
            raise TimeoutError(f"the relay has not carried {count} events after {PATIENCE:.0f} s")
        return count / (time.perf_counter() - began)


@contextmanager
def queue(ground: Ground) -> Iterator[None]:
    """A queue like an inbox that gets these events and that nobody reads."""
    [arguments] = [queue["arguments"] for queue in topology.queues() if queue["name"] == f"{WORKER}.inbox"]
    bounded = {name: value for name, value in arguments.items() if "dead-letter" not in name}
    _import(ground, queues=[{"name": QUEUE, "vhost": topology.VHOST, "durable": True, "auto_delete": False,
                             "arguments": bounded}], bindings=[_binding(EMITTER, KIND, QUEUE)])  # fmt: skip
    try:
        yield
    finally:
        rabbitmq.control(ground.stack.layout, "delete_queue", "--vhost", topology.VHOST, QUEUE)


def _then_purged(ground: Ground, rate: float) -> float:
    rabbitmq.control(ground.stack.layout, "purge_queue", "--vhost", topology.VHOST, QUEUE)
    return rate


@contextmanager
def publisher(ground: Ground) -> Iterator[subprocess.Popen[str]]:
    """The process that publishes bare."""
    address = _address(ground, EMITTER, KIND)
    with program(ground.stack.layout, ["-W", "ignore", "-m", "deploy.bench.bare_relay"], {}, pipes=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(address) + "\n")
        process.stdin.flush()
        yield process


def asked(process: subprocess.Popen[str], **question: Any) -> float:
    """What it says to a question."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    told = process.stdout.readline()
    if not told:
        raise RuntimeError("the bare publishing ended; the reason stands above")
    return float(json.loads(told))


# --- poison ---------------------------------------------------------------------------------------------------------


def poison(ground: Ground) -> list[Row]:
    """Good events a second when one in a hundred fails for good, beside the same good ones alone."""
    amount = ground.amount
    good = WORKED[amount.size]
    bind(ground)
    worked(ground, good // 10, 0)

    def with_poison() -> float:
        rate, poisoned = worked(ground, good, good // POISON_EVERY)
        require_parked_and_replayable(ground, poisoned)
        return rate

    seen = alternate(with_poison, lambda: worked(ground, good, 0)[0], POISONED)
    return [seen.row("poison", amount.size)]


def bind(ground: Ground) -> None:
    """Has these events reach the one service that works them here."""
    _import(ground, bindings=[_binding(SOURCE, KEY, f"{WORKER}.inbox")])


def worked(ground: Ground, good: int, bad: int) -> tuple[float, list[str]]:
    """Good events a second, by the times at which they were worked; the ids of the bad ones among them."""
    sessions = [new_id() for _ in range(good)]
    envelopes = [envelope_of(SOURCE, WORKED_KIND, {"session_id": session}) for session in sessions]
    poisoned = [envelope_of(SOURCE, WORKED_KIND, {}) for _ in range(bad)]
    for place, envelope in enumerate(poisoned):
        envelopes.insert(place * (POISON_EVERY + 1), envelope)
    _publish(ground, envelopes)
    with closing(_connected(ground, WORKER)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def found() -> tuple[int, Any, Any]:
            cursor.execute(
                "select count(*), min(ended_at), max(ended_at) from ended_sessions"
                " where session_id = any(cast(%s as uuid[]))", (sessions,),
            )  # fmt: skip
            count, first, last = cursor.fetchone() or (0, None, None)
            return int(count), first, last

        if not wait_until(lambda: found()[0] == good, PATIENCE, step=0.3):
            raise TimeoutError(f"{found()[0]} of {good} good events are worked after {PATIENCE:.0f} s")
        _, first, last = found()
    return (good - 1) / float((last - first).total_seconds()), [envelope["id"] for envelope in poisoned]


def _publish(ground: Ground, envelopes: Sequence[dict[str, Any]]) -> None:
    """All confirmed: what a quorum queue has not confirmed may go with the channel that it came by."""
    with closing(Publisher(_address(ground, SOURCE, KEY))) as publisher:
        publisher.rate([json.dumps(envelope).encode() for envelope in envelopes])


def require_parked_and_replayable(ground: Ground, event_ids: list[str]) -> None:
    """Each of these is parked with its cause once its tries are over, and worked when it is mended and replayed.

    Their waits between two tries are cut short: how long these are is none of the figure.
    """
    with closing(_connected(ground, WORKER)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def in_state(state: str) -> bool:
            hurry = "update inbox set due_at = now() where state = 'due' and event_id = any(cast(%s as uuid[]))"
            cursor.execute(hurry, (event_ids,))
            question = "select count(*) from inbox where state = %s and event_id = any(cast(%s as uuid[]))"
            cursor.execute(question, (state, event_ids))
            return (cursor.fetchone() or (0,))[0] == len(event_ids)

        if not wait_until(lambda: in_state("parked"), PATIENCE, step=0.3):
            raise RuntimeError("not every event that fails for good was parked")
        listed = {one["id"]: one["cause"] for one in operator.parked(ground.stack.layout) if one["service"] == WORKER}
        if {listed.get(event_id) for event_id in event_ids} != {"KeyError"}:
            raise RuntimeError("not every parked event is listed with its cause")
        mend = (
            "update inbox set envelope = cast(jsonb_set(cast(envelope as jsonb), '{data,session_id}',"
            " to_jsonb(event_id)) as text) where event_id = any(cast(%s as uuid[]))"
        )
        cursor.execute(mend, (event_ids,))
        operator.replay(ground.stack.layout, WORKER)
        if not wait_until(lambda: in_state("done"), PATIENCE, step=0.3):
            raise RuntimeError("not every parked event could be replayed")


# --- both -----------------------------------------------------------------------------------------------------------


def _address(ground: Ground, service: str, key: str) -> dict[str, Any]:
    """Where a service's events go, and as whom."""
    settings = ground.settings(service)
    return {"port": settings.broker_port, "user": settings.broker_user, "password": settings.broker_password,
            "vhost": settings.broker_vhost, "exchange": f"{service}.events", "key": key}  # fmt: skip


def _binding(source: str, key: str, queue: str) -> dict[str, Any]:
    return {"source": f"{source}.events", "vhost": topology.VHOST, "destination": queue, "destination_type": "queue",
            "routing_key": key, "arguments": {}}  # fmt: skip


def _import(ground: Ground, **definitions: Any) -> None:
    layout = ground.stack.layout
    file = layout.rabbitmq / "bench.json"
    write_private(file, json.dumps(definitions))
    rabbitmq.control(layout, "import_definitions", str(file))


def _connected(ground: Ground, service: str) -> Any:
    return psycopg2.connect(ground.stack.layout.database_url(service).replace("+psycopg2", ""))
