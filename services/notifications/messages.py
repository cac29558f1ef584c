"""Mail and SMS about accounts and first accesses: once per event, person and channel, under an id that a repeat shares.

A one-time code is tried at once, by its own event: somebody waits for it. Everything else is put down and sent by
whoever sends (dispatching.py), and so is a code that could not be sent for now.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from services.bus import Received, on
from services.db import new_id, now, rfc3339
from services.dossier.contract import RecordFirstAccessedBy
from services.identity.contract import AccountNoticeDue, OneTimeCodeRequested
from services.notifications import rules, rules_delivery, rules_notices, store_messages
from services.notifications.dispatching import Dispatching
from services.notifications.models_messages import Message
from services.notifications.rules_delivery import FAILED, Fate
from services.notifications.rules_record_news import HOLDER, Reader, readers


class Messages(Dispatching):
    """The handlers that tell people something."""

    @on("identity", OneTimeCodeRequested, urgent=True, at_once=True)
    def on_one_time_code_requested(self, session: Session, event: Received) -> None:
        """Sends a one-time code to the address it shall prove or to the account's own; one already over is not sent.

        One that cannot be sent for now waits for as long as the code is good. Who has the same event at this moment
        waits until it is sent and its row is there, and finds it told.
        """
        requested: OneTimeCodeRequested = event.data
        told = self.identity.one_time_code(event.context, challenge_id=requested.challenge_id)
        reached, asked_at = self._reached_by_code(told), datetime.fromisoformat(event.time)
        message = Message(
            message_id=new_id(), event_id=event.id, request_id=event.context.request_id, recipient_kind="challenge",
            recipient_id=requested.challenge_id, occasion=rules.OCCASION_OF_PURPOSE[requested.purpose], urgent=True,
            channel=rules.EMAIL if reached is None else rules.CHANNEL_OF_KIND[reached.contacts[0]["kind"]],
            count=1, attempts=0, happened_at=asked_at,
            expires_at=asked_at + timedelta(minutes=rules.ONE_TIME_CODE_MINUTES),
            state=rules_delivery.QUEUED, due_at=now(), history=[_queued(event)],
        )  # fmt: skip
        if not store_messages.is_told(session, message.event_id, message.recipient_id):
            fate = Fate(FAILED, "spent") if reached is None else self._fate_of(session, message, reached)
            self._note(session, message, fate)
            store_messages.keep_tried(session, message)

    @on("identity", AccountNoticeDue, urgent=True)
    def on_account_notice_due(self, session: Session, event: Received) -> None:
        """Tells every address of an account, the removed one too, what has happened to it."""
        due: AccountNoticeDue = event.data
        notice = self.identity.account_notice(event.context, notice_id=due.notice_id)
        if notice.get("spent"):
            return
        at = now()
        store_messages.put_down(session, rules_notices.rows_of_notice(
            notice, due.notice_id, event_id=event.id, request_id=event.context.request_id, at=at,
            text_of_at=rfc3339(at),
        ))  # fmt: skip

    @on("dossier", RecordFirstAccessedBy)
    def on_record_first_accessed_by(self, session: Session, event: Received) -> None:
        """Tells the holder that a professional may read the record for the first time; no setting stops it [RGD 3(3)].

        And whoever represents or assists them; of each further professional too, as they have set it. Who it was stands
        in the access history, behind the log-in. A holder without an account cannot be reached yet.
        """
        accessed: RecordFirstAccessedBy = event.data
        people = self.dossier.people_of(event.context, record_id=accessed.record_id)
        if accessed.first is False:
            told = readers("record_news.new_professional", people)
        else:
            holder = Reader("patient", accessed.patient_id, "record_first_accessed_by", HOLDER)
            told = [holder, *readers("record_news.first_access", people)]
        self._tell_each(session, event, told, accessed.at, record_id=accessed.record_id)


def _queued(event: Received) -> dict[str, str | None]:
    return {"state": rules_delivery.QUEUED, "at": event.time, "cause": None}
