"""Log-in with password and one-time code, sessions, and the tokens that stand for them.

Every refusal that follows a guess is returned, not raised: its try and its trace are committed.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, keep_ended_session, rpc, rpc_public
from services.db import now, rfc3339
from services.identity import rules, store
from services.identity import rules_passwords as passwords
from services.identity import rules_throttles as throttles
from services.identity.contract import (
    LicenceNotValid,
    LogInRefused,
    OneTimeCodeRefused,
    OneTimeCodeRequested,
    RefreshRefused,
    SessionEnded,
)
from services.identity.desk import Desk, person_facts
from services.identity.models import LogInSession
from services.identity.ports import codes
from services.identity.ports.signing import signed_token
from services.refusals import TooManyTries
from services.tokens import ISSUER, Caller, Context


class LogIns(Desk):
    """The entrypoints of log-in and sessions."""

    @rpc_public
    def start_log_in(self, context: Context, *, matricule: str, password: str, channel: str = "email") -> Any:
        """Checks the password and has a one-time code sent by the channel chosen.

        Refuses: InvalidInput (not 13 digits, channel), TooManyTries, LogInRefused: one and the same, after the same
        work, for an unknown matricule and a wrong password. [seed 002, Connexion; seed 003]
        """
        rules.require_channel(channel)
        name = self.key.log_in_name(rules.normal_matricule(matricule))
        password = passwords.normal_password(password)
        throttle, at = self._throttle("log_in", name, context), now()
        sending = self.key.throttle_key("codes_sent", name.hex(), context.address or "")
        with self.db.transaction(context) as session:
            account = store.account_of_name(session, name)
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, context, "session.opened", TooManyTries(retry_after=wait), **_of(account))
        secret_hash = account.password_hash if account and len(password) <= passwords.PASSWORD_MAXIMUM else None
        right = self.hashing.matches(secret_hash, password[: passwords.PASSWORD_MAXIMUM])
        with self.db.transaction(context) as session:
            contact = store.contact_for_codes(session, account.account_id, channel) if account and right else None
            if account is None or contact is None:
                return self._refused(session, context, "session.opened", LogInRefused(), **_of(account))
            store.give_back_tries(session, throttle)
            if wait := store.take_tries(session, [(sending, throttles.PER_CODES_SENT)], at):
                return self._refused(session, context, "session.opened", TooManyTries(retry_after=wait), **_of(account))
            challenge = store.add_challenge(
                session, "log_in", contact.contact_id, account.language, at, account_id=account.account_id
            )
            emit(session, OneTimeCodeRequested(challenge_id=challenge.challenge_id, purpose="log_in"))
            return {"challenge_id": challenge.challenge_id, "expires_at": rfc3339(challenge.expires_at)}

    @rpc_public
    def confirm_log_in(
        self, context: Context, *, challenge_id: str, code: str, capacity: str | None = None,
        establishment_id: str | None = None, stay_connected: bool = False,
    ) -> Any:  # fmt: skip
        """Opens a session with the one-time code, in the capacity and at the workplace chosen.

        A wrong choice of capacity or workplace leaves the code good for another. Refuses: OneTimeCodeRefused (wrong,
        used, expired, five wrong tries), InvalidInput (/capacity, /establishment_id), LicenceNotValid, Unavailable.
        [domain.md, Accounts; seed 004]
        """
        at = now()
        right = self.key.is_one_time_code(str(challenge_id), code)
        with self.db.transaction(context) as session:
            challenge = store.challenge(session, challenge_id, "log_in") if rules.is_id(challenge_id) else None
            account = store.account(session, challenge.account_id if challenge else None)
            if challenge is None or account is None or not right:
                if challenge is not None:
                    store.count_wrong_code(session, challenge_id, at)
                return self._refused(session, context, "session.opened", OneTimeCodeRefused(), **_of(account))
            if store.live_challenge(session, challenge_id, at) is None:
                return self._refused(session, context, "session.opened", OneTimeCodeRefused(), **_of(account))
        held = rules.choose_capacity(account.held, capacity)
        facts = self._professional(context, held.subject_id) if held.kind == "professional" else None
        workplace = rules.choose_establishment(held, facts["establishment_ids"] if facts else [], establishment_id)
        with self.db.transaction(context) as session:
            if not store.use_challenge(session, challenge_id, at):
                return self._refused(session, context, "session.opened", OneTimeCodeRefused(), **_of(account))
            if held.kind == "professional" and not rules.licence_is_valid(facts):
                return self._refused(session, context, "session.opened", LicenceNotValid(), **_of(account, held))
            log_in = store.open_session(session, account.account_id, held, workplace, stay_connected is True, at)
            emit(session, traced(context, "session.opened", at=at, session_id=log_in.session_id,
                                 establishment_id=workplace, profession=facts["profession"] if facts else None,
                                 **_of(account, held)))  # fmt: skip
            return self._tokens(session, log_in, held, facts, at)

    @rpc_public
    def refresh(self, context: Context, *, refresh_token: str) -> Any:
        """New tokens for a running session; the refresh token presented is used up.

        One that was used before means that two parties hold the chain: the session ends for both. A professional's
        licence and workplaces are asked again. Refuses: RefreshRefused, LicenceNotValid, Unavailable. [RFC 9700 4.14.2]
        """
        presented, at = codes.token_hash(refresh_token), now()
        with self.db.transaction(context) as session:
            found = store.session_of_refresh(session, presented)
            account = store.account(session, found[0].account_id if found else None)
            held = rules.held_as(account.held, found[0].capacity) if account and found else None
            if found is None or account is None or held is None:
                return self._refused(session, context, "session.opened", RefreshRefused())
        log_in, used_before = found
        facts = None
        if held.kind == "professional" and not used_before:
            facts = self._professional(context, held.subject_id)
        with self.db.transaction(context) as session:
            whose = _of(account, held)
            if not store.use_refresh(session, presented, at):
                if store.was_used(session, presented):
                    self._end(session, context, log_in.session_id, "refresh_token_reused", at, **whose)
                return self._refused(session, context, "session.opened", RefreshRefused(), **whose)
            if lost := rules.why_capacity_is_lost(held, facts, log_in.establishment_id):
                self._end(session, context, log_in.session_id, lost, at, **whose)
                refusal = LicenceNotValid() if lost == LicenceNotValid.code else RefreshRefused()
                return self._refused(session, context, "session.opened", refusal, **whose)
            return self._tokens(session, log_in, held, facts, at)

    @rpc
    def log_out(self, caller: Caller) -> Any:
        """Ends the caller's session, everywhere within moments."""
        with self.db.transaction(caller) as session:
            self._end(session, caller, caller.session_id, "log_out", now())
        return {}

    @rpc
    def describe_session(self, caller: Caller) -> Any:
        """What the caller's own token says, in words; asks no database."""
        return {
            "account_id": caller.account_id, "session_id": caller.session_id, "capacity": caller.capacity,
            "patient_id": caller.patient_id, "professional_id": caller.professional_id,
            "profession": caller.profession, "establishment_id": caller.establishment_id, "role": caller.role,
            "expires_at": rfc3339(rules.moment_of(caller.expires_at)),
        }  # fmt: skip

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _tokens(
        self, session: Session, log_in: LogInSession, held: rules.Held, facts: dict[str, Any] | None, at: datetime
    ) -> dict[str, Any]:
        """A fresh access token and the session's next refresh token."""
        refresh_token, lifetime = codes.new_token(), int(rules.ACCESS_TOKEN_LIFETIME.total_seconds())
        store.add_refresh_token(session, log_in, codes.token_hash(refresh_token), at)
        signing, issued = store.current_key(session, at), int(at.timestamp())
        claims = {
            "iss": ISSUER, "sub": log_in.account_id, "sid": log_in.session_id, "cap": held.kind,
            "pat": log_in.patient_id, "pro": log_in.professional_id, "prof": facts["profession"] if facts else None,
            "est": log_in.establishment_id, "role": held.role, "iat": issued, "exp": issued + lifetime,
        }  # fmt: skip
        token = signed_token(claims, kid=signing.kid, x=signing.jwk["x"], wrapped=signing.wrapped,
                             wrapping_key=self.key.wrapping_key())  # fmt: skip
        return {
            "access_token": token, "refresh_token": refresh_token, "token_type": "Bearer", "expires_in": lifetime,
            "session_id": log_in.session_id, "account_id": log_in.account_id, "capacity": held.kind,
            "patient_id": log_in.patient_id, "professional_id": log_in.professional_id,
        }  # fmt: skip

    def _end(
        self, session: Session, who: Caller | Context, session_id: str, cause: str, at: datetime, **facts: Any
    ) -> None:
        """Ends a session here at once and, by event, in every other service."""
        if store.end_session(session, session_id, cause, at):
            keep_ended_session(session, session_id)
            emit(session, SessionEnded(session_id=session_id, at=rfc3339(at)))
            emit(session, traced(who, "session.ended", at=at, session_id=session_id, purpose=cause, **facts))


def _of(account: store.AccountFacts | None, held: rules.Held | None = None) -> dict[str, Any]:
    """Whose log-in it is, for its trace: the capacity chosen, or the patient behind the account."""
    if account is None:
        return {}
    if held is not None:
        return {"account_id": account.account_id, "capacity": held.kind, **person_facts(held.kind, held.subject_id)}
    return {"account_id": account.account_id, "patient_id": account.subject_of("patient")}
