"""What is shown of a version in place of its bytes: made in the sandbox, sealed and handed out like the bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services import sealing
from services.db import Sessions, new_id
from services.documents import store_renditions
from services.documents.contract import URL_LIFETIME, HandedRendition
from services.documents.ports.blobs import Blobs
from services.documents.ports.keys import Keys
from services.documents.rules_findings import Findings, Rendition

_STORED = "renditions_stored"
Row = Any


def put(sessions: Sessions, blobs: Blobs, keys: Keys, row: Row, findings: Findings, at: datetime) -> Findings:
    """Seals and stores what was made of a version, under keys of its own; gives the findings, knowing where it is.

    row: as `store_examining.claim` gives it. Rows first, then objects: one that nobody comes to count is swept.

    Refuses: Unavailable when the store does not answer.
    """
    with sessions.transaction() as session:
        there = store_renditions.kinds(session, row.content_id)
        made = {(each.kind, each.number): each for each in findings.renditions if (each.kind, each.number) not in there}
        fresh = [(new_id(), each) for each in made.values()]
        wrapped = {name: keys.new_data_key(row.key_record_id, bytes(row.wrapped_record_key), name) for name, _ in fresh}
        if fresh:
            store_renditions.begin(session, [_row(row, name, each, wrapped[name], at) for name, each in fresh])
    stored = {}
    for name, each in fresh:
        key = keys.data_key(row.key_record_id, bytes(row.wrapped_record_key), name, wrapped[name])
        stored[name] = blobs.put(name, b"".join(sealing.seal([each.data], key, name)))
    return replace(findings, noted={**findings.noted, _STORED: stored})


def _row(row: Row, name: str, each: Rendition, wrapped_key: bytes, at: datetime) -> dict[str, Any]:
    return {
        "rendition_id": name, "content_id": row.content_id, "kind": each.kind, "number": each.number,
        "media_type": each.media_type, "size": len(each.data), "sha256": hashlib.sha256(each.data).digest(),
        "wrapped_key": wrapped_key, "key_record_id": row.key_record_id, "begun_at": at,
    }  # fmt: skip


def keep_renditions(session: Session, row: Row, findings: Findings, at: datetime) -> None:
    """Lets what was stored of a version that passed be given from now on."""
    store_renditions.keep(session, findings.noted.get(_STORED, {}), at)


def hand_over(
    session: Session, blobs: Blobs, keys: Keys, content_id: str, kind: str, gateway_key: str, number: int = 1
) -> HandedRendition | None:
    """Gives the gateway what it needs to stream a rendition: a URL and the key, sealed to it; None while there is none.

    kind: thumbnail, page, view or frame. The seal is under `content_id` of the answer, as that of every object. It
    decides nothing: whoever calls has decided that this reader opens the document, and writes the trace.

    Raises ValueError when gateway_key is no public key.
    """
    found = store_renditions.stored(session, content_id, kind, number)
    if found is None:
        return None
    sealed_key = keys.hand_over(
        found.key_record_id, bytes(found.wrapped_record_key), found.rendition_id, bytes(found.wrapped_key), gateway_key
    )
    return {
        "content_id": found.rendition_id, "sealed_key": sealed_key, "size": found.size, "media_type": found.media_type,
        "get_url": blobs.get_url(found.rendition_id, found.store_version, URL_LIFETIME),
        "sha256": bytes(found.sha256).hex(),
    }  # fmt: skip
