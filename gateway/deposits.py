"""A deposit in one request of several parts: `metadata` says what comes, a `file` follows, sealed on the way.

The sender is asked nothing twice: what the metadata says goes to the service, whose answer says where the bytes go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import request

from gateway import multipart, streams
from gateway.caller import ask, ask_anew, gateway_key
from gateway.clients import clients
from gateway.operations import JSON, Shape, loaded
from services.refusals import Refusal
from services.tokens import Caller

REFUSALS = ("malformed_multipart", "invalid_json")
"""What can be refused of the parts themselves."""

_BYTES = {"type": "string", "contentMediaType": "application/octet-stream"}


def form(
    said: type[Shape], kinds: Iterable[str], *, several: bool = False, or_else: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The request's body as the OpenAPI document shows it.

    said: the shape of part `metadata`. kinds: media types that files may have. several: there are many files.
    or_else: other bodies that are taken instead, by their media type.
    """
    file, shown = ({"type": "array", "items": _BYTES}, ["…", "…"]) if several else (_BYTES, "…")
    parts = {
        "schema": {
            "type": "object",
            "required": ["metadata", "file"],
            "properties": {"metadata": {"$ref": f"#/components/schemas/{said.__name__}"}, "file": file},
        },
        "example": {"metadata": said.example, "file": shown},
        "encoding": {"metadata": {"contentType": JSON}, "file": {"contentType": ", ".join(kinds)}},
    }
    return {"required": True, "content": {"multipart/form-data": parts, **(or_else or {})}}


def one_file(
    account_id: str, said: type[Shape], start: Callable[..., dict[str, Any]]
) -> tuple[dict[str, Any], streams.Received]:
    """Takes in the one file of this request: what the service said of it at its start, and what went into the store.

    start: asks the service, with what the metadata says and `gateway_key`.
    Refuses: as `opened`, `start` and `streams.store` do.
    """
    with opened(account_id, said) as (metadata, deposit):
        started = start(**metadata, gateway_key=gateway_key())
        return started, put(deposit.file(), started)


def one_document(caller: Caller, said: type[Shape], record_id: str) -> dict[str, Any]:
    """Deposits the one file of this request; gives the service's answer, with the `upload_id` of the deposit.

    Of a series the file goes into a slot and all is asked at once; else it is asked first where the bytes may go.
    Refuses: as `opened`, documents' `prepare_deposit` and `commit_deposit`, and `streams.store` do.
    """
    slots, key, length = clients().slots, gateway_key(), request.content_length
    with opened(caller.account_id, said) as (metadata, deposit):
        about = {"record_id": record_id, **metadata, "gateway_key": key}
        slot = slots.take(caller, length)
        started = slot or ask("documents", "prepare_deposit", **about)
        try:
            received = put(deposit.file(), started)
        except Refusal:
            if slot is not None:  # who may not deposit hears that first, and it is traced
                ask_anew("documents", "prepare_deposit", **about)
            raise
    there = {"version_id": started["version_id"], **vars(received)}
    series = slots.is_series(caller, length)
    if slot is not None:
        committed = ask_anew("documents", "deposit", **about, **there)
    else:
        upload_id, wanted = started["upload_id"], {"gateway_key": key} if series else {}
        committed = {"upload_id": upload_id}
        committed |= ask_anew("documents", "commit_deposit", upload_id=upload_id, **there, **wanted)
    if following := committed.pop("slot", None):
        slots.keep(caller, following)
    return committed


@contextmanager
def opened(account_id: str, said: type[Shape]) -> Iterator[tuple[dict[str, Any], multipart.Deposit]]:
    """What this request's metadata says, and the deposit whose files are to be read now, under the account's limit.

    Refuses: unsupported_media_type, too_many_uploads, malformed_multipart, invalid_json, upload_truncated,
    InvalidInput.
    """
    boundary = multipart.boundary_of(request.headers.get("Content-Type", ""))
    with streams.uploading(account_id) as body:
        deposit = multipart.Deposit(body.read, boundary, body.length, streams.BLOCK)
        yield loaded(said, deposit.metadata()), deposit


def put(file: multipart.FilePart, started: dict[str, Any]) -> streams.Received:
    """A file into the store, as `streams.store` does."""
    return streams.store(file.chunks, started, size=file.size, declared=file.media_type)
