"""eDocuments: prescriptions by state, what is dispensed of them, and the certified copy of a partial dispensation."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, g

from gateway import certified_copy
from gateway.caller import ask
from gateway.errors import catalogue
from gateway.names import named
from gateway.operations import operation
from gateway.resources.documents import AUTHOR
from gateway.schemas import prescriptions as shapes
from services.refusals import Unavailable

prescriptions = APIBlueprint("prescriptions", __name__)

_PDF = {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}
_OVER = ("not_a_prescription", "prescription_cancelled", "prescription_dispensed")


@operation(
    prescriptions, "GET", "/records/<uuid:record_id>/prescriptions", summary="List prescriptions by state",
    answer=shapes.Prescriptions, query=shapes.PrescriptionPage, paged=True,
    refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def list_prescriptions(record_id: str, query: dict[str, Any]) -> Any:
    """Those that the caller sees, newest first, each line with what is left of it."""
    answer = ask("documents", "list_prescriptions", record_id=record_id, **query)
    return {**answer, "prescriptions": named(answer["prescriptions"], **AUTHOR)}


@operation(
    prescriptions, "GET", "/documents/<uuid:document_id>/prescription", summary="Read a prescription's lines",
    answer=shapes.PrescriptionRead, refuses=("document_not_found", "not_a_prescription"),
)  # fmt: skip
def read_prescription(document_id: str) -> Any:
    """With what was given, when and where."""
    [found] = named([ask("documents", "read_prescription", document_id=document_id)], **AUTHOR)
    given = named(found["dispensations"], professional="professional_id", establishment="establishment_id")
    return {**found, "dispensations": given}


@operation(
    prescriptions, "POST", "/documents/<uuid:document_id>/prescription/cancellation",
    summary="Cancel a prescription", status=204, body=shapes.Reason, once=True,
    refuses=("document_not_found", "not_allowed", *_OVER),
)  # fmt: skip
def cancel_prescription(document_id: str, body: dict[str, Any]) -> Any:
    """By who wrote it: nothing more of it is dispensed."""
    ask("documents", "cancel_prescription", document_id=document_id, **body)


@operation(
    prescriptions, "POST", "/documents/<uuid:document_id>/dispensations", summary="Mark a prescription as dispensed",
    answer=shapes.Dispensed, status=201, body=shapes.ToDispense, once=True,
    refuses=("document_not_found", "not_allowed", *_OVER, "prescription_expired", "quantity_not_left",
             "changed_meanwhile"),
)  # fmt: skip
def dispense(document_id: str, body: dict[str, Any]) -> Any:
    """All that is left, or line by line, by professions that dispense. The holder is told."""
    return ask("documents", "dispense", document_id=document_id, **body)


@operation(
    prescriptions, "POST", "/dispensations/<uuid:dispensation_id>/cancellation", summary="Take a dispensation back",
    answer=shapes.Dispensed, body=shapes.Reason, once=True,
    refuses=("dispensation_not_found", "not_allowed", "dispensation_cancelled", "dispensation_final"),
)  # fmt: skip
def cancel_dispensation(dispensation_id: str, body: dict[str, Any]) -> Any:
    """By the same pharmacy, within a day; so much is left again."""
    return ask("documents", "cancel_dispensation", dispensation_id=dispensation_id, **body)


@operation(
    prescriptions, "GET", "/dispensations/<uuid:dispensation_id>/copy", summary="Print the certified copy",
    answer=_PDF, refuses=("dispensation_not_found", "dispensation_cancelled"),
)  # fmt: skip
def print_copy(dispensation_id: str) -> Any:
    """Made for this request and kept nowhere; in the language of the request."""
    copy = ask("documents", "read_copy", dispensation_id=dispensation_id)
    [copy] = named([copy], professional="professional_id", establishment="establishment_id", name="dispenser_name")
    [copy] = named([copy], professional="author_id", name="author_name", profession=None)
    [copy] = named([copy], patient="patient_id", name="patient_name", profession=None)
    if copy["establishment_name"] is None:  # nobody certifies a copy that says not who gave it
        raise Unavailable(service="directory")
    sheet = certified_copy.sheet(copy, catalogue(g.context.locale)["certified_copy"], g.context.locale)
    return Response(sheet, content_type="application/pdf", headers={"Cache-Control": "no-store"})


@operation(
    prescriptions, "GET", "/dispensations/verification/<code>", summary="Verify a certified copy",
    answer=shapes.CopyVerified, refuses=("copy_not_genuine", "not_allowed", "too_many_tries"),
)  # fmt: skip
def verify_copy(code: str) -> Any:
    """For professions that dispense, with the paper in hand: what is left. Needs no ground, tells of no person."""
    return ask("documents", "verify_copy", code=code)
