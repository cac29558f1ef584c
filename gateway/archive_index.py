"""The first page of an export: what is in it, for people, in one of five languages; it runs nothing, reaches nobody."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any
from urllib.parse import quote

from gateway.errors import catalogue

_HEAD = (
    '<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<title>{title}</title>\n<style>body{{font-family:sans-serif;margin:2em}}table{{border-collapse:collapse}}"
    "td,th{{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}}.damaged{{color:#a00}}"
    "code{{font-size:.8em;word-break:break-all}}</style>\n</head>\n<body>\n"
)


def index_page(index: dict[str, Any], locale: str) -> Iterator[bytes]:
    """The page as it is sent, a document at a time; every word of somebody's stands in it as text alone."""
    words = catalogue(locale)["export"]
    yield _HEAD.format(lang=locale, title=escape(words["title"])).encode()
    made_at = f"{escape(words['made_at'])} {escape(index['exported_at'])}"
    yield f"<h1>{escape(words['title'])}</h1>\n<p>{made_at}</p>\n".encode()
    if index["access_history"]:
        yield (
            f'<p>{escape(words["history"])}: <a href="access-history.csv">access-history.csv</a>,'
            f' <a href="access-history.json">access-history.json</a></p>\n'
        ).encode()
    damaged = sum(version["damaged"] is not None for each in index["documents"] for version in each["versions"])
    if damaged:
        yield f'<p class="damaged">{escape(words["some_damaged"])}</p>\n'.encode()
    heads = "".join(f"<th>{escape(words[name])}</th>" for name in _COLUMNS)
    yield f"<table>\n<tr>{heads}</tr>\n".encode()
    for document in index["documents"]:
        yield _row(document, words).encode()
    yield b"</table>\n</body>\n</html>\n"


_COLUMNS = ("document", "type", "act_date", "author", "level", "deposited_at", "files")


def _row(document: dict[str, Any], words: dict[str, Any]) -> str:
    author = words["holder"] if document["holder_authored"] else document.get("author_name") or ""
    cells = (
        document["title"], document["type"], document["act_date"] or "", author,
        words["levels"].get(document["level"], document["level"]), document["deposited_at"][:10],
    )  # fmt: skip
    files = "<br>".join(_file(version, words) for version in document["versions"])
    return f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}<td>{files}</td></tr>\n"


def _file(version: dict[str, Any], words: dict[str, Any]) -> str:
    name = f"{words['version']} {version['number']}"
    if version["file"] is not None:
        name = f'<a href="{escape(quote(version["file"]))}">{escape(name)}</a>'
    else:
        name = escape(name)
    broken = f' <strong class="damaged">{escape(words["damaged"])}</strong>' if version["damaged"] else ""
    return f"{name}{broken}, {version['size']} B, SHA-256 <code>{escape(version['sha256'])}</code>"
