"""A deposit in one request, read as a stream: whatever the blocks, the same parts; whatever is wrong, refused."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import multipart
from services.refusals import Refusal

BOUNDARY = b"----parts-7f3a"
METADATA = b'{"type": "medical_report", "title": "x"}'
END = b"\r\n--" + BOUNDARY + b"--\r\n"


def part(name: str, content: bytes, *, filename: str | None = None, kind: str | None = None) -> bytes:
    head = f'--{BOUNDARY.decode()}\r\nContent-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"' if filename is not None else ""
    head += f"\r\nContent-Type: {kind}" if kind else ""
    return head.encode() + b"\r\n\r\n" + content


def request(
    content: bytes, metadata: bytes = METADATA, end: bytes = END, kind: str | None = "application/pdf"
) -> bytes:
    return part("metadata", metadata) + b"\r\n" + part("file", content, filename="a", kind=kind) + end


def reader(body: bytes, most: int = 10**9) -> Callable[[int], bytes]:
    """A body that comes in pieces of at most `most` bytes."""
    stream = io.BytesIO(body)
    return lambda size: stream.read(min(size, most))


def deposit(body: bytes, *, most: int = 10**9, length: int | None = None, block: int = 4096) -> multipart.Deposit:
    return multipart.Deposit(reader(body, most), BOUNDARY, length, block)


def whole(body: bytes, *, most: int = 10**9, length: int | None = None, block: int = 4096) -> tuple[bytes, bytes]:
    made = deposit(body, most=most, length=length, block=block)
    return made.metadata(), b"".join(made.file().chunks)


nearly_a_boundary = st.sampled_from(
    [b"\r\n--" + BOUNDARY[:-1], b"\r\n--", b"\r\n", b"\r", b"--" + BOUNDARY, b"\n--" + BOUNDARY, b"-", b"\r\r\n--"]
)
contents = (
    st.lists(st.one_of(st.binary(max_size=300), nearly_a_boundary), max_size=12)
    .map(b"".join)
    # a sender chooses a boundary that is not inside
    .filter(lambda content: b"\r\n--" + BOUNDARY not in b"\r\n" + content)
)
pieces = st.integers(1, 700)


@given(content=contents, most=pieces, block=pieces)
@settings(max_examples=300, deadline=None)
def test_the_same_parts_come_out_whatever_the_pieces(content: bytes, most: int, block: int) -> None:
    assert whole(request(content), most=most, block=block) == (METADATA, content)


@given(content=contents, most=pieces)
@settings(max_examples=100, deadline=None)
def test_the_size_is_known_before_the_bytes(content: bytes, most: int) -> None:
    body = request(content)
    made = deposit(body, most=most, length=len(body))
    made.metadata()
    file = made.file()
    assert file.size == len(content) == len(b"".join(file.chunks))


@given(content=contents, cut=st.data())
@settings(max_examples=150, deadline=None)
def test_a_request_cut_anywhere_is_truncated_never_a_shorter_file(content: bytes, cut: st.DataObject) -> None:
    body = request(content)
    most = len(body) - len(b"--\r\n")
    with pytest.raises(Refusal) as refused:
        whole(body[: cut.draw(st.integers(0, most))])
    assert refused.value.code in ("upload_truncated", "malformed_multipart")


@given(st.binary(max_size=600), pieces)
@settings(max_examples=150, deadline=None)
def test_any_other_bytes_are_refused_and_nothing_else_happens(body: bytes, most: int) -> None:
    with pytest.raises(Refusal) as refused:
        whole(body, most=most)
    assert refused.value.code in ("upload_truncated", "malformed_multipart")


def test_the_declared_kind_comes_along_without_its_parameters() -> None:
    for kind, seen in ((None, None), ("Text/Plain; charset=utf-8", "text/plain"), ("image/png", "image/png")):
        made = deposit(request(b"x", kind=kind))
        made.metadata()
        assert made.file().media_type == seen


def test_an_ending_without_a_line_break_is_an_ending() -> None:
    assert whole(request(b"abc", end=END[:-2]))[1] == b"abc"


def test_an_empty_file_is_an_empty_file() -> None:
    assert whole(request(b"")) == (METADATA, b"")
    assert whole(request(b"").replace(b"\r\n\r\n" + END, b"\r\n" + END))[1] == b""


WRONG = {
    "file first": part("file", b"x", filename="a") + b"\r\n" + part("metadata", METADATA) + END,
    "no metadata": part("file", b"x", filename="a") + END,
    "another name": part("data", METADATA) + b"\r\n" + part("file", b"x") + END,
    "no file": part("metadata", METADATA) + END,
    "a part after the file": request(b"x", end=b"\r\n" + part("more", b"y") + END),
    "bytes after the end": request(b"x", end=END + b"more"),
    "no name": part("metadata", METADATA).replace(b'; name="metadata"', b"") + b"\r\n" + part("file", b"x") + END,
    "no disposition": b"--" + BOUNDARY + b"\r\nX: y\r\n\r\n{}" + END,
    "huge metadata": request(b"x", metadata=b"{" + b" " * multipart.METADATA_LIMIT),
    "endless headers": b"--" + BOUNDARY + b"\r\nX: " + b"y" * multipart.HEAD_LIMIT * 2,
    "endless preamble": b"y" * multipart.HEAD_LIMIT * 2,
    "headers that are no text": b"--" + BOUNDARY + b"\r\n\xff\xfe: \xff\r\n\r\n" + END,
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_a_body_built_otherwise_is_malformed(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        whole(body)
    assert refused.value.code == "malformed_multipart"


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("application/json", "unsupported_media_type"),
        ("", "unsupported_media_type"),
        ("multipart/mixed; boundary=x", "unsupported_media_type"),
        ("multipart/form-data", "malformed_multipart"),
        ("multipart/form-data; boundary=" + "x" * 71, "malformed_multipart"),
        ('multipart/form-data; boundary="a\tb"', "malformed_multipart"),
    ],
)
def test_a_content_type_without_a_usable_boundary_is_refused(content_type: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        multipart.boundary_of(content_type)
    assert refused.value.code == code


def test_a_boundary_may_be_quoted() -> None:
    assert multipart.boundary_of('multipart/form-data; boundary="a b:c"') == b"a b:c"


# --- several files ----------------------------------------------------------------------------------------------------


def files_of(
    contents: list[bytes], *, expected: int | None = None, most: int = 10**9, block: int = 4096, end: bytes = END
) -> list[bytes]:
    parts = [part("file", content, filename="a", kind="application/pdf") for content in contents]
    body = b"\r\n".join([part("metadata", METADATA), *parts]) + end
    made = deposit(body, most=most, length=len(body), block=block)
    made.metadata()
    sizes: list[int | None] = [None] * (len(contents) if expected is None else expected)
    return [b"".join(file.chunks) for file in made.files(sizes)]


@given(several=st.lists(contents, min_size=1, max_size=4), most=pieces, block=pieces)
@settings(max_examples=200, deadline=None)
def test_several_files_come_out_one_after_the_other(several: list[bytes], most: int, block: int) -> None:
    assert files_of(several, most=most, block=block) == several


@pytest.mark.parametrize(("sent", "expected"), [(1, 2), (2, 1), (3, 2), (2, 3)])
def test_another_number_of_files_than_described_is_refused(sent: int, expected: int) -> None:
    with pytest.raises(Refusal) as refused:
        files_of([b"x"] * sent, expected=expected)
    assert refused.value.code == "malformed_multipart"


def test_a_part_of_another_name_between_the_files_is_refused() -> None:
    between = part("other", b"x")
    body = b"\r\n".join([part("metadata", METADATA), part("file", b"a", filename="a"), between]) + END
    made = deposit(body)
    made.metadata()
    with pytest.raises(Refusal) as refused:
        for file in made.files([None, None]):
            b"".join(file.chunks)
    assert refused.value.code == "malformed_multipart"


def test_the_size_of_a_file_is_what_its_sender_told_and_of_the_last_what_is_left() -> None:
    body = (
        b"\r\n".join(
            [part("metadata", METADATA), part("file", b"abc", filename="a"), part("file", b"defgh", filename="b")]
        )
        + END
    )
    made = deposit(body, length=len(body))
    made.metadata()
    sizes = []
    for file in made.files([3, None]):
        sizes.append(file.size)
        assert len(b"".join(file.chunks)) == file.size
    assert sizes == [3, 5]
