"""Values of requests that a language would take for something else than was written."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from gateway.schemas.fields import Accepted, Day, Flag, Moment, Number


@pytest.mark.parametrize("text", ["2026-11-21", "1900-01-01", "2024-02-29"])
def test_a_day_of_the_calendar_is_taken_as_it_is_written(text: str) -> None:
    assert Day().deserialize(text) == text


@pytest.mark.parametrize("text", [
    "2026-W01-1", "20260101--", "19900101", "2026-001--", "2023-02-29", "2026-13-01", "2026-1-1", "2026-11-21\n", "",
    "٢٠٢٦-١١-٢١", "2026-11-21T", "0000-01-01",
])  # fmt: skip
def test_what_is_no_day_is_refused_and_never_becomes_another(text: str) -> None:
    with pytest.raises(ValidationError, match="date"):
        Day().deserialize(text)


@pytest.mark.parametrize("kind", [Flag, Accepted])
def test_true_is_true(kind: type[Flag]) -> None:
    assert kind().deserialize(True) is True


def test_false_is_false_and_accepts_nothing() -> None:
    assert Flag().deserialize(False) is False
    with pytest.raises(ValidationError):
        Accepted().deserialize(False)


@pytest.mark.parametrize("kind", [Flag, Accepted])
@pytest.mark.parametrize("value", [0, 1, 1.0, "true", "1", [], [True], {}, None])
def test_a_number_or_a_text_is_neither_true_nor_false(kind: type[Flag], value: Any) -> None:
    with pytest.raises(ValidationError):
        kind().deserialize(value)


@pytest.mark.parametrize(("value", "number"), [(0, 0), (7, 7), ("7", 7), ("007", 7), (2**53, 2**53)])
def test_a_whole_number_is_taken_from_a_body_and_from_a_query(value: Any, number: int) -> None:
    assert Number().deserialize(value) == number


@pytest.mark.parametrize("value", [1.5, 1.0, "1.5", "1_0", " 1", "1\n", "٣", "²", "+1", "", True, [1], {}, "1" * 5000])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        Number().deserialize(value)


@pytest.mark.parametrize("value", [-1, "-1", 2**53 + 1])
def test_a_number_out_of_its_bounds_is_told_so(value: Any) -> None:
    with pytest.raises(ValidationError, match="range"):
        Number().deserialize(value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21T09:30:00Z", "2026-11-21T09:30:00.123456Z", "2026-11-21T09:30:00.123456789+01:00",
        "2026-02-28T23:59:59-05:30",
    ],
)  # fmt: skip
def test_a_moment_is_a_time_with_its_zone_and_stays_as_it_was_said(value: str) -> None:
    assert Moment().deserialize(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-21", "2026-11-21T09:30:00", "2026-11-21 09:30:00Z", "20261121T093000Z", "2026-W47-6T09:30:00Z",
        "2026-11-21T09:30Z", "2026-11-21T09:30:00+01", "2026-11-21T09:30:00+01:00:30", "2026-11-21T24:30:00Z",
        "2026-02-30T09:30:00Z", "0001-01-01T00:00:00+12:00", "٢٠٢٦-11-21T09:30:00Z", "", "now", 20261121, True,
    ],
)  # fmt: skip
def test_what_is_no_moment_is_told_so(value: Any) -> None:
    with pytest.raises(ValidationError, match="moment"):
        Moment().deserialize(value)
