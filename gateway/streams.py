"""Bytes in and out: sealed while they come in, opened while they go out, never whole in memory, never on a disk.

Up: blocks of the request are hashed, looked at and sealed, and put to the object store through the presigned URL that
documents gave; only after the store's answer may `commit_deposit` follow. When the sender stops, lies about the
length or sends what is not allowed, the put is broken off before its end and nothing is stored.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import chain
from threading import Lock
from typing import IO, Any, NamedTuple, cast

import urllib3
from flask import request
from urllib3.exceptions import HTTPError

from gateway.clients import clients
from gateway.errors import refused
from gateway.sniffing import Inspector
from services.documents.contract import MOST_BYTES
from services.refusals import Refusal, Unavailable
from services.sealing import SegmentRange, open_range, seal, seal_part, sealed_size, segments_for

BLOCK = 256 * 1024  # measured: smaller costs calls, larger leaves the processor's cache between hash, seal and socket
BUFFERED = 8 * 1024 * 1024  # a file whose size nobody told may be this big: its sealed form waits in memory
GRACE = 30.0  # seconds before a slow sender is given up
SLOWEST = 4 * 1024  # bytes a second over the whole upload; less holds a thread for nothing
UPLOADS_AT_ONCE = 8  # per account and process
DRAINED = 64 * 1024 * 1024
_DRAIN_TIME = 5.0
_DRAIN_SILENCE = 0.5
REASK = 30.0  # seconds after which a running download asks again whether it may go on

PEER: ContextVar[socket.socket | None] = ContextVar("PEER", default=None)
"""The socket of the request's peer, where the server shows it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Received:
    """What went into the store: of the plain bytes, as commit_deposit wants them, and the store's receipt for them."""

    sha256: str
    size: int
    media_type: str
    store_version: str | None = None


# --- the sender -----------------------------------------------------------------------------------------------------


