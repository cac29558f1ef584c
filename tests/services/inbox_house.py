"""notifications alone, with what its inbox stands on: notices put down as handlers put them, and the news of hiding."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.bus import Received
from services.db import new_id, now, rfc3339
from services.directory.contract import PatientsMerged, PatientsUnmerged
from services.notifications import store_hidden, store_messages
from services.notifications.models_messages import Message
from services.notifications.models_subscriptions import Document
from services.notifications.rules_notices import Notice, rows_of
from services.notifications.rules_record_news import Reader
from services.notifications.rules_ways import Way
from services.tokens import Caller
from tests.builders import House, caller, context

OCCASION = "record_news.mandate_opened"
QUEUE = "record_news.deposit_rejected"


class InboxHouse:
    """One service, and what tests do to it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.service = house.notifications
        self.sessions = house.sessions["notifications"]

    def told(
        self, person: tuple[str, str], occasion: str = OCCASION, *, role: str | None = "holder", channel: str = "inbox",
        **about: Any,
    ) -> str:  # fmt: skip
        """Somebody is told something: the id of the notice."""
        event_id, at = new_id(), now()
        notice = Notice(Reader(*person, occasion, role), rfc3339(at - timedelta(minutes=1)), **about)
        with self.sessions.transaction() as session:
            rows = rows_of(
                notice, [Way(channel, at)], event_id=event_id, request_id=None, at=at, text_of_at=rfc3339(at)
            )
            store_messages.put_down(session, rows)
        with self.sessions.transaction() as session:
            query = sa.select(Message.message_id).where(Message.event_id == event_id, Message.channel == channel)
            return str(session.scalar(query))

    def hide(self, document_id: str, kind: str) -> Any:
        since = now()
        with self.sessions.transaction() as session:
            store_hidden.hide(session, document_id, kind, since)
        return since

    def show(self, document_id: str, kind: str, since: Any) -> None:
        with self.sessions.transaction() as session:
            store_hidden.show(session, document_id, kind, since, now())

    def hear(self, data: Any, source: str = "directory") -> None:
        with self.sessions.transaction() as session:
            event = Received(new_id(), source, data.type, rfc3339(now()), None, None, data, context(source))
            getattr(self.service, "on_" + data.type.removesuffix(".v1"))(session, event)

    def hear_of_documents(self, data: Any) -> None:
        """News of a document whose deposit was heard of."""
        known = insert(Document).values(
            document_id=data.document_id, record_id=data.record_id, version_id=new_id(), document_type="medical_report",
            category="care_reports", level="standard", level_at=now(),
        )  # fmt: skip
        with self.sessions.transaction() as session:
            session.execute(known.on_conflict_do_nothing())
        self.hear(data, "documents")

    def merge(self, survivor_id: str, merged_id: str) -> PatientsMerged:
        told = PatientsMerged(new_id(), survivor_id, merged_id, rfc3339(now()))
        self.hear(told)
        return told

    def unmerge(self, told: PatientsMerged) -> None:
        self.hear(PatientsUnmerged(told.merge_id, told.survivor_id, told.merged_id, rfc3339(now())))

    def ask(self, method: str, who: Caller, **given: Any) -> Any:
        return self.house.ask("notifications", method, who, **given)

    def page(self, who: Caller, **given: Any) -> list[str]:
        return [one["notification_id"] for one in self.ask("list_notifications", who, **given)["notifications"]]

    def unread(self, who: Caller) -> int:
        return int(self.ask("count_unread", who)["unread"])

    def actions(self) -> list[tuple[str, str]]:
        """Actions and outcomes of all traces so far, taken away."""
        found = [one["data"] for one in self.house.events("notifications") if one["type"] == "access_traced.v1"]
        with self.sessions.transaction() as session:
            session.execute(sa.text("delete from outbox"))
        return [(one["action"], one["outcome"]) for one in found]


def patient(patient_id: str | None = None, **facts: Any) -> Caller:
    return caller("patient", **({"patient_id": patient_id} if patient_id else {}), **facts)


def of(who: Caller) -> tuple[str, str]:
    """Whom a message for this caller is for."""
    if who.capacity == "agent":
        return "account", who.account_id
    return who.capacity, str(who.patient_id or who.professional_id)
