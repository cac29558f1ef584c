"""Patients: search by matricule. The matricule travels in the body, never in a URL."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import people as shapes

patients = APIBlueprint("patients", __name__, url_prefix="/patients")


@operation(
    patients, "POST", "/searches", summary="Find a patient", answer=shapes.PatientsFound, body=shapes.PatientSearch,
    refuses=("not_allowed",),
)  # fmt: skip
def search_patients(body: dict[str, Any]) -> Any:
    """By the whole matricule; for professionals and agents. Each search is traced."""
    found = ask("directory", "search_patients", **body)["patients"]
    ids = [patient["patient_id"] for patient in found]
    records = ask("dossier", "accessible_records", patient_ids=ids)["records"] if ids else {}
    return {"patients": [{**patient, "record": records.get(patient["patient_id"])} for patient in found]}
