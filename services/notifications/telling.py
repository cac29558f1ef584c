"""How people are told something: put down with the event that causes it, for each on the ways they chose.

Who sends it, when, and what becomes of it: dispatching.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Received, fresh_context
from services.db import now, rfc3339
from services.notifications import rules_notices, store_messages, store_settings
from services.notifications.departures import Departures
from services.notifications.rules_notices import Notice
from services.notifications.rules_record_news import Reader
from services.notifications.rules_ways import ways
from services.tokens import Context


class Telling(Departures):
    """What every handler that tells people something has at hand."""

    def _put_down(self, session: Session, event: Received, notices: Sequence[Notice]) -> None:
        """Puts down what each of these people is told of an event, on the ways they chose, with the event's own commit.

        Nothing goes out here and nobody is asked. Put down once more it changes nothing.
        """
        self._put_all_down(session, [(event, notices)])

    def _put_all_down(self, session: Session, told: Iterable[tuple[Received, Sequence[Notice]]]) -> None:
        """The same for several events at once, in as many words to the database as for one."""
        each = [(event, one) for event, notices in told for one in rules_notices.one_each(notices, event.id)]
        if not each:
            return
        at = now()
        chosen = store_settings.settings_of(session, {(one.reader.kind, one.reader.person_id) for _, one in each})
        rows = []
        for event, one in each:
            settings = chosen.get((one.reader.kind, one.reader.person_id))
            rows += rules_notices.rows_of(
                one, ways(one.reader.occasion, settings, one, at), event_id=event.id,
                request_id=event.context.request_id, at=at, text_of_at=rfc3339(at),
            )  # fmt: skip
        for record_id in store_messages.put_down(session, rows):
            # They may be back: who acts together with the holder is each time they are let.
            self._settle_who_left(session, record_id, each[0][0].context.request_id)

    def _tell_each(
        self, session: Session, event: Received, readers: Sequence[Reader], at: str, **about: str | None
    ) -> None:  # fmt: skip
        """Tells several people what happened, each in words for them; at: when (RFC 3339). about: as in a Notice."""
        self._put_down(session, event, [Notice(reader, at, **about) for reader in readers])  # type: ignore[arg-type]

    def _contacts_of_person(self, kind: str, person_id: str, request_id: str | None) -> dict[str, Any]:
        """Where a person (as a Reader has them) can be told something, and in which language."""
        # Each of them gets the full time: a long row must not run out of the first one's.
        context = fresh_context(request_id)
        if kind == "patient":
            return self._contacts_of(context, person_id)
        whose = {"account_id": person_id} if kind == "account" else {"patient_id": None, "professional_id": person_id}
        known: dict[str, Any] = self.identity.contacts_of(context, **whose)
        return known

    def _contacts_of(self, context: Context, patient_id: str) -> dict[str, Any]:
        """Where a patient can be told something; where two were merged, the account may be that of either."""
        known: dict[str, Any] = self.identity.contacts_of(context, patient_id=patient_id, professional_id=None)
        if known["contacts"]:
            return known
        same = self.directory.ids_of_patient(context, patient_id=patient_id)["patient_ids"]
        others = (
            self.identity.contacts_of(context, patient_id=other, professional_id=None)
            for other in same if other != patient_id
        )  # fmt: skip
        return next((each for each in others if each["contacts"]), known)
