"""When somebody comes of age."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directory.rules_majority import HERE, came_of_age, majority_at
from services.directory.rules_openings import is_adult


@pytest.mark.parametrize(
    ("born", "comes"),
    [
        (date(2010, 5, 17), datetime(2028, 5, 16, 22, 0, tzinfo=UTC)),
        (date(2010, 12, 1), datetime(2028, 11, 30, 23, 0, tzinfo=UTC)),
        (date(2008, 2, 29), datetime(2026, 2, 28, 23, 0, tzinfo=UTC)),
        (date(2008, 2, 28), datetime(2026, 2, 27, 23, 0, tzinfo=UTC)),
    ],
)
def test_majority_begins_with_the_18th_birthday_in_luxembourg(born: date, comes: datetime) -> None:
    assert majority_at(born) == comes


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_it_is_the_first_moment_at_which_somebody_is_an_adult(born: date) -> None:
    comes = majority_at(born)
    assert is_adult(born, comes.astimezone(HERE).date())
    assert not is_adult(born, (comes - timedelta(seconds=1)).astimezone(HERE).date())


@pytest.mark.parametrize(
    ("before", "after", "comes"),
    [
        (date(2012, 1, 1), date(2002, 5, 17), True), (date(2012, 1, 1), date(2008, 11, 24), True),
        (date(2012, 1, 1), date(2008, 11, 25), False), (date(2012, 1, 1), date(2012, 1, 2), False),
        (date(2002, 5, 17), date(2001, 5, 17), False), (date(2002, 5, 17), date(2012, 1, 1), False),
        (date(2008, 11, 24), date(1990, 1, 1), False), (date(2008, 11, 25), date(1990, 1, 1), True),
    ],
)  # fmt: skip
def test_who_was_a_minor_and_is_none_by_the_corrected_date_came_of_age(before: date, after: date, comes: bool) -> None:
    at = datetime(2026, 11, 24, 0, 0, tzinfo=HERE)  # the first moment of that day
    assert came_of_age(before, after, at) is comes
