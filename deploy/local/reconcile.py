"""Whether every reading has its one trace: what the gateway answered and what the services count, against the entries.

Each service has rows of its own that come into being with a trace, in one transaction: those are its counters. Here,
where all databases can be seen, they are held against the entries that audit keeps; and so is the gateway's log, line
by line (services/audit/reconcile.py, which an operator elsewhere runs over the logs of their gateways).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from deploy.local import postgres
from deploy.local.layout import Layout, database_of
from services.audit.reconcile import differences, told
from services.db import Sessions

PAUSE = 1.0


@dataclass(frozen=True)
class Counted:
    """Rows of a service, each of which came with one trace; both sides by the same key.

    many: the same row may come to life again, each time with one more trace.
    """

    words: str
    service: str
    rows: str
    entries: str
    many: bool = False


COUNTED = (
    Counted(
        "documents deposited", "documents",
        "select document_id::text from documents",
        "select object_id::text from entries where action = 'document.created' and outcome = 'allowed'",
    ),
    Counted(
        "documents opened", "documents",
        "select o.session_id || ' ' || v.document_id from opens o join versions v using (version_id)",
        "select session_id || ' ' || object_id from entries where action = 'document.opened' and outcome = 'allowed'",
        many=True,
    ),
    Counted(
        "sessions opened", "identity",
        "select session_id::text from sessions",
        "select session_id::text from entries where action = 'session.opened' and outcome = 'allowed'",
    ),
)  # fmt: skip


def reconcile(layout: Layout, log_lines: list[str], patience: float) -> list[str]:
    """What does not fit, line by line, and at the end how much was looked at; waits for traces that are on their way.

    The last line is the sum of the gateway's answers; where it is the only one, everything fits.
    """
    end = time.monotonic() + patience
    sessions = Sessions(layout.database_url("audit"))
    try:
        count, found = differences(sessions, log_lines, patience)
    finally:
        sessions.engine.dispose()
    wrong = [line for counted in COUNTED for line in _of_service(layout, counted, end)]
    return [*wrong, *told(count, found)]


def _of_service(layout: Layout, counted: Counted, end: float) -> list[str]:
    while True:
        rows = Counter(_column(layout, counted.service, counted.rows))
        entries = Counter(_column(layout, "audit", counted.entries))
        missing = [key for key in rows if not entries[key]]
        twice = [] if counted.many else [key for key in rows if entries[key] > 1]
        if not missing or time.monotonic() >= end:
            break
        time.sleep(PAUSE)
    return [
        f"{counted.words}: {len(keys)} {what}, e.g. {keys[0]}"
        for what, keys in (("without their trace", missing), ("with more than one trace", twice))
        if keys
    ]


def _column(layout: Layout, service: str, query: str) -> list[str]:
    with postgres.connect(layout, database_of(service)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return [str(value) for (value,) in cursor]
