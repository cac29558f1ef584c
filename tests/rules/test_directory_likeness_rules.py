"""Whose surnames are alike, and what is asked about."""

from __future__ import annotations

import pytest

from services.directory import rules_likeness as rules
from services.directory.contract import NAMES_LIMIT
from services.refusals import InvalidInput

ONE, OTHER = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01", "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"


@pytest.mark.parametrize(("one", "other"), [
    (["Schmit"], ["Schmit"]), (["SCHMIT"], ["schmit"]), (["Müller"], ["Muller"]), (["da Silva"], ["Silva"]),
    (["Weber-Schmit"], ["Schmit"]), (["Schmit"], ["Weber", "Schmit"]), (["D'Angelo"], ["Angelo"]),
    (["Ng"], ["NG"]), (["Van den Berg"], ["Berg"]),
])  # fmt: skip
def test_names_written_alike_or_a_word_of_a_double_name_are_shared(one: list[str], other: list[str]) -> None:
    assert rules.share_surname(one, other) and rules.share_surname(other, one)


@pytest.mark.parametrize(("one", "other"), [
    (["Schmit"], ["Schmitz"]), (["da Silva"], ["da Costa"]), (["Van den Berg"], ["Van den Broek"]), (["Ng"], ["Ngo"]),
    ([], ["Schmit"]), ([], []), (["-"], ["-"]),
])  # fmt: skip
def test_other_names_particles_and_nobodys_are_not(one: list[str], other: list[str]) -> None:
    assert not rules.share_surname(one, other) and not rules.share_surname(other, one)


def test_pairs_come_once_each_and_without_what_is_no_id() -> None:
    assert rules.require_pairs([[ONE, OTHER], [ONE.upper(), OTHER], ["x", OTHER], [ONE, None]]) == [(ONE, OTHER)]
    assert rules.require_pairs([]) == []


@pytest.mark.parametrize("pairs", [
    None, "x", {"a": 1}, [ONE], [[ONE]], [[ONE, OTHER, ONE]], [["x", "y"]] * (NAMES_LIMIT + 1),
])  # fmt: skip
def test_what_is_no_list_of_pairs_or_too_long_is_refused(pairs: object) -> None:
    with pytest.raises(InvalidInput):
        rules.require_pairs(pairs)
