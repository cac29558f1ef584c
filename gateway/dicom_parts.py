"""Many instances or frames in one answer: multipart/related, part after part, opened on the way, never whole in memory.

What comes first is opened before the answer begins, so that a refusal still is one. After that an answer can only be
broken off, which a reader sees: the last boundary is missing, and so is the end of the transfer.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from flask import Response

from gateway import streams
from gateway.dicom_accept import DICOM, MULTIPART
from gateway.study_access import Reader
from services.refusals import Refusal
from services.sealing import segments_for

FRESH = 30.0  # seconds for which what documents handed over may be begun; a presigned URL lives twice as long

Part = tuple[str, Iterable[bytes]]


def answer(parts: Iterator[Part], kind: str) -> Response:
    """The parts as one answer. Refuses: whatever the first part refuses."""
    boundary = secrets.token_hex(16)
    body = Body(parts, boundary)
    said = f'{MULTIPART}; type="{kind}"; boundary={boundary}'
    return Response(body, 200, headers={"Content-Type": said}, direct_passthrough=True)


class Body:
    """The bytes of such an answer; the first are there when this is made."""

    def __init__(self, parts: Iterator[Part], boundary: str) -> None:
        self._open: Any = None
        self._blocks = self._run(parts, boundary)
        self._first: bytes | None = next(self._blocks)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        first, self._first = self._first, None
        return next(self._blocks) if first is None else first

    def close(self) -> None:
        """Called by the server at the end, whatever the end was."""
        close = getattr(self._open, "close", None)
        if close is not None:
            close()
        self._blocks.close()

    def _run(self, parts: Iterator[Part], boundary: str) -> Generator[bytes, None, None]:
        lead = ""
        for kind, blocks in parts:
            self._open, running = blocks, iter(blocks)
            first = next(running, b"")  # before a word of this part is said
            yield f"{lead}--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + first
            yield from running
            close = getattr(blocks, "close", None)
            if close is not None:
                close()
            self._open, lead = None, "\r\n"
        yield f"{lead}--{boundary}--\r\n".encode()


def instances(reader: Reader, first: dict[str, Any], place: dict[str, Any]) -> Iterator[Part]:
    """The instances of `first`, documents' answer, and all that follow it, each as its file.

    Whoever reads long is asked after again: each further answer of documents is a decision of its own.
    """
    told, told_at, last = first, time.monotonic(), None
    while True:
        for each in told["instances"]:
            if time.monotonic() - told_at > FRESH:
                break
            last = [each["series_uid"], each["instance_uid"]]
            yield f"{DICOM}; transfer-syntax={each['transfer_syntax']}", whole(reader, each, place)
        else:
            if told["next"] is None:
                return
        told, told_at = reader.open_instances(**place, after=last), time.monotonic()


def whole(reader: Reader, told: dict[str, Any], place: dict[str, Any]) -> streams.Download:
    """The file of an instance. Refuses: Unavailable."""
    part = segments_for(0, told["size"] - 1, told["size"])
    return streams.opened(told, part, may_go_on(reader, place | {"instance_uid": told["instance_uid"]}))


def frames(reader: Reader, first: dict[str, Any], pages: list[list[int]], place: dict[str, Any], kind: str
           ) -> Iterator[Part]:  # fmt: skip
    """Frames of one instance: those of `first`, documents' answer to the first of `pages`, then those of the others."""
    told, told_at = first, time.monotonic()
    syntax = first["transfer_syntax"]
    for number, page in enumerate(pages):
        if number:
            told, told_at = _again(reader, place, page), time.monotonic()
        for at in range(len(page)):
            if time.monotonic() - told_at > FRESH:
                told, told_at = _again(reader, place, page), time.monotonic()
            yield f"{kind}; transfer-syntax={syntax}", _frame(reader, told, told["frames"][at], place)


def _again(reader: Reader, place: dict[str, Any], page: list[int]) -> dict[str, Any]:
    told: dict[str, Any] = reader.open_instances(**place, frames=page)["instances"][0]
    return told


def _frame(reader: Reader, told: dict[str, Any], parts: list[int], place: dict[str, Any]) -> Iterator[bytes]:
    for at, length in zip(parts[::2], parts[1::2], strict=True):
        if length:
            span = segments_for(at, at + length - 1, told["size"])
            opened = streams.opened(told, span, may_go_on(reader, place))
            try:
                yield from opened
            finally:
                opened.close()


def may_go_on(reader: Reader, place: dict[str, Any]) -> Callable[[], bool]:
    """Whether the reader still sees what is being streamed; asked now and then."""

    def ask() -> bool:
        try:
            reader.open_instances(**place)
        except Refusal:
            return False
        return True

    return ask
