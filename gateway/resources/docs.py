"""The browsable page of the API: one file of HTML, one of script, one of style, all of them ours."""

from __future__ import annotations

from pathlib import Path

from apiflask import APIBlueprint
from flask import Response, abort

docs = APIBlueprint("docs", __name__, enable_openapi=False)

PAGES = Path(__file__).parent.parent / "pages"
KINDS = {"docs.html": "text/html", "docs.js": "text/javascript", "docs.css": "text/css"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def _page(name: str) -> Response:
    if name not in KINDS:
        abort(404)
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response((PAGES / name).read_bytes(), content_type=f"{KINDS[name]}; charset=utf-8", headers=headers)


@docs.get("/docs")
def read_docs() -> Response:
    return _page("docs.html")


@docs.get("/docs/<name>")
def read_docs_part(name: str) -> Response:
    return _page(name)
