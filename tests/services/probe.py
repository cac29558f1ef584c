"""A service made of nothing but the plumbing, hosted under the name of a real one to try the bus from both ends."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import eventlet
import sqlalchemy as sa
from nameko.extensions import DependencyProvider
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from services.bus import Received, Service, emit, on, rpc, rpc_public, rpc_system, woken
from services.bus.outbox import Relay
from services.db import new_id, once, remember
from services.refusals import Refusal, TooManyTries
from services.rpc import Link
from services.settings import load
from services.tokens import Caller, Context

LAST_MOMENTS = 4.0  # seconds between a container's death sentence and its death


@dataclass(frozen=True)
class Poked:
    """Something was poked."""

    type: ClassVar[str] = "poked.v1"
    subject: ClassVar[str | None] = "thing_id"

    thing_id: str
    mood: str


@dataclass(frozen=True)
class Begged:
    """Somebody waits for it."""

    type: ClassVar[str] = "begged.v1"
    subject: ClassVar[str | None] = None

    thing_id: str


@dataclass(frozen=True)
class Hailed:
    """Somebody waits for it, and doing it again does nothing."""

    type: ClassVar[str] = "hailed.v1"
    subject: ClassVar[str | None] = None

    thing_id: str
    mood: str


@dataclass(frozen=True)
class Strolled:
    """Nobody waits for it."""

    type: ClassVar[str] = "strolled.v1"
    subject: ClassVar[str | None] = None

    thing_id: str


@dataclass(frozen=True)
class Seen:
    """One of many that nobody waits for."""

    type: ClassVar[str] = "seen.v1"
    subject: ClassVar[str | None] = None
    prompt: ClassVar[bool] = False
    bundled: ClassVar[bool] = True

    thing_id: str
    mood: str


class NotToday(Refusal):
    """The probe says no."""

    code = "not_today"


class Tables(DeclarativeBase):
    """What the probe keeps as objects."""


class Note(Tables):
    """A row that a handler adds to its session and leaves to be written."""

    __tablename__ = "notes"

    note_id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    text: Mapped[str | None] = mapped_column(sa.Text)  # the database has it that there is one


class Grave(DependencyProvider):  # type: ignore[misc]
    """Lets a test end the container from within; a kill takes its time, so that events still arrive in it."""

    def get_dependency(self, worker_ctx: Any) -> Grave:
        return self

    def die(self) -> None:
        eventlet.spawn_after(0.1, self.container.kill)

    def fail(self) -> None:
        self.container.spawn_managed_thread(_fail, identifier="failing")

    def kill(self) -> None:
        eventlet.sleep(LAST_MOMENTS)


class Unhurried(Relay):
    """The relay, which on request lets the others have their turn after each event, as if its socket were full."""

    pause = 0.0

    def setup(self) -> None:
        super().setup()
        publish = self._link.publish

        def slowly(*args: Any, **kwargs: Any) -> None:
            publish(*args, **kwargs)
            if self.pause:
                eventlet.sleep(self.pause)

        self._link.publish = slowly  # type: ignore[method-assign]

    def get_dependency(self, worker_ctx: Any) -> Unhurried:
        return self


class Probe(Service):
    """Answers, refuses, sleeps and emits on demand. What it did stands in the table `marks`."""

    name = "audit"
    grave = Grave()
    relay = Unhurried()

    @rpc_public
    def echo(self, context: Context, *, value: Any) -> Any:
        return value

    @rpc_public
    def marks(self, context: Context) -> list[list[Any]]:
        with self.db.transaction() as session:
            session.execute(sa.text("create table if not exists marks (what text, number int)"))
            rows = session.execute(sa.text("select what, count(*), max(number) from marks group by what order by what"))
            return [list(row) for row in rows]

    @rpc_public
    def mark(self, context: Context, *, what: str, wait: float = 0, outcome: str = "fine") -> Any:
        with self.db.transaction() as session:
            _mark(session, what, int(context.redelivered))
            if outcome == "returned":
                return NotToday(retry="tomorrow")
            if outcome == "raised":
                raise NotToday(retry="tomorrow")
            if outcome == "broken":
                raise RuntimeError("secret-in-an-error")
        eventlet.sleep(wait)
        return TooManyTries(retry_after=7) if outcome == "after" else {"marked": what}

    @rpc_public
    def sleep_in_database(self, context: Context, *, seconds: float) -> bool:
        with self.db.transaction() as session:
            session.execute(sa.select(sa.func.pg_sleep(seconds)))
        return True

    @rpc_public
    def mark_once(self, context: Context, *, what: str, wait: float = 0) -> Any:
        with self.db.transaction() as session:
            answered = once(session, context, "mark_once", {"what": what})
            if answered is not None:
                return answered
            _mark(session, what)
            eventlet.sleep(wait)
            return remember(session, context, "mark_once", {"what": what}, {"marked": what})

    @rpc
    def mark_mine(self, caller: Caller, *, what: str) -> Any:
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "mark_mine", {"what": what}):
                return answered
            _mark(session, what)
            return remember(session, caller, "mark_mine", {"what": what}, {"marked": what})

    @rpc_public
    def poke(self, context: Context, *, thing_id: str, mood: str, times: int = 1) -> list[str]:
        with self.db.transaction(context) as session:
            return [emit(session, Poked(thing_id=thing_id, mood=mood)) for _ in range(times)]

    @rpc_public
    def see(self, context: Context, *, moods: list[str]) -> list[str]:
        with self.db.transaction(context) as session:
            session.execute(sa.text("create table if not exists sights (thing_id text primary key, seen int)"))
            return _emitted(session, Seen, moods)

    @rpc_public
    def hail(self, context: Context, *, moods: list[str]) -> list[str]:
        with self.db.transaction(context) as session:
            session.execute(sa.text("create table if not exists sights (thing_id text primary key, seen int)"))
            return _emitted(session, Hailed, moods)

    @rpc_public
    def beg(self, context: Context, *, thing_id: str) -> str:
        with self.db.transaction(context) as session:
            return emit(session, Begged(thing_id=thing_id))

    @rpc_public
    def leave_errands(self, context: Context, *, whats: list[str]) -> bool:
        with self.db.transaction() as session:
            session.execute(sa.text("create table if not exists errands (what text)"))
            for what in whats:
                session.execute(sa.text("insert into errands values (:what)"), {"what": what})
            session.execute(sa.text("select pg_notify('errands', '')"))
        return True

    @woken("chores", every=0.5, side_by_side=2)
    def do_a_chore(self) -> bool:
        """Nobody is ever woken for a chore. One that is tedious takes a hand for as long as nobody helps it."""
        with self.db.transaction() as session:
            if session.scalar(sa.text("select to_regclass('chores')")) is None:
                return False
            one = "select ctid from chores for update skip locked limit 1"
            what = session.scalar(sa.text(f"delete from chores where ctid = ({one}) returning what"))
            if what is not None and what.startswith("tedious"):
                eventlet.sleep(20)
            if what is not None:
                _mark(session, f"chore {what}")
        return False

    @woken("errands", every=3600)
    def run_an_errand(self) -> bool:
        with self.db.transaction() as session:
            if session.scalar(sa.text("select to_regclass('errands')")) is None:
                return False
            one = "delete from errands where ctid = (select ctid from errands limit 1) returning what"
            what = session.scalar(sa.text(one))
            if what is not None:
                _mark(session, f"errand {what}")
        if what == "bad":
            raise ValueError("a bad errand")
        return what is not None

    @rpc
    def who_am_i(self, caller: Caller) -> dict[str, Any]:
        with self.db.transaction(caller):
            return {"account_id": caller.account_id, "capacity": caller.capacity}

    @rpc_system("operator")
    def for_operators(self, context: Context) -> str:
        return context.process

    @rpc_public
    def fail(self, context: Context, *, where: str) -> bool:
        """Has something fail that nobody waits for, with a text that is nobody's business."""
        {
            "greenlet": lambda: eventlet.spawn_n(_fail),
            "thread": lambda: threading.Thread(target=_fail).start(),
            "process": self.grave.fail,
        }[where]()
        return True

    @rpc_public
    def reopen_a_link(self, context: Context) -> bool:
        """Opens a link anew while the reader of its old socket still waits: the new socket gets that one's number."""
        link = Link(load())
        link.channel()
        eventlet.sleep(0.1)
        link.close()
        link.channel()
        eventlet.sleep(0.1)
        link.close()
        return True

    @rpc_public
    def slow_down_the_relay(self, context: Context, *, pause: float) -> bool:
        self.relay.pause = pause
        return True

    @rpc_public
    def die(self, context: Context) -> bool:
        self.grave.die()
        return True

    @on("audit", Poked, together=True)
    def on_poked(self, session: Session, events: list[Received]) -> None:
        for event in events:
            self._poke(session, event)

    @on("audit", Strolled, unhurried=True)
    def on_strolled(self, session: Session, event: Received) -> None:
        shut = sa.text("select not exists (select from gates where what = :what)")
        while session.scalar(shut, {"what": event.data.thing_id}):
            eventlet.sleep(0.1)
        _mark(session, f"strolled {event.data.thing_id}")

    @on("audit", Seen, together=True, at_once=True)
    def on_seen(self, session: Session, events: list[Received]) -> None:
        for event in events:
            keep = "insert into sights values (:thing, :seen) on conflict do nothing"
            session.execute(sa.text(keep), {"thing": event.data.thing_id, "seen": len(events)})
            if event.data.mood == "bad":
                raise ValueError("a bad mood")

    @on("audit", Hailed, urgent=True, at_once=True)
    def on_hailed(self, session: Session, event: Received) -> None:
        keep = "insert into sights values (:thing, 1) on conflict do nothing"
        session.execute(sa.text(keep), {"thing": event.data.thing_id})
        if event.data.mood == "slow":
            eventlet.sleep(1)
        if event.data.mood == "bad":
            raise ValueError("a bad mood")

    def _poke(self, session: Session, event: Received) -> None:
        _mark(session, f"poked {event.data.thing_id}", event.number or 0)
        if event.data.mood == "slow":
            eventlet.sleep(0.01)
        if event.data.mood == "bad":
            raise ValueError("a bad mood")
        if event.data.mood == "cut off":
            session.execute(sa.text("select pg_terminate_backend(pg_backend_pid())"))
        if event.data.mood in ("forgetful", "well noted"):
            session.execute(sa.text("create table if not exists notes (note_id text primary key, text text not null)"))
            session.add(Note(note_id=new_id(), text=None if event.data.mood == "forgetful" else "noted"))

    @on("audit", Begged, urgent=True)
    def on_begged(self, session: Session, event: Received) -> None:
        poked = session.scalar(sa.text("select count(*) from marks where what = :what"),
                               {"what": f"poked {event.data.thing_id}"})  # fmt: skip
        _mark(session, f"begged {event.data.thing_id}", poked or 0)


def _emitted(session: Session, kind: Any, moods: list[str]) -> list[str]:
    told = [kind(thing_id=new_id(), mood=mood) for mood in moods]
    for one in told:
        emit(session, one)
    return [one.thing_id for one in told]


def _fail() -> None:
    raise RuntimeError("secret-in-an-error")


def _mark(session: Session, what: str, number: int = 0) -> None:
    session.execute(sa.text("create table if not exists marks (what text, number int)"))
    session.execute(sa.text("insert into marks values (:what, :number)"), {"what": what, "number": number})
