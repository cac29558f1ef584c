"""How much waits in a service, for how long, and how much it has done: numbers alone, for an operator's figures."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

LATE = 5.0  # seconds that an event waits at most where nothing is amiss
MOST = 100_000  # of rows that are counted: a backlog is then known to be too long, however long it is
REPLICA = f"{socket.gethostname()}:{os.getpid()}"


@dataclass
class Tally:
    """What this process has answered since it began. Nothing of it is about anybody."""

    since: float = field(default_factory=time.time)
    answered: int = 0
    refused: int = 0
    failed: int = 0
    seconds: float = 0.0

    def count(self, code: str | None, seconds: float) -> None:
        """One question more. code: of its refusal, None for an answer."""
        self.seconds += seconds
        if code is None:
            self.answered += 1
        elif code in ("internal", "unavailable"):
            self.failed += 1
        else:
            self.refused += 1

    def told(self) -> dict[str, Any]:
        """As it stands in an answer."""
        return {"since": self.since, "answered": self.answered, "refused": self.refused, "failed": self.failed,
                "seconds": round(self.seconds, 3)}  # fmt: skip


TALLY = Tally()

# The numbers of rows ever written stand in the sequences: no row is counted for them.
_WAITING = sa.text("""
    select
        (select count(*) from (select from outbox limit :most) as found) as outbox_depth,
        (select extract(epoch from now() - cast(cast(envelope as json) ->> 'time' as timestamptz))
           from outbox order by seq limit 1) as outbox_age,
        (select case when is_called then last_value else 0 end from outbox_seq_seq) as outbox_written,
        (select count(*) from (select from inbox where state = 'due' limit :most) as found) as inbox_depth,
        (select extract(epoch from now() - min(received_at))
           from (select received_at from inbox where state = 'due' limit :most) as found) as inbox_age,
        (select count(*) from (select attempts from inbox where state = 'due' limit :most) as found
          where attempts > 0) as inbox_failing,
        (select count(*) from inbox where state = 'parked') as inbox_parked,
        (select case when is_called then last_value else 0 end from inbox_seq_seq) as inbox_taken
""")

_ELDEST = sa.text(
    "select extract(epoch from now() - cast(cast(envelope as json) ->> 'time' as timestamptz)) from outbox"
    " order by seq limit 1"
)


def delayed(session: Session) -> bool:
    """Whether events lie in the outbox that should be with the broker by now."""
    return _seconds(session.scalar(_ELDEST)) > LATE


def waiting(session: Session) -> dict[str, dict[str, Any]]:
    """Outbox and inbox: how much lies there, since when the eldest, how much there was in all.

    `taken` counts events that came twice, and none of those that are worked as they arrive.
    """
    row = session.execute(_WAITING, {"most": MOST}).one()
    return {
        "outbox": {"depth": row.outbox_depth, "age": _seconds(row.outbox_age), "written": row.outbox_written},
        "inbox": {"depth": row.inbox_depth, "age": _seconds(row.inbox_age), "failing": row.inbox_failing,
                  "parked": row.inbox_parked, "taken": row.inbox_taken},
    }  # fmt: skip


def _seconds(age: Any) -> float:
    return 0.0 if age is None else round(max(0.0, float(age)), 3)
