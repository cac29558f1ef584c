"""A record with everybody around it, each with a mailbox: whoever is to hear of something, and whoever is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from services.db import new_id, now
from services.documents.contract import DocumentDeposited
from services.dossier import contract as dossier
from services.dossier.models_entourage import Assistant, Representative
from services.notifications.models_messages import Message
from tests.builders import caller
from tests.services.identity_house import Person
from tests.services.post_house import Post

AGENT = caller("agent")
AT = "2026-03-03T08:30:00.000000Z"
SIDE = ("holder", "representative", "assistant")
PAST, FUTURE = timedelta(days=-30), timedelta(days=30)


@dataclass
class Ring:
    """A record and everybody around it: who is in force, and who is no more, or not yet."""

    record_id: str
    holder: Person
    representative: Person
    assistant: Person
    outsiders: list[Person]
    professional: Person
    physician: Person
    document_id: str = ""

    @property
    def side(self) -> list[Person]:
        return [self.holder, self.representative]

    @property
    def whole_side(self) -> list[Person]:
        return [*self.side, self.assistant]

    @property
    def everybody(self) -> list[Person]:
        return [*self.whole_side, *self.outsiders, self.professional, self.physician]


class Newsroom(Post):
    """The house with a record whose people all have a mailbox."""

    def professional(self) -> Person:
        return self.front.member(self.front.professional(), "professional")

    def record(self, holder: Person) -> str:
        return str(self.house.ask("dossier", "open_record", AGENT, patient_id=holder.patient_id)["record_id"])

    def represents(self, who: Person, record_id: str, **changes: Any) -> Representative:
        return self.keep(Representative(**({
            "representative_id": new_id(), "record_id": record_id, "patient_id": who.patient_id, "kind": "parent",
            "proof": "x", "since": now() + PAST, "until": now() + FUTURE, "until_cause": "time",
            "recorded_by": new_id(),
        } | changes)))  # fmt: skip

    def assists(self, who: Person | None, record_id: str, **changes: Any) -> Assistant:
        return self.keep(Assistant(**({
            "assistant_id": new_id(), "record_id": record_id, "patient_id": who and who.patient_id, "name": "x",
            "invited_by": new_id(), "invited_at": now() + PAST, "code_until": now() + FUTURE,
            "accepted_at": who and now() + PAST,
        } | changes)))  # fmt: skip

    def keep(self, row: Any) -> Any:
        with self.house.sessions["dossier"].transaction() as session:
            session.add(row)
        return row

    def ring(self) -> Ring:
        holder = self.person()
        made = Ring(self.record(holder), holder, self.person(), self.person(), [self.person() for _ in range(6)],
                    self.professional(), self.professional())  # fmt: skip
        self.represents(made.representative, made.record_id)
        self.assists(made.assistant, made.record_id)
        ended, over, later, together, left, gone = made.outsiders
        self.represents(ended, made.record_id, ended_at=now() - timedelta(days=1))
        self.represents(over, made.record_id, until=now() - timedelta(days=1))
        self.represents(later, made.record_id, since=now() + timedelta(days=1))
        self.represents(together, made.record_id, kind="curator", until=None)
        self.assists(left, made.record_id, ended_at=now() - timedelta(days=1))
        self.assists(gone, made.record_id, until=now() - timedelta(days=1))
        self.assists(None, made.record_id)
        made.document_id = self.prescription(made.record_id)
        return made

    def prescription(self, record_id: str) -> str:
        """A document of which notifications knows."""
        document_id = new_id()
        self.happen(DocumentDeposited(
            record_id, document_id, new_id(), "prescription", "prescriptions", "standard", new_id(), "application/pdf",
            10, AT,
        ), source="documents")  # fmt: skip
        return document_id

    def occasions(self, event_id: str) -> dict[str, str]:
        """Who was told of an event, and with which words."""
        query = sa.select(Message).where(Message.event_id == event_id)
        with self.house.sessions["notifications"].transaction() as session:
            return {row.recipient_id: row.occasion.removeprefix("record_news.") for row in session.scalars(query)}

    def received(self, who: Person) -> list[Any]:
        return self.mails(who.email)


Told = Callable[[Ring], Any]
"""What happens in a record."""


def mandate(kind: str) -> Told:
    return lambda ring: dossier.MandateOpened(ring.record_id, new_id(), None, kind, new_id())


def who(ring: Ring, name: str) -> Person:
    found: Person = getattr(ring, name)
    return found
