"""Who is calling: a signed token in, one `Caller` out, built in this one place for every service.

identity signs (Ed25519); everybody else only verifies, with the public keys that identity announced by event.
A signature is checked once per token and process and remembered until the token expires; whether the session has
ended is never remembered, it is asked in the request's own transaction.

A token speaks for a person who logged in, or for business software: then it names the client, the scopes the client
was given, the purpose of use and, where it acts for somebody, whom.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from services.refusals import Unauthenticated

ALGORITHMS = ["Ed25519", "EdDSA"]
ISSUER = "urn:dsp:identity"
AUDIENCE = "urn:dsp:platform"
"""For whom identity's access tokens are; what it may sign for others one day opens nothing here."""
LEEWAY = 2  # seconds; clocks of two machines of one platform
_REMEMBERED = 20_000
# Made once: a new one for each token, and reading each header twice, made a check 1.9 times a bare verification.
_REGISTRY = JWSRegistry(algorithms=ALGORITHMS)


@dataclass(frozen=True)
class Context:
    """What travels with every call beside its arguments.

    deadline: epoch seconds after which nobody waits for the answer any more.
    process: the broker user that sent the message, as the broker vouches for it.
    redelivered: whether the broker has handed this request to somebody before, who died over it: what is done for it
    may have been done already.
    """

    request_id: str
    traceparent: str
    deadline: float
    locale: str = "fr"
    address: str | None = None
    software: str | None = None
    idempotency_key: str | None = None
    token: str | None = None
    process: str = ""
    redelivered: bool = False

    @property
    def context(self) -> Context:
        """Itself, so that a Caller and a Context can be passed on alike."""
        return self

    def to_wire(self) -> dict[str, Any]:
        """The travelling part; `process` and `redelivered` are the broker's word, never the sender's."""
        return {
            "request_id": self.request_id, "traceparent": self.traceparent, "deadline": self.deadline,
            "locale": self.locale, "address": self.address, "software": self.software,
            "idempotency_key": self.idempotency_key, "token": self.token,
        }  # fmt: skip

    @staticmethod
    def from_wire(wire: Mapping[str, Any], process: str, redelivered: bool = False) -> Context:
        return Context(
            request_id=str(wire["request_id"]), traceparent=str(wire["traceparent"]), deadline=float(wire["deadline"]),
            locale=wire.get("locale") or "fr", address=wire.get("address"), software=wire.get("software"),
            idempotency_key=wire.get("idempotency_key"), token=wire.get("token"), process=process,
            redelivered=redelivered,
        )  # fmt: skip

    def without_token(self) -> Context:
        """The same request as a system call of this process: no user speaks through it."""
        return replace(self, token=None, idempotency_key=None)


@dataclass(frozen=True)
class Caller:
    """The person behind a call, in the capacity chosen at log-in (domain.md, Accounts), or business software.

    scope: what software may ask for, as words; None for a person, who may ask for everything.
    client_id, purpose: the software's own id (its `account_id` too), and the HL7 purpose of use it stated.
    """

    account_id: str
    session_id: str
    capacity: str
    patient_id: str | None
    professional_id: str | None
    profession: str | None
    establishment_id: str | None
    role: str | None
    expires_at: int
    context: Context
    client_id: str | None = None
    scope: str | None = None
    purpose: str | None = None

    def may_ask(self, scope: str) -> bool:
        """Whether this is a person, or software that was given this scope."""
        return self.scope is None or scope in self.scope.split()

    @property
    def acts_as(self) -> str:
        """Who repeats a request by its key: the account, and for software also the person it acts for."""
        return self.account_id if self.client_id is None else f"{self.account_id}|{self.professional_id}"


class Verifier:
    """Turns a token into its claims, asking `find_key(kid)` for a public JWK once per key.

    Refuses: Unauthenticated for anything that is not a valid, current token of identity.
    """

    def __init__(self, find_key: Callable[[str], dict[str, Any] | None]) -> None:
        self._find_key = find_key
        self._keys: dict[str, OKPKey] = {}
        self._seen: dict[bytes, dict[str, Any]] = {}

    def claims(self, token: str | None) -> dict[str, Any]:
        """The token's claims, when signed by identity and not expired."""
        # What stands on a wire may be anything; a signed token is ASCII text.
        if not isinstance(token, str) or not token or not token.isascii():
            raise Unauthenticated()
        digest = sha256(token.encode()).digest()
        claims = self._seen.get(digest)
        if claims is None:
            claims = self._check(token)
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[digest] = claims
        if claims["exp"] + LEEWAY < time.time():
            self._seen.pop(digest, None)
            raise Unauthenticated()
        return claims

    def caller(self, context: Context) -> Caller:
        """The Caller whose token travels in `context`."""
        claims = self.claims(context.token)
        return Caller(
            account_id=claims["sub"], session_id=claims["sid"], capacity=claims["cap"],
            patient_id=claims.get("pat"), professional_id=claims.get("pro"), profession=claims.get("prof"),
            establishment_id=claims.get("est"), role=claims.get("role"), expires_at=claims["exp"], context=context,
            client_id=claims.get("cli"), scope=claims.get("scope"), purpose=claims.get("pou"),
        )  # fmt: skip

    def _check(self, token: str) -> dict[str, Any]:
        try:
            claims = dict(jwt.decode(token, self._key, registry=_REGISTRY).claims)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as broken:
            raise Unauthenticated() from broken
        if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise Unauthenticated()
        if not all(isinstance(claims.get(name), str) for name in ("sub", "sid", "cap")):
            raise Unauthenticated()
        software = (claims.get("cli"), claims.get("scope"))
        if software != (None, None) and not all(isinstance(said, str) for said in software):
            raise Unauthenticated()  # without a scope it would pass for a person, who needs none
        if type(claims.get("exp")) is not int:
            raise Unauthenticated()
        return claims

    def _key(self, signed: Any) -> OKPKey:
        """The key a token names, before anything of it is believed."""
        headers = signed.headers()
        kid = headers["kid"]
        if not isinstance(kid, str) or len(kid) > 64 or headers.get("typ") != "JWT":
            raise ValueError("header")
        key = self._keys.get(kid)
        if key is None:
            found = self._find_key(kid)
            if found is None:
                raise Unauthenticated()
            key = self._keys[kid] = OKPKey.import_key(found)
        return key
