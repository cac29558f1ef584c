"""The three histories on the whole platform: in the reader's words, within what they may see, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deploy.visitors import Visitor, wait_for
from services.dossier.contract import RISK_WORDINGS
from tests.builders import pdf
from tests.system.conftest import Village


def of_record(patient: Visitor, view: str) -> str:
    return f"/records/{patient.ids['record_id']}/{view}"


def referring_physician(village: Village, patient: Visitor) -> Visitor:
    """The patient's referring physician, as the health fund tells it."""
    who = village.professional("doctor of the histories")
    line = {"record_id": patient.ids["record_id"], "professional_id": who.ids["professional_id"],
            "effective_on": datetime.now(ZoneInfo("Europe/Luxembourg")).date().replace(day=1).isoformat()}  # fmt: skip
    answer = village.agent.ask("POST", "/agency/referring-physicians/feed", json={"lines": [line]})
    assert answer["lines"][0]["outcome"] == "added"
    return who


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


@pytest.fixture(scope="module")
def document_id(village: Village, patient: Visitor) -> str:
    author = village.professional("author of the histories")
    village.mandate(author, patient, expect=201)
    said = {"type": "medical_report", "title": "Compte rendu"}
    made = author.deposit(patient.ids["record_id"], pdf("Historique"), **said)
    assert author.raw("GET", f"/documents/{made['document_id']}/content").status_code == 200
    return str(made["document_id"])


def about(who: Visitor, patient: Visitor, document_id: str, view: str = "access-history") -> list[dict[str, Any]]:
    path = of_record(patient, view) + f"?object_id={document_id}&limit=100"
    return [entry for entry in who.ask("GET", path)["entries"] if entry["object_id"] == document_id]


def test_the_holder_reads_who_did_what_in_their_own_language(
    village: Village, patient: Visitor, document_id: str
) -> None:
    author = village.professional("author of the histories")

    def opened() -> dict[str, Any] | None:
        found = about(patient, patient, document_id)
        told = [entry for entry in found if entry["action"] == "document.opened" and entry["document_type"]]
        return told[0] if told else None

    entry = wait_for(opened, "the opening, and the type of the document")
    assert entry["words"]["action"] == "Ouverture d'un document"
    assert entry["words"]["document"] == "Rapports médicaux"
    assert author.name.casefold() in entry["words"]["who"].casefold() and "Médecin" in entry["words"]["who"]
    assert "Cabinet de la Place" in entry["text"] and "code de présence" in entry["text"]
    for language, words in {"de-LU": "Öffnen eines Dokuments", "pt": "Abertura de um documento",
                            "lb": "Opmaache vun engem Dokument", "en": "Opening of a document"}.items():  # fmt: skip
        answer = patient.raw("GET", of_record(patient, "access-history") + f"?object_id={document_id}",
                             headers={"Accept-Language": language})  # fmt: skip
        assert words in {each["words"]["action"] for each in answer.json()["entries"]}, language


def test_activity_and_chronology_show_the_same_past_otherwise(
    village: Village, patient: Visitor, document_id: str
) -> None:
    author = village.professional("author of the histories").ids["professional_id"]
    activity = wait_for(lambda: about(patient, patient, document_id, "activity") or None, "the activity")
    assert [entry["action"] for entry in activity] == ["document.created"]
    answer = patient.ask("GET", of_record(patient, "chronology") + f"?professional_id={author}&limit=1")
    [line] = [line for line in answer["lines"] if line["professional_id"] == author][:1]
    did = {done["action"]: done for done in line["did"]}
    assert did["document.opened"]["times"] == 1 and did["document.opened"]["text"] == "Ouverture d'un document"
    assert line["name"] and line["who"].startswith(line["name"]) and line["grounds"] == ["presence"]


def test_the_referring_physician_reads_all_of_it_but_what_is_hidden_from_them(
    village: Village, patient: Visitor, document_id: str
) -> None:
    referring, author = referring_physician(village, patient), village.professional("author of the histories")
    wait_for(lambda: about(referring, patient, document_id) or None, "the lines on the document")
    assert {entry["professional_id"] for entry in about(author, patient, document_id)} == {
        author.ids["professional_id"]
    }
    hiding = f"/documents/{document_id}/restrictions/{referring.ids['professional_id']}"
    patient.ask("PUT", hiding, json={"risk_accepted": True, "risk_version": next(iter(RISK_WORDINGS))})
    wait_for(lambda: not about(referring, patient, document_id) or None, "the lines to be hidden")
    for view in ("access-history", "activity", "chronology"):
        assert document_id not in referring.raw("GET", of_record(patient, view)).text
    patient.ask("DELETE", hiding)
    wait_for(lambda: about(referring, patient, document_id) or None, "the lines to be there again")


def test_what_narrows_a_history_is_checked_and_each_view_is_traced(village: Village, patient: Visitor) -> None:
    for asked, pointer in {"since=yesterday": "/since", "group=everything": "/group", "ground=x": "/ground"}.items():
        for view in ("access-history", "activity", "chronology"):
            refused = patient.raw("GET", of_record(patient, view) + f"?{asked}")
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    views = {"access_history", "activity_history", "chronology"}
    stranger = village.professional("doctor of nobody")
    for view in ("access-history", "activity", "chronology"):
        patient.ask("GET", of_record(patient, view))
        assert stranger.raw("GET", of_record(patient, view)).status_code == 404

    def readings(found: list[dict[str, Any]]) -> dict[str, set[str]]:
        return {outcome: {each["object_type"] for each in found if each["action"] == "log.read"
                          and each["outcome"] == outcome} for outcome in ("allowed", "refused")}  # fmt: skip

    village.history(patient, lambda found: readings(found) == {"allowed": views, "refused": views})
