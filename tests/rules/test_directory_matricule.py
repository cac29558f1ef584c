"""The two check digits of a matricule: every single wrong digit and every exchange of neighbours is caught.

Samples by hypothesis, and a proof over all of them. The proof leans on what both checks are: Luhn adds a value per
place modulo ten, Verhoeff multiplies a permuted digit per place in the dihedral group of ten. In a sum, as in a product
of a group, what stands before and after can be cancelled: two digits (or two pairs) that make a difference among zeros
make one among any other digits. So one background is enough for every matricule there can be.
"""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directory import rules

DIGITS = "0123456789"
LUHN, VERHOEFF = "matricule_luhn", "matricule_verhoeff"
ZEROS = "0" * 11


def elevens() -> st.SearchStrategy[str]:
    born = st.dates(date(1900, 1, 1), date(2026, 11, 21))
    unknown = st.sampled_from(["", "day", "month"])

    def digits(day: date, lost: str, sequence: int) -> str:
        month_and_day = {"": f"{day:%m%d}", "day": f"{day:%m}00", "month": "0000"}[lost]
        return f"{day.year}{month_and_day}{sequence:03d}"

    return st.builds(digits, born, unknown, st.integers(0, 999))


def whole(first: str) -> str:
    return first + rules.check_digits(first)


def with_digit(text: str, place: int, digit: str) -> str:
    return text[:place] + digit + text[place + 1 :]


def exchanged(text: str, place: int) -> str:
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]


# --- samples, each in all its errors ----------------------------------------------------------------------------------


@given(elevens())
def test_each_of_the_117_single_digit_errors_of_a_matricule_is_caught(first: str) -> None:
    good = whole(first)
    for place in range(13):
        for digit in set(DIGITS) - {good[place]}:
            wrong = with_digit(good, place, digit)
            assert rules.matricule_fault(wrong) is not None, wrong
            assert rules.wrong_check_digits(wrong), wrong


@given(elevens())
def test_each_of_the_12_exchanges_of_neighbours_is_caught_check_digits_included(first: str) -> None:
    good = whole(first)
    for place in range(12):
        wrong = exchanged(good, place)
        assert (rules.matricule_fault(wrong) is None) == (wrong == good), wrong
        assert bool(rules.wrong_check_digits(wrong)) == (wrong != good), wrong


# --- all of them ------------------------------------------------------------------------------------------------------


def test_every_single_digit_error_changes_both_checks_whatever_stands_around() -> None:
    for place in range(11):
        checks = [rules.check_digits(with_digit(ZEROS, place, digit)) for digit in DIGITS]
        assert len({luhn for luhn, _ in checks}) == 10, f"Luhn at place {place}"
        assert len({verhoeff for _, verhoeff in checks}) == 10, f"Verhoeff at place {place}"


def test_every_exchange_of_neighbours_changes_verhoeffs_check_whatever_stands_around() -> None:
    for place in range(10):
        for one in DIGITS:
            for other in set(DIGITS) - {one}:
                pair = with_digit(with_digit(ZEROS, place, one), place + 1, other)
                assert rules.check_digits(pair)[1] != rules.check_digits(exchanged(pair, place))[1], (place, one, other)


def test_luhn_alone_misses_exactly_the_exchange_of_0_and_9() -> None:
    missed = set()
    for place in range(10):
        for one in DIGITS:
            for other in set(DIGITS) - {one}:
                pair = with_digit(with_digit(ZEROS, place, one), place + 1, other)
                if rules.check_digits(pair)[0] == rules.check_digits(exchanged(pair, place))[0]:
                    missed.add(frozenset((one, other)))
    assert missed == {frozenset("09")}


# --- which digit is wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("printed", ["1900010100564", "1904112000166", "1950121838341"])  # seeds 000, 003 and 004
def test_a_right_matricule_has_no_wrong_check_digit(printed: str) -> None:
    assert rules.wrong_check_digits(printed) == ()


@given(elevens(), st.integers(1, 9))
def test_a_mistyped_check_digit_is_named_itself(first: str, step: int) -> None:
    good = whole(first)
    for place, code in ((11, LUHN), (12, VERHOEFF)):
        wrong = with_digit(good, place, str((int(good[place]) + step) % 10))
        assert rules.wrong_check_digits(wrong) == (code,)


@given(elevens(), st.integers(0, 10), st.integers(1, 9))
def test_a_mistake_before_them_is_told_by_both(first: str, place: int, step: int) -> None:
    wrong = with_digit(whole(first), place, str((int(first[place]) + step) % 10))
    assert rules.wrong_check_digits(wrong) == (LUHN, VERHOEFF)


def test_an_exchange_of_0_and_9_is_told_by_verhoeff_alone() -> None:
    good = whole("19800901123")
    assert rules.wrong_check_digits(exchanged(good, 3)) == (LUHN, VERHOEFF) or good[3] == good[4]
    assert rules.wrong_check_digits(exchanged(good, 4)) == (VERHOEFF,)


def test_the_codes_hold_nothing_of_what_was_typed() -> None:
    assert set("".join(rules.wrong_check_digits("1900010100500"))) & set(DIGITS) == set()
