"""How long traces live: as long as the data they are about. Those of a deleted record go with it [RGD 8].

What is destroyed is what the entries say, each with the random value without which nobody can find out by guessing what
its leaf was made of. The leaf stays at its place in the log, so that every proof about all others stays good; an entry
of the log has the hash of the text that names the places. What lies in the object store goes with its key.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from services.audit import rules_retention, store_archive, store_oversight, store_retention
from services.audit.archiving import bring_back
from services.audit.contract import traced
from services.bus import Received, Service, emit
from services.settings import load

DESTROYED = "trace.destroyed"
AT_ONCE = 20  # records

log = logging.getLogger(__name__)


class Retention(Service):
    """The timers' work."""

    def _destroy_traces(self, at: datetime) -> int:
        """Destroys the contents of the entries of deleted records, also of those that came after; gives how many."""
        before, count = rules_retention.due_before(at, load().trace_destruction_days), 0
        while True:
            with self.db.transaction() as session:
                record_ids = store_retention.due(session, before, AT_ONCE)
                if record_ids:
                    count += _destroy(session, record_ids, at)
            if len(record_ids) < AT_ONCE:
                break
        if count:
            log.info("traces of deleted records destroyed", extra={"count": count})
        return count


def note_deletions(session: Session, events: Iterable[Received], at: datetime) -> None:
    """Notes which records dossier tells to be deleted."""
    gone = [event.data.record_id for event in events if event.data.state == "deleted"]
    store_retention.note_deleted(session, gone, at)


def _destroy(session: Session, record_ids: list[str], at: datetime) -> int:
    for record_id in record_ids:
        bring_back(session, record_id)
    positions = store_retention.destroy_contents(session, record_ids)
    store_archive.forget(session, record_ids)
    store_oversight.forget(session, record_ids)
    if positions:
        said = rules_retention.said(positions)
        digest = rules_retention.digest_of(said)
        store_retention.add_destruction(session, digest, said, at)
        emit(session, traced(None, DESTROYED, at=at, count=len(positions), digest=digest))
    return len(positions)
