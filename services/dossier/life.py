"""The life of a record: what opens, activates, lapses, closes, reopens and deletes it [RGD 2-4].

What time alone does stands in life_steps.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, Service, emit, on, rpc
from services.db import now, once, remember, rfc3339
from services.dossier import contract, life_steps, rules, rules_life, store, store_holders, store_life
from services.dossier.answers import allowed, invalid, judge, refused
from services.dossier.rules_life import Life as Stand
from services.dossier.tables import tables_at
from services.identity.contract import AccountActivated, RecordOpposed
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

CLOSED, REOPENED, OPPOSED, SHOWN = "record.closed", "record.reopened", "record.opposed", "state.searched"


class Life(Service):
    """The entrypoints of a record's life cycle."""

    @rpc
    def record_state(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """The state of a record, since when and why, what time will do next, and how it came there.

        For the holder side, of a closed record too; for agents; of professionals for the referring physician alone.
        Who took a step is told by their capacity. Refuses: RecordNotFound, NotAllowed.
        [seed 002, État du dossier; domain: Pages]
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            facts, scope = judge(session, caller, record_id, at)
            named = _seen_under(facts, scope, at)
            refusal = None if named or caller.capacity == "agent" else rules_life.hidden_state(scope.holder_side)
            life = None if refusal else store_life.life(session, record_id)
            if life is None:
                return refused(session, caller, SHOWN, at, record_id, refusal or contract.RecordNotFound())
            history = store_life.history(session, record_id)
            days = rules_life.days_to_come(tables_at(at), life, store_life.due_at(session, "lapse", record_id))
            _answered(session, caller, SHOWN, at, scope, named, count=len(history))
        return {
            "record_id": record_id,
            "state": life.state,
            "since": rfc3339(life.since),
            "cause": history[0].cause if history else None,
            **{name: None if day is None else day.isoformat() for name, day in days.items()},
            "history": [
                {"at": rfc3339(step.at), "previous": step.previous, "state": step.state, "cause": step.cause,
                 "by": step.capacity}
                for step in history
            ],
        }  # fmt: skip

    @rpc
    def close_record(self, caller: Caller, *, record_id: str, confirmed: bool) -> Any:
        """Closes the record: unreadable to all from this answer on, deposits refused, deleted ten years later.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (assistants),
        NotInThisState, InvalidInput (not confirmed). [RGD 4; seed 002, fermeture]
        """
        at, record_id = now(), rules.id_of(record_id)
        if confirmed is not True:
            raise invalid("/confirmed", "must_be_accepted")
        body, operation = {"record_id": record_id}, "close_record"
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, operation, body):
                return answered
            store.lock_record(session, record_id)
            _, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, "life_cycle")
            life = None if refusal else store_life.life(session, record_id)
            if life is not None:
                refusal = rules_life.require_step(tables_at(at), life, "closed", "holder_request")
            clause = rules.acting_clause(tables_at(at), scope, "life_cycle")
            if refusal is not None or life is None or clause is None:
                return refused(session, caller, CLOSED, at, record_id, refusal or contract.RecordNotFound())
            answer = life_steps.take_step(
                session, caller, life, "closed", "holder_request", at,
                capacity=clause.ground, account_id=caller.account_id,
            )  # fmt: skip
            allowed(session, caller, CLOSED, at, scope, named=(clause.ground, clause.rule), purpose="holder_request")
            return remember(session, caller, operation, body, answer)

    @rpc
    def reopen_record(self, caller: Caller, *, record_id: str) -> Any:
        """Reopens a closed record, within ten years, with what was in it; grants that still run hold again.

        The holder side reopens what was closed, but not after a death: an agent alone does then, where it was noted by
        mistake. Refuses: RecordNotFound, NotAllowed (assistants, a death, an agent without one), NotInThisState.
        [RGD 4; domain: Life of a record]
        """
        at, record_id = now(), rules.id_of(record_id)
        body, operation, agency = {"record_id": record_id}, "reopen_record", caller.capacity == "agent"
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, operation, body):
                return answered
            store.lock_record(session, record_id)
            facts, scope = judge(session, caller, record_id, at)
            ground = rules.acting_ground(tables_at(at), facts, "life_cycle", at) if scope.holder_side else None
            refusal: Refusal | None = None if ground or agency else rules_life.hidden_state(scope.holder_side)
            life = None if refusal else store_life.life(session, record_id)
            if life is not None:
                refusal = rules_life.require_reopening(tables_at(at), life, agency, at)
            if refusal is not None or life is None:
                return refused(session, caller, REOPENED, at, record_id, refusal or contract.RecordNotFound())
            answer = life_steps.take_step(
                session, caller, life, *rules_life.reopening(life), at,
                capacity=ground or "agency", account_id=caller.account_id,
            )  # fmt: skip
            _answered(session, caller, REOPENED, at, scope, (ground, f"{ground}/state") if ground else None)
            return remember(session, caller, operation, body, answer)

    @rpc
    def close_record_by_agency(self, caller: Caller, *, record_id: str, cause: str) -> Any:
        """Closes a record at its holder's request or because of their death; a death of a closed record is noted.

        Refuses: NotAllowed (agents only), RecordNotFound, NotInThisState, InvalidInput (cause). [RGD 4]
        """
        if cause not in contract.CLOSING_CAUSES:
            raise invalid("/cause", "choice")
        return self._at_the_agency(caller, record_id, CLOSED, "closed", cause, cause)

    @rpc
    def oppose_record(self, caller: Caller, *, record_id: str, received_by: str) -> Any:
        """Deletes a record that nobody could use yet, because its holder opposes it by letter or at the helpdesk.

        Refuses: NotAllowed (agents only), RecordNotFound, NotInThisState, InvalidInput (received_by). [RGD 3]
        """
        if received_by not in contract.OPPOSITION_WAYS:
            raise invalid("/received_by", "choice")
        return self._at_the_agency(caller, record_id, OPPOSED, "deleted", "opposition", received_by)

    def _at_the_agency(
        self, caller: Caller, record_id: str, action: str, becomes: str, cause: str, purpose: str
    ) -> Any:  # fmt: skip
        """One step that an agent takes; purpose: what its trace says of it."""
        at, record_id = now(), rules.id_of(record_id)
        body = {"record_id": record_id, "cause": cause, "purpose": purpose}
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return refused(session, caller, action, at, record_id, NotAllowed())
            if answered := once(session, caller, action, body):
                return answered
            life = store_life.locked_life(session, record_id)
            refusal = rules_life.require_step(tables_at(at), life, becomes, cause) if life else None
            if life is None or refusal is not None:
                return refused(session, caller, action, at, record_id, refusal or contract.RecordNotFound())
            answer = life_steps.take_step(
                session, caller, life, becomes, cause, at, capacity="agency", account_id=caller.account_id
            )
            emit(session, traced(caller, action, at=at, record_id=record_id, purpose=purpose))
            return remember(session, caller, action, body, answer)

    @on("identity", AccountActivated)
    def on_account_activated(self, session: Session, event: Received) -> None:
        """The holder activated their account: the record becomes active [RGD 2]. Not opened yet: tried again later."""
        told: AccountActivated = event.data
        if told.subject_kind != "patient":
            return
        life, at = _life_of_patient(session, told.patient_id or contract.NOBODY), now()
        if life is None:
            if store_life.had_record(session, told.patient_id or contract.NOBODY):
                return  # it was opposed meanwhile
            raise contract.RecordNotFound()
        if rules_life.require_step(tables_at(at), life, "active", "activation"):
            return
        life_steps.take_step(
            session, event.context, life, "active", "activation", at, capacity="holder", account_id=told.account_id
        )
        emit(session, traced(event.context, "record.state_changed", at=at, record_id=life.record_id))

    @on("identity", RecordOpposed)
    def on_record_opposed(self, session: Session, event: Received) -> None:
        """Somebody opposed the record with the code of its letter: it is deleted before it is active [RGD 3].

        One opened after that is another one; one that is active, or gone already, stays as it is.
        """
        told: RecordOpposed = event.data
        life, at = _life_of_patient(session, told.patient_id), now()
        if life is None or life.opened_at > datetime.fromisoformat(told.at):
            return
        step = rules_life.after_opposition(tables_at(at), life)
        if step is None:
            return
        life_steps.take_step(session, event.context, life, *step, at, capacity="holder")
        emit(session, traced(event.context, "record.state_changed", at=at, record_id=life.record_id))


def _life_of_patient(session: Session, patient_id: str) -> Stand | None:
    """The life of the record that speaks for a patient, held until the commit."""
    record = store_holders.lock_record_of_patient(session, patient_id)
    return None if record is None else store_life.life(session, record.record_id)


def _answered(
    session: Session, caller: Caller, action: str, at: datetime, scope: contract.AccessScope,
    named: tuple[str, str] | None, **more: Any,
) -> None:  # fmt: skip
    """Traces an answer under the ground that is named; an agent acts under none."""
    if named is None:
        emit(session, traced(caller, action, at=at, record_id=scope.record_id, **more))
    else:
        allowed(session, caller, action, at, scope, named=named, **more)


def _seen_under(facts: rules.Facts, scope: contract.AccessScope, at: datetime) -> tuple[str, str] | None:
    """Ground and rule under which the caller is shown how the record came to its state."""
    if scope.holder_side:
        ground = rules.acting_ground(tables_at(at), facts, "state_history", at)
        return None if ground is None else (ground, ground if scope.clauses else f"{ground}/state")
    clause = next((each for each in scope.clauses if each.ground == "referring_physician"), None)
    return None if clause is None else (clause.ground, clause.rule)
