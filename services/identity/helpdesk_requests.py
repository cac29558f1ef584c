"""Requests to the helpdesk as those see them who ask: open one, follow it, prove a corrected address.

Every refusal that follows a guess is returned, not raised: its try and its trace are committed.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc_public
from services.db import now, once, remember, rfc3339
from services.identity import rules, store_account, store_codes
from services.identity import rules_helpdesk as helpdesk
from services.identity import store_helpdesk as store
from services.identity.contract import (
    ContactTaken,
    HelpdeskRequested,
    OneTimeCodeRefused,
    RequestClosed,
    RequestNotFound,
)
from services.identity.desk import Desk, Throttle, person_facts
from services.identity.models import Activation, Challenge, Contact
from services.identity.models_desk import HelpdeskRequest
from services.identity.ports import codes
from services.identity.store import account as account_with
from services.identity.store import take_tries
from services.refusals import TooManyTries
from services.settings import load
from services.tokens import Context


class HelpdeskRequests(Desk):
    """The public side of the helpdesk, and what a step of an activation opens there."""

    @rpc_public
    def open_request(
        self, context: Context, *, topic: str, name: str, reply_kind: str, reply_value: str, message: str, language: str
    ) -> Any:
        """Opens a request to the helpdesk; its tracking token is what follows it, shown here only.

        Refuses: InvalidInput (topic, name, reply_kind, reply_value, message, language), TooManyTries (too many
        requests from this network address, or with this reply address). [seed 001, Helpdesk; domain.md, Accounts]
        """
        form = {
            "topic": helpdesk.require_topic(topic, load().help_topics), "name": helpdesk.require_name(name),
            "language": helpdesk.require_language(language), "message": helpdesk.require_message(message),
        }  # fmt: skip
        form["reply_kind"], form["reply_value"] = helpdesk.require_reply(reply_kind, reply_value)
        with self.db.transaction(context) as session:
            if answered := once(session, context, "open_request", form):
                return self._request_opened(**answered)
            if wait := take_tries(session, self._request_throttle(form, context), now()):
                return self._refused(session, context, "helpdesk.requested", TooManyTries(retry_after=wait))
            made = self._open_request(session, context, activation=None, **form)
            known = {"request_id": made["request_id"], "reference": made["reference"]}
            remember(session, context, "open_request", form, known)
            return made

    @rpc_public
    def follow_request(self, context: Context, *, request_id: str, tracking_token: str) -> Any:
        """How far a request is, and its answer. Refuses: RequestNotFound, alike for a wrong id and a wrong token."""
        with self.db.transaction(context) as session:
            found = self._request_followed(session, request_id, tracking_token)
            if found is None:
                return self._refused(session, context, "helpdesk.read", RequestNotFound())
            live = store_codes.live_challenge(session, found.challenge_id, now()) if found.challenge_id else None
            emit(session, traced(context, "helpdesk.read", at=now(), **about(found)))
            return {
                "request_id": found.request_id, "reference": found.reference, "topic": found.topic,
                "state": found.state, "answer": found.answer, "created_at": rfc3339(found.created_at),
                "taken_at": time_or_none(found.taken_at), "answered_at": time_or_none(found.answered_at),
                "closed_at": time_or_none(found.closed_at),
                "code_expires_at": time_or_none(live[0].expires_at) if live else None,
            }  # fmt: skip

    @rpc_public
    def prove_corrected_contact(self, context: Context, *, request_id: str, tracking_token: str, code: str) -> Any:
        """Proves the address an agent has corrected: it replaces the account's others of its kind, and they are told.

        Refuses: RequestNotFound, RequestClosed, OneTimeCodeRefused (wrong, used, expired, five wrong tries, none
        sent), ContactTaken (a professional's address that another account has proved). [seed 003, étape 4]
        """
        at = now()
        with self.db.transaction(context) as session:
            found = self._request_followed(session, request_id, tracking_token, lock=True)
            if found is None:
                return self._refused(session, context, "contact.added", RequestNotFound())
            if found.state == "closed":
                return self._refused(session, context, "contact.added", RequestClosed(), **about(found))
            sent = store_codes.live_challenge(session, found.challenge_id, at) if found.challenge_id else None
            if sent is None or not self._correction_is_right(session, sent[0], code, at):
                return self._refused(session, context, "contact.added", OneTimeCodeRefused(), **about(found))
            if not self._put_corrected(session, *sent, at):
                store.drop_correction(session, found)
                return self._refused(session, context, "contact.added", ContactTaken(), **about(found))
            emit(session, traced(context, "contact.added", at=at, account_id=sent[0].account_id, **about(found)))
            return {}

    # --- the steps behind several of the above, and for other rooms ---------------------------------------------------

    def _open_request(
        self, session: Session, context: Context, *, topic: str, language: str, name: str | None,
        reply_kind: str | None, reply_value: str | None, message: str | None, activation: Activation | None,
    ) -> dict[str, Any]:  # fmt: skip
        """Opens a request; a step of an activation adds to its own while that is not closed, so it needs no throttle.

        Checks message and reply address when there are any; both may be missing in a request of an activation, which
        is followed by its tracking token. Refuses: InvalidInput.
        """
        if message is not None:
            message = helpdesk.require_message(message)
        if reply_kind is not None or reply_value is not None:
            reply_kind, reply_value = helpdesk.require_reply(reply_kind, reply_value)
        at, facts = now(), {"name": name, "reply_kind": reply_kind, "reply_value": reply_value}
        kind = activation.subject_kind if activation is not None else None
        subject_id = activation.subject_id if activation is not None else None
        made = store.running_request_of_activation(session, activation, topic) if activation is not None else None
        if made is not None:
            store.add_to_request(made, message=helpdesk.joined(made.message, message), **facts)
        else:
            made = store.add_request(
                session, at, [codes.new_reference() for _ in range(5)], topic=topic, language=language,
                message=message, subject_kind=kind, subject_id=subject_id,
                activation_id=activation.activation_id if activation is not None else None, **facts,
            )  # fmt: skip
            emit(session, HelpdeskRequested(request_id=made.request_id, at=rfc3339(at)))
        whose = person_facts(kind, subject_id) if kind is not None and subject_id is not None else {}
        emit(session, traced(context, "helpdesk.requested", at=at, purpose=topic, **about(made), **whose))
        return self._request_opened(made.request_id, made.reference)

    def _request_opened(self, request_id: str, reference: str) -> dict[str, Any]:
        return {"request_id": request_id, "reference": reference, "tracking_token": self.key.tracking_token(request_id)}

    def _request_throttle(self, form: dict[str, str], context: Context) -> Throttle:
        """By reply address, then by network address: nobody fills the desk, nobody has others written to."""
        to = self.key.throttle_key("helpdesk_reply", form["reply_kind"], form["reply_value"].casefold())
        return [(to, helpdesk.TO_REPLY_ADDRESS),
                (self.key.throttle_key("helpdesk", context.address or ""), helpdesk.FROM_ADDRESS)]  # fmt: skip

    def _request_followed(
        self, session: Session, request_id: str, tracking_token: str, *, lock: bool = False
    ) -> HelpdeskRequest | None:
        find = store.locked_request if lock else store.request
        found = find(session, request_id) if rules.is_id(request_id) else None
        right = self.key.is_tracking_token(request_id if found is not None else "", tracking_token)
        return found if right else None

    def _correction_is_right(self, session: Session, challenge: Challenge, code: str, at: datetime) -> bool:
        if not self.key.is_one_time_code(challenge.challenge_id, code):
            store_codes.count_wrong_code(session, challenge.challenge_id, at)
            return False
        return store_codes.use_challenge(session, challenge.challenge_id, at)

    def _put_corrected(self, session: Session, challenge: Challenge, contact: Contact, at: datetime) -> bool:
        """Makes the proved address the only one of its kind; the owner is told at the new and at the old ones."""
        account = account_with(session, challenge.account_id)
        if account is None:
            return False
        individual = account.subject_of("professional") is not None
        if not store_account.prove_contact(session, contact.contact_id, individual, at):
            return False
        self._notice(session, account.account_id, "contact_added", at, object_id=contact.contact_id)
        removed = store.removed_contacts(session, account.account_id, contact.kind, contact.contact_id, at)
        if removed:
            self._notice(session, account.account_id, "contact_removed", at, also=removed)
        return True


def about(request: HelpdeskRequest) -> dict[str, Any]:
    """The request as traces name it."""
    return {"object_id": request.request_id, "object_type": "helpdesk_request"}


def time_or_none(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None
