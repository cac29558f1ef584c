"""Which two sheets may be merged, as a table, and what a list of merges takes for its place."""

from __future__ import annotations

from datetime import date

import pytest

from services.db import new_id
from services.directory.contract import AlreadyMerged, PersonNotFound
from services.directory.rules_merges import (
    Person,
    Wish,
    merges_cursor,
    rate_of,
    require_merges_limit,
    require_merges_position,
    require_wish,
    verdict,
)
from services.refusals import InvalidInput

A, B, C = (new_id() for _ in range(3))


def person(merged_into: str | None = None, first_names: str = "Zoé Anne") -> Person:
    return Person(merged_into, "Weber", None, first_names, date(1980, 5, 17), "F")


@pytest.mark.parametrize(
    ("survivor", "merged", "expected"),
    [
        (None, None, "merge"),
        (None, A, "merged"),
        (B, None, AlreadyMerged),
        (None, C, AlreadyMerged),
        (C, None, AlreadyMerged),
        (C, C, AlreadyMerged),
        (C, A, "merged"),
    ],
)
def test_only_two_living_sheets_are_merged_and_the_same_merge_again_is_no_mistake(
    survivor: str | None, merged: str | None, expected: object
) -> None:
    """survivor, merged: whom A and B lead to when A is to speak for B."""
    found = verdict(Wish(A, B, "other"), {A: person(survivor), B: person(merged)})
    assert found == expected if isinstance(expected, str) else isinstance(found, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("known", [(), (A,), (B,)])
def test_nobody_is_merged_with_somebody_unknown(known: tuple[str, ...]) -> None:
    assert isinstance(verdict(Wish(A, B, "other"), {id_: person() for id_ in known}), PersonNotFound)


@pytest.mark.parametrize(
    ("survivor_id", "merged_id", "reason", "pointers"),
    [
        (A, A, "other", ["/merged_id"]),
        (A, A.upper(), "other", ["/merged_id"]),
        ("x", None, "other", ["/survivor_id", "/merged_id"]),
        (A, B, "because", ["/reason"]),
        (A, B, None, ["/reason"]),
        (1, B, ["other"], ["/survivor_id", "/reason"]),
    ],
)
def test_every_fault_of_a_wish_is_named_at_once(
    survivor_id: object, merged_id: object, reason: object, pointers: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        require_wish(survivor_id, merged_id, reason)
    assert [error["pointer"] for error in refused.value.detail["errors"]] == pointers


def test_a_wish_has_its_pair_in_one_order_whoever_survives() -> None:
    assert require_wish(A, B, "other").pair == require_wish(B, A, "other").pair == tuple(sorted((A, B)))


def test_the_rate_of_a_pair_is_that_of_the_search() -> None:
    assert rate_of(person(), person()) == 100 > rate_of(person(), person(first_names="Marc"))


@pytest.mark.parametrize("limit", [0, 101, True, "5", None])
def test_a_page_of_merges_has_its_bounds(limit: object) -> None:
    with pytest.raises(InvalidInput):
        require_merges_limit(limit)


@pytest.mark.parametrize("cursor", ["", "x", "é", A, merges_cursor("not an id"), merges_cursor(A) + "=", 5])
def test_a_place_that_was_never_given_is_refused(cursor: object) -> None:
    with pytest.raises(InvalidInput):
        require_merges_position(cursor)


def test_a_place_leads_back_to_its_merge() -> None:
    assert require_merges_position(merges_cursor(A)) == A and require_merges_position(None) is None
