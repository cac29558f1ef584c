"""Who has left the holder side of a record: what they were told of it as its holder's representative or assistant is in
their inbox no more, and is there again when they come back.

Who stands there is dossier's answer, asked each time something may have changed it; nothing of its rules is copied.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from services.bus import fresh_context
from services.db import now
from services.notifications import store_departures
from services.notifications.desk import Desk


class Departures(Desk):
    """Settles who has left."""

    def _settle_who_left(
        self, session: Session, record_id: str, request_id: str | None = None, person_id: str | None = None
    ) -> None:  # fmt: skip
        """Notes who has left a record and those that lead to it, and who is back, as dossier says now.

        person_id: somebody who left, whether they were told anything yet or not. One of several who settle the same
        record asks after the other has: the answer that is kept is the latest. Repeats change nothing.
        """
        speaks = store_departures.family_of(session, record_id)[0]
        store_departures.hold(session, speaks)
        family = store_departures.family_of(session, record_id)
        people: dict[str, Any] = self.dossier.people_of(fresh_context(request_id), record_id=family[0])
        there = {*people["representatives"], *people["assistants"], *([people["holder"]] if people["holder"] else [])}
        store_departures.settle(session, family, there, person_id, now())
