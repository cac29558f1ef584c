"""What is shown of a CDA: its narrative can be read; whatever goes in, nothing that acts or reaches out comes out."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from PIL import Image

from services.documents.ports import cda
from services.documents.rules_findings import Findings, NotPassed
from tests.builders import pdf

HL7 = "urn:hl7-org:v3"
ELEMENTS = {
    "article", "section", "h1", "h2", "h3", "h4", "h5", "h6", "dl", "dt", "dd", "div", "p", "br", "span", "b", "i", "u",
    "ul", "ol", "li", "table", "caption", "strong", "thead", "tbody", "tfoot", "tr", "th", "td", "sub", "sup", "small",
    "a", "figure", "figcaption", "img", "pre",
}  # fmt: skip
ATTRIBUTES = {
    "id": re.compile(r"n-[A-Za-z0-9_.:-]{1,100}"), "href": re.compile(r"#n-[A-Za-z0-9_.:-]{1,100}"),
    "class": re.compile(r"left|right|center"), "colspan": re.compile(r"[1-9][0-9]?"), "alt": re.compile(r""),
    "rowspan": re.compile(r"[1-9][0-9]?"), "src": re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+"),
}  # fmt: skip


class Reader(HTMLParser):
    """What a browser would find in a page: every element and attribute of it must be one of ours."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, tag
        self.tags.append(tag)
        for name, value in attrs:
            assert name in ATTRIBUTES and ATTRIBUTES[name].fullmatch(value or ""), (tag, name, value)
            if name == "href":
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def document(text: str, more: str = "", header: str = "<title>Compte rendu</title>") -> bytes:
    return (
        f'<ClinicalDocument xmlns="{HL7}">{header}<component><structuredBody><component><section><title>Titre</title>'
        f"<text>{text}</text>{more}</section></component></structuredBody></component></ClinicalDocument>"
    ).encode()


def examined(data: bytes) -> Findings:
    return cda.examine(data, "application/xml", {})


def shown(data: bytes) -> str:
    [view] = [made for made in examined(data).renditions if made.kind == "view"]
    assert view.media_type == "text/html"
    return view.data.decode()


def picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, kind)
    return out.getvalue()


def media(data: bytes, media_type: str = "image/png", name: str = "m1") -> str:
    value = base64.b64encode(data).decode()
    return (
        f'<entry><observationMedia ID="{name}"><value mediaType="{media_type}" representation="B64">{value}</value>'
        "</observationMedia></entry>"
    )


# --- whatever goes in -------------------------------------------------------------------------------------------------

NASTY = (
    "script", "style", "iframe", "object", "embed", "svg", "math", "img", "a", "form", "input", "meta", "base", "link",
    "onclick", "noscript", "template", "body", "html", "textarea", "plaintext", "xmp",
)  # fmt: skip
NARRATIVE = (
    "paragraph", "content", "list", "item", "caption", "table", "thead", "tbody", "tr", "td", "th", "linkHtml", "br",
    "sub", "sup", "renderMultiMedia", "footnote", "text", "section",
)  # fmt: skip
WORDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12),
    st.sampled_from([
        "<script>alert(1)</script>", "javascript:alert(1)", "http://evil.example/x.png", "//evil.example", "]]>", "-->",
        '" onload="x', "'><img src=x onerror=y>", "&lt;script&gt;", "#x", "#n-a\" onclick=\"b", "data:text/html,<b>",
        "vbscript:x", "url(http://evil.example)", "expression(1)", "m1", "m1 m2", "Bold Italics", "</article>",
    ]),
)  # fmt: skip
NAMES = st.sampled_from((
    "ID", "href", "styleCode", "colspan", "rowspan", "align", "referencedObject", "onclick", "onload", "style", "src",
    "srcset", "xlink", "listType", "border", "class", "id", "name", "target", "formaction", "action",
))  # fmt: skip


USUAL = {
    "linkHtml": ["href", "ID"], "content": ["ID", "styleCode"], "td": ["colspan", "align", "ID"], "paragraph": ["ID"],
    "renderMultiMedia": ["referencedObject"],
}  # fmt: skip


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> etree._Element:
    space = draw(st.sampled_from([HL7, HL7, HL7, "http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg", ""]))
    name = draw(st.sampled_from((*USUAL, *NARRATIVE, *NASTY)))
    element = etree.Element(f"{{{space}}}{name}" if space else name)
    for attribute in [*USUAL.get(name, ()), *draw(st.lists(NAMES, max_size=3, unique=True))]:
        element.set(attribute, draw(WORDS))
    element.text = draw(WORDS)
    if depth < 4:
        for child in draw(st.lists(elements(depth + 1), max_size=3)):
            child.tail = draw(WORDS)
            element.append(child)
    return element


@settings(max_examples=80, deadline=None)
@given(st.lists(elements(), min_size=1, max_size=4), WORDS, WORDS)
def test_whatever_goes_in_no_script_no_handler_and_no_address_comes_out(
    inside: list[etree._Element], title: str, name: str
) -> None:
    root = etree.fromstring(document("", media(picture()) + media(b"<svg onload='x'/>", "image/svg+xml", "m2")))
    head = root.find(f"{{{HL7}}}title")
    text = root.find(f".//{{{HL7}}}section/{{{HL7}}}text")
    assert head is not None and text is not None
    head.text = title
    patient = etree.SubElement(root, f"{{{HL7}}}recordTarget")
    for step in ("patientRole", "patient", "name"):
        patient = etree.SubElement(patient, f"{{{HL7}}}{step}")
    patient.text = name
    text.extend(inside)
    page = shown(etree.tostring(root))
    read = Reader(page)
    assert "<script" not in page.lower() and "<svg" not in page.lower()
    assert " ".join(title.split()) in " ".join("".join(read.words).split())


