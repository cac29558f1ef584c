"""A timeline out of two sources, checked exhaustively: its order, its pages, its cursors, what may be asked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.documents.contract import FOLDERS, TIMELINE_KINDS
from services.documents.document_types import document_types, folders
from services.documents.rules_timeline import Asked, Place, from_cursor, merged, read_asked, to_cursor

START = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = st.sampled_from(TIMELINE_KINDS)
PLACES = st.tuples(st.integers(0, 3).map(lambda hours: START + timedelta(hours=hours)), KINDS, st.uuids().map(str))
SOURCE = st.lists(PLACES, max_size=12, unique=True)


def itself(line: Place) -> Place:
    return line


def following(source: list[Place], after: Place | None, limit: int) -> list[Place]:
    """The next lines of a source, as each of the two gives them."""
    left = [line for line in source if after is None or line < after]
    return sorted(left, reverse=True)[: limit + 1]


@given(SOURCE, SOURCE, st.integers(1, 5))
def test_pages_of_two_sources_give_every_line_once_in_one_order(
    first: list[Place], second: list[Place], limit: int
) -> None:
    second = [line for line in second if line not in first]
    found: list[Place] = []
    after: Place | None = None
    while True:
        page, after = merged(following(first, after, limit), following(second, after, limit), itself, limit)
        found += page
        if after is None:
            break
        assert len(page) == limit and after == page[-1]
    assert found == sorted(first + second, reverse=True)


@given(PLACES, st.lists(KINDS, min_size=1, unique=True), st.one_of(st.none(), st.dates(date(1900, 1, 1))))
def test_a_cursor_leads_back_to_its_place_for_its_own_question_alone(
    place: Place, kinds: list[str], since: date | None
) -> None:
    asked, errors = read_asked(kinds, since and since.isoformat(), None)
    cursor = to_cursor(place, asked)
    assert errors == [] and from_cursor(cursor, asked) == place
    other = Asked(asked.kinds, asked.since, START)
    assert from_cursor(cursor, other) is None and from_cursor(cursor + "A", asked) is None


@given(st.one_of(st.text(), st.none(), st.integers()))
def test_whatever_else_is_no_cursor(text: object) -> None:
    assert from_cursor(text, Asked()) is None


def test_a_place_that_no_source_has_is_no_cursor() -> None:
    for place in ((START, "other", "x"), (START, "document", "x' or 1"), (START, "document", "é")):
        assert from_cursor(to_cursor(place, Asked()), Asked()) is None


def test_days_are_whole_and_the_last_one_counts() -> None:
    asked, errors = read_asked(None, "2026-11-20", "2026-11-21")
    assert errors == [] and asked.kinds == TIMELINE_KINDS
    assert asked.since == datetime(2026, 11, 20, tzinfo=UTC) and asked.before == datetime(2026, 11, 22, tzinfo=UTC)
    assert read_asked(None, None, "9999-12-31") == (Asked(), [])


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        (([], None, None), "/kinds"), ((["x"], None, None), "/kinds"), (("document", None, None), "/kinds"),
        (([["document"]], None, None), "/kinds"), ((None, "2026", None), "/since"), ((None, None, 7), "/until"),
        ((None, "2026-02-30", None), "/since"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_named(asked: tuple[object, object, object], pointer: str) -> None:
    assert [error["pointer"] for error in read_asked(*asked)[1]] == [pointer]


def test_the_folders_told_to_others_are_those_of_the_tree() -> None:
    assert tuple(folders()) == FOLDERS and {kind.folder for kind in document_types().values()} <= set(FOLDERS)
