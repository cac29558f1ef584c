"""Argon2id for passwords and for the codes on letters; always one hash's worth of work per question.

An Argon2 hash holds its core for tens of milliseconds, so the service brings a `run` that takes it elsewhere and bounds
how many work at a time (hashers.py).
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHash

MEMORY_KIB = 46 * 1024
# Two passes: as long as one took while each hash had its memory from the kernel anew (hashers.py), and twice the work
# for whoever steals the hashes and guesses.
PASSES = 2
_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)


@cache
def nobodys_hash() -> str:
    """What a secret is compared with when there is nothing to compare it with."""
    return _HASHER.hash("nobody's secret")


def hashed(secret: str) -> str:
    """The salted hash of a secret."""
    return _HASHER.hash(_bytes(secret))


def is_of_hash(secret_hash: str | None, secret: str) -> bool:
    """Whether the secret is the hashed one; nobody's hash, where there is none, is nobody's."""
    try:
        return _HASHER.verify(secret_hash or nobodys_hash(), _bytes(secret)) and secret_hash is not None
    except (Argon2Error, InvalidHash):
        return False


def is_outdated(secret_hash: str) -> bool:
    """Whether a hash was made at another cost than new ones are: it still compares, and is made anew when it can be."""
    return _HASHER.check_needs_rehash(secret_hash)


def _bytes(secret: str) -> bytes:
    """What JSON lets through and UTF-8 does not (half a surrogate pair) is a wrong secret, not an error."""
    return secret.encode("utf-8", "surrogatepass")


def directly(work: Callable[..., Any], *args: Any) -> Any:
    """Runs the work where it stands: for a process that serves nobody meanwhile."""
    return work(*args)


class Hashing:
    """Hashes and compares; `run(work, *args)` says where."""

    def __init__(self, run: Callable[..., Any] = directly) -> None:
        self._run = run

    def hash(self, secret: str) -> str:
        """The salted hash to store."""
        return str(self._run(hashed, secret))

    def matches(self, secret_hash: str | None, secret: str) -> bool:
        """Whether the secret is the hashed one; without a hash the same work is done, and the answer is no."""
        return bool(self._run(is_of_hash, secret_hash, secret))
