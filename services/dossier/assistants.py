"""Assistants: persons whom the holder invites with a code, who read as the holder once they accepted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import now, once, remember, rfc3339
from services.dossier import (
    contract,
    invitation_code,
    rules,
    rules_assistants,
    rules_representatives,
    store,
    store_assistants,
    store_deadlines,
)
from services.dossier.answers import allowed, judge, refused
from services.dossier.models_entourage import Assistant
from services.dossier.representatives import acting
from services.dossier.store_assistants import LAPSED, OVER
from services.dossier.store_deadlines import Due
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller

GROUND = "assistant"
ACTION = "assistants"
INVITED, ACCEPTED = "assistant.invited", "assistant.accepted"
ENDED, LISTED = "assistant.ended", "assistant.searched"
MOST = 200


class Assistants(Service):
    """The entrypoints of assistants; none of them is open to software [seed 004, in the portal only]."""

    @rpc
    def invite_assistant(
        self, caller: Caller, *, record_id: str, name: str, until: str | None = None
    ) -> dict[str, Any] | Refusal:
        """Invites somebody to read along: gives the code that the holder hands over, and keeps only its digest.

        name: what the holder calls them. until: when the assistance ends by itself. A repeat under the same
        Idempotency-Key finds the same invitation and draws one more code for it: the code is not kept with the answer.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (an assistant; of an
        autonomous minor, a representative), InvitationRefused (a repeat, when the invitation is used or over),
        InvalidInput. [domain, Words; L14 13]
        """
        at, record_id = now(), rules.id_of(record_id)
        given = {"record_id": record_id, "name": name, "until": until}
        called = rules_representatives.require_text(name, "/name", rules_assistants.NAME_LENGTH)
        ends = rules_representatives.require_end(until, "/until", at)
        code = invitation_code.draw()
        digest = invitation_code.digest_of(code)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            _, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, ACTION)
            refusal = refusal or rules_assistants.require_inviting(scope)
            if refusal is not None:
                return refused(session, caller, INVITED, at, record_id, refusal)
            known = once(session, caller, "invite_assistant", given)
            invited: Assistant | None
            if known is None:
                invited = _invite(session, caller, record_id, called, ends, digest, at)
                remember(session, caller, "invite_assistant", given, {"assistant_id": invited.assistant_id})
            else:
                invited = store_assistants.add_code(session, known["assistant_id"], digest, at)
            if invited is None:
                return refused(session, caller, INVITED, at, record_id, contract.InvitationRefused())
            named, asked = acting(scope, ACTION, at), invited.assistant_id
            allowed(session, caller, INVITED, at, scope, named=named, object_id=asked, object_type=GROUND)
            return {**_shown(invited, at), "code": code}

    @rpc
    def accept_invitation(self, caller: Caller, *, code: str) -> dict[str, Any] | Refusal:
        """Makes the caller the assistant they were invited to be, once; the holder is told.

        Refuses: InvitationRefused, the one refusal for what is unknown, used or over, of a closed record, of one's
        own, and for who is no patient or assists there already.
        """
        at, digest = now(), invitation_code.digest_of(code)
        given = {"code": digest.hex()}
        with self.db.transaction(caller) as session:
            answered: dict[str, Any] | None = once(session, caller, "accept_invitation", given)
            if answered is not None:
                return answered
            person_id = caller.patient_id if caller.capacity == "patient" else None
            found = store_assistants.invited_with(session, digest)
            accepted = None
            if found is not None and person_id is not None:
                store.lock_record(session, found.record_id)
                states = rules_assistants.states_to_accept_in(tables_at(at))
                accepted = store_assistants.accept(session, found.assistant_id, digest, person_id, states, at)
            if found is None or accepted is None:
                return refused(session, caller, ACCEPTED, at, None, contract.InvitationRefused())
            _announce(session, found.assistant_id, found.record_id, accepted, at)
            emit(session, traced(
                caller, ACCEPTED, at=at, record_id=found.record_id, ground=GROUND, rule=_rule(at),
                object_id=found.assistant_id, object_type=GROUND,
            ))  # fmt: skip
            answer = {"assistant_id": found.assistant_id, "record_id": found.record_id,
                      "patient_id": accepted.patient_id, "until": _moment(accepted.until)}  # fmt: skip
            return dict(remember(session, caller, "accept_invitation", given, answer))

    @rpc
    def assistants(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """Those who were invited, by the names that the holder gave them, and what became of it; the newest first.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (an assistant).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_holder_action(tables_at(at), scope, ACTION)
            if refusal is not None:
                return refused(session, caller, LISTED, at, record_id, refusal)
            found = store_assistants.of_record(session, record_id, MOST)
            allowed(session, caller, LISTED, at, scope, named=acting(scope, ACTION, at), count=len(found))
            return {"assistants": [_shown(each, at) for each in found]}

    @rpc
    def end_assistant(self, caller: Caller, *, record_id: str, assistant_id: str) -> dict[str, Any] | Refusal:
        """Ends an invitation or an assistance at once: by the holder side with the right to, or by the assistant.

        Refuses: RecordNotFound (to everybody else), RecordClosed, NotAllowed (another's assistant),
        AssistantNotFound.
        """
        at, record_id, asked = now(), rules.id_of(record_id), rules.id_of(assistant_id)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            facts, scope = judge(session, caller, record_id, at)
            own = facts.patient_id is not None and _is_own(session, caller, record_id, asked, at)
            refusal: Refusal | None = None if own else rules.require_holder_action(tables_at(at), scope, ACTION)
            ended = None if refusal else store_assistants.end(session, record_id, asked, caller.account_id, at)
            if refusal is None and ended is None:
                refusal = contract.AssistantNotFound()
            if refusal is not None:
                return refused(session, caller, ENDED, at, record_id, refusal, object_id=asked)
            store_deadlines.drop(session, asked, OVER, LAPSED)
            if ended is not None and ended.accepted_at is not None and facts.patient_id is not None:
                cause = "resigned" if own else "holder"
                who = (ended.patient_id, facts.own_patient_id)
                emit(session, _ended(record_id, facts.patient_id, asked, cause, at, *who))
            emit(session, _trace_of_end(caller, record_id, asked, own, scope, at))
            return {"assistant_id": asked, "ended_at": rfc3339(at)}


