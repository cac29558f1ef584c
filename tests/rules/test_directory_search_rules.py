"""What a search must say, how often it may be sent, who is shown; and what is said of pairs of sheets."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.db import new_id
from services.directory import rules_duplicates, rules_search
from services.directory.contract import SearchedPatient
from services.directory.rules_duplicates import Position, cursor_after, ordered, require_page
from services.directory.rules_search import LIMITS, MOST_SHOWN, Candidate, Hit, require_search
from services.refusals import InvalidInput
from tests.builders import any_matricule

ZOE = {"name": "Weber", "first_names": "Zoé Anne", "birth_date": "1980-05-17"}


def wrong(given_: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refused:
        require_search(given_)
    return [(each["pointer"], each["message"]) for each in refused.value.detail["errors"]]


# --- the question -----------------------------------------------------------------------------------------------------


def test_a_matricule_and_its_first_eleven_digits_are_searched_and_count_alike() -> None:
    number = any_matricule()
    whole, beginning = require_search({"matricule": number, "name": None}), require_search({"matricule": number[:11]})
    assert (whole.matricule, whole.reading, whole.kind) == (number, None, "matricule")
    assert (beginning.matricule, beginning.kind) == (number[:11], "matricule")


@pytest.mark.parametrize("length", [0, 1, 10, 12, 14])
def test_another_number_of_digits_is_no_matricule(length: int) -> None:
    assert wrong({"matricule": (any_matricule() + "0")[:length]})[0][0] == "/matricule"


def test_a_wrong_check_digit_is_named() -> None:
    number = any_matricule()
    mistyped = number[:12] + str((int(number[12]) + 1) % 10)
    assert wrong({"matricule": mistyped}) == [("/matricule", "matricule_verhoeff")]


@pytest.mark.parametrize(
    ("written", "read"), [("1980-05-17", "19800517"), ("1980-05", "19800500"), ("1980", "19800000")]
)
def test_what_is_not_known_of_a_birth_date_may_be_left_out(written: str, read: str) -> None:
    sought = require_search({**ZOE, "birth_date": written})
    assert sought.reading is not None and (sought.reading.birth_date, sought.kind) == (read, "name")


@pytest.mark.parametrize(
    "born", ["80", "1980-5-17", "1980-02-30", "1980-00", "1980-05-00", "0000", "17.05.1980", "１９８０", ""]
)
def test_what_is_no_date_is_told(born: str) -> None:
    assert wrong({**ZOE, "birth_date": born}) == [("/birth_date", "birth_date" if born else "required")]


@given(st.dictionaries(st.sampled_from(["matricule", "name", "first_names", "birth_date", "sex"]), st.one_of(
    st.text(max_size=20), st.integers(), st.none(), st.sampled_from(["1980", "F", "Weber"]))))  # fmt: skip
def test_whatever_is_sent_is_a_search_or_an_input_error(given_: dict[str, Any]) -> None:
    try:
        sought = require_search(given_)
    except InvalidInput as refused:
        assert refused.detail["errors"]
    else:
        assert (sought.matricule is None) == (sought.reading is not None)


# --- how often --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "software", "most"),
    [("name", False, 120), ("name", True, 1_200), ("matricule", False, 600), ("matricule", True, 6_000)],
)
def test_so_many_searches_an_hour_are_answered_and_one_more_is_not(kind: str, software: bool, most: int) -> None:
    assert rules_search.may_ask(kind, software, most)
    assert not rules_search.may_ask(kind, software, most + 1)
    assert set(LIMITS) == {"name", "matricule"}


@given(st.datetimes(timezones=st.just(UTC)))
def test_counting_begins_anew_after_the_wait_and_not_before(at: datetime) -> None:
    seconds = rules_search.wait(at)
    assert 1 <= seconds <= 3600
    if at.year < 9999:
        assert rules_search.stretch_of(at + timedelta(seconds=seconds)) > rules_search.stretch_of(at)
        assert rules_search.stretch_of(at + timedelta(seconds=seconds - 1)) == rules_search.stretch_of(at)


# --- who is shown -----------------------------------------------------------------------------------------------------


def candidate(patient_id: str = "a", **changes: Any) -> Candidate:
    sheet = {
        "patient_id": patient_id, "birth_name": "Weber", "usual_name": None, "first_names": "Zoé Anne",
        "birth_date": date(1980, 5, 17), "sex": "F", "matricule": None,
    }  # fmt: skip
    return Candidate(**{**sheet, **changes})


def rates(given_: dict[str, str], *candidates: Candidate) -> dict[str, int]:
    sought = require_search(given_).reading
    assert sought is not None
    return dict(rules_search.rated(sought, candidates))


@pytest.mark.parametrize(
    ("changes", "is_shown"),
    [
        ({}, True),
        ({"birth_name": "Klein", "usual_name": "Weber"}, True),
        ({"birth_name": "Klein"}, True),  # married, and nobody told the register
        ({"first_names": "Lena"}, True),  # a twin
        ({"birth_name": "Klein", "first_names": "Lena"}, False),
        ({"birth_name": "Klein", "first_names": "Z."}, False),
        ({"first_names": "Z."}, True),
    ],
)
def test_a_family_name_or_a_whole_first_name_must_lead_to_the_sheet(changes: dict[str, Any], is_shown: bool) -> None:
    assert bool(rates(ZOE, candidate(**changes))) is is_shown


def test_a_day_and_an_initial_do_not_walk_through_the_people_of_that_day() -> None:
    assert rates({**ZOE, "name": "X", "first_names": "Z"}, candidate()) == {}
    assert rates({**ZOE, "first_names": "Z"}, candidate()) != {}


def test_an_unknown_day_is_read_from_the_matricule() -> None:
    first = {"birth_date": date(1980, 5, 1)}
    known, unknown = candidate(**first), candidate(**first, matricule="1980050012345")
    assert rates(ZOE, known) != rates(ZOE, unknown)


@given(st.lists(st.builds(Hit, st.uuids().map(str), st.integers(0, 100)), max_size=60, unique_by=lambda hit: hit[0]))
def test_the_best_are_looked_at_first(hits: list[Hit]) -> None:
    ordered_ = list(rules_search.looked_at(hits).items())
    assert [rate for _, rate in ordered_] == sorted((hit.rate for hit in hits), reverse=True)[: 4 * MOST_SHOWN]
    assert set(ordered_) <= {tuple(hit) for hit in hits}


def line(patient_id: str, rate: int = 90) -> SearchedPatient:
    return {
        "patient_id": patient_id, "birth_name": "", "usual_name": None, "first_names": "", "birth_date": "", "sex": "F",
        "insc": None, "identifier": None, "alerts": [], "rate": rate,
    }  # fmt: skip


def test_ten_people_are_shown_and_each_once() -> None:
    ten = [line(f"{number}") for number in range(MOST_SHOWN)]
    assert rules_search.shown(ten) == (ten, False)
    assert rules_search.shown([*ten, line("x")]) == (ten, True)
    assert rules_search.shown([line("a", 95), line("a", 80), line("b", 70)]) == ([line("a", 95), line("b", 70)], False)
    assert rules_search.shown([*ten, line("0", 1)]) == (ten, False)


# --- pairs ------------------------------------------------------------------------------------------------------------


@given(st.uuids(), st.uuids())
def test_a_pair_is_stored_in_one_order(one: Any, other: Any) -> None:
    assert ordered(str(one), str(other)) == ordered(str(other), str(one))
    assert rules_duplicates.pairs(str(one), [(str(other), 80)]) == rules_duplicates.pairs(str(other), [(str(one), 80)])


@given(st.integers(0, 100), st.uuids(), st.uuids())
def test_a_cursor_is_read_as_it_was_written(rate: int, one: Any, other: Any) -> None:
    position = Position(rate, str(one), str(other))
    assert require_page(50, cursor_after(position)) == (50, position)


@given(st.one_of(st.text(max_size=60), st.binary(max_size=40), st.integers(), st.just("WzgwXQ")))
def test_any_other_cursor_is_refused(cursor: Any) -> None:
    with pytest.raises(InvalidInput):
        require_page(50, cursor)


@pytest.mark.parametrize(("capacity", "may"), [("agent", True), ("patient", False), ("professional", False),
                                               ("machine", False)])  # fmt: skip
def test_agents_alone_look_at_duplicates(capacity: str, may: bool) -> None:
    assert rules_duplicates.may_look_at_duplicates(capacity) is may


def test_a_settlement_names_two_patients_and_says_distinct() -> None:
    one, other = new_id(), new_id()
    assert rules_duplicates.require_settlement(other, one, "distinct") == ordered(one, other)
    for broken in ((one, one, "distinct"), (one, "x", "distinct"), (one, other, "merged"), (None, other, "distinct")):
        with pytest.raises(InvalidInput):
            rules_duplicates.require_settlement(*broken)
