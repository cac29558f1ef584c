"""The code with which a holder's invitation is accepted: how it looks, and what is kept of it.

Nothing here decides who may accept: that is rules_assistants.py and the row.
"""

from __future__ import annotations

import secrets
from hashlib import sha256

from services.dossier.presence_code import ALPHABET, as_issued

GROUPS, GROUP = 4, 5
"""91 random bits, in groups that can be read aloud: nobody guesses one, however often they try."""


def draw() -> str:
    """A new code, as it is handed over."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


def digest_of(entry: object) -> bytes:
    """What is kept of a code, and compared; case, spaces and hyphens do not count, and what is no text is no code."""
    return sha256(as_issued(entry).encode("utf-8", "surrogatepass") if isinstance(entry, str) else b"").digest()
