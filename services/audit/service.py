"""Audit: the traces of every access and action, kept as they came.

Owns the entries and the reading of them. It never changes or removes an entry, holds no name, title or content, and
decides nothing about records: who may read a history follows from the scope that dossier gives.
"""

from collections.abc import Sequence

from nameko.timer import timer
from sqlalchemy.orm import Session

from services.audit import store
from services.audit.alerting import AT_ONCE, Alerting
from services.audit.alerts import AlertDesk
from services.audit.archiving import Archiving
from services.audit.cases import CaseDesk
from services.audit.contract import NAME, TRACE_SOURCES, AccessTraced
from services.audit.counted import Counted
from services.audit.coverage import Coverages
from services.audit.events import AuditEvents
from services.audit.exports import HistoryExports
from services.audit.facts import Facts
from services.audit.histories import Histories
from services.audit.log import PublicLog
from services.audit.retention import Retention
from services.audit.searching import EntrySearch
from services.audit.statistics import Statistics
from services.bus import Received, Remote, on
from services.db import now
from services.dossier.contract import RecordsMerged, RecordsUnmerged

COUNT_EVERY = 5  # seconds
ALERT_EVERY = 1  # seconds
ALERT_ROUNDS = 20  # of one turn: a service that is told to stop stops within seconds
DESTROY_EVERY = 3600  # seconds
SEND_BACK_EVERY = 3600  # seconds
COVER_EVERY = 600  # seconds; done once a day


class Audit(
    AuditEvents, Facts, Histories, HistoryExports, Counted, Coverages, Statistics, CaseDesk, AlertDesk, Alerting,
    EntrySearch, PublicLog, Retention, Archiving,
):  # fmt: skip
    """The keeper of traces."""

    name = NAME
    dossier = Remote("dossier")
    directory = Remote("directory")

    @on(TRACE_SOURCES, AccessTraced, together=True, at_once=True)
    def on_access_traced(self, session: Session, events: Sequence[Received]) -> None:
        """Keeps each trace, once, with the emitter that the broker vouches for."""
        store.insert_entries(session, [(event.data, event.source) for event in events], now())

    @on("dossier", RecordsMerged)
    def on_records_merged(self, session: Session, event: Received) -> None:
        """From now on whoever reads the surviving record's history reads the merged one's too; no entry changes."""
        told: RecordsMerged = event.data
        store.note_move(session, told.merged_record_id, told.record_id, told.merge_id, told.version)

    @on("dossier", RecordsUnmerged)
    def on_records_unmerged(self, session: Session, event: Received) -> None:
        """Each record's history is its own again."""
        told: RecordsUnmerged = event.data
        store.note_move(session, told.merged_record_id, None, told.merge_id, told.version)

    @timer(interval=COUNT_EVERY)
    def count_entries(self) -> None:
        """Counts the entries that were sealed since, whichever replica finds them first."""
        self._count_entries()

    @timer(interval=ALERT_EVERY)
    def raise_alerts(self) -> None:
        """Lets the rules look at the entries that were sealed since, whichever replica finds them first."""
        for _ in range(ALERT_ROUNDS):
            if self._raise_alerts(now()) < AT_ONCE:
                break

    @timer(interval=COVER_EVERY)
    def count_coverage(self) -> None:
        """Counts the records of the day by commune, where nobody has yet."""
        self._forget_ended(now())
        self._count_coverage(now())

    @timer(interval=DESTROY_EVERY)
    def destroy_traces(self) -> None:
        """Destroys what entries of deleted records say, whichever replica finds them first."""
        self._destroy_traces(now())

    @timer(interval=SEND_BACK_EVERY)
    def send_back(self) -> None:
        """Takes what came back from the archive for somebody's reading out of the entries again, days later."""
        self._send_back(now())
