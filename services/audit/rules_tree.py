"""The tree over the log: its root, its paths, and how they are checked [RFC 9162 2.1].

A tree is known by its leaves' hashes. What grows is a `CompactRange`: the hashes of the whole subtrees on its left
edge, at most one for each power of two. A path is first named, as the spans of leaves whose roots it is made of; who
has the leaves at hand, or only some nodes above them, then looks these up.
Pure: no I/O, no clock; the standard library alone.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

EMPTY: Final = sha256().digest()
"""The root of a tree without leaves."""

STEP: Final = 8
"""Of the nodes, those at every eighth level are kept: any other is made from at most 256 below it."""

Span = tuple[int, int]
"""The leaves from the first of two positions to before the second."""

Place = tuple[int, int]
"""A whole subtree: its level (a leaf's is 0), and its number among those of its level."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the hash of a node above two others."""
    return sha256(b"\1" + left + right).digest()


class CompactRange:
    """The left edge of a growing tree: enough to know its root and to append, however big it is."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """size: how many leaves there are. hashes: of the whole subtrees they make, the biggest first.

        Raises ValueError when these are not as many as a tree of that size has.
        """
        levels = [place[0] for place in places(0, size)]
        given = [bytes(one) for one in hashes]
        if len(levels) != len(given) or any(len(one) != 32 for one in given):
            raise ValueError("these are not the subtrees of a tree of that size")
        self.size = size
        self._edge = dict(zip(levels, given, strict=True))

    @property
    def hashes(self) -> list[bytes]:
        """The hashes of its whole subtrees, the biggest first."""
        return [self._edge[level] for level in sorted(self._edge, reverse=True)]

    def copy(self) -> "CompactRange":
        """Returns another one like it."""
        return CompactRange(self.size, self.hashes)

    def extend(self, leaves: Sequence[bytes]) -> list[tuple[int, int, bytes]]:
        """Appends leaves; returns the nodes at the kept levels that became whole, as level, number and hash."""
        whole: list[tuple[int, int, bytes]] = []
        row, level, size = list(leaves), 0, self.size
        self.size += len(row)
        while row:
            number = size >> level
            if number & 1:
                row.insert(0, self._edge.pop(level))
            if len(row) & 1:
                self._edge[level] = row.pop()
            row = [sha256(b"\1" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
            level += 1
            if level % STEP == 0:
                first = number >> 1
                whole += [(level, first + beside, made) for beside, made in enumerate(row)]
        return whole

    def root(self) -> bytes:
        """Returns the root over all leaves so far."""
        return joined(self.hashes)


def joined(hashes: Sequence[bytes]) -> bytes:
    """Returns the root over whole subtrees that lie beside each other, the biggest first, as `places` names them."""
    if not hashes:
        return EMPTY
    *others, made = hashes
    for one in reversed(others):
        made = node_hash(one, made)
    return made


def root(leaves: Sequence[bytes]) -> bytes:
    """Returns the root over leaves."""
    edge = CompactRange()
    edge.extend(leaves)
    return edge.root()


def places(start: int, end: int) -> list[Place]:
    """Returns the whole subtrees that a span of a path is made of, the biggest first.

    Such a span begins where a subtree of at least its length begins.
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_spans(position: int, size: int) -> list[Span]:
    """Returns the spans whose roots are the path from a leaf to the root of a tree, the nearest first [2.1.3.1].

    Raises ValueError when the tree has no such leaf.
    """
    if not 0 <= position < size:
        raise ValueError("no such leaf")
    found, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if position < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_spans(first: int, second: int) -> list[Span]:
    """Returns the spans whose roots show that a tree grew out of its own beginning, in order [2.1.4.1].

    Raises ValueError when the first is not a beginning of the second, or is empty.
    """
    if not 0 < first <= second:
        raise ValueError("no such beginning")
    found, start, end, known = [], 0, second, True
    while end > first:
        middle = start + _split(end - start)
        if first <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, known = middle, False
    if not known:
        found.append((start, end))
    return found[::-1]


def inclusion_path(position: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Returns the path from a leaf to the root over all these leaves."""
    return [root(leaves[start:end]) for start, end in inclusion_spans(position, len(leaves))]


def consistency_path(first: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Returns what shows that the tree over all these leaves grew out of the one over the first of them."""
    return [root(leaves[start:end]) for start, end in consistency_spans(first, len(leaves))]


def kept_places(spans: Iterable[Span]) -> set[Place]:
    """Returns the leaves and the nodes at kept levels from which the roots of these spans can be made."""
    return {below for start, end in spans for place in places(start, end) for below in _kept_below(place)}


def root_of(span: Span, kept: Callable[[Place], bytes]) -> bytes:
    """Returns the root over a span, from the leaves and nodes that `kept_places` names."""
    return joined([root([kept(below) for below in _kept_below(place)]) for place in places(*span)])


def verify_inclusion(leaf: bytes, position: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether a path shows that a leaf has this position in the tree of that size and root [2.1.3.2]."""
    if not 0 <= position < size:
        return False
    made, number, last = leaf, position, size - 1
    for beside in path:
        if last == 0:
            return False
        if number & 1 or number == last:
            made = node_hash(beside, made)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            made = node_hash(made, beside)
        number, last = number >> 1, last >> 1
    return last == 0 and made == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]
) -> bool:  # fmt: skip
    """Whether a path shows that the second tree grew out of the first [2.1.4.2]; out of an empty one each grows."""
    if not 0 <= first <= second:
        return False
    if first in (0, second):
        return not path and first_root == (EMPTY if first == 0 else second_root)
    given = list(path) if first & (first - 1) else [first_root, *path]
    if not given:
        return False
    number, last = first - 1, second - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old = new = given[0]
    for beside in given[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old, new = node_hash(beside, old), node_hash(beside, new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new = node_hash(new, beside)
        number, last = number >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The biggest power of two below a size of at least two."""
    return 1 << ((size - 1).bit_length() - 1)


def _kept_below(place: Place) -> list[Place]:
    level, number = place
    down = level % STEP
    return [(level - down, (number << down) + beside) for beside in range(1 << down)]