class Body:
    """The request's body as it arrives. Reading it refuses upload_truncated when the sender stops or crawls."""

    def __init__(self) -> None:
        self.length = request.content_length
        self._input = _incoming()
        self._read = 0
        self._begun = time.monotonic()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only where the body ends, none after it."""
        if self.length is not None:
            size = min(size, self.length - self._read)
        if not size:
            return b""
        try:
            data: bytes = self._input.read(size)
        except Refusal:
            raise
        except Exception as broken:  # the server's own kinds: socket errors, timeouts, broken chunks
            log.warning("upload broken off", extra={"kind": type(broken).__name__})
            raise refused("upload_truncated") from None
        self._read += len(data)
        taken = time.monotonic() - self._begun
        if (self.length is not None and len(data) < size) or (taken > GRACE and self._read < taken * SLOWEST):
            raise refused("upload_truncated")
        return data

    def blocks(self) -> Iterator[bytes]:
        """The whole body, block by block."""
        while data := self.read(BLOCK):
            yield data


def _incoming() -> IO[bytes]:
    """What comes, as the server hands it on, where it knows how long it is: Flask's own stream, which keeps to that
    length once more, copies each block twice more."""
    incoming: IO[bytes] = request.stream if request.content_length is None else request.input_stream
    return incoming


def drain() -> None:
    """Reads off what is left of a refused request, within bounds: a sender in the middle of a body hears nothing.

    What is too long, or does not come, is left; the server then closes the connection.
    """
    peer = PEER.get()
    long = (request.content_length or 0) > DRAINED
    if peer is None or long or not (request.content_length or "Transfer-Encoding" in request.headers):
        return
    patience = peer.gettimeout()
    peer.settimeout(_DRAIN_SILENCE)
    end, left = time.monotonic() + _DRAIN_TIME, DRAINED
    try:
        incoming = _incoming()
        while left > 0 and time.monotonic() < end and (data := incoming.read(BLOCK)):
            left -= len(data)
    except Exception:  # noqa: S110 - it stopped sending, or sent nonsense: then it is listening
        pass
    finally:
        peer.settimeout(patience)


@contextmanager
def uploading(account_id: str) -> Iterator[Body]:
    """The body of an upload, under the account's limit.

    Refuses: too_many_uploads.
    """
    with place(account_id):
        yield Body()


@contextmanager
def place(account_id: str) -> Iterator[None]:
    """One of an account's places for uploads, for as long as it holds a thread.

    Refuses: too_many_uploads.
    """
    _enter(account_id)
    try:
        yield
    finally:
        _leave(account_id)


_running: dict[str, int] = {}
_running_lock = Lock()


def _enter(account_id: str) -> None:
    with _running_lock:
        if _running.get(account_id, 0) >= UPLOADS_AT_ONCE:
            raise refused("too_many_uploads")
        _running[account_id] = _running.get(account_id, 0) + 1


def _leave(account_id: str) -> None:
    with _running_lock:
        _running[account_id] -= 1
        if not _running[account_id]:
            del _running[account_id]


# --- up -------------------------------------------------------------------------------------------------------------


def store(
    chunks: Iterator[bytes], started: dict[str, Any], *, size: int | None, declared: str | None = None,
    inspector: Inspector | None = None,
) -> Received:  # fmt: skip
    """Seals a stream of plain bytes into the object store.

    started: documents' answer (`version_id`, `put_url`, `sealed_key`, `max_size`). size: of the plain bytes when
    known beforehand. declared: their kind as the sender names it. inspector: who looks at them, if not the usual one.

    Refuses: upload_too_large, upload_empty, upload_truncated, length_required, what `Inspector` refuses, Unavailable.
    """
    max_size = started["max_size"]
    if size is not None and size > max_size:
        raise refused("upload_too_large", max_size=max_size)
    version_id = started["version_id"]
    key = clients().keys.receive(started["sealed_key"], version_id.encode())
    watched = Watched(chunks, inspector or Inspector(declared), size, max_size)
    sealed: Iterator[bytes | bytearray] = seal(watched, key, version_id)
    if size is None or size <= BUFFERED:
        blocks = _gathered(sealed)
        receipt = _put(started["put_url"], iter(blocks), sum(map(len, blocks)))
    else:
        # what the first block shows is refused before the store hears of it
        receipt = _put(started["put_url"], chain([next(sealed)], sealed), sealed_size(size))
    return replace(watched.received(), store_version=receipt.version)


class Watched:
    """The plain bytes on their way to the seal: counted, hashed, looked at, the end before it is passed on."""

    def __init__(self, chunks: Iterator[bytes], inspector: Inspector, size: int | None, max_size: int) -> None:
        self._chunks = chunks
        self._inspector = inspector
        self._size = size
        self._max_size = max_size
        self._digest = hashlib.sha256()
        self._total = 0
        self._media_type = ""

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._total += len(chunk)
            if self._total > self._max_size:
                raise refused("upload_too_large", max_size=self._max_size)
            if self._size is not None and self._total > self._size:
                raise refused("malformed_multipart")
            self._digest.update(chunk)
            self._inspector.feed(chunk)
            self._require_room()
            yield chunk
        if self._size is not None and self._total != self._size:
            raise refused("upload_truncated")
        self._media_type = self._inspector.finish()

    def _require_room(self) -> None:
        """Refuses: upload_too_large for more than this kind of file may have, as soon as the kind is known."""
        kind = self._inspector.kind
        most = min(MOST_BYTES.get(kind or "", self._max_size), self._max_size)
        if max(self._total, self._size or 0) > most:
            raise refused("upload_too_large", max_size=most, media_type=kind)

    def received(self) -> Received:
        return Received(self._digest.hexdigest(), self._total, self._media_type)


def _gathered(sealed: Iterator[bytes | bytearray]) -> list[bytes | bytearray]:
    blocks: list[bytes | bytearray] = []
    total = 0
    for block in sealed:
        total += len(block)
        if total > sealed_size(BUFFERED):
            raise refused("length_required")
        blocks.append(block)
    return blocks


def store_part(plain: bytes, started: dict[str, Any]) -> str | None:
    """Seals one part of an object into the store, whose receipt for it is given back; None of one that is joined.

    started: documents' answer to `start_part`, which has written down what these bytes are. Refuses: Unavailable.
    """
    if started["put_url"] is None:
        return None
    version_id = started["version_id"]
    key = clients().keys.receive(started["sealed_key"], version_id.encode())
    blocks = list(seal_part(plain, key, version_id, started["first_segment"], last=started["last"]))
    return _put(started["put_url"], iter(blocks), sum(map(len, blocks))).etag


def read_through(joined: dict[str, Any]) -> Received:
    """Reads an object that was put together of parts from its first byte to its last, and looks at it like at any file.

    joined: documents' answer to `join_parts`. Refuses: as `store`; raises BytesTampered for what was changed.
    """
    size = joined["size"]
    download = opened(joined, segments_for(0, size - 1, size), lambda: True)
    watched = Watched(iter(download), Inspector(), size, size)
    try:
        for _ in watched:
            pass
    finally:
        download.close()
    return watched.received()


class _Receipt(NamedTuple):
    """What the store says of bytes that it holds in full: a part's name, and that of exactly this version."""

    etag: str
    version: str | None


