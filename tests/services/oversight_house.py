"""A house with a log that is sealed, and the privacy officer who looks at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.audit.contract import AccessTraced, traced
from services.audit.contract_oversight import OVERSEER
from services.audit.models_cases import Alert
from services.audit.notary import Notary
from services.audit.ports.signing import SigningKey
from services.audit.ports.witness import Witness
from services.db import Sessions, now
from services.refusals import Refusal
from services.tokens import Caller
from tests.builders import House, any_matricule, birth_date, caller
from tests.services.test_audit import AGENT, received

ADDRESS = {"line": "1, rue du Parc", "postal_code": "L-1234", "locality": "Luxembourg", "country": "LU"}


class OversightHouse(House):
    """directory, dossier and audit with a notary of its own."""

    def __init__(self, database: Callable[[str], str], folder: Path) -> None:
        urls = {name: database(name) for name in ("directory", "dossier", "audit")}
        super().__init__(urls.__getitem__, services=tuple(urls))
        self._notary_sessions = Sessions(urls["audit"], "audit")
        self.notary = Notary(self._notary_sessions, Witness(folder), SigningKey(b"k" * 32))

    def close(self) -> None:
        self.notary.close()
        self._notary_sessions.engine.dispose()
        super().close()

    # --- people -----------------------------------------------------------------------------------------------------

    def patient(self, birth_name: str, matricule: str | None = None, usual_name: str | None = None) -> str:
        """A patient of the directory; returns who it is."""
        matricule = matricule or any_matricule()
        answer = self.ask(
            "directory", "register_patient", AGENT, matricule=matricule, birth_name=birth_name, usual_name=usual_name,
            first_names="Jo", sex="F", language="fr", address=ADDRESS, birth_date=birth_date(matricule),
        )  # fmt: skip
        return str(answer["patient_id"])

    def record(self, patient_id: str) -> str:
        """The record of a patient."""
        answer = self.ask("dossier", "open_record", AGENT, patient_id=patient_id)
        return str(answer["record_id"])

    def doctor(self, family_name: str, matricule: str | None = None) -> Caller:
        """A physician who is logged in."""
        given = {"family_name": family_name, "first_name": "Léa", "profession": "physician", "language": "fr"}
        answer = self.ask(
            "directory", "register_professional", AGENT, matricule=matricule or any_matricule(), **given
        )  # fmt: skip
        self.deliver()
        return caller("professional", professional_id=answer["professional_id"])

    # --- the log ----------------------------------------------------------------------------------------------------

    def tell(self, *traces: AccessTraced) -> None:
        """Traces of other services reach audit."""
        with self.sessions["audit"].transaction() as session:
            self.audit.on_access_traced(session, [received(trace, "documents") for trace in traces])

    def came(self, who: Caller | None, record_id: str | None = None, **facts: Any) -> AccessTraced:
        """Somebody opened a document, or did something else, and audit heard of it."""
        told: dict[str, Any] = {"at": now(), "ground": "circle", "record_id": record_id}
        trace = traced(who, facts.pop("action", "document.opened"), **(told | facts))
        self.tell(trace)
        return trace

    def seal(self) -> None:
        """The notary works until nothing waits."""
        while self.notary.work():
            pass
        assert self.notary.at_work

    def look(self, at: datetime | None = None, most: int = 1000) -> None:
        """Seals what there is, and lets the rules look at all of it."""
        self.deliver()
        self.seal()
        while self.audit._raise_alerts(at or now(), most):
            pass

    def alerts_about(self, *, record_id: str | None = None, who: Caller | None = None) -> list[Alert]:
        """The alerts about a record or a professional, in the order of their entries."""
        query = sa.select(Alert).order_by(Alert.at, Alert.rule)
        if record_id is not None:
            query = query.where(Alert.record_id == record_id)
        if who is not None:
            query = query.where(Alert.professional_id == who.professional_id)
        with self.sessions["audit"].transaction() as session:
            return list(session.scalars(query))

    def traces(self) -> list[dict[str, Any]]:
        """What audit traced and nobody has fetched yet."""
        return [each["data"] for each in self.events("audit") if each["type"] == AccessTraced.type]


def officer() -> Caller:
    """A privacy officer who is logged in."""
    return caller("agent", role=OVERSEER)


def refusal_code(answer: Any) -> str:
    """The code of a refusal that was returned."""
    assert isinstance(answer, Refusal), answer
    return str(answer.code)


def rules_of(alerts: Sequence[Alert]) -> list[str]:
    """The rules that raised these alerts."""
    return [alert.rule for alert in alerts]
