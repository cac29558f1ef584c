"""What webhooks are signed with: detached JWS over the body [RFC 7515 appendix F], Ed25519 [RFC 8037, RFC 9864]."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.jwk import OKPKey

from services.settings import Settings

ALGORITHM = "Ed25519"


class Signer:
    """Signs with the first of its keys; names them all, so that one can follow another."""

    def __init__(self, keys: str) -> None:
        """keys: seeds of 32 bytes in base64, with commas between them.

        Raises ValueError for one that is none.
        """
        self._keys = [_key(b64decode(one.strip(), validate=True)) for one in keys.split(",") if one.strip()]

    def sign(self, body: bytes, *, audience: str, at: int) -> str:
        """The signature of a body for one subscriber: a compact JWS whose middle is left out.

        audience: the subscription it is for, so that its receiver cannot pass it off as somebody else's. at: seconds.
        """
        key = self._keys[0]
        protected = {"alg": ALGORITHM, "kid": key.kid, "aud": audience, "iat": at}
        # joserfc keeps to the names of RFC 7515; those of RFC 7519 may stand beside them [RFC 7519 5.3].
        registry = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)
        compact = jws.serialize_compact(protected, body, key, registry=registry)
        return jws.detach_content(compact)

    @property
    def able(self) -> bool:
        """Whether there is a key: without one there are no webhooks."""
        return bool(self._keys)

    def public(self) -> dict[str, Any]:
        """The keys' public halves as a JWK set [RFC 7517], the one in use first."""
        return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": ALGORITHM} for key in self._keys]}


def signer_of(settings: Settings) -> Signer:
    """The signer of the setting `webhook_key`."""
    return Signer(settings.webhook_key)


def _key(seed: bytes) -> OKPKey:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    half: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": _b64(public)}
    return OKPKey.import_key({**half, "d": _b64(seed), "kid": OKPKey.import_key(half).thumbprint()})


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
