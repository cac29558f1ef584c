"""Names beside ids: filled where directory knows them, null where nobody is or directory cannot be asked."""

from __future__ import annotations

from flask import Flask

from gateway import caller, names
from tests.gateway.conftest import Signer

DOCTOR, PATIENT, PLACE = "p-1", "p-2", "e-1"
FOUND = {
    "professionals": {DOCTOR: {"name": "MÜLLER Anne", "profession": "physician"}},
    "patients": {PATIENT: "DOE Jane"},
    "establishments": {PLACE: "Cabinet du Parc"},
}
FIELDS = ("professional_id", "patient_id", "establishment_id", "name", "profession")


def shown(**item: str | None) -> dict[str, object]:
    return names.filled(item, FOUND, *FIELDS)


def test_a_professional_is_named_with_workplace() -> None:
    entry = shown(professional_id=DOCTOR, patient_id=None, establishment_id=PLACE)
    assert entry["name"] == "MÜLLER Anne" and entry["profession"] == "physician"
    assert entry["establishment_name"] == "Cabinet du Parc"


def test_a_patient_is_named_without_a_profession() -> None:
    entry = shown(professional_id=None, patient_id=PATIENT, establishment_id=None)
    assert (entry["name"], entry["profession"], entry["establishment_name"]) == ("DOE Jane", None, None)


def test_a_profession_of_that_time_stays() -> None:
    assert shown(professional_id=DOCTOR, profession="nurse")["profession"] == "nurse"


def test_whom_directory_does_not_know_has_no_name() -> None:
    assert shown(professional_id="p-9", patient_id="p-9")["name"] is None


def test_without_directory_the_answer_stands_without_names(app: Flask, signer: Signer) -> None:
    with app.test_request_context(headers=signer.header()):
        caller.begin()
        caller.authenticate()
        items = [{"professional_id": DOCTOR, "since": "now"}, {"professional_id": None, "since": "then"}]
        assert names.named(items, professional="professional_id") == [
            {**item, "name": None, "profession": None} for item in items
        ]
