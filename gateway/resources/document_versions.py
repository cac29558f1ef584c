"""Versions of a document: a new one, an older one brought back, what it was before, and corrections of its wording."""

from functools import partial
from typing import Any

from apiflask import APIBlueprint

from gateway import deposits, waiting
from gateway.caller import ask, authenticate
from gateway.names import named
from gateway.operations import operation
from gateway.resources.documents import AUTHOR, CHANGE_REFUSALS, FILE_REFUSALS, ORIGIN, commit
from gateway.schemas import records, versions
from services.documents.contract import MEDIA_TYPES

document_versions = APIBlueprint("document_versions", __name__)

_NOT_OF_A_VERSION = ("record_not_found", "record_closed")
_FILE = tuple(code for code in FILE_REFUSALS if code not in _NOT_OF_A_VERSION)


@operation(
    document_versions, "POST", "/documents/<uuid:document_id>/versions", summary="Deposit a new version",
    answer=records.Deposited, status=201, once=True, conditional=True, parameters=waiting.PARAMETERS,
    headers=waiting.HEADERS,
    refuses=tuple(dict.fromkeys((*_FILE, *CHANGE_REFUSALS, *deposits.REFUSALS))),
    request_body=deposits.form(versions.VersionMetadata, MEDIA_TYPES),
)  # fmt: skip
def deposit_version(document_id: str, version: int | None) -> Any:
    """Part `metadata` (JSON, usually `{}`) first, part `file` last. The present version stays until it is checked."""
    account_id = authenticate().account_id
    start = partial(ask, "documents", "prepare_version", document_id=document_id, version=version)
    started, received = deposits.one_file(account_id, versions.VersionMetadata, start)
    return commit(account_id, started["upload_id"], started["version_id"], received)


@operation(
    document_versions, "POST", "/documents/<uuid:document_id>/uploads", summary="Prepare the upload of a new version",
    answer=records.Upload, status=201, body=versions.VersionMetadata, once=True, conditional=True,
    refuses=(*CHANGE_REFUSALS, "author_unknown"),
)  # fmt: skip
def prepare_version_upload(document_id: str, version: int | None, body: dict[str, Any]) -> Any:
    """The bytes follow within a day, as those of a deposit: `PUT /uploads/{upload_id}`; If-Match counts again then."""
    return ask("documents", "prepare_version", document_id=document_id, version=version, **body)


@operation(
    document_versions, "GET", "/documents/<uuid:document_id>/versions", summary="Read what a document was before",
    answer=versions.DocumentHistory, tagged=True, refuses=("document_not_found", "document_removed"),
)  # fmt: skip
def read_versions(document_id: str) -> Any:
    """Every version and every wording, with who made it and when. `content?version_id=` gives an older one's bytes."""
    found = ask("documents", "read_history", document_id=document_id)
    signed = {name: named(found[name], **as_) for name, as_ in (("versions", ORIGIN), ("wordings", AUTHOR))}
    return {**found, **signed}


@operation(
    document_versions, "POST", "/documents/<uuid:document_id>/versions/<uuid:version_id>/restoration",
    summary="Bring an older version back", answer=versions.Restored, status=201, once=True, conditional=True,
    tagged=True, refuses=CHANGE_REFUSALS,
)  # fmt: skip
def restore_version(document_id: str, version_id: str, version: int | None) -> Any:
    """It becomes the newest version, at once; the ones between stay in the history."""
    return ask("documents", "restore_version", document_id=document_id, version_id=version_id, version=version)


@operation(
    document_versions, "PATCH", "/documents/<uuid:document_id>", summary="Correct what a document says of itself",
    answer=versions.Corrected, body=versions.Correction, once=True, conditional=True, tagged=True,
    refuses=(*CHANGE_REFUSALS, "media_type_not_allowed"),
)  # fmt: skip
def correct_document(document_id: str, version: int | None, body: dict[str, Any]) -> Any:
    """Type, title, date or language; the bytes stay, and every wording is kept."""
    return ask("documents", "correct_document", document_id=document_id, version=version, changes=body)
