"""Mail and SMS to people: once per event, person and channel, under an id that a repeat shares.

A duplicate goes out only where this process dies between a provider's answer and its own commit; then it carries the
same Message-ID or client reference.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Received, on
from services.db import new_id, now
from services.dossier.contract import RecordFirstAccessedBy
from services.identity.contract import AccountNoticeDue, OneTimeCodeRequested
from services.notifications import rules, store
from services.notifications.desk import Desk
from services.notifications.ports.mail import MailRefused
from services.notifications.ports.sms import SmsRefused
from services.notifications.ports.texts import date_text, mail_text, sms_text, time_text
from services.tokens import Context


class Messages(Desk):
    """The handlers that tell people something."""

    @on("identity", OneTimeCodeRequested, urgent=True)
    def on_one_time_code_requested(self, session: Session, event: Received) -> None:
        """Sends a one-time code to the address it shall prove or to the account's own; one already over is not sent."""
        requested: OneTimeCodeRequested = event.data
        if store.message_settled(session, event.id, requested.challenge_id):
            return
        told = self.identity.one_time_code(event.context, challenge_id=requested.challenge_id)
        occasion = rules.OCCASION_OF_PURPOSE[requested.purpose]
        spent = bool(told.get("spent"))
        values = {} if spent else {"code": told["code"], "minutes": str(rules.ONE_TIME_CODE_MINUTES)}
        self._tell(
            session, event, occasion, ("challenge", requested.challenge_id), told.get("language"),
            to=None if spent else (told["kind"], told["address"]), values=values, instead="spent",
        )  # fmt: skip

    @on("identity", AccountNoticeDue, urgent=True)
    def on_account_notice_due(self, session: Session, event: Received) -> None:
        """Tells every address of an account, the removed one too, what has happened to it.

        Each address in a transaction of its own: where one cannot be reached for now, the others do not hear twice.
        """
        due: AccountNoticeDue = event.data
        notice = self.identity.account_notice(event.context, notice_id=due.notice_id)
        if notice.get("spent"):
            return
        language = rules.language_of(notice["language"])
        values = self._values_of(notice["values"], language)
        later: OSError | None = None
        for place, to in enumerate(notice["recipients"]):
            recipient = ("notice", rules.notice_recipient(due.notice_id, place))
            try:
                with self.db.transaction(event.context) as own:
                    if not store.message_settled(own, event.id, recipient[1]):
                        self._tell(
                            own, event, rules.occasion_of_notice(notice["occasion"]), recipient, language,
                            to=(to["kind"], to["value"]), values=values, instead="no_channel",
                        )  # fmt: skip
            except OSError as missing:
                later = missing
        if later is not None:
            raise later

    @on("dossier", RecordFirstAccessedBy)
    def on_record_first_accessed_by(self, session: Session, event: Received) -> None:
        """Tells the holder that a professional may read the record for the first time; no setting stops it [RGD 3(3)].

        Who it was stands in the access history, behind the log-in. A holder without an account cannot be reached yet.
        """
        accessed: RecordFirstAccessedBy = event.data
        if store.message_settled(session, event.id, accessed.patient_id):
            return
        known = self._contacts_of(event.context, accessed.patient_id)
        at, language = datetime.fromisoformat(accessed.at), rules.language_of(known["language"])
        self._tell(
            session, event, "record_first_accessed_by", ("patient", accessed.patient_id), known["language"],
            to=rules.best_contact(known["contacts"]), instead="no_channel",
            values={"date": date_text(at, language), "time": time_text(at, language)},
        )  # fmt: skip

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

    def _values_of(self, told: dict[str, str], language: str) -> dict[str, str]:
        at = datetime.fromisoformat(told["at"])
        values = {"date": date_text(at, language), "time": time_text(at, language)}
        if "reset" in told:
            values |= {
                "link": rules.reset_link(self.outside.portal, told["reset"]), "minutes": str(rules.RESET_LINK_MINUTES)
            }  # fmt: skip
        return values

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
