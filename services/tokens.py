"""Who is calling: a signed token in, one `Caller` out, built in this one place for every service.

identity signs (Ed25519); everybody else only verifies, with the public keys that identity announced by event.
A signature is checked once per token and process and remembered until the token expires; whether the session has
ended is never remembered, it is asked in the request's own transaction.
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

from services.refusals import Unauthenticated

ALGORITHMS = ["Ed25519", "EdDSA"]
ISSUER = "urn:dsp:identity"
LEEWAY = 2  # seconds; clocks of two machines of one platform
_REMEMBERED = 20_000


@dataclass(frozen=True)
class Context:
    """What travels with every call beside its arguments.

    deadline: epoch seconds after which nobody waits for the answer any more.
    process: the broker user that sent the message, as the broker vouches for it.
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

    @property
    def context(self) -> Context:
        """Itself, so that a Caller and a Context can be passed on alike."""
        return self

    def to_wire(self) -> dict[str, Any]:
        """The travelling part; `process` is the broker's word, never the sender's."""
        return {
            "request_id": self.request_id, "traceparent": self.traceparent, "deadline": self.deadline,
            "locale": self.locale, "address": self.address, "software": self.software,
            "idempotency_key": self.idempotency_key, "token": self.token,
        }  # fmt: skip

    @staticmethod
    def from_wire(wire: Mapping[str, Any], process: str) -> Context:
        return Context(
            request_id=str(wire["request_id"]), traceparent=str(wire["traceparent"]), deadline=float(wire["deadline"]),
            locale=wire.get("locale") or "fr", address=wire.get("address"), software=wire.get("software"),
            idempotency_key=wire.get("idempotency_key"), token=wire.get("token"), process=process,
        )  # fmt: skip

    def without_token(self) -> Context:
        """The same request as a system call of this process: no user speaks through it."""
        return replace(self, token=None, idempotency_key=None)


@dataclass(frozen=True)
class Caller:
    """The person behind a call, in the capacity chosen at log-in (domain.md, Accounts)."""

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
        )  # fmt: skip

    def _check(self, token: str) -> dict[str, Any]:
        try:
            kid = _kid(token)
            key = self._keys.get(kid)
            if key is None:
                found = self._find_key(kid)
                if found is None:
                    raise Unauthenticated()
                key = self._keys[kid] = OKPKey.import_key(found)
            claims = dict(jwt.decode(token, key, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as broken:
            raise Unauthenticated() from broken
        if claims.get("iss") != ISSUER or not all(isinstance(claims.get(k), str) for k in ("sub", "sid", "cap")):
            raise Unauthenticated()
        if not isinstance(claims.get("exp"), int):
            raise Unauthenticated()
        return claims


def _kid(token: str) -> str:
    """The key id a token names, before anything of it is believed."""
    from joserfc.jws import extract_compact

    kid = extract_compact(token.encode()).headers()["kid"]
    if not isinstance(kid, str) or len(kid) > 64:
        raise ValueError("kid")
    return kid
