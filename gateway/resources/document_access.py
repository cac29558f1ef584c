"""Whom a document is hidden from, who sees it and why, and what may be deposited in a record."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.resources.documents import ORIGIN
from gateway.schemas import document_access as shapes
from gateway.schemas import records, rights

document_access = APIBlueprint("document_access", __name__)

_DOCUMENT = "/documents/<uuid:document_id>"
_CHANGE_REFUSALS = ("document_not_found", "not_allowed", "document_unfinished")
_WHO = {"professional": "professional_id", "patient": "patient_id", "establishment": "establishment_id"}


# --- restrictions ---------------------------------------------------------------------------------------------------


@operation(
    document_access, "GET", f"{_DOCUMENT}/restrictions", summary="List whom a document is hidden from",
    answer=shapes.DocumentRestrictions, refuses=("document_not_found", "not_allowed"),
)  # fmt: skip
def list_restrictions(document_id: str) -> Any:
    """The professionals from whom the holder's side hides it; for the holder's side."""
    found = ask("documents", "list_restrictions", document_id=document_id)["restrictions"]
    return {"restrictions": named(found, professional="professional_id")}


@operation(
    document_access, "PUT", f"{_DOCUMENT}/restrictions/<uuid:professional_id>",
    summary="Hide a document from a professional", status=204, body=shapes.RestrictionWanted,
    refuses=_CHANGE_REFUSALS,
)  # fmt: skip
def restrict_document(document_id: str, professional_id: str, body: dict[str, Any]) -> Any:
    """By the holder's side, at once, whatever the professional's grounds; an author goes on reading what they wrote."""
    ask("documents", "restrict_document", document_id=document_id, professional_id=professional_id, **body)


@operation(
    document_access, "DELETE", f"{_DOCUMENT}/restrictions/<uuid:professional_id>",
    summary="Show a document to a professional again", status=204, refuses=_CHANGE_REFUSALS,
)  # fmt: skip
def unrestrict_document(document_id: str, professional_id: str) -> Any:
    """By the holder's side; they see it as far as their grounds go."""
    ask("documents", "unrestrict_document", document_id=document_id, professional_id=professional_id)


# --- the patient block ----------------------------------------------------------------------------------------------


@operation(
    document_access, "POST", f"{_DOCUMENT}/patient-block", summary="Block a document for the patient",
    answer=shapes.PatientBlockSet, status=201, body=shapes.PatientBlockWanted, once=True,
    refuses=_CHANGE_REFUSALS,
)  # fmt: skip
def block_document(document_id: str, body: dict[str, Any]) -> Any:
    """By a professional, until it was explained in person: it is absent from all that the holder's side sees."""
    return ask("documents", "block_document", document_id=document_id, **body)


@operation(
    document_access, "GET", f"{_DOCUMENT}/patient-block", summary="Read why a document is blocked for the patient",
    answer=shapes.PatientBlockRead, refuses=("document_not_found", "not_allowed"),
)  # fmt: skip
def read_patient_block(document_id: str) -> Any:
    """Who blocked it, since when and why; for the professionals who may release it."""
    block = ask("documents", "read_patient_block", document_id=document_id)
    return named([block], professional="professional_id")[0]


@operation(
    document_access, "DELETE", f"{_DOCUMENT}/patient-block", summary="Release a document for the patient", status=204,
    refuses=_CHANGE_REFUSALS,
)  # fmt: skip
def release_document(document_id: str) -> Any:
    """By a professional, once it was explained; the access history shows all that happened meanwhile."""
    ask("documents", "release_document", document_id=document_id)


# --- withholding ----------------------------------------------------------------------------------------------------


@operation(
    document_access, "PUT", f"{_DOCUMENT}/withholding", summary="Hide a document from the legal representatives",
    status=204, refuses=_CHANGE_REFUSALS,
)  # fmt: skip
def withhold_document(document_id: str) -> Any:
    """Of a minor whom a physician holds to be autonomous; by the minor, or by a professional who may deposit such."""
    ask("documents", "withhold_document", document_id=document_id)


@operation(
    document_access, "DELETE", f"{_DOCUMENT}/withholding", summary="Show a document to the legal representatives again",
    status=204, refuses=_CHANGE_REFUSALS,
)  # fmt: skip
def show_document(document_id: str) -> Any:
    """By whoever may hide it."""
    ask("documents", "show_document", document_id=document_id)


# --- who sees it ----------------------------------------------------------------------------------------------------


@operation(
    document_access, "GET", f"{_DOCUMENT}/readers", summary="List who can see a document",
    answer=shapes.DocumentReaders, query=shapes.ReadersQuery, refuses=("document_not_found", "not_allowed"),
)  # fmt: skip
def list_readers(document_id: str, query: dict[str, Any]) -> Any:
    """Everybody who can see it now, or could then, on what ground, by which rule; for the holder's side."""
    return {"readers": named(ask("documents", "readers", document_id=document_id, **query)["readers"], **_WHO)}


@operation(
    document_access, "POST", f"{_DOCUMENT}/rights/explain", summary="Ask why somebody may or may not see a document",
    answer=rights.Answered, body=shapes.DocumentQuestion, refuses=("document_not_found", "record_not_found"),
)  # fmt: skip
def explain_document(document_id: str, body: dict[str, Any]) -> Any:
    """The decision, its rule and what would change it, now or then: of anyone for the holder's side, else of me."""
    who = "me" if body["who"] is None else body["who"]
    return ask("documents", "explain_document", document_id=document_id, **{**body, "who": who})


@operation(
    document_access, "GET", "/records/<uuid:record_id>/documents/as/<uuid:professional_id>",
    summary="List documents as a professional sees them", answer=records.Documents, query=records.Page, paged=True,
    refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def list_documents_as(record_id: str, professional_id: str, query: dict[str, Any]) -> Any:
    """For the holder's side: what this professional would list now, which may be nothing."""
    asked = {"limit": query["limit"], "cursor": query.get("cursor")}
    answer = ask("documents", "list_documents_as", record_id=record_id, professional_id=professional_id, **asked)
    return {**answer, "documents": named(answer["documents"], **ORIGIN)}


# --- what may be deposited ------------------------------------------------------------------------------------------


@operation(
    document_access, "GET", "/records/<uuid:record_id>/depositable-types", summary="List the types I may deposit",
    answer=shapes.DepositableTypes, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def list_depositable_types(record_id: str) -> Any:
    """What a deposit of this caller in this record may be, now."""
    return ask("documents", "depositable_types", record_id=record_id)
