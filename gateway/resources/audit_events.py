"""The access history in FHIR R4: search and read of AuditEvents in the patterns of IHE BALP (ITI-81)."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from gateway import fhir, fhir_search
from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import audit_events as shapes

audit_events = APIBlueprint("audit_events", __name__)

_COMMON = ("unauthenticated", "insufficient_scope", "not_acceptable", "too_many_requests", "internal", "unavailable")
_SEARCHED = ("record_not_found", "record_closed", "not_acceptable", "invalid_input")
_READ = ("entry_not_found", "record_closed", "not_acceptable")
_MATTERS = ("professional_id", "patient_id", "establishment_id")


@operation(
    audit_events, "GET", "/AuditEvent", summary="Search for audit events", answer=shapes.BUNDLE, refuses=_SEARCHED,
    parameters=shapes.PARAMETERS, also=fhir.refusals((*_SEARCHED, *_COMMON)),
)  # fmt: skip
def search_audit_events() -> Response:
    """Of one patient's record, newest first: what the reader's access history shows, and nothing else (ITI-81)."""
    return _found(list(request.args.items(multi=True)))


@operation(
    audit_events, "POST", "/AuditEvent/_search", summary="Search for audit events by a form", answer=shapes.BUNDLE,
    refuses=(*_SEARCHED, "body_too_large"), request_body=shapes.FORM,
    also=fhir.refusals((*_SEARCHED, *_COMMON, "body_too_large", "unsupported_media_type", "upload_truncated")),
)  # fmt: skip
def search_audit_events_by_form() -> Response:
    """The same with its parameters in the body, so that nobody on the way logs them [FHIR R4 3.1.0.9]."""
    return _found([*request.args.items(multi=True), *fhir.form()])


def _found(pairs: fhir_search.Pairs) -> Response:
    fhir.require_json()
    asked, understood = fhir_search.read(pairs, strict=fhir.is_strict())
    paging = {name: asked.pop(name) for name in ("limit", "cursor", "patient_id") if name in asked}
    page = ask("audit", "audit_events", base=fhir.base(), asked=asked, **paging)
    here = f"{fhir.base()}{fhir.FHIR}/AuditEvent"
    links = {"self": fhir_search.link(here, understood)}
    if page["next_cursor"]:
        links["next"] = fhir_search.link(here, understood, page["next_cursor"])
    return fhir.answer(fhir.searchset(_named(page["events"]), links))


@operation(
    audit_events, "GET", "/AuditEvent/<uuid:event_id>", summary="Read an audit event", answer=shapes.EVENT,
    refuses=_READ, also=fhir.refusals((*_READ, *_COMMON)),
)  # fmt: skip
def read_audit_event(event_id: str) -> Response:
    """One event of a history that the reader may read; any other is unknown."""
    fhir.require_json()
    event = ask("audit", "audit_event", base=fhir.base(), entry_id=event_id)
    return fhir.answer(_named([event])[0])


@operation(
    audit_events, "GET", "/metadata", summary="Read what /fhir can do", answer=shapes.CAPABILITIES, token=False,
)  # fmt: skip
def read_capabilities() -> Response:
    """The CapabilityStatement of the FHIR interface."""
    return fhir.answer(shapes.capabilities(fhir.base()))


def _named(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The resources with the names of the people and places in them, as far as directory tells."""
    shown = named(events, professional="professional_id", patient="patient_id", establishment="establishment_id",
                  profession=None)  # fmt: skip
    for each in shown:
        for agent in each["resource"]["agent"]:
            kind = agent["who"].get("reference", "").partition("/")[0]
            name = each["establishment_name"] if kind == "Organization" else each["name"]
            if kind in ("Organization", "Practitioner", "Patient") and name:
                agent["who"]["display"] = name
    return [each["resource"] for each in shown]
