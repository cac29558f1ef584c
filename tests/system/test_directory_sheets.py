"""An identity sheet on the whole platform: opened by an agent, read by whom it concerns, changed, never overwritten."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.agency import any_matricule, birth_date, newcomer
from deploy.visitors import UnexpectedAnswer, Visitor, wait_for
from tests.system.conftest import Village

HOME = {"line": "12, rue des Tilleuls", "postal_code": "1234", "locality": "Luxembourg", "country": "LU"}
POSTAL = {"use": "postal", "line": "B.P. 12", "postal_code": "2010", "locality": "Luxembourg", "country": "LU"}
CONTACTS = ("mobile", "phone", "email", "address", "addresses", "identifiers")


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["type"]) == (status, f"urn:dsp:problem:{code}")
    return document


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    """Somebody whose record an agent opened with a whole sheet, logged in."""
    person = village.remember(newcomer(village.town, "patient"))
    sheet = {
        "matricule": person.matricule, "birth_name": person.ids["family"], "first_names": person.ids["first"],
        "sex": "F", "birth_date": birth_date(person.matricule), "birth_date_evidence": "declared",
        "birth_place": "Coimbra", "birth_country": "PT", "marital_status": "separated", "mobile": "621 123 456",
        "email": person.email, "language": "fr", "address": HOME, "addresses": [{**POSTAL, "use": "temporary"}],
        "identifiers": [{"system": "urn:dsp:federator", "value": f"F-{person.matricule}"}],
    }  # fmt: skip
    opened = village.agent.ask("POST", "/agency/openings", json=sheet)
    person.ids |= {"record_id": opened["record_id"], "patient_id": opened["patient_id"]}
    person.activate(village.town.letter(person.name).activation_code)
    person.log_in()
    return person


def test_the_patient_reads_their_sheet_with_the_state_of_their_record(village: Village, patient: Visitor) -> None:
    wait_for(lambda: village.state(patient, patient.ids["record_id"]) == "active" or None, "the active record")
    answer = patient.raw("GET", "/account/identity-sheet")
    sheet = answer.json()
    assert answer.headers["ETag"] == '"1"' and sheet["version"] == 1
    assert (sheet["mobile"], sheet["birth_country"], sheet["marital_status"]) == ("+352621123456", "PT", "separated")
    assert [each["value"] for each in sheet["identifiers"]] == [patient.matricule, f"F-{patient.matricule}"]
    assert sheet["created"]["by"] == "agency" and sheet["created"]["account_id"] is None
    record = sheet["record"]
    assert (record["record_id"], record["state"], record["cause"]) == (
        patient.ids["record_id"], "active", "activation",
    )  # fmt: skip
    assert record["record_number"] > 0 and record["since"]
    path = f"/agency/patients/{patient.ids['patient_id']}"
    seen = village.agent.ask("GET", path)
    assert seen["record"] == record and seen["created"]["account_id"]


def test_a_professional_sees_who_the_patient_is_and_a_stranger_nothing(village: Village, patient: Visitor) -> None:
    patient_id = patient.ids["patient_id"]
    doctor, stranger = village.professional("doctor"), village.patient()
    seen = doctor.ask("GET", f"/patients/{patient_id}")
    assert (seen["birth_name"], seen["matricule"]) == (patient.ids["family"], patient.matricule)
    assert not set(CONTACTS) & set(seen)
    problem(doctor.raw("GET", f"/agency/patients/{patient_id}"), 403, "not_allowed")
    problem(doctor.raw("GET", f"/agency/patients/{patient_id}/changes"), 403, "not_allowed")
    for path in (f"/agency/patients/{patient_id}", f"/agency/patients/{patient_id}/changes"):
        problem(stranger.raw("GET", path), 404, "person_not_found")
    problem(stranger.raw("GET", f"/patients/{patient_id}"), 403, "not_allowed")
    problem(patient.raw("PATCH", f"/agency/patients/{patient_id}", json={}, headers={"If-Match": '"1"'}), 403,
            "not_allowed")  # fmt: skip


def test_an_agent_changes_what_they_have_read_and_nothing_newer(village: Village, patient: Visitor) -> None:
    path, agent = f"/agency/patients/{patient.ids['patient_id']}", village.agent
    read = agent.raw("GET", path)
    body = {"marital_status": "divorced", "addresses": [POSTAL]}
    problem(agent.raw("PATCH", path, json=body), 428, "precondition_required")
    changed = agent.raw("PATCH", path, json=body, headers={"If-Match": read.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] == f'"{changed.json()["version"]}"' != read.headers["ETag"]
    for stale in (read.headers["ETag"], f"W/{changed.headers['ETag']}", '"0"', "nonsense"):
        answer = agent.raw("PATCH", path, json={"email": None}, headers={"If-Match": stale})
        problem(answer, 412, "changed_meanwhile")
    assert agent.raw("PATCH", path, json={"phone": "27125018"}, headers={"If-Match": "*"}).status_code == 200
    sheet = agent.ask("GET", path)
    assert (sheet["marital_status"], sheet["email"]) == ("divorced", patient.email)
    newest = patient.ask("GET", "/account/identity-sheet/changes?limit=1")
    assert [(each["field"], each["old"], each["new"], each["by"]) for each in newest["changes"]] == [
        ("phone", None, "+35227125018", "agency")
    ]
    older = patient.ask("GET", f"/account/identity-sheet/changes?limit=100&cursor={newest['next_cursor']}")
    assert {each["field"] for each in older["changes"]} == {"marital_status", "address:postal", "address:temporary"}


@pytest.mark.parametrize(
    ("language", "word"),
    [("fr", "treizième"), ("lb", "dräizéngt"), ("pt", "décimo terceiro"), ("en", "thirteenth"), ("de", "dreizehnte")],
)
def test_a_wrong_check_digit_is_named_in_every_language(
    village: Village, patient: Visitor, language: str, word: str
) -> None:
    wrong = patient.matricule[:12] + str((int(patient.matricule[12]) + 1) % 10)
    answer = village.agent.raw(
        "POST", f"/agency/patients/{patient.ids['patient_id']}/national-identifier",
        json={"matricule": wrong, "cause": "correction"}, headers={"Accept-Language": language},
    )  # fmt: skip
    [error] = problem(answer, 422, "invalid_input")["errors"]
    assert (error["pointer"], error["code"]) == ("/matricule", "matricule_verhoeff")
    assert word in error["message"]


def test_a_doubtful_birth_date_is_cleared_by_a_check_of_papers(village: Village, patient: Visitor) -> None:
    path, agent = f"/agency/patients/{patient.ids['patient_id']}", village.agent
    other = {"birth_date": "1979-02-03"}
    assert agent.ask("PATCH", path, json=other, headers={"If-Match": "*"})["identity_check_due"] is True
    agent.ask("POST", f"{path}/identity-check", json={"document": "passport"})
    sheet = agent.ask("GET", path)
    assert (sheet["identity_check_due"], sheet["birth_date_evidence"]) == (False, "identity_document")


def test_with_another_matricule_the_person_logs_in_by_the_new_one_alone(village: Village, patient: Visitor) -> None:
    former, new = patient.matricule, any_matricule()
    path = f"/agency/patients/{patient.ids['patient_id']}"
    village.agent.ask("POST", f"{path}/national-identifier", json={"matricule": new, "cause": "correction"})

    def refused() -> bool | None:
        try:
            patient.log_in()
        except UnexpectedAnswer:
            return True
        return None

    wait_for(refused, "the end of the former matricule")
    patient.matricule = new
    patient.secrets.add(former)
    patient.log_in()
    numbers = patient.ask("GET", "/account/identity-sheet")["identifiers"]
    assert [each["value"] for each in numbers][:2] == [new, former]
    assert [each["until"] is None for each in numbers][:2] == [True, False]


def test_who_has_no_matricule_gets_a_record_and_a_letter_too(village: Village) -> None:
    person = village.remember(newcomer(village.town, "patient"))
    sheet = {
        "birth_name": person.ids["family"], "first_names": person.ids["first"], "sex": "M",
        "birth_date": "1985-01-01", "language": "en", "address": HOME, "addresses": [POSTAL],
    }  # fmt: skip
    opened = village.agent.ask("POST", "/agency/openings", json=sheet)
    assert village.town.letter(person.name)
    seen = village.agent.ask("GET", f"/agency/patients/{opened['patient_id']}")
    assert seen["matricule"] is None and seen["record"]["state"] == "open"
