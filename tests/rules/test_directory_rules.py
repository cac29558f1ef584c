"""What directory decides without looking anything up."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directory import rules, rules_sheets
from services.directory.contract import PROFESSIONS
from services.refusals import InvalidInput
from tests.builders import matricule

TODAY = date(2026, 11, 21)
SEED_MATRICULES = ("1900010100564", "1904112000166", "1950121838341")  # printed in the seeds 000, 003 and 004

HOME = {"line": "4, Rue des Tests", "postal_code": "L-1427", "locality": "Luxembourg", "country": "lu"}
PATIENT: dict[str, Any] = {
    "matricule": matricule(date(1980, 5, 17), 123),
    "birth_name": "Müller-Weiß",
    "usual_name": None,
    "first_names": "Zoé  Anne",
    "sex": "F",
    "birth_date": "1980-05-17",
    "language": "lb",
    "address": HOME,
}
PROFESSIONAL: dict[str, Any] = {
    "matricule": matricule(date(1970, 1, 2), 7),
    "family_name": "Schmit",
    "first_name": "Léa",
    "profession": "physician",
    "specialities": ["Cardiologie"],
    "establishment_ids": ["0192f0c1-0000-7000-8000-000000000002", "0192F0C1-0000-7000-8000-000000000001"],
    "language": "fr",
    "address": None,
}


def faults(refused: pytest.ExceptionInfo[InvalidInput]) -> dict[str, str]:
    return {each["pointer"]: each["message"] for each in refused.value.detail["errors"]}


def eleven_digits() -> st.SearchStrategy[str]:
    born = st.dates(date(1900, 1, 1), date(2026, 11, 21))
    return st.builds(lambda day, sequence: f"{day:%Y%m%d}{sequence:03d}", born, st.integers(0, 999))


# --- matricule --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("printed", SEED_MATRICULES)
def test_every_matricule_printed_in_the_seeds_is_valid(printed: str) -> None:
    assert rules.matricule_fault(printed) is None


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "required"),
        ("190001010056", "length"),
        ("19041120001", "length"),
        ("19000101005644", "length"),
        ("19000101005A4", "digits"),
        ("١٩٠٠٠١٠١٠٠٥٦٤", "digits"),
        ("1900010100565", "matricule_verhoeff"),
        ("1900010100574", "matricule_luhn"),
        ("1904132000166", "date"),
        ("1904023100100", "date"),
        ("0000010100564", "date"),
    ],
)
def test_what_is_no_matricule_is_refused_with_the_code_of_its_fault(typed: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.require_matricule(typed)
    assert faults(refused) == {"/matricule": code}


@pytest.mark.parametrize("typed", [1900010100564, None, ["1900010100564"], True])
def test_a_matricule_is_a_text(typed: object) -> None:
    with pytest.raises(InvalidInput):
        rules.require_matricule(typed)


@pytest.mark.parametrize("typed", ["1900 0101 00564", " 1900010100564\n", "1900.01.01-005/64", "1900 01 01 005 64"])
def test_separators_that_people_type_do_not_count(typed: str) -> None:
    assert rules.require_matricule(typed) == "1900010100564"


@pytest.mark.parametrize("unknown", ["19000000123", "19000100123", "19000015123", "19000200123"])
def test_an_unknown_month_or_day_is_no_fault(unknown: str) -> None:
    assert rules.matricule_fault(unknown + rules.check_digits(unknown)) is None


@given(eleven_digits(), st.integers(0, 12), st.integers(1, 9))
def test_every_wrong_digit_is_caught(first: str, place: int, step: int) -> None:
    good = first + rules.check_digits(first)
    wrong = good[:place] + str((int(good[place]) + step) % 10) + good[place + 1 :]
    assert rules.matricule_fault(good) is None
    assert rules.matricule_fault(wrong) is not None


@given(eleven_digits(), st.integers(0, 9))
def test_every_swap_of_neighbours_is_caught(first: str, place: int) -> None:
    good = first + rules.check_digits(first)
    swapped = good[:place] + good[place + 1] + good[place] + good[place + 2 :]
    assert (rules.matricule_fault(swapped) is None) == (swapped == good)


@pytest.mark.parametrize(
    ("born", "differs"),
    [
        (date(1900, 1, 1), False),
        (date(1900, 1, 2), True),
        (date(1900, 2, 1), True),
        (date(1901, 1, 1), True),
    ],
)
def test_a_birth_date_other_than_the_matricules_is_seen(born: date, differs: bool) -> None:
    assert rules.birth_date_differs("1900010100564", born) is differs


def test_an_unknown_day_differs_from_no_day() -> None:
    assert not rules.birth_date_differs("1900010012300", date(1900, 1, 31))
    assert rules.birth_date_differs("1900010012300", date(1900, 2, 1))


# --- sheets -----------------------------------------------------------------------------------------------------------


def test_a_patients_sheet_is_read_and_tidied() -> None:
    sheet = rules_sheets.require_patient_sheet(PATIENT, TODAY)
    assert (sheet.birth_name, sheet.first_names, sheet.birth_date) == ("Müller-Weiß", "Zoé Anne", date(1980, 5, 17))
    assert sheet.address == {**HOME, "country": "LU"}
    assert not sheet.identity_check_due


def test_a_differing_birth_date_is_flagged_and_not_refused() -> None:
    assert rules_sheets.require_patient_sheet({**PATIENT, "birth_date": "1980-05-18"}, TODAY).identity_check_due


@pytest.mark.parametrize(
    ("field", "value", "pointer", "code"),
    [
        ("matricule", "1900010100565", "/matricule", "matricule_verhoeff"),
        ("matricule", "", "/matricule", "required"),
        ("birth_name", "", "/birth_name", "required"),
        ("birth_name", "   ", "/birth_name", "required"),
        ("birth_name", None, "/birth_name", "required"),
        ("birth_name", 7, "/birth_name", "type"),
        ("birth_name", "--", "/birth_name", "characters"),
        ("birth_name", "Mül\u0000ler", "/birth_name", "characters"),
        ("birth_name", "a" * 121, "/birth_name", "too_long"),
        ("first_names", ["Zoé"], "/first_names", "type"),
        ("usual_name", "", "/usual_name", "required"),
        ("sex", "female", "/sex", "unknown"),
        ("sex", None, "/sex", "required"),
        ("language", "nl", "/language", "unknown"),
        ("birth_date", "17.05.1980", "/birth_date", "date"),
        ("birth_date", "1980-02-30", "/birth_date", "date"),
        ("birth_date", "2026-11-22", "/birth_date", "out_of_range"),
        ("birth_date", "1850-01-01", "/birth_date", "out_of_range"),
        ("birth_date", None, "/birth_date", "required"),
        ("address", None, "/address", "required"),
        ("address", "4, Rue des Tests", "/address", "type"),
        ("address", {**HOME, "line": ""}, "/address/line", "required"),
        ("address", {**HOME, "postal_code": "!!"}, "/address/postal_code", "characters"),
        ("address", {**HOME, "country": "Luxembourg"}, "/address/country", "characters"),
        ("address", {k: v for k, v in HOME.items() if k != "locality"}, "/address/locality", "required"),
    ],
)
def test_a_faulty_field_of_a_patients_sheet_is_pointed_at(field: str, value: object, pointer: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_sheets.require_patient_sheet({**PATIENT, field: value}, TODAY)
    assert faults(refused) == {pointer: code}


def test_all_faults_of_a_sheet_are_told_at_once_and_none_repeats_what_was_typed() -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_sheets.require_patient_sheet({"birth_name": "Secret\u0007", "matricule": "123"}, TODAY)
    assert set(faults(refused)) == {
        "/matricule", "/birth_name", "/first_names", "/sex", "/birth_date", "/language", "/address",
    }  # fmt: skip
    assert "Secret" not in str(refused.value.detail)
    assert "123" not in str(refused.value.detail)


def test_a_professionals_sheet_names_each_workplace_once_in_order() -> None:
    places = PROFESSIONAL["establishment_ids"]
    sheet = rules_sheets.require_professional_sheet({**PROFESSIONAL, "establishment_ids": [*places, places[0]]})
    assert sheet.establishment_ids == (places[1].lower(), places[0])


@pytest.mark.parametrize("profession", PROFESSIONS)
def test_every_profession_of_the_matrix_can_be_registered(profession: str) -> None:
    assert rules_sheets.require_professional_sheet({**PROFESSIONAL, "profession": profession}).profession == profession


@pytest.mark.parametrize("profession", ["referring_physician", "médecin", "", None])
def test_what_is_no_profession_cannot_be_registered(profession: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_sheets.require_professional_sheet({**PROFESSIONAL, "profession": profession})
    assert set(faults(refused)) == {"/profession"}


@pytest.mark.parametrize(
    ("field", "value", "pointer", "code"),
    [
        ("specialities", "Cardiologie", "/specialities", "type"),
        ("specialities", ["Cardiologie", ""], "/specialities/1", "required"),
        ("specialities", ["x"] * 21, "/specialities", "too_many"),
        ("establishment_ids", ["nowhere"], "/establishment_ids/0", "unknown"),
        ("establishment_ids", [None], "/establishment_ids/0", "unknown"),
        ("address", {}, "/address/line", "required"),
    ],
)
def test_a_faulty_field_of_a_professionals_sheet_is_pointed_at(
    field: str, value: object, pointer: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_sheets.require_professional_sheet({**PROFESSIONAL, field: value})
    assert faults(refused)[pointer] == code


def test_an_unknown_workplace_is_pointed_at() -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_sheets.require_known_establishments(("a", "b", "c"), ["a", "c"])
    assert faults(refused) == {"/establishment_ids/1": "unknown"}
    rules_sheets.require_known_establishments(("a", "c"), ["a", "b", "c"])


@pytest.mark.parametrize(("kind", "right"), [("practice", True), ("care_network", True), ("shop", False)])
def test_an_establishment_is_of_a_known_kind(kind: str, right: bool) -> None:
    if right:
        assert rules_sheets.require_establishment_sheet({"name": "Cabinet", "kind": kind}).kind == kind
        return
    with pytest.raises(InvalidInput):
        rules_sheets.require_establishment_sheet({"name": "Cabinet", "kind": kind})


@pytest.mark.parametrize(
    ("birth_name", "first_names", "same"),
    [
        ("Müller-Weiß", "Zoé Anne", True),
        ("MULLER WEISS", "zoe  anne", True),
        ("Müller-Weiß", "Zoé", False),
        ("Weiß", "Zoé Anne", False),
        ("Zoé Anne", "Müller-Weiß", False),
    ],
)
def test_an_identity_is_its_names_but_for_case_and_accents(birth_name: str, first_names: str, same: bool) -> None:
    assert rules_sheets.is_patient(rules_sheets.require_patient_sheet(PATIENT, TODAY), birth_name, first_names) is same


# --- who may, searching, showing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacity", "may"), [("agent", True), ("professional", False), ("patient", False), ("machine", False), ("", False)]
)
def test_only_an_agent_registers(capacity: str, may: bool) -> None:
    assert rules.may_register(capacity) is may


@pytest.mark.parametrize(
    ("capacity", "licence", "may"),
    [
        ("agent", None, True),
        ("professional", "valid", True),
        ("professional", "suspended", False),
        ("professional", "withdrawn", False),
        ("professional", None, False),
        ("patient", None, False),
        ("patient", "valid", False),
        ("machine", "valid", False),
    ],
)
def test_an_agent_or_a_licensed_professional_searches_patients(capacity: str, licence: str | None, may: bool) -> None:
    assert rules.may_search_patients(capacity, licence) is may
    assert ((licence or "") in rules.licences_to_search_with(capacity)) is may


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller-Weiß", "muller weiss"),
        ("D’Ålborg Œuvré", "d alborg oeuvre"),
        ("  Łukasz\tĐorđe ", "lukasz dorde"),
        ("100% _A_\\", "100 a"),
        ("Ｚｏé", "zoe"),
        ("---", ""),
    ],
)
def test_folding_leaves_plain_words(text: str, folded: str) -> None:
    assert rules.fold(text) == folded


@given(st.text(max_size=60))
def test_folding_twice_is_folding_once_and_leaves_no_wildcard(text: str) -> None:
    folded = rules.fold(text)
    assert not set("%_\\") & set(folded)
    assert rules.fold(folded) == folded


@pytest.mark.parametrize(
    ("query", "words"), [("sch", ["sch"]), ("É-LI", ["e", "li"]), (" Schmit  Léa ", ["schmit", "lea"])]
)
def test_three_letters_are_enough_to_search(query: str, words: list[str]) -> None:
    assert rules.require_search_words(query) == words


@pytest.mark.parametrize("query", ["", "sc", "%%%", "s-c", "   ", "a" * 121, None, 123, ["sch"]])
def test_fewer_letters_are_not(query: object) -> None:
    with pytest.raises(InvalidInput):
        rules.require_search_words(query)


@pytest.mark.parametrize("limit", [0, -1, 51, True, "10", None, 1.5])
def test_a_limit_is_a_number_from_1_to_50(limit: object) -> None:
    with pytest.raises(InvalidInput):
        rules.require_limit(limit)
    assert rules.require_limit(50) == 50


def test_a_bulk_of_ids_leaves_out_what_is_no_id_and_refuses_what_is_no_list() -> None:
    one = "0192f0c1-0000-7000-8000-000000000001"
    assert rules.require_ids("patient_ids", [one, one.upper(), "x", None, 3]) == [one]
    for wrong in ("0192f0c1", {"a": 1}, [one] * 1001):
        with pytest.raises(InvalidInput):
            rules.require_ids("patient_ids", wrong)


def test_every_profession_is_found_by_its_words_in_five_languages() -> None:
    assert set(rules.PROFESSION_WORDS) == set(PROFESSIONS)
    assert all(len(words.split()) >= 5 for words in rules.PROFESSION_WORDS.values())


def test_a_letter_names_the_country_only_abroad() -> None:
    address = rules_sheets.require_patient_sheet(PATIENT, TODAY).address
    assert rules.letter_lines(address) == ["4, Rue des Tests", "L-1427 Luxembourg"]
    assert rules.letter_lines({**address, "country": "DE"})[-1] == "DE"
