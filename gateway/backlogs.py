"""What waits in every service and in the broker: asked for at once, kept for a few seconds, numbers alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import amqp
from uuid_utils import uuid7

from services.refusals import Refusal
from services.rpc import BROKEN, RpcClient
from services.settings import Broker, Purpose, Settings
from services.tokens import Context

SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")
FRESH = 5.0  # seconds for which what was found is shown again: several may look, the services are asked once
PATIENCE = 2.0  # seconds for the answers, all services at once
REQUESTS = "rpc-"  # what the queues of questions begin with
REPLICAS_MOST = 16  # of a service, that are asked one after the other

Told = dict[str, Any]


@dataclass(frozen=True)
class Depth:
    """A queue of the broker: what nobody has taken yet, and how many take from it."""

    messages: int
    consumers: int


@dataclass(frozen=True)
class Look:
    """What was found at one moment. services: what each replica said, nothing where none answered. queues: those of a
    broker that is away are not among them."""

    at: float
    services: Mapping[str, Sequence[Told]]
    queues: Mapping[str, Depth]

    def broker_answers(self, purpose: Purpose) -> bool:
        """Whether the broker that carries questions, or that of events, was there."""
        return any(queue.startswith(REQUESTS) == (purpose == "rpc") for queue in self.queues)


class Backlogs:
    """Looks at all services, and remembers the look before, from which rates are made."""

    def __init__(
        self, ask: Callable[[str], Told | None], depths: Callable[[], Mapping[str, Depth]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._ask = ask
        self._depths = depths
        self._clock = clock
        self._lock = threading.Lock()
        self._last: Look | None = None
        self._before: Look | None = None

    def look(self) -> tuple[Look, Look | None]:
        """What there is now, and what there was before that."""
        with self._lock:
            if self._last is None or self._clock() - self._last.at >= FRESH:
                self._before, self._last = self._last, self._look()
            return self._last, self._before

    def _look(self) -> Look:
        queues = self._depths()
        with ThreadPoolExecutor(len(SERVICES)) as pool:
            found = pool.map(lambda name: self._replicas(name, queues.get(f"{REQUESTS}{name}")), SERVICES)
            return Look(self._clock(), dict(zip(SERVICES, found, strict=True)), queues)

    def _replicas(self, service: str, queue: Depth | None) -> list[Told]:
        """What each replica says: the broker gives the questions of a row to them in turns."""
        wanted = min(REPLICAS_MOST, max(1, queue.consumers if queue is not None else 1))
        told: dict[str, Told] = {}
        for _ in range(wanted):
            answer = self._ask(service)
            if answer is None:
                break
            told[answer["replica"]] = answer
        return list(told.values())


def asker(settings: Settings) -> Callable[[str], Told | None]:
    """Asks a service over the bus; None when it does not answer soon."""
    client = RpcClient(settings)

    def ask(service: str) -> Told | None:
        request_id = str(uuid7())
        trace = f"00-{request_id.replace('-', '')}-{request_id.replace('-', '')[-16:]}-00"
        try:
            answer: Told = client.call(service, "backlog", Context(request_id, trace, time.time() + PATIENCE))
        except Refusal:
            return None
        return answer

    return ask


def measurer(settings: Settings) -> Callable[[], Mapping[str, Depth]]:
    """Measures the queues of the inner bus, on a connection of its own that nothing is published on: even a broker
    that takes no messages tells how many it has."""
    names: dict[Broker, list[str]] = {}
    for service in SERVICES:
        names.setdefault(settings.broker_of("rpc"), []).append(f"{REQUESTS}{service}")
        names.setdefault(settings.broker_of("events"), []).extend((f"{service}.inbox", f"{service}.parked"))

    def depths() -> Mapping[str, Depth]:
        return {name: depth for broker, there in names.items() for name, depth in measured(broker, there).items()}

    def measured(broker: Broker, there: Sequence[str]) -> Mapping[str, Depth]:
        try:
            with amqp.Connection(
                f"{broker.host}:{broker.port}", broker.user, broker.password, virtual_host=broker.vhost,
                login_method="PLAIN", connect_timeout=PATIENCE, read_timeout=PATIENCE, write_timeout=PATIENCE,
                client_properties={"connection_name": f"{settings.process}:queues"},
            ) as connection:  # fmt: skip
                channel = connection.channel()
                found = ((name, channel.queue_declare(name, passive=True)) for name in there)
                return {name: Depth(told.message_count, told.consumer_count) for name, told in found}
        except BROKEN:
            return {}

    return depths
