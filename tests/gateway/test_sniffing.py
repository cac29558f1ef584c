"""What passes by is told by its bytes: known kinds whole and unlocked go on, all else is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sniffing import HEAD, Inspector
from services.refusals import Refusal
from tests.builders import pdf, png

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"

JPEG_FRAME = b"\xff\xc0\x00\x11\x08\x00\x08\x00\x08\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"


def jpeg(frame: bytes = JPEG_FRAME) -> bytes:
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + frame + b"\x00" * 50 + b"\xff\xd9"


def cda(before: str = "", prefix: str = "") -> bytes:
    mark = f"{prefix}:" if prefix else ""
    name = f"xmlns:{prefix}" if prefix else "xmlns"
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{before}<{mark}ClinicalDocument {name}="urn:hl7-org:v3">'
    return (text + f"<{mark}title>Compte rendu</{mark}title></{mark}ClinicalDocument>\n").encode()


def dicom() -> bytes:
    return b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\xc0\x00\x00\x00"


def kind(data: bytes, declared: str | None = None, step: int = 10**9) -> str:
    inspector = Inspector(declared)
    for start in range(0, len(data), step):
        inspector.feed(data[start : start + step])
    return inspector.finish()


def refusal(data: bytes, declared: str | None = None, step: int = 10**9) -> str:
    with pytest.raises(Refusal) as refused:
        kind(data, declared, step)
    return refused.value.code


GOOD = {
    "pdf": (pdf(), "application/pdf"),
    "big pdf": (pdf(size=300_000), "application/pdf"),
    "png": (png(), "image/png"),
    "jpeg": (jpeg(), "image/jpeg"),
    "text": ("Bonjour, ça va ?\r\n\tOui.\n".encode(), "text/plain"),
    "long text": (("é" * 100_000).encode(), "text/plain"),
    "cda": (cda(), "application/xml"),
    "cda with a prefix": (cda(prefix="hl7"), "application/xml"),
    "cda after a style sheet": (cda(before='<?xml-stylesheet href="x.xsl"?><!-- x -->'), "application/xml"),
    "dicom": (dicom(), "application/dicom"),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("step", [1_000, 65_536, 10**9])
def test_a_whole_file_of_a_known_kind_is_told(name: str, step: int) -> None:
    data, expected = GOOD[name]
    assert kind(data, step=step) == expected
    assert kind(data, declared=expected, step=step) == expected
    assert kind(data, declared="application/octet-stream", step=step) == expected


def test_text_xml_is_the_same_kind_as_application_xml() -> None:
    assert kind(cda(), declared="text/xml") == "application/xml"


@pytest.mark.parametrize("name", GOOD)
def test_a_file_that_is_not_what_was_declared_is_refused(name: str) -> None:
    data, expected = GOOD[name]
    other = "image/png" if expected != "image/png" else "application/pdf"
    assert refusal(data, declared=other) == "unsupported_media_type"


@pytest.mark.parametrize("declared", ["application/zip", "text/html", "video/mp4", "application/x-msdownload"])
def test_a_kind_no_document_has_is_refused_before_a_byte(declared: str) -> None:
    with pytest.raises(Refusal) as refused:
        Inspector(declared)
    assert refused.value.code == "unsupported_media_type" and "application/pdf" in refused.value.detail["allowed"]


OTHER = {
    "program": b"MZ\x90\x00" + b"\0" * 500,
    "archive": b"PK\x03\x04" + b"\0" * 500,
    "web page": b"<!doctype html><html><script>alert(1)</script></html>",
    "xml": b'<?xml version="1.0"?><root/>',
    "xml with a document type": cda(before='<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "text with control characters": b"abc\x07def",
    "text that is no utf-8": "café".encode("latin-1"),
    "text broken off in a letter": "café".encode()[:-1],
    "pdf after other bytes": b"x" + pdf(),
    "gif": b"GIF89a" + b"\0" * 50,
}


@pytest.mark.parametrize("name", OTHER)
@pytest.mark.parametrize("step", [7, 10**9])
def test_other_bytes_are_refused(name: str, step: int) -> None:
    assert refusal(OTHER[name], step=step) == "unsupported_media_type"


@pytest.mark.parametrize("step", [4093, 65_536, 10**9])
def test_a_document_type_behind_a_long_comment_is_refused(step: int) -> None:
    mask = f'<!-- <ClinicalDocument xmlns="urn:hl7-org:v3"> {"x" * HEAD * 2} -->'
    assert kind(cda(before=mask), step=step) == "application/xml"
    assert refusal(cda(before=mask + '<!DOCTYPE x SYSTEM "file:///etc/passwd">'), step=step) == "unsupported_media_type"


def test_bad_bytes_deep_inside_a_text_are_refused() -> None:
    assert refusal(b"a" * (HEAD + 10_000) + b"\x00" + b"a" * 10, step=4096) == "unsupported_media_type"
    assert refusal(b"a" * (HEAD + 10_000) + b"\xff", step=4096) == "unsupported_media_type"


def test_nothing_is_empty() -> None:
    assert refusal(b"") == "upload_empty"


@pytest.mark.parametrize("name", ["pdf", "big pdf", "png", "jpeg", "cda"])
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_file_cut_short_is_refused(name: str, data: st.DataObject) -> None:
    whole, _ = GOOD[name]
    cut = whole[: data.draw(st.integers(len(whole) // 2, len(whole) - 8))]
    assert refusal(cut, step=data.draw(st.integers(1000, 70_000))) in ("file_truncated", "unsupported_media_type")


def test_a_pdf_without_its_end_is_refused() -> None:
    assert refusal(pdf()[:-40]) == "file_truncated"


LOCKS = [b"/Encrypt 9 0 R", b"/Encrypt\n9 0 R", b"/Encrypt<< /Filter /Standard >>", b"/Encrypt  12 3 R"]


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("step", [1_000, 4_099, 65_536, 10**9])
@pytest.mark.parametrize("size", [0, 200_000])
def test_a_locked_pdf_is_refused_wherever_the_lock_stands(lock: bytes, step: int, size: int) -> None:
    data = pdf(size=size)
    assert refusal(data.replace(b"/Root 1 0 R", b"/Root 1 0 R " + lock), step=step) == "file_encrypted"
    assert refusal(data.replace(b"%PDF-1.4\n", b"%PDF-1.4\n" + lock), step=step) == "file_encrypted"


@given(st.integers(0, 3000), st.integers(900, 1100))
@settings(max_examples=60, deadline=None)
def test_a_lock_across_two_blocks_is_seen(before: int, step: int) -> None:
    data = pdf().replace(b"%PDF-1.4\n", b"%PDF-1.4\n" + b"%" * (HEAD + before) + b"/Encrypt 9 0 R\n")
    assert refusal(data, step=step) == "file_encrypted"


def test_a_lock_before_a_long_table_of_objects_is_seen() -> None:
    table = b"".join(b"%010d 00000 n \n" % number for number in range(40_000))
    end = b"/Encrypt 9 0 R" + table + b"startxref\n9\n%%EOF\n"
    assert refusal(pdf(size=3_000_000) + end, step=262_144) == "file_encrypted"


def test_a_pdf_that_merely_speaks_of_the_lock_is_not_locked() -> None:
    assert kind(pdf("The word /EncryptMetadata, or /Encrypt alone")) == "application/pdf"


def test_an_image_too_large_to_open_is_refused() -> None:
    data = bytearray(png())
    for height, right in ((10_000, True), (10_001, False)):
        data[16:24] = (10_000).to_bytes(4, "big") + height.to_bytes(4, "big")
        if right:
            assert kind(bytes(data)) == "image/png"
        else:
            assert refusal(bytes(data)) == "image_too_large"
    frame = JPEG_FRAME[:5] + b"\xff\xff\xff\xff" + JPEG_FRAME[9:]
    assert refusal(jpeg(frame)) == "image_too_large"


def test_an_image_without_a_size_is_refused() -> None:
    data = bytearray(png())
    data[16:24] = bytes(8)
    assert refusal(bytes(data)) == "file_truncated"
    assert refusal(png()[:20]) == "file_truncated"
    assert refusal(jpeg(b"")) == "file_truncated"


@given(st.binary(min_size=1, max_size=2000), st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_told_or_refused_never_an_error(data: bytes, step: int) -> None:
    try:
        kind(data, step=step)
    except Refusal:
        return


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared samples of others' files are not here")
def test_files_of_other_makers_are_told() -> None:
    for path in sorted(SAMPLES.glob("*/*")):
        data = path.read_bytes()
        expected = {".pdf": "application/pdf", ".xml": "application/xml", ".dcm": "application/dicom"}[path.suffix]
        if "password" in path.name:
            assert refusal(data) == "file_encrypted"
        else:
            assert kind(data, step=8192) == expected, path.name
