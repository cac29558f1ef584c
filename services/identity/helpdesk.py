"""The helpdesk as the agency's agents see it: they take the requests of the public and work them off.

Every step names the agent who took it: in the request and in a trace. What an agent can open is a way for the person
themself (a letter to the address the directory knows, a code to an address that person can read), never an account.
"""

from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc
from services.db import now, once, remember, rfc3339
from services.identity import rules, store_codes, store_letters
from services.identity import rules_helpdesk as helpdesk
from services.identity import store_helpdesk as store
from services.identity.contract import (
    AccountNoticeDue,
    AlreadyActivated,
    IdentityCheckDue,
    NotActivated,
    OneTimeCodeRequested,
    PersonNotKnown,
    RequestNotFound,
)
from services.identity.helpdesk_requests import HelpdeskRequests, about, time_or_none
from services.identity.models_desk import HelpdeskRequest
from services.identity.store import AccountFacts, account_of_subject, take_tries
from services.refusals import NotAllowed, Refusal, TooManyTries
from services.tokens import Caller


class Helpdesk(HelpdeskRequests):
    """The agents' side of the helpdesk. All of it refuses NotAllowed to anybody who is not an agent."""

    @rpc
    def list_requests(
        self, caller: Caller, *, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Any:
        """A page of requests, oldest first: those in a state, or all in which work is left.

        Refuses: NotAllowed, InvalidInput (state, limit, cursor).
        """
        states, most = helpdesk.require_states(state), helpdesk.require_limit(limit)
        after = rules.require_id(cursor, "/cursor") if cursor is not None else None
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return self._refused(session, caller, "helpdesk.searched", NotAllowed())
            found = store.requests_page(session, states, after, most + 1)
            page = found[:most]
            emit(session, traced(caller, "helpdesk.searched", at=now(), count=len(page)))
            return {"requests": [_line(request) for request in page],
                    "next_cursor": page[-1].request_id if len(found) > most else None}  # fmt: skip

    @rpc
    def read_request(self, caller: Caller, *, request_id: str) -> Any:
        """A request with all that was said in it. Refuses: NotAllowed, RequestNotFound."""
        with self.db.transaction(caller) as session:
            found = store.request(session, request_id) if rules.is_id(request_id) else None
            if caller.capacity != "agent" or found is None:
                refusal = NotAllowed() if caller.capacity != "agent" else RequestNotFound()
                return self._refused(session, caller, "helpdesk.read", refusal)
            emit(session, traced(caller, "helpdesk.read", at=now(), **about(found)))
            return _sheet(found)

    @rpc
    def take_request(self, caller: Caller, *, request_id: str) -> Any:
        """Takes a request in hand: one agent does.

        Refuses: NotAllowed, RequestNotFound, RequestTaken, RequestClosed.
        """
        return self._request_step(caller, request_id, "take")

    @rpc
    def release_request(self, caller: Caller, *, request_id: str) -> Any:
        """Gives a request back for others to take; an administrator may give back another agent's.

        Refuses: NotAllowed, RequestNotFound, RequestTaken, RequestClosed.
        """
        return self._request_step(caller, request_id, "release")

    @rpc
    def close_request(self, caller: Caller, *, request_id: str) -> Any:
        """Closes a request; what it says about a person is wiped a year later.

        Refuses: NotAllowed, RequestNotFound, RequestNotTaken, RequestTaken.
        """
        return self._request_step(caller, request_id, "close")

    @rpc
    def answer_request(self, caller: Caller, *, request_id: str, text: str) -> Any:
        """Answers a request: the answer is read with the tracking token, the mail or SMS only says that there is one.

        A later answer replaces an earlier one. Refuses: NotAllowed, RequestNotFound, RequestNotTaken, RequestTaken,
        RequestClosed, InvalidInput (text).
        """
        answer = helpdesk.require_message(text, "/text")
        return self._request_step(caller, request_id, "answer", answer)

    @rpc
    def check_identity(self, caller: Caller, *, request_id: str, matricule: str, kind: str, paper: str) -> Any:
        """Notes that the agent has seen a paper, and whose account the request is about from now on.

        Refuses: NotAllowed (an agent's identity is checked by administrators), RequestNotFound, RequestNotTaken,
        RequestTaken, RequestClosed, PersonNotKnown, InvalidInput (matricule, kind, paper). [decisions.md, resets]
        """
        digits, kind = rules.normal_matricule(matricule), rules.require_kind(kind)
        paper = helpdesk.require_paper(paper)
        person = {"patient_id": None, "professional_id": None}
        if caller.capacity == "agent":
            person = self.directory.person_of_matricule(caller.context.without_token(), matricule=digits)
        name, at = self.key.log_in_name(digits), now()
        body = {"request_id": request_id, "name": name.hex(), "kind": kind, "paper": paper}
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "check_identity", body):
                return answered
            found = self._request_in_hand(session, caller, request_id, "identity_check", "identity.checked")
            if isinstance(found, Refusal):
                return found
            if kind == "agent" and caller.role != "administrator":
                return self._refused(session, caller, "identity.checked", NotAllowed(), **about(found))
            agent_id = store_letters.agent_of_name(session, name)
            subject_id = {**person, "agent_id": agent_id}[f"{kind}_id"]
            if subject_id is None:
                return self._refused(session, caller, "identity.checked", PersonNotKnown(), **about(found))
            if (found.subject_kind, found.subject_id) != (kind, subject_id):
                store.drop_correction(session, found)
            found.subject_kind, found.subject_id, found.check_method = kind, subject_id, paper
            found.checked_by, found.checked_at = caller.account_id, at
            emit(session, traced(caller, "identity.checked", at=at, object_id=subject_id, object_type=kind,
                                 purpose=paper))  # fmt: skip
            return remember(session, caller, "check_identity", body, _line(found))

    @rpc
    def send_letter(self, caller: Caller, *, request_id: str, purpose: str) -> Any:
        """Has a new letter printed for the person whose identity was checked: to activate, or to find back in.

        Refuses: NotAllowed (own account, or an agent's by somebody who is no administrator), RequestNotFound,
        RequestNotTaken, RequestTaken, RequestClosed, IdentityCheckDue, AlreadyActivated, NotActivated, InvalidInput.
        """
        body = {"request_id": request_id, "purpose": helpdesk.require_purpose(purpose)}
        at = now()
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "send_letter", body):
                return answered
            found = self._request_in_hand(session, caller, request_id, "letter", "letter.requested")
            if isinstance(found, Refusal):
                return found
            account = self._account_of_request(session, caller, found, "letter.requested")
            if isinstance(account, Refusal):
                return account
            kind, subject_id = rules.require_kind(found.subject_kind), str(found.subject_id)
            subject: dict[str, Any] = {"object_id": subject_id, "object_type": kind}
            try:
                self._reissue(session, caller, kind, subject_id, purpose, at)
            except (AlreadyActivated, NotActivated) as refusal:
                return self._refused(session, caller, "letter.requested", refusal, **subject)
            emit(session, traced(caller, "letter.requested", at=at, purpose=purpose, **subject))
            return remember(session, caller, "send_letter", body, _line(found))

    @rpc
    def correct_contact(self, caller: Caller, *, request_id: str, kind: str, value: str) -> Any:
        """Has a one-time code sent to the new address of the person whose identity was checked.

        The address counts once that person has entered the code with their tracking token. Refuses: NotAllowed (as
        send_letter), RequestNotFound, RequestNotTaken, RequestTaken, RequestClosed, IdentityCheckDue, NotActivated,
        TooManyTries, InvalidInput (kind, value).
        """
        value, at = rules.require_contact(kind, value), now()
        body = {"request_id": request_id, "kind": kind, "value": value}
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "correct_contact", body):
                return answered
            found = self._request_in_hand(session, caller, request_id, "contact", "helpdesk.changed")
            if isinstance(found, Refusal):
                return found
            account = self._account_of_request(session, caller, found, "helpdesk.changed")
            if isinstance(account, Refusal):
                return account
            if account is None:
                return self._refused(session, caller, "helpdesk.changed", NotActivated(), **about(found))
            sending = self.key.throttle_key("helpdesk_contact", account.account_id)
            if wait := take_tries(session, [(sending, helpdesk.CORRECTION_CODES)], at):
                late = TooManyTries(retry_after=wait)
                return self._refused(session, caller, "helpdesk.changed", late, **about(found))
            store.drop_correction(session, found)
            contact = store.put_correction(session, account.account_id, kind, value, at)
            challenge = store_codes.add_challenge(
                session, "helpdesk_contact", contact.contact_id, found.language, at, account_id=account.account_id,
                channel=kind,
            )  # fmt: skip
            found.challenge_id = challenge.challenge_id
            emit(session, OneTimeCodeRequested(challenge_id=challenge.challenge_id, purpose="helpdesk_contact"))
            emit(session, traced(caller, "helpdesk.changed", at=at, purpose="contact", **about(found)))
            answer = {**_line(found), "code_expires_at": rfc3339(challenge.expires_at)}
            return remember(session, caller, "correct_contact", body, answer)

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _request_step(self, caller: Caller, request_id: str, action: helpdesk.Action, answer: str | None = None) -> Any:
        """Takes a request one step on, once for each Idempotency-Key."""
        body, at = {"request_id": request_id, "answer": answer}, now()
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, f"helpdesk {action}", body):
                return answered
            found = self._request_in_hand(session, caller, request_id, action, "helpdesk.changed")
            if isinstance(found, Refusal):
                return found
            if action == "take":
                found.taken_by, found.taken_at = caller.account_id, found.taken_at or at
            elif action == "release":
                found.taken_by, found.taken_at = None, None
            elif action == "answer":
                found.answer, found.answered_by, found.answered_at = answer, caller.account_id, at
                self._tell_request_answered(session, found)
            elif action == "close":
                store.drop_correction(session, found)
                found.closed_at = found.closed_at or at
            emit(session, traced(caller, "helpdesk.changed", at=at, purpose=action, **about(found)))
            return remember(session, caller, f"helpdesk {action}", body, _line(found))

    def _request_in_hand(
        self, session: Session, caller: Caller, request_id: str, action: helpdesk.Action, trace: str
    ) -> HelpdeskRequest | Refusal:
        """The request, locked and in the state after this action; or the refusal, traced."""
        if caller.capacity != "agent":
            return self._refused(session, caller, trace, NotAllowed())
        found = store.locked_request(session, request_id) if rules.is_id(request_id) else None
        if found is None:
            return self._refused(session, caller, trace, RequestNotFound())
        whose = helpdesk.standing(found.taken_by, caller.account_id)
        after = helpdesk.step(action, helpdesk.state_of(found.state), whose, caller.role)
        if isinstance(after, Refusal):
            return self._refused(session, caller, trace, after, **about(found))
        found.state = after
        return found

    def _account_of_request(
        self, session: Session, caller: Caller, found: HelpdeskRequest, trace: str
    ) -> AccountFacts | Refusal | None:
        """The account of whom the request is about, when this agent may open a way into it; None without one."""
        if not helpdesk.check_counts(found.checked_at, now()):
            return self._refused(session, caller, trace, IdentityCheckDue(), **about(found))
        account = account_of_subject(session, rules.require_kind(found.subject_kind), str(found.subject_id))
        held = {str(found.subject_kind)} | {one.kind for one in (account.held if account else [])}
        own = account is not None and account.account_id == caller.account_id
        if not helpdesk.may_help(caller.role, held, own):
            return self._refused(session, caller, trace, NotAllowed(), **about(found))
        return account

    def _tell_request_answered(self, session: Session, found: HelpdeskRequest) -> None:
        notice_id = store.add_answer_notice(session, found, now())
        if notice_id is not None:
            emit(session, AccountNoticeDue(notice_id=notice_id, occasion="helpdesk_answered"))


def _line(found: HelpdeskRequest) -> dict[str, Any]:
    """A request in a list: nothing of what was said in it, nothing of the person but the kind."""
    return {
        "request_id": found.request_id, "reference": found.reference, "topic": found.topic, "state": found.state,
        "language": found.language, "created_at": rfc3339(found.created_at), "taken_by": found.taken_by,
        "subject_kind": found.subject_kind, "from_activation": found.activation_id is not None,
        "identity_checked_at": time_or_none(found.checked_at),
    }  # fmt: skip


def _sheet(found: HelpdeskRequest) -> dict[str, Any]:
    return {
        **_line(found), "name": found.name, "reply_kind": found.reply_kind, "reply_value": found.reply_value,
        "message": found.message, "subject_id": found.subject_id, "checked_by": found.checked_by,
        "check_method": found.check_method, "answer": found.answer, "answered_by": found.answered_by,
        "taken_at": time_or_none(found.taken_at), "answered_at": time_or_none(found.answered_at),
        "closed_at": time_or_none(found.closed_at),
    }  # fmt: skip
