"""The pure decisions of identity: matricules, codes, addresses, capacities, lifetimes.

No I/O and no clock: whoever asks brings the facts and the moment. Passwords and throttles have files of their own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from stdnum import luhn, verhoeff

from services.identity.contract import (
    CHANNELS,
    CONDITIONS_VERSION,
    CONTACT_KINDS,
    LANGUAGES,
    LETTER_PURPOSES,
    ROLES,
    SUBJECT_KINDS,
    SubjectKind,
)
from services.refusals import InvalidInput

LETTER_CODE_LIFETIME = timedelta(days=90)
ACTIVATION_LIFETIME = timedelta(hours=24)
ONE_TIME_CODE_LIFETIME = timedelta(minutes=5)
ONE_TIME_CODE_TRIES = 5
ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)


def invalid(pointer: str, message: str) -> InvalidInput:
    """The refusal of one field, by pointer and message code (never with the value)."""
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])


# --- matricules and codes ---------------------------------------------------------------------------------------------


def normal_matricule(text: object) -> str:
    """The 13 digits of a matricule as typed, blanks left out.

    Only the shape is judged here: a wrong check digit at log-in is an unknown matricule like any other, and costs
    the same. Refuses: InvalidInput.
    """
    digits = re.sub(r"\s", "", text) if isinstance(text, str) and len(text) <= 32 else ""
    if re.fullmatch(r"[0-9]{13}", digits) is None:
        raise invalid("/matricule", "matricule_format")
    return digits


def normal_entry(text: object) -> str:
    """The 11 or 13 digits of a matricule as a professional types it; 11 are looked up, never completed by computing.

    Refuses: InvalidInput. [seed 003, step 2; domain.md, Matricule]
    """
    digits = re.sub(r"\s", "", text) if isinstance(text, str) and len(text) <= 32 else ""
    return digits if re.fullmatch(r"[0-9]{11}", digits) else normal_matricule(text)


def require_matricule(text: object) -> str:
    """A matricule whose two check digits, both over the first eleven, are right [domain.md, Matricule].

    Refuses: InvalidInput.
    """
    digits = normal_matricule(text)
    stem, check = digits[:11], digits[11:]
    if check != f"{luhn.calc_check_digit(stem)}{verhoeff.calc_check_digit(stem)}":
        raise invalid("/matricule", "matricule_checksum")
    return digits


LETTER_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # no 0 O, 1 I L: read from paper, typed by hand
LETTER_CODE_LENGTH = 12
KIND_LETTERS: dict[SubjectKind, str] = {"patient": "P", "professional": "H", "agent": "A"}


def normal_letter_code(text: object) -> tuple[SubjectKind | None, str]:
    """A code from a letter without the blanks and hyphens of its print, in capitals, and whose letter it came in.

    The first character names the kind of subject, so that somebody with two letters at hand costs one comparison
    too. A code of another shape has no kind: it is compared with nothing, at the same cost.
    """
    if not isinstance(text, str) or len(text) > 64:
        return None, ""
    code = re.sub(r"[\s\-]", "", text).upper()
    if len(code) != LETTER_CODE_LENGTH or any(character not in LETTER_ALPHABET for character in code):
        return None, code[:LETTER_CODE_LENGTH]
    kind = next((kind for kind, letter in KIND_LETTERS.items() if code.startswith(letter)), None)
    return kind, code


def printed_letter_code(code: str) -> str:
    """The code in groups of four, as the letter shows it."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def letter_is_usable(used_at: datetime | None, expires_at: datetime, now: datetime) -> bool:
    """A letter's code works once, before it expires; that it is the newest letter is the store's to say."""
    return used_at is None and now < expires_at


def require_kind(value: object) -> SubjectKind:
    """Refuses: InvalidInput for anything that is not a kind of subject."""
    kind = next((kind for kind in SUBJECT_KINDS if kind == value), None)
    if kind is None:
        raise invalid("/subject_kind", "unknown")
    return kind


def require_purpose(value: object) -> str:
    """Refuses: InvalidInput for anything that no letter is sent for."""
    if not isinstance(value, str) or value not in LETTER_PURPOSES:
        raise invalid("/purpose", "unknown")
    return value


def require_role(value: object) -> str:
    """Refuses: InvalidInput for anything that is not a role of the agency."""
    if not isinstance(value, str) or value not in ROLES:
        raise invalid("/role", "unknown")
    return value


# --- conditions -------------------------------------------------------------------------------------------------------


def require_conditions(version: object, language: object) -> None:
    """Only the conditions in force can be accepted, in a language they exist in. Refuses: InvalidInput."""
    if version != CONDITIONS_VERSION:
        raise invalid("/version", "not_in_force")
    if language not in LANGUAGES:
        raise invalid("/language", "unknown")


# --- contacts ---------------------------------------------------------------------------------------------------------

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"({_LOCAL})@(?:{_LABEL}\.)+(?:[A-Za-z]{{2,63}}|[Xx][Nn]--[A-Za-z0-9-]{{2,59}})")


def require_contact(kind: object, value: object) -> str:
    """The address as it is kept: an e-mail address as given, a mobile number in E.164. Refuses: InvalidInput."""
    if kind not in CONTACT_KINDS:
        raise invalid("/kind", "unknown")
    return _email(value) if kind == "email" else _mobile(value)


