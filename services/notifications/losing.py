"""What a foreign system may not see any more: one and the same word, whatever the cause.

Everything that can end an access only has dossier asked again about what was told: documents' own news of it, dossier's
of a record or a professional, the clock (dossier says until when an access runs), and in the end the mere passing of a
day, for whatever nobody told us. So no cause is forgotten, and none can be told from another.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.bus import Received, fresh_context, on
from services.db import now, rfc3339
from services.dossier.contract import (
    AccessNarrowed,
    CircleMemberRemoved,
    MandateEnded,
    PracticeChanged,
    RecordsMerged,
    RecordsUnmerged,
)
from services.notifications import rules_subscriptions as systems
from services.notifications import store, store_told
from services.notifications.care_news import CareNews
from services.notifications.store_told import Looked, Told
from services.notifications.visibility import Through, Visibility
from services.refusals import Unavailable

LOOKED_AT_ONCE = 500

log = logging.getLogger(__name__)


class Losing(Visibility, CareNews):
    """Finds out what was lost, and tells of it."""

    # --- what may have ended something --------------------------------------------------------------------------------

    @on("dossier", AccessNarrowed)
    def on_access_narrowed(self, session: Session, event: Received) -> None:
        """Somebody was barred from a record, or its holder opens less of it."""
        self._rights_changed(session, event.data.record_id)

    @on("dossier", MandateEnded)
    def on_mandate_ended(self, session: Session, event: Received) -> None:
        """A mandate ended; foreign systems lose it, people hear of it."""
        self._rights_changed(session, event.data.record_id)
        self._people_hear_of_mandate_ended(session, event)

    @on("dossier", CircleMemberRemoved)
    def on_circle_member_removed(self, session: Session, event: Received) -> None:
        """Somebody is no longer in a circle of trust."""
        self._rights_changed(session, event.data.record_id)
        self._people_hear_of_circle_left(session, event)

    @on("dossier", PracticeChanged)
    def on_practice_changed(self, session: Session, event: Received) -> None:
        """A professional left a workplace, lost the licence, or is something else now."""
        store_told.ask_of_professional(session, event.data.professional_id, now())

    @on("dossier", RecordsMerged)
    def on_records_merged(self, session: Session, event: Received) -> None:
        """What was told of one record is found in another now, by the grounds that are there."""
        told: RecordsMerged = event.data
        store_told.keep_lead(session, told.merged_record_id, told.record_id, told.version)
        self._settle_who_left(session, told.record_id, event.context.request_id)
        self._rights_changed(session, told.merged_record_id)
        self._rights_changed(session, told.record_id)

    @on("dossier", RecordsUnmerged)
    def on_records_unmerged(self, session: Session, event: Received) -> None:
        """Each has its own back."""
        told: RecordsUnmerged = event.data
        self._rights_changed(session, told.record_id)
        store_told.keep_lead(session, told.merged_record_id, None, told.version)
        for record_id in sorted((told.record_id, told.merged_record_id)):
            self._settle_who_left(session, record_id, event.context.request_id)
        self._rights_changed(session, told.merged_record_id)

    def _rights_changed(self, session: Session, record_id: str) -> None:
        """Has dossier asked again about all that was told of a record."""
        store_told.ask_of_record(session, record_id, now())

    # --- looking again ------------------------------------------------------------------------------------------------

    def _look_again_at_due(self) -> None:
        """Looks at all that is due; while dossier is away it stays due."""
        try:
            while self._look_again() == LOOKED_AT_ONCE:
                pass
        except Unavailable as unavailable:
            log.warning("told documents not looked at", extra={"service": unavailable.detail.get("service")})

    def _look_again(self) -> int:
        """Asks dossier about what is due, and tells of what is lost; says how much was looked at.

        Killed anywhere, it is due still; told twice, a loss has one id.
        """
        at = now()
        with self.db.transaction() as session:
            due = store_told.claim_due(session, at, LOOKED_AT_ONCE)
            reading = self._read_still(session, due)
            looked, lost = [], []
            for one in due:
                through = reading.get((one.document_id, one.establishment_id))
                if through is None:
                    lost.append(one)
                else:
                    again = systems.look_again_at(through.until, at)
                    looked.append(Looked(one.subscription_id, one.document_id, through.professional_id, again))
            store_told.keep_looked(session, looked)
            store_told.lose(session, lost, at, rfc3339(at))
        return len(due)

    def _read_still(self, session: Session, due: Sequence[Told]) -> dict[tuple[str, str], Through]:
        """By document and establishment, through whom what is due is still read; one question for all places alike."""
        documents = store.known_documents(session, sorted({one.document_id for one in due}))
        places: dict[str, set[str]] = {}
        for one in due:
            if one.document_id in documents:
                places.setdefault(one.document_id, set()).add(one.establishment_id)
        alike: dict[tuple[str, ...], list[str]] = {}
        for document_id, establishment_ids in places.items():
            alike.setdefault(tuple(sorted(establishment_ids)), []).append(document_id)
        reading = {}
        for establishment_ids, document_ids in alike.items():
            answers = self._readable(fresh_context(), establishment_ids, [documents[one] for one in document_ids])
            for document_id, there in zip(document_ids, answers, strict=True):
                reading |= {(document_id, place): through for place, through in there.items()}
        return reading
