"""The OpenAPI 3.1 document, made from the operations and the table of errors; served at openapi.json."""

from __future__ import annotations

import json
from typing import Any, cast

from apiflask import APIFlask
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response

from gateway.errors import STATUS, body
from gateway.schemas.deposits import SubmissionMetadata
from gateway.schemas.records import Metadata
from gateway.schemas.threads import AttachmentWanted

_UUID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"

DESCRIPTION = """
The shared care record over HTTP. Every refusal is an RFC 9457 problem with a stable `type`
(`urn:dsp:problem:<code>`); titles and details follow `Accept-Language` (fr, lb, pt, en, de). What a caller may not
know of does not exist for them: hidden, foreign and unknown are the same 404. Every answered request that names a
record is in the record's access history.

Business software is registered by an organisation, attested by the agency, and gets tokens with `private_key_jwt` on
behalf of a professional who works there (`/.well-known/smart-configuration` says where). Its scopes open: the search of
professionals (`system/Practitioner.rs`), of patients and their records (`system/Patient.rs`), mandates
(`system/Consent.cs`), stays (`system/Encounter.cu`), orders (`system/ServiceRequest.cu`), reading documents
(`system/DocumentReference.rs`) and depositing them (`system/DocumentReference.c`); every other operation is for people,
and refuses it with `insufficient_scope`.
""".strip()

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. Further members depend on the code (`retry_after`, `max_size`, `allowed`, ...).",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "urn:dsp:problem:<code>, stable."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string", "format": "uuid"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer (RFC 6901)."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "Also in log and traces.", "schema": {"type": "string", "format": "uuid"}},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "Bearer (RFC 6750).", "schema": {"type": "string"}},
    "Set-Cookie": {
        "description": "HttpOnly. For LuxTrust's way back (SameSite=Lax), or the stream of news (SameSite=Strict).",
        "schema": {"type": "string"},
    },
    "Link": {"description": 'The next page, `rel="next"` (RFC 8288).', "schema": {"type": "string"}},
    "Preference-Applied": {"description": "The wait that was honoured (RFC 7240).", "schema": {"type": "string"}},
    "ETag": {"description": "The version.", "schema": {"type": "string"}},
    "Accept-Ranges": {"description": "bytes", "schema": {"type": "string"}},
    "Content-Range": {"description": "Which bytes these are.", "schema": {"type": "string"}},
    "Content-Disposition": {"description": "A file name without personal data.", "schema": {"type": "string"}},
    "Repr-Digest": {"description": "SHA-256 of the whole (RFC 9530).", "schema": {"type": "string"}},
}

SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT (Ed25519)"},
    "activation": {"type": "apiKey", "in": "header", "name": "Activation-Token"},
    "provider": {"type": "http", "scheme": "bearer", "description": "The SMS provider's own token."},
    "tracking": {"type": "apiKey", "in": "header", "name": "Tracking-Token"},
}


def register(app: APIFlask, prefix: str) -> None:
    """Sets up the making of the document and serves it."""
    app.config.update(
        OPENAPI_VERSION="3.1.0",
        AUTO_SERVERS=False,
        AUTO_200_RESPONSE=False,
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
        SECURITY_SCHEMES=SECURITY,
    )
    app.info = {"description": DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}}
    app.servers = [{"url": "/"}]
    app.spec_processor(cast("Any", _complete))
    made: list[str] = []

    def openapi() -> Response:
        if not made:
            made.append(json.dumps(app.spec, ensure_ascii=False))
        return Response(made[0], content_type="application/json", headers={"Cache-Control": "no-cache"})

    Flask.add_url_rule(app, f"{prefix}/openapi.json", "openapi", openapi)


def _complete(spec: dict[str, Any]) -> dict[str, Any]:
    """Adds what all operations share, and drops what says nothing."""
    shared = spec.setdefault("components", {})
    shared.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    for name, schema in _parts_of_forms().items():
        shared["schemas"].setdefault(name, schema)
    shared["headers"] = HEADERS
    shared["examples"] = {
        code: {"summary": code, "value": body(code, _detail(code), locale="en", request_id=_UUID)} for code in STATUS
    }
    for operations in spec["paths"].values():
        for operation in operations.values():
            if not operation.get("parameters"):
                operation.pop("parameters", None)
            for answer in operation["responses"].values():
                for empty in ("headers", "content"):
                    if empty in answer and not answer[empty]:
                        del answer[empty]
    return spec


def _parts_of_forms() -> dict[str, Any]:
    """The shapes that stand in a part of a form alone, and so are the body of no operation."""
    spec = APISpec("", "", "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.schema("Metadata", schema=Metadata)
    spec.components.schema("SubmissionMetadata", schema=SubmissionMetadata)
    spec.components.schema("AttachmentWanted", schema=AttachmentWanted)
    schemas: dict[str, Any] = spec.to_dict()["components"]["schemas"]
    return schemas


def _detail(code: str) -> dict[str, Any]:
    """What the detail of a refusal may look like, for its example."""
    details: dict[str, dict[str, Any]] = {
        "invalid_input": {"errors": [{"pointer": "/matricule", "message": "matricule_verhoeff"}]},
        "too_many_tries": {"retry_after": 60},
        "too_many_devices": {"maximum": 20},
        "step_out_of_order": {"next": "conditions"},
        "insufficient_scope": {"scope": "system/Patient.rs"},
        "state_out_of_order": {"state": "requested"},
        "token_refused": {"error": "invalid_client"},
        "unavailable": {"service": "documents"},
        "body_too_large": {"max_size": 1048576},
        "not_acceptable": {"allowed": ["application/dicom+json"]},
        "upload_too_large": {"max_size": 104857600, "media_type": "application/pdf"},
        "parts_missing": {"missing": [2, 3]},
        "unsupported_media_type": {"allowed": ["application/json"]},
        "media_type_not_allowed": {"allowed": ["application/pdf"]},
        "range_not_satisfiable": {"size": 48213},
        "password_too_short": {"minimum": 12},
        "password_too_long": {"maximum": 128},
        "image_too_large": {"max_pixels": 200000000},
        "file_truncated": {"media_type": "application/pdf"},
    }
    return details.get(code, {})
