"""How rows of images become answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.documents import rules_imaging
from services.documents.contract import URL_LIFETIME
from services.documents.contract_imaging import FoundImages, OpenedInstance, OpenedInstances, StudyOfDocument
from services.documents.ports.blobs import Blobs
from services.documents.ports.keys import Keys
from services.refusals import InvalidInput

Row = Any


def found(rows: Sequence[Row], limit: int, elsewhere: Sequence[Row] = ()) -> FoundImages:
    """What a search found: rows of studies, series or instances, whichever they are; as many as fit in one answer."""
    told: list[dict[str, Any]] = []
    left = _ROOM
    for row in rows[:limit]:
        each = {name: value for name, value in row._mapping.items() if name in _TOLD}
        if "frame_count" in each:
            each["frames"] = each.pop("frame_count")
        told.append(each)
        left -= len(json.dumps(row.attributes))
        if left < 0:
            break
    return {"found": told, "more": len(rows) > len(told), "elsewhere": places(elsewhere)}


_ROOM = 4 * 1024 * 1024  # characters of attributes: what the broker carries in one message has an end


_TOLD = frozenset({
    "study_uid", "series_uid", "instance_uid", "class_uid", "document_id", "transfer_syntax", "attributes",
    "modalities", "classes", "series", "instances", "frame_count",
})  # fmt: skip


def places(rows: Sequence[Row]) -> list[list[str]]:
    """Instances that are not kept here: study, series, instance and class of each."""
    return [[row.study_uid, row.series_uid, row.instance_uid, row.class_uid] for row in rows]


def opened(
    blobs: Blobs, keys: Keys, rows: Sequence[Row], limit: int, elsewhere: Sequence[Row], gateway_key: str
) -> OpenedInstances:
    """What the gateway needs to stream these instances. Refuses: InvalidInput (gateway_key)."""
    shown = rows[:limit]
    return {
        "instances": [_opened(blobs, keys, row, gateway_key) for row in shown],
        "next": [shown[-1].series_uid, shown[-1].instance_uid] if len(rows) > limit else None,
        "elsewhere": places(elsewhere),
    }


def _opened(blobs: Blobs, keys: Keys, row: Row, gateway_key: str) -> OpenedInstance:
    try:
        sealed_key = keys.hand_over(
            row.key_record_id, bytes(row.wrapped_record_key), row.content_id, bytes(row.wrapped_key), gateway_key
        )
    except ValueError:
        raise InvalidInput(errors=[{"pointer": "/gateway_key", "message": "invalid"}]) from None
    return {
        "study_uid": row.study_uid, "series_uid": row.series_uid, "instance_uid": row.instance_uid,
        "content_id": row.content_id, "get_url": blobs.get_url(row.content_id, row.store_version, URL_LIFETIME),
        "sealed_key": sealed_key, "size": row.size, "transfer_syntax": row.transfer_syntax,
        "frames": [frame or [] for frame in row.frames],
    }  # fmt: skip


def study_of_document(
    record_id: str, study_uid: str, study: Sequence[Row], documents: Sequence[Row], key_images: Sequence[Row]
) -> StudyOfDocument:
    """A study with the documents and key images that belong to it; of which nothing is kept here, without a date."""
    seen = study[0] if study else None
    attributes = seen.attributes if seen is not None else None
    return {
        "study_uid": study_uid, "record_id": record_id,
        "date": rules_imaging.first_value(attributes, "00080020"),
        "description": rules_imaging.first_value(attributes, "00081030"),
        "modalities": list(seen.modalities) if seen is not None else [],
        "instances": seen.instances if seen is not None else 0,
        "documents": [
            {"document_id": row.document_id, "kind": rules_imaging.kind_of(row.class_uid), "title": row.title,
             "type": row.type}
            for row in documents
        ],
        "key_images": [
            {"series_uid": row.series_uid, "instance_uid": row.instance_uid, "document_id": row.document_id}
            for row in key_images
        ],
    }  # fmt: skip
