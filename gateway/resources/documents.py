"""Documents of a record: deposit in one request, list, read, download, change the level."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from gateway import content, multipart, streams
from gateway.caller import ask, ask_anew, authenticate, gateway_key
from gateway.names import named
from gateway.operations import JSON, loaded, operation
from gateway.schemas import records as shapes
from services.documents.contract import MEDIA_TYPES

documents = APIBlueprint("documents", __name__)

AUTHOR: dict[str, Any] = {"professional": "author_id", "name": "author_name", "profession": "author_profession"}
FILE_REFUSALS = (
    "unsupported_media_type", "media_type_not_allowed", "upload_empty", "upload_too_large", "file_encrypted",
    "file_truncated", "image_too_large", "too_many_uploads", "upload_incomplete", "upload_expired", "upload_not_found",
    "record_not_found", "record_closed", "type_not_depositable", "length_required",
)  # fmt: skip
"""What can be refused while the bytes of a deposit come in and are committed."""


@operation(
    documents, "POST", "/records/<uuid:record_id>/documents", summary="Deposit a document", answer=shapes.Deposited,
    status=201, once=True, refuses=(*FILE_REFUSALS, "malformed_multipart", "invalid_json"),
    request_body={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["metadata", "file"],
                    "properties": {
                        "metadata": {"$ref": "#/components/schemas/Metadata"},
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                    },
                },
                "example": {"metadata": shapes.Metadata.example, "file": "…"},
                "encoding": {"metadata": {"contentType": JSON}, "file": {"contentType": ", ".join(MEDIA_TYPES)}},
            }
        },
    },
)  # fmt: skip
def deposit_document(record_id: str) -> Any:
    """Part `metadata` (JSON) first, part `file` last; streamed and sealed on the way, nothing is kept in clear.

    Above 8 MiB the request needs a Content-Length and must end with the standard closing boundary; `uploads` takes any.
    """
    account_id = authenticate().account_id
    boundary = multipart.boundary_of(request.headers.get("Content-Type", ""))
    with streams.uploading(account_id) as body:
        deposit = multipart.Deposit(body.read, boundary, body.length, streams.BLOCK)
        metadata = loaded(shapes.Metadata, deposit.metadata())
        started = ask("documents", "prepare_deposit", record_id=record_id, **metadata, gateway_key=gateway_key())
        file = deposit.file()
        received = streams.store(file.chunks, started, size=file.size, declared=file.media_type)
    return commit(started["upload_id"], started["version_id"], received)


def commit(upload_id: str, version_id: str, received: streams.Received) -> Any:
    """Puts what is in the store into the record; the rights are asked again."""
    return ask_anew("documents", "commit_deposit", upload_id=upload_id, version_id=version_id, **vars(received))


@operation(
    documents, "GET", "/records/<uuid:record_id>/documents", summary="List documents", answer=shapes.Documents,
    query=shapes.Page, paged=True, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def list_documents(record_id: str, query: dict[str, Any]) -> Any:
    """What the caller may see of a record, newest deposit first; nothing tells of what is hidden."""
    answer = ask("documents", "list_documents", record_id=record_id, limit=query["limit"], cursor=query.get("cursor"))
    return {**answer, "documents": named(answer["documents"], **AUTHOR)}


@operation(
    documents, "GET", "/documents/<uuid:document_id>", summary="Read a document's facts", answer=shapes.DocumentRead,
    refuses=("document_not_found",),
)  # fmt: skip
def read_document(document_id: str) -> Any:
    """Type, title, author, level and versions. Unknown, hidden and foreign are one refusal."""
    document = ask("documents", "read_document", document_id=document_id)
    return named([document], **AUTHOR)[0]


@operation(
    documents, "GET", "/documents/<uuid:document_id>/content", summary="Download a document",
    answer=content.BYTES, query=shapes.ContentQuery, also=content.ALSO, headers=content.HEADERS,
    parameters=content.PARAMETERS,
    refuses=("document_not_found", "range_not_satisfiable", "content_damaged"),
)  # fmt: skip
def read_content(document_id: str, query: dict[str, Any]) -> Response:
    """The bytes, opened on the way. One Range is honoured; an opening within 15 minutes is one trace."""
    return content.answer(document_id, query.get("version_id"))


@operation(
    documents, "PUT", "/documents/<uuid:document_id>/confidentiality", summary="Change the level of a document",
    answer=shapes.ConfidentialitySet, body=shapes.Confidentiality, refuses=("document_not_found", "not_allowed"),
)  # fmt: skip
def change_confidentiality(document_id: str, body: dict[str, Any]) -> Any:
    """Standard, confidential or private; at once, for every reader."""
    return ask("documents", "change_confidentiality", document_id=document_id, **body)
