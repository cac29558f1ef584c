"""Facts going out: an outbox row in the change's transaction, then a relay that publishes with confirms."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import eventlet
import sqlalchemy as sa
from eventlet.event import Event as Signal
from eventlet.hubs import trampoline
from nameko.extensions import DependencyProvider
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.bus.consumer import sessions_of
from services.db import new_id, now, rfc3339, subjects
from services.plans import named, planned_once
from services.refusals import Unavailable
from services.rpc import Link, dumps
from services.settings import load
from services.tokens import Context
from services.words import add_to_outbox

RELAY_BATCH = 500
BUNDLE = 100  # events of one message: what counts for the broker is the number of messages
ROUND = 1.0  # seconds between two looks at what may gather
CONFIRM_WAIT = 10.0  # seconds for the broker to confirm a batch

log = logging.getLogger(__name__)

_NUMBER = (
    insert(subjects).values(subject=sa.bindparam("s"), number=1)
    .on_conflict_do_update(index_elements=["subject"], set_={"number": subjects.c.number + 1})
    .returning(subjects.c.number)
)  # fmt: skip


_NUMBERS = sa.text(
    "insert into outbox_subjects as kept (subject, number) select told, 1 from unnest(cast(:s as text[])) as told"
    " on conflict (subject) do update set number = kept.number + 1 returning subject, number"
)


# What the last look found, and the broker has by now, is struck with the next one: a word less for each event. Whoever
# dies in between has them sent once more, as whoever dies before a confirm does.
_STRIKE = "delete from outbox where seq = any(cast(:carried as bigint[]))"
_LYING = planned_once(sa.text(
    f"{_STRIKE}; select seq, cast(event_id as text) as event_id, type, envelope, bundled from outbox"  # noqa: S608 (its own words)
    f" where not bundled or :bundled_too order by seq limit {RELAY_BATCH}"
).columns(*named("seq event_id type envelope bundled")), carried="bigint[]", bundled_too="boolean")  # fmt: skip
_CARRIED = planned_once(sa.text(_STRIKE), carried="bigint[]")


def emit(session: Session, event: Any) -> str:
    """Writes an event of a contract into the outbox, with the commit of the change it tells; gives its id.

    An event with a `subject` gets that subject's next number; taking it locks the subject until the commit, so
    numbers of one subject are committed in order. Two words of an event's class, where it has them: `prompt = False`
    leaves the relay to its next round, and `bundled = True` says that there are far more of these than of all others,
    so that they wait for that round in any case, and those which lie beside each other travel in one message.
    """
    subject = _subject(event)
    number = session.scalar(_NUMBER, {"s": subject}) if subject is not None else None
    return _tell(session, event, subject, number)


def emit_all(session: Session, events: Sequence[Any]) -> None:
    """The same for many events at once, each about a subject of its own or about none: one word to the database."""
    subjects_told = sorted(subject for event in events if (subject := _subject(event)) is not None)
    rows = session.execute(_NUMBERS, {"s": subjects_told}) if subjects_told else ()
    numbers = {row.subject: row.number for row in rows}
    for event in events:
        subject = _subject(event)
        _tell(session, event, subject, numbers.get(subject) if subject is not None else None)


def values_to_emit(session: Session, event: Any) -> dict[str, Any]:
    """The values with which `emitting` writes this event, in a statement that finds what is still missing in it.

    For a session of one word, where nothing is said after what is found. Nobody is woken: it is for an event without a
    subject that takes the relay's next round.
    """
    if _subject(event) is not None or getattr(event, "prompt", True):
        raise TypeError("this event has a number, or somebody waits for it")
    told_id, envelope = _envelope(session, event, None, None)
    return {"told_id": told_id, "told_type": event.type, "told": envelope,
            "told_bundled": getattr(event, "bundled", False)}  # fmt: skip


def emitting(data: str, rest: str) -> str:
    """The SQL that writes such an event.

    data: a jsonb object, the members of the event's data that are found. rest: where they are found, after the columns
    of a SELECT; where it has no row nothing is told, and it never has two.
    """
    return f"""
        insert into outbox (event_id, type, envelope, bundled)
        select cast(:told_id as uuid), :told_type,
               cast(jsonb_set(cast(:told as jsonb), '{{data}}', (cast(:told as jsonb) -> 'data') || {data}) as text),
               cast(:told_bundled as boolean)
          {rest}
    """


def _subject(event: Any) -> str | None:
    kind = type(event)
    return getattr(event, kind.subject) if kind.subject else None


def _tell(session: Session, event: Any, subject: str | None, number: int | None) -> str:
    kind = type(event)
    event_id, envelope = _envelope(session, event, subject, number)
    add_to_outbox(
        session, event_id, kind.type, envelope,
        prompt=getattr(kind, "prompt", True), bundled=getattr(kind, "bundled", False),
    )  # fmt: skip
    return event_id


def _envelope(session: Session, event: Any, subject: str | None, number: int | None) -> tuple[str, str]:
    """The id of an event, and all that is told with it."""
    kind = type(event)
    context: Context | None = session.info.get("context")
    event_id = new_id()
    envelope = {
        "id": event_id, "source": session.info["speaks_for"] or load().process, "type": kind.type,
        "time": rfc3339(now()), "subject": subject,
        "number": number, "request_id": context.request_id if context else event_id,
        "traceparent": context.traceparent if context else None, "data": vars(event),
    }  # fmt: skip
    return event_id, dumps(envelope).decode()


def bundles(rows: Sequence[Any]) -> Iterator[tuple[bytes, Any]]:
    """The bodies of the messages that carry these rows of the outbox in their order, each with its first row.

    A body is an envelope, or a JSON array of them.
    """
    for _, beside in groupby(rows, key=lambda row: row.type if row.bundled else row.event_id):
        together = list(beside)
        if len(together) == 1:
            yield together[0].envelope.encode(), together[0]
            continue
        for at in range(0, len(together), BUNDLE):
            some = together[at : at + BUNDLE]
            yield f"[{','.join(row.envelope for row in some)}]".encode(), some[0]


class Relay(DependencyProvider):  # type: ignore[misc]
    """Carries the outbox to the broker: one replica holds the lock, LISTEN wakes it, confirms let it delete."""

    def setup(self) -> None:
        self._open: set[int] = set()  # delivery tags without a confirm
        self._carried: list[int] = []  # rows that the broker has, to be struck
        self._tag = 0
        self._sent = self._broken = False
        self._done = Signal()
        self._link = Link(load(), "events", on_open=self._confirm_mode, on_lost=self._lost)
        self._stopping = False

    def start(self) -> None:
        self.container.spawn_managed_thread(self._run, identifier="relay")

    def stop(self) -> None:
        self._stopping = True
        self._link.close()
        if self._carried:
            self._strike()

    def get_dependency(self, worker_ctx: Any) -> None:
        return None

    def _strike(self) -> None:
        try:
            with sessions_of(self.container).engine.connect() as connection:
                connection.execute(_CARRIED, {"carried": self._carried})
        except sa.exc.SQLAlchemyError as broken:  # they are sent once more
            log.warning("relay waits", extra={"kind": type(broken).__name__})

    def _run(self) -> None:
        engine = sessions_of(self.container).engine
        while not self._stopping:
            try:
                with engine.connect() as connection:
                    self._serve(connection)
            except Exception as broken:  # the driver's own errors among them: whatever it was, it is tried again
                log.warning("relay waits", exc_info=broken, extra={"kind": type(broken).__name__})
            eventlet.sleep(1)

    def _serve(self, connection: sa.Connection) -> None:
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(sa.func.hashtext("relay")))):
            return
        try:
            # What is struck may come back with a crash of the database, to be sent once more: none waits for its disk.
            connection.execute(sa.text("set synchronous_commit = off; listen outbox"))
            wire = connection.connection.driver_connection
            assert wire is not None
            round_due = time.monotonic()
            while not self._stopping:
                wire.notifies.clear()
                is_round = time.monotonic() >= round_due
                carried = self._carry(connection, bundled_too=is_round)
                if is_round and carried < RELAY_BATCH:
                    round_due = time.monotonic() + ROUND
                # A word that came while this batch was on its way was read with the answers to what was said of it.
                if carried == RELAY_BATCH or wire.notifies:
                    continue
                try:
                    trampoline(wire.fileno(), read=True, timeout=max(0.0, round_due - time.monotonic()))
                except eventlet.Timeout:
                    pass
                wire.poll()
        finally:
            # The lock is the connection's; giving the connection back to the pool would keep it.
            connection.invalidate()

    def _carry(self, connection: sa.Connection, *, bundled_too: bool) -> int:
        """Publishes one batch in order, and has it struck once the broker confirmed all of it; says how many.

        What is bundled gathers from round to round: with each event that somebody waits for, one trace or two would
        go by themselves, and the service that keeps them would make a transaction of each.
        """
        rows = connection.execute(_LYING, {"carried": self._carried, "bundled_too": bundled_too}).all()
        self._carried = []
        if not rows:
            return 0
        exchange = f"{load().process}.events"
        self._link.channel()
        self._done, self._sent, self._broken = Signal(), False, False
        self._open.clear()
        for body, first in bundles(rows):
            self._link.channel()  # a link that has to be opened anew begins its count before this row, not after
            self._tag += 1
            self._open.add(self._tag)
            self._link.publish(
                body, exchange, first.type, message_id=first.event_id, type=first.type, delivery_mode=2,
            )  # fmt: skip
        self._sent = True
        if self._open and not self._broken:
            with eventlet.Timeout(CONFIRM_WAIT, Unavailable(service="broker")):
                self._done.wait()
        if self._broken:
            # A link lost on the way may have been opened anew by the next row: what the old one carried is unknown.
            raise Unavailable(service="broker")
        self._carried = [row.seq for row in rows]
        return len(rows)

    def _confirm_mode(self, channel: Any) -> None:
        channel.confirm_select()
        self._open.clear()
        self._tag = 0
        self._broken = True  # opened in the middle of a batch: its tags are counted from another link
        channel.events["basic_ack"].add(self._confirmed)
        channel.events["basic_nack"].add(self._refused)

    def _confirmed(self, tag: int, multiple: bool) -> None:
        self._open = {t for t in self._open if t > tag} if multiple else self._open - {tag}
        if self._sent and not self._open and not self._done.ready():
            self._done.send(True)

    def _refused(self, _tag: int, _multiple: bool) -> None:
        # A full inbox (reject-publish): the batch stays in the outbox and comes again.
        self._lost()

    def _lost(self) -> None:
        self._broken = True
        if self._sent and not self._done.ready():
            self._done.send(False)
