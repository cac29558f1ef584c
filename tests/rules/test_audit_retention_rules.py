"""What is written down of a destruction, and from when on a record's traces go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.rules_retention import digest_of, due_before, said, spans

AT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


@given(st.lists(st.integers(0, 10_000)))
def test_spans_hold_the_very_places_and_no_two_of_them_touch(positions: list[int]) -> None:
    found = spans(positions)
    assert [place for first, last in found for place in range(first, last + 1)] == sorted(set(positions))
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(found))


def test_the_text_of_a_destruction_names_the_places_and_its_digest_is_of_its_bytes() -> None:
    text = said([7, 3, 4, 5, 9, 3])
    assert text == "opendsp audit destruction\n3-5\n7-7\n9-9\n"
    assert digest_of(text) == sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("days", "before"), [(0, AT), (1, AT - timedelta(days=1)), (-5, AT)])
def test_traces_stay_for_as_many_days_as_are_set(days: int, before: datetime) -> None:
    assert due_before(AT, days) == before
