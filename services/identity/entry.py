"""The one way in: whatever somebody has shown of themselves, from here on every log-in is the same recipe.

Password and code (log_in.py), LuxTrust (luxtrust.py) and passkeys (passkeys.py) check their factors and then enter.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit
from services.db import now
from services.identity import rules, rules_sessions, store, store_sessions
from services.identity.contract import CONDITIONS_VERSION, AccountLocked, ConditionsDue, LicenceNotValid
from services.identity.desk import Desk, person_facts
from services.identity.models import LogInSession
from services.identity.ports import codes
from services.identity.ports.signing import signed_token
from services.refusals import Refusal
from services.tokens import Context

Answer = dict[str, Any] | Refusal


class Entry(Desk):
    """What the entrypoints of log-in share."""

    def _enter(
        self, context: Context, account: store.AccountFacts, use_up: Callable[[Session], bool], refusal: Refusal,
        factors: str, *, capacity: object = None, establishment_id: object = None, stay_connected: object = False,
        conditions: Mapping[str, Any] | None = None,
    ) -> Answer:  # fmt: skip
        """Opens a session for somebody whose factors are right, in the capacity and at the workplace chosen.

        use_up(session): uses up what was shown, in the transaction that opens the session; false means that somebody
        else was faster or that it is over, and is answered with `refusal`. Nothing is used up by a wrong choice, by
        an outage of the directory and by conditions that are due. factors: one of contract.FACTORS.
        conditions: `{"version", "language"}` accepted with this log-in.
        Refuses: InvalidInput (/capacity, /establishment_id, /conditions), Unavailable, ConditionsDue, `refusal`,
        AccountLocked, LicenceNotValid. [domain.md, Accounts; seed 003, CGU]
        """
        accepted = rules_sessions.require_accepted(conditions)
        held = rules.choose_capacity(account.held, capacity)
        at = now()  # the directory is asked after this moment: news of a lost licence that come later count
        facts = self._professional(context, held.subject_id) if held.kind == "professional" else None
        workplace = rules.choose_establishment(held, facts["establishment_ids"] if facts else [], establishment_id)
        with self.db.transaction(context) as session:
            enters = store.entering(session, account.account_id, held.kind)
            due = rules_sessions.conditions_are_due(enters.conditions_version)
            whose = log_in_facts(account, held)
            if due and accepted is None and enters.locked_at is None:
                due_refusal = ConditionsDue(version=CONDITIONS_VERSION)
                return self._refused(session, context, "session.opened", due_refusal, **whose)
            entered = store_sessions.opened_by(session, account.account_id, context)
            if entered is None and not use_up(session):
                return self._refused(session, context, "session.opened", refusal, **whose)
            if enters.locked_at is not None:
                return self._refused(session, context, "session.opened", AccountLocked(), **whose)
            lost = rules_sessions.licence_was_lost_since(enters.licence_lost_at, at)
            if held.kind == "professional" and (lost or not rules.licence_is_valid(facts)):
                return self._refused(session, context, "session.opened", LicenceNotValid(), **whose)
            if entered is not None:
                return self._told(session, context, account, held, entered, facts)
            if due and accepted is not None:
                if store.accept_conditions(session, enters, *accepted, now()):
                    self._activated(session, context, account.account_id, held.kind, held.subject_id, now())
                else:
                    emit(session, traced(context, "account.changed", at=now(), purpose="conditions", **whose))
            store.lift_mail_bar(session, enters, factors)
            return self._open(session, context, account, held, workplace, facts, factors, stay_connected is True, at)

    def _open(
        self, session: Session, context: Context, account: store.AccountFacts, held: rules.Held,
        workplace: str | None, facts: dict[str, Any] | None, factors: str, stay_connected: bool, at: datetime,
    ) -> dict[str, Any]:  # fmt: skip
        """A new session, its trace and its tokens; its owner is told where it is on a kind of device that is new.

        at: from before the directory was asked for the facts.
        """
        log_in = store_sessions.new_session(
            account.account_id, held, workplace, stay_connected, at, factors=factors, context=context
        )

        def keep(session: Session, log_in: LogInSession, token_hash: bytes, moment: datetime) -> Any:
            signing = store_sessions.open_session(session, log_in, token_hash, moment)
            if signing.new_device:
                self._notice(session, account.account_id, "new_device", moment, object_id=log_in.session_id)
            return signing

        return self._told(session, context, account, held, log_in, facts, keep)

    def _told(
        self, session: Session, context: Context, account: store.AccountFacts, held: rules.Held, log_in: LogInSession,
        facts: dict[str, Any] | None, keep: Callable[..., Any] = store_sessions.add_refresh_token,
    ) -> dict[str, Any]:  # fmt: skip
        """The trace of a session that is open now, and its tokens."""
        emit(session, traced(context, "session.opened", at=log_in.started_at, session_id=log_in.session_id,
                             purpose=log_in.factors, establishment_id=log_in.establishment_id,
                             profession=facts["profession"] if facts else None,
                             **log_in_facts(account, held)))  # fmt: skip
        return self._tokens(session, log_in, held, facts, now(), keep)

    def _tokens(
        self, session: Session, log_in: LogInSession, held: rules.Held, facts: dict[str, Any] | None, at: datetime,
        keep: Callable[..., Any] = store_sessions.add_refresh_token,
    ) -> dict[str, Any]:  # fmt: skip
        """A fresh access token and the session's next refresh token; keep: writes it, gives the key that signs."""
        refresh_token, lifetime = codes.new_token(), int(rules.ACCESS_TOKEN_LIFETIME.total_seconds())
        signing = keep(session, log_in, codes.token_hash(refresh_token), at)
        issued = int(at.timestamp())
        claims = {
            "sub": log_in.account_id, "sid": log_in.session_id, "cap": held.kind,
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


def log_in_facts(account: store.AccountFacts | None, held: rules.Held | None = None) -> dict[str, Any]:
    """Whose log-in it is, for its trace: the capacity chosen, or the patient behind the account."""
    if account is None:
        return {}
    if held is not None:
        return {"account_id": account.account_id, "capacity": held.kind, **person_facts(held.kind, held.subject_id)}
    return {"account_id": account.account_id, "patient_id": account.subject_of("patient")}
