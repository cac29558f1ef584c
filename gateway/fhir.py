"""What all of /fhir has in common (FHIR R4): its kind of JSON, bundles of what was found, refusals in its own form."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from flask import Response, request

from gateway.errors import PROBLEM, STATUS, refused
from gateway.fhir_outcomes import FHIR, FHIR_JSON, outcome
from gateway.forms import FORM
from gateway.operations import bounded_body
from services.refusals import InvalidInput
from services.settings import load

VERSION = "4.0.1"
FORM_LIMIT = 32 * 1024
FORM_FIELDS = 100
_FORMATS = {"json", "application/json", "text/json", FHIR_JSON, "*/*", "application/*", PROBLEM}

_RESOURCE = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string"}}}


def content(description: str, example: dict[str, Any]) -> dict[str, Any]:
    """The content of an answer, for the document of the API."""
    return {FHIR_JSON: {"schema": {**_RESOURCE, "description": description}, "example": example}}


def refusals(codes: tuple[str, ...]) -> dict[int, dict[str, Any]]:
    """The answers of these refusals as OperationOutcome, for the document; `also` of an operation."""
    by_status: dict[int, str] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], code)
    return {
        status: {
            "description": "An OperationOutcome; as a problem where `Accept` asks for that.",
            "content": content("FHIR R4 OperationOutcome.", outcome(status, code, code, [])),
        }
        for status, code in by_status.items()
    }


def base() -> str:
    """The public address of the platform."""
    return load().public_url.rstrip("/")


def require_json() -> None:
    """Refuses: not_acceptable, where another form is asked for than JSON."""
    wanted = request.args.get("_format") or ""
    kinds = [wanted] if wanted else [kind for kind, quality in request.accept_mimetypes if quality > 0]
    if kinds and not any(kind.partition(";")[0].strip().lower() in _FORMATS for kind in kinds):
        raise refused("not_acceptable", allowed=[FHIR_JSON])


def form() -> list[tuple[str, str]]:
    """The parameters of a search in the request's body.

    Refuses: unsupported_media_type, body_too_large, upload_truncated, InvalidInput.
    """
    raw = bounded_body(FORM, FORM_LIMIT, broken="upload_truncated")
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS)
    except ValueError:
        raise InvalidInput(errors=[{"pointer": "", "message": "invalid"}]) from None


def is_strict() -> bool:
    """Whether a parameter that is not understood is to be refused [FHIR R4 3.1.1.3.2]."""
    return "handling=strict" in ",".join(request.headers.getlist("Prefer")).replace(" ", "").replace('"', "").lower()


def answer(resource: dict[str, Any]) -> Response:
    """A resource as the answer."""
    text = json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
    return Response(text, 200, content_type=f"{FHIR_JSON}; fhirVersion=4.0")


def searchset(resources: list[dict[str, Any]], links: dict[str, str]) -> dict[str, Any]:
    """The bundle of a page; how many there are in all is not told: it would tell of what is hidden."""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": relation, "url": url} for relation, url in links.items()],
        "entry": [
            {
                "fullUrl": f"{base()}{FHIR}/{each['resourceType']}/{each['id']}",
                "resource": each,
                "search": {"mode": "match"},
            }
            for each in resources
        ],
    }
