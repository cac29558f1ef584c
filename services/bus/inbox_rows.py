"""What is said to the inbox table: kept, taken to be worked, done, put off, forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.bus.arrivals import Arrival
from services.db import inbox, now
from services.plans import named, planned_once
from services.words import say_last

TOGETHER = 50  # events one transaction works where their handler allows it

BEGINNING = datetime.min.replace(tzinfo=UTC)


def keep(session: Session, arrivals: Sequence[Arrival]) -> None:
    """Has what arrived lie in the table with the commit."""
    say_last(session, _KEEP, **_columns_of(arrivals))


def next_due(
    session: Session, others: Sequence[str], since: datetime | None, arrivals: Sequence[Arrival] = ()
) -> Any:  # fmt: skip
    """The row of the next event that is due, locked until the end of the transaction; None: there is none.

    others: the types that are left to another worker. since: what was due before is in somebody's hands; None: nobody
    knows. arrivals: what is kept before, in the same word: it is the first of the transaction, and they are durable
    when it is answered, whatever becomes of the transaction.
    """
    kept = _columns_of(arrivals) if arrivals else {}
    at = now()  # later than what is kept has come: it is due by now
    asked = {"since": since or BEGINNING, "at": at, "others": list(others)}
    return session.execute(_KEEP_AND_NEXT if kept else _NEXT, asked | kept).first()


def like_it(session: Session, row: Any, sources: Sequence[str]) -> Sequence[Any]:
    """The other due events of this one's type, from these sources, locked in the same way; so many at most."""
    asked = {"since": row.due_at, "at": now(), "id": row.event_id, "sources": list(sources), "type": row.type}
    return session.execute(_LIKE_IT, asked).all()


def done(session: Session, rows: Sequence[Any]) -> None:
    """Has these be done, with the commit."""
    say_last(session, _DONE, done=[row.event_id for row in rows])


def put_off(session: Session, row: Any, cause: str, wait: timedelta | None) -> None:
    """Notes with the commit that a try failed. wait: until the next one; None parks the event."""
    say_last(
        session, _PUT_OFF, failed_id=row.event_id, failed_tries=row.attempts + 1, failed_cause=cause,
        failed_state="parked" if wait is None else "due", failed_wait=wait or timedelta(),
    )  # fmt: skip


def forget(session: Session, age: timedelta) -> None:
    """Drops what was done and came so long ago."""
    session.execute(sa.delete(inbox).where(inbox.c.state == "done", inbox.c.received_at < now() - age))


def _columns_of(arrivals: Sequence[Arrival]) -> dict[str, list[Any]]:
    rows = [row for arrival in arrivals for row in arrival.rows()]
    return {name: [row[name] for row in rows] for name in rows[0]}


# One word for the whole batch: an urgent event must not wait until each before it has made its own journey.
_KEEP = (
    "insert into inbox (event_id, source, type, envelope, cause, state, due_at) select told.* from"
    " unnest(cast(:event_id as uuid[]), cast(:source as text[]), cast(:type as text[]), cast(:envelope as text[]),"
    " cast(:cause as text[]), cast(:state as text[]), cast(:due_at as timestamptz[])) as told on conflict do nothing"
)
_DUE = """
    select cast(event_id as text) as event_id, source, type, envelope, attempts, due_at from inbox
     where state = 'due' and due_at between :since and :at and {wanted}
     order by due_at, seq limit {most} for update skip locked
"""
_OF_ANY = _DUE.format(wanted="type <> all(cast(:others as text[]))", most=1)
_OF_ITS_KIND = _DUE.format(
    wanted="source = any(cast(:sources as text[])) and type = :type and event_id <> cast(:id as uuid)",
    most=TOGETHER - 1,
)
_ROW = named("event_id source type envelope attempts due_at")
_NEXT = planned_once(sa.text(_OF_ANY).columns(*_ROW))
_KEEP_AND_NEXT = planned_once(sa.text(f"{_KEEP}; commit; begin; {_OF_ANY}").columns(*_ROW))
_LIKE_IT = planned_once(sa.text(_OF_ITS_KIND).columns(*_ROW), type="text", id="uuid")
_DONE = "update inbox set state = 'done', cause = null where event_id = any(cast(:done as uuid[]))"
_PUT_OFF = (
    "update inbox set attempts = :failed_tries, cause = :failed_cause, state = :failed_state,"
    " due_at = now() + cast(:failed_wait as interval) where event_id = cast(:failed_id as uuid)"
)
