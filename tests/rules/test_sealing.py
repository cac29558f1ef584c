"""The segment format of stored bytes: what was sealed comes back, and nothing else ever does."""

from __future__ import annotations

import base64
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import sealing
from services.sealing import SEALED_SEGMENT, SEGMENT, BytesTampered

KEY = bytes(range(32))
VERSION = "01935d0e-0000-7000-8000-000000000001"
OTHER_VERSION = "01935d0e-0000-7000-8000-000000000002"

near_a_border = st.builds(
    lambda segments, more: max(0, segments * SEGMENT + more), st.integers(0, 3), st.integers(-20, 20)
)
sizes = st.one_of(st.integers(0, 2000), near_a_border, st.integers(0, 5 * SEGMENT))


def plain_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def in_pieces(data: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


def sealed(data: bytes, key: bytes = KEY, version: str = VERSION, step: int = 256 * 1024) -> bytes:
    return b"".join(sealing.seal(in_pieces(data, step), key, version))


def opened(data: bytes, size: int, key: bytes = KEY, version: str = VERSION, step: int = 100_000) -> bytes:
    total = sealing.segments_of(size)
    return b"".join(sealing.open_sealed(in_pieces(data, step), key, version, total_segments=total))


@given(size=sizes, step_in=st.integers(1000, 300_000), step_out=st.integers(1000, 300_000))
@settings(max_examples=60, deadline=None)
def test_what_was_sealed_comes_back_whatever_the_sizes_of_the_pieces(size: int, step_in: int, step_out: int) -> None:
    data = plain_of(size)
    stored = sealed(data, step=step_in)
    assert len(stored) == sealing.sealed_size(size)
    assert sealing.plain_size(len(stored)) == size
    assert opened(stored, size, step=step_out) == data


def test_pieces_of_one_byte_make_the_same_object_as_one_piece() -> None:
    data = plain_of(SEGMENT + 3)
    assert sealed(data, step=1) == sealed(data, step=len(data))


def test_more_than_one_output_block_comes_back() -> None:
    data = plain_of(sealing.BLOCK_SEGMENTS * SEGMENT * 2)
    assert opened(sealed(data), len(data)) == data


def test_an_empty_file_has_one_empty_last_segment() -> None:
    assert len(sealed(b"")) == sealing.sealed_size(0) == sealing.TAG
    assert opened(sealed(b""), 0) == b""


@given(sizes)
def test_sizes_are_exact_both_ways(size: int) -> None:
    assert sealing.plain_size(sealing.sealed_size(size)) == size


@pytest.mark.parametrize("size", [0, 1, 15, SEALED_SEGMENT + 1, SEALED_SEGMENT + 16, 3 * SEALED_SEGMENT + 16])
def test_a_size_that_no_sealed_object_has_is_refused(size: int) -> None:
    with pytest.raises(ValueError):
        sealing.plain_size(size)


@given(size=st.one_of(st.integers(1, 2000), near_a_border.filter(bool)), data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_range_opens_its_own_segments_only(size: int, data: st.DataObject) -> None:
    plain = plain_of(size)
    stored = sealed(plain)
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start, size - 1))
    part = sealing.segments_for(start, end, size)
    touched = stored[part.sealed_start : part.sealed_end + 1]
    assert len(touched) <= (end // SEGMENT - start // SEGMENT + 1) * SEALED_SEGMENT
    answer = b"".join(sealing.open_range(in_pieces(touched, 50_000), KEY, VERSION, part))
    assert answer == plain[start : end + 1]


def test_a_range_over_several_output_blocks_is_exact() -> None:
    plain = plain_of(40 * SEGMENT + 5)
    stored = sealed(plain)
    part = sealing.segments_for(SEGMENT + 7, 39 * SEGMENT + 9, len(plain))
    touched = stored[part.sealed_start : part.sealed_end + 1]
    assert b"".join(sealing.open_range([touched], KEY, VERSION, part)) == plain[SEGMENT + 7 : 39 * SEGMENT + 10]


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (4, 3), (0, 10), (10, 10)])
def test_a_range_outside_the_file_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError):
        sealing.segments_for(start, end, 10)


@given(size=st.one_of(st.integers(0, 2000), near_a_border), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_anywhere_is_refused(size: int, data: st.DataObject) -> None:
    stored = bytearray(sealed(plain_of(size)))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BytesTampered):
        opened(bytes(stored), size)


