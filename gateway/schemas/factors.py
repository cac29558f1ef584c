"""Shapes of the ways in besides the password: LuxTrust and passkeys, with the devices that hold them."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import fields

from gateway.operations import Shape
from gateway.schemas.fields import Flag, Id, Listed, Moment, Part, Secret, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.sessions import Entered
from services.identity.contract import CONDITIONS_VERSION, DEVICE_NAME_MAXIMUM


class Foreign(fields.Dict):
    """A JSON object whose members another standard names."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(
            metadata={"description": description, "additionalProperties": True},
            error_messages={"required": "required", "null": "required", "invalid": "object"},
            **kwargs,
        )


# --- LuxTrust -------------------------------------------------------------------------------------------------------


class LuxTrustJourney(Shape):
    """Open `authorization_url` in the browser that got this answer: its cookie is asked for on the way back."""

    flow_id = Id()
    authorization_url = Text(maximum=4096)
    expires_at = Moment()
    example: ClassVar = {
        "flow_id": ID,
        "authorization_url": "https://luxtrust.example/authorize?client_id=opendsp&code_challenge_method=S256",
        "expires_at": TIME,
    }


class LuxTrustLogInBegun(LuxTrustJourney):
    """As above; `log_in_token` finishes the log-in once the person is back."""

    log_in_token = Secret("Shown once.")
    example: ClassVar = {**LuxTrustJourney.example, "log_in_token": "s3Vb_9x…"}


class LuxTrustFinish(Entered):
    log_in_token = Secret("As given when the log-in began.", maximum=512, required=True)
    example: ClassVar = {
        "log_in_token": "s3Vb_9x…",
        "capacity": "professional",
        "conditions": {"version": CONDITIONS_VERSION, "language": "fr"},
    }


# --- passkeys -------------------------------------------------------------------------------------------------------

_CREATION = {
    "rp": {"name": "OpenDSP", "id": "dsp.example"},
    "user": {"id": "9pQ…", "name": "OpenDSP", "displayName": "OpenDSP"},
    "challenge": "Zm9v…",
    "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
    "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
    "attestation": "none",
}
_REGISTERED = {
    "id": "h1T…",
    "rawId": "h1T…",
    "type": "public-key",
    "response": {"clientDataJSON": "eyJ0…", "attestationObject": "o2Nm…"},
}
_SIGNED = {
    "id": "h1T…",
    "rawId": "h1T…",
    "type": "public-key",
    "response": {"clientDataJSON": "eyJ0…", "authenticatorData": "SZYN…", "signature": "MEUC…", "userHandle": "9pQ…"},
}


class PasskeyOptions(Shape):
    """Options for the browser's `navigator.credentials` (W3C WebAuthn, JSON forms)."""

    ceremony_id = Id()
    expires_at = Moment()
    public_key = Foreign("PublicKeyCredentialCreationOptionsJSON, or PublicKeyCredentialRequestOptionsJSON.")
    example: ClassVar = {"ceremony_id": ID, "expires_at": TIME, "public_key": _CREATION}


class PasskeyMade(Shape):
    ceremony_id = Id(required=True)
    credential = Foreign("RegistrationResponseJSON.", required=True)
    name = Text("What the owner calls the device.", maximum=DEVICE_NAME_MAXIMUM, required=True)
    example: ClassVar = {"ceremony_id": ID, "credential": _REGISTERED, "name": "Mon téléphone"}


class PasskeyShown(Entered):
    ceremony_id = Id(required=True)
    credential = Foreign("AuthenticationResponseJSON.", required=True)
    example: ClassVar = {"ceremony_id": ID, "credential": _SIGNED, "capacity": "patient", "stay_connected": True}


class Device(Shape):
    """A device that opens the account by PIN, fingerprint or face."""

    device_id = Id()
    name = Text()
    added_at = Moment()
    last_used_at = Moment(allow_none=True)
    backed_up = Flag("The passkey is copied to the owner's other devices.")
    example: ClassVar = {
        "device_id": OTHER_ID,
        "name": "Mon téléphone",
        "added_at": TIME,
        "last_used_at": None,
        "backed_up": False,
    }


class Devices(Shape):
    devices = Listed(Part(Device))
    example: ClassVar = {"devices": [Device.example]}


class DeviceRenamed(Shape):
    name = Text("What the owner calls the device.", maximum=DEVICE_NAME_MAXIMUM, required=True)
    example: ClassVar = {"name": "Mon ancien téléphone"}
