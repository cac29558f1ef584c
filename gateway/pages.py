"""Pages that show a document: a frame of ours around what was made of it, without a script, reaching nobody.

What comes from a file was written anew in the sandbox, or is escaped here while it streams; and should something have
slipped through all the same, the page's policy lets it do nothing. A page of a picture or a PDF holds nothing foreign:
it leads to the bytes under the same origin.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape
from itertools import chain
from typing import Any

from gateway.errors import catalogue

STYLE = """
body { font: 1rem/1.45 system-ui, sans-serif; color: #111; background: #fff; max-width: 60rem; margin: 1rem auto;
  padding: 0 1rem }
header { border-bottom: 2px solid #333; margin-bottom: 1rem }
header dl, article dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem }
dt { font-weight: 600 } dd { margin: 0 }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; border-bottom: 1px solid #999 } h3, h4, h5, h6 { font-size: 1rem }
table { border-collapse: collapse; margin: .5rem 0 } td, th { border: 1px solid #999; padding: .15rem .4rem;
  text-align: left; vertical-align: top } th { background: #eee }
.right { text-align: right } .center { text-align: center } .left { text-align: left }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit }
img { max-width: 100%; height: auto } figure { margin: .5rem 0 }
object { width: 100%; height: 90vh }
@media print { body { max-width: none; margin: 0; padding: 0 } tr, img, figure { break-inside: avoid }
  thead { display: table-header-group } object { height: 250mm } a { color: inherit; text-decoration: none } }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
_NOTHING = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
CLOSED = f"sandbox; {_NOTHING}; img-src data:; frame-ancestors 'self'"
"""The policy of a page with words of a file in it."""

LEADING = f"{_NOTHING}; img-src 'self'; object-src 'self'; frame-src 'self'; frame-ancestors 'self'"
"""The policy of a page that holds nothing of a file and leads to its bytes."""


def opening(document: dict[str, Any], locale: str, *, head: str = "") -> str:
    """The beginning of a page, up to where the document itself comes."""
    return (
        f'<!doctype html>\n<html lang="{locale}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(document['title'])}</title><style>{STYLE}</style></head><body>{head}<main>\n"
    )


CLOSING = "\n</main></body></html>\n"


def print_head(document: dict[str, Any], locale: str, *, author: str, printed_by: str, at: datetime) -> str:
    """What stands above a printed document: what it is, whose, which version, and who printed it when."""
    words = catalogue(locale)["document_page"]
    lines = {
        "type": document["type_name"], "date": document["act_date"] or document["deposited_at"][:10], "author": author,
        "version": f"{document['number']} ({document['deposited_at'][:10]})",
        "printed": f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {printed_by}",
    }  # fmt: skip
    told = "".join(f"<dt>{escape(words[name])}</dt><dd>{escape(line)}</dd>" for name, line in lines.items())
    return f"<header><h1>{escape(document['title'])}</h1><dl>{told}</dl></header>"


def author_line(name: str | None, profession: str | None, locale: str) -> str:
    """An author's name and profession; the holder's side where there is neither."""
    words = catalogue(locale)["document_page"]
    if name is None and profession is None:
        return str(words["unnamed"])
    return ", ".join(told for told in (name, words["professions"].get(profession)) if told)


def escaped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """A text as HTML, block by block: UTF-8, and from the first byte on that is none, Latin-1."""
    decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8-sig")()
    yield b"<pre>"
    for block in blocks:
        held = decoder.getstate()[0]
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError:
            decoder = codecs.getincrementaldecoder("latin-1")()
            text = decoder.decode(held + block)
        yield escape(text).encode()
    if left := decoder.getstate()[0]:
        yield escape(left.decode("latin-1")).encode()
    yield b"</pre>"


class Framed:
    """A page as it streams: its beginning, what is shown, its end; it closes the download."""

    def __init__(self, start: bytes, inside: Iterable[bytes], download: Any) -> None:
        self._blocks = chain([start], inside, [CLOSING.encode()])
        self._download = download

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        """Called by the server, whatever the end was."""
        self._download.close()


def leading(document: dict[str, Any], locale: str, source: str, preview: str) -> str:
    """A picture or a PDF in a page: where its bytes are; the first page of a PDF where it cannot be shown itself."""
    words = catalogue(locale)["document_page"]
    if document["media_type"].startswith("image/"):
        return f'<figure><img src="{escape(source)}" alt="{escape(document["title"])}"></figure>'
    return (
        f'<object data="{escape(source)}" type="application/pdf"><figure>'
        f'<img src="{escape(preview)}" alt="{escape(words["first_page"])}"></figure></object>'
        f'<p><a href="{escape(source)}">{escape(words["open"])}</a></p>'
    )
