"""Authenticator apps (RFC 6238), as every phone has them: six digits, thirty seconds, SHA-1."""

from datetime import datetime

from pyotp import TOTP, random_base32
from pyotp.utils import strings_equal

ISSUER = "DSP"
_WINDOW = 1  # one step earlier and later: clocks of phones, and slow typing [RFC 6238 5.2]


def new_secret() -> str:
    """A secret of 160 random bits in base 32, to be typed or scanned once."""
    return random_base32()


def otpauth_uri(secret: str, name: str) -> str:
    """What the app scans; it names the platform and the name its owner gave it, nobody's person."""
    return TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def totp_step(secret: str, code: object, at: datetime) -> int | None:
    """The time step whose code this is, among the present one and its neighbours; None for any other code.

    All are compared, in constant time; blanks are forgiven.
    """
    typed = "".join(code.split()) if isinstance(code, str) and len(code) <= 32 else ""
    app = TOTP(secret)
    present, found = app.timecode(at), None
    for step in range(present - _WINDOW, present + _WINDOW + 1):
        if strings_equal(typed, app.generate_otp(step)):
            found = step
    return found
