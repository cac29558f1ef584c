"""What the identity sheet shows of a record: its number, its state, since when and why [seed 002, État du dossier]."""

from __future__ import annotations

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import now
from services.dossier import contract, rules, store_record_facts
from services.dossier.answers import refused
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class RecordFacts(Service):
    """The entrypoint of what stands on an identity sheet."""

    @rpc
    def record_facts(self, caller: Caller, *, patient_id: str) -> dict[str, contract.RecordFacts | None] | Refusal:
        """The record that speaks for a patient: for an agent any patient's, for a holder their own.

        None where there is none, and for a patient who asks about another.
        Refuses: NotAllowed (neither an agent nor a patient). [seed 002, État du dossier]
        """
        asked, at = rules.id_of(patient_id), now()
        with self.db.transaction(caller) as session:
            if caller.capacity not in ("agent", "patient"):
                return refused(session, caller, "record.searched", at, None, NotAllowed())
            own = caller.patient_id or contract.NOBODY
            facts = store_record_facts.facts(session, asked, None if caller.capacity == "agent" else own)
            emit(session, traced(
                caller, "record.searched", at=at, record_id=facts["record_id"] if facts else None,
                count=1 if facts else 0,
            ))  # fmt: skip
        return {"record": facts}
