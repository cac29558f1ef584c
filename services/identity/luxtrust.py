"""LuxTrust through OpenID Connect: log-in, a professional's first step of activation, the account's products.

A journey leads from here to LuxTrust's own pages and back (GET /luxtrust/callback). It can be walked once, by the
browser that set out (a cookie of which only the hash is kept); state, nonce and PKCE verifier follow from its id.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc, rpc_public
from services.db import new_id, now, rfc3339
from services.identity import rules, rules_factors, store, store_activation, store_factors, store_sessions
from services.identity import rules_throttles as throttles
from services.identity.contract import (
    LogInRefused,
    LuxTrustNotFound,
    LuxTrustPending,
    LuxTrustRefused,
    LuxTrustTaken,
)
from services.identity.desk import Throttle
from services.identity.entry import Entry
from services.identity.models import Activation
from services.identity.models_factors import LuxTrustFlow
from services.identity.ports import codes
from services.identity.ports.luxtrust import Identified, Issuer, issuer
from services.refusals import Refusal, TooManyTries, Unavailable
from services.tokens import Caller, Context

ACTIONS = {"log_in": "session.opened", "activation": "account.activated", "link": "luxtrust.linked"}
JOURNEY = "luxtrust_journey"
BEGUN = {"log_in": "log_in.begun", "activation": "activation.step", "link": "account.change_begun"}


class LuxTrust(Entry):
    """The entrypoints of LuxTrust."""

    _activation: Callable[..., Activation | Refusal]  # activation.py

    @cached_property
    def luxtrust(self) -> Issuer:
        """LuxTrust, or the issuer that the settings name instead."""
        return issuer()

    # --- setting out --------------------------------------------------------------------------------------------------

    @rpc_public
    def start_luxtrust_log_in(self, context: Context) -> Any:
        """Begins a log-in at LuxTrust; the front end that begins it gets the token with which alone it is finished.

        Refuses: TooManyTries (by address), Unavailable. [domain.md, Accounts; OpenID Connect Core 3.1]
        """
        flow_id, token, at = new_id(), codes.new_token(), now()
        url = self._authorization_url(flow_id)
        with self.db.transaction(context) as session:
            if wait := store.take_tries(session, self._throttle("luxtrust", flow_id.encode(), context), at):
                return self._refused(session, context, "session.opened", TooManyTries(retry_after=wait))
            begun = self._set_out(session, context, flow_id, "log_in", url, at, token_hash=codes.token_hash(token))
            return begun | {"log_in_token": token}

    @rpc_public
    def start_luxtrust_activation(self, context: Context, *, activation_id: str, activation_token: str) -> Any:
        """Begins the step of an activation in which a professional shows their LuxTrust product.

        Refuses: ActivationNotFound, ActivationComplete, StepOutOfOrder, TooManyTries, Unavailable. [seed 003, step 1]
        """
        flow_id, at = new_id(), now()
        with self.db.transaction(context) as session:
            found = self._activation(session, context, activation_id, activation_token, "luxtrust")
            if isinstance(found, Refusal):
                return found
        url = self._authorization_url(flow_id)
        with self.db.transaction(context) as session:
            if wait := store.take_tries(session, self._throttle("luxtrust", activation_id.encode(), context), at):
                return self._refused(session, context, "account.activated", TooManyTries(retry_after=wait))
            return self._set_out(session, context, flow_id, "activation", url, at, activation_id=activation_id)

    @rpc
    def start_luxtrust_link(self, caller: Caller) -> Any:
        """Begins to link one more LuxTrust product with the caller's account.

        Refuses: ReauthenticationDue, TooManyTries, Unavailable. [domain.md, Accounts, "Mon compte"]
        """
        flow_id, at = new_id(), now()
        with self.db.transaction(caller) as session:
            if stale := self._not_fresh(session, caller, "luxtrust.linked", at):
                return stale
        url = self._authorization_url(flow_id)
        with self.db.transaction(caller) as session:
            throttle = self._throttle("luxtrust_link", caller.account_id.encode(), caller.context)
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, caller, "luxtrust.linked", TooManyTries(retry_after=wait))
            return self._set_out(
                session, caller, flow_id, "link", url, at, account_id=caller.account_id, session_id=caller.session_id
            )

    # --- coming back --------------------------------------------------------------------------------------------------

    @rpc_public
    def luxtrust_returned(
        self, context: Context, *, state: str, binding: str | None, code: str | None = None, error: str | None = None
    ) -> Any:  # fmt: skip
        """Takes somebody back from LuxTrust, once, and only in the browser that set out.

        Answers with the purpose of the journey and whether it was done or cancelled. Refuses: LuxTrustRefused,
        LuxTrustTaken (link), Unavailable; a journey that was refused is over, and another one begins anew.
        """
        flow_id, at = self.key.luxtrust_flow(state), now()
        with self.db.transaction(context) as session:
            flow = store_factors.flow(session, flow_id)
            if flow is None or not codes.same_token(flow.binding_hash, binding):
                return self._refused(session, context, "session.opened", LuxTrustRefused())
            if not store_factors.claim_return(session, flow.flow_id, at):
                return self._turned_back(session, context, flow, LuxTrustRefused())
        try:
            holder = self._holder(flow, code)
        except Unavailable as away:
            with self.db.transaction(context) as session:
                return self._over(session, context, flow, away)
        with self.db.transaction(context) as session:
            if holder is None:
                refusal = self._over(session, context, flow, LuxTrustRefused())
                return _told(flow, "cancelled") if error == "access_denied" else refusal
            arrived = self._arrived(session, context, flow, holder, now())
        if not isinstance(arrived, Refusal) and (throttle := self._begun_with(flow, context)):
            # By itself: whoever sets out holds these rows and then asks for the activation's, which is held above.
            with self.db.transaction(context) as session:
                store.give_back_tries(session, throttle)
        return arrived

    @rpc_public
    def finish_luxtrust_log_in(
        self, context: Context, *, flow_id: str, log_in_token: str, capacity: str | None = None,
        establishment_id: str | None = None, stay_connected: bool = False,
        conditions: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Opens a session for whoever came back from LuxTrust, in the capacity and at the workplace chosen.

        Refuses: LuxTrustPending (nobody came back yet), LogInRefused: one and the same for a journey that is unknown,
        over or was refused, a wrong token and a product that opens no account; InvalidInput, ConditionsDue,
        AccountLocked, LicenceNotValid, Unavailable. [domain.md, Accounts]
        """
        at = now()
        with self.db.transaction(context) as session:
            flow = store_factors.flow(session, flow_id) if rules.is_id(flow_id) else None
            if flow is None or flow.token_hash is None or not codes.same_token(flow.token_hash, log_in_token):
                return self._refused(session, context, "session.opened", LogInRefused())
            subject = flow.subject
            account = store.account(session, store_factors.product_owner(session, subject)) if subject else None
            entered = account is not None and store_sessions.opened_by(session, account.account_id, context)
            if (flow.used_at is not None or flow.expires_at <= at) and not entered:
                return self._refused(session, context, "session.opened", LogInRefused())
            if subject is None:
                return self._refused(session, context, "session.opened", LuxTrustPending())
            if account is None:
                store_factors.use_flow(session, flow_id, at)
                return self._refused(session, context, "session.opened", LogInRefused())

        def use_up(session: Session) -> bool:
            opens = store_factors.note_product_use(session, subject, account.account_id, at)
            if not opens or not store_factors.use_flow(session, flow_id, at):
                return False
            store.give_back_tries(session, self._throttle("luxtrust", flow_id.encode(), context))
            return True

        return self._enter(context, account, use_up, LogInRefused(), "luxtrust", capacity=capacity,
                           establishment_id=establishment_id, stay_connected=stay_connected,
                           conditions=conditions)  # fmt: skip

    # --- the account's products ---------------------------------------------------------------------------------------

    @rpc
    def unlink_luxtrust(self, caller: Caller, *, product_id: str) -> Any:
        """Takes a LuxTrust product off the caller's account; its owner is told.

        Refuses: ReauthenticationDue, LuxTrustNotFound.
        """
        at = now()
        with self.db.transaction(caller) as session:
            if stale := self._not_fresh(session, caller, "luxtrust.unlinked", at):
                return stale
            known = rules.is_id(product_id)
            if not known or not store_factors.remove_product(session, product_id, caller.account_id):
                return self._refused(session, caller, "luxtrust.unlinked", LuxTrustNotFound())
            self._notice(session, caller.account_id, "luxtrust_unlinked", at, object_id=product_id)
            emit(session, traced(caller, "luxtrust.unlinked", at=at, object_id=product_id, object_type="luxtrust"))
        return {}

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _authorization_url(self, flow_id: str) -> str:
        """Asked outside of transactions: the issuer may take its time. Refuses: Unavailable."""
        return self.luxtrust.authorization_url(
            state=self.key.luxtrust_state(flow_id), nonce=self.key.luxtrust_nonce(flow_id),
            verifier=self.key.luxtrust_verifier(flow_id),
        )  # fmt: skip

    def _set_out(
        self, session: Session, who: Caller | Context, flow_id: str, purpose: str, url: str, at: datetime, **whose: Any
    ) -> dict[str, Any]:
        """The journey, and what the browser that sets out on it gets to prove that it is the one."""
        binding = codes.new_token()
        flow = store_factors.add_flow(session, flow_id, purpose, codes.token_hash(binding), at, **whose)
        emit(session, traced(who, BEGUN[purpose], at=at, purpose="luxtrust", object_id=flow_id, object_type=JOURNEY))
        return {"flow_id": flow_id, "authorization_url": url, "expires_at": rfc3339(flow.expires_at),
                "binding": binding}  # fmt: skip

    def _holder(self, flow: LuxTrustFlow, code: str | None) -> Identified | None:
        """Whom LuxTrust vouches for; None when it does not, or not for this journey. Refuses: Unavailable."""
        if not code:
            return None
        nonce, verifier = self.key.luxtrust_nonce(flow.flow_id), self.key.luxtrust_verifier(flow.flow_id)
        holder = self.luxtrust.identify(code, nonce=nonce, verifier=verifier)
        if holder is None or not rules_factors.was_proved_for_this(holder.authenticated_at, flow.created_at):
            return None
        return holder

    def _arrived(
        self, session: Session, context: Context, flow: LuxTrustFlow, holder: Identified, at: datetime
    ) -> dict[str, Any] | Refusal:
        """What each purpose makes of a proved holder."""
        subject = self.key.luxtrust_subject(self.luxtrust.issuer, holder.subject)
        product = rules_factors.product_of(holder.means)
        if flow.purpose == "log_in":
            store_factors.keep_subject(session, flow.flow_id, subject, product)
            emit(session, traced(context, "log_in.continued", at=at, purpose="luxtrust", object_id=flow.flow_id,
                                 object_type=JOURNEY))  # fmt: skip
            return _told(flow, "done")
        if not store_factors.use_flow(session, flow.flow_id, at):
            return self._turned_back(session, context, flow, LuxTrustRefused())
        if flow.purpose == "activation":
            return self._shown_in_activation(session, context, flow, subject, product, at)
        return self._linked(session, context, flow, subject, product, at)

    def _shown_in_activation(
        self, session: Session, context: Context, flow: LuxTrustFlow, subject: bytes, product: str, at: datetime
    ) -> dict[str, Any] | Refusal:
        """The product of a running activation; whether another account has it is told when the activation is done."""
        activation = store_activation.locked_activation(session, str(flow.activation_id))
        if activation is None or activation.completed_at is not None or activation.expires_at <= at:
            return self._turned_back(session, context, flow, LuxTrustRefused())
        activation.luxtrust_subject, activation.luxtrust_product = subject, product
        emit(session, traced(context, "luxtrust.linked", at=at, purpose="activation",
                             object_id=flow.activation_id, object_type="activation"))  # fmt: skip
        return _told(flow, "done")

    def _linked(
        self, session: Session, context: Context, flow: LuxTrustFlow, subject: bytes, product: str, at: datetime
    ) -> dict[str, Any] | Refusal:
        """The product of the account that set out, if its session still runs; linked twice is linked once."""
        account_id = str(flow.account_id)
        if not store_sessions.is_running_session_of(session, str(flow.session_id), account_id):
            return self._turned_back(session, context, flow, LuxTrustRefused())
        product_id = store_factors.add_product(session, subject, account_id, product, at)
        if product_id is not None:
            self._notice(session, account_id, "luxtrust_linked", at, object_id=product_id)
        elif store_factors.product_owner(session, subject) != account_id:
            return self._turned_back(session, context, flow, LuxTrustTaken())
        emit(session, traced(context, "luxtrust.linked", at=at, account_id=account_id, session_id=flow.session_id,
                             object_id=product_id, object_type="luxtrust"))  # fmt: skip
        return _told(flow, "done")

    def _begun_with(self, flow: LuxTrustFlow, context: Context) -> Throttle:
        """What a journey that ends well gives back, so that many who begin at one address do not slow each other down.

        A log-in gives back when it is finished. With LuxTrust's word for who they are a professional has shown as well
        that their activation was begun in earnest.
        """
        if flow.purpose == "link":
            return self._throttle("luxtrust_link", str(flow.account_id).encode(), context)
        if flow.purpose == "activation":
            begun = self.key.throttle_key("activation_begun", context.address or "")
            own = self._throttle("luxtrust", str(flow.activation_id).encode(), context)
            return [*own, (begun, throttles.PER_ADDRESS)]
        return []

    def _over(self, session: Session, context: Context, flow: LuxTrustFlow, refusal: Refusal) -> Refusal:
        """Ends a journey that led nowhere: whoever waits for it hears so."""
        store_factors.use_flow(session, flow.flow_id, now())
        return self._turned_back(session, context, flow, refusal)

    def _turned_back(self, session: Session, context: Context, flow: LuxTrustFlow, refusal: Refusal) -> Refusal:
        return self._refused(session, context, ACTIONS[flow.purpose], refusal, account_id=flow.account_id)


def _told(flow: LuxTrustFlow, outcome: str) -> dict[str, Any]:
    """What the page of the way back is made of."""
    return {"flow_id": flow.flow_id, "purpose": flow.purpose, "outcome": outcome}
