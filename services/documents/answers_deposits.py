"""The rows that deposits become, out of what was said, what the store holds and who deposits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.db import day_of, new_id, now
from services.documents import rules, store
from services.documents.answers import require
from services.documents.asking import Depositor
from services.documents.contract import Put
from services.documents.document_types import document_types
from services.documents.rules_prescriptions import read_details
from services.object_store import Stored
from services.refusals import InvalidInput
from services.tokens import Caller

_RECEIPT = 1024  # characters [S3: the most that a version's name has]


@dataclass(frozen=True)
class Made:
    """A document about to be written: its type, and its rows."""

    kind: rules.DocumentType
    document: dict[str, Any]
    version: dict[str, Any]
    level: dict[str, Any]


def described(said: list[dict[str, Any]], pointer: str = "") -> list[rules.Metadata]:
    """What was said about documents, checked. Refuses: InvalidInput with every error in them."""
    read, wrong, today = [], [], day_of(now())
    for number, each in enumerate(said):
        place = f"{pointer}/{number}" if pointer else ""
        words = {name: each.get(name) for name in ("type", "title", "act_date", "language")}
        metadata, errors = rules.read_metadata(document_types(), today=today, **words)
        if metadata is not None:
            details, errors = read_details(each.get("details"), metadata.type.category)
            metadata = replace(metadata, details=details)
        wrong += [{**error, "pointer": place + error["pointer"]} for error in errors]
        if metadata is not None:
            read.append(metadata)
    if wrong:
        raise InvalidInput(errors=wrong)
    return read


def new_upload(
    caller: Caller, record_id: str, metadata: rules.Metadata, at: datetime, author: str | None, size: int | None
) -> dict[str, Any]:
    """The row of an upload that waits for its bytes."""
    return {
        "upload_id": new_id(), "record_id": record_id, "home_record_id": record_id, "account_id": caller.account_id,
        "capacity": caller.capacity, "type": metadata.type.slug, "title": metadata.title,
        "act_date": metadata.act_date, "language": metadata.language, "author_id": author, "size": size,
        "details": metadata.details, "prepared_at": at, "expires_at": at + rules.UPLOAD_LIFETIME,
    }  # fmt: skip


def read_put(put: Put) -> Put:
    """What the gateway says it put, its ids in their one spelling. Refuses: InvalidInput."""
    attempt = rules.canonical_id(put["version_id"])
    require(
        version_id=attempt is not None, sha256=rules.is_digest(put["sha256"]), size=rules.is_size(put["size"]),
        media_type=isinstance(put["media_type"], str), store_version=is_receipt(put.get("store_version")),
    )  # fmt: skip
    return {**put, "upload_id": rules.canonical_id(put["upload_id"]) or new_id(), "version_id": attempt or ""}


def is_receipt(text: object) -> bool:
    """Whether the store may have named a version so; None says that it did not."""
    return text is None or (isinstance(text, str) and 0 < len(text) <= _RECEIPT)


def waits(puts: Sequence[Put], uploads: Sequence[store.Row]) -> bool:
    """Whether there is an upload for each put, and none of them a document yet."""
    known = {upload.upload_id for upload in uploads if upload.document_id is None}
    return known == {put["upload_id"] for put in puts} and len(known) == len(puts)


def made(
    who: Depositor, upload: store.Row, put: Put, stored: Stored, at: datetime, submission_id: str | None
) -> Made:
    """A new document out of an upload and its bytes: the holder side's has no author id, an institution's its own."""
    kind, document_id = document_types()[upload.type], new_id()
    version = {
        "version_id": put["version_id"], "content_id": put["version_id"], "state": "checking",
        "document_id": document_id, "number": 1,
        "wrapped_key": bytes(upload.try_key), "key_record_id": upload.try_record,
        "store_version": stored.version, "media_type": put["media_type"],
        "size": put["size"], "sha256": bytes.fromhex(put["sha256"]), "author_id": who.scope.author_id,
        "establishment_id": who.establishment_id, "account_id": upload.account_id, "capacity": upload.capacity,
        "created_at": at,
    }  # fmt: skip
    author_kind = _kind_of(who)
    level = who.scope.level_at_deposit(kind.folder)
    document = {
        "document_id": document_id, "record_id": upload.record_id, "home_record_id": upload.home_record_id,
        "upload_id": upload.upload_id, "submission_id": submission_id,
        "type": kind.slug, "category": kind.category, "folder": kind.folder,
        "title": upload.title, "act_date": upload.act_date, "language": upload.language,
        "author_kind": author_kind,
        "author_id": who.scope.author_id if author_kind == "professional" else None,
        "institution_id": who.establishment_id if author_kind == "institution" else None,
        "establishment_id": who.establishment_id,
        "level": level, "current_version_id": put["version_id"], "deposited_at": at,
        "state": "checking", "account_id": upload.account_id, "capacity": upload.capacity,
    }  # fmt: skip
    level_row = {
        "level_id": new_id(), "document_id": document_id, "level": level, "valid_from": at,
        "account_id": upload.account_id, "risk_accepted": False,
    }  # fmt: skip
    return Made(kind, document, version, level_row)


def _kind_of(who: Depositor) -> str:
    if who.scope.holder_side:
        return "holder"
    return "institution" if who.scope.author_id is None else "professional"
