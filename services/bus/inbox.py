"""Facts coming in: an inbox row first, the work in one transaction with it, backoff, and a parking place."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import eventlet
from eventlet.event import Event as Signal
from nameko.exceptions import ContainerBeingKilled
from nameko.extensions import Entrypoint, ProviderCollector, SharedExtension
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.bus import inbox_rows
from services.bus.arrivals import Arrival, arrived, fitting
from services.bus.consumer import Consumer, declared, sessions_of, settle
from services.bus.left import Lefts
from services.bus.way import Way
from services.db import Savepoint, forget_requests, new_id
from services.refusals import Refusal, Unavailable
from services.settings import load
from services.tokens import Context
from services.words import say_now

TRIES = 10
BACKOFF_CAP = 60.0  # seconds between two tries
INBOX_PREFETCH = 200
INBOX_WORKERS = 2
LOOK_EVERY = 1.0  # seconds between two looks at what has to be tried again
DIRECT_WORKERS = 4  # while some of them wait for the disk, what arrives gathers for the next
AT_ONCE = 1000  # events that one transaction works as they arrive
DONE_KEPT = timedelta(days=7)

log = logging.getLogger(__name__)


def fresh_context(request_id: str | None = None, traceparent: str | None = None) -> Context:
    """A context for work nobody waits for: event handlers and timers."""
    settings = load()
    request_id = request_id or new_id()
    trace = traceparent or f"00-{request_id.replace('-', '')}-{request_id.replace('-', '')[-16:]}-01"
    return Context(request_id=request_id, traceparent=trace, deadline=time.time() + settings.rpc_timeout,
                   process=settings.process)  # fmt: skip


@dataclass(frozen=True)
class Received:
    """An event as its handler gets it; `data` is the contract's dataclass, `context` serves for calls to others."""

    id: str
    source: str
    type: str
    time: str
    subject: str | None
    number: int | None
    data: Any
    context: Context


