"""Signing keys (Ed25519) and the access tokens signed with them."""

from functools import lru_cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey

from services.db import new_id
from services.sealing import unwrap, wrap
from services.tokens import AUDIENCE, ISSUER

ALGORITHM = "Ed25519"


def new_signing_key(wrapping_key: bytes) -> tuple[str, dict[str, str], bytes]:
    """A fresh key: its id (RFC 7638 thumbprint), its public JWK and its private half, wrapped for the table."""
    key = OKPKey.generate_key("Ed25519")
    kid = key.thumbprint()
    public = {name: str(value) for name, value in key.as_dict(private=False).items() if name in ("kty", "crv", "x")}
    public |= {"kid": kid, "use": "sig", "alg": ALGORITHM}
    private = str(key.as_dict(private=True)["d"])
    return kid, public, wrap(wrapping_key, private.encode(), kid.encode())


@lru_cache(maxsize=4)
def _unwrapped(wrapping_key: bytes, kid: str, x: str, wrapped: bytes) -> OKPKey:
    private = unwrap(wrapping_key, wrapped, kid.encode()).decode()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x, "d": private})


def signed_token(claims: dict[str, Any], *, kid: str, x: str, wrapped: bytes, wrapping_key: bytes) -> str:
    """The claims as a signed token of identity for the platform; facts that are not there are left out.

    Raises services.sealing.BytesTampered when the stored key is not one of this wrapping key.
    """
    present = {name: value for name, value in claims.items() if value is not None}
    present |= {"iss": ISSUER, "aud": AUDIENCE, "jti": new_id()}
    key = _unwrapped(wrapping_key, kid, x, wrapped)
    return jwt.encode({"alg": ALGORITHM, "kid": kid, "typ": "JWT"}, present, key, algorithms=[ALGORITHM])
