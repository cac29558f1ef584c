"""Documents of a record: deposit in one request, list, read, download, change the level."""

from typing import Any

from apiflask import APIBlueprint
from flask import Response, request

from gateway import cda_header, content, deposits, streams, waiting
from gateway.caller import ask, ask_anew, authenticate, gateway_key
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import records as shapes
from gateway.schemas.finding import DocumentQuery, ListedDocuments
from services.documents.contract import CDA, CDA_AS_TEXT, MEDIA_TYPES

documents = APIBlueprint("documents", __name__)

AUTHOR: dict[str, Any] = {"professional": "author_id", "name": "author_name", "profession": "author_profession"}
ORIGIN: dict[str, Any] = {**AUTHOR, "establishment": "establishment_id"}
XML = (CDA, CDA_AS_TEXT)
_CDA_ALONE = {
    "schema": {"type": "string", "contentMediaType": CDA},
    "example": '<ClinicalDocument xmlns="urn:hl7-org:v3">…</ClinicalDocument>',
}
FILE_REFUSALS = (
    "unsupported_media_type", "media_type_not_allowed", "upload_empty", "upload_too_large", "file_encrypted",
    "file_truncated", "image_too_large", "too_many_uploads", "upload_incomplete", "upload_expired", "upload_not_found",
    "record_not_found", "record_closed", "type_not_depositable", "length_required", "author_unknown", "not_allowed",
)  # fmt: skip
"""What can be refused while the bytes of a deposit come in and are committed."""

CHANGE_REFUSALS = (
    "document_not_found", "document_removed", "not_allowed", "type_not_depositable", "document_unfinished",
)  # fmt: skip
"""What can be refused to who changes a document: also when the bytes of a new version are committed."""


@operation(
    documents, "POST", "/records/<uuid:record_id>/documents", summary="Deposit a document", answer=shapes.Deposited,
    status=201, once=True, refuses=(
        *FILE_REFUSALS, *deposits.REFUSALS, "cda_unreadable", "type_code_unknown", "wrong_patient",
    ),
    parameters=waiting.PARAMETERS, headers=waiting.HEADERS,
    request_body=deposits.form(shapes.Metadata, MEDIA_TYPES, or_else=dict.fromkeys(XML, _CDA_ALONE)),
)  # fmt: skip
def deposit_document(record_id: str) -> Any:
    """Part `metadata` (JSON) first, part `file` last; streamed and sealed on the way, nothing is kept in clear.

    Or a CDA document alone, whose header gives type (LOINC), title, day, language, and the record's patient. Above
    8 MiB the request needs a Content-Length and must end with the standard closing boundary; `uploads` takes any.
    """
    caller = authenticate()
    if request.mimetype in XML:
        return _deposit_cda(caller.account_id, record_id)
    committed = deposits.one_document(caller, shapes.Metadata, record_id)
    return waiting.settled(caller.account_id, committed.pop("upload_id"), committed)


def _deposit_cda(account_id: str, record_id: str) -> Any:
    with streams.uploading(account_id) as body:
        header = cda_header.Header(body.blocks())
        started = ask(
            "documents", "prepare_cda", record_id=record_id, header=header.facts, gateway_key=gateway_key()
        )  # fmt: skip
        received = streams.store(header.blocks(), started, size=body.length, declared=request.mimetype)
    return commit(account_id, started["upload_id"], started["version_id"], received)


def commit(account_id: str, upload_id: str, version_id: str, received: streams.Received) -> Any:
    """Puts what is in the store into the record, the rights asked again; waits for the close look where that is asked.

    What else of gateway/resources deposits answers by `waiting.settled` too.
    """
    put = {"upload_id": upload_id, "version_id": version_id, **vars(received)}
    return waiting.settled(account_id, upload_id, ask_anew("documents", "commit_deposit", **put))


@operation(
    documents, "GET", "/records/<uuid:record_id>/documents", summary="List documents", answer=ListedDocuments,
    query=DocumentQuery, paged=True, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def list_documents(record_id: str, query: dict[str, Any]) -> Any:
    """What the caller may see of a record, newest deposit first, narrowed as asked; nothing tells of what is hidden."""
    page = {"limit": query.pop("limit"), "cursor": query.pop("cursor", None)}
    new = {name: query.pop(name, "false") == "true" for name in ("new_to_me", "new_since_visit")}
    answer = ask("documents", "list_documents", record_id=record_id, wanted={**query, **new}, **page)
    return {**answer, "documents": named(answer["documents"], **ORIGIN)}


@operation(
    documents, "GET", "/documents/<uuid:document_id>", summary="Read a document's facts", answer=shapes.DocumentRead,
    tagged=True, refuses=("document_not_found", "document_removed"),
)  # fmt: skip
def read_document(document_id: str) -> Any:
    """Type, title, author, level and versions. Unknown, hidden and foreign are one refusal."""
    document = ask("documents", "read_document", document_id=document_id)
    return named([document], **ORIGIN)[0]


@operation(
    documents, "GET", "/documents/<uuid:document_id>/content", summary="Download a document",
    answer=content.BYTES, query=shapes.ContentQuery, also=content.ALSO, headers=content.HEADERS,
    parameters=content.PARAMETERS,
    refuses=("document_not_found", "document_removed", "range_not_satisfiable", "content_damaged"),
)  # fmt: skip
def read_content(document_id: str, query: dict[str, Any]) -> Response:
    """The bytes, opened on the way. One Range is honoured; an opening within 15 minutes is one trace, HEAD too."""
    return content.answer(document_id, query.get("version_id"), inline=query["disposition"] == "inline")


@operation(
    documents, "PUT", "/documents/<uuid:document_id>/confidentiality", summary="Change the level of a document",
    answer=shapes.ConfidentialitySet, body=shapes.Confidentiality,
    refuses=("document_not_found", "not_allowed", "document_unfinished"),
)  # fmt: skip
def change_confidentiality(document_id: str, body: dict[str, Any]) -> Any:
    """Standard, confidential or private; at once, for every reader."""
    return ask("documents", "change_confidentiality", document_id=document_id, **body)
