"""What makes a password acceptable: its length, and that nobody guesses it first. No rules of composition."""

import re
from collections.abc import Collection
from unicodedata import normalize

from services.identity.contract import PasswordTooCommon, PasswordTooLong, PasswordTooShort
from services.refusals import InvalidInput

PASSWORD_MINIMUM = 12
PASSWORD_MAXIMUM = 128
_OWN_WORDS = ("opendsp", "esante", "dossierdesoins", "luxembourg", "letzebuerg")
_WALKS = (
    "01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "azertyuiopqsdfghjklmwxcvbn",
    "qwertzuiopasdfghjklyxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0", "1a2b3c4d5e6f7g8h9i", "a1b2c3d4e5f6g7h8i9",
)  # fmt: skip
_LEET = str.maketrans("0134578@$!", "oieastbasi")


def normal_password(password: object) -> str:
    """The password as it is hashed: the same whatever keyboard composed its accents [NIST SP 800-63B-4 3.1.1.2]."""
    if not isinstance(password, str):
        raise InvalidInput(errors=[{"pointer": "/password", "message": "type"}])
    return normalize("NFKC", password)


def matricules_within(password: str) -> list[str]:
    """Every run of 13 digits in a password: one of them may be the person's own matricule."""
    return re.findall(r"(?=([0-9]{13}))", password)


def require_password(password: str, common: Collection[str], own: Collection[str] = ()) -> None:
    """Any characters, long enough, not among the first guesses; no rules of composition.

    password: normalised. common: the shipped list. own: parts of it that others know of the person.
    Refuses: PasswordTooShort, PasswordTooLong, PasswordTooCommon. [NIST SP 800-63B-4 3.1.1.2]
    """
    if len(password) < PASSWORD_MINIMUM:
        raise PasswordTooShort(minimum=PASSWORD_MINIMUM)
    if len(password) > PASSWORD_MAXIMUM:
        raise PasswordTooLong(maximum=PASSWORD_MAXIMUM)
    plain = re.sub(r"\s", "", password.casefold())
    if plain in common or _is_repetition(plain, common) or _is_walk(plain):
        raise PasswordTooCommon()
    cores = (_core(plain), _core(plain).translate(_LEET), _core(plain.translate(_LEET)))
    if any(core in common or core in _OWN_WORDS for core in cores) or any(part in plain for part in own):
        raise PasswordTooCommon()


def _core(text: str) -> str:
    """What is left of `!!password2026!!` without the digits and signs around it."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text)


def _is_repetition(text: str, common: Collection[str]) -> bool:
    """`aaaaaaaaaaaa`, `abcabcabcabc`, `passwordpassword`: one short or common piece over and over."""
    found = re.fullmatch(r"(.+?)\1+.{0,3}", text)
    return found is not None and (len(found[1]) <= 4 or found[1] in common)


def _is_walk(text: str) -> bool:
    """A run along the keyboard, the alphabet or the digits, to and fro."""
    return any(text in walk + walk or text in (walk + walk)[::-1] for walk in _WALKS)
