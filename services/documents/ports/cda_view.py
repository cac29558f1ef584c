"""The narrative of a CDA document as HTML that can do nothing: written anew, element by element, from an allow-list.

Nothing of the document passes through: not an element, not an attribute, not a reference. Text is escaped, links lead
within the page, pictures are those inside the document, drawn anew and put in as data. Made in the sandbox alone.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator

from lxml import etree

from services.documents.ports import pdf, pictures
from services.documents.rules_findings import Findings, NotPassed, Rendition

_HL7 = "{urn:hl7-org:v3}"
_PLAIN = {
    "paragraph": "p", "br": "br", "item": "li", "table": "table", "thead": "thead", "tbody": "tbody", "tfoot": "tfoot",
    "tr": "tr", "th": "th", "td": "td", "sub": "sub", "sup": "sup", "footnote": "small",
}  # fmt: skip
_DROPPED = frozenset({"script", "style", "object", "iframe", "embed", "applet", "svg", "math", "template", "noscript",
                      "footnoteRef", "colgroup", "col"})  # fmt: skip
_STYLES = {"bold": "b", "bolditalics": "b", "italics": "i", "emphasis": "i", "underline": "u"}
_ALIGNED = ("left", "right", "center")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_SPAN = re.compile(r"[1-9][0-9]?")
_IMAGES = ("image/png", "image/jpeg")
_PDF = "application/pdf"
_DRAWN = 12  # pictures and first pages of one document
_DRAWN_BYTES = 8 * 1024 * 1024
_LONGEST = 8 * 1024 * 1024  # characters of a view
_NAMES = 6  # of a head's lines of the same kind
_HEAD = {
    "fr": ("Patient", "Auteur", "Établissement", "Date"),
    "lb": ("Patient", "Auteur", "Etablissement", "Datum"),
    "pt": ("Paciente", "Autor", "Estabelecimento", "Data"),
    "en": ("Patient", "Author", "Establishment", "Date"),
    "de": ("Patient", "Autor", "Einrichtung", "Datum"),
}


def findings(root: etree._Element) -> Findings:
    """What is shown of a document: a page of its narrative, or the file that it wraps; and the words of that file.

    Raises NotPassed for a wrapped PDF or picture that would not pass by itself.
    """
    body = root.find(f"{_HL7}component/{_HL7}nonXMLBody/{_HL7}text")
    if body is None:
        return Findings(renditions=(_view(_Page(root).whole()),))
    media_type, data = (body.get("mediaType") or "").strip().lower(), _bytes(body)
    if data and media_type == _PDF:
        found = pdf.examine(data, _PDF, {})
        return Findings(text=found.text, renditions=(*found.renditions, Rendition("view", _PDF, data)))
    page = _Page(root)
    if data and media_type in _IMAGES:
        drawn = pictures.examine(data, media_type, {}).renditions
        return Findings(renditions=(*drawn, _view(page.whole(_picture(drawn, "")))))
    words = (body.text or "") if media_type in ("", "text/plain") and body.get("representation") != "B64" else ""
    if data and media_type == "text/plain":
        words = data.decode("utf-8", "replace").replace("\0", " ")
    return Findings(text=words, renditions=(_view(page.whole(f"<pre>{html.escape(words)}</pre>" if words else "")),))


def _view(page: str) -> Rendition:
    return Rendition("view", "text/html", page.encode())


class _Page:
    """One page being written."""

    def __init__(self, root: etree._Element) -> None:
        self._root = root
        self._out: list[str] = []
        self._length = 0
        self._drawn = 0
        self._drawn_bytes = 0
        self._media = {found.get("ID"): found for found in root.iter(f"{_HL7}observationMedia") if found.get("ID")}

    def whole(self, inside: str = "") -> str:
        """The page: what the header says, then all sections, or what stands in their place."""
        self._head()
        if inside:
            self._write(inside)
        for section in self._root.iterfind(f"{_HL7}component/{_HL7}structuredBody/{_HL7}component/{_HL7}section"):
            self._section(section, 2)
        return f"<article>{''.join(self._out)}</article>"

    def _write(self, piece: str) -> None:
        self._out.append(piece)
        self._length += len(piece)

    # --- the header ---------------------------------------------------------------------------------------------------

    def _head(self) -> None:
        code = self._root.find(f"{_HL7}languageCode")
        language = (code.get("code") or "" if code is not None else "")[:2].lower()
        patient, author, custodian, day = _HEAD.get(language, _HEAD["fr"])
        self._write(f"<h1>{_words(self._root.find(f'{_HL7}title'))}</h1><dl>")
        role = f"{_HL7}recordTarget/{_HL7}patientRole/{_HL7}patient"
        self._lines(patient, (_person(found.find(f"{_HL7}name")) for found in self._root.iterfind(role)))
        self._lines(author, self._authors())
        keeper = f"{_HL7}custodian/{_HL7}assignedCustodian/{_HL7}representedCustodianOrganization/{_HL7}name"
        self._lines(custodian, (_words(found) for found in self._root.iterfind(keeper)))
        self._lines(day, (_day(found.get("value")) for found in self._root.iterfind(f"{_HL7}effectiveTime")))
        self._write("</dl>")

    def _authors(self) -> Iterator[str]:
        for found in self._root.iterfind(f"{_HL7}author/{_HL7}assignedAuthor"):
            name = found.find(f"{_HL7}assignedPerson/{_HL7}name")
            place = found.find(f"{_HL7}representedOrganization/{_HL7}name")
            yield ", ".join(told for told in (_person(name), _words(place)) if told)

    def _lines(self, label: str, told: Iterator[str]) -> None:
        seen = [each for each in dict.fromkeys(told) if each][:_NAMES]
        if seen:
            self._write(f"<dt>{label}</dt>" + "".join(f"<dd>{each}</dd>" for each in seen))

    # --- the narrative ------------------------------------------------------------------------------------------------

    def _section(self, section: etree._Element, level: int) -> None:
        title = _words(section.find(f"{_HL7}title"))
        self._write("<section>" + (f"<h{min(level, 6)}>{title}</h{min(level, 6)}>" if title else ""))
        for text in section.iterfind(f"{_HL7}text"):
            self._write("<div>")
            self._inside(text)
            self._write("</div>")
        for inner in section.iterfind(f"{_HL7}component/{_HL7}section"):
            self._section(inner, level + 1)
        self._write("</section>")

    def _inside(self, element: etree._Element) -> None:
        self._write(html.escape(element.text or ""))
        for child in element:
            if self._length > _LONGEST:
                self._write("…")
                return
            if isinstance(child.tag, str):
                self._element(child)
            self._write(html.escape(child.tail or ""))

    def _element(self, element: etree._Element) -> None:
        name = etree.QName(element).localname
        if name in _DROPPED:
            return
        if name == "br":
            self._write("<br>")
            return
        if name == "renderMultiMedia":
            for reference in (element.get("referencedObject") or "").split():
                self._multimedia(reference)
            self._inside(element)
            return
        tags = _tags(element, name)
        attributes = _attributes(element, name)
        for number, tag in enumerate(tags):
            self._write(f"<{tag}{attributes if number == 0 else ''}>")
        self._inside(element)
        for tag in reversed(tags):
            self._write(f"</{tag}>")

    def _multimedia(self, reference: str) -> None:
        found = self._media.get(reference)
        value = None if found is None else found.find(f"{_HL7}value")
        if value is None or self._drawn >= _DRAWN or self._drawn_bytes > _DRAWN_BYTES:
            return
        media_type, data = (value.get("mediaType") or "").strip().lower(), _bytes(value)
        if not data:
            return
        self._drawn += 1
        try:
            if media_type == _PDF:
                piece = _picture(pdf.examine(data, _PDF, {}).renditions, "PDF, 1")
            elif media_type in _IMAGES:
                piece = _picture(pictures.examine(data, media_type, {}).renditions, "")
            else:
                return
        except NotPassed:
            return
        self._drawn_bytes += len(piece)
        self._out.append(piece)  # what is drawn does not count as text


# --- pieces -----------------------------------------------------------------------------------------------------------


def _tags(element: etree._Element, name: str) -> list[str]:
    """The HTML elements that stand for one of the narrative; of an unknown one its text alone stays."""
    if name == "list":
        return ["ol" if element.get("listType") == "ordered" else "ul"]
    if name == "caption":
        parent = element.getparent()
        return ["caption" if parent is not None and etree.QName(parent).localname == "table" else "strong"]
    if name == "content":
        codes = (element.get("styleCode") or "").lower().split()
        return ["span", *dict.fromkeys(_STYLES[code] for code in codes if code in _STYLES)]
    if name == "linkHtml":
        return ["a" if _within(element) else "span"]
    return [_PLAIN[name]] if name in _PLAIN else []


def _attributes(element: etree._Element, name: str) -> str:
    told = ""
    own = element.get("ID")
    if own is not None and _NAME.fullmatch(own):
        told += f' id="n-{own}"'
    if name == "linkHtml" and (place := _within(element)):
        told += f' href="#n-{place}"'
    if name in ("td", "th"):
        for span in ("colspan", "rowspan"):
            if _SPAN.fullmatch(element.get(span) or ""):
                told += f' {span}="{element.get(span)}"'
        if element.get("align") in _ALIGNED:
            told += f' class="{element.get("align")}"'
    return told


def _within(element: etree._Element) -> str | None:
    """Where in the page a link leads; None for one that leads elsewhere, of which its words stay."""
    href = element.get("href") or ""
    return href[1:] if href.startswith("#") and _NAME.fullmatch(href[1:]) else None


def _picture(made: tuple[Rendition, ...], caption: str) -> str:
    page = next((each for each in made if each.kind == "page" and each.media_type == "image/jpeg"), None)
    if page is None:
        return ""
    data = base64.b64encode(page.data).decode("ascii")
    words = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><img alt="" src="data:image/jpeg;base64,{data}">{words}</figure>'


def _bytes(value: etree._Element) -> bytes:
    """The bytes that stand in an element; none where they are written in a way that we do not read."""
    if value.get("representation") != "B64" or value.get("compression"):
        return b""
    try:
        return base64.b64decode("".join((value.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _words(element: etree._Element | None) -> str:
    return "" if element is None else html.escape(" ".join("".join(element.itertext()).split())[:1000])


def _person(name: etree._Element | None) -> str:
    """A name in the order in which its parts stand, each once."""
    if name is None:
        return ""
    parts = [" ".join((part.text or "").split()) for part in name.iter() if isinstance(part.tag, str)]
    return html.escape(" ".join(dict.fromkeys(part for part in parts if part))[:300])


def _day(value: str | None) -> str:
    found = re.match(r"([0-9]{4})([0-9]{2})([0-9]{2})", value or "")
    return "-".join(found.groups()) if found else ""
