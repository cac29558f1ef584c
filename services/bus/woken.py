"""Work that begins when a commit says so: LISTEN/NOTIFY wakes it at once, a slow beat when a word got lost.

A woken method works beside the container's workers, not among them, and on connections of its own: work that waits for
the outside world must not take the places of those who answer questions. It says True when there may be more to do.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from contextlib import nullcontext
from typing import Any

import eventlet
from eventlet.event import Event as Signal
from eventlet.hubs import trampoline
from nameko.containers import WorkerContext
from nameko.extensions import Entrypoint, ProviderCollector, SharedExtension
from sqlalchemy.exc import OperationalError

from services.bus.consumer import sessions_of
from services.bus.way import Way
from services.db import Database, Sessions
from services.refusals import Unavailable
from services.settings import load

BEAT = 0.5  # seconds between two looks at who has rested long enough
LONGEST_REST = 5.0  # seconds between two tries while what the work needs is away
SLOW = 0.05  # seconds; a call that lasted longer was waiting for others most of the time
LAST_WORK = 15.0  # seconds in which a call that runs may end when the process is told to stop

log = logging.getLogger(__name__)


class Listener(SharedExtension, ProviderCollector):  # type: ignore[misc]
    """One connection of the process on which the database says that there is work, and those on which it is done."""

    def setup(self) -> None:
        self._stopping = False
        self.sessions = Sessions(load().database_url)

    def start(self) -> None:
        self.container.spawn_managed_thread(self._run, identifier="listener")

    def stop(self) -> None:
        self._stopping = True
        self.sessions.engine.dispose()

    def _run(self) -> None:
        while not self._stopping:
            try:
                with sessions_of(self.container).engine.connect() as connection:
                    self._listen(connection)
            except Exception as broken:  # a dying thread would take the process along
                log.warning("listener waits", extra={"kind": type(broken).__name__})
            eventlet.sleep(1)

    def _listen(self, connection: Any) -> None:
        try:
            for channel in sorted({provider.channel for provider in self._providers}):
                connection.exec_driver_sql(f"listen {channel}")
            self._wake(None)  # what was said while nobody listened
            wire = connection.connection.driver_connection
            while not self._stopping:
                for provider in self._providers:
                    provider.beat()
                try:
                    trampoline(wire.fileno(), read=True, timeout=BEAT)
                except eventlet.Timeout:
                    continue
                wire.poll()
                for channel in {told.channel for told in wire.notifies}:
                    self._wake(channel)
                wire.notifies.clear()
        finally:
            connection.invalidate()  # back in the pool it would go on listening

    def _wake(self, channel: str | None) -> None:
        for provider in self._providers:
            if channel is None or provider.channel == channel:
                provider.wake()


class Woken(Entrypoint):  # type: ignore[misc]
    """Calls a method without arguments whenever a commit notified `channel`, and every so many seconds.

    channel: of NOTIFY in the service's own database; a word of lower case letters. every: seconds; so long at most a
    lost word delays. side_by_side: how many calls may run at once in one process; each must claim what it works on, and
    where one is quick it does all there is: only a slow one has another one join. What raises is logged, and called
    again after a rest. gives_way: it lets what arrives in this process go before each of its calls, because nobody
    waits for it, or because it waits for the outside itself; what does not is ahead.
    """

    listener = Listener()
    way = Way()

    def __init__(
        self, channel: str, *, every: float = 1.0, side_by_side: int = 1, gives_way: bool = False, **kwargs: Any
    ) -> None:
        self.channel, self._every, self._side_by_side, self._gives_way = channel, every, side_by_side, gives_way
        super().__init__(**kwargs)

    def setup(self) -> None:
        self._stopping = False
        self._beaten_at = 0.0
        self._at_it: dict[Signal, float] = {}  # the hands that work, and when each began its last call
        self._woken: eventlet.Queue = eventlet.Queue(self._side_by_side)
        self._gone = [Signal() for _ in range(self._side_by_side)]
        self.listener.register_provider(self)

    def start(self) -> None:
        for gone in self._gone:
            self.container.spawn_managed_thread(lambda gone=gone: self._run(gone), identifier=f"on {self.channel}")

    def stop(self) -> None:
        """Returns when no call runs any more: what is cut off between an answer and its commit is done twice."""
        self._stopping = True
        for _ in self._gone:
            self.wake()
        with eventlet.Timeout(LAST_WORK, False):
            for gone in self._gone:
                gone.wait()

    def wake(self) -> None:
        """Has one more call look for work, soon: after those that are quick."""
        self._put(joins=False)

    def _put(self, *, joins: bool) -> None:
        if not self._woken.full():
            self._woken.put(joins)

    def beat(self) -> None:
        """Has one call look for work, where none was woken by the clock for as long as it may rest."""
        if time.monotonic() - self._beaten_at >= self._every:
            self._beaten_at = time.monotonic()
            self.wake()

    def _run(self, gone: Signal) -> None:
        failures = 0
        while not self._stopping:
            try:
                more, slow = self._called(gone)
            except Exception as broken:  # a dying thread would take the process along
                failures += 1
                self._at_it.pop(gone, None)
                self._rest(broken, failures)
                continue
            failures = 0
            if more:
                if slow:
                    self._put(joins=True)
                eventlet.sleep(0)
                continue
            del self._at_it[gone]
            self._idle()
        gone.send(True)

    def _idle(self) -> None:
        """Returns when there may be work, and nobody is at it who has been quick so far."""
        joins = self._woken.get()
        while not (joins or self._stopping) and any(
            time.monotonic() - began < SLOW for began in self._at_it.values()
        ):  # fmt: skip
            eventlet.sleep(SLOW / 5)

    def _rest(self, broken: Exception, failures: int) -> None:
        away = isinstance(broken, Unavailable | OperationalError | OSError)
        told = {"method": self.method_name, "kind": type(broken).__name__, "attempts": failures}
        if away:
            log.warning("work waits", extra=told)
        else:
            log.error("work failed", exc_info=broken, extra=told)
        longest = min(LONGEST_REST, 0.25 * 2 ** min(failures, 10))
        eventlet.sleep(longest * (1 + secrets.randbelow(1000) / 1000) / 2)

    def _called(self, gone: Signal) -> tuple[Any, bool]:
        """What the method says, and whether it was slow to say so."""
        self._at_it[gone] = math.inf  # nobody is slow who gives way
        if self._gives_way:
            self.way.give()
        with nullcontext() if self._gives_way else self.way.ahead():
            began = self._at_it[gone] = time.monotonic()
            more = self._call()
            return more, time.monotonic() - began > SLOW

    def _call(self) -> Any:
        service = self.container.service_cls()
        context = WorkerContext(self.container, service, self)
        for provider in self.container.dependencies:
            given = self.listener.sessions if isinstance(provider, Database) else provider.get_dependency(context)
            setattr(service, provider.attr_name, given)
        return getattr(service, self.method_name)()


woken = Woken.decorator
