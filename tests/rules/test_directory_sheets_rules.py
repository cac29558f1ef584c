"""The identity sheet, field by field: what it takes, what it refuses, and what a change of it is [seed 002]."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directory import rules_sheets
from services.directory.contract import (
    ADDRESS_USES,
    CHECK_DOCUMENTS,
    EVIDENCES,
    IDENTIFIER_SYSTEMS,
    MARITAL_STATUSES,
    MATRICULE_CAUSES,
)
from services.refusals import InvalidInput
from tests.builders import matricule

TODAY = date(2026, 11, 21)
HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
POSTAL = {"use": "postal", "line": "BP 12", "postal_code": "2010", "locality": "Luxembourg", "country": "LU"}
FEDERATOR, LOCAL = "urn:dsp:federator", "urn:dsp:local"
SHEET: dict[str, Any] = {
    "matricule": matricule(date(1980, 5, 17), 123),
    "birth_name": "Da Silva",
    "usual_name": "Weber",
    "first_names": "Zoé Anne",
    "sex": "F",
    "birth_date": "1980-05-17",
    "birth_date_evidence": "identity_document",
    "birth_place": "Coimbra",
    "birth_commune": "Sé Nova",
    "birth_postal_code": "3000-100",
    "birth_country": "pt",
    "marital_status": "separated",
    "mobile": "621 123 456",
    "phone": "27 12 50 18",
    "email": "zoe.weber@example.lu",
    "language": "pt",
    "address": HOME,
    "addresses": [POSTAL],
    "identifiers": [{"system": FEDERATOR, "value": "F-0001"}, {"system": LOCAL, "value": "CHL/77"}],
}


def faults(refused: pytest.ExceptionInfo[InvalidInput]) -> list[tuple[str, str]]:
    return [(each["pointer"], each["message"]) for each in refused.value.detail["errors"]]


def a_sheet(**changes: Any) -> rules_sheets.PatientSheet:
    return rules_sheets.require_patient_sheet({**SHEET, **changes}, TODAY)


def changed(**changes: Any) -> rules_sheets.PatientSheet:
    return rules_sheets.require_changed_sheet(a_sheet(), changes, TODAY)


def test_the_whole_sheet_is_read_and_tidied() -> None:
    sheet = a_sheet()
    assert (sheet.birth_country, sheet.marital_status, sheet.birth_date_evidence) == (
        "PT", "separated", "identity_document",
    )  # fmt: skip
    assert (sheet.mobile, sheet.phone, sheet.email) == ("+352621123456", "+35227125018", SHEET["email"])
    assert sheet.addresses == (POSTAL,)
    assert [one["value"] for one in sheet.identifiers] == ["F-0001", "CHL/77"]
    assert not sheet.identity_check_due


def test_a_sheet_needs_no_more_than_it_needed_before() -> None:
    needed = ("birth_name", "first_names", "sex", "birth_date", "language", "address")
    sheet = rules_sheets.require_patient_sheet({field: SHEET[field] for field in needed}, TODAY)
    assert sheet.matricule is None and not sheet.identity_check_due
    assert sheet.birth_date_evidence == "unknown"
    assert sheet.addresses == sheet.identifiers == ()


@pytest.mark.parametrize(
    ("field", "value", "pointer", "code"),
    [
        ("matricule", "1900010100565", "/matricule", "matricule_verhoeff"),
        ("matricule", "1900010100574", "/matricule", "matricule_luhn"),
        ("matricule", "190001010056", "/matricule", "length"),
        ("matricule", "19000101005A4", "/matricule", "digits"),
        ("matricule", "1904132000166", "/matricule", "date"),
        ("matricule", 1900010100564, "/matricule", "required"),
        ("birth_date_evidence", "rumour", "/birth_date_evidence", "unknown"),
        ("birth_place", "", "/birth_place", "required"),
        ("birth_place", "a" * 121, "/birth_place", "too_long"),
        ("birth_commune", 7, "/birth_commune", "type"),
        ("birth_postal_code", "?", "/birth_postal_code", "characters"),
        ("birth_country", "Portugal", "/birth_country", "characters"),
        ("birth_country", "YU", "/birth_country", "country"),
        ("birth_country", "ZZ", "/birth_country", "country"),
        ("marital_status", "happy", "/marital_status", "unknown"),
        ("mobile", "691", "/mobile", "mobile_format"),
        ("mobile", "+352", "/mobile", "mobile_format"),
        ("mobile", "+0352621123456", "/mobile", "mobile_format"),
        ("mobile", 621123456, "/mobile", "mobile_format"),
        ("phone", "12", "/phone", "phone_format"),
        ("phone", "call me", "/phone", "phone_format"),
        ("email", "zoe.weber", "/email", "email_format"),
        ("email", "zoe..weber@example.lu", "/email", "email_format"),
        ("email", f"{'z' * 65}@example.lu", "/email", "email_format"),
        ("address", {**HOME, "country": "ZZ"}, "/address/country", "country"),
        ("addresses", "BP 12", "/addresses", "type"),
        ("addresses", [POSTAL] * 6, "/addresses", "too_many"),
        ("addresses", ["BP 12"], "/addresses/0", "type"),
        ("addresses", [POSTAL, {**POSTAL, "use": "holiday"}], "/addresses/1/use", "unknown"),
        ("addresses", [{**POSTAL, "locality": None}], "/addresses/0/locality", "required"),
        ("identifiers", [{"system": "urn:oid:1.3.182.4.4", "value": "1"}], "/identifiers/0/system", "unknown"),
        ("identifiers", [{"system": LOCAL, "value": "<1>"}], "/identifiers/0/value", "characters"),
        ("identifiers", [{"system": LOCAL, "value": "1" * 65}], "/identifiers/0/value", "characters"),
        ("identifiers", [{"system": LOCAL}], "/identifiers/0/value", "required"),
        ("identifiers", [{"system": LOCAL, "value": "1"}] * 21, "/identifiers", "too_many"),
    ],
)
def test_a_faulty_field_is_pointed_at_when_registering_and_when_changing(
    field: str, value: object, pointer: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        a_sheet(**{field: value})
    assert faults(refused) == [(pointer, code)]
    with pytest.raises(InvalidInput) as refused:
        changed(**{field: value})
    assert faults(refused) == [(pointer, code if field != "matricule" else "unknown_member")]


def test_a_mistake_among_the_first_eleven_digits_is_told_by_both_check_digits() -> None:
    number = SHEET["matricule"]
    wrong = number[:10] + str((int(number[10]) + 1) % 10) + number[11:]
    with pytest.raises(InvalidInput) as refused:
        a_sheet(matricule=wrong)
    assert faults(refused) == [("/matricule", "matricule_luhn"), ("/matricule", "matricule_verhoeff")]


def test_all_faults_of_a_whole_sheet_are_named_at_once() -> None:
    wrong = {
        "email": "x", "mobile": "x", "phone": "x", "birth_country": "ZZ", "marital_status": "x",
        "addresses": [{**POSTAL, "use": "x"}], "identifiers": [{"system": "x", "value": "1"}],
    }  # fmt: skip
    with pytest.raises(InvalidInput) as refused:
        a_sheet(**wrong)
    assert {pointer for pointer, _ in faults(refused)} == {
        "/email", "/mobile", "/phone", "/birth_country", "/marital_status", "/addresses/0/use",
        "/identifiers/0/system",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "typed", "kept"),
    [
        ("mobile", "621123456", "+352621123456"),
        ("mobile", "00352 621 123 456", "+352621123456"),
        ("mobile", "+33 6 12 34 56 78", "+33612345678"),
        ("phone", "27125018", "+35227125018"),
        ("phone", "621 12 34 56", "+352621123456"),
        ("phone", "+49 (651) 123-456", "+49651123456"),
        ("phone", "0049/651/123456", "+49651123456"),
    ],
)
def test_numbers_are_kept_in_one_form(field: str, typed: str, kept: str) -> None:
    assert getattr(a_sheet(**{field: typed}), field) == kept


@pytest.mark.parametrize(
    ("field", "allowed"),
    [("birth_date_evidence", EVIDENCES), ("marital_status", MARITAL_STATUSES)],
)
def test_every_word_of_a_closed_list_is_taken(field: str, allowed: tuple[str, ...]) -> None:
    assert [getattr(a_sheet(**{field: word}), field) for word in allowed] == list(allowed)


def test_every_use_of_an_address_and_every_system_of_numbers_is_taken_once() -> None:
    addresses = [{**POSTAL, "use": use} for use in ADDRESS_USES]
    numbers = [{"system": system, "value": "1"} for system in IDENTIFIER_SYSTEMS]
    sheet = a_sheet(addresses=addresses + addresses[:1], identifiers=numbers + numbers)
    assert list(sheet.addresses) == addresses
    assert list(sheet.identifiers) == numbers


# --- changes ----------------------------------------------------------------------------------------------------------


def test_saying_the_same_again_changes_nothing() -> None:
    said = {field: value for field, value in SHEET.items() if field != "matricule"}
    assert rules_sheets.changes_between(a_sheet(), changed(**said)) == ()


def test_each_field_that_differs_is_one_change_from_old_to_new() -> None:
    new = changed(
        usual_name=None, marital_status="divorced", address={**HOME, "line": "5, Rue des Tests"},
        addresses=[], identifiers=[{"system": LOCAL, "value": "CHL/78"}, {"system": FEDERATOR, "value": "F-0001"}],
        birth_date_evidence=None,
    )  # fmt: skip
    found = rules_sheets.changes_between(a_sheet(), new)
    assert {(one.field, one.old, one.new) for one in found} == {
        ("usual_name", "Weber", None),
        ("marital_status", "separated", "divorced"),
        ("address.line", "4, Rue des Tests", "5, Rue des Tests"),
        ("address:postal", "BP 12, 2010 Luxembourg, LU", None),
        ("identifier:urn:dsp:local", "CHL/77", "CHL/78"),
        ("birth_date_evidence", "identity_document", "unknown"),
    }
    assert len(found) == 6


def test_the_order_of_addresses_and_numbers_is_no_change() -> None:
    two = [POSTAL, {**POSTAL, "line": "BP 13"}]
    assert rules_sheets.changes_between(a_sheet(addresses=two), a_sheet(addresses=two[::-1])) == ()


@pytest.mark.parametrize("field", ["birth_name", "first_names", "sex", "birth_date", "language", "address"])
def test_what_a_sheet_needs_cannot_be_emptied(field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        changed(**{field: None})
    assert faults(refused) == [(f"/{field}", "required")]


@pytest.mark.parametrize("field", ["matricule", "patient_id", "identity_check_due", "version", "keys"])
def test_what_is_no_field_of_the_form_cannot_be_changed(field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        changed(**{field: "1"})
    assert faults(refused) == [(f"/{field}", "unknown_member")]


def test_changes_that_are_no_object_are_refused() -> None:
    with pytest.raises(InvalidInput):
        rules_sheets.require_changed_sheet(a_sheet(), ["email"], TODAY)  # type: ignore[arg-type]


def test_a_birth_date_other_than_the_matricules_is_flagged_and_one_that_agrees_is_cleared() -> None:
    doubtful = changed(birth_date="1980-05-18")
    assert doubtful.identity_check_due
    assert not rules_sheets.require_changed_sheet(doubtful, {"birth_date": "1980-05-17"}, TODAY).identity_check_due
    assert not rules_sheets.require_changed_sheet(a_sheet(matricule=None), {"birth_date": "1980-05-18"}, TODAY
                                                  ).identity_check_due  # fmt: skip


def test_a_check_stays_good_until_the_date_or_the_matricule_changes() -> None:
    sheet = rules_sheets.checked(changed(birth_date="1980-05-18"), "civil_register")
    assert not sheet.identity_check_due and sheet.birth_date_evidence == "civil_register"
    same = rules_sheets.require_changed_sheet(sheet, {"birth_date": "1980-05-18", "email": None}, TODAY)
    assert not same.identity_check_due
    assert rules_sheets.require_changed_sheet(sheet, {"birth_date": "1980-05-19"}, TODAY).identity_check_due
    assert rules_sheets.with_matricule(sheet, matricule(date(1981, 1, 1), 1)).identity_check_due
    assert not rules_sheets.with_matricule(sheet, matricule(date(1980, 5, 18), 1)).identity_check_due


@pytest.mark.parametrize("born", ["1980-05-19", "1980-05-17"])  # doubted, and the matricule's own
def test_what_proved_a_birth_date_proves_no_other(born: str) -> None:
    sheet = rules_sheets.checked(changed(birth_date="1980-05-18"), "identity_document")
    assert rules_sheets.require_changed_sheet(sheet, {"birth_date": born}, TODAY).birth_date_evidence == "unknown"
    told = {"birth_date": born, "birth_date_evidence": "civil_register"}
    assert rules_sheets.require_changed_sheet(sheet, told, TODAY).birth_date_evidence == "civil_register"
    same = rules_sheets.require_changed_sheet(sheet, {"birth_date": "1980-05-18"}, TODAY)
    assert same.birth_date_evidence == "identity_document"


def test_a_document_says_what_the_birth_date_rests_on() -> None:
    assert {rules_sheets.require_evidence(document) for document in CHECK_DOCUMENTS} <= set(EVIDENCES)
    assert rules_sheets.require_evidence("civil_register") == "civil_register"
    for wrong in ("", "driving_licence", None, ["passport"]):
        with pytest.raises(InvalidInput):
            rules_sheets.require_evidence(wrong)


def test_a_matricule_changes_for_a_known_cause() -> None:
    assert [rules_sheets.require_matricule_cause(cause) for cause in MATRICULE_CAUSES] == list(MATRICULE_CAUSES)
    for wrong in ("", "mistake", None):
        with pytest.raises(InvalidInput):
            rules_sheets.require_matricule_cause(wrong)


@pytest.mark.parametrize("limit", [0, 101, True, "5", None])
def test_a_page_of_changes_has_bounds(limit: object) -> None:
    with pytest.raises(InvalidInput):
        rules_sheets.require_changes_limit(limit)


def test_keys_follow_the_names_and_the_date() -> None:
    assert rules_sheets.keys_of(a_sheet()) == rules_sheets.keys_of(changed(email=None))
    assert rules_sheets.keys_of(a_sheet()) != rules_sheets.keys_of(changed(usual_name="Muller"))
    assert rules_sheets.keys_of(a_sheet()) != rules_sheets.keys_of(changed(birth_date="1981-05-17"))


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "birth_name": st.sampled_from(["Da Silva", "Weber"]),
    "usual_name": st.sampled_from([None, "Weber", "Klein"]),
    "marital_status": st.sampled_from([None, *MARITAL_STATUSES]),
    "birth_date": st.sampled_from(["1980-05-17", "1980-05-18"]),
    "email": st.sampled_from([None, "a@example.lu", "b@example.lu"]),
    "address": st.sampled_from([HOME, {**HOME, "line": "5, Rue des Tests"}]),
    "addresses": st.sampled_from([[], [POSTAL], [{**POSTAL, "use": "home"}]]),
}
some_changes = st.fixed_dictionaries({}, optional=VALUES)


@given(some_changes, some_changes)
def test_changes_are_what_leads_from_one_sheet_to_the_other_and_back(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, other = changed(**first), changed(**second)
    there, back = rules_sheets.changes_between(one, other), rules_sheets.changes_between(other, one)
    assert {(each.field, each.old, each.new) for each in there} == {(each.field, each.new, each.old) for each in back}
    assert all(each.old != each.new for each in there)
    assert bool(there) == (one != other) or one.identity_check_due != other.identity_check_due
