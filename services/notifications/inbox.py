"""The inbox of portal and app: what somebody was told, in words, newest first; how much is unread; who is one person.

A reader sees what they may hear of at this moment: a notice about a document that was hidden from them since is not
there, and is there again when they see the document again; one about a record of which they were told for its holder,
whose representative or assistant they are no more, neither. Nothing is kept in words: those are made when it is read.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit, on, rpc
from services.db import now, once, remember, rfc3339
from services.directory.contract import PatientsMerged, PatientsUnmerged
from services.dossier.contract import RecordHolderChanged
from services.notifications import rules, rules_inbox, store_inbox, store_stream
from services.notifications.contract_inbox import (
    NotificationNotFound,
    NotificationPage,
    ReadNotification,
    ReadNotifications,
    ShownNotification,
    StreamPrepared,
    UnreadCount,
)
from services.notifications.desk import Desk
from services.notifications.ports.texts import concerns, date_text, inbox_text, time_text
from services.notifications.rules_inbox import Owner
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller

TICKET_BYTES = 32


class Inbox(Desk):
    """The entrypoints of the inbox, and the news of who is one person."""

    @rpc
    def list_notifications(
        self, caller: Caller, *, unread_only: bool = False, limit: int = 50, cursor: str | None = None
    ) -> NotificationPage:
        """A page of what the caller was told in this capacity and may hear of now, newest first, in their language.

        unread_only: without what they have read. Refuses: InvalidInput.
        """
        errors = rules_inbox.wrong_page(unread_only, limit, cursor)
        if errors:
            raise InvalidInput(errors=errors)
        with self.db.transaction(caller) as session:
            found = store_inbox.page(
                session, _owner(caller), unread=unread_only, after=cursor, limit=limit + 1
            )  # fmt: skip
            emit(session, traced(caller, "notification.searched", at=now(), count=len(found[:limit])))
        return {
            "notifications": [_shown(row, caller.context.locale) for row in found[:limit]],
            "next_cursor": found[limit - 1]["message_id"] if len(found) > limit else None,
        }

    @rpc
    def count_unread(self, caller: Caller) -> UnreadCount:
        """How much the caller has not read yet, of what they may hear of now."""
        with self.db.transaction(caller) as session:
            unread = store_inbox.count_unread(session, _owner(caller))
            emit(session, traced(caller, "notification.counted", at=now(), count=unread))
        return {"unread": unread}

    @rpc
    def read_notification(self, caller: Caller, *, notification_id: str) -> ReadNotification | Refusal:
        """Notes that the caller has read one notice; the first time counts.

        Refuses: NotificationNotFound, one and the same for another's, a hidden one and none at all.
        """
        with self.db.transaction(caller) as session:
            given = {"notification_id": notification_id}
            if answered := once(session, caller, "read_notification", given):
                return answered  # type: ignore[no-any-return]
            at = now()
            known = rules.is_id(notification_id)
            read_at = store_inbox.read_one(session, _owner(caller), notification_id, at) if known else None
            if read_at is None:
                return _not_found(session, caller)
            emit(session, traced(caller, "notification.marked", at=at, object_id=notification_id,
                                 object_type="notification"))  # fmt: skip
            answer = {"notification_id": notification_id, "read_at": rfc3339(read_at)}
            return remember(session, caller, "read_notification", given, answer)  # type: ignore[no-any-return]

    @rpc
    def read_notifications(self, caller: Caller, *, up_to: str) -> ReadNotifications | Refusal:
        """Notes that the caller has read this notice and all older ones; newer ones they have not seen stay unread.

        Refuses: NotificationNotFound, as `read_notification`.
        """
        with self.db.transaction(caller) as session:
            given = {"up_to": up_to}
            if answered := once(session, caller, "read_notifications", given):
                return answered  # type: ignore[no-any-return]
            owner, at = _owner(caller), now()
            if not rules.is_id(up_to) or not store_inbox.is_theirs(session, owner, up_to):
                return _not_found(session, caller)
            read = store_inbox.read_up_to(session, owner, up_to, at)
            emit(session, traced(caller, "notification.marked", at=at, object_id=up_to, object_type="notification",
                                 count=read))  # fmt: skip
            return remember(session, caller, "read_notifications", given, {"read": read})  # type: ignore[no-any-return]

    @rpc
    def prepare_stream(self, caller: Caller) -> StreamPrepared:
        """A ticket that opens the caller's stream of news while their token is good, for pages that send no headers.

        It opens nothing else, and nothing once the session has ended. No Idempotency-Key is honoured: a kept answer
        would keep the ticket. [decisions.md: Server-sent events]
        """
        ticket, at = secrets.token_urlsafe(TICKET_BYTES), now()
        until = rules_inbox.ticket_ends(caller.expires_at, at)
        with self.db.transaction(caller) as session:
            store_stream.keep_ticket(
                session, at, ticket_digest=sha256(ticket.encode()).digest(), account_id=caller.account_id,
                session_id=caller.session_id, capacity=caller.capacity, patient_id=caller.patient_id,
                professional_id=caller.professional_id, profession=caller.profession,
                establishment_id=caller.establishment_id, role=caller.role, expires_at=until,
            )  # fmt: skip
            emit(session, traced(caller, "stream.prepared", at=at))
        return {"ticket": ticket, "expires_at": rfc3339(until)}

    @on("directory", PatientsMerged)
    def on_patients_merged(self, session: Session, event: Received) -> None:
        """From now on whoever logs in as either of the two reads what was told to both."""
        told: PatientsMerged = event.data
        store_inbox.keep_merge(session, told.merge_id, told.survivor_id, told.merged_id, undone=False)

    @on("directory", PatientsUnmerged)
    def on_patients_unmerged(self, session: Session, event: Received) -> None:
        """They are two again, and each reads what was told to them."""
        told: PatientsUnmerged = event.data
        store_inbox.keep_merge(session, told.merge_id, told.survivor_id, told.merged_id, undone=True)

    @on("dossier", RecordHolderChanged)
    def on_record_holder_changed(self, session: Session, event: Received) -> None:
        """What was told of a record to its holder is told to whoever holds it: while two patients were one it was
        told to the one who spoke for both."""
        told: RecordHolderChanged = event.data
        store_inbox.hand_over(session, told.record_id, told.former_id, told.patient_id)


def _owner(caller: Caller) -> Owner:
    return rules_inbox.owner(caller.capacity, caller.account_id, caller.patient_id, caller.professional_id)


def _not_found(session: Session, caller: Caller) -> NotificationNotFound:
    refusal = NotificationNotFound()
    emit(session, traced(caller, "notification.marked", at=now(), outcome="refused", reason=refusal.code))
    return refusal


def _shown(row: dict[str, Any], language: str) -> ShownNotification:
    """A notice in words; what its text names, and nothing else, is filled in: date, time, whose record it is about."""
    happened = row["happened_at"]
    values = {"date": date_text(happened, language), "time": time_text(happened, language)}
    text = inbox_text(row["occasion"], language, values | concerns(row["role"], language), row["count"])
    return {
        "notification_id": row["message_id"], "occasion": row["occasion"], "title": text.title, "text": text.text,
        "record_id": row["record_id"], "object_type": row["object_type"], "object_id": row["object_id"],
        "count": row["count"], "happened_at": rfc3339(happened),
        "read_at": rfc3339(row["read_at"]) if row["read_at"] else None,
    }  # fmt: skip
