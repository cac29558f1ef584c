"""A device with passkeys, in software: it makes keys and signs as the standard says [W3C WebAuthn Level 3].

Each thing that a real device would never do can be asked of it: sign for another site, skip the PIN, count backwards.
"""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, MAY_BE_COPIED, COPIED, WITH_KEY = 0x01, 0x04, 0x08, 0x10, 0x40
Json = dict[str, Any]


def text(raw: bytes) -> str:
    """Bytes as they travel in WebAuthn's JSON."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Passkey:
    """One discoverable credential."""

    rp_id: str
    credential_id: bytes
    owner: bytes
    key: ec.EllipticCurvePrivateKey
    count: int = 0


class Authenticator:
    """A device whose browser shows pages of `origin`. counts: whether it counts its signatures, as a phone does not."""

    def __init__(self, origin: str, *, counts: bool = True, copied: bool = False) -> None:
        self.origin = origin
        self.counts = counts
        self.backup = MAY_BE_COPIED | COPIED if copied else 0
        self.passkeys: list[Passkey] = []

    def create(self, options: Json, *, origin: str | None = None, verified: bool = True) -> Json:
        """Answers `navigator.credentials.create`. Refuses: LookupError when it is known already."""
        excluded = {raw(one["id"]) for one in options.get("excludeCredentials", [])}
        if excluded & {one.credential_id for one in self.passkeys}:
            raise LookupError("this device is registered already")
        assert any(one["alg"] == -7 for one in options["pubKeyCredParams"])
        made = Passkey(options["rp"]["id"], secrets.token_bytes(16), raw(options["user"]["id"]),
                       ec.generate_private_key(ec.SECP256R1()))  # fmt: skip
        self.passkeys.append(made)
        attested = bytes(16) + len(made.credential_id).to_bytes(2, "big") + made.credential_id + _cose(made.key)
        data = self._data(made, verified, WITH_KEY) + attested
        response = {
            "clientDataJSON": text(self._client_data("webauthn.create", options["challenge"], origin)),
            "attestationObject": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal"],
        }
        return _credential(made, response)

    def get(
        self, options: Json, *, passkey: Passkey | None = None, origin: str | None = None, verified: bool = True,
        owner: bytes | None = None,
    ) -> Json:  # fmt: skip
        """Answers `navigator.credentials.get` with the newest passkey it has for the site."""
        asked_for = options["rpId"]
        shown = passkey or next(one for one in reversed(self.passkeys) if one.rp_id == asked_for)
        shown.count += 1 if self.counts else 0
        data = self._data(shown, verified, 0)
        client_data = self._client_data("webauthn.get", options["challenge"], origin)
        signature = shown.key.sign(data + sha256(client_data).digest(), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": text(client_data), "authenticatorData": text(data), "signature": text(signature),
            "userHandle": text(owner or shown.owner),
        }  # fmt: skip
        return _credential(shown, response)

    def _data(self, passkey: Passkey, verified: bool, also: int) -> bytes:
        flags = PRESENT | (VERIFIED if verified else 0) | self.backup | also
        return sha256(passkey.rp_id.encode()).digest() + bytes([flags]) + passkey.count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str, origin: str | None) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": origin or self.origin, "crossOrigin": False}
        return json.dumps(told).encode()


def _cose(key: ec.EllipticCurvePrivateKey) -> bytes:
    point = key.public_key().public_numbers()
    return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})


def _credential(passkey: Passkey, response: Json) -> Json:
    name = text(passkey.credential_id)
    return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {},
            "authenticatorAttachment": "platform"}  # fmt: skip


def host_of(url: str) -> str:
    """The relying party's id behind an address."""
    return urlsplit(url).hostname or ""
