"""A house of dossier with an emergency service and a privacy officer: what a test does around such accesses."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from services.db import new_id
from services.directory.contract import ProfessionalUpdated
from services.dossier import contract, models
from services.dossier.models_desk import AccessTry
from services.dossier.models_entourage import Assistant, Representative
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse

REASON = "Patient admis en arrêt, sans entourage joignable"
CONDITIONS = list(contract.RESPONSIBILITY_CONDITIONS)
WORDING = max(contract.RESPONSIBILITY_WORDINGS)
RISK = {"risk_accepted": True, "risk_version": max(contract.RISK_WORDINGS)}


class OwnAccessHouse(DossierHouse):
    """One dossier, and the people of an emergency service, of a pharmacy and of the agency."""

    def of_emergency(self, profession: str = "physician", **told: Any) -> Caller:
        """A professional attached to the emergency service of the workplace they logged in at."""
        caller = builders.caller("professional", profession=profession)
        self.announce(caller, **told)
        return caller

    def announce(
        self, caller: Caller, *, licence: str = "valid", version: int = 1, attached: list[str] | None = None
    ) -> None:
        """What the directory says of a professional; attached: None = where they logged in."""
        there = caller.establishment_id or ""
        self.hear(
            "directory",
            ProfessionalUpdated(
                professional_id=caller.professional_id or "",
                profession=caller.profession or "",
                licence=licence,
                establishment_ids=[there],
                version=version,
                emergency_establishment_ids=[there] if attached is None else attached,
            ),
        )

    def officer(self) -> Caller:
        return builders.caller("agent", role=contract.PRIVACY_OFFICER)

    def break_glass(self, caller: Caller, record_id: str, **changes: Any) -> Any:
        form = {"reason_category": "unable_to_consent", "reason": REASON} | changes
        return self.dossier.open_emergency_session(caller, record_id=record_id, **form)

    def engage(self, caller: Caller, record_id: str, **changes: Any) -> Any:
        form = {"reason": REASON, "conditions_accepted": CONDITIONS, "wording_version": WORDING} | changes
        return self.dossier.open_responsibility_access(caller, record_id=record_id, **form)

    def set(self, caller: Caller, record_id: str, name: str, value: str, **more: Any) -> Any:
        return self.dossier.change_setting(caller, record_id=record_id, name=name, value=value, **more)

    def refuse_emergency(self, holder: Caller, record_id: str) -> None:
        assert self.set(holder, record_id, "emergency", "refused", **RISK)["value"] == "refused"

    def assistant(self, record_id: str, **times: datetime) -> Caller:
        """Somebody who was invited to read along in this record, and accepted."""
        return self._beside(record_id, "assistant", **times)

    def representative(self, record_id: str) -> Caller:
        """A parent of the holder."""
        return self._beside(record_id, "representative")

    def _beside(self, record_id: str, kind: str) -> Caller:
        caller = builders.caller("patient")
        began = datetime.now().astimezone() - timedelta(days=1)
        person = {"record_id": record_id, "patient_id": caller.patient_id}
        row: Any = (
            Assistant(
                assistant_id=new_id(), name="x", invited_by=new_id(), invited_at=began, code_until=began,
                accepted_at=began, **person,
            )
            if kind == "assistant"
            else Representative(
                representative_id=new_id(), kind="parent", proof="x", since=began, until_cause="term",
                recorded_by=new_id(), **person,
            )
        )  # fmt: skip
        with self.sessions.transaction() as session:
            session.add(row)
        return caller

    def age_tries(self, by: timedelta) -> None:
        with self.sessions.transaction() as session:
            session.execute(sa.update(AccessTry).values(at=AccessTry.at - by))

    def mandate(self, mandate_id: str) -> models.Mandate:
        [found] = [row for row in self.rows(models.Mandate) if row.mandate_id == mandate_id]
        return found
