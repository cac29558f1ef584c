"""No number that tells of people can be computed from a table: every table that could look the same is tried."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import permutations, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.audit.rules_small_cells import LEAST, hidden_rows, is_small, order_of

Row = tuple[int, ...]
TABLES = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.tuples(*[st.one_of(st.integers(0, 12), st.integers(0, 3000))] * width), min_size=2, max_size=40
    )
)
SMALLEST = st.integers(0, 12)


def ways(total: int, parts: int) -> Iterator[Row]:
    """Every way to be so many in so many parts."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in ways(total - first, parts - 1):
            yield (first, *rest)


@pytest.mark.parametrize(("rows", "most", "smallest", "columns"), [
    (2, 16, 3, 1), (3, 12, 3, 1), (4, 9, 3, 1), (3, 12, 4, 1), (2, 12, 3, 2), (2, 10, 4, 2), (3, 6, 3, 2),
])  # fmt: skip
def test_whoever_knows_the_rules_and_tries_every_table_computes_no_number_that_tells_of_people(
    rows: int, most: int, smallest: int, columns: int
) -> None:
    looks: dict[object, set[tuple[Row, ...]]] = defaultdict(set)
    for totals in product(range(most + 1), repeat=columns):
        for values in product(*(list(ways(total, rows)) for total in totals)):
            table = tuple(zip(*values, strict=True))
            for order in permutations(range(rows)):
                hidden = hidden_rows(table, smallest, order)
                looks[totals, tuple(None if place in hidden else row for place, row in enumerate(table))].add(table)
    for (_, look), tables in looks.items():  # type: ignore[misc]
        for place, row in enumerate(look):
            if row is None:
                for column in range(columns):
                    told = {table[place][column] for table in tables}
                    assert len(told) > 1 or not is_small(told.pop(), smallest)


@given(TABLES, SMALLEST, st.binary(min_size=16, max_size=16))
def test_no_row_with_a_small_number_is_shown_and_what_is_hidden_is_not_small_together(
    table: list[Row], smallest: int, salt: bytes
) -> None:
    hidden = hidden_rows(table, smallest, order_of([str(place) for place in range(len(table))], salt))
    small = {place for place, row in enumerate(table) if any(is_small(value, smallest) for value in row)}
    assert small <= hidden and bool(small) == bool(hidden)
    assume(0 < len(hidden) < len(table))
    assert not any(is_small(sum(column), smallest) for column in zip(*(table[each] for each in hidden), strict=True))
    assert any(any(table[each]) for each in hidden - small)  # one that is not small: who is who stays open


def test_rows_are_taken_along_until_each_column_of_them_is_large_and_then_no_more() -> None:
    table = [(2, 300), (0, 700), (80, 20), (90, 10)]
    assert hidden_rows(table, 5, [1, 2, 3, 0]) == {0, 1, 2}  # the second row leaves the two of the first to be told
    assert hidden_rows(table, 5, [2, 1, 3, 0]) == {0, 2}


def test_the_order_is_the_salts_and_nothing_elses() -> None:
    names = [f"commune {number}" for number in range(100)]
    assert order_of(names, b"one") == order_of(names, b"one") != order_of(names, b"other")
    assert sorted(order_of(names, b"one")) == list(range(100))


def test_one_small_row_takes_the_next_in_order_along_however_large_it_is() -> None:
    table = [(400, 9000), (3, 800), (90, 900), (0, 0)]
    assert hidden_rows(table, 5, [3, 0, 1, 2]) == {0, 1}  # where nobody is, nothing is left open
    assert hidden_rows(table, 5, [2, 1, 0, 3]) == {1, 2}


def test_a_commune_where_nearly_everybody_has_a_record_tells_of_those_who_have_none() -> None:
    assert hidden_rows([(998, 2), (500, 500), (400, 600)], 5, [1, 0, 2]) == {0, 1}


def test_of_a_country_with_hardly_anybody_nothing_is_shown_by_commune() -> None:
    assert hidden_rows([(1,), (0,), (0,)], 5, [0, 1, 2]) == {0, 1, 2}


def test_no_threshold_is_under_three() -> None:
    assert LEAST == 3
    assert hidden_rows([(2,), (30,), (40,)], 1, [0, 1, 2]) == {0, 1}
    assert hidden_rows([(3,), (30,), (40,)], 1, [0, 1, 2]) == frozenset()
