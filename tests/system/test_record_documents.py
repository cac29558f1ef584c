"""Hidden documents on the whole platform: from one professional, from the patient; who sees one, why, and as whom."""

from __future__ import annotations

from typing import Any

from deploy.visitors import Visitor
from services.dossier.contract import RISK_WORDINGS
from tests.builders import pdf
from tests.system.conftest import Village
from tests.system.test_journey import deposit

RISK = {"risk_accepted": True, "risk_version": max(RISK_WORDINGS)}


def listed(who: Visitor, path: str) -> list[str]:
    return [item["document_id"] for item in who.ask("GET", path)["documents"]]


def test_a_document_is_hidden_from_a_professional_and_from_the_patient_and_shown_again(village: Village) -> None:
    author, nurse = village.professional("author who hides"), village.professional("nurse who is hidden from", "nurse")
    patient = village.patient()
    record = f"/records/{patient.ids['record_id']}"
    for who in (author, nurse):
        village.mandate(who, patient, expect=201)
    types = author.ask("GET", f"{record}/depositable-types")["types"]
    assert "medical_report" in [each["slug"] for each in types]
    assert "holder_expression" in [each["slug"] for each in patient.ask("GET", f"{record}/depositable-types")["types"]]
    document_id = deposit(author, patient, pdf())
    one, as_nurse = f"/documents/{document_id}", f"{record}/documents/as/{nurse.ids['professional_id']}"

    def explained(asker: Visitor, **asked: Any) -> Any:
        return asker.ask("POST", f"{one}/rights/explain", json={"action": "read", **asked})

    about_nurse = {"who": {"professional_id": nurse.ids["professional_id"]}}
    assert explained(patient, **about_nurse)["ground"] == "presence"
    assert explained(nurse)["allowed"] is True and listed(patient, as_nurse) == [document_id]
    assert {each["ground"] for each in patient.ask("GET", f"{one}/readers")["readers"]} >= {"holder", "presence"}

    restriction = f"{one}/restrictions/{nurse.ids['professional_id']}"
    patient.ask("PUT", restriction, json={"risk_accepted": False, "risk_version": "x"}, expect=422)
    nurse.ask("PUT", restriction, json=RISK, expect=403)
    patient.ask("PUT", restriction, json=RISK, expect=204)
    [row] = patient.ask("GET", f"{one}/restrictions")["restrictions"]
    assert row["professional_id"] == nurse.ids["professional_id"] and row["name"]
    assert nurse.ask("GET", one, expect=404) and listed(nurse, f"{record}/documents") == []
    assert listed(patient, as_nurse) == [] and explained(patient, **about_nurse)["step"] == "restriction"
    named = {each["professional_id"]: each["name"] for each in patient.ask("GET", f"{one}/readers")["readers"]}
    assert nurse.ids["professional_id"] not in named and named[author.ids["professional_id"]]
    patient.ask("DELETE", restriction, expect=204)
    assert listed(nurse, f"{record}/documents") == [document_id]

    block = f"{one}/patient-block"
    patient.ask("POST", block, json={"reason": "x"}, expect=403)
    assert author.ask("POST", block, json={"reason": "À annoncer"}, expect=201)["blocked"] is True
    nurse.ask("GET", one)
    told_why = nurse.ask("GET", block)
    assert told_why["reason"] == "À annoncer" and told_why["professional_id"] == author.ids["professional_id"]
    for path in (one, f"{one}/content", f"{one}/readers", f"{one}/restrictions"):
        patient.ask("GET", path, expect=404)
    patient.ask("POST", f"{one}/rights/explain", json={"action": "read", **about_nurse}, expect=404)
    assert listed(patient, f"{record}/documents") == [] == listed(patient, as_nurse)

    def hidden(entries: list[dict[str, Any]]) -> bool:
        """Not merely not there yet: what the patient did afterwards is."""
        looked = [one for one in entries if one["action"] == "document.searched" and one["patient_id"]]
        return bool(looked) and document_id not in str(entries)

    village.history(patient, hidden)
    patient.ask("PUT", f"{one}/withholding", expect=404)
    author.ask("DELETE", block, expect=204)
    assert listed(patient, f"{record}/documents") == [document_id] == listed(patient, as_nurse)
    patient.ask("PUT", f"{one}/withholding", expect=403)

    def complete(entries: list[dict[str, Any]]) -> bool:
        steps = [each["action"] for each in reversed(entries) if each["object_id"] == document_id]
        ends = steps[:1] == ["document.created"] and "document.released" in steps
        return ends and "document.blocked" in steps and "document.read" in steps[steps.index("document.blocked") :]

    village.history(patient, complete)
