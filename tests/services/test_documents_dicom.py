"""The examiner of DICOM objects, called directly: what it finds, what it leaves out, and what it refuses."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from services.documents.ports import dicom
from services.documents.ports.pieces import Pieces
from services.documents.rules_findings import Findings, NotPassed
from tests import dicom_objects as made

CODECS = (ExplicitVRLittleEndian, RLELossless, JPEGBaseline8Bit, JPEG2000Lossless)


def look(file: bytes) -> Findings:
    return dicom.examine(file, "application/dicom", {})


def refusal(file: bytes) -> str:
    with pytest.raises(NotPassed) as refused:
        look(file)
    return refused.value.code


def opened(part: bytes) -> Any:
    return Picture.open(io.BytesIO(part))


def test_an_image_tells_where_it_belongs_and_nothing_of_who_it_shows() -> None:
    file = made.image()
    found = look(file)
    assert found.image is not None
    place = (found.image.study_uid, found.image.series_uid, found.image.instance_uid)
    assert place == made.uids(file) and found.image.transfer_syntax == ExplicitVRLittleEndian
    told = json.dumps(found.image.attributes, ensure_ascii=False) + found.text
    assert "Thorax à jeun" in told and "P-1" in told and found.image.attributes["00100040"]["Value"] == ["F"]
    for secret in made.SECRETS:
        assert secret.encode() in file and secret not in told, secret


@pytest.mark.parametrize("syntax", CODECS)
def test_each_frame_is_found_in_the_file_and_has_a_picture(syntax: str) -> None:
    file = made.image(frames=3, syntax=syntax)
    found = look(file)
    assert found.image is not None and len(found.image.frames) == found.image.frame_count == 3
    parts = [file[at : at + length] for at, length in found.image.frames]  # type: ignore[misc]
    if syntax == ExplicitVRLittleEndian:
        assert parts == [made.pixels(number) for number in (1, 2, 3)]
    else:
        assert all(part.startswith({JPEGBaseline8Bit: b"\xff\xd8", JPEG2000Lossless: b"\xff\x4f"}.get(syntax, b"\1"))
                   for part in parts)  # fmt: skip
    assert [(one.kind, one.number) for one in found.renditions] == [
        ("thumbnail", 1), ("frame", 1), ("frame", 2), ("frame", 3)
    ]  # fmt: skip
    assert {opened(one.data).size for one in found.renditions} == {(16, 16)}


def test_a_big_object_is_read_in_pieces_to_the_same_end() -> None:
    file = made.image(frames=40, side=128)
    assert len(file) > 2 * 256 * 1024
    asked = []

    def fetch(start: int, length: int) -> bytes:
        asked.append(start)
        return file[start : start + length]

    assert dicom.examine(Pieces(len(file), fetch), "application/dicom", {}) == look(file) and len(asked) > 2


def test_of_many_frames_the_first_64_have_pictures() -> None:
    found = look(made.image(frames=70))
    assert found.image is not None and found.image.frame_count == 70
    assert [one.number for one in found.renditions if one.kind == "frame"] == list(range(1, 65))


def test_a_frame_in_several_fragments_is_told_part_by_part() -> None:
    first = made.image(syntax=JPEGBaseline8Bit)  # one file for all: the next one's names may be a digit longer
    whole, packed = dcmread(io.BytesIO(first)), look(first)
    assert packed.image is not None
    at, length = packed.image.frames[0]
    stream = first[at : at + length]
    whole.PixelData = encapsulate([stream, stream], fragments_per_frame=2, has_bot=True)
    whole.NumberOfFrames = "2"
    file = made.written(whole, JPEGBaseline8Bit)
    found = look(file)
    assert found.image is not None and [len(frame) for frame in found.image.frames] == [4, 4]
    for frame in found.image.frames:
        parts = zip(frame[::2], frame[1::2], strict=True)
        assert opened(b"".join(file[start : start + size] for start, size in parts)).size == (16, 16)


def test_a_manifest_names_the_instances_it_points_to_once() -> None:
    one, two = made.image(), made.image()
    found = look(made.manifest(one, two, one))
    assert [(each.study_uid, each.series_uid, each.instance_uid) for each in found.references] == [
        made.uids(one), made.uids(two)
    ]  # fmt: skip
    assert found.image is not None and found.image.frame_count == 0 and found.renditions == ()


def test_a_structured_report_is_found_by_its_words_and_not_by_the_names_in_it() -> None:
    found = look(made.structured_report("Kein Pneumothorax"))
    assert "Befund Kein Pneumothorax" in found.text and made.SECRETS[4] not in found.text


@pytest.mark.parametrize("changes", [{"Rows": 60000, "Columns": 60000}, {"NumberOfFrames": "9999999", "Rows": 9000}])
def test_a_flood_of_pixels_is_refused_before_one_is_opened(changes: dict[str, Any]) -> None:
    assert refusal(made.image(syntax=JPEGBaseline8Bit, **changes)) == "too_many_pixels"


def test_a_stream_that_says_it_is_larger_than_its_object_is_refused() -> None:
    file = io.BytesIO()
    Picture.new("L", (9000, 9000)).save(file, "JPEG")
    assert refusal(made.image(syntax=JPEGBaseline8Bit, PixelData=encapsulate([file.getvalue()]))) == "too_many_pixels"


@pytest.mark.parametrize("cut", [140, 200, 700, -300, -10])
def test_what_is_cut_off_is_broken(cut: int) -> None:
    assert refusal(made.image()[:cut]) == "broken"


@pytest.mark.parametrize("changes", [{"Rows": 17}, {"NumberOfFrames": "2"}, {"StudyInstanceUID": "x"}])
def test_what_contradicts_itself_is_broken(changes: dict[str, Any]) -> None:
    assert refusal(made.image(**changes)) == "broken"


def squeezed(file: bytes, more: int = 0) -> bytes:
    read = dcmread(io.BytesIO(file))
    plain = made.written(read)
    (length,) = struct.unpack("<I", plain[140:144])
    begin = 144 + length
    small = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = small.compress(plain[begin:]) + small.compress(bytes(more)) + small.flush()
    head = plain[:begin].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    grown = length + len(head) - begin
    at = head.index(b"1.2.840.10008.1.2.1.99")
    head = head[: at - 2] + struct.pack("<H", 22) + head[at:]
    return head[:140] + struct.pack("<I", grown) + head[144:] + body


def test_a_squeezed_object_is_opened_within_bounds_and_a_bomb_is_not() -> None:
    found = look(squeezed(made.image()))
    assert found.image is not None and found.image.transfer_syntax.endswith(".99")
    assert found.image.frames == () and found.image.frame_count == 1 and len(found.renditions) == 2
    assert refusal(squeezed(made.image(), more=300 * 1024 * 1024)) == "too_large_inside"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_whatever_is_changed_it_is_findings_or_a_verdict_or_an_error_of_the_parser(at: int, other: bytes) -> None:
    file = bytearray(made.image(frames=2, syntax=RLELossless))
    at %= len(file)
    file[at : at + len(other)] = other
    try:
        found = look(bytes(file))
    except Exception as broken:
        assert not isinstance(broken, ImportError | MemoryError)
        return
    assert found.image is not None and "\0" not in found.text and "\\u0000" not in json.dumps(found.image.attributes)
    assert all(at + length <= len(file) for frame in found.image.frames
               for at, length in zip(frame[::2], frame[1::2], strict=True))  # fmt: skip
