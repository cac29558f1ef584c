"""How long it is kept what somebody was told: the inbox, and what became of each message; no word of it is kept at all.

A notice is there to lead somebody to what happened; that itself stands in the histories of the record, for as long as
the law has it. What still waits to be sent is never deleted by this.
"""

from __future__ import annotations

import logging
from datetime import datetime

from services.notifications import rules_retention, store_departures, store_messages
from services.notifications.desk import Desk
from services.settings import load

FORGOTTEN_AT_ONCE = 1000

log = logging.getLogger(__name__)


class Retention(Desk):
    """The work of the timer."""

    def _forget_messages(self, at: datetime) -> int:
        """Deletes what was told longer ago than it is kept, some at a time, each in a transaction of its own; how many.

        Killed anywhere, the next goes on; of replicas that come at once each takes others.
        """
        before, count = rules_retention.kept_since(at, load().notice_days), 0
        while before is not None:
            with self.db.transaction() as session:
                several = store_messages.forget(session, before, FORGOTTEN_AT_ONCE)
            count += several
            if several < FORGOTTEN_AT_ONCE:
                break
        with self.db.transaction() as session:
            store_departures.forget(session, at - rules_retention.SETTLED_WITHIN)
        if count:
            log.info("old messages deleted", extra={"count": count})
        return count
