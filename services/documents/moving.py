"""Documents of records that were merged: they are found where their record leads, and go back when it leads nowhere.

Nothing is sealed again: a document's key stays wrapped by the key of the record it was deposited in.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.bus import Received, Service, on
from services.db import now
from services.documents import store, store_moves
from services.dossier.contract import RecordsMerged, RecordsUnmerged


class Moving(Service):
    """What dossier tells of records that lead to one another."""

    keys: Any  # the service's key ring

    @on("dossier", RecordsMerged)
    def on_records_merged(self, session: Session, event: Received) -> None:
        """Puts the documents and running uploads of a record, and of those that led to it, where it leads now."""
        self._move(session, event.data, event.data.record_id)

    @on("dossier", RecordsUnmerged)
    def on_records_unmerged(self, session: Session, event: Received) -> None:
        """Puts them back; what was deposited in the surviving record since stays there."""
        self._move(session, event.data, None)

    def _move(self, session: Session, told: RecordsMerged | RecordsUnmerged, leads_to: str | None) -> None:
        """Notes the news; where every document belongs follows from all that was noted, in whatever order it came."""
        store_moves.move_alone(session, told.merged_record_id)
        if not store_moves.note(session, told.merged_record_id, leads_to, told.merge_id, told.version):
            return
        record_id = store_moves.end_of(session, told.merged_record_id)
        if record_id is None:
            return  # a circle of old and new: the news that opens it is still on its way
        if store.record_key(session, record_id) is None:
            named = self.keys.master_key_id  # before, as in a deposit
            store.add_record_key(session, record_id, self.keys.new(record_id), named, now())
        store_moves.move(session, told.merged_record_id, record_id)