def assistance_over(session: Session, due: Due, at: datetime) -> None:
    """Tells that an assistance ended by time; one that was ended before is not told of."""
    over = store_assistants.over(session, due.subject_id, at)
    if over is not None:
        emit(session, _ended(
            over.record_id, over.patient_id, due.subject_id, rules_representatives.TIME, over.until, over.person_id
        ))  # fmt: skip
        emit(session, traced(
            None, ENDED, at=at, record_id=over.record_id, object_id=due.subject_id, object_type=GROUND
        ))  # fmt: skip


def invitation_lapsed(session: Session, due: Due, at: datetime) -> None:
    """Forgets the codes of an invitation that nobody accepted in time."""
    store_assistants.forget_codes(session, due.subject_id, at)


def _invite(
    session: Session, caller: Caller, record_id: str, name: str, until: datetime | None, digest: bytes, at: datetime
) -> Assistant:
    open_until = rules_assistants.code_until(tables_at(at), until, at)
    invited = store_assistants.insert(session, {
        "record_id": record_id, "name": name, "invited_by": caller.account_id, "invited_at": at,
        "code_digests": [digest], "code_until": open_until, "until": until,
    })  # fmt: skip
    store_deadlines.put(session, LAPSED, invited.assistant_id, record_id, open_until)
    return invited


def _announce(session: Session, assistant_id: str, record_id: str, accepted: Any, at: datetime) -> None:
    store_deadlines.drop(session, assistant_id, LAPSED)
    if accepted.until is not None:
        store_deadlines.put(session, OVER, assistant_id, record_id, accepted.until)
    emit(session, contract.AssistantAccepted(record_id, accepted.patient_id, assistant_id, rfc3339(at)))


def _is_own(session: Session, caller: Caller, record_id: str, assistant_id: str, at: datetime) -> bool:
    if caller.capacity != "patient" or caller.patient_id is None:
        return False
    return store_assistants.is_own(session, record_id, assistant_id, caller.patient_id, at)


def _trace_of_end(
    caller: Caller, record_id: str, assistant_id: str, own: bool, scope: contract.AccessScope, at: datetime
) -> Any:
    # Who assisted in a record that was closed since has no clause left, and lets go as what they were.
    ground, rule = (GROUND, _rule(at)) if own else acting(scope, ACTION, at)
    return traced(caller, ENDED, at=at, record_id=record_id, ground=ground, rule=rule, object_id=assistant_id,
                  object_type=GROUND)  # fmt: skip


def _rule(at: datetime) -> str:
    return tables_at(at).grounds[GROUND][0].rule


def _ended(
    record_id: str, patient_id: str, assistant_id: str, cause: str, at: datetime, who: str | None,
    by: str | None = None,
) -> contract.GrantEnded:  # fmt: skip
    return contract.GrantEnded(
        record_id, patient_id, GROUND, assistant_id, "person", None, cause, rfc3339(at), who, by
    )  # fmt: skip


def _shown(found: Assistant, at: datetime) -> dict[str, Any]:
    state = rules_assistants.state_of(found, at)
    return {
        "assistant_id": found.assistant_id,
        "name": found.name,
        "state": state,
        "invited_at": rfc3339(found.invited_at),
        "code_until": rfc3339(found.code_until) if state == "invited" else None,
        "accepted_at": _moment(found.accepted_at),
        "until": _moment(found.until),
        "ended_at": _moment(found.ended_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
