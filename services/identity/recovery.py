"""The forgotten password: a link by e-mail that alone does not own the account.

Nobody learns from an answer, nor from the time it takes, whether a matricule has an account or an address is its own:
the link goes out afterwards, by an event that is emitted for everybody and names an address for its owner alone.
"""

from typing import Any

from services.audit.contract import Outcome, traced
from services.bus import emit, rpc_public
from services.db import now, rfc3339
from services.identity import rules, rules_recovery, store, store_account, store_notices
from services.identity import rules_passwords as passwords
from services.identity import rules_throttles as throttles
from services.identity.contract import AccountNoticeDue
from services.identity.contract_account import PasswordResetRefused
from services.identity.desk import Desk, person_facts
from services.refusals import TooManyTries
from services.tokens import Context

NOT_SENT = "not_sent"
"""Why no link went out: no account, not its address, locked, too often. The log need not tell which either."""


class Recovery(Desk):
    """The entrypoints of password resets."""

    @rpc_public
    def request_password_reset(self, context: Context, *, matricule: str, email: str) -> Any:
        """Has a link sent to an e-mail address, if it is a proved one of this person's account, which is not locked.

        The same answer after the same work in every case, thrice a day and account at most. Refuses: InvalidInput
        (not 13 digits, no e-mail address), TooManyTries: by person and address, then by address. [domain.md, Accounts]
        """
        name = self.key.log_in_name(rules.normal_matricule(matricule))
        email, at = rules_recovery.require_mail(email), now()
        with self.db.transaction(context) as session:
            account = store.account_of_name(session, name)
            whose = _of(account)
            if wait := store.take_tries(session, self._throttle("password_reset", name, context), at):
                return self._refused(
                    session, context, "password.reset_requested", TooManyTries(retry_after=wait), **whose
                )
            reset_id, to = store_account.open_reset(session, account.account_id if account else store.NOBODY, email, at)
            language = account.language if account else context.locale
            occasion = "password_reset_requested"
            notice_id = store_notices.put_notice(session, occasion, language, to, reset_id, at)
            emit(session, AccountNoticeDue(notice_id=notice_id, occasion=occasion))
            outcome: tuple[Outcome, str | None] = ("allowed", None) if reset_id else ("refused", NOT_SENT)
            emit(session, traced(context, "password.reset_requested", at=at, outcome=outcome[0], reason=outcome[1],
                                 **whose))  # fmt: skip
        return {"expires_in": int(rules_recovery.RESET_LIFETIME.total_seconds())}

    @rpc_public
    def reset_password(self, context: Context, *, reset_id: str, token: str, password: str) -> Any:
        """Chooses a new password with the link of the mail, once; says how to log in next.

        All sessions end, every address is told. The next code goes by anything but e-mail; where there is nothing
        else, by e-mail after 24 hours.
        Refuses: TooManyTries, PasswordResetRefused (unknown, wrong, used, expired, account locked: all the same),
        PasswordTooShort, PasswordTooLong, PasswordTooCommon: these leave the link good. [decisions.md; ASVS 5.0 6.4.3]
        """
        password, at = passwords.normal_password(password), now()
        throttle = [(self.key.throttle_key("password_reset_link", context.address or ""), throttles.PER_ADDRESS)]
        genuine = rules.is_id(reset_id) and self.key.is_reset_token(reset_id, token)
        with self.db.transaction(context) as session:
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, context, "password.reset", TooManyTries(retry_after=wait))
            account = store_account.live_reset(session, reset_id if genuine else store.NOBODY, at)
            if account is None:
                return self._refused(session, context, "password.reset", PasswordResetRefused())
            account_id, name = account.account_id, account.log_in_name
            store.give_back_tries(session, throttle)
        self._require_password(name, password)
        password_hash = self.hashing.hash(password)
        at = now()
        with self.db.transaction(context) as session:
            locked = store_account.locked_account(session, account_id)
            whose = _of(store.account(session, account_id))
            if locked is None or not store_account.use_reset(session, reset_id, at):
                return self._refused(session, context, "password.reset", PasswordResetRefused(), **whose)
            others = store_account.ways_besides_mail(session, account_id)
            locked.password_hash, locked.password_changed_at = password_hash, at
            locked.mail_codes_from = rules_recovery.mail_codes_from(others, at)
            store_account.void_resets(session, account_id, at)
            self._end_all(session, context, account_id, "password_reset", at)
            self._notice(session, account_id, "password_reset", at)
            emit(session, traced(context, "password.reset", at=at, **whose))
        barred_until = None if others else rfc3339(locked.mail_codes_from)
        return {"next": {"channels": rules_recovery.next_ways(others), "mail_codes_from": barred_until}}


def _of(account: store.AccountFacts | None) -> dict[str, Any]:
    """Whose account it is, for traces."""
    if account is None:
        return {}
    patient_id = account.subject_of("patient")
    return {"account_id": account.account_id, **(person_facts("patient", patient_id) if patient_id else {})}