class Inbox(SharedExtension, ProviderCollector):  # type: ignore[misc]
    """Takes events into the inbox table and acks; works the table off with backoff; parks what keeps failing."""

    queue_consumer = Consumer()
    way = Way()
    prefetch = INBOX_PREFETCH

    def __init__(self) -> None:
        self._handlers: dict[tuple[str, str], EventHandler] = {}
        self._unhurried: list[str] = []
        super().__init__()

    def setup(self) -> None:
        name = self.container.service_name
        self.queue = declared(f"{name}.inbox")
        self._arrived: eventlet.Queue = eventlet.Queue()
        self._due: eventlet.Queue = eventlet.Queue(INBOX_WORKERS)
        self._direct: eventlet.Queue = eventlet.Queue(1)
        self._given = 0  # what the workers have of it, or are about to take
        self._lefts = Lefts()
        self._keeping = eventlet.Semaphore()  # what came earlier lies in the table before what came later
        self._stopping = False
        self._looked_blindly_at = 0.0
        self._gone = Signal()
        self._parked = Parked(self)
        self.queue_consumer.register_provider(self)
        self.queue_consumer.register_provider(self._parked)

    def start(self) -> None:
        self.container.spawn_managed_thread(self._take, identifier="inbox")
        for _ in range(INBOX_WORKERS):
            self.container.spawn_managed_thread(self._work, identifier="inbox worker")
        for _ in range(DIRECT_WORKERS):
            self.container.spawn_managed_thread(self._work_direct, identifier="inbox worker at once")

    def stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self.queue_consumer.unregister_provider(self)
            self.queue_consumer.unregister_provider(self._parked)
            self._gone.send(True)
        self._gone.wait()

    def register_provider(self, provider: Any) -> None:
        super().register_provider(provider)
        for source in provider.sources:
            self._handlers[(source, provider.event_type)] = provider
        if provider.unhurried:
            self._unhurried.append(provider.event_type)

    def receive(self, message: Any) -> None:
        self._arrived.put((message, None))

    def receive_parked(self, message: Any) -> None:
        self._arrived.put((message, "rejected"))

    def _take(self) -> None:
        """Arrivals into the table, many at a time; the acks go out when the rows are durable. Those that are worked as
        they arrive go straight to their workers; one that somebody waits for goes into the table too where it would
        have to wait for a worker, for nothing behind it may."""
        while True:
            arrivals: list[Arrival] = []
            direct: list[Arrival] = []
            events = messages = 0
            while messages == 0 or (messages < INBOX_PREFETCH and events < AT_ONCE and not self._arrived.empty()):
                message, cause = self._arrived.get()
                arrival = arrived(message, cause, self._handlers)
                messages += 1
                if arrival is None:
                    settle(message, "reject", requeue=False)  # dead-letters into the parking queue
                    continue
                events += len(arrival.envelopes)
                (direct if arrival.is_worked_at_once else arrivals).append(arrival)
            while direct:
                count = fitting(direct, AT_ONCE)
                if direct[0].handler.together or self._given < DIRECT_WORKERS:
                    self._given += 1
                    self._direct.put(direct[:count])
                else:
                    arrivals += direct[:count]
                del direct[:count]
            if arrivals:
                self._keeping.acquire()
                if self._due.getting():
                    self._due.put(arrivals)  # a worker has nothing to do: it keeps them, and takes one, in one word
                else:
                    self._keep(arrivals)

    def _keep(self, arrivals: Sequence[Arrival]) -> None:
        """Into the table; however long that takes. Nobody else is keeping any."""
        while True:
            try:
                with self.way.ahead(), sessions_of(self.container).transaction() as session:
                    inbox_rows.keep(session, arrivals)
                break
            except Exception as broken:  # a dying thread would take the process along
                log.warning("inbox waits", extra={"kind": type(broken).__name__})
                eventlet.sleep(1)
        self._kept(arrivals, at_it=0)

    def _kept(self, arrivals: Sequence[Arrival], at_it: int) -> None:
        """What follows when they are durable. at_it: how many workers look into the table already."""
        for arrival in arrivals:
            self._lefts.of(arrival.handler).keep(len(arrival.envelopes), urgent=arrival.is_urgent)
            settle(arrival.message, "ack")
        self._keeping.release()
        for _ in range(at_it, min(INBOX_WORKERS, sum(len(arrival.envelopes) for arrival in arrivals))):
            if not self._due.full():  # no more of them than there is work
                self._due.put([])

    def _work_direct(self) -> None:
        """Works events as they arrive, without rows of their own; what fails becomes rows, and goes the way of all
        others."""
        while True:
            arrivals: list[Arrival] = self._direct.get()
            try:
                worked = self._worked_at_once(arrivals)
            except Exception as broken:  # a dying thread would take the process along
                log.warning("inbox waits", extra={"kind": type(broken).__name__})
                worked = False
            self._given -= 1
            if worked:
                for arrival in arrivals:
                    settle(arrival.message, "ack")
            else:
                self._keeping.acquire()
                self._keep(arrivals)

    def _worked_at_once(self, arrivals: Sequence[Arrival]) -> bool:
        """False when the handler failed, and nothing was changed."""
        entrypoint = arrivals[0].handler
        assert entrypoint is not None
        with self.way.ahead(), sessions_of(self.container).transaction() as session:
            envelopes = [envelope for arrival in arrivals for envelope in arrival.envelopes]
            error = self._call(session, entrypoint, _events_of(entrypoint, envelopes))
            if error is not None:
                raise error
        return True

    def _work(self) -> None:
        cleaned = 0.0
        come: list[Arrival] = []
        while not self._stopping:
            try:
                while self._work_next(come) and not self._stopping:
                    pass
                if time.time() - cleaned > 3600:
                    self._clean()
                    cleaned = time.time()
            except Exception as broken:  # a dying thread would take the process along
                log.warning("inbox waits", exc_info=broken, extra={"kind": type(broken).__name__})
                if come:
                    self._keep(come)
            come = self._rest()

    def _rest(self) -> list[Arrival]:
        """Until there is something to look for, or to be kept before; a second at most."""
        try:
            come: list[Arrival] = self._due.get(timeout=LOOK_EVERY)
            return come
        except eventlet.queue.Empty:
            return []

    def _work_next(self, come: list[Arrival]) -> bool:
        """Works the next due event in one transaction with its row, and with it those that may share it; True when
        there may be more to do at once.

        come: what has to be kept before; emptied when it is durable. A failing handler is undone to a savepoint, so the
        row stays locked until its next try is written: no other worker or replica sees it due in between. Where one of
        several fails, each is worked by itself.
        """
        if time.monotonic() - self._looked_blindly_at >= LOOK_EVERY:
            self._looked_blindly_at = time.monotonic()
            self._lefts.look_blindly()
        with self._lefts.turn() as look:
            if come or look:
                with self.way.ahead(), sessions_of(self.container).transaction() as session:
                    since = None if any(each.is_urgent for each in come) else look.since
                    row = inbox_rows.next_due(session, [] if look.of_all else self._unhurried, since, come)
                    if come:
                        self._kept(come[:], at_it=1)
                        come.clear()
                    if row is None:
                        look.found_nothing()
                    else:
                        look.found(row.due_at)
                        self._work_with(session, row)
            return bool(look)

    def _work_with(self, session: Session, row: Any) -> None:
        rows = [row, *self._together_with(session, row)]
        self._lefts.of(self._handlers.get((row.source, row.type))).take(sum(one.attempts == 0 for one in rows))
        if len(rows) == 1 or self._failure(session, rows, last=True) is not None:
            for one in rows:
                failure = self._failure(session, [one], last=one is rows[-1])
                if failure is not None:
                    self._put_off(session, one, failure)

    def _together_with(self, session: Session, row: Any) -> Sequence[Any]:
        """The other due events that one transaction may work with this one."""
        entrypoint = self._handlers.get((row.source, row.type))
        if entrypoint is None or not entrypoint.together:
            return ()
        return inbox_rows.like_it(session, row, entrypoint.sources)

    def _failure(self, session: Session, rows: Sequence[Any], *, last: bool) -> BaseException | None:
        """Works these events as one; gives the error where that fails, and has undone all of it.

        Raises it when it took the transaction's connection along: then nothing can be noted any more, and the events
        are due as they were. last: the transaction ends with them, where they are worked.
        """
        connection, point = session.connection(), Savepoint(session)
        failure = self._run(session, rows)
        if failure is None:
            failure = self._unkept(session, rows, point, last=last)
        if failure is not None:
            if connection.invalidated:
                raise failure
            point.undo()
        return failure

    def _unkept(self, session: Session, rows: Sequence[Any], point: Savepoint, *, last: bool) -> Exception | None:
        """Has what was worked stand; what the database says where it will not have what was left to be written."""
        try:
            inbox_rows.done(session, rows)
            if last:
                point.commit()
            else:
                session.flush()
                say_now(session)
                point.keep()
        except Exception as unfit:
            return unfit
        return None

    def _run(self, session: Session, rows: Sequence[Any]) -> BaseException | None:
        """The handler in a worker of the container; its error, if any: also an event nobody handles or can read.

        rows: one, or several that the handler takes together.
        """
        try:
            entrypoint = self._handlers[(rows[0].source, rows[0].type)]
            return self._call(session, entrypoint, [entrypoint.event(json.loads(row.envelope)) for row in rows])
        except Exception as unfit:  # it is this event's, whatever it is: let out, it would hold up all the others
            return unfit

    def _call(self, session: Session, entrypoint: EventHandler, events: list[Received]) -> BaseException | None:
        session.info["context"] = events[0].context if len(events) == 1 else None
        finished = Signal()

        def finish(_worker: Any, _result: Any, exc_info: Any) -> tuple[None, None]:
            finished.send(exc_info[1] if exc_info else None)
            return None, None

        given = events if entrypoint.together else events[0]
        self.container.spawn_worker(entrypoint, (session, given), {}, handle_result=finish)
        error: BaseException | None = finished.wait()
        return error

    def _put_off(self, session: Session, row: Any, failure: BaseException) -> None:
        """Backoff; the last try parks. An outage of another part, or our own end, is no fault of the event and never
        parks it."""
        attempts = row.attempts + 1
        outage = isinstance(failure, Unavailable | OperationalError | OSError | ContainerBeingKilled)
        wait = min(BACKOFF_CAP, 0.5 * 2 ** min(attempts, 10))
        cause = failure.code if isinstance(failure, Refusal) else type(failure).__name__
        parked = attempts >= TRIES and not outage
        inbox_rows.put_off(session, row, cause, None if parked else timedelta(seconds=wait))
        log.warning("event parked" if parked else "event put off", exc_info=failure, extra={
            "event_id": row.event_id, "event_type": row.type, "source": row.source, "attempts": attempts,
            "retry_in": wait, "code": cause})  # fmt: skip

    def _clean(self) -> None:
        with sessions_of(self.container).transaction() as session:
            inbox_rows.forget(session, DONE_KEPT)
            forget_requests(session)


