"""Uploads: say first what the document is, then put its bytes; a put that failed may be done again."""

import hashlib
from typing import Any

from apiflask import APIBlueprint
from flask import request

from gateway import streams, waiting
from gateway.caller import ask, ask_anew, authenticate, gateway_key
from gateway.errors import refused
from gateway.operations import operation
from gateway.resources.documents import CHANGE_REFUSALS, FILE_REFUSALS, commit
from gateway.schemas import deposits as parts
from gateway.schemas import records as shapes
from gateway.sniffing import HEAD, kind_of, require_declared
from services.documents.contract import MEDIA_TYPES, PART

uploads = APIBlueprint("uploads", __name__)

_BYTES = {
    "schema": {"type": "string", "contentMediaType": "application/octet-stream"},
    "example": "…",
}


@operation(
    uploads, "POST", "/records/<uuid:record_id>/uploads", summary="Prepare an upload", answer=shapes.Upload, status=201,
    body=parts.UploadWanted, once=True,
    refuses=("record_not_found", "record_closed", "type_not_depositable", "author_unknown", "not_allowed"),
)  # fmt: skip
def prepare_upload(record_id: str, body: dict[str, Any]) -> Any:
    """What the document will be; the bytes follow within a day, whole, or in parts where their `size` is told."""
    return {**ask("documents", "prepare_deposit", record_id=record_id, **body), "part_size": PART}


@operation(
    uploads, "PUT", "/uploads/<uuid:upload_id>", summary="Upload the bytes and deposit", answer=shapes.Deposited,
    status=201, parameters=waiting.PARAMETERS, headers=waiting.HEADERS,
    refuses=tuple(dict.fromkeys((*FILE_REFUSALS, *CHANGE_REFUSALS, "changed_meanwhile"))),
    request_body={"required": True, "content": dict.fromkeys((*MEDIA_TYPES, "application/octet-stream"), _BYTES)},
)  # fmt: skip
def put_upload(upload_id: str) -> Any:
    """The raw bytes, with a Content-Length when above 8 MiB. Repeating a put that succeeded gives the same answer."""
    account_id, declared = authenticate().account_id, request.mimetype
    require_declared(declared)
    with streams.uploading(account_id) as body:
        started = ask("documents", "start_upload", upload_id=upload_id, gateway_key=gateway_key())
        received = streams.store(body.blocks(), started, size=body.length, declared=declared)
    return commit(account_id, upload_id, started["version_id"], received)


@operation(
    uploads, "GET", "/uploads/<uuid:upload_id>", summary="Read how far an upload in parts has come",
    answer=parts.UploadInParts, refuses=("upload_not_found",),
)  # fmt: skip
def read_upload(upload_id: str) -> Any:
    """Which parts are there; those that are not are still to be sent, in any order."""
    return ask("documents", "read_upload", upload_id=upload_id)


@operation(
    uploads, "PUT", "/uploads/<uuid:upload_id>/parts/<int:number>", summary="Upload a part", status=204,
    refuses=("upload_not_found", "upload_expired", "part_changed", "body_too_large", "upload_truncated",
             "unsupported_media_type", "upload_too_large", "too_many_uploads"),
    request_body={"required": True, "content": {"application/octet-stream": _BYTES}},
)  # fmt: skip
def put_part(upload_id: str, number: int) -> Any:
    """Part 1 begins at the first byte; each has `part_size` bytes, the last one what is left. May be repeated."""
    with streams.uploading(authenticate().account_id) as body:
        plain = _whole(body)
        if number == 1 and kind_of(plain[:HEAD]) is None:
            raise refused("unsupported_media_type", allowed=list(MEDIA_TYPES))
        said = {"upload_id": upload_id, "number": number}
        measured = {"size": len(plain), "sha256": hashlib.sha256(plain).hexdigest()}
        started = ask_anew("documents", "start_part", **said, **measured, gateway_key=gateway_key())
        etag = streams.store_part(plain, started)
    if etag is not None:
        ask_anew("documents", "finish_part", **said, version_id=started["version_id"], etag=etag)


@operation(
    uploads, "POST", "/uploads/<uuid:upload_id>/completion", summary="Deposit what came in parts",
    answer=shapes.Deposited, status=201, refuses=tuple(
        dict.fromkeys((*FILE_REFUSALS, *CHANGE_REFUSALS, "changed_meanwhile", "parts_missing", "content_damaged"))
    ),
    parameters=waiting.PARAMETERS, headers=waiting.HEADERS,
)  # fmt: skip
def complete_upload(upload_id: str) -> Any:
    """Once every part is there; the file is read through before it is deposited. A repeat gives the same answer."""
    account_id = authenticate().account_id
    joined = ask("documents", "join_parts", upload_id=upload_id, gateway_key=gateway_key())
    if "document_id" in joined:
        return waiting.settled(account_id, upload_id, joined)
    with streams.place(account_id):
        received = streams.read_through(joined)
    return commit(account_id, upload_id, joined["version_id"], received)


def _whole(body: streams.Body) -> bytes:
    """A part, which has to be measured before it is sealed: it is small enough to wait in memory.

    Refuses: body_too_large, upload_truncated.
    """
    if (body.length or 0) > PART:
        raise refused("body_too_large", max_size=PART)
    plain = bytearray()
    while block := body.read(streams.BLOCK):
        plain += block
        if len(plain) > PART:
            raise refused("body_too_large", max_size=PART)
    return bytes(plain)
