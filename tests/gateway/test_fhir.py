"""What all of /fhir has in common: its searches in a URL, its kind of JSON, and each "no" as an OperationOutcome."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from flask.testing import FlaskClient

from gateway import fhir, fhir_search
from gateway.fhir_search import link, read
from gateway.forms import FORM
from gateway.schemas.audit_events import BUNDLE, EVENT
from services.refusals import InvalidInput

ONE = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
OTHER = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"
SEARCH = "/fhir/AuditEvent"


def asked(*pairs: tuple[str, str], strict: bool = False) -> dict[str, Any]:
    return read(list(pairs), strict=strict)[0]


def wrong(*pairs: tuple[str, str], strict: bool = False) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        read(list(pairs), strict=strict)
    return [error["pointer"] for error in refused.value.detail["errors"]]


# --- the search -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [ONE, f"Patient/{ONE}", f"https://dsp.example/fhir/Patient/{ONE}", f"urn:uuid:{ONE}",
                                   ONE.upper()])  # fmt: skip
def test_a_patient_is_named_in_any_way_that_fhir_knows(value: str) -> None:
    assert asked(("patient", value)) == {"limit": 50, "patient_id": ONE}


@pytest.mark.parametrize("value", ["", "x", "1980010112345", f"Practitioner/{ONE}", f"patient/{ONE}", ONE[:-1],
                                   "-" * 36, f"{ONE}?x=1"])  # fmt: skip
def test_what_names_no_patient_is_refused(value: str) -> None:
    assert wrong(("patient", value)) == ["/patient"]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (f"Practitioner/{ONE}", "professional_id"),
        (f"Patient/{ONE}", "person_id"),
        (f"Organization/{ONE}", "establishment_id"),
        (ONE, "agent_id"),
    ],
)
def test_an_agent_is_who_acted_or_where(value: str, name: str) -> None:
    assert asked(("agent", value)) == {"limit": 50, name: ONE}


def test_an_agent_is_no_document_and_not_two_people() -> None:
    assert wrong(("agent", f"DocumentReference/{ONE}")) == ["/agent"]
    assert wrong(("agent", f"Practitioner/{ONE}"), ("agent", f"Practitioner/{OTHER}")) == ["/agent"]


@pytest.mark.parametrize(
    ("value", "since", "before"),
    [
        ("2026", "2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"),
        ("2026-12", "2026-12-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"),
        ("2026-11-21", "2026-11-21T00:00:00.000000Z", "2026-11-22T00:00:00.000000Z"),
        ("eq2026-11-21T10:30", "2026-11-21T10:30:00.000000Z", "2026-11-21T10:31:00.000000Z"),
        ("2026-11-21T10:30:05Z", "2026-11-21T10:30:05.000000Z", "2026-11-21T10:30:06.000000Z"),
        ("2026-11-21T10:30:05.25Z", "2026-11-21T10:30:05.250000Z", "2026-11-21T10:30:05.260000Z"),
        ("2026-11-21T10:30:05+01:00", "2026-11-21T09:30:05.000000Z", "2026-11-21T09:30:06.000000Z"),
        ("2026-11-21T10:30:05 01:00", "2026-11-21T09:30:05.000000Z", "2026-11-21T09:30:06.000000Z"),
        ("ge2026-11-21", "2026-11-21T00:00:00.000000Z", None),
        ("gt2026-11-21", "2026-11-22T00:00:00.000000Z", None),
        ("sa2026-11-21", "2026-11-22T00:00:00.000000Z", None),
        ("le2026-11-21", None, "2026-11-22T00:00:00.000000Z"),
        ("lt2026-11-21", None, "2026-11-21T00:00:00.000000Z"),
        ("eb2026-11-21", None, "2026-11-21T00:00:00.000000Z"),
    ],
)
def test_a_date_is_a_period_as_precise_as_it_is_written(value: str, since: str | None, before: str | None) -> None:
    found = asked(("date", value))
    assert (found.get("since"), found.get("before")) == (since, before)


def test_all_dates_hold_together() -> None:
    found = asked(("date", "ge2026-11-01"), ("date", "ge2026-11-10"), ("date", "le2026-11-20"), ("date", "lt2027"))
    assert (found["since"], found["before"]) == ("2026-11-10T00:00:00.000000Z", "2026-11-21T00:00:00.000000Z")


@pytest.mark.parametrize("value", ["", "yesterday", "ne2026", "ap2026-11", "2026-13", "2026-02-30", "26-11-21", "9999",
                                   "0500", "2026-11-21T25:00Z", "2026-11-21T10:00:00+99:00", "ge"])  # fmt: skip
def test_what_is_no_date_is_refused(value: str) -> None:
    assert wrong(("date", value)) == ["/date"]


def test_tokens_are_read_with_and_without_their_system() -> None:
    found = asked(("type", "rest"), ("subtype", "urn:dsp:action|document.opened,|x,http://a|"), ("action", "C,R"),
                  ("outcome", "http://terminology.hl7.org/CodeSystem/audit-event-outcome|8"))  # fmt: skip
    assert found["types"] == [[None, "rest"]]
    assert found["subtypes"] == [["urn:dsp:action", "document.opened"], ["", "x"], ["http://a", ""]]
    assert (found["actions"], found["outcomes"]) == (["C", "R"], ["8"])


@pytest.mark.parametrize(("name", "value"), [
    ("type", ""), ("type", "a b"), ("type", "|"), ("action", "X"), ("action", ""), ("outcome", "2"), ("_count", "0"),
    ("_count", "-1"), ("_count", "many"), ("_count", "٣"), ("type", ",".join(["a"] * 21)),
])  # fmt: skip
def test_what_nothing_can_be_is_refused(name: str, value: str) -> None:
    assert len(wrong((name, value))) == 1


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert wrong(("patient", "x"), ("date", "x"), ("action", "R"), ("action", "C")) == ["/patient", "/date", "/action"]


def test_more_than_a_page_holds_is_a_page() -> None:
    assert asked(("_count", "100000"))["limit"] == 100
    assert asked(("_count", "7"))["limit"] == 7


def test_what_is_not_understood_is_left_aside_or_refused_where_that_is_asked_for() -> None:
    pairs = [("patient", ONE), ("colour", "blue"), ("_format", "json")]
    found, understood = read(pairs, strict=False)
    assert found == {"limit": 50, "patient_id": ONE}
    assert understood == [("patient", ONE)]
    assert wrong(*pairs, strict=True) == ["/colour"]


@pytest.mark.parametrize("name", ["action:not", "date:missing", "entity:identifier", "patient:Patient", "agent:"])
@pytest.mark.parametrize("strict", [True, False])
def test_a_modifier_is_never_left_aside(name: str, strict: bool) -> None:
    assert wrong(("patient", ONE), (name, "R"), strict=strict) == [f"/{name}"]


def test_a_page_is_the_same_search_from_another_place() -> None:
    pairs = [("patient", f"Patient/{ONE}"), ("date", "ge2026"), ("_cursor", "old")]
    assert link("/x", pairs) == f"/x?patient=Patient%2F{ONE}&date=ge2026&_cursor=old"
    assert link("/x", pairs, "new") == f"/x?patient=Patient%2F{ONE}&date=ge2026&_cursor=new"
    assert link("/x", []) == "/x"
    assert set(fhir_search.NAMES) == set(fhir_search._READERS)


# --- over HTTP --------------------------------------------------------------------------------------------------------


def outcome(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.content_type) == (status, "application/fhir+json"), answer.data
    said: dict[str, Any] = answer.get_json(force=True)
    OperationOutcome.model_validate(said)
    assert said["issue"][0]["details"]["coding"] == [{"system": "urn:dsp:problem", "code": code}]
    assert said["issue"][0]["details"]["text"]
    return said


def test_whoever_is_not_known_is_told_in_fhir(http: FlaskClient) -> None:
    for path in (SEARCH, f"{SEARCH}/{ONE}"):
        answer = http.get(path)
        assert outcome(answer, 401, "unauthenticated")["issue"][0]["code"] == "login"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_address_that_is_none_is_not_found_in_fhir_and_elsewhere_a_problem(http: FlaskClient) -> None:
    assert outcome(http.get("/fhir/Observation"), 404, "not_found")["issue"][0]["code"] == "not-found"
    outcome(http.get(f"{SEARCH}/no-id"), 404, "not_found")
    for path in ("/fhirx", "/api/v1/fhir"):
        assert http.get(path).content_type == "application/problem+json"


def test_whoever_asks_for_problems_gets_problems(http: FlaskClient) -> None:
    answer = http.get(SEARCH, headers={"Accept": "application/fhir+json, application/problem+json"})
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")


def test_a_wrong_search_names_each_wrong_part(http: FlaskClient, bearer: dict[str, str]) -> None:
    said = outcome(http.get(f"{SEARCH}?date=x&action=Q", headers=bearer), 422, "invalid_input")
    assert [issue["expression"] for issue in said["issue"][1:]] == [["date"], ["action"]]
    strict = bearer | {"Prefer": "handling=strict"}
    said = outcome(http.get(f"{SEARCH}?colour=blue", headers=strict), 422, "invalid_input")
    assert said["issue"][1]["expression"] == ["colour"]


def test_a_search_may_come_in_a_form(http: FlaskClient, bearer: dict[str, str]) -> None:
    where = f"{SEARCH}/_search"
    said = outcome(http.post(where, data={"date": "x", "action": "Q"}, headers=bearer), 422, "invalid_input")
    assert [issue["expression"] for issue in said["issue"][1:]] == [["date"], ["action"]]
    outcome(http.post(f"{where}?patient=x", data={"action": "R"}, headers=bearer), 422, "invalid_input")
    outcome(http.post(where, json={"date": "2026"}, headers=bearer), 415, "unsupported_media_type")
    big = b"a=" + b"x" * fhir.FORM_LIMIT
    outcome(http.post(where, data=big, content_type=FORM, headers=bearer), 413, "body_too_large")
    many = "&".join(["a=b"] * (fhir.FORM_FIELDS + 1))
    for data in (many, b"\xff=x"):
        outcome(http.post(where, data=data, content_type=FORM, headers=bearer), 422, "invalid_input")
    outcome(http.post(where, data={}), 401, "unauthenticated")


@pytest.mark.parametrize("given", [{"Accept": "application/fhir+xml"}, {"Accept": "text/html"}])
def test_another_form_than_json_is_not_to_be_had(
    http: FlaskClient, bearer: dict[str, str], given: dict[str, str]
) -> None:
    outcome(http.get(SEARCH, headers=bearer | given), 406, "not_acceptable")
    outcome(http.get(f"{SEARCH}?_format=xml", headers=bearer), 406, "not_acceptable")


def test_the_interface_says_what_it_can_do(http: FlaskClient) -> None:
    answer = http.get("/fhir/metadata")
    assert (answer.status_code, answer.content_type) == (200, "application/fhir+json; fhirVersion=4.0")
    said = answer.get_json(force=True)
    CapabilityStatement.model_validate(said)
    assert said["fhirVersion"] == "4.0.1"
    [resource] = said["rest"][0]["resource"]
    named = {each["name"] for each in resource["searchParam"]}
    assert named == {name for name in fhir_search.NAMES if not name.startswith("_")}


def test_the_examples_of_the_document_are_what_they_say() -> None:
    Bundle.model_validate(BUNDLE[fhir.FHIR_JSON]["example"])
    AuditEvent.model_validate(EVENT[fhir.FHIR_JSON]["example"])
