"""The daily digest: one message for each person and day who wish it so, made when its hour has come.

Made in one transaction with what goes with it, it is a message like any other: whoever is killed before the commit has
made none, and whoever comes again finds nothing left to make. What it says is decided when it is sent.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.bus import fresh_context
from services.db import now
from services.notifications import store_digests
from services.notifications.desk import Desk
from services.notifications.models_messages import Message
from services.notifications.rules_delivery import has_left, is_asked_again
from services.notifications.rules_digests import Line, lines_of

PEOPLE_AT_ONCE = 500


class Digests(Desk):
    """What the timer of the digests does, and what a digest says."""

    def _make_digests(self) -> int:
        """Makes all digests that are due; how many."""
        made = 0
        while True:
            with self.db.transaction() as session:
                several, looked_at = store_digests.make_digests(session, now(), PEOPLE_AT_ONCE)
            made += several
            if not looked_at:
                return made

    def _lines_of_digest(self, session: Session, digest: Message) -> list[Line]:
        """What goes with a digest at this moment: nothing that is hidden from its reader by now, nothing of a record
        that they have left since."""
        at, context = now(), fresh_context(digest.request_id)
        people: dict[str, Any] = {}
        left = []
        for one in store_digests.news_of_others(session, digest.message_id):
            if not is_asked_again(one.role, one.occasion, one.queued_at, at):
                continue
            if one.record_id not in people:
                people[one.record_id] = self.dossier.people_of(context, record_id=one.record_id)
            if has_left(people[one.record_id], digest.recipient_id):
                left.append(one.message_id)
        if left:
            store_digests.give_up(session, left, at)
        return lines_of(store_digests.news_of(session, digest.message_id, at))
