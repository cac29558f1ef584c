"""How people are told something: where they can be reached, one message at a time, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Received, fresh_context
from services.db import new_id, now
from services.notifications import rules, store
from services.notifications.desk import Desk
from services.notifications.ports.mail import MailRefused
from services.notifications.ports.sms import SmsRefused
from services.notifications.ports.texts import concerns, date_text, mail_text, sms_text, time_text
from services.notifications.rules_record_news import Reader
from services.tokens import Context


class Telling(Desk):
    """What every handler that tells people something has at hand."""

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

    def _tell_each(self, session: Session, event: Received, readers: list[Reader], at: str) -> None:
        """Tells several people what happened in a record, date and time alone, each in words for them.

        Each in a transaction of its own: where one cannot be reached for now, the others do not hear twice.
        at: when it happened (RFC 3339).
        """
        settled = store.settled_recipients(session, event.id)
        happened, later = datetime.fromisoformat(at), None
        for reader in readers:
            if reader.person_id in settled:
                continue
            known = self._contacts_of_reader(event, reader)
            language = rules.language_of(known["language"])
            values = {"date": date_text(happened, language), "time": time_text(happened, language)}
            try:
                with self.db.transaction(event.context) as own:
                    self._tell(
                        own, event, reader.occasion, (reader.kind, reader.person_id), known["language"],
                        to=rules.best_contact(known["contacts"]), instead="no_channel",
                        values=values | concerns(reader.role, language),
                    )  # fmt: skip
            except OSError as missing:
                later = missing
        if later is not None:
            raise later

    def _contacts_of_reader(self, event: Received, reader: Reader) -> dict[str, Any]:
        # Each of them gets the full time: a long row must not run out of the first one's.
        context = fresh_context(event.context.request_id, event.context.traceparent)
        if reader.kind == "account":
            own: dict[str, Any] = self.identity.contacts_of(context, account_id=reader.person_id)
            return own
        if reader.kind == "patient":
            return self._contacts_of(context, reader.person_id)
        known: dict[str, Any] = self.identity.contacts_of(context, patient_id=None, professional_id=reader.person_id)
        return known

    def _tell(
        self, session: Session, event: Received, occasion: str, recipient: tuple[str, str], language: str | None,
        *, to: tuple[str, str] | None, values: dict[str, str], instead: str,
    ) -> None:  # fmt: skip
        """Sends one message, at least once, and notes what became of it; without an address the state is `instead`.

        to: kind of address and address.
        """
        kind, recipient_id = recipient
        language, at = rules.language_of(language), now()
        channel = rules.CHANNEL_OF_KIND[to[0]] if to is not None else rules.EMAIL
        state = instead
        if to is not None:
            values = {"portal": self.outside.portal, **values}
            state = self._send(event, recipient_id, channel, to[1], occasion, language, values)
        store.keep_message(
            session, message_id=new_id(), event_id=event.id, recipient_kind=kind, recipient_id=recipient_id,
            channel=channel, occasion=occasion, language=language, state=state, settled_at=at,
        )  # fmt: skip

    def _send(
        self, event: Received, recipient_id: str, channel: str, to: str, occasion: str, language: str,
        values: dict[str, str],
    ) -> str:  # fmt: skip
        """Sends one message; what became of it for good. Raises OSError for now."""
        try:
            if channel == rules.EMAIL:
                text = mail_text(occasion, language, values)
                message_id = rules.message_id_for(event.id, recipient_id, channel)
                self.outside.mailer.send(text, to=to, message_id=message_id, language=language, at=now())
            elif self.outside.sms is None:
                return "no_channel"
            else:
                reference = rules.client_reference_for(event.id, recipient_id)
                self.outside.sms.send(sms_text(occasion, language, values), to=to, client_reference=reference)
        except (MailRefused, SmsRefused):
            return "refused"
        return "sent"
