"""DICOMweb over the images of one record (PS3.18): searching (QIDO-RS) and retrieving (WADO-RS).

`/dicomweb/records/{record_id}` is the base address that a client or viewer is given. Nothing of whom the record is
about stands in an address or in an answer, but for the files themselves.
"""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import Response

from gateway import dicom_accept, dicom_answers
from gateway.operations import operation
from gateway.schemas import images as shapes
from gateway.study_access import Reader, authenticate, let_viewers_in

DICOMWEB = "/dicomweb"
dicomweb = APIBlueprint("dicomweb", __name__)
dicomweb.after_request(let_viewers_in)

RECORD = "/records/<uuid:record_id>"
STUDY = RECORD + "/studies/<dicom_uid:study_uid>"
SERIES = STUDY + "/series/<dicom_uid:series_uid>"
INSTANCE = SERIES + "/instances/<dicom_uid:instance_uid>"

_LIST = {"type": "array", "items": {"type": "object", "description": "DICOM JSON model, PS3.18 F."}}
MODELS: dict[str, Any] = {dicom_accept.DICOM_JSON: {"schema": _LIST}}
_BYTES = {"type": "string", "contentMediaType": dicom_accept.DICOM}
FILES: dict[str, Any] = {'multipart/related; type="application/dicom"': {"schema": _BYTES}}
FRAMES: dict[str, Any] = {'multipart/related; type="application/octet-stream"': {"schema": {"type": "string"}}}
PICTURE: dict[str, Any] = {dicom_accept.JPEG: {"schema": {"type": "string", "contentMediaType": dicom_accept.JPEG}}}

_TAKEN: Any = {"authenticate": authenticate}
_SEARCHED = ("record_not_found", "record_closed", "not_acceptable", "study_token_refused")
_RETRIEVED = ("study_not_found", "not_acceptable", "content_damaged", "study_token_refused")


# --- searching --------------------------------------------------------------------------------------------------------


@operation(
    dicomweb, "GET", RECORD + "/studies", summary="Search for studies", answer=MODELS, query=shapes.StudySearch,
    refuses=_SEARCHED, **_TAKEN,
)  # fmt: skip
def search_studies(record_id: str, query: dict[str, Any]) -> Response:
    """The studies of which the reader may see an instance, newest first, narrowed by the keys given (QIDO-RS)."""
    return dicom_answers.studies(Reader.of(record_id), query)


@operation(
    dicomweb, "GET", RECORD + "/series", summary="Search for series", answer=MODELS, query=shapes.SeriesSearch,
    refuses=_SEARCHED, **_TAKEN,
)  # fmt: skip
def search_series(record_id: str, query: dict[str, Any]) -> Response:
    """The series of a record (QIDO-RS)."""
    return dicom_answers.series(Reader.of(record_id), query, {})


@operation(
    dicomweb, "GET", RECORD + "/instances", summary="Search for instances", answer=MODELS,
    query=shapes.InstanceSearch, refuses=_SEARCHED, **_TAKEN,
)  # fmt: skip
def search_instances(record_id: str, query: dict[str, Any]) -> Response:
    """The instances of a record (QIDO-RS)."""
    return dicom_answers.instances(Reader.of(record_id), query, {})


@operation(
    dicomweb, "GET", STUDY + "/series", summary="Search for series of a study", answer=MODELS,
    query=shapes.SeriesSearch, refuses=_RETRIEVED, **_TAKEN,
)  # fmt: skip
def search_series_of_study(record_id: str, study_uid: str, query: dict[str, Any]) -> Response:
    """The series of one study, which is opened by that (QIDO-RS)."""
    return dicom_answers.series(Reader.of(record_id), query, {"study_uid": study_uid})


@operation(
    dicomweb, "GET", STUDY + "/instances", summary="Search for instances of a study", answer=MODELS,
    query=shapes.InstanceSearch, refuses=_RETRIEVED, **_TAKEN,
)  # fmt: skip
def search_instances_of_study(record_id: str, study_uid: str, query: dict[str, Any]) -> Response:
    """The instances of one study, which is opened by that (QIDO-RS)."""
    return dicom_answers.instances(Reader.of(record_id), query, {"study_uid": study_uid})


@operation(
    dicomweb, "GET", SERIES + "/instances", summary="Search for instances of a series", answer=MODELS,
    query=shapes.InstanceSearch, refuses=_RETRIEVED, **_TAKEN,
)  # fmt: skip
def search_instances_of_series(record_id: str, study_uid: str, series_uid: str, query: dict[str, Any]) -> Response:
    """The instances of one series; the study is opened by that (QIDO-RS)."""
    place = {"study_uid": study_uid, "series_uid": series_uid}
    return dicom_answers.instances(Reader.of(record_id), query, place)


# --- retrieving -------------------------------------------------------------------------------------------------------


