"""Mail and SMS about accounts and first accesses: once per event, person and channel, under an id that a repeat shares.

A duplicate goes out only where this process dies between a provider's answer and its own commit; then it carries the
same Message-ID or client reference.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.bus import Received, on
from services.dossier.contract import RecordFirstAccessedBy
from services.identity.contract import AccountNoticeDue, OneTimeCodeRequested
from services.notifications import rules, store
from services.notifications.ports.texts import date_text, time_text
from services.notifications.rules_record_news import Reader, readers
from services.notifications.telling import Telling


class Messages(Telling):
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

        And whoever represents them. Who it was stands in the access history, behind the log-in. A holder without an
        account cannot be reached yet.
        """
        accessed: RecordFirstAccessedBy = event.data
        people = self.dossier.people_of(event.context, record_id=accessed.record_id)
        holder = Reader("patient", accessed.patient_id, "record_first_accessed_by", None)
        self._tell_each(session, event, [holder, *readers("record_news.first_access", people)], accessed.at)

    def _values_of(self, told: dict[str, str], language: str) -> dict[str, str]:
        at = datetime.fromisoformat(told["at"])
        values = {"date": date_text(at, language), "time": time_text(at, language)}
        if "reset" in told:
            values |= {
                "link": rules.reset_link(self.outside.portal, told["reset"]), "minutes": str(rules.RESET_LINK_MINUTES)
            }  # fmt: skip
        return values
