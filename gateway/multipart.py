"""A deposit in one multipart request, read as a stream: part "metadata" first, then each "file", the last one last.

werkzeug's sans-I/O decoder reads up to the file's headers; the file itself is cut at its boundary here, without a
copy per block. Nothing is ever spooled: `request.files` and `request.form` would put clear bytes on a disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Event, Field, File, MultipartDecoder, NeedData, Preamble, State

from gateway.errors import refused

HEAD_LIMIT = 256 * 1024  # metadata and headers of both parts
METADATA_LIMIT = 64 * 1024
_HEAD_BLOCK = 16 * 1024
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")

Read = Callable[[int], bytes]
"""Gives up to so many bytes; fewer only at the end of the body."""


@dataclass(frozen=True)
class FilePart:
    """The file of a deposit: its declared kind, its size where the request tells it, its bytes once."""

    media_type: str | None
    size: int | None
    chunks: Iterator[bytes]


def boundary_of(content_type: str) -> bytes:
    """The boundary that separates the parts. Refuses: unsupported_media_type, malformed_multipart."""
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data":
        raise refused("unsupported_media_type", allowed=["multipart/form-data"])
    boundary = options.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise refused("malformed_multipart")
    return boundary.encode("ascii")


class Deposit:
    """Reads one deposit; `metadata()` first, then `file()`.

    length: the request's Content-Length, None when it has none; from it and the standard closing boundary follows the
    size of the file before its bytes were seen, which the object store wants to know.
    """

    def __init__(self, read: Read, boundary: bytes, length: int | None, block: int) -> None:
        self._read = read
        self._block = block
        self._length = length
        self._taken = 0
        self._boundary = boundary
        self._delimiter = b"\r\n--" + boundary
        self._decoder = self._new_decoder()

    def _new_decoder(self) -> MultipartDecoder:
        return MultipartDecoder(self._boundary, max_form_memory_size=HEAD_LIMIT, max_parts=2)

    def metadata(self) -> bytes:
        """The JSON text of the part "metadata". Refuses: malformed_multipart, upload_truncated."""
        event = self._next()
        if isinstance(event, Preamble):
            event = self._next()
        self._require(event, "metadata")
        text = bytearray()
        while True:
            event = self._next()
            if not isinstance(event, Data):
                raise refused("malformed_multipart")
            text += event.data
            if len(text) > METADATA_LIMIT:
                raise refused("malformed_multipart")
            if not event.more_data:
                return bytes(text)

    def files(self, sizes: list[int | None]) -> Iterator[FilePart]:
        """Each part "file" in turn, as many as `sizes`, each to be read to its end before the next is asked for.

        sizes: of each file where the sender told it; the last one's follows from the request otherwise.
        Refuses: malformed_multipart for fewer files, more, and any other part; upload_truncated.
        """
        for number, size in enumerate(sizes, 1):
            last = number == len(sizes)
            part = self.file(last=last)
            yield replace(part, size=(part.size if last else None) if size is None else size)

    def file(self, *, last: bool = True) -> FilePart:
        """The part "file", up to its first byte. Refuses: malformed_multipart, upload_truncated."""
        event = self._next()
        if isinstance(event, Preamble):
            event = self._next()
        part = self._require(event, "file")
        # The decoder stops before the line break that ends the headers; from here on it is not asked any more.
        while len(self._decoder.buffer) < 2:
            self._feed()
        rest = bytes(self._decoder.buffer)
        if not rest.startswith(b"\r\n"):
            raise refused("malformed_multipart")
        size = None
        if self._length is not None and last:
            size = self._length - (self._taken - len(rest) + 2) - len(self._delimiter) - len(b"--\r\n")
            if size < 0:
                size = None  # too short for a closing boundary: reading on will tell what is missing
        kind, _ = parse_options_header(part.headers.get("Content-Type", ""))
        return FilePart(kind.lower() or None, size, self._chunks(rest, last))

    def _require(self, event: Event, name: str) -> File | Field:
        if not isinstance(event, (File, Field)) or event.name != name:
            raise refused("malformed_multipart")
        return event

    def _next(self) -> Event:
        """The decoder's next event, reading as much as it needs."""
        while True:
            try:
                event = self._decoder.next_event()
            except (ValueError, AttributeError, RequestEntityTooLarge):
                raise refused("malformed_multipart") from None
            if isinstance(event, Data) and not event.data and event.more_data:
                event = NeedData()
            if not isinstance(event, NeedData):
                return event
            if self._decoder.state is State.EPILOGUE:
                raise refused("malformed_multipart")
            self._feed()

    def _feed(self) -> None:
        data = self._take(_HEAD_BLOCK)
        try:
            self._decoder.receive_data(data)
        except RequestEntityTooLarge:
            raise refused("malformed_multipart") from None

    def _take(self, size: int) -> bytes:
        data = self._read(size)
        if not data:
            raise refused("upload_truncated")
        self._taken += len(data)
        return data

    def _chunks(self, rest: bytes, last: bool) -> Iterator[bytes]:
        """The bytes of the file; `rest` begins with the line break before them."""
        while len(rest) < len(self._delimiter) and self._delimiter.startswith(rest):
            rest += self._take(self._block)
        held = rest if rest.startswith(self._delimiter) else rest[2:]
        while True:
            # Nearly always there is none; from behind that is found out in half the time.
            if held.rfind(self._delimiter) >= 0:
                at = held.find(self._delimiter)
                if at:
                    yield held[:at]
                rest = held[at + len(self._delimiter) :]
                return self._finish(rest) if last else self._begin_again(rest)
            safe = self._before_a_possible_delimiter(held)
            if safe:
                yield held[:safe]
            kept = held[safe:]
            block = self._take(self._block)
            held = kept + block if kept else block

    def _before_a_possible_delimiter(self, held: bytes) -> int:
        """How many bytes can be no beginning of the delimiter; nearly always all of them."""
        at = held.find(b"\r", max(0, len(held) - len(self._delimiter) + 1))
        while at >= 0:
            if self._delimiter.startswith(held[at:]):
                return at
            at = held.find(b"\r", at + 1)
        return len(held)

    def _begin_again(self, rest: bytes) -> None:
        """The decoder reads the headers of the next part, from the delimiter on, behind which `rest` came already."""
        self._decoder = self._new_decoder()
        try:
            self._decoder.receive_data(self._delimiter[2:] + rest)
        except RequestEntityTooLarge:
            raise refused("malformed_multipart") from None

    def _finish(self, rest: bytes) -> None:
        """After the file nothing may follow but the end of the request. Refuses: malformed_multipart."""
        while len(rest) < 2:
            rest += self._take(_HEAD_BLOCK)
        while more := self._read(_HEAD_BLOCK):
            rest += more
            if len(rest) > HEAD_LIMIT:
                raise refused("malformed_multipart")
        if not rest.startswith(b"--") or rest[2:].strip(b" \t\r\n"):
            raise refused("malformed_multipart")
