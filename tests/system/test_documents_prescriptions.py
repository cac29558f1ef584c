"""eDocuments on the whole platform: a prescription, one pharmacy, the copy that it prints, and the next pharmacy."""

from __future__ import annotations

import io

from pypdf import PdfReader

from deploy.agency import establishment
from deploy.visitors import Visitor, mail_text, wait_for
from services.documents.contract import DISPENSATION_WORDINGS
from services.dossier.contract import RESPONSIBILITY_CONDITIONS, RESPONSIBILITY_WORDINGS
from tests.builders import pdf
from tests.prescriptions import cda, medicine, section
from tests.system.conftest import Village

ACCEPTED = {"risk_accepted": True, "risk_version": max(DISPENSATION_WORDINGS)}
ENGAGED = {
    "reason": "Délivrance au comptoir", "conditions_accepted": list(RESPONSIBILITY_CONDITIONS),
    "wording_version": max(RESPONSIBILITY_WORDINGS),
}  # fmt: skip


def states(who: Visitor, patient: Visitor, state: str = "") -> dict[str, str]:
    asked = f"?state={state}" if state else ""
    found = who.ask("GET", f"/records/{patient.ids['record_id']}/prescriptions{asked}")["prescriptions"]
    return {each["document_id"]: each["dispensation_state"] for each in found}


def test_a_prescription_is_dispensed_in_part_copied_verified_and_dispensed_in_full(village: Village) -> None:
    doctor, patient = village.professional("who prescribes"), village.patient()
    pharmacies = [
        establishment(village.agent, name, "pharmacy") for name in ("Pharmacie du Marché", "Pharmacie du Parc")
    ]
    first, second = (
        village.professional(f"pharmacist of {name}", "pharmacist", there)
        for name, there in zip(("market", "park"), pharmacies, strict=True)
    )
    record = f"/records/{patient.ids['record_id']}"
    village.mandate(doctor, patient, expect=201)
    lines = [{"text": "Amoxicilline 1 g", "quantity": "3", "unit": "boîte"}, {"text": "Bas de contention"}]
    entered = doctor.deposit(
        patient.ids["record_id"], pdf(), type="drug_treatment", title="Ordonnance", details={"lines": lines}
    )["document_id"]
    read = doctor.deposit(
        patient.ids["record_id"], cda(section(medicine("Paracétamol", "2", renewals=1)), until="20991231"),
        type="drug_treatment", title="Ordonnance structurée",
    )["document_id"]  # fmt: skip
    hidden = doctor.deposit(patient.ids["record_id"], pdf("autre"), type="medical_report", title="Rapport")
    dispensations, one = f"/documents/{entered}/dispensations", f"/documents/{entered}/prescription"
    first.ask("POST", dispensations, json={"whole": True, **ACCEPTED}, expect=404)
    first.ask("GET", f"{record}/prescriptions", expect=404)

    first.ask("POST", f"{record}/responsibility-access", json=ENGAGED, expect=201)
    assert states(first, patient) == {entered: "open", read: "open"} == states(first, patient, "open")
    first.ask("GET", f"/documents/{hidden['document_id']}", expect=404)
    assert first.ask("GET", f"/documents/{read}/prescription")["lines"][0]["left"] == "4"
    for wrong in ({"whole": True}, {**ACCEPTED, "whole": True, "risk_accepted": False}, ACCEPTED):
        first.ask("POST", dispensations, json=wrong, expect=422)
    doctor.ask("POST", dispensations, json={"whole": True, **ACCEPTED}, expect=403)
    seen = len(village.town.mails(patient.email))
    key = {"Idempotency-Key": "one-visit"}
    part = {"lines": [{"number": 1, "quantity": "1"}], **ACCEPTED}
    given = first.ask("POST", dispensations, json=part, headers=key, expect=201)
    assert first.ask("POST", dispensations, json=part, headers=key, expect=201) == given
    assert (given["dispensation_state"], given["lines"][0]["left"]) == ("partial", "2")
    village.town.mail(
        patient.email, lambda mail: "dispensation a été" in mail_text(mail) or None, seen, "the news of a dispensation"
    )
    listed = {each["document_id"]: each["dispensation_state"] for each in patient.documents(patient.ids["record_id"])}
    assert listed == {entered: "partial", read: "open", hidden["document_id"]: None}

    path = f"/dispensations/{given['dispensation_id']}"
    answer = first.raw("GET", f"{path}/copy", headers={"Accept-Language": "de"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.headers["Cache-Control"] == "no-store"
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    assert "Beglaubigte Kopie" in text and "Pharmacie du Marché" in text and "Amoxicilline" in text
    assert patient.ids["family"].casefold() in text.casefold()
    code = next(word for word in text.split() if word.count("-") == 2 and len(word) == 20)
    second.ask("GET", f"{path}/copy", expect=404)

    verified = second.ask("GET", f"/dispensations/verification/{code}")
    assert verified["lines"][0]["left"] == "2" and not verified["cancelled"]
    second.ask("GET", f"/dispensations/verification/{code[:-1]}", expect=404)
    doctor.ask("GET", f"/dispensations/verification/{code}", expect=403)
    village.mandate(second, patient, expect=201)
    second.ask("POST", f"{path}/cancellation", json={"reason": "Pas à moi"}, expect=403)
    rest = second.ask("POST", dispensations, json={"whole": True, **ACCEPTED}, expect=201)
    assert rest["dispensation_state"] == "dispensed"
    refused = first.raw("POST", dispensations, json={"whole": True, **ACCEPTED})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:dsp:problem:prescription_dispensed")
    back = first.ask("POST", f"{path}/cancellation", json={"reason": "Erreur de saisie"})
    assert (back["dispensation_state"], back["lines"][0]["left"]) == ("partial", "1")
    shown = patient.ask("GET", one)["dispensations"]
    assert [each["establishment_name"] for each in shown] == ["Pharmacie du Marché", "Pharmacie du Parc"]

    doctor.ask("POST", f"{one}/cancellation", json={"reason": "Traitement arrêté"}, expect=204)
    assert states(patient, patient, "cancelled") == {entered: "cancelled"}
    assert second.ask("POST", dispensations, json=part, expect=409)["type"].endswith("prescription_cancelled")

    def traced() -> bool | None:
        entries = village.history(patient, lambda each: bool(each))
        done = [each["action"] for each in entries if each["object_id"] == entered and each["outcome"] == "allowed"]
        wanted = {"dispensation.created": 2, "dispensation.copied": 1, "dispensation.verified": 1,
                  "dispensation.cancelled": 1, "prescription.cancelled": 1}  # fmt: skip
        return {action: done.count(action) for action in wanted} == wanted or None

    wait_for(traced, "the traces of a dispensation")