def _put(url: str, blocks: Iterator[bytes | bytearray], length: int) -> _Receipt:
    """One put of exactly `length` bytes; the store's receipt.

    Refuses: Unavailable, and whatever the source of the blocks refuses.
    """
    try:
        answer = clients().store.request(
            "PUT", url, body=cast("Any", blocks), headers={"Content-Length": str(length)}, retries=False, redirect=False
        )
    except HTTPError as broken:
        log.warning("object store unreachable", extra={"kind": type(broken).__name__})
        raise Unavailable(service="object_store") from None
    if answer.status != 200:
        log.warning("object store refused a put", extra={"status": answer.status})
        raise Unavailable(service="object_store")
    version = answer.headers.get("x-amz-version-id")
    return _Receipt(str(answer.headers.get("ETag", "")).strip('"'), None if version in (None, "", "null") else version)


# --- down -----------------------------------------------------------------------------------------------------------


def opened(content: dict[str, Any], part: SegmentRange, may_go_on: Callable[[], bool]) -> Download:
    """The plain bytes of `part`, opened as they come from the store; the first block is opened before this returns.

    content: documents' answer (`get_url`, `sealed_key`, `content_id`). may_go_on: asked every 30 s.

    Refuses: Unavailable; raises BytesTampered.
    """
    content_id = content["content_id"]
    key = clients().keys.receive(content["sealed_key"], content_id.encode())
    answer = _get(content["get_url"], part)
    blocks = open_range(answer.stream(BLOCK), key, content_id, part)
    try:
        first = next(blocks)
    except HTTPError:
        answer.close()
        raise Unavailable(service="object_store") from None
    except BaseException:
        answer.close()
        raise
    return Download(answer, first, blocks, may_go_on)


def _get(url: str, part: SegmentRange) -> urllib3.BaseHTTPResponse:
    wanted = {"Range": f"bytes={part.sealed_start}-{part.sealed_end}", "Accept-Encoding": "identity"}
    try:
        answer = clients().store.request(
            "GET", url, headers=wanted, preload_content=False, retries=False, redirect=False
        )
    except HTTPError as broken:
        log.warning("object store unreachable", extra={"kind": type(broken).__name__})
        raise Unavailable(service="object_store") from None
    if answer.status != 206:
        log.warning("object store refused a get", extra={"status": answer.status})
        answer.close()
        raise Unavailable(service="object_store")
    return answer


class Download:
    """The body of an answer: ends the store's connection when the reader leaves, and the answer when a right ends.

    An answer cannot take its status back; broken off, it is shorter than its Content-Length, which every reader sees.
    """

    def __init__(
        self,
        answer: urllib3.BaseHTTPResponse,
        first: memoryview,
        blocks: Iterator[memoryview],
        may_go_on: Callable[[], bool],
    ) -> None:
        self._answer = answer
        self._blocks = chain([first], blocks)
        self._may_go_on = may_go_on
        self._ask_at = time.monotonic() + REASK

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if time.monotonic() > self._ask_at:
            if not self._may_go_on():
                raise BrokenOff
            self._ask_at = time.monotonic() + REASK
        try:
            return bytes(next(self._blocks))  # gunicorn takes bytes alone
        except HTTPError as broken:
            log.warning("object store left in the middle", extra={"kind": type(broken).__name__})
            raise BrokenOff from None

    def close(self) -> None:
        """Called by the server at the end, whatever the end was."""
        if self._answer.length_remaining:
            self._answer.close()  # unread bytes: the connection is of no further use
        else:
            self._answer.release_conn()


class BrokenOff(Exception):
    """A running download lost its right, or the store that it comes from."""
