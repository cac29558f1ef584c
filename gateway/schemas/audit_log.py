"""Shapes of the log over all traces: its signed heads, its keys, and what proves a place in it."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Listed, Moment, Number, Part, Text
from gateway.schemas.people import TIME
from gateway.schemas.records import Page

_HASH = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
_HEAD = {"size": 81234, "root": _HASH, "at": TIME, "key_id": "56475aa75463474c", "signature": f"{'A' * 86}=="}


class TreeHeadPage(Page):
    pass


class TreeHead(Shape):
    """The root over so many entries, signed by the notary [RFC 9162]."""

    size = Number("How many entries it is over.")
    root = Text("Base64.")
    at = Moment("When it was signed.")
    key_id = Text("The key that signed.")
    signature = Text(
        "Ed25519 (RFC 8032), base64, over the lines `opendsp audit log`, size, root and at as they stand here, each"
        " ended by a line feed."
    )

    example: ClassVar = _HEAD


class TreeHeads(Shape):
    heads = Listed(Part(TreeHead))
    next_cursor = Text(allow_none=True)

    example: ClassVar = {"heads": [_HEAD], "next_cursor": None}


class LogKey(Shape):
    """A public key of the notary."""

    key_id = Text("The first 16 digits of the key's SHA-256.")
    public_key = Text("Ed25519, 32 bytes in base64.")
    from_size = Number("It signs heads of more entries than these.")
    since = Moment()


class LogKeys(Shape):
    keys = Listed(Part(LogKey))

    example: ClassVar = {
        "keys": [{"key_id": "56475aa75463474c", "public_key": _HASH, "from_size": 0, "since": TIME}]
    }  # fmt: skip


class InclusionQuery(Query):
    leaf = Text(
        "SHA-256 over a zero byte and the entry's line, as 64 hexadecimal digits.",
        required=True, pattern=r"\A[0-9a-f]{64}\Z", code="format",
    )  # fmt: skip
    size = Number("Against the head of this size; the newest when missing.", minimum=1)


class InclusionProof(Shape):
    """What shows that an entry has this position in the log [RFC 9162 2.1.3]."""

    position = Number("Counted from 0.")
    head = Part(TreeHead)
    path = Listed(Text())

    example: ClassVar = {"position": 4711, "head": _HEAD, "path": [_HASH]}


class ConsistencyQuery(Query):
    first = Number("The size of a signed head.", minimum=1, required=True)
    second = Number("The size of a later one; the newest when missing.", minimum=1)


class ConsistencyProof(Shape):
    """What shows that the second log grew out of the first, and nothing in it was changed [RFC 9162 2.1.4]."""

    first = Part(TreeHead)
    second = Part(TreeHead)
    path = Listed(Text())

    example: ClassVar = {"first": {**_HEAD, "size": 80000}, "second": _HEAD, "path": [_HASH]}
