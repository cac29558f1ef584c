"""What is decided about business software without looking anything up: keys, states, scopes, assertions.

Pure: no I/O and no clock. Cryptography is ports/assertions.py's; here stands what a genuine assertion must say.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeGuard

from services.identity.contract_machines import (
    ASSERTION_TYPE,
    CLIENT_STATES,
    GRANT_TYPE,
    PURPOSES_OF_USE,
    SCOPES,
    ClientState,
    Jwks,
    TokenRefused,
)
from services.identity.rules_throttles import Limit
from services.refusals import InvalidInput

TOKEN_LIFETIME = timedelta(minutes=5)
ASSERTION_LIFETIME = timedelta(minutes=5)
CLOCKS = timedelta(seconds=5)
"""How far an organisation's clock may be from ours."""
PER_CLIENT = Limit(free=100, forgotten_after=timedelta(hours=1), longest_wait=timedelta(minutes=5))
PER_ADDRESS = Limit(free=1000, forgotten_after=timedelta(hours=1), longest_wait=timedelta(minutes=5))
"""A signature is not guessed: these bound what a broken program costs, and one program of a hospital (one address)
must not keep out all its others."""
LONGEST_TEXT: Final = 80
LONGEST_ASSERTION: Final = 8192
MOST_KEYS: Final = 5

_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# --- registering ------------------------------------------------------------------------------------------------------


def require_client(
    name: object, version: object, vendor: object, scopes: object
) -> tuple[str, str, str, list[str]]:  # fmt: skip
    """The names and scopes of a software to register; scopes come back once each, in the order of the contract.

    Refuses: InvalidInput naming every faulty field at once.
    """
    errors = []
    texts = {}
    for field, value in (("name", name), ("version", version), ("vendor", vendor)):
        texts[field] = " ".join(value.split()) if isinstance(value, str) else ""
        if not texts[field] or len(texts[field]) > LONGEST_TEXT or not _TEXT.fullmatch(texts[field]):
            errors.append(_fault(f"/{field}", "text" if len(texts[field]) <= LONGEST_TEXT else "too_long"))
    asked = scopes if isinstance(scopes, list) else []
    if not asked or any(scope not in SCOPES for scope in asked):
        errors.append(_fault("/scopes", "scope"))
    if errors:
        raise InvalidInput(errors=errors)
    return texts["name"], texts["version"], texts["vendor"], [scope for scope in SCOPES if scope in asked]


def require_jwks(jwks: object) -> Jwks:
    """The public keys of a client, reduced to what verifies: P-384 for ES384 and Ed25519, each under its own id.

    That a P-384 key is a point of its curve is seen where it is used (ports/assertions.py). [RFC 7517; RFC 8037]
    Refuses: InvalidInput, for a private key above all.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYS:
        raise InvalidInput(errors=[_fault("/jwks", "jwk_set")])
    errors: list[dict[str, str]] = []
    kept: list[dict[str, Any]] = []
    for at, key in enumerate(keys):
        wrong = _key_fault(key, [one["kid"] for one in kept])
        if wrong:
            errors.append(_fault(f"/jwks/keys/{at}", wrong))
        else:
            kept.append({name: key[name] for name in ("kty", "crv", "x", "y", "kid") if name in key})
    if errors:
        raise InvalidInput(errors=errors)
    return {"keys": kept}


_COORDINATES = {("EC", "P-384"): {"x": 48, "y": 48}, ("OKP", "Ed25519"): {"x": 32}}
_ALGORITHMS = {("EC", "P-384"): ("ES384",), ("OKP", "Ed25519"): ("EdDSA", "Ed25519")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})


def _key_fault(key: object, taken: Sequence[str]) -> str | None:
    if not isinstance(key, Mapping):
        return "jwk_kind"
    if _PRIVATE & set(key):
        return "jwk_private"
    kind = (str(key.get("kty")), str(key.get("crv")))
    sizes = _COORDINATES.get(kind)
    if sizes is None or any(_size(key.get(name)) != size for name, size in sizes.items()):
        return "jwk_kind"
    if key.get("use", "sig") != "sig" or key.get("alg", _ALGORITHMS[kind][0]) not in _ALGORITHMS[kind]:
        return "jwk_kind"
    kid = key.get("kid")
    fine = isinstance(kid, str) and 1 <= len(kid) <= 64 and kid.isascii() and kid.isprintable()
    return None if fine and kid not in taken else "jwk_id"


def _size(text: object) -> int:
    """How many bytes a base64url text stands for; -1 when it is none."""
    if not isinstance(text, str) or re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text) is None:
        return -1
    try:
        return len(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return -1


def may_keep_software(
    capacity: str, establishment_id: str | None, organisation_id: str, is_manager: bool
) -> bool:  # fmt: skip
    """Who registers the software of an organisation: its managers while they are logged in there, and the agency."""
    return capacity == "agent" or (capacity == "professional" and is_manager and establishment_id == organisation_id)


# --- states -----------------------------------------------------------------------------------------------------------

STATE_CHANGES: dict[ClientState, tuple[ClientState, ...]] = {
    "requested": ("tested",),
    "tested": ("in_production", "suspended"),
    "in_production": ("suspended",),
    "suspended": ("in_production",),
}
"""The way of an attestation [RGD 11]; what was refused or lost for good is registered anew."""


def require_state(state: object) -> ClientState:
    """Refuses: InvalidInput for a word that is no state."""
    found = next((known for known in CLIENT_STATES if known == state), None)
    if found is None:
        raise InvalidInput(errors=[_fault("/state", "choice")])
    return found


def states_before(state: ClientState) -> list[ClientState]:
    """The states from which this one is reached."""
    return [before for before, after in STATE_CHANGES.items() if state in after]


# --- scopes -----------------------------------------------------------------------------------------------------------

FOR_NOBODY: tuple[str, ...] = (
    "system/Practitioner.rs", "system/DocumentReference.c", "system/Subscription.cruds",
)  # fmt: skip
"""What software may be given without naming a professional: each deposit names its author, or is the health fund's; a
subscription is the organisation's, and what goes out on it is decided for each event."""

