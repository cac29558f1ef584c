"""The account page: what its owner sees and changes of it.

Whoever changes where codes go must have shown lately that it is them; every old address is told of it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc
from services.db import now, once, remember, rfc3339
from services.identity import rules, rules_sessions, store, store_account, store_codes
from services.identity import rules_passwords as passwords
from services.identity import rules_throttles as throttles
from services.identity.contract import (
    LANGUAGES,
    ContactTaken,
    OneTimeCodeRefused,
    OneTimeCodeRequested,
    PasswordRefused,
)
from services.identity.contract_account import ContactNotFound, LastContact
from services.identity.desk import Desk
from services.identity.models import Account
from services.refusals import TooManyTries
from services.tokens import Caller

PURPOSE = "account_contact"


class AccountPage(Desk):
    """The entrypoints of the account page."""

    @rpc
    def describe_account(self, caller: Caller) -> Any:
        """The caller's account: language, capacities, contacts, LuxTrust products, apps and devices."""
        with self.db.transaction(caller) as session:
            emit(session, traced(caller, "account.read", at=now()))
            return store_account.describe(session, self._own(session, caller))

    @rpc
    def set_language(self, caller: Caller, *, language: str) -> Any:
        """The language in which the owner is written to. Refuses: InvalidInput."""
        if language not in LANGUAGES:
            raise rules.invalid("/language", "unknown")
        with self.db.transaction(caller) as session:
            account = self._own(session, caller)
            account.language = language
            emit(session, traced(caller, "account.changed", at=now(), purpose="language"))
            return store_account.describe(session, account)

    # --- contacts -----------------------------------------------------------------------------------------------------

    @rpc
    def add_account_contact(self, caller: Caller, *, kind: str, value: str) -> Any:
        """Takes a further address and has a one-time code sent to it; it counts once that code has come back.

        Refuses: ReauthenticationDue, InvalidInput (address, or one the account has proved already), TooManyTries.
        [seed 002, Mon compte; domain.md, Accounts]
        """
        value, at = rules.require_contact(kind, value), now()
        body = {"kind": kind, "value": value}
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "add_account_contact", body):
                return answered
            if stale := self._not_fresh(session, caller, "contact.added", at):
                return stale
            account = self._own(session, caller)
            if store_account.holds_contact(session, account.account_id, kind, value):
                raise rules.invalid("/value", "already_proved")
            if wait := self._take_sending(session, caller, at):
                return self._refused(session, caller, "contact.added", TooManyTries(retry_after=wait))
            contact = store_account.add_contact(session, account.account_id, kind, value, at)
            challenge = store_account.add_contact_challenge(session, contact, caller.session_id, account.language, at)
            return remember(session, caller, "add_account_contact", body, self._sent(session, caller, challenge, at))

    @rpc
    def resend_account_code(self, caller: Caller, *, challenge_id: str) -> Any:
        """Sends the same code once more, for as long as it had.

        Refuses: OneTimeCodeRefused (not this session's, used, expired), TooManyTries (sent three times).
        """
        at = now()
        with self.db.transaction(caller) as session:
            challenge = self._challenge(session, caller, challenge_id)
            if challenge is None or store_codes.sendable_challenge(session, challenge_id, PURPOSE, at) is None:
                return self._refused(session, caller, "contact.added", OneTimeCodeRefused())
            wait = self._take_sending(session, caller, at)
            if wait is None and not store_codes.count_sent(session, challenge_id):
                wait = rules_sessions.seconds_until(challenge.expires_at, at)
            if wait is not None:
                return self._refused(session, caller, "contact.added", TooManyTries(retry_after=wait))
            return self._sent(session, caller, challenge, at)

    @rpc
    def prove_account_contact(self, caller: Caller, *, challenge_id: str, code: str) -> Any:
        """Proves the new address with the code that was sent to it; every address is told, the old ones too.

        Refuses: OneTimeCodeRefused (wrong, used, expired, of another account, session or purpose), ContactTaken (a
        professional's e-mail that another account has proved).
        """
        at = now()
        with self.db.transaction(caller) as session:
            account = store_account.locked_account(session, caller.account_id)
            challenge = self._challenge(session, caller, challenge_id)
            right = self.key.is_one_time_code(str(challenge_id), code)
            if challenge is not None and not right:
                store_codes.count_wrong_code(session, challenge_id, at)
            if account is None or challenge is None or not right or not store_codes.use_challenge(
                session, challenge_id, at
            ):  # fmt: skip
                return self._refused(session, caller, "contact.added", OneTimeCodeRefused())
            if not self._prove(session, caller, challenge, at):
                store_account.drop_contact(session, challenge.contact_id)
                return self._refused(session, caller, "contact.added", ContactTaken())
            self._notice(session, account.account_id, "contact_added", at, object_id=challenge.contact_id)
            emit(session, traced(caller, "contact.added", at=at, object_id=challenge.contact_id, object_type="contact",
                                 purpose=challenge.channel))  # fmt: skip
            return store_account.describe(session, account)

    @rpc
    def remove_contact(self, caller: Caller, *, contact_id: str) -> Any:
        """Removes an address; it is told, and so are all others.

        Refuses: ReauthenticationDue, ContactNotFound, LastContact: one proved address must stay.
        """
        at = now()
        with self.db.transaction(caller) as session:
            if stale := self._not_fresh(session, caller, "contact.removed", at):
                return stale
            account = store_account.locked_account(session, caller.account_id)
            proved = store.proved_contacts(session, caller.account_id)
            gone = next((one for one in proved if one.contact_id == contact_id), None)
            if account is None or gone is None:
                return self._refused(session, caller, "contact.removed", ContactNotFound())
            if len(proved) == 1:
                return self._refused(session, caller, "contact.removed", LastContact())
            told = {"kind": gone.kind, "value": gone.value}
            store_account.drop_contact(session, contact_id)
            if gone.kind == "email":  # links to a new password die with the address they went to
                store_account.void_resets(session, account.account_id, at)
            self._notice(session, account.account_id, "contact_removed", at, object_id=contact_id, also=[told])
            emit(session, traced(caller, "contact.removed", at=at, object_id=contact_id, object_type="contact",
                                 purpose=gone.kind))  # fmt: skip
            return store_account.describe(session, account)

    # --- password -----------------------------------------------------------------------------------------------------

    @rpc
    def change_password(self, caller: Caller, *, current_password: str, password: str) -> Any:
        """Chooses a new password with the old one; all other sessions end, every address is told.

        Refuses: PasswordTooShort, PasswordTooLong, PasswordTooCommon, TooManyTries (counted with the tries at
        log-in), PasswordRefused. [NIST SP 800-63B-4 3.1.1.2; ASVS 5.0 6.2.3]
        """
        given, password = passwords.normal_password(current_password), passwords.normal_password(password)
        at = now()
        with self.db.transaction(caller) as session:
            account = self._own(session, caller)
            self._require_password(account.log_in_name, password)
            throttle = self._throttle("log_in", account.log_in_name, caller.context)
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, caller, "password.changed", TooManyTries(retry_after=wait))
            old_hash = account.password_hash
        fits = len(given) <= passwords.PASSWORD_MAXIMUM
        right = self.hashing.matches(old_hash if fits else None, given[: passwords.PASSWORD_MAXIMUM])
        new_hash = self.hashing.hash(password) if right else ""
        at = now()
        with self.db.transaction(caller) as session:
            if not right or not store_account.change_password(session, caller.account_id, old_hash, new_hash, at):
                return self._refused(session, caller, "password.changed", PasswordRefused())
            store.give_back_tries(session, throttle)
            store_account.void_resets(session, caller.account_id, at)
            self._end_all(session, caller, caller.account_id, "password_changed", at, but=caller.session_id)
            self._notice(session, caller.account_id, "password_changed", at)
            emit(session, traced(caller, "password.changed", at=at))
        return {}

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _own(self, session: Session, caller: Caller) -> Account:
        return session.get_one(Account, caller.account_id)

    def _challenge(self, session: Session, caller: Caller, challenge_id: str) -> Any:
        if not rules.is_id(challenge_id):
            return None
        return store_account.contact_challenge(session, challenge_id, caller.account_id, caller.session_id)

    def _take_sending(self, session: Session, caller: Caller, at: datetime) -> int | None:
        """Seconds to wait when the owner of this account has had too many codes sent: each costs somebody a message."""
        key = self.key.throttle_key("account_codes", caller.account_id)
        return store.take_tries(session, [(key, throttles.PER_CODES_SENT)], at)

    def _sent(self, session: Session, caller: Caller, challenge: Any, at: datetime) -> dict[str, Any]:
        emit(session, OneTimeCodeRequested(challenge_id=challenge.challenge_id, purpose=challenge.purpose))
        emit(session, traced(caller, "account.change_begun", at=at, purpose="contact", object_id=challenge.contact_id,
                             object_type="contact"))  # fmt: skip
        return {"challenge_id": challenge.challenge_id, "expires_at": rfc3339(challenge.expires_at)}

    def _prove(self, session: Session, caller: Caller, challenge: Any, at: datetime) -> bool:
        """A professional's e-mail is individual, in whatever capacity its owner is logged in [domain.md, Accounts]."""
        held = store.account(session, caller.account_id)
        individual = challenge.channel == "email" and held is not None and held.subject_of("professional") is not None
        return store_account.prove_contact(session, challenge.contact_id, individual, at)
