"""The rows that new versions become, and how versions, wordings and corrections are answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.db import new_id, rfc3339
from services.documents import rules, rules_versions, store
from services.documents.asking import Depositor
from services.documents.contract import Corrected, DocumentHistory, Put, ShownDocument, VersionShown, Wording
from services.documents.document_types import name_in, type_names
from services.object_store import Stored
from services.tokens import Caller


def is_version(version: object) -> bool:
    """Whether this may be what somebody read: a count of changes, or None for whatever is there."""
    return version is None or (isinstance(version, int) and not isinstance(version, bool) and version > 0)


def new_upload(
    caller: Caller, row: store.Row, at: datetime, version: int | None, author: str | None, size: int | None
) -> dict[str, Any]:
    """The row of an upload that waits for the bytes of a new version."""
    return {
        "upload_id": new_id(), "record_id": row.record_id, "home_record_id": row.record_id,
        "account_id": caller.account_id, "capacity": caller.capacity, "type": row.type, "title": row.title,
        "act_date": row.act_date, "language": row.language, "author_id": author, "size": size,
        "replaces": row.document_id, "details": {"version": version},
        "prepared_at": at, "expires_at": at + rules.UPLOAD_LIFETIME,
    }  # fmt: skip


def new_version(
    who: Depositor, row: store.Row, put: Put, upload: store.Row, stored: Stored, at: datetime
) -> dict[str, Any]:
    """The row of a version out of its bytes, but for its number: signed as its depositor's."""
    return {
        "version_id": put["version_id"], "content_id": put["version_id"], "document_id": row.document_id,
        "state": "checking", "wrapped_key": bytes(upload.try_key), "key_record_id": upload.try_record,
        "store_version": stored.version, "media_type": put["media_type"], "size": put["size"],
        "sha256": bytes.fromhex(put["sha256"]), **_signed(who), "created_at": at,
    }  # fmt: skip


def restored(who: Depositor, old: store.Row, version_id: str, at: datetime) -> dict[str, Any]:
    """The row of a version that has the bytes of an older one, under its seal; it was checked when that one was."""
    return {
        "version_id": version_id, "content_id": old.content_id, "document_id": old.document_id, "state": "available",
        "checked_at": at, "restores": old.number, "wrapped_key": bytes(old.wrapped_key),
        "key_record_id": old.key_record_id, "store_version": old.store_version, "media_type": old.media_type,
        "size": old.size, "sha256": bytes(old.sha256), **_signed(who), "created_at": at,
    }  # fmt: skip


def _signed(who: Depositor) -> dict[str, Any]:
    return {
        "author_id": who.scope.author_id, "establishment_id": who.establishment_id,
        "account_id": who.scope.account_id,
        "capacity": "patient" if who.scope.holder_side else who.caller.capacity,
    }  # fmt: skip


def history(rows: Sequence[store.Row], wordings: Sequence[store.Row]) -> DocumentHistory:
    """The versions of one document as its reader may know of them, and its wordings, where there was another."""
    first = rows[0]
    return {
        "document_id": first.document_id,
        "version": rules_versions.revision(first.current_number, first.wording),
        "versions": [_version(row) for row in rows],
        "wordings": [_wording(row) for row in wordings],
    }


def _version(row: store.Row) -> VersionShown:
    return {
        "version_id": row.version_id, "number": row.number, "state": row.version_state, "reason": row.reason,
        "restores": row.restores, "current": row.version_id == row.current_version_id, "media_type": row.media_type,
        "size": row.size, "sha256": bytes(row.sha256).hex(), "author_id": row.version_author_id,
        "establishment_id": row.version_establishment_id, "created_at": rfc3339(row.created_at),
    }  # fmt: skip


def _wording(row: store.Row) -> Wording:
    return {
        "number": row.number, "type": row.type, "title": row.title,
        "act_date": None if row.act_date is None else row.act_date.isoformat(), "language": row.language,
        "author_id": row.author_id, "created_at": rfc3339(row.created_at),
    }  # fmt: skip


def corrected(document_id: str, words: rules.Metadata, version: int) -> Corrected:
    """A document's wording as it is now."""
    return {
        "document_id": document_id, "type": words.type.slug, "category": words.type.category,
        "folder": words.type.folder, "title": words.title,
        "act_date": None if words.act_date is None else words.act_date.isoformat(), "language": words.language,
        "version": version,
    }  # fmt: skip


def head(row: store.Row, locale: str) -> ShownDocument:
    """What a page about one version says above it."""
    return {
        "document_id": row.document_id, "version_id": row.version_id, "number": row.number,
        "media_type": row.media_type, "type_name": name_in(type_names()[row.type], locale), "title": row.title,
        "act_date": None if row.act_date is None else row.act_date.isoformat(),
        "deposited_at": rfc3339(row.created_at), "author_id": row.version_author_id,
    }  # fmt: skip
