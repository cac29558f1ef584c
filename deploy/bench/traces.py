"""How fast traces are kept: one by one by many writers, and many at once as the bus brings them.

Both against bare inserts of the same values into a table with nothing but a primary key, on the same server, in turns.
The notary is at work all the while, as it always is: what is measured is entries with a salt, three indexes and a place
among what waits to be sealed. Each run ends with everything sealed.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from types import SimpleNamespace
from typing import Any

import amqp
import psycopg2

from deploy.bench.bare_traces import BARE, TABLE, traces
from deploy.bench.figures import Row
from deploy.bench.ground import Ground, program
from deploy.bench.rounds import Compared, alternate
from deploy.local.supervise import wait_until
from services.audit.contract import AccessTraced
from services.bus.outbox import RELAY_BATCH, bundles
from services.db import new_id, now, rfc3339

WRITERS = 16
PROCESSES = 4  # of bare writers: the threads of one would wait for each other's Python
KEPT = ("-c", "import eventlet; eventlet.monkey_patch(); from deploy.bench.kept_traces import main; main()")
TOGETHER = 500
ENTRIES = {"small": 20_000, "full": 200_000}
SEALED_WITHIN = 120


def append(ground: Ground) -> list[Row]:
    """Entries a second of 16 writers who wait until theirs is durable, beside 16 who commit a bare row each."""
    amount = ground.amount
    with _writers(ground, KEPT, 1) as keepers, _bare_writers(ground, PROCESSES) as writers:

        def ours() -> float:
            return sum(_asked(keepers, what="append", writers=WRITERS, seconds=amount.seconds))

        def bare() -> float:
            _require_sealed(ground)  # nothing of ours is left to do beside
            return sum(_asked(writers, what="append", writers=WRITERS // PROCESSES, seconds=amount.seconds))

        ours()
        seen = alternate(ours, bare, amount.rounds)
    _require_sealed(ground)
    return [seen.row("audit_append", amount.size)]


def batch(ground: Ground) -> list[Row]:
    """Entries a second that audit takes from its full queue, beside bare inserts of so many rows in one statement."""
    amount = ground.amount
    count = ENTRIES[amount.size]
    ours, baseline = [], []
    with _bare_writers(ground, 1) as writers:
        for _ in range(min(3, amount.rounds)):
            baseline += _asked(writers, what="batch", count=count, together=TOGETHER)
            ours.append(_taken_in(ground, count))
            _require_sealed(ground)
    return [Compared(tuple(ours), tuple(baseline)).row("audit_batch", amount.size)]


def _taken_in(ground: Ground, count: int) -> float:
    """The queue is filled while audit stands still; from then on the entries' own times tell how fast it went."""
    since = now()
    ground.stack.supervisor.stop(["audit"])
    try:
        _publish(ground, list(islice(traces(1), count)))
    finally:
        ground.stack.supervisor.start(["audit"])
    if not wait_until(lambda: _kept(ground, since)[0] >= count, 300, step=0.2):
        raise TimeoutError("audit has not taken in what was in its queue after 300 s")
    kept, first, at_first, last = _kept(ground, since)
    return float((kept - at_first) / (last - first).total_seconds())


def _kept(ground: Ground, since: Any) -> tuple[int, Any, int, Any]:
    """How many entries came, when the first of them, how many with that, and when the last."""
    with closing(_connected(ground)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "with came as (select received_at from entries where received_at > %s and source = 'documents')"
            " select count(*), min(received_at),"
            " count(*) filter (where received_at = (select min(received_at) from came)), max(received_at) from came",
            (since,),
        )
        found: tuple[int, Any, int, Any] = cursor.fetchone()  # type: ignore[assignment]
        return found


def _publish(ground: Ground, told: Sequence[AccessTraced]) -> None:
    """Into the queue, bundled as the relay of documents would."""
    settings = ground.settings("documents")
    with amqp.Connection(
        f"{settings.broker_host}:{settings.broker_port}", settings.broker_user, settings.broker_password,
        virtual_host=settings.broker_vhost, confirm_publish=True,
    ) as connection:  # fmt: skip
        channel = connection.channel()
        for at in range(0, len(told), RELAY_BATCH):
            rows = [_outbox_row(trace) for trace in told[at : at + RELAY_BATCH]]
            for body, first in bundles(rows):
                message = amqp.Message(body, user_id="documents", delivery_mode=2, message_id=first.event_id)
                channel.basic_publish(message, "documents.events", first.type)


def _outbox_row(trace: AccessTraced) -> Any:
    event_id = new_id()
    envelope = {
        "id": event_id, "source": "documents", "type": trace.type, "time": rfc3339(now()), "subject": None,
        "number": None, "request_id": event_id, "traceparent": None, "data": vars(trace),
    }  # fmt: skip
    return SimpleNamespace(event_id=event_id, type=trace.type, envelope=json.dumps(envelope), bundled=trace.bundled)


def _require_sealed(ground: Ground) -> None:
    def nothing_waits() -> bool:
        with closing(_connected(ground)) as connection, connection.cursor() as cursor:
            cursor.execute("select not exists (select from arrivals)")
            (done,) = cursor.fetchone() or (False,)
            return bool(done)

    if not wait_until(nothing_waits, SEALED_WITHIN, step=0.2):
        raise TimeoutError(f"entries are not sealed after {SEALED_WITHIN} s")


def _connected(ground: Ground) -> Any:
    connection = psycopg2.connect(ground.stack.layout.database_url("audit").replace("+psycopg2", ""))
    connection.autocommit = True
    return connection


@contextmanager
def _bare_writers(ground: Ground, processes: int) -> Iterator[list[subprocess.Popen[str]]]:
    with closing(_connected(ground)) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        with _writers(ground, ("-m", "deploy.bench.bare_traces"), processes) as writers:
            yield writers
        cursor.execute(f"drop table {BARE}")


@contextmanager
def _writers(ground: Ground, command: Sequence[str], processes: int) -> Iterator[list[subprocess.Popen[str]]]:
    layout = ground.stack.layout
    environment = {"OPENDSP_SETTINGS": str(layout.settings_file("audit"))}
    with ExitStack() as stack:
        command = ["-W", "ignore", *command]
        yield [stack.enter_context(program(layout, command, environment, pipes=True)) for _ in range(processes)]


def _asked(processes: Sequence[subprocess.Popen[str]], **asked: Any) -> list[float]:
    for one in processes:
        assert one.stdin is not None
        one.stdin.write(json.dumps(asked) + "\n")
        one.stdin.flush()
    answers = []
    for one in processes:
        assert one.stdout is not None
        told = one.stdout.readline()
        if not told:
            raise RuntimeError("traces cannot be measured; the reason stands above")
        answers.append(float(json.loads(told)))
    return answers