SCOPES_OF_STATE: dict[ClientState, tuple[str, ...]] = {
    "requested": (),
    "tested": ("system/Practitioner.rs",),
    "in_production": SCOPES,
    "suspended": (),
}


def grant_scope(asked: object, registered: Sequence[str], state: ClientState, on_behalf: bool) -> str:
    """The scopes a token gets: those asked for, or all there are; never more than state and registration allow.

    Refuses: TokenRefused (unauthorized_client where the state allows nothing, invalid_scope beyond). [RFC 6749 3.3]
    """
    allowed = [scope for scope in registered if scope in SCOPES_OF_STATE[state]]
    if not SCOPES_OF_STATE[state]:
        raise refused("unauthorized_client", "The software is not attested, or suspended.")
    allowed = [scope for scope in allowed if on_behalf or scope in FOR_NOBODY]
    words = allowed if asked is None else asked.split(" ") if isinstance(asked, str) else []
    if not words or any(word not in allowed for word in words):
        raise refused("invalid_scope", "Not all of this scope is open to the software now, or for nobody in person.")
    return " ".join(scope for scope in SCOPES if scope in words)


# --- tokens -----------------------------------------------------------------------------------------------------------


def refused(error: str, description: str) -> TokenRefused:
    """A refusal in the words of RFC 6749."""
    return TokenRefused(error=error, description=description)


def require_grant(grant_type: object) -> None:
    """Refuses: TokenRefused for every other grant."""
    if not isinstance(grant_type, str):
        raise refused("invalid_request", "grant_type is missing.")
    if grant_type != GRANT_TYPE:
        raise refused("unsupported_grant_type", "The grant is client_credentials.")


def require_purpose(purpose: object, on_behalf: bool) -> str | None:
    """The purpose of use; who acts for somebody states one. Refuses: TokenRefused. [HL7 v3 PurposeOfUse]"""
    if purpose is None and not on_behalf:
        return None
    if not isinstance(purpose, str) or purpose not in PURPOSES_OF_USE:
        raise refused("invalid_request", "purpose_of_use must be one of " + ", ".join(PURPOSES_OF_USE) + ".")
    return purpose


def require_professional(professional_id: object) -> str | None:
    """The professional named, as an id; None when nobody is. Refuses: TokenRefused."""
    if professional_id is None:
        return None
    if not isinstance(professional_id, str) or not _ID.fullmatch(professional_id.lower()):
        raise refused("invalid_request", "on_behalf_of must be the identifier of a professional.")
    return professional_id.lower()


def may_act_for(facts: Mapping[str, Any] | None, establishment_id: str) -> bool:
    """Software acts for those who work at its organisation with a valid licence.

    facts: what the directory knows of the professional, None when it knows nobody by this id.
    """
    return facts is not None and facts["licence"] == "valid" and establishment_id in facts["establishment_ids"]


# --- assertions -------------------------------------------------------------------------------------------------------


def require_assertion(kind: object, assertion: object) -> str:
    """The signed text with which a client authenticates itself. Refuses: TokenRefused. [RFC 7523 2.2]"""
    if kind != ASSERTION_TYPE:
        raise refused("invalid_client", f"client_assertion_type must be {ASSERTION_TYPE}.")
    if not isinstance(assertion, str) or not assertion.isascii() or not 0 < len(assertion) <= LONGEST_ASSERTION:
        raise refused("invalid_client", "client_assertion is missing or no JWT.")
    return assertion


def client_named(claims: Mapping[str, Any]) -> str | None:
    """The client an assertion claims to be of; None when it can be nobody's."""
    client_id = claims.get("sub")
    return client_id if isinstance(client_id, str) and _ID.fullmatch(client_id) else None


def require_claims(claims: Mapping[str, Any], audiences: Sequence[str], now: datetime) -> tuple[str, datetime]:
    """(jti, expiry) of an assertion whose signature is right.

    audiences: each of them names us; the assertion names one and nobody else, or it could be presented elsewhere.
    Refuses: TokenRefused. [RFC 7523 3; SMART App Launch 2.2, Backend Services]
    """
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    jti, expires = claims.get("jti"), claims.get("exp")
    if claims.get("iss") != claims.get("sub"):
        raise refused("invalid_client", "iss and sub must both be the client_id.")
    if not isinstance(audience, str) or audience not in audiences:
        raise refused("invalid_client", "aud must be the token endpoint or the issuer, and nothing else.")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 128:
        raise refused("invalid_client", "jti must be 1 to 128 characters.")
    if not _is_number(expires) or not now.timestamp() - CLOCKS.total_seconds() < expires:
        raise refused("invalid_client", "The assertion has expired, or says not when it does.")
    latest = now + ASSERTION_LIFETIME + CLOCKS
    if expires > latest.timestamp():
        raise refused("invalid_client", "exp must be no more than five minutes ahead.")
    begins = claims.get("nbf", 0)
    if not _is_number(begins) or begins > (now + CLOCKS).timestamp():
        raise refused("invalid_client", "The assertion is not valid yet.")
    return jti, min(latest, datetime.fromtimestamp(expires, now.tzinfo))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _fault(pointer: str, message: str) -> dict[str, str]:
    return {"pointer": pointer, "message": message}
