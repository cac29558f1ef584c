"""Every query of loads as such: how far a file is, that one runs alone, COPY, and who was faster than a step.

A process without eventlet: psycopg2 cannot COPY under it.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2
import psycopg2.errors
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from services.db import Sessions, begun, new_id
from services.directory.models_desk import Load

AT_ONCE = 1 << 20

_FASTER = (
    psycopg2.errors.UniqueViolation, psycopg2.errors.DeadlockDetected, psycopg2.errors.SerializationFailure,
    psycopg2.errors.LockNotAvailable,
)  # fmt: skip


class Overtaken(Exception):
    """Somebody registered or changed one of the step's people meanwhile: it is done again."""


class Broken(Exception):
    """The database did not take a step; PostgreSQL's code of why, without the row it speaks of."""


@dataclass(frozen=True)
class Counts:
    """What became of lines."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.added + other.added, self.changed + other.changed, self.unchanged + other.unchanged,
                      self.refused + other.refused)  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """A load as it stands: how far in the file, and what became of the lines until there. lines: those passed."""

    load_id: str
    position: int
    lines: int
    counts: Counts
    opens_records: bool
    started_at: datetime
    finished_at: datetime | None


@contextmanager
def conflicts() -> Iterator[None]:
    """Turns what the driver says of a step into words without data. Refuses: Overtaken, Broken."""
    try:
        yield
    except (psycopg2.Error, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, _FASTER):
            raise Overtaken() from None
        code = getattr(cause, "pgcode", None) or type(cause).__name__
        raise Broken(code) from None


@contextmanager
def alone(sessions: Sessions) -> Iterator[bool]:
    """Whether no other load runs; none begins until the block ends, or this process does."""
    with sessions.engine.connect() as connection:
        lock = sa.func.hashtext("load")
        won = bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(lock))))
        try:
            yield won
        finally:
            # The lock is the connection's and goes with it, but the database may see that a moment later.
            with suppress(sa.exc.SQLAlchemyError):
                connection.execute(sa.select(sa.func.pg_advisory_unlock(lock)))
            connection.invalidate()


def find(session: Session, kind: str, digest: bytes) -> Progress | None:
    """Returns how far a load of this file is; None when it never began."""
    row = session.scalars(sa.select(Load).where(Load.kind == kind, Load.source_digest == digest)).one_or_none()
    if row is None:
        return None
    counts = Counts(row.added, row.changed, row.unchanged, row.refused)
    return Progress(row.load_id, row.position, row.lines, counts, row.opens_records, row.started_at, row.finished_at)


def begin(
    session: Session, kind: str, form: str, digest: bytes, opens_records: bool, position: int, lines: int, at: datetime
) -> Progress:
    """Notes that a file is read from its beginning, for the first time or again."""
    session.execute(sa.delete(Load).where(Load.kind == kind, Load.source_digest == digest))
    begun = Progress(new_id(), position, lines, Counts(), opens_records, at, None)
    session.execute(
        sa.insert(Load).values(
            load_id=begun.load_id, kind=kind, form=form, source_digest=digest, opens_records=opens_records,
            position=position, lines=lines, added=0, changed=0, unchanged=0, refused=0, started_at=at,
        )
    )  # fmt: skip
    return begun


def advance(session: Session, before: Progress, after: Progress) -> None:
    """Notes how far a load is, with the rows that brought it there.

    Refuses: Broken when another process has brought it elsewhere.
    """
    counts = after.counts
    moved = session.execute(
        sa.update(Load)
        .where(Load.load_id == before.load_id, Load.position == before.position, Load.lines == before.lines)
        .values(position=after.position, lines=after.lines, added=counts.added, changed=counts.changed,
                unchanged=counts.unchanged, refused=counts.refused, finished_at=after.finished_at)
    )  # fmt: skip
    if moved.rowcount != 1:  # type: ignore[attr-defined]
        raise Broken("position")


def copy(session: Session, table: str, columns: Sequence[str], lines: Iterable[str]) -> None:
    """Writes rows by COPY; each line is the text of one, its cells as the rules of loading write them."""
    text = "\n".join(lines)
    if text:
        source = io.BytesIO(f"{text}\n".encode())
        with wire(session).cursor() as cursor:
            cursor.copy_expert(f"copy {table} ({', '.join(columns)}) from stdin", source, AT_ONCE)


def copied(session: Session, query: str, *given: Any) -> Iterator[str]:
    """Returns the rows of a query, each as one text: what the tables hold, written as COPY takes it."""
    target = io.BytesIO()
    with wire(session).cursor() as cursor:
        asked = cursor.mogrify(query, given).decode()
        cursor.copy_expert(f"copy ({asked}) to stdout", target, AT_ONCE)
    return (line for line in target.getvalue().decode().split("\n") if line)


def wire(session: Session) -> Any:
    """Returns the driver's own connection of a transaction."""
    return begun(session).connection.driver_connection
