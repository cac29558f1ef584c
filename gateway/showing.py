"""What is shown of a document in place of a download: small pictures, first pages, rendered pages, printed ones.

Every answer here was an opening of the document: documents wrote its trace before the first byte, for HEAD as for GET.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response, g, request
from werkzeug.http import quote_etag

from gateway import content, pages, streams
from gateway.caller import ask, ask_anew, gateway_key, who
from gateway.names import named
from gateway.operations import nothing
from services.documents.contract import PDF, TEXT
from services.refusals import Refusal
from services.sealing import segments_for

PICTURE: dict[str, Any] = {"image/jpeg": {"schema": {"type": "string", "contentMediaType": "image/jpeg"}}}
PAGE: dict[str, Any] = {
    "text/html": {"schema": {"type": "string", "contentMediaType": "text/html"}},
    PDF: {"schema": {"type": "string", "contentMediaType": PDF}},
}
HEADERS = ("ETag",)
ALSO: dict[int, dict[str, Any]] = {304: {"description": "The reader has it already (If-None-Match)."}}
PARAMETERS = ({"in": "header", "name": "If-None-Match", "schema": {"type": "string"}},)
REFUSES = ("document_not_found", "document_removed", "preview_not_found", "content_damaged")
_HTML = "text/html; charset=utf-8"


def picture(document_id: str, version_id: str | None, kind: str) -> Response:
    """A thumbnail or a first page. Refuses: what documents refuses; Unavailable."""
    shown = _open(document_id, version_id, kind)
    tag = f"{shown['document']['version_id']}-{kind}"
    if request.if_none_match.contains_weak(tag):
        return nothing(304, {"ETag": quote_etag(tag), "Cache-Control": "private, no-cache"})
    return _bytes_of(shown, document_id, kind, tag)


def view(document_id: str, version_id: str | None) -> Response:
    """A page of the document; of a PDF that another file wraps, that one itself. Refuses: as `picture`."""
    shown = _open(document_id, version_id, "view")
    if shown["rendition"] is not None and shown["rendition"]["media_type"] == PDF:
        return _bytes_of(shown, document_id, "view", f"{shown['document']['version_id']}-view")
    return _page(document_id, shown, "")


def printed(document_id: str, version_id: str | None) -> Response:
    """The same with a head for paper: what it is, whose, and who printed it when. Refuses: as `picture`."""
    shown = _open(document_id, version_id, "view")
    locale, caller = g.context.locale, who()
    ids = {"author_id": shown["document"]["author_id"], "me": getattr(caller, "professional_id", None),
           "patient": getattr(caller, "patient_id", None)}  # fmt: skip
    author = named([ids], professional="author_id")[0] if ids["author_id"] else {"name": None, "profession": None}
    me = named([ids], professional="me", patient="patient")[0]
    head = pages.print_head(
        shown["document"], locale, author=pages.author_line(author["name"], author["profession"], locale),
        printed_by=me["name"] or "…", at=datetime.now(UTC),
    )  # fmt: skip
    return _page(document_id, shown, head)


def _open(document_id: str, version_id: str | None, kind: str) -> dict[str, Any]:
    shown: dict[str, Any] = ask(
        "documents", "open_rendition", document_id=document_id, version_id=version_id, kind=kind,
        gateway_key=gateway_key(),
    )  # fmt: skip
    return shown


def _page(document_id: str, shown: dict[str, Any], head: str) -> Response:
    document, made, locale = shown["document"], shown["rendition"], g.context.locale
    leads = document["media_type"] != TEXT if made is None else made["media_type"] == PDF
    headers = {
        **_shown_headers(pages.LEADING if leads else pages.CLOSED), "Content-Type": _HTML, "Content-Language": locale,
        "Vary": "Accept-Language",
    }  # fmt: skip
    if request.method == "HEAD":
        return Response(status=200, headers=headers)
    start = pages.opening(document, locale, head=head).encode()
    if leads:
        inside = [_leading(document, made is not None, locale).encode()]
        return Response([start, *inside, pages.CLOSING.encode()], headers=headers)
    version_id = document["version_id"]
    blocks = _text(document_id, version_id) if made is None else _stream(made, document_id, version_id)
    body = pages.Framed(start, pages.escaped(blocks) if made is None else blocks, blocks)
    return Response(body, headers=headers, direct_passthrough=True)


def _leading(document: dict[str, Any], wrapped: bool, locale: str) -> str:
    """The part of a page that leads to the bytes, or to the file that they wrap."""
    base, version = request.path.rsplit("/", 1)[0], f"version_id={document['version_id']}"
    source = f"{base}/view?{version}" if wrapped else f"{base}/content?{version}&disposition=inline"
    return pages.leading(document, locale, source, f"{base}/preview?{version}")


def _text(document_id: str, version_id: str) -> streams.Download:
    """The plain bytes of a text, read on in the opening that was begun."""
    which = {"document_id": document_id, "version_id": version_id, "gateway_key": gateway_key(), "from_start": False}
    opened = ask_anew("documents", "open_content", **which)
    return streams.opened(opened, segments_for(0, opened["size"] - 1, opened["size"]), _may_go_on(which))


def _stream(made: dict[str, Any], document_id: str, version_id: str) -> streams.Download:
    which = {"document_id": document_id, "version_id": version_id, "gateway_key": gateway_key(), "from_start": False}
    return streams.opened(made, segments_for(0, made["size"] - 1, made["size"]), _may_go_on(which))


def _may_go_on(which: dict[str, Any]) -> Any:
    def ask_again() -> bool:
        try:
            ask_anew("documents", "open_content", **which)
        except Refusal:
            return False
        return True

    return ask_again


def _bytes_of(shown: dict[str, Any], document_id: str, kind: str, tag: str) -> Response:
    """What was made of a document as it is: a picture, or the file that another one wraps."""
    made, document = shown["rendition"], shown["document"]
    headers = {
        **_shown_headers(content.EMBEDDED), "Content-Type": made["media_type"], "Content-Length": str(made["size"]),
        "ETag": quote_etag(tag), "Content-Disposition": "inline",
    }  # fmt: skip
    if request.method == "HEAD":
        return Response(status=200, headers=headers)
    body = _stream(made, document_id, document["version_id"])
    return Response(body, headers=headers, direct_passthrough=True)


def _shown_headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
    }  # fmt: skip
