"""PDF: opened, counted, its text read page by page, its first page drawn."""

from __future__ import annotations

import codecs
import io
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as raw

from services.documents.ports import pictures
from services.documents.rules_findings import TEXT_LENGTH, Findings, NotPassed, Rendition

PAGES = 5_000
WIDTH = 800  # of the first page: A4 at 97 dots an inch
LENGTH = 1_600
LARGEST = 14_400 * 2  # points; the format knows 14,400 without a unit of its own
_ENCRYPTED = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)


def examine(data: Any, media_type: str, facts: dict[str, object]) -> Findings:
    """The text of its pages, a thumbnail and its first page. data: its bytes, or Pieces of them.

    Raises NotPassed: encrypted, broken, too_many_pages; what inflates without end ends at the limits of the process.
    """
    try:
        document = pdfium.PdfDocument(data if isinstance(data, io.RawIOBase) else bytes(data))
    except pdfium.PdfiumError as refused:
        raise NotPassed("encrypted" if getattr(refused, "err_code", None) in _ENCRYPTED else "broken") from None
    if raw.FPDF_GetSecurityHandlerRevision(document) != -1:  # opens without a password, and is locked all the same
        raise NotPassed("encrypted")
    pages = len(document)
    if not pages:
        raise NotPassed("broken")
    if pages > PAGES:
        raise NotPassed("too_many_pages")
    text: list[str] = []
    left = TEXT_LENGTH
    renditions: tuple[Rendition, ...] = ()
    for number in range(pages):
        if left <= 0:
            break
        page = _page(document, number)
        if page is None:
            if number == 0:
                raise NotPassed("broken")
            continue
        if number == 0:
            renditions = _drawn(page)
        words = _text(page)[:left]
        page.close()
        if words:
            text.append(words)
            left -= len(words) + 1
    return Findings(text="\n".join(text)[:TEXT_LENGTH], renditions=renditions)


def _page(document: Any, number: int) -> Any:
    try:
        return document[number]
    except pdfium.PdfiumError:
        return None


def _text(page: Any) -> str:
    try:
        read = page.get_textpage()
    except pdfium.PdfiumError:
        return ""
    words: str = read.get_text_bounded(errors="ignore")
    read.close()
    return " ".join(words.replace("\0", " ").replace("￾", "").split(" ")).strip()


def _drawn(page: Any) -> tuple[Rendition, ...]:
    width, height = page.get_size()
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        raise NotPassed("too_large_inside")
    # each drawn for itself: that costs less than to make the one smaller
    shown = _bitmap(page, min(WIDTH / width, LENGTH / height))
    small = _bitmap(page, min(pictures.THUMBNAIL[0] / width, pictures.THUMBNAIL[1] / height))
    return pictures.page(shown), pictures.thumbnail(small)


def _bitmap(page: Any, scale: float) -> Any:
    return page.render(scale=scale, rev_byteorder=True).to_pil()


def warm_up() -> None:
    """Draws an empty page: what the library loads at its first use is there then."""
    codecs.lookup("utf-16-le")
    made = pdfium.PdfDocument.new()
    made.new_page(200, 200).close()
    out = io.BytesIO()
    made.save(out)
    made.close()
    examine(out.getvalue(), "application/pdf", {})
