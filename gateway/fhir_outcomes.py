"""Refusals below /fhir, in FHIR's own form: an OperationOutcome with the words and the code of the problem."""

from __future__ import annotations

from typing import Any

from flask import request

FHIR = "/fhir"
FHIR_JSON = "application/fhir+json"

_ISSUES = {
    400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported",
    409: "conflict", 410: "deleted", 413: "too-long", 415: "not-supported", 422: "invalid", 429: "throttled",
    503: "transient",
}  # fmt: skip
_SESSION = {"unauthenticated": "login", "session_ended": "expired"}


def speaks_here(otherwise: str) -> bool:
    """Whether the present request is answered in FHIR: below its address, unless it asks for the other form by name."""
    within = request.path == FHIR or request.path.startswith(f"{FHIR}/")
    return within and not any(kind == otherwise for kind, _ in request.accept_mimetypes)


def of_problem(problem: dict[str, Any]) -> dict[str, Any]:
    """A problem document in the form of an OperationOutcome, with the same words and the same code."""
    code = str(problem["type"]).rpartition(":")[2]
    return outcome(problem["status"], code, problem["detail"], problem.get("errors", []))


def outcome(status: int, code: str, text: str, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """An OperationOutcome [FHIR R4 2.28.1]; each wrong part of the input is an issue of its own."""
    kind = _SESSION.get(code) or _ISSUES.get(status, "exception" if status >= 500 else "processing")
    coded = {"coding": [{"system": "urn:dsp:problem", "code": code}], "text": text}
    severity = "fatal" if status >= 500 else "error"
    said: list[dict[str, Any]] = [{"severity": severity, "code": kind, "details": coded}]
    for error in errors:
        where = error["pointer"].lstrip("/").replace("/", ".")
        place = {"expression": [where]} if where else {}
        said.append({"severity": "error", "code": "value", "diagnostics": error["message"], **place})
    return {"resourceType": "OperationOutcome", "issue": said}
