"""The steps that invitations, activation and log-in share; each entrypoint stands in the file of its noun."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any, cast

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, keep_ended_session
from services.db import now, rfc3339
from services.directory.contract import PersonNotFound
from services.identity import rules_passwords as passwords
from services.identity import rules_sessions, store, store_letters, store_notices, store_sessions
from services.identity import rules_throttles as throttles
from services.identity.contract import (
    AccountActivated,
    AccountInvited,
    AccountNoticeDue,
    AlreadyActivated,
    NotActivated,
    ReauthenticationDue,
    SessionEnded,
    SubjectKind,
)
from services.identity.ports.blocklist import common_passwords
from services.identity.ports.codes import IdentityKey
from services.identity.ports.hashing import Hashing
from services.refusals import Refusal
from services.settings import load
from services.tokens import Caller, Context

Throttle = list[tuple[bytes, throttles.Limit]]


@cache
def _identity_key() -> IdentityKey:
    return IdentityKey.of_setting(load().identity_key)


class Desk(Service):
    """What the service class brings for all of them: database, directory, hashing, identity's own key."""

    directory: Any
    hashing: Hashing

    @cached_property
    def key(self) -> IdentityKey:
        """identity's own key, from the settings."""
        return _identity_key()

    def _throttle(self, purpose: str, log_in_name: bytes, context: Context) -> Throttle:
        """By person and address, then by address: see rules_throttles.py why never by person alone."""
        address = context.address or ""
        return [(self.key.throttle_key(purpose, log_in_name.hex(), address), throttles.PER_SUBJECT),
                (self.key.throttle_key(purpose, address), throttles.PER_ADDRESS)]  # fmt: skip

    def _notice(
        self, session: Session, account_id: str | None, occasion: str, at: datetime,
        *, object_id: str | None = None, also: Sequence[dict[str, str]] = (), language: str | None = None,
    ) -> None:  # fmt: skip
        """Has the account's owner told, wherever they can be.

        account_id: None to tell nobody but the addresses in `also`. also: further addresses, such as one just removed.
        language: the account's own when None. Call it after the change, so that a new address hears of it too.
        """
        notice_id = store_notices.add_notice(session, account_id, occasion, at, object_id, also, language)
        if notice_id is not None:
            emit(session, AccountNoticeDue(notice_id=notice_id, occasion=occasion))

    def _activated(
        self, session: Session, who: Context, account_id: str, kind: str, subject_id: str, at: datetime
    ) -> None:
        """Tells everybody that a person may act in this capacity: once, when its conditions are accepted first.

        At the end of an activation, or at the first log-in of somebody who activated in the app.
        """
        person = person_facts(kind, subject_id)
        emit(session, traced(who, "account.activated", at=at, account_id=account_id, capacity=kind, **person))
        emit(session, AccountActivated(
            account_id=account_id, subject_kind=kind, patient_id=person.get("patient_id"),
            professional_id=person.get("professional_id"),
        ))  # fmt: skip

    def _reissue(
        self, session: Session, who: Caller | Context, kind: SubjectKind, subject_id: str, purpose: str, at: datetime
    ) -> dict[str, Any]:
        """Has a new letter printed, to activate a capacity or to find the way back into an account.

        who: the agent who asks; anybody else is noted as the person themselves. Leaves no trace of its own: its
        caller does. Refuses: AlreadyActivated (activation), NotActivated (recovery).
        """
        active = store.capacity_is_active(session, kind, subject_id)
        if purpose == "activation" and active:
            raise AlreadyActivated()
        if purpose == "recovery" and not active:
            raise NotActivated()
        by = who.account_id if isinstance(who, Caller) else None
        invitation_id = store_letters.add_invitation(session, kind, subject_id, by, at)
        emit(session, AccountInvited(
            invitation_id=invitation_id, subject_kind=kind, subject_id=subject_id, purpose=purpose,
        ))  # fmt: skip
        return {"invitation_id": invitation_id}

    def _not_fresh(self, session: Session, caller: Caller, action: str, at: datetime) -> Refusal | None:
        """None when the caller has shown lately that it is them; else the refusal of a sensitive change, traced.

        It is ReauthenticationDue, to be returned: raised, it would take its trace back with it. [ASVS 5.0 7.5.1]
        """
        if rules_sessions.is_fresh(store_sessions.authenticated_at(session, caller.session_id), at):
            return None
        return self._refused(session, caller, action, ReauthenticationDue())

    def _end(
        self, session: Session, who: Caller | Context, session_id: str, cause: str, at: datetime, **facts: Any
    ) -> bool:
        """Ends a session here at once and, by event, in every other service; false when it had ended before."""
        ended = store_sessions.end_session(session, session_id, cause, at)
        if ended:
            self._tell_ended(session, who, [session_id], cause, at, **facts)
        return ended

    def _end_all(
        self, session: Session, who: Caller | Context, account_id: str, cause: str, at: datetime, but: str | None = None
    ) -> int:
        """Ends every running session of an account, all but one, everywhere; says how many there were.

        Whoever changes the account with it writes the account's row first, so that no log-in passes by.
        """
        ended = store_sessions.end_sessions_of(session, account_id, cause, at, but)
        whose = {} if isinstance(who, Caller) else {"account_id": account_id}
        self._tell_ended(session, who, ended, cause, at, **whose)
        return len(ended)

    def _tell_ended(
        self, session: Session, who: Caller | Context, session_ids: Sequence[str], cause: str, at: datetime,
        **facts: Any,
    ) -> None:  # fmt: skip
        """What the end of sessions means for everybody else: kept here, announced, traced each."""
        for session_id in session_ids:
            keep_ended_session(session, session_id)
            emit(session, SessionEnded(session_id=session_id, at=rfc3339(at)))
            emit(session, traced(who, "session.ended", at=at, session_id=session_id, purpose=cause, **facts))

    def _require_password(self, log_in_name: bytes, password: str) -> None:
        """Refuses: PasswordTooShort, PasswordTooLong, PasswordTooCommon (the person's own matricule in it, too)."""
        digits = passwords.matricules_within(password)
        own = [one for one in digits if self.key.log_in_name(one) == log_in_name]
        passwords.require_password(password, common_passwords(), own)

    def _refused(self, session: Session, who: Caller | Context, action: str, refusal: Refusal, **facts: Any) -> Refusal:
        """Leaves the refusal's trace in the transaction and hands the refusal on, to be returned."""
        emit(session, traced(who, action, at=now(), outcome="refused", reason=refusal.code, **facts))
        return refusal

    def _professional(self, context: Context, professional_id: str) -> dict[str, Any] | None:
        """What the directory knows of a professional; None when it knows nobody by this id."""
        try:
            facts = self.directory.capacity_facts(
                context.without_token(), patient_id=None, professional_id=professional_id
            )
        except PersonNotFound:
            return None
        return cast(dict[str, Any], facts) if facts["profession"] else None


def person_facts(kind: str, subject_id: str) -> dict[str, Any]:
    """The id of a patient or professional as traces name it; agents are known by their account."""
    return {f"{kind}_id": subject_id} if kind in ("patient", "professional") else {}
