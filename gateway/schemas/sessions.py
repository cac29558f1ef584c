"""Shapes of log-in, sessions, authenticator apps, and what the agency does to accounts."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Flag, Id, Listed, Matricule, Moment, Number, Part, Secret, Text
from gateway.schemas.people import ID, MATRICULE, OTHER_ID, TIME
from services.directory.contract import PROFESSIONS
from services.identity.contract import (
    ACCOUNT_SERVICES,
    CHANNELS,
    CONDITIONS_VERSION,
    DEVICE_NAME_MAXIMUM,
    FACTORS,
    LANGUAGES,
    LOCK_CAUSES,
    ROLES,
    SUBJECT_KINDS,
)


class LogIn(Shape):
    matricule = Matricule(required=True)
    password = Secret(maximum=512, required=True)
    channel = Choice(CHANNELS, "Where the one-time code goes; `totp`: it is in the app.", load_default="email")
    example: ClassVar = {"matricule": MATRICULE, "password": "quatre chevaux bleus"}


class LogInBegun(Shape):
    """A one-time code is on its way, or in the authenticator app; send it to /sessions/{challenge_id}/code."""

    challenge_id = Id()
    expires_at = Moment()
    example: ClassVar = {"challenge_id": ID, "expires_at": TIME}


class ConditionsGiven(Shape):
    """The general conditions, accepted with a log-in."""

    version = Text("The version shown to the person.", maximum=32, required=True)
    language = Choice(LANGUAGES, required=True)
    example: ClassVar = {"version": CONDITIONS_VERSION, "language": "fr"}


class Entered(Shape):
    """What every log-in chooses, whatever its factors."""

    capacity = Choice(SUBJECT_KINDS, "In which capacity; needed when the account has several.", allow_none=True)
    establishment_id = Id("The workplace of a professional who has several.", allow_none=True)
    stay_connected = Flag(load_default=False)
    conditions = Part(ConditionsGiven, "After a refusal `conditions_due`: accepted with this log-in.", allow_none=True)
    example: ClassVar = {"capacity": "professional"}


class LogInConfirm(Entered):
    code = Secret("The one-time code.", maximum=32, required=True)
    example: ClassVar = {"code": "6wqxU4", "capacity": "professional"}


class Tokens(Shape):
    access_token = Secret("Ed25519-signed JWT, 10 minutes.")
    refresh_token = Secret("Single use; using it twice ends the session.")
    token_type = Choice(("Bearer",))
    expires_in = Number("Seconds.")
    session_id = Id()
    account_id = Id()
    capacity = Choice(SUBJECT_KINDS)
    patient_id = Id(allow_none=True)
    professional_id = Id(allow_none=True)
    example: ClassVar = {
        "access_token": "eyJhbGciOiJFZDI1NTE5Iiwia2lkIjoi…",
        "refresh_token": "r_9fK2…",
        "token_type": "Bearer",
        "expires_in": 600,
        "session_id": ID,
        "account_id": OTHER_ID,
        "capacity": "patient",
        "patient_id": ID,
        "professional_id": None,
    }


class RefreshGiven(Shape):
    refresh_token = Secret(maximum=512, required=True)
    example: ClassVar = {"refresh_token": "r_9fK2…"}


class Session(Shape):
    account_id = Id()
    session_id = Id()
    capacity = Choice(SUBJECT_KINDS)
    patient_id = Id(allow_none=True)
    professional_id = Id(allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    establishment_id = Id(allow_none=True)
    role = Choice(ROLES, allow_none=True)
    expires_at = Moment()
    example: ClassVar = {
        "account_id": OTHER_ID,
        "session_id": ID,
        "capacity": "professional",
        "patient_id": None,
        "professional_id": OTHER_ID,
        "profession": "physician",
        "establishment_id": ID,
        "role": None,
        "expires_at": TIME,
    }


class RunningSession(Shape):
    session_id = Id()
    capacity = Choice(SUBJECT_KINDS)
    current = Flag("The session of this request.")
    factors = Choice(FACTORS, "With what it was opened.")
    software = Text("What the browser or app called itself.", allow_none=True)
    stay_connected = Flag()
    started_at = Moment()
    last_used_at = Moment()
    expires_at = Moment()


class RunningSessions(Shape):
    """The sessions of the account, the last used first."""

    sessions = Listed(Part(RunningSession))
    example: ClassVar = {
        "sessions": [
            {
                "session_id": ID,
                "capacity": "patient",
                "current": True,
                "factors": "password email",
                "software": "Mozilla/5.0",
                "stay_connected": False,
                "started_at": TIME,
                "last_used_at": TIME,
                "expires_at": TIME,
            }
        ]
    }


class WhichSessions(Query):
    others_only = Choice(("true", "false"), "`false`: this session too.", load_default="true")


class SessionsEnded(Shape):
    ended = Number("How many sessions have ended.")
    example: ClassVar = {"ended": 2}


class PasswordShown(Shape):
    password = Secret("The account's password.", maximum=512, required=True)
    example: ClassVar = {"password": "quatre chevaux bleus"}


class Fresh(Shape):
    fresh_until = Moment("Until then sensitive changes ask for nothing more.")
    example: ClassVar = {"fresh_until": TIME}


# --- authenticator apps ---------------------------------------------------------------------------------------------


class AuthenticatorNamed(Shape):
    name = Text("What its owner calls the app or its phone.", maximum=DEVICE_NAME_MAXIMUM, required=True)
    example: ClassVar = {"name": "Téléphone"}


class AuthenticatorBegun(Shape):
    """The secret is shown here alone; send the app's first code to /account/authenticators/{id}/proof."""

    authenticator_id = Id()
    secret = Secret("Base 32, to be typed into the app.")
    otpauth_uri = Secret("The same as a QR code holds it.")
    example: ClassVar = {
        "authenticator_id": ID,
        "secret": "JBSWY3DPEHPK3PXP…",
        "otpauth_uri": "otpauth://totp/DSP:T%C3%A9l%C3%A9phone?secret=JBSWY3DPEHPK3PXP…&issuer=DSP",
    }


