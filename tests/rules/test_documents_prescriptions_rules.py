"""Lines of prescriptions and what may be given of them: the decisions, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as over_all
from hypothesis import strategies as st

from services.documents import rules_prescriptions as rules
from services.documents.contract import (
    LINE_LENGTH,
    LINES_MOST,
    DispensationCancelled,
    DispensationFinal,
    PrescriptionCancelled,
    PrescriptionDispensed,
    PrescriptionExpired,
    QuantityNotLeft,
)
from services.documents.rules_findings import Line as Found
from services.documents.rules_prescriptions import Given, Line
from services.refusals import InvalidInput, NotAllowed, Refusal

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
TODAY = date(2026, 11, 21)
CODE = "ABCDEFGHJKLMNPQR23"


def wrong(details: Any, category: str = "prescriptions") -> set[str]:
    return {error["pointer"] for error in rules.read_details(details, category)[1]}


# --- lines ------------------------------------------------------------------------------------------------------------


def test_lines_that_were_entered_are_kept_clean() -> None:
    said = {
        "lines": [{"text": "  Paracétamol   1 g ", "quantity": "2.50", "unit": "boîte"}],
        "valid_until": "2027-01-31",
    }
    kept, errors = rules.read_details(said, "prescriptions")
    assert not errors and kept is not None
    assert kept["lines"] == [
        {"text": "Paracétamol 1 g", "quantity": "2.50", "unit": "boîte", "code": None, "system": None}
    ]
    assert rules.lines_of((), kept, "x")[0].quantity == Decimal("2.5")


@pytest.mark.parametrize(
    ("line", "pointer"),
    [
        ({}, "/text"), ({"text": ""}, "/text"), ({"text": "x" * (LINE_LENGTH + 1)}, "/text"), ({"text": 7}, "/text"),
        ({"text": "a\u202eb"}, "/text"), ({"text": "x", "quantity": "0"}, "/quantity"),
        ({"text": "x", "quantity": "0.000"}, "/quantity"), ({"text": "x", "quantity": "-1"}, "/quantity"),
        ({"text": "x", "quantity": "1e9"}, "/quantity"), ({"text": "x", "quantity": "1234567"}, "/quantity"),
        ({"text": "x", "quantity": "1.2345"}, "/quantity"), ({"text": "x", "quantity": 2}, "/quantity"),
        ({"text": "x", "quantity": "NaN"}, "/quantity"), ({"text": "x", "quantity": "١"}, "/quantity"),
        ({"text": "x", "unit": "u" * 41}, "/unit"), ({"text": "x", "code": "c" * 81}, "/code"),
        ({"text": "x", "system": ""}, "/system"), ({"text": "x", "price": "1"}, ""), ("x", ""),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_refused_where_it_is_wrong(line: Any, pointer: str) -> None:
    assert wrong({"lines": [{"text": "Bien"}, line]}) == {f"/details/lines/1{pointer}"}


@pytest.mark.parametrize(
    ("details", "pointer"),
    [
        ({"lines": "x"}, "/details/lines"), ({"lines": [{"text": "x"}] * (LINES_MOST + 1)}, "/details/lines"),
        ({"valid_until": "2026-02-30"}, "/details/valid_until"), ({"valid_until": 7}, "/details/valid_until"),
        ({"valid_until": "9999-12-31"}, "/details/valid_until"), ({"other": 1}, "/details"), ("x", "/details"),
    ],
)  # fmt: skip
def test_details_that_are_none_are_refused(details: Any, pointer: str) -> None:
    assert wrong(details) == {pointer}


def test_only_a_prescription_has_lines() -> None:
    assert wrong({"lines": [{"text": "x"}]}, "laboratory") == {"/details"}
    assert wrong({"lines": [{"text": "x"}] * LINES_MOST}) == set() == wrong(None, "laboratory")


def test_what_stands_in_the_file_counts_before_what_was_entered() -> None:
    entered = {"lines": [{"text": "Autre", "quantity": None, "unit": None, "code": None, "system": None}]}
    assert [line.text for line in rules.lines_of([Found("Amoxicilline", "2")], entered, "Titre")] == ["Amoxicilline"]
    assert [line.text for line in rules.lines_of([], entered, "Titre")] == ["Autre"]
    assert [(line.number, line.text, line.quantity) for line in rules.lines_of([], None, "Titre")] == [
        (1, "Titre", None)
    ]
    assert [line.text for line in rules.lines_of([], {"version": 1}, "Titre")] == ["Titre"]


@pytest.mark.parametrize("found", [Found(""), Found("x", ""), Found("x", "0"), Found("x", "many")])
def test_a_file_with_a_line_that_cannot_be_read_is_one_whole(found: Found) -> None:
    lines = rules.lines_of([Found("Amoxicilline", "2"), found], None, "Titre")
    assert [(line.text, line.quantity) for line in lines] == [("Titre", None)]


def test_a_file_with_more_lines_than_anybody_tells_apart_is_one_whole() -> None:
    assert len(rules.lines_of([Found("x", "1")] * LINES_MOST, None, "Titre")) == LINES_MOST
    assert len(rules.lines_of([Found("x", "1")] * (LINES_MOST + 1), None, "Titre")) == 1


# --- what is left -----------------------------------------------------------------------------------------------------

BOXES = Line(1, Decimal(3))
WHOLE = Line(2, None)


def test_a_part_of_a_line_leaves_the_rest() -> None:
    given = rules.given([BOXES, WHOLE], [Given(1, Decimal(2))])
    assert given == [Given(1, Decimal(2))]
    stands = rules.after([BOXES, WHOLE], given)
    assert (stands[0].left, stands[0].complete, rules.state_of(stands)) == (Decimal(1), False, "partial")


def test_what_is_not_told_is_all_that_is_left() -> None:
    half = Line(1, Decimal(3), Decimal(2))
    assert rules.given([half], [Given(1, None)]) == [Given(1, Decimal(1))] == rules.given([half], None)
    assert rules.state_of(rules.after([half], [Given(1, Decimal(1))])) == "dispensed"
    assert rules.given([BOXES, WHOLE], None) == [Given(1, Decimal(3)), Given(2, None)]


def test_more_than_is_left_is_refused_and_so_is_what_is_complete() -> None:
    done = Line(2, None, complete=True)
    for wanted in ([Given(1, Decimal("3.001"))], [Given(1, Decimal(1)), Given(2, None)]):
        assert isinstance(rules.given([BOXES, done], wanted), QuantityNotLeft)
    refused = rules.given([BOXES, done], [Given(2, None), Given(1, Decimal(4))])
    assert isinstance(refused, Refusal) and refused.detail == {"lines": [1, 2]}


def test_a_line_that_is_not_there_and_a_part_of_a_whole_one_are_no_input() -> None:
    for wanted in ([Given(9, None)], [Given(2, Decimal(1))]):
        assert isinstance(rules.given([BOXES, WHOLE], wanted), InvalidInput)


QUANTITIES = st.integers(1, 5000).map(lambda thousandths: Decimal(thousandths) / 1000)
LINES = st.lists(st.none() | QUANTITIES, min_size=1, max_size=5).map(
    lambda each: [Line(number, quantity) for number, quantity in enumerate(each, 1)]
)
STEPS = st.lists(st.lists(st.tuples(st.integers(1, 5), st.none() | QUANTITIES), min_size=1, max_size=4), max_size=8)


@over_all(LINES, STEPS, st.data())
def test_whatever_is_given_and_taken_back_no_line_is_ever_passed(
    lines: list[Line], steps: list[list[tuple[int, Decimal | None]]], data: st.DataObject
) -> None:
    first, done = lines, list[list[Given]]()
    for step in steps:
        wanted = [Given(number, quantity) for number, quantity in dict(step).items()]
        given = rules.given(lines, wanted)
        if isinstance(given, Refusal):
            continue
        lines = rules.after(lines, given)
        done.append(given)
        assert all(line.quantity is None or 0 < line.given <= line.quantity or line.given == 0 for line in lines)
        assert all(line.quantity is None or line.complete == (line.given == line.quantity) for line in lines)
    for each in data.draw(st.permutations(done)):
        lines = rules.without(lines, each)
        assert all(line.given >= 0 for line in lines)
    assert lines == first and rules.is_untouched(lines) and rules.state_of(lines) == "open"


@pytest.mark.parametrize(
    ("lines", "whole"),
    [
        (None, False), ([], False), ([], True), ([{"number": 1}], True), ("x", False), ([{"number": 0}], False),
        ([{"number": True}], False), ([{"number": "1"}], False), ([{"number": 1}, {"number": 1}], False),
        ([{"number": 1, "quantity": "0"}], False), ([{"number": 1, "quantity": 2}], False),
        ([{"number": 1, "price": "2"}], False), ([7], False), (None, "yes"), ([{"number": 51}], False),
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused(lines: Any, whole: Any) -> None:
    with pytest.raises(InvalidInput):
        rules.require_wanted(lines, whole)


def test_an_order_is_whole_or_by_line() -> None:
    assert rules.require_wanted(None, True) is None
    assert rules.require_wanted([{"number": 2, "quantity": "1.5"}, {"number": 1}], False) == [
        Given(2, Decimal("1.5")), Given(1, None),
    ]  # fmt: skip


# --- until when -------------------------------------------------------------------------------------------------------


def test_nothing_is_dispensed_of_what_is_over() -> None:
    yesterday = TODAY - timedelta(days=1)
    assert isinstance(rules.over("cancelled", yesterday, TODAY), PrescriptionCancelled)
    assert isinstance(rules.over("dispensed", yesterday, TODAY), PrescriptionDispensed)
    assert isinstance(rules.over("partial", yesterday, TODAY), PrescriptionExpired)
    for state, day in (("open", None), ("partial", TODAY), ("open", TODAY)):
        assert rules.over(state, day, TODAY) is None
    assert [rules.shown_state(state, yesterday, TODAY) for state in ("open", "partial", "dispensed", "cancelled")] == [
        "expired", "expired", "dispensed", "cancelled",
    ]  # fmt: skip
    assert rules.shown_state("open", TODAY, TODAY) == "open"


def test_the_last_day_ends_at_midnight_here() -> None:
    assert rules.day_of(datetime(2026, 11, 21, 23, 30, tzinfo=UTC)) == date(2026, 11, 22)
    assert rules.day_of(datetime(2026, 11, 21, 22, 30, tzinfo=UTC)) == date(2026, 11, 21)


@pytest.mark.parametrize(
    ("by", "cancelled_at", "hours", "refused"),
    [
        ("here", None, 24, None), ("here", None, 25, DispensationFinal), ("there", None, 1, NotAllowed),
        ("here", NOW, 1, DispensationCancelled), (None, None, 1, NotAllowed),
    ],
)  # fmt: skip
def test_a_dispensation_is_taken_back_by_the_same_pharmacy_within_a_day(
    by: str | None, cancelled_at: datetime | None, hours: int, refused: type[Refusal] | None
) -> None:
    found = rules.not_taken_back(
        NOW, by, cancelled_at, establishment_id=None if by is None else "here", at=NOW + timedelta(hours=hours),
        within=timedelta(hours=24),
    )  # fmt: skip
    assert found is None if refused is None else type(found) is refused


# --- codes ------------------------------------------------------------------------------------------------------------


def test_a_code_is_read_as_people_type_it_off_a_paper() -> None:
    assert rules.read_code(" abcdef-ghjklm npqr23 ") == CODE == rules.read_code(CODE)
    for text in ("", CODE[:-1], CODE + "A", CODE[:-1] + "0", CODE[:-1] + "I", None, 7, "A" * 100):
        assert rules.read_code(text) is None


def test_a_code_has_at_least_eighty_bits() -> None:
    assert len(set(rules.ALPHABET)) == 32 and rules.CODE_LETTERS * 5 >= 80


def test_who_gives_many_wrong_codes_waits_until_the_oldest_is_an_hour_old() -> None:
    wrong = [NOW - timedelta(minutes=minute) for minute in range(rules.WRONG_CODES)]
    assert rules.wait_for_codes(wrong, NOW) == 60 * (60 - (rules.WRONG_CODES - 1))
    assert rules.wait_for_codes(wrong[:-1], NOW) == 0
    assert rules.wait_for_codes(wrong, NOW + timedelta(minutes=52)) == 0
