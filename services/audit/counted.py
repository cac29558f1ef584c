"""What other services tell that the statistics count. What became of a document's type and its deposit is in facts.py.

Each handler notes one step of one thing; what it counts follows from all its steps, whatever order they come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from services.audit import rules_statistics, store_statistics
from services.audit.retention import note_deletions
from services.audit.rules_statistics import Step
from services.bus import Received, Service, on
from services.db import now
from services.documents.contract import DocumentCorrected, DocumentDeposited, DocumentRemoved
from services.dossier.contract import RecordOpened, RecordStateChanged
from services.identity.contract import AccountActivated

OPENED = "open"  # what RecordOpened tells: the first state of every record


class Counted(Service):
    """The handlers of what comes, changes and goes."""

    @on("documents", DocumentRemoved)
    def on_document_removed(self, session: Session, event: Received) -> None:
        """It is counted no more from that day on."""
        told: DocumentRemoved = event.data
        day = rules_statistics.day_of(told.at)
        store_statistics.note(session, "documents", [Step(told.document_id, rules_statistics.REMOVED, None, day)])

    @on("dossier", RecordOpened, together=True)
    def on_record_opened(self, session: Session, events: Sequence[Received]) -> None:
        """Records count as open; a bulk load opens very many."""
        store_statistics.note(session, "records", [_state(event, OPENED) for event in events])

    @on("dossier", RecordStateChanged, together=True)
    def on_record_state_changed(self, session: Session, events: Sequence[Received]) -> None:
        """Records count under another state; of one that was deleted the traces go too."""
        store_statistics.note(session, "records", [_state(event, event.data.state) for event in events])
        note_deletions(session, events, now())

    @on("identity", AccountActivated)
    def on_account_activated(self, session: Session, event: Received) -> None:
        """A capacity of an account counts; what one person may be beside it counts for itself."""
        told: AccountActivated = event.data
        account = rules_statistics.account_in(told.account_id, told.subject_kind)
        day = rules_statistics.day_of(event.time)
        store_statistics.note(session, "accounts", [Step(account, "0", told.subject_kind, day)])


def count_deposits(session: Session, told: Iterable[DocumentDeposited]) -> None:
    """Documents count under their types from the days of their deposits on."""
    store_statistics.note(session, "documents", [
        Step(each.document_id, rules_statistics.DEPOSITED, each.document_type,
             rules_statistics.day_of(each.deposited_at)) for each in told
    ])  # fmt: skip


def count_correction(session: Session, told: DocumentCorrected) -> None:
    """From that day on a document counts under the type it has now."""
    day = rules_statistics.day_of(told.at)
    step = Step(told.document_id, rules_statistics.corrected(told.number), told.document_type, day)
    store_statistics.note(session, "documents", [step])


def _state(event: Received, state: str) -> Step:
    """dossier numbers what it tells of one record, so its steps have their order whenever they come."""
    number = rules_statistics.numbered(event.number)
    return Step(event.data.record_id, number, state, rules_statistics.day_of(event.time))
