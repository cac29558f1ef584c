"""The line of an entry: the very bytes that its leaf is the hash of, that an export shows, and that a verifier hashes.

Part of what is known of an entry is not everybody's who may read it: how much an answer showed, from which address, in
which session. The line holds the hash of that part, under a salt of its own, so that whoever has the whole entry can
show that it was so. An entry's one random value gives both salts; with it, and with the contents, it is destroyed, and
then nobody can find out by guessing what a leaf was made of.

The form is fixed for ever: a line is written anew from its entry whenever it is exported. Another form is another `v`.
Pure: no I/O, no clock.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from json import JSONEncoder
from typing import Any, Final

VERSION: Final = 1

OPEN: Final = (
    "trace_id", "at", "received_at", "source", "action", "outcome", "reason", "account_id", "capacity", "patient_id",
    "professional_id", "profession", "establishment_id", "record_id", "object_id", "object_type", "ground", "rule",
    "purpose", "request_id", "software", "digest",
)  # fmt: skip
"""What the line says, in this order."""

SEALED: Final = ("session_id", "address", "count")
"""What it says by a hash alone, in this order."""

# Made once: `dumps` with arguments makes one each time, which takes as long as the whole line.
_encoded: Final = JSONEncoder(separators=(",", ":")).encode


def line(entry: Mapping[str, Any]) -> str:
    """Returns the line of an entry, without a line's end; what is unknown is not in it.

    entry: the columns of the entry by name; times are aware, ids are text in their one spelling.
    """
    salt = bytes(entry["salt"])
    said = {"v": VERSION, **_said(entry, OPEN), "salt": _salt(salt, b"line"), "sealed": sealed_hash(entry)}
    return _text(said)


def sealed_part(entry: Mapping[str, Any]) -> str:
    """Returns what the line says by its hash alone, with the salt that belongs to it."""
    return _text({**_said(entry, SEALED), "salt": _salt(bytes(entry["salt"]), b"sealed")})


def sealed_hash(entry: Mapping[str, Any]) -> str:
    """Returns the hash that stands in the line for the sealed part."""
    return sha256(sealed_part(entry).encode()).hexdigest()


def leaf_hash(text: str) -> bytes:
    """Returns the hash of a line as a leaf of the log [RFC 9162 2.1.1]."""
    return sha256(b"\0" + text.encode()).digest()


def _said(entry: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    told = ((name, entry[name]) for name in names)
    return {name: value if type(value) is str else _plain(value) for name, value in told if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


def _salt(salt: bytes, use: bytes) -> str:
    return sha256(salt + use).hexdigest()[:32]


def _text(said: Mapping[str, Any]) -> str:
    return _encoded(said)
