"""The persons around a holder, in one dossier: what the tests of representatives, assistants and set-up ask of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from services.db import now, rfc3339
from services.dossier.models_entourage import Assistant, Representative
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse

COMES_OF_AGE = timedelta(days=900)


class Home:
    """A holder with an active record, and persons who know them."""

    def __init__(self, house: DossierHouse) -> None:
        self.house = house
        self.holder, self.record = house.holder()
        self.dossier = house.dossier

    def person(self) -> Caller:
        return builders.caller("patient")

    def record_one(self, who: Caller, kind: str = "parent", by: Caller | None = None, **changes: Any) -> Any:
        """An agent records who represents the holder, who is a minor unless `majority_at` says otherwise."""
        given = {
            "record_id": self.record, "holder_id": self.holder.patient_id, "patient_id": who.patient_id,
            "kind": kind, "proof": "acte 4711", "until": None, "majority_at": rfc3339(now() + COMES_OF_AGE), **changes,
        }  # fmt: skip
        return self.dossier.record_representative(by or self.house.agent, **given)

    def represented_by(self, kind: str = "parent", **changes: Any) -> tuple[Caller, str]:
        """A new representative, and the id of the representation."""
        who = self.person()
        return who, str(self.record_one(who, kind, **changes)["representative_id"])

    def invite(self, by: Caller | None = None, **changes: Any) -> Any:
        given = {"record_id": self.record, "name": "Ma fille", **changes}
        return self.dossier.invite_assistant(by or self.holder, **given)

    def assisted_by(self, **changes: Any) -> tuple[Caller, str]:
        """A new assistant, and the id of the assistance."""
        who, invited = self.person(), self.invite(**changes)
        accepted = self.dossier.accept_invitation(who, code=invited["code"])
        return who, str(accepted["assistant_id"])

    def change(self, table: type[Representative] | type[Assistant], whose: str, **values: Any) -> None:
        """Moves the times of a grant, as if time had passed."""
        [key] = table.__table__.primary_key.columns
        with self.house.sessions.transaction() as session:
            session.execute(sa.update(table).where(key == whose).values(**values))

    def time_passes(self, at: datetime) -> None:
        """What falls due until this moment is done."""
        while self.dossier._do_due(at):
            pass

    def grounds(self, who: Caller, record_id: str | None = None) -> list[str]:
        return [clause.ground for clause in self.house.scope(who, record_id or self.record).clauses]


def with_key(caller: Caller, key: str) -> Caller:
    """The same caller, asking under an Idempotency-Key."""
    return replace(caller, context=replace(caller.context, idempotency_key=key))
