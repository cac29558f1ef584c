"""Patients: the search. What is typed travels in the body, never in a URL."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import patients as shapes

patients = APIBlueprint("patients", __name__, url_prefix="/patients")


@operation(
    patients, "POST", "/searches", summary="Find a patient", answer=shapes.PatientsFound, body=shapes.PatientSearch,
    refuses=("not_allowed", "too_many_tries"),
)  # fmt: skip
def search_patients(body: dict[str, Any]) -> Any:
    """By matricule, or by name, first names and birth date; for professionals and agents, counted and traced."""
    found = ask("directory", "search_patients", **body)
    ids = [patient["patient_id"] for patient in found["patients"]]
    records = ask("dossier", "accessible_records", patient_ids=ids)["records"] if ids else {}
    return {**found, "patients": [_line(each, records[each["patient_id"]]) for each in found["patients"]]}


def _line(patient: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """A patient beside what is said of the record."""
    return {
        **patient,
        "record_id": record["record_id"],
        "record_number": record["record_number"],
        "state": "accessible" if record["accessible"] else "not_accessible",
        "actions": record["actions"],
        "care_pathway": record["admissions"],
    }