@given(size=near_a_border, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_truncated_object_is_refused_wherever_it_is_cut(size: int, data: st.DataObject) -> None:
    stored = sealed(plain_of(size))
    border = (len(stored) - 1) // SEALED_SEGMENT * SEALED_SEGMENT
    cut = data.draw(st.one_of(st.integers(0, len(stored) - 1), st.just(border)))
    with pytest.raises(BytesTampered):
        opened(stored[:cut], size)


def test_an_object_cut_at_a_segment_border_is_refused_even_when_its_size_is_believed() -> None:
    stored = sealed(plain_of(3 * SEGMENT))
    with pytest.raises(BytesTampered):
        opened(stored[: 2 * SEALED_SEGMENT], 2 * SEGMENT)


def test_an_object_with_bytes_appended_is_refused() -> None:
    with pytest.raises(BytesTampered):
        opened(sealed(plain_of(SEGMENT)) + b"more", SEGMENT)


def test_segments_in_another_order_are_refused() -> None:
    stored = sealed(plain_of(3 * SEGMENT))
    first, second = stored[:SEALED_SEGMENT], stored[SEALED_SEGMENT : 2 * SEALED_SEGMENT]
    with pytest.raises(BytesTampered):
        opened(second + first + stored[2 * SEALED_SEGMENT :], 3 * SEGMENT)


def test_a_segment_of_another_version_is_refused_even_under_the_same_key() -> None:
    stored, other = sealed(plain_of(2 * SEGMENT)), sealed(plain_of(2 * SEGMENT), version=OTHER_VERSION)
    with pytest.raises(BytesTampered):
        opened(other[:SEALED_SEGMENT] + stored[SEALED_SEGMENT:], 2 * SEGMENT)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(BytesTampered):
        opened(sealed(b"clear"), 5, key=sealing.new_key())


def test_nothing_of_a_clear_byte_is_in_the_sealed_bytes() -> None:
    assert b"diagnosis" not in sealed(b"diagnosis " * 20_000)


def test_memory_stays_bounded_while_sealing_and_opening() -> None:
    piece = plain_of(256 * 1024)
    total = 160 * len(piece)
    tracemalloc.start()
    try:
        stream = sealing.open_sealed(
            sealing.seal((piece for _ in range(160)), KEY, VERSION),
            KEY,
            VERSION,
            total_segments=sealing.segments_of(total),
        )
        assert sum(len(block) for block in stream) == total
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_source_may_reuse_its_buffer() -> None:
    def reused() -> Iterator[memoryview]:
        buffer = bytearray(100_000)
        for value in range(5):
            buffer[:] = bytes([value]) * len(buffer)
            yield memoryview(buffer)

    stored = b"".join(sealing.seal(reused(), KEY, VERSION))
    assert opened(stored, 500_000) == b"".join(bytes([value]) * 100_000 for value in range(5))


def test_a_wrapped_key_opens_in_its_context_only() -> None:
    kek, key = sealing.new_key(), sealing.new_key()
    wrapped = sealing.wrap(kek, key, b"record 1")
    assert sealing.unwrap(kek, wrapped, b"record 1") == key
    assert key not in wrapped
    for wrong in (
        lambda: sealing.unwrap(kek, wrapped, b"record 2"),
        lambda: sealing.unwrap(sealing.new_key(), wrapped, b"record 1"),
        lambda: sealing.unwrap(kek, wrapped[:-1], b"record 1"),
        lambda: sealing.unwrap(kek, b"", b"record 1"),
    ):
        with pytest.raises(BytesTampered):
            wrong()


def test_two_wraps_of_the_same_key_differ() -> None:
    kek, key = sealing.new_key(), sealing.new_key()
    assert sealing.wrap(kek, key, b"") != sealing.wrap(kek, key, b"")


def test_a_handed_over_key_reaches_the_process_it_was_meant_for() -> None:
    pair, key = sealing.KeyPair(), sealing.new_key()
    parcel = sealing.hand_over(pair.public, key, VERSION.encode())
    assert pair.receive(parcel, VERSION.encode()) == key
    assert key not in base64.b64decode(parcel)


def test_a_handed_over_key_opens_for_no_other_process_version_or_change() -> None:
    pair, key = sealing.KeyPair(), sealing.new_key()
    parcel = sealing.hand_over(pair.public, key, VERSION.encode())
    raw = bytearray(base64.b64decode(parcel))
    raw[40] ^= 1
    changed = base64.b64encode(raw).decode()
    for wrong in (
        lambda: sealing.KeyPair().receive(parcel, VERSION.encode()),
        lambda: pair.receive(parcel, OTHER_VERSION.encode()),
        lambda: pair.receive(changed, VERSION.encode()),
        lambda: pair.receive("not base64!", VERSION.encode()),
        lambda: pair.receive("", VERSION.encode()),
        lambda: pair.receive(base64.b64encode(bytes(80)).decode(), VERSION.encode()),
    ):
        with pytest.raises(BytesTampered):
            wrong()


@pytest.mark.parametrize(
    "public", ["", "no", base64.b64encode(b"short").decode(), base64.b64encode(bytes(32)).decode()]
)
def test_a_public_key_that_is_none_is_refused(public: str) -> None:
    with pytest.raises(ValueError):
        sealing.hand_over(public, sealing.new_key(), b"")
