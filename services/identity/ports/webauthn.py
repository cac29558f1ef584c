"""Passkeys as browsers and devices speak of them: options out, signed answers in [W3C WebAuthn Level 3].

This platform is one relying party: the host of its public address. The person is always verified by the device (PIN,
fingerprint, face); who made the device is not asked (attestation none).
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from services.settings import Settings, load

NAME = "OpenDSP"
ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
PATIENCE_MS = 300_000
CREDENTIAL_LENGTH = 64 * 1024  # as JSON; real ones have one or two thousand characters


@dataclass(frozen=True)
class Registered:
    """A credential that a device has made for us."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backed_up: bool


@dataclass(frozen=True)
class Shown:
    """A log-in that a device has signed."""

    sign_count: int
    backed_up: bool


class RelyingParty:
    """The platform as devices know it."""

    def __init__(self, public_url: str) -> None:
        parts = urlsplit(public_url)
        self.rp_id = parts.hostname or ""
        self.origin = f"{parts.scheme}://{parts.netloc}".lower()

    @classmethod
    def of(cls, settings: Settings) -> "RelyingParty":
        """The one behind the public address of the settings."""
        return cls(settings.public_url)

    def registration(self, challenge: bytes, owner: bytes, known: list[bytes]) -> dict[str, Any]:
        """Options for `navigator.credentials.create`; a device that is known already shall not make a second key.

        The owner's name is not known here: a front end that shows one puts it into `user.displayName`.
        """
        options = webauthn.generate_registration_options(
            rp_id=self.rp_id, rp_name=NAME, user_name=NAME, user_display_name=NAME, user_id=owner,
            challenge=challenge, timeout=PATIENCE_MS, supported_pub_key_algs=ALGORITHMS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        )  # fmt: skip
        return cast("dict[str, Any]", json.loads(options_to_json(options)))

    def log_in(self, challenge: bytes) -> dict[str, Any]:
        """Options for `navigator.credentials.get`: any passkey the device holds for us, so nobody is named."""
        options = webauthn.generate_authentication_options(
            rp_id=self.rp_id, challenge=challenge, timeout=PATIENCE_MS,
            user_verification=UserVerificationRequirement.REQUIRED,
        )  # fmt: skip
        return cast("dict[str, Any]", json.loads(options_to_json(options)))

    def registered(self, credential: dict[str, Any], challenge: bytes) -> Registered | None:
        """The credential a device made in answer to the challenge; None for anything else."""
        if _is_too_long(credential):
            return None
        try:
            made = webauthn.verify_registration_response(
                credential=credential, expected_challenge=challenge, expected_rp_id=self.rp_id,
                expected_origin=self.origin, require_user_verification=True, supported_pub_key_algs=ALGORITHMS,
            )  # fmt: skip
        except Exception:  # a stranger's bytes: whatever they break in the parsers, they are not a passkey
            return None
        return Registered(made.credential_id, made.credential_public_key, made.sign_count, made.credential_backed_up)

    def shown(
        self, credential: dict[str, Any], challenge: bytes, owner: bytes, public_key: bytes, sign_count: int
    ) -> Shown | None:
        """What a device of this owner signed in answer to the challenge; None for anything else."""
        if _is_too_long(credential):
            return None
        try:
            if base64url_to_bytes(credential["response"]["userHandle"]) != owner:
                return None
            seen = webauthn.verify_authentication_response(
                credential=credential, expected_challenge=challenge, expected_rp_id=self.rp_id,
                expected_origin=self.origin, credential_public_key=public_key,
                credential_current_sign_count=sign_count, require_user_verification=True,
            )  # fmt: skip
        except Exception:  # see above
            return None
        return Shown(seen.new_sign_count, seen.credential_backed_up)


def credential_id(credential: dict[str, Any]) -> bytes | None:
    """Which credential somebody says they show."""
    given = credential.get("id")
    try:
        return base64url_to_bytes(given) if isinstance(given, str) and len(given) <= 2048 else None
    except ValueError:
        return None


def _is_too_long(credential: dict[str, Any]) -> bool:
    return len(json.dumps(credential)) > CREDENTIAL_LENGTH


@cache
def relying_party() -> RelyingParty:
    """This process' relying party."""
    return RelyingParty.of(load())
