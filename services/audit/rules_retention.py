"""How long contents of entries live, and what is written down when they are destroyed.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

HEADING: Final = "opendsp audit destruction"


def due_before(at: datetime, days: int) -> datetime:
    """Returns since when a record must have been deleted, so that what is left of its traces goes now."""
    return at - timedelta(days=max(0, days))


def spans(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Returns places in the log as spans of neighbours, in order, the last one of each included."""
    found: list[tuple[int, int]] = []
    for position in sorted(set(positions)):
        if found and found[-1][1] == position - 1:
            found[-1] = (found[-1][0], position)
        else:
            found.append((position, position))
    return found


def said(positions: Iterable[int]) -> str:
    """Returns the text of a destruction: which places of the log have lost their contents."""
    return "\n".join([HEADING, *(f"{first}-{last}" for first, last in spans(positions))]) + "\n"


def digest_of(text: str) -> str:
    """Returns what the entry of a destruction says of its text."""
    return sha256(text.encode()).hexdigest()
