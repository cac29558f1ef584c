"""A business software as its vendor would write it: a key pair of its own, assertions signed with it, tokens for them.

Used by the system tests, and by the tests of identity, which need the assertions alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import requests
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def new_key(algorithm: str, kid: str | None = None) -> ECKey | OKPKey:
    """A key pair for ES384, or for EdDSA."""
    named = {"kid": kid or uuid4().hex}
    return ECKey.generate_key("P-384", named) if algorithm == "ES384" else OKPKey.generate_key("Ed25519", named)


@dataclass
class Software:
    """One installation; `client_id` is what registering it gave."""

    algorithm: str = "ES384"
    client_id: str = ""
    key: Any = field(default=None)

    def __post_init__(self) -> None:
        self.key = self.key or new_key(self.algorithm)

    @property
    def jwks(self) -> dict[str, Any]:
        """The public half of its key, as it is registered."""
        public = self.key.as_dict(private=False)
        return {"keys": [{name: str(public[name]) for name in ("kty", "crv", "x", "y", "kid") if name in public}]}

    def assertion(self, audience: str, *, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A fresh assertion for an authorization server; header and changes: what it says otherwise than it should."""
        signing = key or self.key
        claims = {
            "iss": self.client_id, "sub": self.client_id, "aud": audience, "exp": int(time.time()) + 240,
            "jti": uuid4().hex,
        }  # fmt: skip
        said = {"alg": self.algorithm, "kid": self.key.kid, "typ": "JWT", **(header or {})}
        said = {name: value for name, value in said.items() if value is not None}
        present = {name: value for name, value in (claims | changes).items() if value is not None}
        return str(jwt.encode(said, present, signing, algorithms=[said["alg"]]))

    def proof(self, audience: str, **changes: Any) -> dict[str, str]:
        """The two parameters with which it authenticates itself."""
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion(audience, **changes)}

    # --- over HTTP ----------------------------------------------------------------------------------------------------

    def discover(self, url: str) -> dict[str, Any]:
        """Where everything is, as a SMART backend service finds out."""
        found = requests.get(f"{url}/fhir/.well-known/smart-configuration", timeout=120)
        found.raise_for_status()
        return dict(found.json())

    def post(self, endpoint: str, issuer: str, **form: str) -> requests.Response:
        """One form for one of the OAuth endpoints, with a fresh assertion."""
        return requests.post(endpoint, data={**form, **self.proof(issuer)}, timeout=120)
