"""Business software gets its tokens: OAuth 2 client credentials, each client authenticated by an assertion it signs.

Refusals are in the words of RFC 6749 (`TokenRefused`) and returned, so that their trace and their try are kept.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, keep_ended_session, rpc_public
from services.db import now, rfc3339
from services.identity import rules_machines as machines
from services.identity import store, store_machines
from services.identity.contract import SessionEnded
from services.identity.contract_machines import TOKEN_PATH, TokenRefused
from services.identity.models_machines import MachineToken, SoftwareClient
from services.identity.ports import assertions
from services.identity.ports.signing import signed_token
from services.identity.software import Software
from services.refusals import Refusal, TooManyTries, Unauthenticated
from services.settings import load
from services.tokens import AUDIENCE, ISSUER, Context, Verifier

Work = Callable[[Session, SoftwareClient], Any]


class Machines(Software):
    """The entrypoints of business software."""

    @rpc_public
    def issue_token(
        self, context: Context, *, client_assertion: str | None = None, client_assertion_type: str | None = None,
        client_id: str | None = None, grant_type: str | None = None, scope: str | None = None,
        on_behalf_of: str | None = None, purpose_of_use: str | None = None,
    ) -> Any:  # fmt: skip
        """An access token of five minutes, for the software itself or on behalf of a professional of its organisation.

        on_behalf_of: the professional's id, with the HL7 purpose_of_use. scope: all that is open when None.
        The token is noted before the directory is asked about the professional: whoever loses the licence meanwhile
        has it ended like any other. Refuses: TokenRefused, TooManyTries, Unavailable.
        [RFC 6749 4.4; RFC 7523; SMART App Launch 2.2, Backend Services]
        """
        at = now()

        def note(session: Session, client: SoftwareClient) -> tuple[SoftwareClient, MachineToken]:
            machines.require_grant(grant_type)
            professional_id = machines.require_professional(on_behalf_of)
            purpose = machines.require_purpose(purpose_of_use, professional_id is not None)
            held = store_machines.hold_client(session, client.client_id)
            granted = machines.grant_scope(
                scope, held.scopes, machines.require_state(held.state), bool(professional_id)
            )
            ends = at + machines.TOKEN_LIFETIME
            return held, store_machines.add_token(session, held.client_id, professional_id, granted, purpose, at, ends)

        noted = self._for_client(context, client_assertion_type, client_assertion, client_id, at, note)
        if isinstance(noted, Refusal):
            return noted
        client, token = noted
        facts = self._professional(context, token.professional_id) if token.professional_id else None
        with self.db.transaction(context) as session:
            if token.professional_id and not machines.may_act_for(facts, client.establishment_id):
                store_machines.end_token(session, token.token_id, now())
                wrong = machines.refused("invalid_grant", "This professional does not work here with a valid licence.")
                return self._token_refused(session, context, wrong, client, token)
            if not store_machines.is_running(session, token.token_id, now()):
                wrong = machines.refused("invalid_grant", "Ended meanwhile.")
                return self._token_refused(session, context, wrong, client, token)
            emit(session, traced(context, "token.issued", at=now(), object_id=token.token_id, object_type="token",
                                 purpose=token.purpose, session_id=token.token_id, **_who(client, token)))  # fmt: skip
            return self._signed(session, client, token, facts, at)

    @rpc_public
    def introspect_token(
        self, context: Context, *, token: str | None = None, client_assertion: str | None = None,
        client_assertion_type: str | None = None, client_id: str | None = None,
    ) -> Any:  # fmt: skip
        """What one of the client's own tokens is worth; every other one is just not active.

        Refuses: TokenRefused, TooManyTries. [RFC 7662]
        """
        at = now()

        def look(session: Session, client: SoftwareClient) -> dict[str, Any]:
            claims, found = self._own_token(session, client, token, at)
            emit(session, traced(context, "token.read", at=at, **_object(found), **_who(client, found)))
            return _introspected(claims, found) if found else {"active": False}

        return self._for_client(context, client_assertion_type, client_assertion, client_id, at, look)

    @rpc_public
    def revoke_token(
        self, context: Context, *, token: str | None = None, client_assertion: str | None = None,
        client_assertion_type: str | None = None, client_id: str | None = None,
    ) -> Any:  # fmt: skip
        """Ends one of the client's own tokens, everywhere within moments; what is none is over already.

        Refuses: TokenRefused, TooManyTries. [RFC 7009]
        """
        at = now()

        def end(session: Session, client: SoftwareClient) -> dict[str, Any]:
            _, found = self._own_token(session, client, token, at)
            if found is not None and store_machines.end_token(session, found.token_id, at):
                keep_ended_session(session, found.token_id)
                emit(session, SessionEnded(session_id=found.token_id, at=rfc3339(at)))
            emit(session, traced(context, "token.revoked", at=at, **_object(found), **_who(client, found)))
            return {"active": False}

        return self._for_client(context, client_assertion_type, client_assertion, client_id, at, end)

    # --- the steps behind several of the above ------------------------------------------------------------------------

    def _for_client(
        self, context: Context, kind: object, assertion: object, said: object, at: datetime, work: Work
    ) -> Any:
        """Does some work for the client that has shown who it is; whatever is refused is counted and traced.

        said: the client_id beside the assertion, where there is one. The assertion is used up whatever follows.
        """
        named, client = None, None
        try:
            named = machines.client_named(assertions.unproved_claims(machines.require_assertion(kind, assertion)))
        except TokenRefused:
            pass  # it is refused below, counted
        address = context.address or ""
        throttle = [(self.key.throttle_key("oauth", named or "", address), machines.PER_CLIENT),
                    (self.key.throttle_key("oauth", address), machines.PER_ADDRESS)]  # fmt: skip
        with self.db.transaction(context) as session:
            if wait := store.take_tries(session, throttle, at):
                return self._refused(session, context, "token.refused", TooManyTries(retry_after=wait))
            try:
                client = self._proved(session, kind, assertion, named, said, at)
                answer = work(session, client)
            except TokenRefused as refusal:
                return self._token_refused(session, context, refusal, client)
            store.give_back_tries(session, throttle)
            return answer

    def _proved(
        self, session: Session, kind: object, assertion: object, named: str | None, said: object, at: datetime
    ) -> SoftwareClient:
        """The client whose assertion this is, presented for the first time. Refuses: TokenRefused."""
        text = machines.require_assertion(kind, assertion)
        client = store_machines.client(session, named)
        claims = assertions.proved_claims(text, client.jwks if client else None)
        issuer = load().public_url.rstrip("/")
        jti, expires_at = machines.require_claims(claims, (issuer, issuer + TOKEN_PATH), at)
        if client is None or said not in (None, client.client_id):
            raise machines.refused("invalid_client", "client_id is not the one of the assertion.")
        if not store_machines.use_assertion(session, client.client_id, jti, expires_at):
            raise machines.refused("invalid_client", "This assertion was presented before; sign a new one.")
        return client

    def _token_refused(
        self, session: Session, context: Context, refusal: TokenRefused, client: SoftwareClient | None,
        token: MachineToken | None = None,
    ) -> TokenRefused:  # fmt: skip
        """Leaves the refusal's trace, with the reason in OAuth's words, and hands the refusal on."""
        whose = _who(client, token) if client else {}
        reason = refusal.detail["error"]
        emit(session, traced(context, "token.refused", at=now(), outcome="refused", reason=reason, **whose))
        return refusal

    def _signed(
        self, session: Session, client: SoftwareClient, token: MachineToken, facts: dict[str, Any] | None, at: datetime
    ) -> dict[str, Any]:
        signing, issued = store.current_key(session, at), int(at.timestamp())
        lifetime = int(machines.TOKEN_LIFETIME.total_seconds())
        claims = {
            "sub": client.client_id, "sid": token.token_id, "cap": _capacity(token), "pro": token.professional_id,
            "prof": facts["profession"] if facts else None, "est": client.establishment_id, "cli": client.client_id,
            "scope": token.scope, "pou": token.purpose, "iat": issued, "exp": issued + lifetime,
        }  # fmt: skip
        text = signed_token(claims, kid=signing.kid, x=signing.jwk["x"], wrapped=signing.wrapped,
                            wrapping_key=self.key.wrapping_key())  # fmt: skip
        return {"access_token": text, "token_type": "Bearer", "expires_in": lifetime, "scope": token.scope}

    def _own_token(
        self, session: Session, client: SoftwareClient, text: object, at: datetime
    ) -> tuple[dict[str, Any], MachineToken | None]:
        """The claims and the row of a running token of this client. Refuses: TokenRefused when none was sent."""
        if not isinstance(text, str) or not text:
            raise machines.refused("invalid_request", "token is missing.")
        keys = {key["kid"]: dict(key) for key in store.public_keys(session, at)}
        try:
            claims = Verifier(keys.get).claims(text)
        except Unauthenticated:
            return {}, None
        found = store_machines.token_of(session, claims["sid"], client.client_id)
        return claims, found if found is not None and store_machines.is_running(session, found.token_id, at) else None


def _capacity(token: MachineToken | None) -> str:
    return "professional" if token is not None and token.professional_id else "machine"


def _who(client: SoftwareClient, token: MachineToken | None) -> dict[str, Any]:
    """Whose request it is, for its trace: the software, its organisation, and whom it acts for."""
    return {
        "account_id": client.client_id, "establishment_id": client.establishment_id, "capacity": _capacity(token),
        "professional_id": token.professional_id if token else None,
    }  # fmt: skip


def _object(token: MachineToken | None) -> dict[str, Any]:
    return {"object_id": token.token_id, "object_type": "token"} if token else {}


def _introspected(claims: dict[str, Any], token: MachineToken) -> dict[str, Any]:
    extra = {"on_behalf_of": token.professional_id, "purpose_of_use": token.purpose}
    return {
        "active": True, "scope": token.scope, "client_id": token.client_id, "token_type": "Bearer",
        "sub": token.client_id, "aud": AUDIENCE, "iss": ISSUER, "jti": claims["jti"], "iat": claims["iat"],
        "exp": claims["exp"], **{name: value for name, value in extra.items() if value is not None},
    }  # fmt: skip
