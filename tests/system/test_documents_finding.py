"""Finding on the whole platform: the tree, a narrowed list, the search by words; sought words stand nowhere."""

from __future__ import annotations

import json

from deploy.visitors import Visitor, wait_for
from tests.builders import pdf
from tests.system.conftest import Village
from tests.system.test_journey import deposit


def test_documents_are_found_by_folder_by_what_is_known_and_by_words(village: Village) -> None:
    author, nurse = village.professional("author who is found"), village.professional("nurse who finds", "nurse")
    patient = village.patient()
    record = f"/records/{patient.ids['record_id']}"
    for who in (author, nurse):
        village.mandate(who, patient, expect=201)
    first, second = deposit(author, patient, pdf("Serologie")), deposit(author, patient, pdf("Autre"))

    def counts(who: Visitor) -> dict[str, int]:
        folders = who.ask("GET", f"{record}/tree")["folders"]
        assert len(folders) == 12
        return {one["folder"]: one["count"] for one in folders if one["count"]}

    def listed(who: Visitor, query: str) -> list[str]:
        return [one["document_id"] for one in who.ask("GET", f"{record}/documents?{query}")["documents"]]

    def search(who: Visitor, query: str, **changes: object) -> list[str]:
        answer = who.ask("POST", f"{record}/documents/search", json={"query": query, **changes})
        assert all(one["title_pieces"] for one in answer["documents"])
        return [one["document_id"] for one in answer["documents"]]

    assert counts(patient) == counts(nurse) == {"medical_data": 2}
    assert listed(nurse, f"author={author.ids['professional_id']}&order=acted&limit=1") == [second]
    assert listed(nurse, "type=imaging") == [] and listed(nurse, "folder=medical_data") == [second, first]
    nurse.ask("GET", f"{record}/documents?type=nonsense", expect=422)
    nurse.ask("GET", f"{record}/documents?order=best", expect=422)
    assert nurse.raw("GET", f"/documents/{first}/content").status_code == 200
    assert listed(nurse, "new_to_me=true") == [second] and listed(patient, "new_to_me=true") == [second, first]

    assert search(patient, "RAPPORTS") == [second, first] and search(patient, "rapports", limit=1) == [second]
    assert wait_for(lambda: search(patient, author.name) or None, "the author's name") == [second, first]
    nurse.ask("POST", f"{record}/documents/search", json={"query": "!"}, expect=422)
    nurse.ask("POST", f"{record}/documents/search", json={"query": "x", "cursor": "x"}, expect=422)
    stranger = village.professional("stranger who finds nothing")
    for path in (f"{record}/tree", f"{record}/documents?type=imaging"):
        stranger.ask("GET", path, expect=404)
    stranger.ask("POST", f"{record}/documents/search", json={"query": "rapport"}, expect=404)

    for process in ("gateway", "documents"):
        lines = json.dumps(village.platform.log_lines(process)).lower()
        assert "search" in lines and "rapports" not in lines