@operation(dicomweb, "GET", STUDY, summary="Retrieve a study", answer=FILES, refuses=_RETRIEVED, **_TAKEN)
def retrieve_study(record_id: str, **place: str) -> Response:
    """All instances of the study that the reader may see, as files, one after the other (WADO-RS)."""
    return dicom_answers.files(Reader.of(record_id), place)


@operation(dicomweb, "GET", SERIES, summary="Retrieve a series", answer=FILES, refuses=_RETRIEVED, **_TAKEN)
def retrieve_series(record_id: str, **place: str) -> Response:
    """All instances of the series that the reader may see, as files, one after the other (WADO-RS)."""
    return dicom_answers.files(Reader.of(record_id), place)


@operation(dicomweb, "GET", INSTANCE, summary="Retrieve an instance", answer=FILES, refuses=_RETRIEVED, **_TAKEN)
def retrieve_instance(record_id: str, **place: str) -> Response:
    """One instance as it was deposited, in its own transfer syntax (WADO-RS)."""
    return dicom_answers.files(Reader.of(record_id), place)


@operation(
    dicomweb, "GET", STUDY + "/metadata", summary="Metadata of a study", answer=MODELS, refuses=_RETRIEVED, **_TAKEN
)
def study_metadata(record_id: str, **place: str) -> Response:
    """The attributes of all instances, without pixels and without who the patient is (WADO-RS)."""
    return dicom_answers.metadata(Reader.of(record_id), place)


@operation(
    dicomweb, "GET", SERIES + "/metadata", summary="Metadata of a series", answer=MODELS, refuses=_RETRIEVED, **_TAKEN
)
def series_metadata(record_id: str, **place: str) -> Response:
    """The attributes of the series' instances (WADO-RS)."""
    return dicom_answers.metadata(Reader.of(record_id), place)


@operation(
    dicomweb, "GET", INSTANCE + "/metadata", summary="Metadata of an instance", answer=MODELS, refuses=_RETRIEVED,
    **_TAKEN,
)  # fmt: skip
def instance_metadata(record_id: str, **place: str) -> Response:
    """The attributes of one instance (WADO-RS)."""
    return dicom_answers.metadata(Reader.of(record_id), place)


@operation(
    dicomweb, "GET", INSTANCE + "/frames/<frame_list:frames>", summary="Frames of an instance", answer=FRAMES,
    refuses=(*_RETRIEVED, "not_rendered"), **_TAKEN,
)  # fmt: skip
def retrieve_frames(record_id: str, frames: list[int], **place: str) -> Response:
    """The frames named, counted from 1, as they are kept: plain pixels, or in their own compressed form (WADO-RS)."""
    return dicom_answers.frames(Reader.of(record_id), place, frames)


@operation(
    dicomweb, "GET", INSTANCE + "/rendered", summary="An instance as a picture", answer=PICTURE,
    refuses=(*_RETRIEVED, "not_rendered"), **_TAKEN,
)  # fmt: skip
def rendered_instance(record_id: str, **place: str) -> Response:
    """The first frame as a JPEG, where one could be made (WADO-RS)."""
    return dicom_answers.picture(Reader.of(record_id), place, frame=1)


@operation(
    dicomweb, "GET", INSTANCE + "/frames/<frame_list:frames>/rendered", summary="A frame as a picture",
    answer=PICTURE, refuses=(*_RETRIEVED, "not_rendered"), **_TAKEN,
)  # fmt: skip
def rendered_frame(record_id: str, frames: list[int], **place: str) -> Response:
    """The frame named, the first of several, as a JPEG (WADO-RS)."""
    return dicom_answers.picture(Reader.of(record_id), place, frame=frames[0])


@operation(
    dicomweb, "GET", STUDY + "/thumbnail", summary="A small picture of a study", answer=PICTURE,
    refuses=(*_RETRIEVED, "not_rendered"), **_TAKEN,
)  # fmt: skip
def study_thumbnail(record_id: str, **place: str) -> Response:
    """Of the first instance that has one (WADO-RS)."""
    return dicom_answers.picture(Reader.of(record_id), place, thumbnail=True)


@operation(
    dicomweb, "GET", SERIES + "/thumbnail", summary="A small picture of a series", answer=PICTURE,
    refuses=(*_RETRIEVED, "not_rendered"), **_TAKEN,
)  # fmt: skip
def series_thumbnail(record_id: str, **place: str) -> Response:
    """Of the first instance that has one (WADO-RS)."""
    return dicom_answers.picture(Reader.of(record_id), place, thumbnail=True)


@operation(
    dicomweb, "GET", INSTANCE + "/thumbnail", summary="A small picture of an instance", answer=PICTURE,
    refuses=(*_RETRIEVED, "not_rendered"), **_TAKEN,
)  # fmt: skip
def instance_thumbnail(record_id: str, **place: str) -> Response:
    """Of its first frame (WADO-RS)."""
    return dicom_answers.picture(Reader.of(record_id), place, thumbnail=True)
