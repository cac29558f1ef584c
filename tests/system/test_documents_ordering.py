"""Order in a record on the whole platform: binders, what is new, the timeline, and rights about documents."""

from __future__ import annotations

from typing import Any

from deploy.visitors import Visitor, wait_for
from services.db import new_id
from services.documents.contract import CDA
from services.dossier.contract import RISK_WORDINGS
from tests.builders import pdf
from tests.cda_documents import PROBLEMS, cda, problem, section
from tests.system.conftest import Village
from tests.system.test_journey import deposit

RISK = {"risk_accepted": True, "risk_version": max(RISK_WORDINGS)}
ASTHMA = cda(section(PROBLEMS, problem("J45", "Asthme", "20190811")))


def put_cda(who: Visitor, record: str) -> str:
    """Deposits a patient summary that has a coded entry."""
    said = {"type": "patient_summary", "title": "Synthèse", "act_date": "2021-05-06"}
    upload = who.ask("POST", f"{record}/uploads", json=said, expect=201)
    put = who.raw("PUT", f"/uploads/{upload['upload_id']}", data=ASTHMA, headers={"Content-Type": CDA})
    assert put.status_code == 201, put.text
    return str(put.json()["document_id"])


def test_documents_are_put_in_order_and_what_happened_is_told_in_time(village: Village) -> None:
    author, reader = village.professional("author who is ordered"), village.professional("nurse who orders", "nurse")
    patient = village.patient()
    record = f"/records/{patient.ids['record_id']}"
    for who in (author, reader):
        village.mandate(who, patient, expect=201)
    first, second = deposit(author, patient, pdf("Un")), deposit(author, patient, pdf("Deux"))

    def listed(who: Visitor, query: str = "") -> list[str]:
        return [one["document_id"] for one in who.ask("GET", f"{record}/documents?{query}")["documents"]]

    binder = reader.ask("POST", f"{record}/binders", json={"name": "Cardiologie"}, expect=201)["binder_id"]
    reader.ask("PUT", f"/binders/{binder}/documents/{first}", expect=204)
    assert listed(reader, f"binder_id={binder}") == [first] and listed(reader) == [second, first]
    assert listed(author, f"binder_id={binder}") == [] == listed(author, f"binder_id={new_id()}")
    reader.ask("GET", f"{record}/documents?binder_id=x", expect=422)
    for other in (author, patient):
        assert other.ask("GET", f"{record}/binders")["binders"] == []
        for path in (f"/binders/{binder}", f"/binders/{new_id()}"):
            other.ask("PATCH", path, json={"name": "Autre"}, expect=404)
            other.ask("PUT", f"{path}/documents/{first}", expect=404)
            other.ask("DELETE", path, expect=404)
    assert reader.ask("PATCH", f"/binders/{binder}", json={"name": "Cœur"})["documents"] == 1
    reader.ask("DELETE", f"/binders/{binder}/documents/{first}", expect=204)
    reader.ask("DELETE", f"/binders/{binder}", expect=204)
    assert listed(reader) == [second, first]

    page = patient.ask("GET", f"{record}/documents?new_since_visit=true")
    assert page["new_since"] is None and [each["new"] for each in page["documents"]] == [True, True]
    assert listed(author, "new_since_visit=true") == [] and listed(author) == [second, first]
    patient.ask("GET", f"{record}/documents?new_since_visit=yes", expect=422)

    summary = put_cda(author, record)
    timeline = f"{record}/timeline"

    def told(who: Visitor, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = who.ask("GET", f"{timeline}?{query}")["items"]
        return found

    wait_for(lambda: told(patient, "kinds=risk_factor") or None, "the entry that was read")
    [entry] = told(patient, "kinds=risk_factor")
    assert (entry["entry"]["display"], entry["document"]["document_id"]) == ("Asthme", summary)
    assert entry["document"]["author_name"] and entry["at"].startswith("2019-08-11") and entry["day_only"]
    everything = told(patient)
    assert {each["kind"] for each in everything} == {"document", "risk_factor", "state", "mandate"}
    mandates = told(patient, "kinds=mandate,state")
    assert len(mandates) == 4 and all(each["mandate"]["name"] for each in mandates if each["mandate"])
    [own] = told(reader, "kinds=mandate")
    assert own["mandate"]["professional_id"] == reader.ids["professional_id"]
    pages = patient.raw("GET", f"{timeline}?limit=2")
    assert 'rel="next"' in pages.headers["Link"] and pages.json()["items"] == everything[:2]
    patient.ask("GET", f"{timeline}?kinds=other", expect=422)
    village.professional("stranger to the order").ask("GET", timeline, expect=404)
    patient.ask("PUT", f"/documents/{summary}/restrictions/{reader.ids['professional_id']}", json=RISK, expect=204)
    assert told(reader, "kinds=risk_factor") == [] and told(patient, "kinds=risk_factor") == [entry]

    def traced(entries: list[dict[str, Any]]) -> bool:
        looks = [each for each in entries if each["action"] == "timeline.read" and each["outcome"] == "allowed"]
        theirs = [each for each in looks if each["professional_id"] == reader.ids["professional_id"]]
        return len(theirs) == 2 and all(each["count"] is None or each["patient_id"] for each in looks)

    village.history(patient, traced)


def test_rights_about_documents_say_clearly_what_cannot_be_asked(village: Village) -> None:
    author, patient = village.professional("author who is asked about"), village.patient()
    record = f"/records/{patient.ids['record_id']}"
    village.mandate(author, patient, expect=201)
    document_id = deposit(author, patient, pdf())
    one = f"/documents/{document_id}"

    def explained(who: Any, **expect: Any) -> Any:
        return patient.ask("POST", f"{one}/rights/explain", json={"action": "read", "who": who}, **expect)

    assert explained(None)["ground"] == "holder" and explained({"patient_id": new_id()})["allowed"] is False
    explained({}, expect=422)
    explained({"patient_id": new_id(), "professional_id": new_id()}, expect=422)
    now = patient.ask("GET", one)["deposited_at"]
    assert patient.ask("GET", f"{one}/readers?moment={now}")["readers"]
    patient.ask("GET", f"{one}/readers?moment=2020-01-01T00:00:00Z", expect=422)
    author.ask("GET", f"{one}/readers?moment={now}", expect=403)
    patient.ask("PUT", f"{one}/restrictions/{new_id()}", json=RISK, expect=422)
    level = {"value": "private", "folder": "no_such_folder"}
    patient.ask("PUT", f"{record}/settings/default_level", json=level, expect=422)
    patient.ask("PUT", f"{record}/settings/default_level", json={**level, "folder": "imaging"})
