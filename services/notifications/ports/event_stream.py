"""Server-sent events over HTTP/1.1 (WHATWG HTML 9.2): many readers who hold a connection open, in one thread.

Who may read, and what they are told, its owner decides (streaming.py). h11 reads what strangers send, strictly and
within bounds. A reader who does not take what is written is dropped: nothing is kept for them beyond one small buffer,
for they come back and say where they were (Last-Event-ID).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

import h11
from uuid_utils import uuid7

HEAD_SECONDS = 5.0
HEAD_BYTES = 16 * 1024
BUFFER_BYTES = 64 * 1024
SEND_BUFFER = 32 * 1024
DEAD_AFTER = 30_000  # milliseconds: of a peer who acknowledges nothing
RETRY_FROM, RETRY_TO = 1000, 5000  # milliseconds: a thousand who are cut off at once come back one after the other
WORDS_MOST = 4096  # bytes that a reader may send once the stream runs: none are expected

HEADERS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
)

log = logging.getLogger(__name__)


class Refused(Exception):
    """This request gets no stream; the code is the refusal's."""

    def __init__(self, status: int, code: str, **headers: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code
        self.headers = tuple((name.replace("_", "-"), value) for name, value in headers.items())


@dataclass(frozen=True)
class Asked:
    """A request for a stream. Header names in lower case."""

    request_id: str
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    query: Mapping[str, str]
    address: str | None


@dataclass(eq=False)
class Line:
    """An open connection to one reader."""

    _writer: asyncio.StreamWriter
    _wire: h11.Connection
    on_end: Callable[[], None] = field(default=lambda: None)

    def write(self, text: str) -> None:
        """Sends, or drops a reader who has not taken what was sent before; never waits."""
        if self._writer.transport.is_closing():
            return
        try:
            data = self._wire.send(h11.Data(data=text.encode()))
        except h11.LocalProtocolError:
            return  # said farewell already
        if data:
            self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > BUFFER_BYTES:
            self._writer.transport.abort()

    def close(self) -> None:
        """Says farewell and hangs up; a reader who does not listen any more is not waited for."""
        if not self._writer.transport.is_closing():
            data = self._wire.send(h11.EndOfMessage()) if self._wire.our_state is h11.SEND_BODY else None
            if data:
                self._writer.write(data)
            if self._writer.transport.get_write_buffer_size() > SEND_BUFFER:
                self._writer.transport.abort()
            else:
                self._writer.close()


Open = Callable[[Asked, Line], Awaitable[None]]
"""Lets a reader in, or raises Refused; called before anything was answered. What is written then, they get."""


class EventStream:
    """The server: one path, one method, as many readers as are let in."""

    def __init__(self, path: str, open_line: Open, *, origins: frozenset[str], most: int) -> None:
        """origins: whose pages may read the stream from elsewhere. most: how many connections there are at once."""
        self._path, self._open, self._origins, self._most = path, open_line, origins, most
        self._connections = 0
        self._server: asyncio.Server | None = None

    async def begin(self, host: str, port: int) -> None:
        """Listens from now on."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=HEAD_BYTES, backlog=1024)

    def end(self) -> None:
        """Lets nobody in any more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which carries one request."""
        self._connections += 1
        wire, begun = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES), time.monotonic()
        line, request_id, status, code = Line(writer, wire), str(uuid7()), 0, None
        try:
            _tune(writer)
            origin: str | None = None
            try:
                if self._connections > self._most:
                    raise Refused(503, "unavailable", Retry_After="5")
                request = await asyncio.wait_for(_head(wire, reader), HEAD_SECONDS)
                asked = _asked(request, request_id, writer)
                origin = self._origin(asked)
                if self._is_aside(request, writer, wire, request_id, origin):
                    return
                await self._open(asked, line)
            except Refused as refused:
                status, code = refused.status, refused.code
                _answer(writer, wire, status, _problem(refused, request_id), request_id, origin, refused.headers)
                return
            status = 200
            _begin(writer, wire, request_id, origin)
            line.write(f"retry: {random.randint(RETRY_FROM, RETRY_TO)}\n\n")  # noqa: S311 (spreads, hides nothing)
            _tell(status, code, request_id, begun)
            await _until_gone(reader)
        except (TimeoutError, h11.RemoteProtocolError, EOFError, OSError) as broken:
            if status == 0 and isinstance(broken, h11.RemoteProtocolError):
                status, code = 400, "bad_request"
                _answer(writer, wire, status, _problem(Refused(status, code), request_id), request_id, None)
        finally:
            self._connections -= 1
            line.on_end()
            if status not in (0, 200):
                _tell(status, code, request_id, begun)
            writer.close()

    def _is_aside(
        self, request: h11.Request, writer: asyncio.StreamWriter, wire: h11.Connection, request_id: str,
        origin: str | None,
    ) -> bool:  # fmt: skip
        """Answers what asks for no stream: what a browser asks before it may, and whether anybody is there."""
        path, method = request.target.partition(b"?")[0].decode("latin-1"), request.method
        if path == "/health/live" and method == b"GET":
            _answer(writer, wire, 200, ("application/json", b'{"live":true}'), request_id, None)
            return True
        if path != self._path:
            raise Refused(404, "not_found")
        if method == b"OPTIONS":
            _answer(writer, wire, 204, None, request_id, origin, (
                ("Access-Control-Allow-Methods", "GET"),
                ("Access-Control-Allow-Headers", "Authorization, Last-Event-ID, Accept, Accept-Language"),
                ("Access-Control-Max-Age", "600"),
            ))  # fmt: skip
            return True
        if method != b"GET":
            raise Refused(405, "method_not_allowed", Allow="GET, OPTIONS")
        return False

    def _origin(self, asked: Asked) -> str | None:
        """The origin whose page may read the answer. A page of any other is refused before its cookie is looked at."""
        origin = asked.headers.get("origin")
        if origin is not None and origin not in self._origins:
            raise Refused(403, "not_allowed")
        return origin


def event(kind: str, told: Mapping[str, object], place: str | None = None) -> str:
    """One event as it stands on the wire. place: from where the stream is taken up again once this has arrived."""
    lines = [f"event: {kind}", *([f"id: {place}"] if place is not None else []),
             "data: " + json.dumps(told, ensure_ascii=False, separators=(",", ":"))]  # fmt: skip
    return "\n".join(lines) + "\n\n"


BEAT = ":\n\n"
"""A word that says nothing: whoever stands between keeps the connection, and a dead one is noticed."""


def _tune(writer: asyncio.StreamWriter) -> None:
    wire: socket.socket = writer.get_extra_info("socket")
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def _head(wire: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while True:
        found = wire.next_event()
        if isinstance(found, h11.Request):
            return found
        if found is not h11.NEED_DATA:
            raise EOFError
        data = await reader.read(HEAD_BYTES)
        if not data:
            raise EOFError
        wire.receive_data(data)


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Until the reader hangs up; whatever they say is not looked at, and too much of it ends the stream."""
    said = 0
    while said < WORDS_MOST and (data := await reader.read(1024)):
        said += len(data)


def _asked(request: h11.Request, request_id: str, writer: asyncio.StreamWriter) -> Asked:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    cookies: dict[str, str] = {}
    try:
        cookies = {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        pass
    query = parse_qs(request.target.partition(b"?")[2].decode("latin-1"))
    peer = writer.get_extra_info("peername")
    return Asked(
        request_id, headers, cookies, {name: values[0] for name, values in query.items()}, peer[0] if peer else None
    )


def _begin(writer: asyncio.StreamWriter, wire: h11.Connection, request_id: str, origin: str | None) -> None:
    headers = [*HEADERS, ("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no"), ("Connection", "close"),
               ("X-Request-Id", request_id), *_cross(origin)]  # fmt: skip
    writer.write(wire.send(h11.Response(status_code=200, headers=headers)) or b"")


def _answer(
    writer: asyncio.StreamWriter, wire: h11.Connection, status: int, body: tuple[str, bytes] | None, request_id: str,
    origin: str | None, also: tuple[tuple[str, str], ...] = (),
) -> None:  # fmt: skip
    """A whole answer, and the end of the connection."""
    headers = [*HEADERS, *also, ("Connection", "close"), ("X-Request-Id", request_id), *_cross(origin)]
    if body is not None:
        headers += [("Content-Type", body[0]), ("Content-Length", str(len(body[1])))]
    for part in (
        h11.Response(status_code=status, headers=headers),
        *([h11.Data(data=body[1])] if body is not None else []),
        h11.EndOfMessage(),
    ):
        writer.write(wire.send(part) or b"")


def _cross(origin: str | None) -> list[tuple[str, str]]:
    if origin is None:
        return [("Cross-Origin-Resource-Policy", "same-origin"), ("Vary", "Origin")]
    return [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"),
            ("Cross-Origin-Resource-Policy", "cross-origin"), ("Vary", "Origin")]  # fmt: skip


def _problem(refused: Refused, request_id: str) -> tuple[str, bytes]:
    """The form of RFC 9457; in words it is said by the gateway alone, whose readers see it."""
    told = {"type": f"urn:dsp:problem:{refused.code}", "status": refused.status, "request_id": request_id}
    return "application/problem+json", json.dumps(told, separators=(",", ":")).encode()


def _tell(status: int, code: str | None, request_id: str, begun: float) -> None:
    log.info("request", extra={
        "method": "GET", "route": "stream", "status": status, "code": code, "request_id": request_id,
        "ms": round((time.monotonic() - begun) * 1000, 1),
    })  # fmt: skip
