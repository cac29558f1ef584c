"""The answers of DICOMweb: what was found as DICOM JSON, files and frames as parts, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from flask import Response

from gateway import content, dicom_accept, dicom_json, dicom_parts, pacs, streams
from gateway.study_access import Reader
from services.documents.contract import FRAMES_AT_ONCE, StudyNotFound
from services.refusals import Unavailable
from services.sealing import segments_for
from services.settings import load

AT_ONCE = 100  # instances whose metadata are asked for at once
_MORE = '299 - "There are additional results that can be requested"'

Place = dict[str, str]


# --- searching --------------------------------------------------------------------------------------------------------


def studies(reader: Reader, query: dict[str, Any]) -> Response:
    """The studies found."""
    kind = dicom_accept.description()
    found = reader.ask(
        "find_studies", study_uid=query.get("StudyInstanceUID"), study_date=query.get("StudyDate"),
        modality=query.get("ModalitiesInStudy") or query.get("Modality"), offset=query["offset"], limit=query["limit"],
    )  # fmt: skip
    return _listed_as([dicom_json.study(each, base_of(reader)) for each in found["found"]], found["more"], kind)


def series(reader: Reader, query: dict[str, Any], place: Place) -> Response:
    """The series found, of the record or of one study."""
    kind = dicom_accept.description()
    found = reader.ask(
        "find_series", **{**_uids(query), **place}, modality=query.get("Modality"), offset=query["offset"],
        limit=query["limit"], within_study=bool(place),
    )  # fmt: skip
    more: list[Any] = []
    if place and pacs.there() and "Modality" not in query and not found["more"] and not query["offset"]:
        asked = reader.ask("find_instances", **{**_uids(query), **place}, within_study=True, limit=1, elsewhere=True)
        more = list(_elsewhere(asked, place, base_of(reader)))
    told = [dicom_json.series(each, base_of(reader)) for each in found["found"]]
    return _listed_as(dicom_json.with_series_elsewhere(told, more), found["more"], kind)


def instances(reader: Reader, query: dict[str, Any], place: Place) -> Response:
    """The instances found, of the record, of one study or of one series."""
    kind = dicom_accept.description()
    found = reader.ask(
        "find_instances", **{**_uids(query), **place}, modality=query.get("Modality"), offset=query["offset"],
        class_uid=query.get("SOPClassUID"), limit=query["limit"], within_study=bool(place),
        elsewhere=(bool(place) and pacs.there() and not {"Modality", "SOPClassUID"} & set(query)) or None,
    )  # fmt: skip
    told = [dicom_json.instance(each, base_of(reader)) for each in found["found"]]
    if not found["more"]:
        told += [dicom_json.instance_elsewhere(each) for each in _elsewhere(found, place, base_of(reader))]
    return _listed_as(told, found["more"], kind)


def _uids(query: dict[str, Any]) -> dict[str, Any]:
    names = {"study_uid": "StudyInstanceUID", "series_uid": "SeriesInstanceUID", "instance_uid": "SOPInstanceUID"}
    return {name: query[key] for name, key in names.items() if key in query}


def _listed_as(told: list[dict[str, Any]], more: bool, kind: str) -> Response:
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return Response(text, 200, headers={"Warning": _MORE} if more else {}, content_type=kind)


def base_of(reader: Reader) -> str:
    """The base address of DICOMweb for this record."""
    return f"{load().public_url.rstrip('/')}/dicomweb/records/{reader.record_id}"


# --- metadata ---------------------------------------------------------------------------------------------------------


def metadata(reader: Reader, place: Place) -> Response:
    """The attributes of all instances of a place, some at a time. Refuses: study_not_found, not_acceptable."""
    kind, base = dicom_accept.description(), base_of(reader)
    asked = {**place, "within_study": True, "limit": AT_ONCE}
    first = reader.ask("find_instances", **asked, elsewhere=pacs.there() or None)
    if not first["found"] and not first["elsewhere"]:
        raise StudyNotFound()

    def pages() -> Iterator[dict[str, Any]]:
        told, offset = first, 0
        while True:
            yield from (dicom_json.metadata(each, base) for each in told["found"])
            if not told["more"]:
                break
            offset += len(told["found"])
            told = reader.ask("find_instances", **asked, offset=offset)
        yield from _elsewhere(first, place, base)

    return Response(_listed(pages()), 200, content_type=kind)


def _elsewhere(told: dict[str, Any], place: Place, base: str) -> Iterator[dict[str, Any]]:
    """What lies in the archive outside; while that cannot be reached, what is here stands alone, if there is any."""
    try:
        if told["elsewhere"]:
            yield from (dicom_json.foreign(each, base) for each in pacs.metadata(place, told["elsewhere"]))
    except (Unavailable, StudyNotFound):
        if not told["found"]:
            raise


def _listed(models: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """A JSON array, written as it comes; the first element is there when this returns."""
    lead = b"["
    first = next(models, None)
    rest = models if first is None else chain([first], models)

    def run() -> Iterator[bytes]:
        before = lead
        for model in rest:
            yield before + json.dumps(model, ensure_ascii=False, separators=(",", ":")).encode()
            before = b","
        yield b"[]" if before is lead else b"]"

    return run()


# --- bytes ------------------------------------------------------------------------------------------------------------


def files(reader: Reader, place: Place) -> Response:
    """The files of all instances of a place. Refuses: study_not_found, not_acceptable, unavailable."""
    first = reader.open_instances(**place, elsewhere=pacs.there() or None)
    for each in first["instances"]:
        dicom_accept.require_instance(each["transfer_syntax"])
    if "instance_uid" in place and first["instances"] and dicom_accept.single_instance():
        [told] = first["instances"]
        body: Any = dicom_parts.whole(reader, told, place)
        length = {"Content-Length": str(told["size"])}
        return _sandboxed(Response(body, 200, headers=length, content_type=dicom_accept.DICOM, direct_passthrough=True))
    parts: Iterator[dicom_parts.Part] = dicom_parts.instances(reader, first, place)
    if first["elsewhere"]:
        parts = chain(parts, pacs.instances(first["elsewhere"], dicom_parts.may_go_on(reader, place)))
    return _sandboxed(dicom_parts.answer(parts, dicom_accept.DICOM))


def frames(reader: Reader, place: Place, numbers: list[int]) -> Response:
    """Frames of one instance. Refuses: study_not_found, not_rendered, not_acceptable, unavailable."""
    if pacs.there() and pacs.has(reader, place):
        return pacs.passed_on(reader, place, f"/frames/{','.join(map(str, numbers))}")
    pages = [numbers[at : at + FRAMES_AT_ONCE] for at in range(0, len(numbers), FRAMES_AT_ONCE)]
    first = reader.open_instances(**place, frames=pages[0])
    [told] = first["instances"]
    kind = dicom_accept.frames(told["transfer_syntax"])
    return _sandboxed(dicom_parts.answer(dicom_parts.frames(reader, told, pages, place, kind), kind))


def picture(reader: Reader, place: Place, *, frame: int = 1, thumbnail: bool = False) -> Response:
    """A picture of a frame, or a thumbnail. Refuses: study_not_found, not_rendered, not_acceptable, unavailable."""
    dicom_accept.require_picture()
    if not thumbnail and pacs.there() and pacs.has(reader, place):
        return pacs.passed_on(reader, place, f"/frames/{frame}/rendered")
    told = reader.open_rendered(**place, frame=frame, thumbnail=thumbnail)
    part = segments_for(0, told["size"] - 1, told["size"])
    body: Any = streams.opened(told, part, lambda: True)  # a picture is over before anybody could ask again
    length = {"Content-Length": str(told["size"])}
    return _sandboxed(Response(body, 200, headers=length, content_type=told["media_type"], direct_passthrough=True))


def _sandboxed(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = content.SANDBOX
    return response