# --- what can be read -------------------------------------------------------------------------------------------------


def test_paragraphs_lists_tables_and_emphasis_are_shown_as_what_they_are() -> None:
    page = shown(document(
        '<paragraph>Un &lt;mot&gt;<br/>deux</paragraph><list listType="ordered"><item>a</item></list>'
        '<list><caption>Liste</caption><item>b</item></list><content styleCode="Bold Underline" ID="x1">gras</content>'
        '<table border="1"><caption>Tableau</caption><thead><tr><th align="right" colspan="2">N</th></tr></thead>'
        "<tbody><tr><td>1</td><td>2<sup>e</sup></td></tr></tbody></table>"
    ))  # fmt: skip
    Reader(page)
    for piece in (
        "<h1>Compte rendu</h1>", "<h2>Titre</h2>", "<p>Un &lt;mot&gt;<br>deux</p>", "<ol><li>a</li></ol>",
        "<ul><strong>Liste</strong><li>b</li></ul>", '<span id="n-x1"><b><u>gras</u></b></span>',
        "<caption>Tableau</caption>", '<th colspan="2" class="right">N</th>', "<td>2<sup>e</sup></td>",
    ):  # fmt: skip
        assert piece in page, piece


def test_links_lead_within_the_page_and_others_leave_their_words() -> None:
    page = shown(document(
        '<linkHtml href="#x1">ici</linkHtml><linkHtml href="https://evil.example/">ailleurs</linkHtml>'
        '<linkHtml href="javascript:alert(1)">script</linkHtml>'
    ))  # fmt: skip
    assert Reader(page).links == ["#n-x1"]
    assert "ailleurs" in page and "script" in page and "evil" not in page and "javascript" not in page


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_inside_the_document_is_drawn_anew_and_one_outside_is_not_shown(kind: str) -> None:
    raw = picture(kind)
    page = shown(document('<renderMultiMedia referencedObject="m1"/>', media(raw, f"image/{kind.lower()}")))
    found = re.search(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert found is not None and base64.b64decode(found[1]) != raw
    outside = '<entry><observationMedia ID="m1"><value mediaType="image/png"><reference value="http://evil.example"/>'
    page = shown(document('<renderMultiMedia referencedObject="m1"/>',
                          outside + "</value></observationMedia></entry>"))  # fmt: skip
    assert "img" not in Reader(page).tags and "evil" not in page


def test_a_picture_that_is_none_is_left_out_and_a_pdf_shows_its_first_page() -> None:
    text = '<renderMultiMedia referencedObject="m1"/><renderMultiMedia referencedObject="m2"/>fin'
    page = shown(document(text, media(b"no picture") + media(pdf("dedans"), "application/pdf", "m2")))
    assert Reader(page).tags.count("img") == 1 and "fin" in page


def test_the_header_names_patient_author_and_day_in_the_language_of_the_document() -> None:
    header = (
        "<title>Befund</title><effectiveTime value='20261120101500+0100'/><languageCode code='de-LU'/>"
        "<recordTarget><patientRole><patient><name><given>Anne</given><family>Müller</family></name></patient>"
        "</patientRole></recordTarget><author><assignedAuthor><assignedPerson><name><given>Jean</given>"
        "<family>Weber</family></name></assignedPerson></assignedAuthor></author>"
    )
    page = shown(document("Text", header=header))
    assert "<dt>Patient</dt><dd>Anne Müller</dd><dt>Autor</dt><dd>Jean Weber</dd><dt>Datum</dt>" in page
    assert "2026-11-20" in page


def wrapping(data: bytes, media_type: str) -> bytes:
    inside = base64.b64encode(data).decode()
    return (
        f'<ClinicalDocument xmlns="{HL7}"><title>T</title><component><nonXMLBody><text mediaType="{media_type}"'
        f' representation="B64">{inside}</text></nonXMLBody></component></ClinicalDocument>'
    ).encode()


def test_a_wrapped_pdf_is_the_view_has_a_first_page_and_its_words_are_found() -> None:
    data = pdf("appendicectomie")
    found = examined(wrapping(data, "application/pdf"))
    kinds = {made.kind: made for made in found.renditions}
    assert (kinds["view"].media_type, kinds["view"].data) == ("application/pdf", data)
    assert set(kinds) == {"view", "page", "thumbnail"} and "appendicectomie" in found.text


@pytest.mark.parametrize(("data", "media_type"), [(b"%PDF-1.7 broken", "application/pdf"), (b"none", "image/png")])
def test_a_wrapped_file_that_would_not_pass_by_itself_does_not_pass_wrapped(data: bytes, media_type: str) -> None:
    with pytest.raises(NotPassed):
        examined(wrapping(data, media_type))


def test_wrapped_text_and_pictures_are_shown_and_what_nobody_can_show_is_not() -> None:
    assert "<pre>a &lt;b&gt; ü</pre>" in shown(wrapping("a <b> ü".encode(), "text/plain"))
    assert examined(wrapping(b"Befund", "text/plain")).text == "Befund"
    assert "img" in Reader(shown(wrapping(picture(), "image/png"))).tags
    page = shown(wrapping(b"<script>alert(1)</script>", "text/html"))
    assert "script" not in page and Reader(page)
