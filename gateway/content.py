"""The download of one version: which bytes are asked for, which headers go with them, and the stream itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from flask import Response, request
from werkzeug.http import parse_range_header, quote_etag, unquote_etag

from gateway import streams
from gateway.caller import ask, ask_anew, gateway_key, later
from gateway.errors import refused
from gateway.operations import nothing
from services.documents.contract import JPEG, MEDIA_TYPES, PDF, PNG, TEXT
from services.refusals import Refusal
from services.sealing import segments_for

HEADERS = ("ETag", "Accept-Ranges", "Content-Disposition", "Repr-Digest")
_SHOWN: dict[str, Any] = {kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in MEDIA_TYPES}
BYTES: dict[str, Any] = _SHOWN
ALSO: dict[int, dict[str, Any]] = {
    206: {
        "description": "The part asked for by Range.",
        "headers": {"Content-Range": {"$ref": "#/components/headers/Content-Range"}},
        "content": _SHOWN,
    },
    304: {"description": "The reader has these bytes already (If-None-Match)."},
}
PARAMETERS = (
    {"in": "header", "name": "Range", "schema": {"type": "string"}, "example": "bytes=0-65535"},
    {"in": "header", "name": "If-None-Match", "schema": {"type": "string"}},
    {"in": "header", "name": "If-Range", "schema": {"type": "string"}},
)

# A stored file is somebody else's work: it may run nothing and reach nobody, whatever it is.
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"
EMBEDDED = "sandbox; default-src 'none'; frame-ancestors 'self'"
"""The same for what a page of ours may show in itself."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,150}")

SAFE_INLINE = frozenset({PDF, PNG, JPEG, TEXT})
"""Kinds of bytes that a browser may show by itself; XML could bring a style of its own, DICOM nobody shows."""


def answer(document_id: str, version_id: str | None, *, inline: bool = False) -> Response:
    """200, 206 or 304 for a document's bytes. inline: to be shown by the browser, where their kind is a safe one.

    Refuses: what documents refuses; range_not_satisfiable; Unavailable.
    """
    which = {"document_id": document_id, "gateway_key": gateway_key()}

    def opened(version_id: str | None, *, from_start: bool) -> dict[str, Any]:
        found: dict[str, Any] = ask("documents", "open_content", **which, version_id=version_id, from_start=from_start)
        return found

    def go_on(version_id: str) -> None:
        ask_anew("documents", "open_content", **which, version_id=version_id, from_start=False)

    return streamed(partial(opened, version_id), go_on, again=opened, inline=inline)


def streamed(
    first: Callable[..., dict[str, Any]], go_on: Callable[[str], Any], *,
    again: Callable[..., Any] | None = None, inline: bool = False,
) -> Response:  # fmt: skip
    """200, 206 or 304 for bytes in the store: their answer with Range and conditions, opened on the way.

    first(from_start=…): what is needed to open them (`version_id`, `content_id`, `get_url`, `sealed_key`, `size`,
    `media_type`, `filename`, `sha256`), or its refusal. go_on(version): asked while the answer runs; its refusal breaks
    it off. again(version, from_start=True): asked where the answer begins at the first byte after all.

    Refuses: what these refuse; range_not_satisfiable; Unavailable.
    """
    asked = _asked_range()
    from_start = asked is None or asked[0] == 0
    content = first(from_start=from_start)
    size, tag = content["size"], quote_etag(content["version_id"])
    headers = _headers(content, tag, inline=inline and content["media_type"] in SAFE_INLINE)
    if request.if_none_match.contains_weak(content["version_id"]):
        return nothing(304, {name: headers[name] for name in ("ETag", "Cache-Control", "Content-Security-Policy")})
    if asked is not None and _range_still_holds(content["version_id"]):
        start, end = _within(asked, size)
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        status = 206
    else:
        start, end, status = 0, size - 1, 200
    if start == 0 and not from_start and again is not None:
        # the last bytes are all there are, or If-Range asks for another version: it begins at the first byte after all
        again(content["version_id"], from_start=True)
    headers["Content-Length"] = str(end - start + 1)
    if request.method == "HEAD":
        return Response(status=status, headers=headers)

    def may_go_on() -> bool:
        try:
            go_on(content["version_id"])
        except Refusal:
            return False
        return True

    body: Iterator[Any] = streams.opened(content, segments_for(start, end, size), later(may_go_on))
    return Response(body, status, headers=headers, direct_passthrough=True)


def _headers(content: dict[str, Any], tag: str, *, inline: bool) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(content["sha256"])).decode("ascii")
    kind = content["media_type"]
    return {
        "Content-Type": f"{kind}; charset=utf-8" if kind == "text/plain" else kind,
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; {_named(content['filename'])}",
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{digest}:",
        "Content-Security-Policy": EMBEDDED if inline else SANDBOX,
        "X-Frame-Options": "SAMEORIGIN" if inline else "DENY",
        "Cache-Control": "private, no-cache",
    }


def _named(filename: str) -> str:
    """A file's name as the header takes it: what is not plain travels as UTF-8 beside a plain one (RFC 6266)."""
    if _PLAIN_NAME.fullmatch(filename):
        return f'filename="{filename}"'
    ending = filename.rpartition(".")[2]
    plain = ending if _PLAIN_NAME.fullmatch(ending) else "bin"
    return f"filename=\"file.{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _asked_range() -> tuple[int, int | None] | None:
    """The one range of bytes asked for, as (start, end not included); several, or none we know, are answered whole."""
    parsed = parse_range_header(request.headers.get("Range"))
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) != 1:
        return None
    start, end = parsed.ranges[0]
    return start, end


def _range_still_holds(version_id: str) -> bool:
    """If-Range: a range continues only the very bytes the reader has the beginning of (RFC 9110, 13.1.5)."""
    condition = request.headers.get("If-Range")
    return condition is None or unquote_etag(condition) == (version_id, False)


def _within(asked: tuple[int, int | None], size: int) -> tuple[int, int]:
    """The range inside the file, both ends included. Refuses: range_not_satisfiable."""
    start, end = asked
    if start < 0:
        start = max(0, size + start)
    end = size if end is None else min(end, size)
    if start >= end:
        raise refused("range_not_satisfiable", size=size)
    return start, end - 1
