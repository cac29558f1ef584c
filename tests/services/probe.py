"""A service made of nothing but the plumbing, hosted under the name of a real one to try the bus from both ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import eventlet
import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.bus import Received, Service, emit, on, rpc, rpc_public, rpc_system
from services.db import once, remember
from services.refusals import Refusal, TooManyTries
from services.tokens import Caller, Context


@dataclass(frozen=True)
class Poked:
    """Something was poked."""

    type: ClassVar[str] = "poked.v1"
    subject: ClassVar[str | None] = "thing_id"

    thing_id: str
    mood: str


class NotToday(Refusal):
    """The probe says no."""

    code = "not_today"


class Probe(Service):
    """Answers, refuses, sleeps and emits on demand. What it did stands in the table `marks`."""

    name = "audit"

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
            _mark(session, what)
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

    @rpc_public
    def poke(self, context: Context, *, thing_id: str, mood: str, times: int = 1) -> list[str]:
        with self.db.transaction(context) as session:
            return [emit(session, Poked(thing_id=thing_id, mood=mood)) for _ in range(times)]

    @rpc
    def who_am_i(self, caller: Caller) -> dict[str, Any]:
        with self.db.transaction(caller):
            return {"account_id": caller.account_id, "capacity": caller.capacity}

    @rpc_system("operator")
    def for_operators(self, context: Context) -> str:
        return context.process

    @on("audit", Poked, together=True)
    def on_poked(self, session: Session, event: Received) -> None:
        _mark(session, f"poked {event.data.thing_id}", event.number or 0)
        if event.data.mood == "bad":
            raise ValueError("a bad mood")


def _mark(session: Session, what: str, number: int = 0) -> None:
    session.execute(sa.text("create table if not exists marks (what text, number int)"))
    session.execute(sa.text("insert into marks values (:what, :number)"), {"what": what, "number": number})
