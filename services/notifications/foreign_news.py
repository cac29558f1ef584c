"""What foreign systems hear: ids and codes only, and only what somebody there may read at that moment.

dossier is asked who may read; what was told of is remembered until it is lost (losing.py).
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from services.bus import Received
from services.db import now
from services.dossier.contract import RecordStateChanged
from services.notifications import rules_subscriptions as systems
from services.notifications import store_deliveries, store_subscriptions, store_told
from services.notifications.rules_subscriptions import ForeignEvent, KnownDocument
from services.notifications.sending import Sending


class ForeignNews(Sending):
    """Puts events down for the subscriptions that may have them."""

    def _systems_hear(self, session: Session, event: Received, foreign: ForeignEvent, document: KnownDocument) -> None:
        """Puts an event of a document down for each subscription that may have it; the commit wakes the sender."""
        wishing = store_subscriptions.subscriptions_to(session, foreign.type, document)
        [reading] = self._readable(event.context, systems.establishments_of(wishing), [document])
        through = {
            one["subscription_id"]: reading[one["establishment_id"]]
            for one in wishing
            if one["establishment_id"] in reading
        }
        at = now()
        placed = replace(foreign, source=event.source, number=event.number)
        store_deliveries.add_deliveries(session, placed, list(through), document.document_id, at)
        store_told.note_told(
            session, document.document_id, foreign.subject, at + systems.LOOK_TWICE,
            {subscription_id: one.professional_id for subscription_id, one in through.items()},
        )  # fmt: skip

    def _systems_hear_of_state(self, session: Session, event: Received) -> None:
        """The same for what befell a record as such: to those where somebody has a ground in it.

        What was told of the record's documents is asked about again.
        """
        told: RecordStateChanged = event.data
        store_told.ask_of_record(session, told.record_id, now())
        foreign = systems.record_event(event.id, told.record_id, told.state, told.cause, event.time)
        if foreign is None:
            return
        wishing = store_subscriptions.subscriptions_to(session, foreign.type)
        grounded = self._grounded(event.context, systems.establishments_of(wishing), foreign.subject)
        told = [one["subscription_id"] for one in wishing if one["establishment_id"] in grounded]
        placed = replace(foreign, source=event.source, number=event.number)
        store_deliveries.add_deliveries(session, placed, told, None, now())
