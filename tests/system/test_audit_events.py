"""The access history as FHIR over the real platform, and the proof that no reading went without its trace."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.operationoutcome import OperationOutcome

from deploy.visitors import Visitor
from tests.builders import pdf
from tests.system.conftest import Village


def fhir(village: Village, who: Visitor, path: str, **given: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {who.tokens['access_token']}", "Accept": "application/fhir+json"}
    return requests.get(f"{village.platform.url}/fhir{path}", params=given, headers=headers, timeout=30)


def test_a_history_is_searched_and_read_in_fhir_with_names_and_each_reading_is_traced_once(village: Village) -> None:
    patient, doctor, stranger = village.patient(), village.professional("doctor a"), village.professional("doctor b")
    village.mandate(doctor, patient)
    record_id = patient.ids["record_id"]
    made = doctor.deposit(record_id, pdf("Bilan"), type="medical_report", title="Bilan")
    doctor.ask("GET", f"/documents/{made['document_id']}")
    village.history(patient, lambda found: any(entry["action"] == "document.read" for entry in found))
    whose = f"Patient/{patient.ids['patient_id']}"

    first = fhir(village, patient, "/AuditEvent", _count="2", date="ge2026", patient=whose)
    assert (first.status_code, first.headers["Content-Type"]) == (200, "application/fhir+json; fhirVersion=4.0")
    bundle = first.json()
    Bundle.model_validate(bundle)
    links = {link["relation"]: urlsplit(link["url"]) for link in bundle["link"]}
    assert set(links) == {"self", "next"} and "total" not in bundle
    following = fhir(village, patient, f"/AuditEvent?{links['next'].query}").json()
    ids = [entry["resource"]["id"] for page in (bundle, following) for entry in page["entry"]]
    assert len(set(ids)) == 4

    of_doctor = fhir(village, patient, "/AuditEvent", subtype="urn:dsp:action|document.read").json()
    [event] = [entry["resource"] for entry in of_doctor["entry"]]
    AuditEvent.model_validate(event)
    [user] = [agent for agent in event["agent"] if agent["requestor"]]
    assert user["who"] == {
        "reference": f"Practitioner/{doctor.ids['professional_id']}",
        "display": user["who"]["display"],
    }
    assert doctor.name.split()[0].lower() in user["who"]["display"].lower()
    assert fhir(village, patient, f"/AuditEvent/{event['id']}").json() == event

    for answer in (fhir(village, stranger, "/AuditEvent", patient=whose),
                   fhir(village, stranger, f"/AuditEvent/{event['id']}")):  # fmt: skip
        assert answer.status_code == 404
        OperationOutcome.model_validate(answer.json())
    assert fhir(village, doctor, "/AuditEvent").status_code == 422
    tries = village.history(patient, lambda found: sum(e["outcome"] == "refused" for e in found) >= 2)
    assert {e["reason"] for e in tries if e["outcome"] == "refused"} == {"record_not_found", "entry_not_found"}


def test_every_reading_has_its_one_trace_also_after_a_service_was_killed(village: Village) -> None:
    patient = village.patient()
    record = f"/records/{patient.ids['record_id']}"
    for process in ("audit", "dossier", "documents"):
        for path in (record, f"{record}/documents", f"{record}/access-history", f"{record}/circle"):
            assert patient.raw("GET", path).status_code == 200
        village.platform.kill(process)
        patient.raw("GET", f"{record}/documents")
        village.platform.wait_ready()
    assert village.platform.differences() == []
