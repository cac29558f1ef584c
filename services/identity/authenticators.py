"""Authenticator apps (RFC 6238): six digits from the owner's phone instead of a code that is sent."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc
from services.db import new_id, now, once, remember
from services.identity import rules, rules_factors, rules_sessions, store, store_authenticators
from services.identity.contract import AuthenticatorNotFound, OneTimeCodeRefused, TooManyAuthenticators
from services.identity.desk import Desk
from services.identity.ports import totp
from services.refusals import Refusal
from services.tokens import Caller


class Authenticators(Desk):
    """The entrypoints of authenticator apps."""

    @rpc
    def add_authenticator(self, caller: Caller, *, name: str) -> Any:
        """Hands out the secret of a new app; the app counts when its first code has come back.

        The secret is not kept with the answer. A repeat under the same Idempotency-Key finds the same app and unwraps
        its secret once more, so that an answer lost on the way leaves no second app behind; but only for an owner who
        has shown lately that it is them, and while the secret opens nothing yet.
        Refuses: InvalidInput (/name), ReauthenticationDue, TooManyAuthenticators, AuthenticatorNotFound (a repeat,
        when the app counts already or can no longer be proved). [RFC 6238]
        """
        name, at = rules_factors.require_device_name(name), now()
        authenticator_id, secret = new_id(), totp.new_secret()
        wrapped = self.key.wrapped_secret(authenticator_id, secret)
        with self.db.transaction(caller) as session:
            if stale := self._not_fresh(session, caller, "authenticator.added", at):
                return stale
            if begun := once(session, caller, "add_authenticator", {"name": name}):
                return self._handed_out_again(session, caller, begun["authenticator_id"], at)
            store.account_to_enter(session, caller.account_id)  # one at a time, or a sixth slips in beside the fifth
            store_authenticators.forget_unproved(session, caller.account_id, at)
            if store_authenticators.count(session, caller.account_id) >= rules_sessions.AUTHENTICATORS:
                refusal = TooManyAuthenticators(maximum=rules_sessions.AUTHENTICATORS)
                return self._refused(session, caller, "authenticator.added", refusal)
            store_authenticators.add(session, authenticator_id, caller.account_id, wrapped, name, at)
            remember(session, caller, "add_authenticator", {"name": name}, {"authenticator_id": authenticator_id})
            return self._handed_out(session, caller, authenticator_id, secret, name, at)

    @rpc
    def prove_authenticator(self, caller: Caller, *, authenticator_id: str, code: str) -> Any:
        """The app's first code: from now on its codes count at log-in, this one no more.

        Refuses: AuthenticatorNotFound (unknown, proved already, begun too long ago), OneTimeCodeRefused.
        """
        at = now()
        with self.db.transaction(caller) as session:
            known = rules.is_id(authenticator_id)
            app = store_authenticators.unproved(session, authenticator_id, caller.account_id, at) if known else None
            if app is None:
                return self._refused(session, caller, "authenticator.added", AuthenticatorNotFound())
            step = totp.totp_step(self.key.unwrapped_secret(authenticator_id, app.wrapped_secret), code, at)
            if step is None:
                store_authenticators.count_wrong(session, authenticator_id)
                return self._refused(session, caller, "authenticator.added", OneTimeCodeRefused())
            if not store_authenticators.prove(session, authenticator_id, step, at):
                return self._refused(session, caller, "authenticator.added", AuthenticatorNotFound())
            emit(session, traced(caller, "authenticator.added", at=at, object_id=authenticator_id,
                                 object_type="authenticator"))  # fmt: skip
            self._notice(session, caller.account_id, "authenticator_added", at, object_id=authenticator_id)
        return {"authenticator_id": authenticator_id}

    @rpc
    def remove_authenticator(self, caller: Caller, *, authenticator_id: str) -> Any:
        """Codes of this app count no more. Refuses: ReauthenticationDue, AuthenticatorNotFound."""
        at = now()
        with self.db.transaction(caller) as session:
            if stale := self._not_fresh(session, caller, "authenticator.removed", at):
                return stale
            known = rules.is_id(authenticator_id)
            if not known or not store_authenticators.remove(session, authenticator_id, caller.account_id):
                return self._refused(session, caller, "authenticator.removed", AuthenticatorNotFound())
            emit(session, traced(caller, "authenticator.removed", at=at, object_id=authenticator_id,
                                 object_type="authenticator"))  # fmt: skip
            self._notice(session, caller.account_id, "authenticator_removed", at, object_id=authenticator_id)
        return {}

    # --- the steps behind the above -----------------------------------------------------------------------------------

    def _handed_out(
        self, session: Session, caller: Caller, authenticator_id: str, secret: str, name: str, at: datetime
    ) -> dict[str, str]:
        emit(session, traced(caller, "account.change_begun", at=at, purpose="authenticator",
                             object_id=authenticator_id, object_type="authenticator"))  # fmt: skip
        return {"authenticator_id": authenticator_id, "secret": secret, "otpauth_uri": totp.otpauth_uri(secret, name)}

    def _handed_out_again(
        self, session: Session, caller: Caller, authenticator_id: str, at: datetime
    ) -> dict[str, str] | Refusal:
        app = store_authenticators.unproved(session, authenticator_id, caller.account_id, at)
        if app is None:
            return self._refused(session, caller, "authenticator.added", AuthenticatorNotFound())
        secret = self.key.unwrapped_secret(authenticator_id, app.wrapped_secret)
        return self._handed_out(session, caller, authenticator_id, secret, app.name, at)