def _events_of(entrypoint: EventHandler, envelopes: list[dict[str, Any]]) -> list[Received]:
    return entrypoint.events(envelopes) if entrypoint.together else [entrypoint.event(one) for one in envelopes]


class Parked:
    """The broker's parking queue of the same service: what it holds becomes parked rows beside the others."""

    prefetch = 20

    def __init__(self, inbox_of: Inbox) -> None:
        self.queue = declared(f"{inbox_of.container.service_name}.parked")
        self.receive = inbox_of.receive_parked


class EventHandler(Entrypoint):  # type: ignore[misc]
    """A method that works one kind of event; sources: the services that emit it.

    together: the method takes a list of such events, worked in one transaction. For handlers alone that do nothing but
    write to their own database: what one does outside would be done again when another fails.
    urgent: somebody waits for what this does, so it goes before all that nobody waits for, however much there is.
    unhurried: nobody does, so that it takes one worker of a process and leaves the others to what comes.
    at_once: the same event again does nothing here, at the same moment neither, so that it needs no row to be worked
    once. It is worked as it arrives, and acknowledged when that is durable.
    """

    inbox = Inbox()

    def __init__(
        self, sources: str | Sequence[str], contract: Any, *, together: bool = False, urgent: bool = False,
        unhurried: bool = False, at_once: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.together = together
        self.at_once = at_once
        self.urgent = urgent
        self.unhurried = unhurried
        self.sources = (sources,) if isinstance(sources, str) else tuple(sources)
        self.contract = contract
        self.event_type = contract if isinstance(contract, str) else contract.type
        super().__init__(expected_exceptions=(Refusal,), **kwargs)

    def setup(self) -> None:
        self.inbox.register_provider(self)

    def stop(self) -> None:
        self.inbox.stop()

    def event(self, envelope: dict[str, Any]) -> Received:
        """The envelope as the handler gets it; unknown fields of a newer emitter are left out."""
        return self._received(envelope, fresh_context(envelope["request_id"], envelope["traceparent"]))

    def events(self, envelopes: Sequence[dict[str, Any]]) -> list[Received]:
        """Many at once, under one context: theirs is work without questions to others."""
        context = fresh_context()
        return [self._received(envelope, context) for envelope in envelopes]

    def _received(self, envelope: dict[str, Any], context: Context) -> Received:
        data = envelope["data"]
        if not isinstance(self.contract, str):
            known = self.contract.__dataclass_fields__.keys()
            if data.keys() - known:
                data = {name: value for name, value in data.items() if name in known}
            data = self.contract(**data)
        return Received(
            id=envelope["id"], source=envelope["source"], type=envelope["type"], time=envelope["time"],
            subject=envelope["subject"], number=envelope["number"], data=data, context=context,
        )  # fmt: skip


on = EventHandler.decorator
