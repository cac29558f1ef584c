"""Records: opened by an agent, found by their holder, and what a caller may do in one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, rpc, rpc_system
from services.db import now, once, remember, rfc3339
from services.dossier import (
    contract,
    life_steps,
    rules,
    rules_assistants,
    store,
    store_holders,
    store_merges,
    store_my_records,
    store_record_facts,
)
from services.dossier.answers import allowed, judge, leaves_a_mark, look, refused, require_id
from services.dossier.representatives import named_at_opening, record_named, refusal_at_opening
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller, Context


class Records(Service):
    """The entrypoints of records and of the access scope."""

    @rpc
    def open_record(
        self,
        caller: Caller,
        *,
        patient_id: str,
        representatives: list[dict[str, Any]] | None = None,
        majority_at: str | None = None,
    ) -> dict[str, Any] | Refusal:
        """Opens the record of a patient of the directory, or finds the one there is; the letter follows by event.

        representatives: those who act for the holder, each with patient_id, kind and proof, so that the letter goes
        to them; majority_at: of the holder, as directory says.
        Refuses: NotAllowed (agents only), InvalidInput; as `record_representative`, and then nothing is opened.
        [RGD 2]
        """
        at, patient_id = now(), require_id(patient_id, "/patient_id")
        named = named_at_opening(patient_id, representatives or [], majority_at, at)
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return refused(session, caller, "record.opened", at, None, NotAllowed())
            body = {"patient_id": patient_id, "representatives": representatives or []}
            answered: dict[str, Any] | None = once(session, caller, "open_record", body)
            if answered is not None:
                return answered
            store_merges.open_beside_merges(session)
            patient_id = store_holders.who_speaks_for(session, patient_id)
            refusal = refusal_at_opening(session, patient_id, named, at)
            if refusal is not None:
                return refused(session, caller, "record.opened", at, None, refusal)
            created = store.insert_record(session, patient_id, "open", at)
            if created is not None:
                store.insert_state_change(
                    session,
                    created,
                    previous=None,
                    state="open",
                    cause="affiliation",
                    account_id=caller.account_id,
                    at=at,
                    capacity="agency",
                )
                life_steps.note_opened(session, [created], at)
                emit(session, contract.RecordOpened(record_id=created, patient_id=patient_id))
            [record] = store_holders.records_of_patients(session, [patient_id])
            refusal = record_named(session, caller, record.record_id, patient_id, named, at)
            if refusal is not None:
                return refused(session, caller, "record.opened", at, record.record_id, refusal)
            emit(session, traced(caller, "record.opened", at=at, record_id=record.record_id))
            answer = {"record_id": record.record_id, "state": record.state, "created": created is not None}
            remember(session, caller, "open_record", body, answer)
            return answer

    @rpc
    def my_records(self, caller: Caller) -> dict[str, Any] | Refusal:
        """The records in which this patient is holder, representative or assistant in force, the own ones first.

        Of each its state, its holder, the strongest ground and until when it runs, and the id of what gives it. A
        record of which somebody may see nothing now is not among them.
        Refuses: NotAllowed (patients only). [seed 004, domain: Words]
        """
        at = now()
        with self.db.transaction(caller) as session:
            if caller.capacity != "patient" or caller.patient_id is None:
                return refused(session, caller, "record.searched", at, None, NotAllowed())
            records = _within_reach(session, caller.patient_id, at)
            emit(session, traced(caller, "record.searched", at=at, count=len(records)))
        return {"records": records}

    @rpc(scope="system/Patient.rs")
    def read_record(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """A record's page as this caller has it: the ground that lets in and what it gives. One trace.

        The holder of a record that was merged is told which one speaks for it (`merged_into`).

        Refuses: RecordNotFound for an unknown record, a closed one, a blocked professional and the lack of a
        ground, alike.
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            facts, scope = judge(session, caller, record_id, at)
            refusal = rules.require_ground(scope)
            if refusal is not None:
                return refused(session, caller, "record.read", at, record_id, refusal)
            allowed(session, caller, "record.read", at, scope)
            until = rules.access_ends(tables_at(at), facts, at)
        return {
            "record_id": record_id,
            "patient_id": scope.patient_id,
            "state": scope.state if scope.holder_side else None,
            "ground": scope.clauses[0].ground if scope.clauses else "holder",
            "may_read": rules.readable(scope),
            "may_deposit": rules.depositable(scope),
            "access_until": None if until is None else rfc3339(until),
            "merged_into": facts.merged_into if scope.holder_side else None,
        }

    @rpc(scope=("system/Patient.rs", "system/DocumentReference.rs", "system/DocumentReference.c"))
    def access_scope(
        self, caller: Caller, *, record_id: str | None = None, patient_id: str | None = None
    ) -> dict[str, Any]:
        """What this caller may do in this record, as an `AccessScope` on the wire. Writes no trace: the asker does.

        patient_id: in place of a record's id, whose record is meant.
        The first time a ground lets a professional in, the holder is told by event, from the transaction that notes it.
        [domain: Who may see what]
        """
        at, asked = now(), rules.id_of(record_id)
        with self.db.reading(caller) as session:
            if patient_id is not None:
                asked = store_record_facts.record_of(session, rules.id_of(patient_id)) or contract.NOBODY
            facts, scope = look(session, caller, asked, at)
        if leaves_a_mark(facts, scope, at):  # seldom: every question about a document begins with this one
            with self.db.transaction(caller) as session:
                _, scope = judge(session, caller, asked, at)
        return scope.to_wire()

    @rpc_system("notifications")
    def record_patient(self, context: Context, *, record_id: str) -> dict[str, Any]:
        """Whose record this is.

        Refuses: RecordNotFound.
        """
        with self.db.reading(context) as session:
            record = store.record(session, rules.id_of(record_id))
        if record is None:
            raise contract.RecordNotFound()
        return {"patient_id": record.patient_id}


def _within_reach(session: Session, patient_id: str, at: datetime) -> list[dict[str, Any]]:
    tables = tables_at(at)
    alone = [kind.kind for kind in tables.representative_kinds.values() if kind.acts_alone]
    shown_to_all, shown_to_assistants = rules_assistants.states_shown(tables)
    found = store_my_records.my_records(session, patient_id, alone, shown_to_all, shown_to_assistants, at)
    return [
        {
            "record_id": each.record_id,
            "patient_id": each.patient_id,
            "state": each.state,
            "since": rfc3339(each.since),
            "ground": each.ground,
            "grant_id": each.grant_id,
            "until": None if each.until is None else rfc3339(each.until),
        }
        for each in found
    ]
