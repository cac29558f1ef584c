"""Mandates on the whole platform: a hospital admits, a laboratory deposits under its order, a code is made anew."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from deploy.agency import establishment
from deploy.software import Software
from deploy.visitors import Visitor
from tests.builders import pdf
from tests.system.conftest import Village

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # joserfc's word to who signs; it has a new name
SCOPES = ["system/Practitioner.rs", "system/Patient.rs", "system/DocumentReference.rs", "system/DocumentReference.c"]


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


def installed(village: Village, who: Visitor, house: str, scope: str) -> Visitor:
    """Attested software of an establishment, with a token for this professional who works there."""
    agent, software = village.agent, Software("ES384")
    manager = {"professional_id": who.ids["professional_id"]}
    agent.ask("POST", f"/agency/organisations/{house}/managers", json=manager)
    wanted = {"name": "Station", "version": "1", "vendor": "Logiciels du Nord", "scopes": [*SCOPES, scope],
              "jwks": software.jwks}  # fmt: skip
    software.client_id = who.ask("POST", f"/organisations/{house}/clients", json=wanted, expect=201)["client_id"]
    for state in ("tested", "in_production"):
        agent.ask("POST", f"/agency/clients/{software.client_id}/state", json={"state": state})
    found = software.discover(village.town.url)
    answer = software.post(
        found["token_endpoint"], found["issuer"], grant_type="client_credentials",
        on_behalf_of=who.ids["professional_id"], purpose_of_use="TREAT",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    machine = Visitor(village.town, "Station", "", "")
    machine.tokens = answer.json()
    return machine


def test_a_hospital_admits_and_its_doctor_reads_until_the_discharge(village: Village) -> None:
    agent, patient = village.agent, village.patient()
    hospital = establishment(agent, "Hôpital des Séjours", "hospital")
    nurse = village.professional("nurse of the ward", "nurse", hospital)
    doctor = village.professional("doctor of the ward", "physician", hospital)
    elsewhere = village.professional("doctor a")
    record = f"/records/{patient.ids['record_id']}"
    patient.deposit(patient.ids["record_id"], pdf("Mes notes"), type="holder_expression", title="Mes notes")

    stay = {"kind": "admission", "reference": "2026/048213"}
    assert problem(nurse.raw("POST", f"{record}/stays", json=stay)) == (403, "not_allowed"), (
        "no emergency service known"
    )
    software = installed(village, nurse, hospital, "system/Encounter.cu")
    assert problem(software.raw("POST", f"{record}/orders", json={"reference": "1"})) == (403, "insufficient_scope")
    assert problem(doctor.raw("GET", record)) == (404, "record_not_found")
    registered = software.ask("POST", f"{record}/stays", json=stay, expect=201)
    assert software.ask("POST", f"{record}/stays", json=stay, expect=201) == registered

    page = doctor.ask("GET", record)
    assert (page["ground"], page["access_until"]) == ("admission", registered["read_until"])
    assert [one["title"] for one in doctor.documents(patient.ids["record_id"])] == ["Mes notes"]
    [mine] = doctor.ask("GET", "/patients/mine")["patients"]
    assert (mine["record_id"], mine["ground"]) == (patient.ids["record_id"], "admission")
    assert mine["patient_name"] is not None and mine["birth_date"] is not None
    assert [one["record_id"] for one in doctor.ask("GET", "/records/latest")["patients"]] == [mine["record_id"]]
    assert problem(elsewhere.raw("GET", record)) == (404, "record_not_found")
    [shown] = patient.ask("GET", f"{record}/mandates")["mandates"]
    assert (shown["establishment_name"], shown["professional_id"]) == ("Hôpital des Séjours", None)

    one = f"{record}/stays/{registered['mandate_id']}"
    assert software.ask("PUT", f"{one}/prolongation", json={"days": 10})["read_until"] > registered["read_until"]
    assert problem(software.raw("PUT", f"{one}/prolongation", json={"days": 31})) == (422, "invalid_input")
    left = software.ask("PUT", f"{one}/discharge")
    assert left["read_until"] == left["closes_at"]
    assert problem(software.raw("PUT", f"{one}/prolongation", json={"days": 30})) == (409, "stay_over")
    assert doctor.ask("GET", record)["may_read"] == []
    assert patient.ask("DELETE", f"{record}/mandates")["count"] == 1
    assert problem(doctor.raw("GET", record)) == (404, "record_not_found")

    def named(entries: list[dict[str, Any]]) -> set[str]:
        return {entry["professional_id"] for entry in entries if entry["ground"] == "admission"}

    def complete(entries: list[dict[str, Any]]) -> bool:
        there = {entry["action"] for entry in entries}
        steps = {"mandate.opened", "mandate.prolonged", "mandate.closed", "mandate.ended"}
        return steps <= there and len(named(entries)) >= 2

    both = {nurse.ids["professional_id"], doctor.ids["professional_id"]}
    assert named(village.history(patient, complete)) == both, "each by name"


def test_a_laboratory_registers_an_order_and_its_result_arrives_directly(village: Village) -> None:
    agent, patient = village.agent, village.patient()
    laboratory = establishment(agent, "Laboratoires du Nord", "laboratory")
    biologist = village.professional("biologist", "medical_biologist", laboratory)
    software = installed(village, biologist, laboratory, "system/ServiceRequest.cu")
    record_id = patient.ids["record_id"]
    record, what = f"/records/{record_id}", {"type": "laboratory_results", "title": "Analyse de sang"}
    assert problem(software.raw("POST", f"{record}/uploads", json=what)) == (404, "record_not_found")
    stay = {"kind": "admission", "reference": "1"}
    assert problem(software.raw("POST", f"{record}/stays", json=stay)) == (403, "insufficient_scope")

    order = software.ask("POST", f"{record}/orders", json={"reference": "LAB-77120"}, expect=201)
    document_id = software.deposit(record_id, pdf("Sang"), **what)["document_id"]
    assert [one["document_id"] for one in patient.documents(record_id)] == [document_id]
    assert [one["document_id"] for one in software.documents(record_id)] == [document_id], "its own"
    patient.deposit(record_id, pdf("Mes notes"), type="holder_expression", title="Mes notes")
    assert [one["document_id"] for one in software.documents(record_id)] == [document_id], "and nothing else"

    validated = software.ask("PUT", f"{record}/orders/{order['mandate_id']}/validation")
    assert validated["closes_at"] is not None
    [listed] = patient.ask("GET", f"{record}/orders")["orders"]
    assert (listed["establishment_name"], listed["reference"]) == ("Laboratoires du Nord", "LAB-77120")
    patient.ask("DELETE", f"{record}/orders/{order['mandate_id']}", expect=204)
    assert problem(software.raw("POST", f"{record}/uploads", json=what)) == (404, "record_not_found")
    assert [one["document_id"] for one in software.documents(record_id)] == [document_id], "as its author still"


def test_a_new_presence_code_voids_the_one_on_the_card(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("doctor with the card")
    path = f"/records/{patient.ids['record_id']}/presence-code"
    before = patient.ask("GET", path)["issued_at"]
    made = patient.ask("POST", path, expect=201)
    village.remember(patient).secrets.add(made["code"])
    assert made["issued_at"] > before and patient.ask("GET", path) == {"issued_at": made["issued_at"]}
    doctor.ask("POST", path, expect=404)
    village.mandate(doctor, patient, expect=403)
    assert village.mandate(doctor, patient, made["code"], expect=201)["kind"] == "presence"
    key = {"Idempotency-Key": "one-card"}
    first = patient.ask("POST", path, headers=key, expect=201)
    patient.secrets.add(first["code"])
    assert patient.ask("POST", path, headers=key, expect=201) == {"code": None, "issued_at": first["issued_at"]}
    assert doctor.ask("GET", f"/records/{patient.ids['record_id']}")["ground"] == "presence"
