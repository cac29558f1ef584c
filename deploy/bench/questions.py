"""How fast questions are answered: over the bus alone, and over HTTP through the gateway."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.bench import crowd
from deploy.bench.echo import echo
from deploy.bench.figures import Row
from deploy.bench.ground import Ground, context
from deploy.bench.rounds import alternate
from deploy.local import rabbitmq
from deploy.local.supervise import wait_until
from deploy.rabbitmq import topology
from services.rpc import RpcClient

THREADS = 8
CLIENTS = 16
WARM = 0.5  # seconds
SERVICE, METHOD, PATH = "identity", "describe_session", "/sessions/current"


@contextmanager
def asking(ground: Ground) -> Iterator[Asker]:
    """The gateway's RPC client with a demo person's token, as one process has it; closed with the block."""
    client = RpcClient(ground.settings("gateway"))
    try:
        yield Asker(client, ground.person("patient").tokens["access_token"])
    finally:
        client.close()


class Asker:
    """Asks the method that does nothing but read the token: no SQL, no other service."""

    def __init__(self, client: RpcClient, token: str) -> None:
        self._client = client
        self._token = token

    def once(self) -> float:
        """One question; the seconds until its answer."""
        began = time.perf_counter()
        self._client.call(SERVICE, METHOD, context(self._token))
        return time.perf_counter() - began

    def rate(self, threads: int, seconds: float) -> float:
        """Answers per second to so many threads that ask at once."""
        counts = [0] * threads
        broken: list[Exception] = []
        began = time.perf_counter()
        end = began + seconds

        def ask(number: int) -> None:
            try:
                while time.perf_counter() < end:
                    self.once()
                    counts[number] += 1
            except Exception as error:
                broken.append(error)

        crew = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        if broken:
            raise broken[0]
        return sum(counts) / (time.perf_counter() - began)


def rpc(ground: Ground) -> list[Row]:
    """The gateway's client at 8 threads against the echo with 8 in flight; one replica, one consumer."""
    amount = ground.amount
    with asking(ground) as asker, echo(ground.stack.layout) as bare:
        body = b"x" * 64
        asker.rate(THREADS, WARM)
        bare.rate(THREADS, WARM, body)
        compared = alternate(
            lambda: asker.rate(THREADS, amount.seconds),
            lambda: bare.rate(THREADS, amount.seconds, body),
            amount.rounds,
        )
    return [compared.row("rpc", amount.size)]


def http_rpc(ground: Ground) -> list[Row]:
    """An authenticated GET that makes one such call, two replicas, 16 clients, against the echo with 16 in flight."""
    amount = ground.amount
    request = ground.request(ground.person("patient"), PATH)
    with _replicas(ground, 2), echo(ground.stack.layout) as bare:
        body = b"x" * 64
        crowd.rate(ground.address, request, CLIENTS, WARM)
        bare.rate(CLIENTS, WARM, body)
        compared = alternate(
            lambda: crowd.rate(ground.address, request, CLIENTS, amount.seconds),
            lambda: bare.rate(CLIENTS, amount.seconds, body),
            amount.rounds,
        )
    return [compared.row("http_rpc", amount.size)]


@contextmanager
def _replicas(ground: Ground, count: int) -> Iterator[None]:
    ground.stack.scale(SERVICE, count)
    try:
        if not wait_until(lambda: _consumers(ground) == count, 60, step=0.3):
            raise TimeoutError(f"{count} replicas of {SERVICE} do not all take questions after 60 s")
        yield
    finally:
        ground.stack.scale(SERVICE, 1)


def _consumers(ground: Ground) -> int:
    told = rabbitmq.control(ground.stack.layout, "list_queues", "--vhost", topology.VHOST, "name", "consumers")
    found = (line.split("\t") for line in told.splitlines())
    return next((int(columns[1]) for columns in found if columns[0] == f"rpc-{SERVICE}"), 0)
