"""A document shown: rendered, for paper, as its first page or a small picture; each of them opens the document."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from gateway import showing
from gateway.operations import operation
from gateway.schemas.records import VersionQuery

document_views = APIBlueprint("document_views", __name__)

_SHOWN: dict[str, Any] = {
    "query": VersionQuery, "refuses": showing.REFUSES, "headers": showing.HEADERS, "parameters": showing.PARAMETERS,
    "also": showing.ALSO,
}  # fmt: skip
_PAGED: dict[str, Any] = {"query": VersionQuery, "refuses": showing.REFUSES, "answer": showing.PAGE}


@operation(
    document_views, "GET", "/documents/<uuid:document_id>/view", summary="Show a document as a page", **_PAGED,
)  # fmt: skip
def read_view(document_id: str, query: dict[str, Any]) -> Response:
    """A CDA's narrative or a text as HTML without script or remote reference; a picture or PDF in a page of its own.

    A CDA that only wraps a PDF gives that PDF.
    """
    return showing.view(document_id, query.get("version_id"))


@operation(
    document_views, "GET", "/documents/<uuid:document_id>/print", summary="Show a document for printing", **_PAGED,
)  # fmt: skip
def read_print(document_id: str, query: dict[str, Any]) -> Response:
    """The same under a head with title, type, date, author, version, and who printed it when."""
    return showing.printed(document_id, query.get("version_id"))


@operation(
    document_views, "GET", "/documents/<uuid:document_id>/preview", summary="Show a document's first page",
    answer=showing.PICTURE, **_SHOWN,
)  # fmt: skip
def read_preview(document_id: str, query: dict[str, Any]) -> Response:
    """As a JPEG of at most 1600 by 1600 points, once it was made."""
    return showing.picture(document_id, query.get("version_id"), "page")


@operation(
    document_views, "GET", "/documents/<uuid:document_id>/thumbnail", summary="Show a document as a small picture",
    answer=showing.PICTURE, **_SHOWN,
)  # fmt: skip
def read_thumbnail(document_id: str, query: dict[str, Any]) -> Response:
    """As a JPEG of at most 320 by 320 points. It shows content: in a list, too, it opens the document, with a trace."""
    return showing.picture(document_id, query.get("version_id"), "thumbnail")
