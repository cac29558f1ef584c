"""What the notary signs, word for word, and how it knows each record's own chain. Pure: no I/O, no clock."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from services.audit.rules_tree import root

NO_CHAIN: Final = bytes(32)
"""The chain of a record without entries."""

DRIFT: Final = 60.0
"""Seconds by which the clocks of two parts of the platform may differ."""

FORMAT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Head:
    """A head of the log as it was signed: how many leaves, their root, when, with which key."""

    size: int
    root: bytes
    at: datetime
    key_id: str
    signature: bytes

    def as_line(self) -> dict[str, Any]:
        """The head as it stands in the witness, in exports and in answers."""
        return {
            "size": self.size, "root": base64(self.root), "at": moment(self.at), "key_id": self.key_id,
            "signature": base64(self.signature),
        }  # fmt: skip

    @classmethod
    def from_line(cls, line: Mapping[str, Any]) -> "Head":
        """The head that such a line tells.

        Raises KeyError, TypeError, ValueError for what is none.
        """
        return cls(
            int(line["size"]), b64decode(line["root"], validate=True), datetime.fromisoformat(line["at"]),
            str(line["key_id"]), b64decode(line["signature"], validate=True),
        )  # fmt: skip


def base64(value: bytes) -> str:
    """Returns bytes as they stand in texts."""
    return b64encode(value).decode()


def moment(at: datetime) -> str:
    """Returns a moment as it stands in texts: RFC 3339, UTC, microseconds."""
    return at.astimezone(UTC).strftime(FORMAT)


def head_text(size: int, root: bytes, at: datetime) -> bytes:
    """Returns what the signature of a head is over."""
    return f"opendsp audit log\n{size}\n{base64(root)}\n{moment(at)}\n".encode()


def history_text(records: Iterable[str], leaves: list[bytes], head: Head, at: datetime) -> str:
    """Returns what the notary states of a history: that these leaves are all of these records there is to show.

    leaves: those shown, in the order of their positions; the head: up to which the log was looked at.
    """
    told = ("opendsp audit history", ",".join(sorted(records)), str(len(leaves)), base64(root(leaves)),
            str(head.size), base64(head.root), moment(at))  # fmt: skip
    return "\n".join(told) + "\n"


def key_id(public_key: bytes) -> str:
    """Returns the name of a key that signs heads."""
    return sha256(public_key).hexdigest()[:16]


def chained(chain: bytes, leaves: Iterable[bytes]) -> bytes:
    """Returns a record's chain with further leaves on it."""
    for leaf in leaves:
        chain = sha256(b"\2" + chain + leaf).digest()
    return chain
