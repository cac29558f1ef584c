"""How a year of entries is written down for the object store, and what is said of it in the log.

A group is what one record has in a year: its rows as the database itself writes and reads them, one a line, squeezed.
Groups lie one after the other in packs. Pure: no I/O, no clock.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

PACK_BYTES: Final = 8 * 1024 * 1024
"""From how many bytes on a pack is full."""

KEPT_BACK_HOURS: Final = 48
"""How long a copy of what was read stays among the entries: longer than an export may take."""

LONGEST_GROUP: Final = 256 * 1024 * 1024
"""How many bytes a group may squeeze out to; more was never written."""

HEADING: Final = "opendsp audit archive"


class NotAnArchive(Exception):
    """What came out of the store is not what was written into it."""


def is_over(year: int, at: datetime) -> bool:
    """Whether a year has ended everywhere on earth."""
    return at.astimezone(UTC) >= datetime(year + 1, 1, 2, tzinfo=UTC)


def written(rows: Iterable[str]) -> bytes:
    """Returns the bytes of a group. rows: each a JSON object on one line."""
    return zlib.compress("\n".join(rows).encode(), 6)


def read(group: bytes) -> list[str]:
    """Returns the rows of a group.

    Raises NotAnArchive.
    """
    try:
        opened = zlib.decompressobj()
        text = opened.decompress(group, LONGEST_GROUP)
        if opened.unconsumed_tail or not opened.eof:
            raise NotAnArchive("a group is too long, or cut off")
        return text.decode().split("\n")
    except (zlib.error, UnicodeDecodeError) as broken:
        raise NotAnArchive("a group cannot be read") from broken


def said(year: int, packs: Sequence[tuple[str, int, str]]) -> str:
    """Returns the text of what went into the store: each pack with its length and SHA-256."""
    lines = (f"{pack_id} {size} {digest}" for pack_id, size, digest in sorted(packs))
    return "\n".join([HEADING, str(year), *lines]) + "\n"


def digest_of(text: str) -> str:
    """Returns what the entry of an archiving says of its text."""
    return sha256(text.encode()).hexdigest()


def name_of(year: int, pack_id: str) -> str:
    """Returns the name of a pack in the store."""
    return f"entries/{year}/{pack_id}"
