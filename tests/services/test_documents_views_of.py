"""What is shown of a document in place of its bytes: what there is of each kind, and that to show it is to open it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from services import sealing
from services.db import new_id
from services.documents.contract import CDA, PDF, PNG, TEXT, DocumentNotFound, PreviewNotFound
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller
from tests.builders import pdf, png
from tests.services.test_documents_versions import replaced
from tests.services.ward import HTTP, Ward

NARRATIVE = (
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><title>Befund</title><component><structuredBody><component><section>'
    b'<text><paragraph onclick="x()">Angine</paragraph><script>alert(1)</script></text></section></component>'
    b"</structuredBody></component></ClinicalDocument>"
)


def rendered(ward: Ward, who: Caller, document_id: str, kind: str = "view", **changes: Any) -> Any:
    said = {"document_id": document_id, "kind": kind, "gateway_key": ward.gateway.public, **changes}
    return ward.ask("open_rendition", who, **said)


def plain(ward: Ward, made: Any) -> bytes:
    key = ward.gateway.receive(made["sealed_key"], made["content_id"].encode())
    total = sealing.segments_of(made["size"])
    sealed = HTTP.request("GET", made["get_url"]).data
    return b"".join(sealing.open_sealed([sealed], key, made["content_id"], total_segments=total))


def test_a_cda_is_shown_as_a_page_without_anything_that_acts(ward: Ward) -> None:
    document_id = ward.deposit(ward.present(), NARRATIVE, CDA)
    shown = rendered(ward, ward.holder, document_id)
    assert shown["rendition"]["media_type"] == "text/html"
    page = plain(ward, shown["rendition"])
    assert b"<p>Angine</p>" in page and b"script" not in page and b"onclick" not in page
    assert (shown["document"]["title"], shown["document"]["number"]) == ("Compte rendu", 1)


def test_a_cda_that_wraps_a_pdf_gives_that_pdf_and_its_first_page(ward: Ward) -> None:
    inside = pdf("dedans")
    data = (
        b'<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody><text mediaType="application/pdf"'
        b' representation="B64">' + base64.b64encode(inside) + b"</text></nonXMLBody></component></ClinicalDocument>"
    )
    document_id = ward.deposit(ward.present(), data, CDA)
    made = rendered(ward, ward.holder, document_id)["rendition"]
    assert (made["media_type"], plain(ward, made)) == (PDF, inside)
    assert plain(ward, rendered(ward, ward.holder, document_id, "page")["rendition"]).startswith(b"\xff\xd8\xff")
    [[body]] = ward.sql("select body from texts where document_id = :d", d=document_id)
    assert "dedans" in body


@pytest.mark.parametrize(
    ("data", "media_type", "kinds"), [(pdf(), PDF, True), (png(64, 64), PNG, True), (b"text", TEXT, False)]
)
def test_pictures_and_pdfs_have_a_first_page_and_a_small_picture_and_are_shown_as_they_are(
    ward: Ward, data: bytes, media_type: str, kinds: bool
) -> None:
    document_id = ward.deposit(ward.present(), data, media_type)
    assert rendered(ward, ward.holder, document_id)["rendition"] is None
    for kind in ("page", "thumbnail"):
        if kinds:
            made = rendered(ward, ward.holder, document_id, kind)["rendition"]
            assert (made["media_type"], plain(ward, made)[:3]) == ("image/jpeg", b"\xff\xd8\xff")
        else:
            with pytest.raises(PreviewNotFound):
                rendered(ward, ward.holder, document_id, kind)


def test_all_that_is_shown_in_one_session_is_one_opening_with_one_trace(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    document_id = ward.deposit(author)
    for who in (author, other):
        for kind in ("thumbnail", "page", "view", "thumbnail"):
            rendered(ward, who, document_id, kind)
        ward.read(who, document_id)
    traces = ward.traces("document.opened")
    assert [(t["professional_id"], t["outcome"], t["object_id"]) for t in traces] == [
        (who.professional_id, "allowed", document_id) for who in (author, other)
    ]


def test_a_preview_that_is_not_there_opens_nothing(ward: Ward) -> None:
    document_id = ward.deposit(ward.present(), b"text", TEXT)
    with pytest.raises(PreviewNotFound):
        rendered(ward, ward.holder, document_id, "thumbnail")
    [trace] = ward.traces("document.opened")
    assert (trace["outcome"], trace["reason"]) == ("refused", "preview_not_found")
    assert ward.sql("select 1 from opens join versions using (version_id) where document_id = :d", d=document_id) == []


def test_each_version_is_shown_by_what_was_made_of_it_and_a_restored_one_by_the_same(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, NARRATIVE, CDA)
    first = ward.ask("read_document", author, document_id=document_id)["version_id"]
    replaced(ward, author, document_id, b"text")
    assert rendered(ward, author, document_id)["rendition"] is None
    before = rendered(ward, author, document_id, version_id=first)
    ward.ask("restore_version", author, document_id=document_id, version_id=first, version=None)
    after = rendered(ward, author, document_id)
    assert after["rendition"]["content_id"] == before["rendition"]["content_id"]
    assert (before["document"]["number"], after["document"]["number"]) == (1, 3)


def test_to_whom_a_document_is_hidden_nothing_of_it_is_shown(ward: Ward) -> None:
    author, barred, stranger = ward.present(), ward.present(), ward.professional()
    document_id = ward.deposit(author)
    ward.restrict(ward.holder, document_id, barred)
    ward.block(author, document_id)
    for who in (barred, stranger, ward.holder):
        for kind in ("thumbnail", "page", "view"):
            for asked in (document_id, new_id()):
                with pytest.raises(DocumentNotFound):
                    rendered(ward, who, asked, kind)
    assert rendered(ward, author, document_id)


def test_senseless_kinds_and_keys_are_refused(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    for changes in ({"kind": "frame"}, {"kind": "page", "gateway_key": "no key"}):
        with pytest.raises(InvalidInput):
            rendered(ward, ward.holder, document_id, **changes)
    with pytest.raises(Refusal):
        rendered(ward, ward.holder, document_id, version_id="1; drop table renditions")
