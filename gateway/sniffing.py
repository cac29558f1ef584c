"""What kind of file passes by: told by its bytes, never by its name; what is cut short or locked is refused at once.

These are the checks that need no second look at the file: head, tail, size of an image, a lock on a PDF. Deep checks
are workers' business, not the gateway's.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections import deque
from collections.abc import Callable

from gateway.errors import refused
from services.documents.contract import CDA, CDA_AS_TEXT, DICOM, JPEG, MEDIA_TYPES, PDF, PICTURE_PIXELS, PNG, TEXT

HEAD = 64 * 1024
TAIL = 1024 * 1024  # where a PDF keeps its trailer, or the stream that stands for one, unless it begins with it
ALLOWED = tuple(MEDIA_TYPES)
UNDECLARED = (None, "", "application/octet-stream", "binary/octet-stream")

_PNG_END = b"\x00\x00\x00\x00IEND\xaeB\x60\x82"
_LOCK_NAME = b"/Encrypt"
_LOCK = re.compile(_LOCK_NAME + rb"[\x00\t\n\f\r ]*(?:\d+[\x00\t\n\f\r ]+\d+[\x00\t\n\f\r ]+R|<<)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_DOCTYPE = b"<!DOCTYPE"
_XML_START = re.compile(rb"(?:\xef\xbb\xbf)?[\t\r\n ]*<")
_CDA_START = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?ClinicalDocument[\s>]")
_CDA_END = re.compile(rb"</(?:[A-Za-z_][\w.-]*:)?ClinicalDocument\s*>(?:\s|<!--.*?-->|<\?.*?\?>)*\Z", re.DOTALL)
# start of frame: every SOFn but the tables that share the range (DHT, JPG, DAC)
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def require_declared(declared: str | None) -> None:
    """Refuses: unsupported_media_type for a declared kind that no document may have."""
    if declared not in UNDECLARED and declared not in ALLOWED:
        raise refused("unsupported_media_type", allowed=list(ALLOWED))


class Inspector:
    """Looks at a file as it streams by: `feed` each block, then `finish`.

    Refuses: unsupported_media_type (unknown bytes, or not what was declared), file_truncated, file_encrypted,
    image_too_large, upload_empty.
    """

    def __init__(self, declared: str | None = None) -> None:
        require_declared(declared)
        self._declared = declared
        self._head = bytearray()
        self._last: deque[bytes] = deque()  # the newest blocks as they came: nothing is copied on the way
        self._last_size = 0
        self._kind: str | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._seam = b""

    @property
    def kind(self) -> str | None:
        """What the bytes turned out to be; None while too few of them went by."""
        return self._kind

    def feed(self, block: bytes) -> None:
        """Looks at the next bytes."""
        if self._kind is None:
            before = bytes(self._head)  # all that went by until now: a head that is full is decided at once
            self._head += block[: HEAD - len(before)]
            if len(self._head) >= HEAD:
                self._decide()
                self._watch(before)
        if self._kind is not None:
            self._watch(block)
        self._last.append(block)
        self._last_size += len(block)
        while self._last_size - len(self._last[0]) >= TAIL:
            self._last_size -= len(self._last.popleft())

    def finish(self) -> str:
        """The media type of the whole file, now that its end was seen."""
        if not self._head:
            raise refused("upload_empty")
        if self._kind is None:
            self._decide()
            self._watch(bytes(self._head))
        kind, tail = self._kind or "", b"".join(self._last)[-TAIL:]
        if not _ENDS[kind](tail):
            raise refused("file_truncated", media_type=kind)
        if kind == PDF and (_is_locked(self._head) or _is_locked(tail)):
            raise refused("file_encrypted")
        if kind == TEXT:
            self._text(b"", final=True)
        return kind

    def _decide(self) -> None:
        head = bytes(self._head)
        kind = kind_of(head)
        same_as_declared = self._declared in UNDECLARED or _plain(self._declared) == kind
        if kind is None or not same_as_declared:
            raise refused("unsupported_media_type", allowed=list(ALLOWED))
        self._kind = kind
        if kind in (PNG, JPEG):
            _require_size(kind, head)

    def _watch(self, block: bytes) -> None:
        if self._kind == TEXT:
            self._text(block)
        elif self._kind == CDA:
            # it may stand behind a comment longer than any head, and across two blocks
            if _DOCTYPE in self._seam + block:
                raise refused("unsupported_media_type", allowed=list(ALLOWED))
            self._seam = (self._seam + block)[1 - len(_DOCTYPE) :]

    def _text(self, block: bytes, final: bool = False) -> None:
        try:
            self._decoder.decode(block, final)
        except UnicodeDecodeError:
            raise refused("unsupported_media_type", allowed=list(ALLOWED)) from None
        if _CONTROL.search(block):
            raise refused("unsupported_media_type", allowed=list(ALLOWED))


class Typed(Inspector):
    """Looks at what somebody typed: text, whatever it begins with. Refuses: upload_empty, unsupported_media_type."""

    def _decide(self) -> None:
        self._kind = TEXT


def _is_locked(part: bytes | bytearray) -> bool:
    # Most are not: that the name is nowhere is found out soonest from behind.
    return part.rfind(_LOCK_NAME) >= 0 and _LOCK.search(part) is not None


def _plain(declared: str | None) -> str | None:
    return CDA if declared == CDA_AS_TEXT else declared


def kind_of(head: bytes) -> str | None:
    """The media type that the first bytes of a file show, None for what no document may be."""
    if head.startswith(b"%PDF-"):
        return PDF
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head[128:132] == b"DICM":
        return DICOM
    if _XML_START.match(head):
        # a document type declaration could pull in other files at every later reader
        harmless = _DOCTYPE not in head and b"\0" not in head
        return CDA if harmless and _CDA_START.search(head) and b"urn:hl7-org:v3" in head else None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(head) else TEXT


def _require_size(kind: str, head: bytes) -> None:
    """Refuses: image_too_large for an image that would need gigabytes once opened; file_truncated without a size."""
    size = _png_size(head) if kind == PNG else _jpeg_size(head)
    if size is None:
        if kind == PNG or len(head) < HEAD:
            raise refused("file_truncated", media_type=kind)
        return  # a JPEG may carry more than a head of camera data before its frame
    if not size[0] or not size[1]:
        raise refused("file_truncated", media_type=kind)
    if size[0] * size[1] > PICTURE_PIXELS:
        raise refused("image_too_large", max_pixels=PICTURE_PIXELS)


def _png_size(head: bytes) -> tuple[int, int] | None:
    if len(head) < 24 or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        (length,) = struct.unpack(">H", head[at + 2 : at + 4])
        at += 2 + length
    return None


_ENDS: dict[str, Callable[[bytes], bool]] = {
    PDF: lambda tail: b"%%EOF" in tail[-1024:] and b"startxref" in tail[-2048:],
    PNG: lambda tail: _PNG_END in tail[-1024:],
    JPEG: lambda tail: b"\xff\xd9" in tail[-64 * 1024 :],
    TEXT: lambda tail: True,
    CDA: lambda tail: _CDA_END.search(tail[-8192:]) is not None,
    DICOM: lambda tail: len(tail) > 132,
}
