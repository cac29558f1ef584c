"""Legal representatives: recorded by the agency on proof, acting from their own account until an end date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, Service, emit, on, rpc, rpc_system
from services.db import now, once, remember, rfc3339
from services.directory.contract import PatientCameOfAge
from services.dossier import (
    contract,
    rules,
    rules_representatives,
    store,
    store_deadlines,
    store_holders,
    store_representatives,
)
from services.dossier.answers import allowed, judge, refused, require_id
from services.dossier.models_entourage import Representative
from services.dossier.store_deadlines import Due
from services.dossier.tables import tables_at
from services.refusals import InvalidInput, NotAllowed, Refusal
from services.tokens import Caller, Context

GROUND = "legal_representative"
RECORDED, ENDED, LISTED = "representative.recorded", "representative.ended", "representative.searched"
ADMITTED, DISMISSED = "representative.admitted", "representative.dismissed"


class Representatives(Service):
    """The entrypoints of legal representatives."""

    @rpc
    def record_representative(
        self,
        caller: Caller,
        *,
        record_id: str,
        holder_id: str,
        patient_id: str,
        kind: str,
        proof: str,
        until: str | None = None,
        majority_at: str | None = None,
    ) -> dict[str, Any] | Refusal:
        """Records that somebody acts as the holder, on a proof that an agent saw; a minor's until majority at most.

        holder_id: the patient whose record it is, as the agent has them before them. patient_id: who represents.
        proof: what the agent saw, and its reference. majority_at: when the holder comes of age, as directory says.
        Refuses: NotAllowed (agents only), InvalidInput, RecordNotFound (not this holder's either),
        AlreadyRepresentative (or the holder themself), RepresentativeRefused (a parent for an adult; a closed record).
        [domain, Words; L14 14]
        """
        at, record_id = now(), rules.id_of(record_id)
        given = {"record_id": record_id, "holder_id": holder_id, "patient_id": patient_id, "kind": kind,
                 "proof": proof, "until": until}  # fmt: skip
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return refused(session, caller, RECORDED, at, record_id, NotAllowed())
            answered: dict[str, Any] | None = once(session, caller, "record_representative", given)
            if answered is not None:
                return answered
            values = _checked(given, majority_at, at)
            recorded = _recorded(session, caller, record_id, rules.id_of(holder_id), values, at)
            if isinstance(recorded, Refusal):
                return refused(session, caller, RECORDED, at, record_id, recorded, object_id=values["patient_id"])
            emit(session, traced(
                caller, RECORDED, at=at, record_id=record_id, object_id=recorded, object_type="representative"
            ))  # fmt: skip
            answer = {"representative_id": recorded, "since": rfc3339(at), "until": _moment(values["until"])}
            return dict(remember(session, caller, "record_representative", given, answer))

    @rpc
    def representatives(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """Those who represent, or represented, the holder, in the order in which they were recorded.

        For agents, to whom the proof is shown too, and for the holder and who represents them.
        Refuses: RecordNotFound, RecordClosed (to the holder side), NotAllowed (an assistant).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            agent = caller.capacity == "agent"
            refusal: Refusal | None
            if agent:
                refusal = None if _standing(session, record_id) else contract.RecordNotFound()
            else:
                _, scope = judge(session, caller, record_id, at)
                refusal = rules.require_holder_action(tables_at(at), scope, "representatives")
            if refusal is not None:
                return refused(session, caller, LISTED, at, record_id, refusal)
            found = store_representatives.of_record(session, record_id)
            if agent:
                emit(session, traced(caller, LISTED, at=at, record_id=record_id, count=len(found)))
            else:
                named = acting(scope, "representatives", at)
                allowed(session, caller, LISTED, at, scope, named=named, count=len(found))
            return {"representatives": [_shown(each, at, with_proof=agent) for each in found]}

    @rpc
    def end_representative(self, caller: Caller, *, record_id: str, representative_id: str) -> dict[str, Any] | Refusal:
        """Ends a representation; the ground ends with the answer, and the holder is told.

        Refuses: NotAllowed (agents only), RepresentativeNotFound.
        """
        at, record_id, asked = now(), rules.id_of(record_id), rules.id_of(representative_id)
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return refused(session, caller, ENDED, at, record_id, NotAllowed(), object_id=asked)
            store.lock_record(session, record_id)
            record = _standing(session, record_id)
            ended = record and store_representatives.end(session, record_id, asked, caller.account_id, at)
            if record is None or ended is None:
                refusal = contract.RepresentativeNotFound()
                return refused(session, caller, ENDED, at, record_id, refusal, object_id=asked)
            store_deadlines.drop(session, asked, store_representatives.OVER)
            emit(session, _ended(record_id, record.patient_id, asked, "agency", at, ended))
            emit(session, traced(
                caller, ENDED, at=at, record_id=record_id, object_id=asked, object_type="representative"
            ))  # fmt: skip
            return {"representative_id": asked, "ended_at": rfc3339(at)}

    @rpc
    def open_sitting(self, caller: Caller, *, record_id: str, representative_id: str) -> dict[str, Any] | Refusal:
        """Lets somebody who acts only together with the holder act, for as long as the table says [L14 14].

        By the holder alone, from their own session; asked again it runs anew, a repeat gets the same answer.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (not the holder),
        RepresentativeNotFound (nobody in force of this id, or who acts alone anyway).
        """

        def until(found: Representative, at: datetime) -> datetime:
            kind = tables_at(at).representative_kinds[found.kind]
            return rules_representatives.sitting_until(kind, found.until, at)

        return self._sitting(caller, record_id, representative_id, ADMITTED, until)

    @rpc
    def end_sitting(self, caller: Caller, *, record_id: str, representative_id: str) -> dict[str, Any] | Refusal:
        """Ends a sitting at once; where none runs, nothing changes. Refuses: as `open_sitting`."""
        return self._sitting(caller, record_id, representative_id, DISMISSED, lambda _, at: at)

    def _sitting(
        self, caller: Caller, record_id: str, representative_id: str, action: str, until: Any
    ) -> dict[str, Any] | Refusal:
        """Sets until when somebody may act together with the holder."""
        at, record_id, asked = now(), rules.id_of(record_id), rules.id_of(representative_id)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            _, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, "sitting")
            found = None if refusal else store_representatives.one(session, record_id, asked)
            if refusal is None and not rules_representatives.may_sit(tables_at(at), found, at):
                refusal = contract.RepresentativeNotFound()
            if refusal is not None or found is None:
                no = refusal or contract.RepresentativeNotFound()
                return refused(session, caller, action, at, record_id, no, object_id=asked)
            body = {"record_id": record_id, "representative_id": asked}
            answered: dict[str, Any] | None = once(session, caller, action, body)
            if answered is not None:
                return answered
            ends = until(found, at)
            store_representatives.let_act(session, asked, at, ends)
            named = acting(scope, "sitting", at)
            allowed(session, caller, action, at, scope, named=named, object_id=asked, object_type="representative")
            answer = {"representative_id": asked, "together_until": rfc3339(ends)}
            return dict(remember(session, caller, action, body, answer))

    @rpc_system("notifications")
    def letter_recipients(self, context: Context, *, record_id: str) -> dict[str, Any]:
        """The patients to whom a letter about this record goes: a holder's parents or guardian, else the holder.

        The one recorded first stands first. holder_id: whose record it is.
        Refuses: RecordNotFound. [domain, Life of a record; RGD 2]
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(context) as session:
            record = store.record(session, record_id)
            if record is None:
                raise contract.RecordNotFound()
            found = store_representatives.of_record(session, record_id)
            reached = rules_representatives.letter_recipients(tables_at(at), found, record.patient_id, at)
        return {"patient_ids": reached, "holder_id": record.patient_id}

    @on("directory", PatientCameOfAge)
    def on_patient_came_of_age(self, session: Session, event: Received) -> None:
        """Ends what ends at majority, where the holder is of age after all; it is told as any end that was foreseen.

        [domain, Words]
        """
        at = now()
        for_minors = [kind.kind for kind in tables_at(at).representative_kinds.values() if not kind.for_adults]
        ended = store_representatives.end_at_majority(session, event.data.patient_id, for_minors, at)
        over = [(representative_id, record_id, at) for representative_id, record_id in ended]
        store_deadlines.put_many(session, store_representatives.OVER, over)


def representation_over(session: Session, due: Due, at: datetime) -> None:
    """Tells that a representation ended by time; one that was ended before, or goes on after all, is not told of."""
    over = store_representatives.over(session, due.subject_id, at)
    if over is not None:
        emit(session, _ended(
            over.record_id, over.patient_id, due.subject_id, over.until_cause, over.until, over.person_id
        ))  # fmt: skip
        emit(session, traced(
            None, ENDED, at=at, record_id=over.record_id, object_id=due.subject_id, object_type="representative"
        ))  # fmt: skip


def named_at_opening(
    holder_id: str, named: Sequence[Mapping[str, Any]], majority_at: str | None, at: datetime
) -> list[dict[str, Any]]:
    """Those whom an agent named when opening a record, in their own shape. Refuses: InvalidInput."""
    found = []
    for number, given in enumerate(named):
        try:
            found.append(_checked({"until": None, **given, "holder_id": holder_id}, majority_at, at))
        except InvalidInput as wrong:
            where = f"/representatives/{number}"
            errors = [{**error, "pointer": where + error["pointer"]} for error in wrong.detail["errors"]]
            raise InvalidInput(errors=errors) from None
    return found


def refusal_at_opening(
    session: Session, holder_id: str, named: Sequence[Mapping[str, Any]], at: datetime
) -> Refusal | None:
    """Why one of these cannot represent this holder, whatever becomes of the record."""
    for each in named:
        if store_holders.who_speaks_for(session, each["patient_id"]) == holder_id:
            return contract.AlreadyRepresentative()
        if refusal := _refusal_of_kind(each, at):
            return refusal
    return None


def record_named(
    session: Session, caller: Caller, record_id: str, holder_id: str, named: Sequence[dict[str, Any]], at: datetime
) -> Refusal | None:
    """Records those named at the opening, so that its letter goes to them [RGD 2]; who represents already stays."""
    for values in named:
        if not store_representatives.represents(session, record_id, values["patient_id"], at):
            recorded = _recorded(session, caller, record_id, holder_id, values, at)
            if isinstance(recorded, Refusal):
                return recorded
    return None


def acting(scope: contract.AccessScope, action: str, at: datetime) -> tuple[str, str]:
    """The ground and rule under which somebody of the holder side may do this."""
    clause = rules.acting_clause(tables_at(at), scope, action)
    assert clause is not None
    return clause.ground, clause.rule


def _checked(given: dict[str, Any], majority_at: str | None, at: datetime) -> dict[str, Any]:
    """What is kept of a representative, and `majority`, beside it. Refuses: InvalidInput."""
    kind = rules_representatives.require_kind(tables_at(at), given.get("kind"))
    require_id(given["holder_id"], "/holder_id")
    until = rules_representatives.require_end(given["until"], "/until", at)
    majority = rules_representatives.moment_of(majority_at)
    ends, cause = rules_representatives.end_of(kind, until, majority, at)
    proof = rules_representatives.require_text(given.get("proof"), "/proof", rules_representatives.PROOF_LENGTH)
    return {
        "patient_id": require_id(given.get("patient_id"), "/patient_id"),
        "kind": kind.kind,
        "proof": proof,
        "until": ends,
        "until_cause": cause,
        "majority": majority,
    }


def _recorded(
    session: Session, caller: Caller, record_id: str, holder_id: str, checked: dict[str, Any], at: datetime
) -> str | Refusal:
    """The id of a new representative of this record, which is held from here on; or why there cannot be one."""
    refusal = _refusal(session, record_id, holder_id, checked, at)
    if refusal is not None:
        return refusal
    values = {name: value for name, value in checked.items() if name != "majority"}
    values |= {"record_id": record_id, "since": at, "recorded_by": caller.account_id}
    recorded = store_representatives.insert(session, values)
    if values["until"] is not None:
        store_deadlines.put(session, store_representatives.OVER, recorded, record_id, values["until"])
    holder = store_holders.who_speaks_for(session, holder_id)
    emit(session, contract.RepresentativeRecorded(record_id, holder, recorded, values["kind"], rfc3339(at)))
    return recorded


def _refusal(session: Session, record_id: str, holder_id: str, values: dict[str, Any], at: datetime) -> Refusal | None:
    """Why somebody cannot represent the holder of this record, which is held from here on."""
    record = store_representatives.lock_for(session, record_id, holder_id, values["patient_id"])
    if record is None or record.holder_id != record.patient_id:
        return contract.RecordNotFound()
    if tables_at(at).states[record.state].holder_side != "everything":
        return contract.RepresentativeRefused()
    if record.person_id == record.patient_id or store_representatives.represents(
        session, record_id, record.person_id, at
    ):
        return contract.AlreadyRepresentative()
    return _refusal_of_kind(values, at)


def _standing(session: Session, record_id: str) -> Any | None:
    """patient_id and state of a record; None where there is none any more."""
    record = store.record(session, record_id)
    return None if record is None or record.state == "deleted" else record


def _refusal_of_kind(values: Mapping[str, Any], at: datetime) -> Refusal | None:
    kind = tables_at(at).representative_kinds[values["kind"]]
    return rules_representatives.refusal_of_kind(kind, values["majority"], at)


def _ended(
    record_id: str, patient_id: str, representative_id: str, cause: str, at: datetime, who: str
) -> contract.GrantEnded:  # fmt: skip
    return contract.GrantEnded(
        record_id, patient_id, GROUND, representative_id, "person", None, cause, rfc3339(at), who
    )  # fmt: skip


def _shown(found: Representative, at: datetime, *, with_proof: bool) -> dict[str, Any]:
    kind = tables_at(at).representative_kinds[found.kind]
    runs = rules_representatives.runs(found, at)
    together = found.together_until if runs and found.together_until and found.together_until > at else None
    return {
        "representative_id": found.representative_id,
        "patient_id": found.patient_id,
        "kind": found.kind,
        "acts_alone": kind.acts_alone,
        "in_force": runs,
        "since": rfc3339(found.since),
        "until": _moment(found.until),
        "together_until": _moment(together),
        "ended_at": _moment(found.ended_at),
        "proof": found.proof if with_proof else None,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
