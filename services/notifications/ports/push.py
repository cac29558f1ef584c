"""Web Push: waking a browser or app through the push service it named, in words that only it can read.

The push service sees no content (RFC 8291: encrypted for the device; ours says but that there is news, and which), who
sends (RFC 8292: a token signed for that service alone) and how urgent it is (RFC 8030). Addresses are foreign: they are
spoken to by outward.py alone. From `cryptography` and joserfc, after the RFCs' own vectors: the libraries for it send
by themselves, past the address check.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from services.notifications.ports.outward import Outward, OutwardRefused
from services.settings import Settings

RECORD_SIZE = 4096
TOKEN_SECONDS = 12 * 3600  # RFC 8292: at most a day
LONGEST_WAIT = 28 * 24 * 3600
# These say that we, or the moment, are wrong, not the device: a token that is not liked, too much at once.
_NOT_ITS_FAULT = frozenset({401, 403, 407, 408, 425, 429})


class PushGone(Exception):
    """This device is no more: its endpoint says so, or leads where nobody is spoken to. It is to be forgotten."""


class PushRefused(Exception):
    """The push service will never take this message: sending again would not help."""


class Device(Protocol):
    """Where a device is reached, and the keys to write to it."""

    endpoint: str
    public_key: bytes
    auth: bytes


class Push:
    """Wakes devices, under one key by which push services know us."""

    def __init__(self, key: EllipticCurvePrivateKey, contact: str, outward: Outward) -> None:
        """contact: a mailto: or https: address at which a push service finds somebody (RFC 8292)."""
        self._contact, self._outward = contact, outward
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._signing = ECKey.import_key(pem)
        self.public_key = _point(key.public_key())
        self._tokens: dict[str, tuple[float, str]] = {}

    def check(self, endpoint: str) -> None:
        """Looks whether this address may be spoken to at all. Raises OutwardRefused; OSError for now."""
        self._outward.check(endpoint)

    def send(
        self, message_id: str, notice_id: str | None, *, to: Device, at: datetime, expires_at: datetime | None = None,
        urgent: bool = False,
    ) -> None:  # fmt: skip
        """Has a device told that there is news; returns when its push service took it.

        notice_id: where it stands in the inbox, for whoever opens it. A message sent twice replaces itself while it
        waits there (RFC 8030, topic).
        Raises PushGone and PushRefused for good, OSError for now.
        """
        waits = LONGEST_WAIT if expires_at is None else int((expires_at - at).total_seconds())
        try:
            told = json.dumps({"type": "news", "notification_id": notice_id})
            body = encrypted(told.encode(), to.public_key, to.auth)
            answer = self._outward.post(to.endpoint, body, {
                "Content-Type": "application/octet-stream",
                "Content-Encoding": "aes128gcm",
                "TTL": str(max(0, min(waits, LONGEST_WAIT))),
                "Urgency": "high" if urgent else "normal",
                "Topic": _text(UUID(message_id).bytes),
                "Authorization": f"vapid t={self._token(to.endpoint, at)}, k={_text(self.public_key)}",
            })  # fmt: skip
        except OutwardRefused as never:
            raise PushGone() from never
        except ValueError as unusable:  # a public key that is no point of the curve
            raise PushGone() from unusable
        if answer.status in (404, 410):
            raise PushGone()
        if 400 <= answer.status < 500 and answer.status not in _NOT_ITS_FAULT:
            raise PushRefused()
        if not 200 <= answer.status < 300:
            raise OSError(f"the push service answered {answer.status}")

    def _token(self, endpoint: str, at: datetime) -> str:
        """The signed word for one push service; the same for half its life, for they remember it."""
        parts, present = urlsplit(endpoint), at.timestamp()
        audience = f"{parts.scheme}://{parts.netloc}"
        renew, token = self._tokens.get(audience, (0.0, ""))
        if renew < present or renew > present + TOKEN_SECONDS:
            claims = {"aud": audience, "exp": int(present) + TOKEN_SECONDS, "sub": self._contact}
            token = jwt.encode({"typ": "JWT", "alg": "ES256"}, claims, self._signing)
            if len(self._tokens) > 100:  # whoever registers devices names as many services as they like
                self._tokens.clear()
            self._tokens[audience] = (present + TOKEN_SECONDS / 2, token)
        return token


def push_of(settings: Settings, outward: Outward) -> Push | None:
    """The way the settings name; None where no key is set, and nobody's device is woken. Raises ValueError."""
    if not settings.vapid_key:
        return None
    return Push(key_of(settings.vapid_key), settings.vapid_contact, outward)


def key_of(text: str) -> EllipticCurvePrivateKey:
    """The key of a setting: the 32 bytes of a private key on P-256, in base64. Raises ValueError."""
    secret = b64decode(text, validate=True)
    if len(secret) != 32:
        raise ValueError("vapid_key has to be 32 bytes in base64")
    return derive_private_key(int.from_bytes(secret, "big"), SECP256R1())


def is_public_key(point: bytes) -> bool:
    """Whether bytes are a public key that can be written to: an uncompressed point on P-256."""
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError:
        return False
    return len(point) == 65


def encrypted(
    text: bytes, device_key: bytes, auth: bytes,
    *, ours: EllipticCurvePrivateKey | None = None, salt: bytes | None = None,
) -> bytes:  # fmt: skip
    """A message that only the device can read, with all it needs for that but its own key (RFC 8291, RFC 8188).

    ours, salt: fresh ones for each message but where the RFC's example is made again. Raises ValueError.
    """
    ours = ours or generate_private_key(SECP256R1())
    salt = salt or os.urandom(16)
    theirs = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), device_key)
    our_point = _point(ours.public_key())
    shared = _derived(ours.exchange(ECDH(), theirs), auth, b"WebPush: info\0" + device_key + our_point, 32)
    key = _derived(shared, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(shared, salt, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(key).encrypt(nonce, text + b"\x02", None)  # 2: the last record, and here the only one
    if len(sealed) > RECORD_SIZE:
        raise ValueError("longer than one record")
    return salt + RECORD_SIZE.to_bytes(4, "big") + bytes([len(our_point)]) + our_point + sealed


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)


def _point(key: EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
