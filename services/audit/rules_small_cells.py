"""Which rows of a table are not shown beside its totals: those that tell of people, and what would give them away.

A row counts people who are one thing or another, such as those with a record and those without, so what is shown of a
row is all of it or nothing. Whoever looks at the table knows the total of each column, the rows that are shown, and
these rules. All they do not know is the order in which further rows are taken along: it is made by chance, once for
ever. From all this no number that tells of people can be computed. Were the next smallest row taken along instead,
then which rows are hidden would already tell how large they are.
Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Final

LEAST: Final = 3
"""No smaller threshold protects anybody: of two each can tell the other, and of one is told at once."""


def is_small(value: int, smallest: int) -> bool:
    """Whether a number tells of people: nobody is nobody. smallest: the least that may be seen, at least 3."""
    return 0 < value < max(smallest, LEAST)


def order_of(names: Sequence[str], salt: bytes) -> list[int]:
    """Returns the places of rows in an order that only the salt tells: the same for the same names every time."""
    return sorted(range(len(names)), key=lambda place: sha256(salt + names[place].encode()).digest())


def hidden_rows(rows: Sequence[Sequence[int]], smallest: int, order: Sequence[int]) -> frozenset[int]:
    """Returns the places of the rows that are not shown.

    order: in which others are taken along: every place once.
    The rows with a small number; with them at least one that has none, of people at all; and more of those while what
    is hidden of a column is small together. Where there are not enough of them: all rows.
    """
    small = {place for place, row in enumerate(rows) if any(is_small(value, smallest) for value in row)}
    if not small:
        return frozenset()
    hidden = set(small)
    for place in order:
        if place not in small and any(rows[place]):
            hidden.add(place)
            if not _is_small_together(rows, hidden, smallest):
                return frozenset(hidden)
    return frozenset(range(len(rows)))


def _is_small_together(rows: Sequence[Sequence[int]], hidden: Collection[int], smallest: int) -> bool:
    columns = zip(*(rows[place] for place in hidden), strict=True)
    return any(is_small(sum(column), smallest) for column in columns)
