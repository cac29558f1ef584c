"""A professional's own lists: "Mes patients" and "Mes derniers dossiers"."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask, ask_if_possible
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import my_patients as shapes

my_patients = APIBlueprint("my_patients", __name__)


@operation(
    my_patients, "GET", "/patients/mine", summary="List my patients", answer=shapes.ListedPatients,
    query=shapes.PatientsPage, paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_my_patients(query: dict[str, Any]) -> Any:
    """The records in which one of my grounds runs, or one of my establishment's, the latest first."""
    return _with_names(ask("dossier", "my_patients", **query))


@operation(
    my_patients, "GET", "/records/latest", summary="List my latest records", answer=shapes.ListedPatients,
    query=shapes.PatientsPage, paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_latest_records(query: dict[str, Any]) -> Any:
    """The records I came to last, where a ground still lets me in."""
    return _with_names(ask("dossier", "latest_records", **query))


def _with_names(answer: dict[str, Any]) -> dict[str, Any]:
    """The page with who the patients are, as far as the directory can be asked."""
    lines = named(answer["patients"], patient="patient_id", name="patient_name", profession=None)
    ids = [line["patient_id"] for line in lines]
    born = (ask_if_possible("directory", "birth_dates", patient_ids=ids) if ids else None) or {"birth_dates": {}}
    return {
        **answer,
        "patients": [{**line, "birth_date": born["birth_dates"].get(line["patient_id"])} for line in lines],
    }
