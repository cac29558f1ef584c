"""The tree against the definition of RFC 9162, written out once more as it stands there."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.rules_tree import (
    EMPTY,
    CompactRange,
    consistency_path,
    consistency_spans,
    inclusion_path,
    inclusion_spans,
    kept_places,
    root,
    root_of,
    verify_consistency,
    verify_inclusion,
)

SIZES = st.integers(1, 600)


def leaves(count: int) -> list[bytes]:
    return [sha256(number.to_bytes(4, "big")).digest() for number in range(count)]


def defined(of: list[bytes]) -> bytes:
    """MTH of RFC 9162 2.1.1, over hashes of leaves."""
    if not of:
        return sha256().digest()
    if len(of) == 1:
        return of[0]
    k = 1
    while k * 2 < len(of):
        k *= 2
    return sha256(b"\1" + defined(of[:k]) + defined(of[k:])).digest()


def bent(path: list[bytes], at: int) -> list[bytes]:
    return [*path[:at], bytes(32), *path[at + 1 :]]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 255, 256, 257, 600])
def test_the_root_is_the_one_of_the_definition(count: int) -> None:
    assert root(leaves(count)) == defined(leaves(count))
    assert root([]) == EMPTY


@given(st.lists(st.integers(0, 300), max_size=6))
def test_a_range_may_grow_in_any_steps(steps: list[int]) -> None:
    edge, all_of_them, kept = CompactRange(), leaves(sum(steps)), {}
    for step in steps:
        kept.update(
            {(level, number): made for level, number, made in edge.extend(all_of_them[edge.size : edge.size + step])}
        )
        again = CompactRange(edge.size, edge.hashes)
        assert again.root() == edge.copy().root() == edge.root() == defined(all_of_them[: edge.size])
    assert set(kept) == {(8, number) for number in range(sum(steps) >> 8)}
    assert all(made == defined(all_of_them[n << 8 : (n + 1) << 8]) for (_, n), made in kept.items())


def test_a_range_of_another_size_than_its_hashes_is_none() -> None:
    for size, hashes in ((3, [bytes(32)]), (2, [bytes(32), bytes(32)]), (1, [b"short"]), (0, [bytes(32)])):
        with pytest.raises(ValueError, match="not the subtrees"):
            CompactRange(size, hashes)


@given(SIZES, st.data())
def test_a_leaf_is_proved_at_its_position_alone(size: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, size - 1))
    all_of_them = leaves(size)
    path, top = inclusion_path(position, all_of_them), root(all_of_them)
    assert verify_inclusion(all_of_them[position], position, size, path, top)
    assert not verify_inclusion(bytes(32), position, size, path, top)
    assert not verify_inclusion(all_of_them[position], position + 1, size, path, top)
    assert not verify_inclusion(all_of_them[position], position, size, [*path, bytes(32)], top)
    assert not verify_inclusion(all_of_them[position], size, size, path, top)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert not verify_inclusion(all_of_them[position], position, size, bent(path, at), top)
        assert not verify_inclusion(all_of_them[position], position, size, path[:-1], top)


@given(SIZES, st.data())
def test_a_tree_is_proved_to_have_grown_out_of_its_own_beginning_alone(second: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, second))
    all_of_them = leaves(second)
    path, old, new = consistency_path(first, all_of_them), root(all_of_them[:first]), root(all_of_them)
    assert verify_consistency(first, second, old, new, path)
    assert not verify_consistency(second + 1, second, old, new, path)
    assert not verify_consistency(first, second, bytes(32), new, path)
    assert not verify_consistency(first, second, old, bytes(32), path)
    assert not verify_consistency(first, second, old, new, [*path, bytes(32)])
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert not verify_consistency(first, second, old, new, bent(path, at))
        assert not verify_consistency(first, second, old, new, path[:-1])


def test_each_log_grows_out_of_an_empty_one() -> None:
    assert verify_consistency(0, 5, EMPTY, root(leaves(5)), [])
    assert not verify_consistency(0, 5, bytes(32), root(leaves(5)), [])


@given(st.integers(1, 2000), st.data())
def test_every_path_can_be_made_from_leaves_and_kept_nodes(size: int, data: st.DataObject) -> None:
    all_of_them, edge = leaves(size), CompactRange()
    there = {(level, number): made for level, number, made in edge.extend(all_of_them)}
    there.update({(0, number): made for number, made in enumerate(all_of_them)})
    position, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    for spans, path in (
        (inclusion_spans(position, size), inclusion_path(position, all_of_them)),
        (consistency_spans(first, size), consistency_path(first, all_of_them)),
    ):
        wanted = kept_places(spans)
        assert len(wanted) <= 256 * 3
        assert [root_of(span, {place: there[place] for place in wanted}.__getitem__) for span in spans] == path


def test_what_is_not_in_the_tree_has_no_path() -> None:
    for position, size in ((0, 0), (5, 5), (-1, 5)):
        with pytest.raises(ValueError, match="no such leaf"):
            inclusion_spans(position, size)
    for first, second in ((0, 5), (6, 5)):
        with pytest.raises(ValueError, match="no such beginning"):
            consistency_spans(first, second)
