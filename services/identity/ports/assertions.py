"""The cryptography of client assertions (RFC 7523): ES384 and Ed25519 over a client's registered public keys."""

import json
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry, extract_compact

from services.identity.contract_machines import ASSERTION_ALGORITHMS, Jwks
from services.identity.rules_machines import refused


class _Algorithms(JWSRegistry):
    """The algorithms of the contract and no others; without the library's warning that EdDSA got a newer name."""

    def get_alg(self, name: str) -> Any:
        if name not in ASSERTION_ALGORITHMS:
            raise UnsupportedAlgorithmError()
        return self.algorithms[name]


_REGISTRY = _Algorithms()
_BROKEN = (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
_KINDS: dict[str, type[ECKey] | type[OKPKey]] = {"EC": ECKey, "OKP": OKPKey}


def are_usable(jwks: Jwks) -> bool:
    """Whether each key is one on its curve; their form has been checked by the rules."""
    try:
        return all(_imported(key).public_key is not None for key in jwks["keys"])
    except _BROKEN:
        return False


def unproved_claims(assertion: str) -> dict[str, Any]:
    """What an assertion says of itself, to look up whose keys to verify it with: nothing of it is to be believed.

    Refuses: TokenRefused when it is no JWT.
    """
    try:
        claims = json.loads(extract_compact(assertion.encode(), registry=_REGISTRY).payload)
    except _BROKEN as broken:
        raise refused("invalid_client", "client_assertion is no JWT.") from broken
    return claims if isinstance(claims, dict) else {}


def proved_claims(assertion: str, jwks: Jwks | None) -> dict[str, Any]:
    """The claims of an assertion signed with one of these keys, by the id it names.

    jwks: None when nobody is known by the name it gave. Refuses: TokenRefused, the same for whatever is not right.
    """
    keys = {key["kid"]: key for key in (jwks or {"keys": []})["keys"]}

    def named(signed: Any) -> ECKey | OKPKey:
        key = keys[signed.headers()["kid"]]
        return _imported(key)

    try:
        return dict(jwt.decode(assertion, named, registry=_REGISTRY).claims)
    except _BROKEN as broken:
        raise refused("invalid_client", "No such client, or not signed with one of its keys.") from broken


def _imported(key: Mapping[str, Any]) -> ECKey | OKPKey:
    return _KINDS[key["kty"]].import_key({name: key[name] for name in ("kty", "crv", "x", "y") if name in key})
