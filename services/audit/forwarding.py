"""Sends the log, entry by entry in its order, to an external audit repository; each at least once.

Only what a signed head is over is sent. How far it came is kept after the other machine has taken it; after a
connection broke, the last that were sent before go out once more, since a machine that took them may have lost them.
Each message carries the number of its place in the log: a repository can leave out what it has, and sees what it lacks.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from services.audit import store_forwarding, store_log
from services.audit.ports.syslog import Repository
from services.audit.rules_syslog import frame
from services.db import Sessions

BATCH = 500
AGAIN = 1_000

log = logging.getLogger(__name__)


class Forwarder:
    """The one who sends one database's log to one repository."""

    def __init__(self, sessions: Sessions, repository: Repository, name: str, public_url: str) -> None:
        """name: of the repository, under which it is kept how far it was sent."""
        self._sessions = sessions
        self._repository = repository
        self._name = name
        self._host = urlsplit(public_url).hostname or "-"
        self._place: store_forwarding.Place | None = None
        self._next = 0

    def work(self) -> bool:
        """Sends a batch; True when there may be more. Where another is at work, it does nothing.

        Raises RepositoryAway.
        """
        if self._place is None or not self._place.held:
            self.close()
            self._place = store_forwarding.Place(self._sessions)
            if not self._place.held:
                return False
        if not self._repository.is_open:
            self._repository.open()
            with self._sessions.transaction() as session:
                self._next = max(0, store_forwarding.position_of(session, self._name) - AGAIN)
        with self._sessions.transaction() as session:
            head = store_log.newest_head(session)
            end = min(self._next + BATCH, head.size if head is not None else 0)
            rows = store_log.sealed(session, self._next, end) if self._next < end else []
        frames = [frame(row, row["position"], self._host) for row in rows if row["trace_id"] is not None]
        if frames:
            self._repository.send(b"".join(frames))
        if rows:
            with self._sessions.transaction() as session:
                store_forwarding.keep_position(session, self._name, end)
            self._next = end
        return len(rows) == BATCH

    def close(self) -> None:
        """Lets the place and the connection go."""
        place, self._place = self._place, None
        if place is not None:
            place.close()
        self._repository.close()
