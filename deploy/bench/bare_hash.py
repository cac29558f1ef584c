"""The bare hash that log-ins are measured against: Argon2id verifications and nothing else, process by process.

The same hash in the same circumstances as in the service: a process that keeps its memory from one to the next.

Reads lines of seconds on stdin and answers each with the verifications per second of one process that did so long
nothing else; as many of these run as a service's pool has places.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from deploy.bench.ground import program
from deploy.local.layout import Layout
from services.identity.ports.hashers import KEEPS_MEMORY
from services.identity.ports.hashing import Hashing

SECRET = "quatre chevaux bleus"  # noqa: S105 (opens nothing)


@contextmanager
def bare_hash(layout: Layout, processes: int) -> Iterator[BareHash]:
    """So many processes that hash when told to, gone with the block."""
    with ExitStack() as stack:
        crew = [
            stack.enter_context(program(layout, ["-m", "deploy.bench.bare_hash"], KEEPS_MEMORY, pipes=True))
            for _ in range(processes)
        ]
        yield BareHash(crew)


class BareHash:
    """The telling side."""

    def __init__(self, crew: list[Any]) -> None:
        self._crew = crew

    def rate(self, seconds: float) -> float:
        """Verifications per second of all together."""
        with ThreadPoolExecutor(len(self._crew)) as pool:
            return sum(pool.map(lambda process: _told(process, seconds), self._crew))


def _told(process: Any, seconds: float) -> float:
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    return float(json.loads(process.stdout.readline()))


def main() -> None:
    """One rate per line of seconds."""
    hashing = Hashing()
    secret_hash = hashing.hash(SECRET)
    for line in sys.stdin:
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < float(line):
            hashing.matches(secret_hash, SECRET)
            done += 1
        sys.stdout.write(json.dumps(done / (time.perf_counter() - began)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
