"""The holder's wallet secret: how a presence code looks, how it is kept and how a try is compared with it.

Nothing here decides who may try or how often: that is rules.py.
"""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# None of these looks like another when printed small or read aloud from a card: no 0 O, 1 I L, 2 Z, 5 S, 8 B, U V.
ALPHABET = "34679ACDEFGHJKMNPQRTUWXY"
LENGTH = 8

# Argon2id with 46 MiB, one pass, one lane: about 50 ms of one core.
_HASHER = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1, hash_len=32, salt_len=16)


def draw() -> str:
    """A new code."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def as_issued(entry: str) -> str:
    """What somebody typed, in the spelling of issue: case, spaces and hyphens do not count."""
    return "".join(entry.split()).replace("-", "").upper()[:64]


def hash_of(code: str) -> str:
    """The salted hash that is kept in place of the code."""
    return _HASHER.hash(code)


# Compared with when there is nothing to compare with, so that an unknown record costs what a known one does.
_NO_CODE = hash_of(draw())


def matches(kept: str | None, entry: str) -> bool:
    """Whether the entry is the code of this hash; the same work whether there is a hash or not."""
    try:
        return _HASHER.verify(kept or _NO_CODE, as_issued(entry)) and kept is not None
    except (VerificationError, InvalidHashError):
        return False
