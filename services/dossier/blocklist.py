"""The blocklist: professionals barred from a whole record, whatever else would let them in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Service, emit, rpc
from services.db import now, rfc3339
from services.dossier import circle, contract, rules, store, store_blocklist, store_mandates, store_professionals
from services.dossier.answers import allowed, judge, refused, require_risk
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller


class Blocklist(Service):
    """The entrypoints of the blocklist: the holder side's alone, as if there were none for everybody else."""

    @rpc
    def blocklist(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """Who is barred from the record, since when.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed.
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, "blocklist")
            if refusal is not None:
                return refused(session, caller, "blocklist.read", at, record_id, refusal)
            barred = store_blocklist.blocked(session, record_id, at)
            allowed(session, caller, "blocklist.read", at, scope, _ground(scope, at), count=len(barred))
        return {"blocked": [{"professional_id": each.professional_id, "since": rfc3339(each.since)} for each in barred]}

    @rpc
    def block_professional(
        self,
        caller: Caller,
        *,
        record_id: str,
        professional_id: str,
        risk_accepted: bool = False,
        risk_version: str | None = None,
    ) -> dict[str, Any] | Refusal:
        """Bars a professional from the whole record, at once; whoever is barred already stays so, once.

        Their place in the circle and the mandates of their own end with it, and come back with nothing but a new
        grant. What an establishment holds stays, and opens nothing to them; so does the designation of a referring
        physician, which ends by its own rules alone. They are told nothing. [domain, Words: blocklist]
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, ProfessionalNotFound, InvalidInput.
        """
        at, record_id, professional_id = now(), rules.id_of(record_id), rules.id_of(professional_id)
        require_risk(risk_accepted, risk_version)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            facts, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, "blocklist")
            if refusal is None and not store_professionals.has_professional(session, professional_id):
                refusal = contract.ProfessionalNotFound()
            if refusal is not None:
                return refused(session, caller, "blocklist.added", at, record_id, refusal, object_id=professional_id)
            since = store_blocklist.barred_since(session, record_id, professional_id, at)
            if since is None or store_blocklist.is_barred_by_merge_alone(session, record_id, professional_id, at):
                _bar(session, caller, facts, professional_id, str(risk_version), at)
            allowed(
                session, caller, "blocklist.added", at, scope, _ground(scope, at),
                object_id=professional_id, object_type="professional", purpose=risk_version,
            )  # fmt: skip
        return {"professional_id": professional_id, "since": rfc3339(since or at), "created": since is None}

    @rpc
    def unblock_professional(self, caller: Caller, *, record_id: str, professional_id: str) -> dict[str, Any] | Refusal:
        """Bars a professional no longer. Nothing comes back that ended with the block.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, BlockNotFound.
        """
        at, record_id, professional_id = now(), rules.id_of(record_id), rules.id_of(professional_id)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            _, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, "blocklist")
            if refusal is None and not store_blocklist.end_block(session, record_id, professional_id, at):
                refusal = contract.BlockNotFound()
            if refusal is not None:
                return refused(session, caller, "blocklist.removed", at, record_id, refusal, object_id=professional_id)
            allowed(
                session, caller, "blocklist.removed", at, scope, _ground(scope, at),
                object_id=professional_id, object_type="professional",
            )  # fmt: skip
        return {"professional_id": professional_id, "until": rfc3339(at)}


def _bar(
    session: Session, caller: Caller, facts: rules.Facts, professional_id: str, risk_version: str, at: datetime
) -> None:
    """Begins a block and ends what the professional holds of their own. facts: of the caller in this record."""
    record_id, by = facts.record_id, facts.own_patient_id
    store_blocklist.insert_block(session, record_id, professional_id, caller.account_id, risk_version, at)
    circle.end_membership(session, record_id, professional_id, by, at)
    for mandate in store_mandates.end_mandates(session, record_id, at, caller.account_id, professional_id):
        emit(session, contract.MandateEnded(
            record_id, mandate.mandate_id, professional_id, mandate.kind, cause="blocked", by=by
        ))  # fmt: skip
    emit(session, contract.AccessNarrowed(record_id, rfc3339(at)))


def _ground(scope: contract.AccessScope, at: datetime) -> tuple[str, str] | None:
    acting = rules.acting_clause(tables_at(at), scope, "blocklist")
    return None if acting is None else (acting.ground, acting.rule)
