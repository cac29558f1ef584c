"""How documents end by themselves: their time is over, or their record was deleted; and the bytes of all that ended.

Every step is idempotent and small: killed anywhere, or done by two replicas at once, it goes on where it was.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, Service, emit, fresh_context, on
from services.db import now, rfc3339
from services.documents import erasing, rules_ends, store_erasing, store_removals
from services.documents.contract import BytesDestroyed
from services.dossier.contract import RecordStateChanged
from services.refusals import Unavailable
from services.settings import load

ENDED_AT_ONCE = 100
RECORDS_AT_ONCE = 20
DESTROYED_AT_ONCE = 200

log = logging.getLogger(__name__)


class Ends(Service):
    """The handler and the timers' work."""

    dossier: Any
    blobs: Any

    # --- a record is deleted ------------------------------------------------------------------------------------------

    @on("dossier", RecordStateChanged)
    def on_record_state_changed(self, session: Session, event: Received) -> None:
        """Destroys what is in a deleted record, and with it the record's key [RGD 4, decisions: Bytes].

        The key of a record that was merged away lives as long as a document that it opens lives elsewhere.
        """
        told: RecordStateChanged = event.data
        if told.state == "deleted":
            at = now()
            store_erasing.note_deleted(session, told.record_id, at)
            _end_record(session, told.record_id, at)

    def _end_deleted(self, at: datetime) -> None:
        """Ends what came into a deleted record by a hair's breadth, or came back there because a merge was undone."""
        with self.db.transaction() as session:
            records = store_erasing.deleted_and_not_empty(session, RECORDS_AT_ONCE)
        for record_id in records:
            with self.db.transaction() as session:
                _end_record(session, record_id, at)

    # --- the term -----------------------------------------------------------------------------------------------------

    def _end_terms(self, at: datetime) -> int:
        """Ends the documents whose time is over and whose holder did not consent to longer keeping [RGD 9(5)].

        dossier is asked once for each batch. Gives how many ended.
        """
        before, ended = rules_ends.years_before(at, load().document_term_years), 0
        place: tuple[datetime, str] | None = None
        while True:
            with self.db.transaction() as session:
                due = store_erasing.overdue(session, before, place, ENDED_AT_ONCE)
            if not due:
                break
            place = (due[-1].deposited_at, due[-1].document_id)
            try:
                kept = self._kept({row.record_id for row in due})
            except Unavailable:
                log.warning("terms wait", extra={"kind": "dossier"})
                break
            ended += self._end_some([row.document_id for row in due if row.record_id not in kept], "term", at)
        if ended:
            log.info("documents reached their term", extra={"count": ended})
        return ended

    def _kept(self, record_ids: set[str]) -> set[str]:
        told = self.dossier.kept_longer(fresh_context(), record_ids=sorted(record_ids))
        return set(told["record_ids"])

    def _end_some(self, document_ids: list[str], cause: str, at: datetime) -> int:
        if not document_ids:
            return 0
        with self.db.transaction() as session:
            held = store_erasing.hold(session, document_ids, skip=True)
            store_removals.approve_alone(session, [row.document_id for row in held], cause, at)
            erasing.end(session, None, held, cause, at)
        return len(held)

    # --- the bytes ----------------------------------------------------------------------------------------------------

    def _destroy_condemned(self, at: datetime) -> int:
        """Removes from the store, with every version the store kept, the objects of all that ended; gives how many."""
        gone, place = 0, None
        while True:
            with self.db.transaction() as session:
                batch = store_removals.condemned_objects(session, DESTROYED_AT_ONCE, place)
            for row in batch:
                try:
                    self.blobs.remove(row.object_id)
                except Unavailable:
                    log.warning("destruction waits", extra={"kind": "object_store"})
                    return gone
                with self.db.transaction() as session:
                    store_removals.strike(session, row.object_id, row.removal_id)
                    if row.removal_id is not None:
                        _tell_destroyed(session, row.removal_id, at)
                gone += 1
            if len(batch) < DESTROYED_AT_ONCE:
                break
            place = batch[-1].object_id
        with self.db.transaction() as session:
            while _tell_destroyed(session, None, at):  # those that had no object to begin with
                pass
        return gone


def _end_record(session: Session, record_id: str, at: datetime) -> None:
    held = store_erasing.hold(session, store_erasing.of_record(session, record_id))
    store_removals.approve_alone(session, [row.document_id for row in held], "record_deleted", at)
    erasing.end(session, None, held, "record_deleted", at)
    store_erasing.end_record(session, record_id, at)
    erasing.destroy_keys(session, [record_id], at)


def _tell_destroyed(session: Session, removal_id: str | None, at: datetime) -> bool:
    """Tells once that the last object of a removal is gone: the event, and the proof in the record's history."""
    done = store_removals.destroyed(session, removal_id, at)
    if done is None:
        return False
    emit(session, BytesDestroyed(done.record_id, done.document_id, done.objects, rfc3339(at)))
    emit(session, traced(
        None, "document.destroyed", at=at, record_id=done.home_record_id, object_id=done.document_id,
        object_type="document", count=done.objects,
    ))  # fmt: skip
    return True
