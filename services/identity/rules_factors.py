"""The pure decisions about LuxTrust products, passkeys and what a device is called.

No I/O and no clock: whoever asks brings the facts and the moment.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from services.identity.contract import DEVICE_NAME_MAXIMUM
from services.identity.rules import invalid

JOURNEY_LIFETIME = timedelta(minutes=10)
"""How long somebody may stay at LuxTrust and finish afterwards `[ours]`."""
CEREMONY_LIFETIME = timedelta(minutes=5)
PASSKEYS_AT_MOST = 20
CLOCKS_DIFFER = timedelta(minutes=1)

_PRODUCTS: tuple[tuple[str, str], ...] = (("sc", "smartcard"), ("hwk", "token"), ("swk", "mobile"))
"""What an ID token says of the means of authentication (RFC 8176), and what the holder calls it."""


def product_of(amr: Sequence[object]) -> str:
    """The LuxTrust product behind a log-in; just `luxtrust` where the issuer does not say."""
    return next((product for word, product in _PRODUCTS if word in amr), "luxtrust")


def was_proved_for_this(authenticated_at: object, began_at: datetime) -> bool:
    """Whether the PIN was typed on this very journey.

    An issuer that remembers its last visitor would let the next one at the same desk in without a PIN; it is asked
    for a fresh proof, and believed only when it dates it. [OpenID Connect Core 3.1.2.1, max_age]
    """
    if isinstance(authenticated_at, bool) or not isinstance(authenticated_at, int | float):
        return False
    return authenticated_at >= (began_at - CLOCKS_DIFFER).timestamp()


def require_device_name(name: object) -> str:
    """What an owner calls a device or an authenticator app, without blanks around it and no two in a row.

    Refuses: InvalidInput (`length`; `characters` for a line break or anything else that does not show).
    """
    text = " ".join(word for word in name.strip().split(" ") if word) if isinstance(name, str) else ""
    if not 1 <= len(text) <= DEVICE_NAME_MAXIMUM:
        raise invalid("/name", "length")
    if not text.isprintable():
        raise invalid("/name", "characters")
    return text


def require_credential(credential: object) -> dict[str, object]:
    """Refuses: InvalidInput for what cannot be a public key credential."""
    if not isinstance(credential, dict):
        raise invalid("/credential", "object")
    return cast("dict[str, object]", credential)
