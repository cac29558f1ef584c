"""Sessions that run: refreshing, listing and ending them, and what ends them from outside."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Received, emit, on, rpc, rpc_public
from services.db import now, rfc3339
from services.directory.contract import LicenceWithdrawn
from services.identity import rules, rules_sessions, store, store_account, store_sessions
from services.identity import rules_passwords as passwords
from services.identity.contract import (
    AccountLocked,
    AccountNotFound,
    LicenceNotValid,
    PasswordRefused,
    RefreshRefused,
    SessionNotFound,
)
from services.identity.entry import Entry, log_in_facts
from services.identity.ports import codes
from services.refusals import NotAllowed, TooManyTries
from services.tokens import Caller, Context


class Sessions(Entry):
    """The entrypoints of running sessions."""

    @rpc_public
    def refresh(self, context: Context, *, refresh_token: str) -> Any:
        """New tokens for a running session; the refresh token presented is used up.

        One that another request used before means that two parties hold the chain: the session ends for both. The same
        request done again, whose answer died with whoever worked it, is no second party. A professional's licence and
        workplaces are asked again. Refuses: RefreshRefused, AccountLocked, LicenceNotValid, Unavailable.
        [RFC 9700 4.14.2]
        """
        presented, at = codes.token_hash(refresh_token), now()
        with self.db.transaction(context) as session:
            found = store_sessions.session_of_refresh(session, presented, context)
            account = store.account(session, found[0].account_id if found else None)
            held = rules.held_as(account.held, found[0].capacity) if account and found else None
            if found is None or account is None or held is None:
                return self._refused(session, context, "session.opened", RefreshRefused())
        log_in, used_before = found
        facts = None
        if held.kind == "professional" and not used_before:
            facts = self._professional(context, held.subject_id)
        with self.db.transaction(context) as session:
            whose = log_in_facts(account, held)
            if not store_sessions.use_refresh(session, presented, at, context):
                if store_sessions.was_used(session, presented):
                    self._end(session, context, log_in.session_id, "refresh_token_reused", at, **whose)
                return self._refused(session, context, "session.opened", RefreshRefused(), **whose)
            if account.locked_at is not None:
                self._end(session, context, log_in.session_id, "account_locked", at, **whose)
                return self._refused(session, context, "session.opened", AccountLocked(), **whose)
            if lost := rules.why_capacity_is_lost(held, facts, log_in.establishment_id):
                self._end(session, context, log_in.session_id, lost, at, **whose)
                refusal = LicenceNotValid() if lost == LicenceNotValid.code else RefreshRefused()
                return self._refused(session, context, "session.opened", refusal, **whose)
            store_sessions.note_use(session, log_in.session_id, at)
            emit(session, traced(context, "session.refreshed", at=at, session_id=log_in.session_id,
                                 establishment_id=log_in.establishment_id, **whose))  # fmt: skip
            return self._tokens(session, log_in, held, facts, at)

    @rpc
    def describe_session(self, caller: Caller) -> Any:
        """What the caller's own token says, in words; asks no database."""
        return {
            "account_id": caller.account_id, "session_id": caller.session_id, "capacity": caller.capacity,
            "patient_id": caller.patient_id, "professional_id": caller.professional_id,
            "profession": caller.profession, "establishment_id": caller.establishment_id, "role": caller.role,
            "expires_at": rfc3339(rules.moment_of(caller.expires_at)),
        }  # fmt: skip

    @rpc
    def authenticate(self, caller: Caller, *, password: str) -> Any:
        """The owner shows again that it is them: sensitive changes pass for the next 15 minutes.

        Refuses: TooManyTries, PasswordRefused. Counted by account and address, like log-in: who sits at a session
        left open elsewhere does not keep its owner from theirs. [ASVS 5.0 7.5.1]
        """
        password, at = passwords.normal_password(password), now()
        throttle = self._throttle("authentication", caller.account_id.encode(), caller.context)
        with self.db.transaction(caller) as session:
            account = store.account(session, caller.account_id)
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, caller, "session.authenticated", TooManyTries(retry_after=wait))
        secret_hash = account.password_hash if account and len(password) <= passwords.PASSWORD_MAXIMUM else None
        right = self.hashing.matches(secret_hash, password[: passwords.PASSWORD_MAXIMUM])
        with self.db.transaction(caller) as session:
            if not right:
                return self._refused(session, caller, "session.authenticated", PasswordRefused())
            store.give_back_tries(session, throttle)
            store_sessions.renew_authentication(session, caller.session_id, at)
            emit(session, traced(caller, "session.authenticated", at=at, purpose="password"))
            return {"fresh_until": rfc3339(at + rules_sessions.FRESH)}

    # --- the owner's list ---------------------------------------------------------------------------------------------

    @rpc
    def list_sessions(self, caller: Caller) -> Any:
        """The running sessions of the caller's account, the last used first; no network addresses."""
        at = now()
        with self.db.transaction(caller) as session:
            running = store_sessions.running_sessions(session, caller.account_id, at)
            emit(session, traced(caller, "session.searched", at=at, count=len(running)))
            return {"sessions": [{
                "session_id": one.session_id, "capacity": one.capacity, "current": one.session_id == caller.session_id,
                "factors": one.factors, "software": one.software, "stay_connected": one.stay_connected,
                "started_at": rfc3339(one.started_at), "last_used_at": rfc3339(one.last_used_at),
                "expires_at": rfc3339(one.expires_at),
            } for one in running]}  # fmt: skip

    @rpc
    def log_out(self, caller: Caller) -> Any:
        """Ends the caller's session, everywhere within moments."""
        with self.db.transaction(caller) as session:
            self._end(session, caller, caller.session_id, "log_out", now())
        return {}

    @rpc
    def end_session(self, caller: Caller, *, session_id: str) -> Any:
        """Ends one session of the caller's account, everywhere within moments.

        Refuses: SessionNotFound, one and the same for another's session, an ended one and none at all.
        """
        with self.db.transaction(caller) as session:
            own = rules.is_id(session_id) and store_sessions.is_running_session_of(
                session, session_id, caller.account_id
            )
            if not own or not self._end(session, caller, session_id, "ended_by_owner", now()):
                return self._refused(session, caller, "session.ended", SessionNotFound())
        return {}

    @rpc
    def end_sessions(self, caller: Caller, *, others_only: bool = True) -> Any:
        """Logs the caller out everywhere else, or everywhere."""
        with self.db.transaction(caller) as session:
            but = caller.session_id if others_only is not False else None
            ended = self._end_all(session, caller, caller.account_id, "ended_by_owner", now(), but=but)
        return {"ended": ended}

    # --- from outside -------------------------------------------------------------------------------------------------

    @on("directory", LicenceWithdrawn)
    def on_licence_withdrawn(self, session: Session, event: Received) -> None:
        """Ends whatever runs in a professional's name, people's sessions and business software's tokens alike.

        What was opened on the directory's word from after the withdrawal goes on: the licence had come back by then.
        """
        told: LicenceWithdrawn = event.data
        professional_id, cause = told.professional_id, f"licence_{told.licence}"
        until, at = rules_sessions.parsed(told.at) + rules_sessions.CLOCKS, now()
        store.note_licence_lost(session, professional_id, until)
        ended = [
            *store_sessions.end_sessions_of_professional(session, professional_id, cause, until, at),
            *store_sessions.revoke_tokens_of_professional(session, professional_id, until, at),
        ]
        facts: dict[str, Any] = {"capacity": "professional", "professional_id": professional_id}
        self._tell_ended(session, event.context, ended, cause, at, **facts)

    @rpc
    def lock_account(self, caller: Caller, *, matricule: str, cause: str) -> Any:
        """Nobody logs in to this account any more, and all its sessions end; its owner is told.

        A second time changes nothing. Refuses: NotAllowed (agency only), InvalidInput, AccountNotFound.
        """
        at = now()
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return self._refused(session, caller, "account.locked", NotAllowed())
            cause = rules_sessions.require_lock_cause(cause)
            account = store.account_of_name(session, self.key.log_in_name(rules.require_matricule(matricule)))
            if account is None:
                return self._refused(session, caller, "account.locked", AccountNotFound())
            if store.lock_account(session, account.account_id, cause, at):
                emit(session, self._about(caller, "account.locked", account.account_id, at, cause))
                self._end_all(session, caller, account.account_id, "account_locked", at)
                store_account.void_resets(session, account.account_id, at)  # or they were good again one day
                self._notice(session, account.account_id, "account_locked", at)
        return {"account_id": account.account_id, "locked": True}

    @rpc
    def unlock_account(self, caller: Caller, *, matricule: str) -> Any:
        """Opens a locked account again; its owner is told.

        A second time changes nothing. Refuses: NotAllowed (agency only), InvalidInput, AccountNotFound.
        """
        at = now()
        with self.db.transaction(caller) as session:
            if caller.capacity != "agent":
                return self._refused(session, caller, "account.unlocked", NotAllowed())
            account = store.account_of_name(session, self.key.log_in_name(rules.require_matricule(matricule)))
            if account is None:
                return self._refused(session, caller, "account.unlocked", AccountNotFound())
            if store.unlock_account(session, account.account_id):
                emit(session, self._about(caller, "account.unlocked", account.account_id, at))
                self._notice(session, account.account_id, "account_unlocked", at)
        return {"account_id": account.account_id, "locked": False}

    # --- "Mes services eSanté" ----------------------------------------------------------------------------------------

    @rpc
    def account_services(self, caller: Caller) -> Any:
        """Which services this account may open, in which of its capacities, and why one is not available.

        Refuses: NotAllowed (business software has no account), Unavailable. [domain.md, Accounts]
        """
        at = now()
        with self.db.transaction(caller) as session:
            account = store.account(session, caller.account_id)
            accepted = store.accepted_conditions(session, caller.account_id)
            if account is None:
                return self._refused(session, caller, "account.read", NotAllowed())
            emit(session, traced(caller, "account.read", at=at, object_type="services"))
        professional_id = account.subject_of("professional")
        facts = self._professional(caller.context, professional_id) if professional_id else None
        due = [kind for kind, version in accepted.items() if rules_sessions.conditions_are_due(version)]
        return {"services": rules_sessions.services_of(account.held, rules.licence_is_valid(facts), due)}

    def _about(self, caller: Caller, action: str, account_id: str, at: datetime, cause: str | None = None) -> Any:
        """The trace of what the agency did to an account."""
        return traced(caller, action, at=at, object_id=account_id, object_type="account", purpose=cause)
