"""Log-in with password and one-time code, sent or from an authenticator app.

Every refusal that follows a guess is returned, not raised: its try and its trace are committed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc_public
from services.db import now, rfc3339
from services.identity import (
    rules,
    rules_sessions,
    store,
    store_account,
    store_authenticators,
    store_codes,
    store_sessions,
)
from services.identity import rules_passwords as passwords
from services.identity import rules_throttles as throttles
from services.identity.contract import (
    ChannelNotAvailable,
    LogInRefused,
    OneTimeCodeRefused,
    OneTimeCodeRequested,
)
from services.identity.desk import Throttle
from services.identity.entry import Entry, log_in_facts
from services.identity.ports.hashing import is_outdated
from services.identity.ports.totp import totp_step
from services.refusals import TooManyTries
from services.tokens import Context

Step = tuple[str, int]  # an authenticator and the time step of its code


class LogIns(Entry):
    """The entrypoints of log-in with a password."""

    @rpc_public
    def start_log_in(self, context: Context, *, matricule: str, password: str, channel: str = "email") -> Any:
        """Checks the password and has a one-time code sent by the channel chosen (nothing is sent for `totp`).

        Refuses: InvalidInput (not 13 digits, channel), TooManyTries, LogInRefused: one and the same, after the same
        work, for an unknown matricule and a wrong password; ChannelNotAvailable, after a right password only.
        [seed 002, Connexion; seed 003; decisions.md, Identity on the bus]
        """
        rules.require_channel(channel)
        name = self.key.log_in_name(rules.normal_matricule(matricule))
        password = passwords.normal_password(password)
        throttle, at = self._throttle("log_in", name, context), now()
        with self.db.transaction(context) as session:
            account = store.account_of_name(session, name)
            whose = log_in_facts(account)
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, context, "session.opened", TooManyTries(retry_after=wait), **whose)
        secret_hash = account.password_hash if account and len(password) <= passwords.PASSWORD_MAXIMUM else None
        right = self.hashing.matches(secret_hash, password[: passwords.PASSWORD_MAXIMUM])
        outdated = right and secret_hash is not None and is_outdated(secret_hash)
        fresh_hash = self.hashing.hash(password) if outdated else None
        with self.db.transaction(context) as session:
            if account is None or not right:
                return self._refused(session, context, "session.opened", LogInRefused(), **whose)
            if fresh_hash is not None and secret_hash is not None:
                store_account.renew_password_hash(session, account.account_id, secret_hash, fresh_hash)
            store.give_back_tries(session, throttle)
            channels = self._channels(session, account, at)
            if channel not in channels:
                refusal = ChannelNotAvailable(channels=list(channels))
                return self._refused(session, context, "session.opened", refusal, **whose)
            if wait := store.take_tries(session, self._sending(account.account_id, context), at):
                return self._refused(session, context, "session.opened", TooManyTries(retry_after=wait), **whose)
            challenge = store_codes.add_challenge_of_log_in(
                session, channels[channel], account.language, at, account.account_id, channel
            )
            if channel != "totp":
                emit(session, OneTimeCodeRequested(challenge_id=challenge.challenge_id, purpose="log_in"))
            emit(session, traced(context, "log_in.begun", at=at, purpose=f"password {channel}", **whose))
            return {"challenge_id": challenge.challenge_id, "expires_at": rfc3339(challenge.expires_at)}

    @rpc_public
    def resend_code(self, context: Context, *, challenge_id: str) -> Any:
        """Has the code of a log-in sent once more: the same code, for as long as it had.

        Refuses: OneTimeCodeRefused (unknown, used, expired, from an app), TooManyTries (sent three times; or too
        many codes for this account from this address). [seed 003, step 4: "Have you received your code? No"]
        """
        at = now()
        with self.db.transaction(context) as session:
            known = rules.is_id(challenge_id)
            challenge = store_codes.sendable_challenge(session, challenge_id, "log_in", at) if known else None
            account = store.account(session, challenge.account_id if challenge else None)
            whose = log_in_facts(account)
            if challenge is None or account is None:
                return self._refused(session, context, "session.opened", OneTimeCodeRefused(), **whose)
            wait = store.take_tries(session, self._sending(account.account_id, context), at)
            if wait is None and not store_codes.count_sent(session, challenge_id):
                wait = rules_sessions.seconds_until(challenge.expires_at, at)
            if wait is not None:
                return self._refused(session, context, "session.opened", TooManyTries(retry_after=wait), **whose)
            emit(session, OneTimeCodeRequested(challenge_id=challenge_id, purpose="log_in"))
            emit(session, traced(context, "log_in.continued", at=at, purpose=f"password {challenge.channel}", **whose))
            return {"challenge_id": challenge_id, "expires_at": rfc3339(challenge.expires_at)}

    @rpc_public
    def confirm_log_in(
        self, context: Context, *, challenge_id: str, code: str, capacity: str | None = None,
        establishment_id: str | None = None, stay_connected: bool = False,
        conditions: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Opens a session with the one-time code, in the capacity and at the workplace chosen.

        A wrong choice of capacity or workplace, and conditions that are due, leave the code good for another call.
        Refuses: OneTimeCodeRefused (wrong, used, expired, five wrong tries, begun with a password that was changed
        since), InvalidInput (/capacity, /establishment_id, /conditions), ConditionsDue, AccountLocked,
        LicenceNotValid, Unavailable. [domain.md, Accounts; seed 004]
        """
        at = now()
        with self.db.transaction(context) as session:
            asked = store_codes.code_of_log_in(session, challenge_id, at) if rules.is_id(challenge_id) else None
            entered = asked is not None and store_sessions.opened_by(session, asked.account.account_id, context)
            step = self._app_step(session, asked, code, at)
            right = entered or step is not None or self._is_sent_code(asked, challenge_id, code)
            if asked is None or not right:
                if asked is not None:
                    store_codes.count_wrong_code(session, challenge_id, at)
                whose = log_in_facts(asked.account if asked else None)
                return self._refused(session, context, "session.opened", OneTimeCodeRefused(), **whose)
            account = asked.account
            if not asked.live and not entered:
                return self._refused(session, context, "session.opened", OneTimeCodeRefused(), **log_in_facts(account))

        def use_up(session: Session) -> bool:
            fresh = step is None or store_authenticators.use_step(session, *step)
            if not fresh or not store_codes.use_code_of_log_in(session, challenge_id, now()):
                return False
            store.give_back_tries(session, self._sending(account.account_id, context))
            return True

        return self._enter(
            context, account, use_up, OneTimeCodeRefused(), f"password {asked.channel}", capacity=capacity,
            establishment_id=establishment_id, stay_connected=stay_connected, conditions=conditions,
        )  # fmt: skip

    # --- the steps behind the above -----------------------------------------------------------------------------------

    def _channels(self, session: Session, account: store.AccountFacts, at: datetime) -> dict[str, str | None]:
        """By which channels a code can reach the account now, with the contact each goes to."""
        held, app = store_codes.ways_of_codes(session, account.account_id)
        open_now = rules_sessions.channels_of(held, app, account.mail_codes_from, at)
        return {channel: held.get(channel) for channel in open_now}

    def _sending(self, account_id: str, context: Context) -> Throttle:
        """Codes that are asked for and not entered, by account and address and, wider, by account alone."""
        return [(self.key.throttle_key("codes_sent", account_id, context.address or ""), throttles.PER_CODES_SENT),
                (self.key.throttle_key("codes_sent", account_id), throttles.PER_CODES_OF_ACCOUNT)]  # fmt: skip

    def _is_sent_code(self, asked: store_codes.LogInCode | None, challenge_id: object, code: object) -> bool:
        """Whether this is the code that was sent; the same work where there is no such challenge."""
        right = self.key.is_one_time_code(str(challenge_id), code)
        return right and asked is not None and asked.channel != "totp"

    def _app_step(
        self, session: Session, asked: store_codes.LogInCode | None, code: object, at: datetime
    ) -> Step | None:
        """Which authenticator shows this code now, and for which time step; none that was used before."""
        if asked is None or asked.channel != "totp":
            return None
        for app in store_authenticators.proved(session, asked.account.account_id):
            secret = self.key.unwrapped_secret(app.authenticator_id, app.wrapped_secret)
            step = totp_step(secret, code, at)
            if step is not None and step > app.last_step:
                return app.authenticator_id, step
        return None
