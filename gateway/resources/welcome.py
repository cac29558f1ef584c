"""The page of the bare address: whoever follows the link of a letter or a mail hears where to go, in their language."""

from __future__ import annotations

from html import escape

from apiflask import APIBlueprint
from flask import Response, g

from gateway.errors import catalogue
from gateway.resources.help import help_in

welcome = APIBlueprint("welcome", __name__, enable_openapi=False)

PAGE = """<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<link rel="stylesheet" href="/api/v1/docs/docs.css"></head>
<body><header><h1>{title}</h1></header><main><p>{text}</p>
<h2>{help}</h2><p>{phone}<br>{mail}<br>{hours}</p>
<p><a href="/api/v1/docs">{documentation}</a></p></main></body>
</html>
"""
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@welcome.get("/")
def read_welcome() -> Response:
    """A page without a script, and without anything about anybody."""
    words = help_in(g.context.locale) | catalogue(g.context.locale)["welcome"]
    page = PAGE.format(**{name: escape(str(text)) for name, text in words.items()})
    headers = {"Content-Security-Policy": POLICY, "Content-Language": g.context.locale, "Vary": "Accept-Language"}
    return Response(page, content_type="text/html; charset=utf-8", headers=headers)