def _email(value: object) -> str:
    """An address that any mail server takes: ASCII dot-atom, a domain with a dot.

    Conservative on purpose [RFC 5321 4.1.2 without quoted strings and address literals]; what can receive mail is
    shown by the one-time code, not by syntax.
    """
    found = _EMAIL.fullmatch(value) if isinstance(value, str) and len(value) <= 254 else None
    if found is None or len(found[1]) > 64:
        raise invalid("/value", "email_format")
    return cast(str, value)


def _mobile(value: object) -> str:
    """A number in E.164; blanks, dots and hyphens are forgiven, and a mobile of Luxembourg needs no prefix."""
    digits = re.sub(r"[\s.\-]", "", value) if isinstance(value, str) and len(value) <= 40 else ""
    international = re.sub(r"^00", "+", digits)
    if re.fullmatch(r"6[0-9]{8}", digits):
        international = f"+352{digits}"
    if re.fullmatch(r"\+[1-9][0-9]{7,14}", international) is None:
        raise invalid("/value", "mobile_format")
    return international


def require_channel(channel: object) -> None:
    """Refuses: InvalidInput for a channel by which no code is sent."""
    if channel not in CHANNELS:
        raise invalid("/channel", "unknown")


# --- capacities -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A capacity that an account has."""

    kind: SubjectKind
    subject_id: str
    role: str | None = None


def choose_capacity(held: Sequence[Held], wanted: object) -> Held:
    """The capacity asked for, or the only one there is.

    Refuses: InvalidInput at /capacity, the same for a missing choice, a capacity not held and a word that is none.
    Asked only after the one-time code was right: nobody else learns what an account may open.
    """
    fitting = [one for one in held if wanted is None or one.kind == wanted]
    if len(fitting) != 1:
        raise invalid("/capacity", "choose")
    return fitting[0]


def held_as(held: Sequence[Held], kind: str) -> Held | None:
    """The capacity of this kind, if the account (still) has it."""
    return next((one for one in held if one.kind == kind), None)


def licence_is_valid(facts: Mapping[str, Any] | None) -> bool:
    """Only a professional whom the directory knows, with a valid licence, acts as one [domain.md, Who may see what]."""
    return facts is not None and facts.get("licence") == "valid"


def why_capacity_is_lost(held: Held, facts: Mapping[str, Any] | None, establishment_id: str | None) -> str | None:
    """Why a running session may not go on as this professional at this workplace; None when it may."""
    if held.kind != "professional":
        return None
    if facts is None or not licence_is_valid(facts):
        return "licence_not_valid"
    if establishment_id is not None and establishment_id not in facts["establishment_ids"]:
        return "workplace_left"
    return None


def choose_establishment(held: Held, establishment_ids: Sequence[str], wanted: object) -> str | None:
    """The workplace asked for, or the professional's first one. Refuses: InvalidInput at /establishment_id."""
    if wanted is None:
        return establishment_ids[0] if held.kind == "professional" and establishment_ids else None
    if held.kind != "professional" or wanted not in establishment_ids:
        raise invalid("/establishment_id", "choose")
    return cast(str, wanted)


# --- sessions and keys ------------------------------------------------------------------------------------------------


def moment_of(epoch_seconds: int) -> datetime:
    """The moment a token's claim names."""
    return datetime.fromtimestamp(epoch_seconds, UTC)


def session_expiry(started_at: datetime, stay_connected: bool) -> datetime:
    """The end of a session that nobody ends: a working day, or 90 days for "rester connecté" `[ours]`."""
    return started_at + (timedelta(days=90) if stay_connected else timedelta(hours=12))


def refresh_expiry(now: datetime, session_expires_at: datetime, stay_connected: bool) -> datetime:
    """How long a refresh token may lie unused: an hour, or 30 days for "rester connecté"; never past the session."""
    return min(session_expires_at, now + (timedelta(days=30) if stay_connected else timedelta(hours=1)))


KEY_ANNOUNCED = timedelta(hours=1)
KEY_SIGNS = timedelta(days=30)
KEY_KEPT = timedelta(days=1)


def key_due(newest_not_before: datetime | None, now: datetime) -> datetime | None:
    """From when on a new signing key is to sign, when it is time to announce one: at once for the first key.

    Every later one is announced an hour before use, so that each service knows it before it meets it; after a stand
    so long that no key is believed any more, there is nothing to wait for.
    """
    if newest_not_before is None or now >= key_expiry(newest_not_before):
        return now
    starts = newest_not_before + KEY_SIGNS
    return max(starts, now + KEY_ANNOUNCED) if now >= starts - KEY_ANNOUNCED else None


def key_expiry(not_before: datetime) -> datetime:
    """Until when tokens of a key are believed: its time of signing, and a day for whoever is late with the next."""
    return not_before + KEY_SIGNS + KEY_ANNOUNCED + KEY_KEPT


# --- ids --------------------------------------------------------------------------------------------------------------

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_id(value: object) -> bool:
    """Whether this can be an id of ours at all; what cannot is answered like an unknown one."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def require_id(value: object, pointer: str) -> str:
    """Refuses: InvalidInput for what cannot be an id."""
    if not is_id(value):
        raise invalid(pointer, "id_format")
    return cast(str, value)
