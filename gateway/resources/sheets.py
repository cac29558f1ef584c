"""Identity sheets: the patient's own, any for the agency, who somebody is for professionals; changing and checking."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import sheets as shapes
from gateway.schemas.records import Page

sheets = APIBlueprint("sheets", __name__)

OWN = "/account/identity-sheet"
ANY = "/agency/patients/<uuid:patient_id>"


# --- reading ----------------------------------------------------------------------------------------------------------


@operation(
    sheets, "GET", OWN, summary="Read my identity sheet", answer=shapes.Sheet, tagged=True,
    refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def read_own_sheet() -> Any:
    """Identification, contact, addresses, state of the record, who wrote the sheet and when."""
    return _with_record(ask("directory", "read_sheet"))


@operation(
    sheets, "GET", f"{OWN}/changes", summary="List changes of my identity sheet", answer=shapes.SheetChanges,
    query=Page, paged=True, refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def list_own_sheet_changes(query: dict[str, Any]) -> Any:
    """When, by the agency or a feed, with which software, and from what to what."""
    return ask("directory", "sheet_changes", limit=query["limit"], cursor=query.get("cursor"))


@operation(
    sheets, "GET", ANY, summary="Read a patient's identity sheet", answer=shapes.Sheet, tagged=True,
    refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def read_sheet(patient_id: str) -> Any:
    """For agents; a patient finds their own here too, and nobody else's."""
    return _with_record(ask("directory", "read_sheet", patient_id=patient_id))


@operation(
    sheets, "GET", f"{ANY}/changes", summary="List changes of a patient's identity sheet",
    answer=shapes.SheetChanges, query=Page, paged=True, refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def list_sheet_changes(patient_id: str, query: dict[str, Any]) -> Any:
    """Newest first, field by field: who, when, with which software, from what to what."""
    page = {"limit": query["limit"], "cursor": query.get("cursor")}
    return ask("directory", "sheet_changes", patient_id=patient_id, **page)


@operation(
    sheets, "GET", "/patients/<uuid:patient_id>", summary="Identify a patient", answer=shapes.PatientIdentified,
    tagged=True, refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def identify_patient(patient_id: str) -> Any:
    """For professionals: names, sex, birth and matricule. Contacts and addresses are shown to the agency and the
    patient alone."""
    return ask("directory", "identify_patient", patient_id=patient_id)


# --- changing ---------------------------------------------------------------------------------------------------------


@operation(
    sheets, "PATCH", ANY, summary="Change a patient's identity sheet", answer=shapes.SheetVersion,
    body=shapes.SheetChange, once=True, conditional=True, tagged=True,
    refuses=("not_allowed", "person_not_found", "identifier_taken"),
)  # fmt: skip
def change_sheet(patient_id: str, version: int | None, body: dict[str, Any]) -> Any:
    """Only the fields given, each with its line in the history; saying the same again changes nothing."""
    return ask("directory", "change_sheet", patient_id=patient_id, version=version, changes=body)


@operation(
    sheets, "POST", f"{ANY}/identity-check", summary="Note an identity check", answer=shapes.SheetVersion,
    body=shapes.SheetCheck, once=True, tagged=True, refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def check_sheet(patient_id: str, body: dict[str, Any]) -> Any:
    """An agent compared the sheet with this document: the birth date rests on it from now on."""
    return ask("directory", "check_identity", patient_id=patient_id, **body)


@operation(
    sheets, "POST", f"{ANY}/national-identifier", summary="Change a patient's matricule", answer=shapes.SheetVersion,
    body=shapes.MatriculeChange, once=True, tagged=True,
    refuses=("not_allowed", "person_not_found", "patient_exists"),
)  # fmt: skip
def change_matricule(patient_id: str, body: dict[str, Any]) -> Any:
    """The former one stays in the history for ever. Within moments the person logs in with the new one alone."""
    return ask("directory", "change_matricule", patient_id=patient_id, **body)


def _with_record(sheet: dict[str, Any]) -> dict[str, Any]:
    return {**sheet, **ask("dossier", "record_facts", patient_id=sheet["patient_id"])}