class AppCode(Shape):
    code = Secret("The six digits the app shows.", maximum=32, required=True)
    example: ClassVar = {"code": "492039"}


class AuthenticatorProved(Shape):
    authenticator_id = Id()
    example: ClassVar = {"authenticator_id": ID}


# --- accounts -------------------------------------------------------------------------------------------------------


class AccountLock(Shape):
    matricule = Matricule(required=True)
    cause = Choice(LOCK_CAUSES, required=True)
    example: ClassVar = {"matricule": MATRICULE, "cause": "lost_device"}


class AccountUnlock(Shape):
    matricule = Matricule(required=True)
    example: ClassVar = {"matricule": MATRICULE}


class AccountLockState(Shape):
    account_id = Id()
    locked = Flag()
    example: ClassVar = {"account_id": ID, "locked": True}


class AccountService(Shape):
    service = Choice(tuple(name for name, _ in ACCOUNT_SERVICES))
    capacity = Choice(SUBJECT_KINDS, "In which capacity it is opened.")
    available = Flag()
    reason = Choice(("licence_not_valid", "conditions_due"), "Why it is not available.", allow_none=True)


class AccountServices(Shape):
    """What this account may open."""

    services = Listed(Part(AccountService))
    example: ClassVar = {
        "services": [{"service": "dsp", "capacity": "patient", "available": True, "reason": None}],
    }


# --- keys -----------------------------------------------------------------------------------------------------------


class PublicKey(Shape):
    kty = Text()
    crv = Text()
    x = Text()
    kid = Text()
    alg = Text()
    use = Text()


class PublicKeys(Shape):
    """JSON Web Key Set (RFC 7517)."""

    keys = Listed(Part(PublicKey))
    example: ClassVar = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKx…", "kid": "2026-11"}]}
