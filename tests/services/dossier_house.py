"""One dossier over its own database, the people who use it, and what they find afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from nameko.testing.services import worker_factory

from services.bus import Received
from services.db import Sessions, new_id, outbox, plumbing
from services.directory.contract import ProfessionalUpdated
from services.dossier import contract, models
from services.dossier.contract import AccessScope
from services.dossier.service import Dossier
from services.identity.contract import AccountActivated
from services.refusals import Refusal
from services.tokens import Caller
from tests import builders
from tests.builders import said

WORDING = next(iter(contract.DECLARATION_WORDINGS))
RISK = {"risk_accepted": True, "risk_version": next(iter(contract.RISK_WORDINGS))}


class DossierHouse:
    """One dossier over its own database, with the people who use it."""

    def __init__(self, url: str) -> None:
        self.sessions = Sessions(url)
        self.dossier: Dossier = worker_factory(Dossier, db=self.sessions)
        self.agent = builders.caller("agent")

    def hear(self, source: str, data: Any) -> None:
        """An event of another service, handled as from the inbox: one transaction."""
        event = Received(new_id(), source, data.type, "", None, None, data, builders.context())
        handler = getattr(self.dossier, contract.SUBSCRIPTIONS[source, data.type])
        with self.sessions.transaction() as session:
            handler(session, event)

    def professional(self, profession: str = "physician", licence: str = "valid", version: int = 1) -> Caller:
        """A professional of the directory, logged in."""
        caller = builders.caller("professional", profession=profession)
        self.told_of(caller, licence=licence, version=version)
        return caller

    def colleague(self, of: Caller, profession: str = "physician", emergency: bool = False, version: int = 1) -> Caller:
        """Another professional of the same establishment, logged in there; or, at its emergency service."""
        caller = builders.caller("professional", profession=profession, establishment_id=of.establishment_id)
        place = [of.establishment_id or ""]
        self.hear(
            "directory",
            ProfessionalUpdated(
                caller.professional_id or "", profession, "valid", place, version,
                emergency_establishment_ids=place if emergency else [],
            ),
        )  # fmt: skip
        return caller

    def software(self, of: Caller, scope: str = "") -> Caller:
        """Business software of the establishment, acting for this professional."""
        client_id = new_id()
        return replace(
            of, account_id=client_id, client_id=client_id, scope=scope, purpose="TREAT", session_id=new_id(),
            context=builders.context(),
        )  # fmt: skip

    def told_of(self, caller: Caller, licence: str = "valid", version: int = 1, profession: str | None = None) -> None:
        assert caller.professional_id
        self.hear(
            "directory",
            ProfessionalUpdated(
                professional_id=caller.professional_id,
                profession=profession or caller.profession or "",
                licence=licence,
                establishment_ids=[caller.establishment_id or ""],
                version=version,
            ),
        )

    def holder(self, activate: bool = True) -> tuple[Caller, str]:
        """A patient, logged in, and their record."""
        holder = builders.caller("patient")
        opened = self.dossier.open_record(self.agent, patient_id=holder.patient_id)
        if activate:
            self.activate(holder)
        return holder, opened["record_id"]

    def activate(self, holder: Caller) -> None:
        self.hear("identity", AccountActivated(holder.account_id, "patient", holder.patient_id, None))

    def code(self, record_id: str, letter_id: str | None = None) -> str:
        context = builders.context("notifications")
        issued = self.dossier.issue_presence_code(context, letter_id=letter_id or new_id(), record_id=record_id)
        return str(issued["code"])

    def enter(self, caller: Caller, record_id: str, code: str, **changes: Any) -> Any:
        """A professional enters a presence code."""
        form = {"presence_code": code, "declaration_accepted": True, "wording_version": WORDING} | changes
        return self.dossier.open_mandate(caller, record_id=record_id, **form)

    def scope(self, caller: Caller, record_id: str) -> AccessScope:
        wire = self.dossier.access_scope(caller, record_id=record_id)
        return AccessScope.from_wire(json.loads(json.dumps(wire)))

    def set_state(self, record_id: str, state: str) -> None:
        with self.sessions.transaction() as session:
            session.execute(sa.update(models.Record).where(models.Record.record_id == record_id).values(state=state))

    def block(self, record_id: str, caller: Caller, since: timedelta = -timedelta(days=1)) -> None:
        at = datetime.now(UTC) + since
        with self.sessions.transaction() as session:
            session.add(
                models.Block(
                    block_id=new_id(), record_id=record_id, professional_id=str(caller.professional_id), since=at
                )
            )

    def age_mandates(self, record_id: str, age: timedelta) -> None:
        """Moves the mandates of a record into the past."""
        mandate = models.Mandate
        with self.sessions.transaction() as session:
            session.execute(
                sa.update(mandate)
                .where(mandate.record_id == record_id)
                .values(
                    starts_at=mandate.starts_at - age,
                    read_until=mandate.read_until - age,
                    deposit_until=mandate.deposit_until - age,
                )
            )

    def rows(self, table: Any) -> list[Any]:
        with self.sessions.transaction() as session:
            return list(session.scalars(sa.select(table)).all())

    def events(self, kind: str) -> list[dict[str, Any]]:
        with self.sessions.transaction() as session:
            found = session.scalars(sa.select(outbox.c.envelope).where(outbox.c.type == kind).order_by(outbox.c.seq))
            return [json.loads(envelope)["data"] for envelope in found]

    def traces(self, action: str | None = None) -> list[dict[str, Any]]:
        return [trace for trace in self.events("access_traced.v1") if action in (None, trace["action"])]

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """The statements that reach the database inside the block."""
        seen: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, _parameters: Any, asked: Any, _many: bool) -> None:
            seen.append(said(statement, asked))

        sa.event.listen(self.sessions.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sa.event.remove(self.sessions.engine, "before_cursor_execute", note)


def emptied(house: DossierHouse) -> DossierHouse:
    """The house as it was on its first day."""
    with house.sessions.transaction() as session:
        for table in (*reversed(models.metadata.sorted_tables), *plumbing.sorted_tables):
            session.execute(table.delete())
    return house


def refusal_code(answer: Any) -> str:
    """The code of a refusal that was returned."""
    assert isinstance(answer, Refusal), answer
    return answer.code
