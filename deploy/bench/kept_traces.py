"""A process of writers: traces kept by audit's own store, in a green process as audit is one.

A line on stdin says for how many writers and how long; a line on stdout tells how many were kept a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import eventlet
from eventlet.event import Event

from deploy.bench.bare_traces import answer, kept_a_second
from services.audit import store
from services.audit.contract import AccessTraced
from services.bus.inbox import DIRECT_WORKERS
from services.db import Sessions, now
from services.settings import load


class Keepers:
    """What is measured: as in audit's inbox, each worker keeps what has come in one transaction.

    While some of them wait for the disk, what comes gathers for the next.
    """

    def __init__(self) -> None:
        self._sessions = Sessions(load().database_url)
        self._waiting: eventlet.Queue = eventlet.Queue()
        for _ in range(DIRECT_WORKERS):
            eventlet.spawn(self._keep_what_waits)

    def append(self, writers: int, seconds: float) -> float:
        """Entries a second; who writes one goes on when it is durable."""

        def keep(told: Iterator[AccessTraced]) -> Callable[[], None]:
            def one() -> None:
                durable = Event()
                self._waiting.put((next(told), durable))
                durable.wait()

            return one

        return kept_a_second(writers, seconds, keep)

    def _keep_what_waits(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while not self._waiting.empty():
                batch.append(self._waiting.get())
            try:
                with self._sessions.transaction() as session:
                    store.insert_entries(session, [(trace, "documents") for trace, _ in batch], now())
            except Exception as broken:  # whoever waits for it learns of it, or would wait for ever
                for _, durable in batch:
                    durable.send_exception(broken)
            else:
                for _, durable in batch:
                    durable.send()


def main() -> None:
    """Answers line by line until stdin ends; the process is green before this is imported."""
    answer(Keepers())
