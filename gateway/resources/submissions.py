"""Deposits of several files at once, and what a holder types: sealed on the way like every file."""

from typing import Any

from apiflask import APIBlueprint

from gateway import deposits, multipart, streams, waiting
from gateway.caller import ask, ask_anew, authenticate, gateway_key
from gateway.operations import operation
from gateway.resources.documents import FILE_REFUSALS, commit
from gateway.schemas import deposits as shapes
from gateway.schemas import records
from gateway.sniffing import Typed
from services.documents.contract import MEDIA_TYPES, TEXT
from services.refusals import InvalidInput

submissions = APIBlueprint("submissions", __name__, url_prefix="/records/<uuid:record_id>")


@operation(
    submissions, "POST", "/submissions", summary="Deposit several documents", answer=shapes.Submitted, status=201,
    once=True, refuses=(*FILE_REFUSALS, *deposits.REFUSALS),
    parameters=waiting.PARAMETERS, headers=waiting.HEADERS,
    request_body=deposits.form(shapes.SubmissionMetadata, MEDIA_TYPES, several=True),
)  # fmt: skip
def submit_documents(record_id: str) -> Any:
    """Part `metadata` (JSON) first, then a part `file` for each document, in order; all are deposited or none.

    A file above 8 MiB has its `size` in the metadata, the last one a Content-Length of the request instead.
    """
    account_id = authenticate().account_id
    with deposits.opened(account_id, shapes.SubmissionMetadata) as (metadata, deposit):
        described = metadata["documents"]
        sizes = [each.pop("size", None) for each in described]
        prepared = ask("documents", "prepare_submission", record_id=record_id, documents=described)
        puts = _put_each(prepared["upload_ids"], deposit, sizes)
    committed = ask_anew("documents", "commit_submission", puts=puts)
    documents = waiting.several(account_id, prepared["upload_ids"], committed["documents"])
    return {"submission_id": committed["submission_id"], "documents": documents}


def _put_each(upload_ids: list[str], deposit: multipart.Deposit, sizes: list[int | None]) -> list[dict[str, Any]]:
    """Each file into the store, one after the other; each with a try begun just before it."""
    puts = []
    for upload_id, file in zip(upload_ids, deposit.files(sizes), strict=True):
        started = ask_anew("documents", "start_upload", upload_id=upload_id, gateway_key=gateway_key())
        received = deposits.put(file, started)
        puts.append({"upload_id": upload_id, "version_id": started["version_id"], **vars(received)})
    return puts


@operation(
    submissions, "POST", "/notes", summary="Deposit a typed note", answer=records.Deposited, status=201,
    body=shapes.Note, once=True, parameters=waiting.PARAMETERS, headers=waiting.HEADERS,
    refuses=("record_not_found", "record_closed", "type_not_depositable", "upload_incomplete", "upload_expired",
             "upload_not_found", "unsupported_media_type"),
)  # fmt: skip
def write_note(record_id: str, body: dict[str, Any]) -> Any:
    """A text in the holder's expression space, by the holder side alone; it never lies anywhere in clear."""
    text = _encoded(body.pop("text"))
    started = ask("documents", "prepare_note", record_id=record_id, **body, gateway_key=gateway_key())
    received = streams.store(iter([text]), started, size=len(text), inspector=Typed(TEXT))
    return commit(authenticate().account_id, started["upload_id"], started["version_id"], received)


def _encoded(text: str) -> bytes:
    try:
        if text.strip():
            return text.encode()
    except UnicodeEncodeError:  # half of a pair of code units: no text
        pass
    raise InvalidInput(errors=[{"pointer": "/text", "message": "invalid"}])
