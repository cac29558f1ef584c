"""The life of a record and the guesses of its presence code, as tables."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.dossier import presence_code, rules
from services.dossier.contract import STATES
from tests.rules.situations import NOW, TABLES

# --- life cycle ---------------------------------------------------------------------------------------------

LIFE = {
    (None, "requested"): {"voluntary_request"},
    (None, "open"): {"affiliation"},
    ("requested", "open"): {"identity_checked"},
    ("open", "active"): {"activation"},
    ("open", "open_by_lapse"): {"lapse"},
    ("requested", "deleted"): {"opposition"},
    ("open", "deleted"): {"opposition"},
    ("open_by_lapse", "active"): {"activation"},
    ("closed", "active"): {"reopening", "unmerged"},
    ("closed", "deleted"): {"ten_years_closed"},
    ("requested", "closed"): {"merged"},
    ("closed", "closed"): {"death", "death_withdrawn", "merged", "unmerged"},
    ("closed", "requested"): {"unmerged"},
    ("closed", "open"): {"unmerged"},
    ("closed", "open_by_lapse"): {"unmerged"},
} | {
    (state, "closed"): {"holder_request", "agency_request", "death", "ten_years_without_access", "merged"}
    for state in ("open", "open_by_lapse", "active")
}


@pytest.mark.parametrize("becomes", STATES)
@pytest.mark.parametrize("state", [None, *STATES])
def test_a_record_passes_from_state_to_state_for_the_causes_of_its_life_cycle_only(
    state: str | None, becomes: str
) -> None:
    causes = {cause for _, _, cause in TABLES.life_cycle}
    allowed = LIFE.get((state, becomes), set())
    assert {cause for cause in causes if rules.may_become(TABLES, state, becomes, cause)} == allowed


@pytest.mark.parametrize("state", STATES)
def test_a_search_calls_a_record_accessible_when_professionals_may_be_let_in(state: str) -> None:
    assert rules.may_be_found(TABLES, state) is (state in ("active", "open_by_lapse"))


# --- guesses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tries", "wait"),
    [(0, 0), (1, 0), (4, 0), (5, 60), (6, 120), (7, 240), (8, 480), (10, 1920), (11, 3600), (12, 3600), (5000, 3600)],
)
def test_five_tries_are_free_and_each_further_one_waits_longer(tries: int, wait: int) -> None:
    throttle = TABLES.throttles["presence_code_per_record"]
    assert rules.wait_before_try(throttle, tries, NOW if tries else None, NOW) == wait


def test_the_wait_counts_from_the_last_try_and_ends() -> None:
    throttle = TABLES.throttles["presence_code_per_record"]
    assert rules.wait_before_try(throttle, 5, NOW - timedelta(seconds=59.2), NOW) == 1
    assert rules.wait_before_try(throttle, 5, NOW - timedelta(seconds=60), NOW) == 0


def test_a_professional_has_more_tries_over_all_records_than_on_one() -> None:
    throttle = TABLES.throttles["presence_code_per_professional"]
    assert rules.wait_before_try(throttle, 19, NOW, NOW) == 0
    assert rules.wait_before_try(throttle, 20, NOW, NOW) > 0


def test_a_presence_code_has_eight_characters_without_look_alikes() -> None:
    codes = [presence_code.draw() for _ in range(200)]
    assert {len(code) for code in codes} == {8}
    assert not set("".join(codes)) & set("0O1IL2Z5S8BUV") - {"U"}
    assert not {"U", "V"} <= set(presence_code.ALPHABET)
    assert len(set(codes)) == 200


@pytest.mark.parametrize("entry", ["ACDE3467", "acde3467", " ACDE-3467 ", "acde 3467\n"])
def test_case_spaces_and_hyphens_do_not_count_in_a_presence_code(entry: str) -> None:
    assert presence_code.as_issued(entry) == "ACDE3467"
