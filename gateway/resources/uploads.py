"""Uploads: say first what the document is, then put its bytes; a put that failed may be done again."""

from typing import Any

from apiflask import APIBlueprint
from flask import request

from gateway import streams
from gateway.caller import ask, authenticate, gateway_key
from gateway.operations import operation
from gateway.resources.documents import FILE_REFUSALS, commit
from gateway.schemas import records as shapes
from gateway.sniffing import require_declared
from services.documents.contract import MEDIA_TYPES

uploads = APIBlueprint("uploads", __name__)

_BYTES = {
    "schema": {"type": "string", "contentMediaType": "application/octet-stream"},
    "example": "…",
}


@operation(
    uploads, "POST", "/records/<uuid:record_id>/uploads", summary="Prepare an upload", answer=shapes.Upload, status=201,
    body=shapes.Metadata, once=True, refuses=("record_not_found", "type_not_depositable"),
)  # fmt: skip
def prepare_upload(record_id: str, body: dict[str, Any]) -> Any:
    """What the document will be; the bytes follow within a day."""
    return ask("documents", "prepare_deposit", record_id=record_id, **body)


@operation(
    uploads, "PUT", "/uploads/<uuid:upload_id>", summary="Upload the bytes and deposit", answer=shapes.Deposited,
    status=201, refuses=FILE_REFUSALS,
    request_body={"required": True, "content": dict.fromkeys((*MEDIA_TYPES, "application/octet-stream"), _BYTES)},
)  # fmt: skip
def put_upload(upload_id: str) -> Any:
    """The raw bytes, with a Content-Length when above 8 MiB. Repeating a put that succeeded gives the same answer."""
    account_id, declared = authenticate().account_id, request.mimetype
    require_declared(declared)
    with streams.uploading(account_id) as body:
        started = ask("documents", "start_upload", upload_id=upload_id, gateway_key=gateway_key())
        received = streams.store(body.blocks(), started, size=body.length, declared=declared)
    return commit(upload_id, started["version_id"], received)
