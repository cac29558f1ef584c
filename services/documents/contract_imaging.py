"""What documents tells of images: studies, series, instances, their frames, and the token a web viewer reads one with.

Attributes are the DICOM JSON model (PS3.18 F). Who the patient is stands in the record and nowhere in an answer here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from services.refusals import Refusal

STUDY_TOKEN: Final = "dst_"  # noqa: S105 what such a token begins with, so that nobody takes it for another kind
STUDY_TOKEN_LIFETIME: Final = 15 * 60
"""Seconds; never longer than the access token it was asked for with."""

INSTANCES_AT_ONCE: Final = 32
"""The most instances whose bytes are handed to the gateway in one answer."""

FRAMES_AT_ONCE: Final = 64
"""The most frames whose places are told in one answer."""

LISTED_AT_ONCE: Final = 1000
"""The most instances whose attributes are told in one answer."""

IMAGES_LIMIT: Final = 100
"""The most studies, series or instances of one answer to a search."""

RENDERED_FRAMES: Final = 64
"""The frames of an instance of which a picture is made when it is deposited."""

EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
UNCOMPRESSED: Final = ("1.2.840.10008.1.2", EXPLICIT_LITTLE_ENDIAN)
"""Transfer syntaxes whose frames are plain pixels, least significant byte first."""

KEY_OBJECTS: Final = "1.2.840.10008.5.1.4.1.1.88.59"
"""The class of a manifest of key images."""

_KEPT_OF_PATIENT = frozenset({"00100040", "00101010", "00101020", "00101030"})  # sex, age, size, weight: for viewers
_COMMENTS = frozenset({"00081120", "00120040", "00120042", "00204000", "00324000", "00400280", "00402400"})
_GROUPS_OF_PATIENT = ("0010", "0038", "0400")
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_DEEPEST = 32


def without_patient(model: Mapping[str, Any], deepest: int = _DEEPEST) -> dict[str, Any]:
    """A DICOM JSON model without who the patient is, without any name, without private elements and without bytes.

    What stands in sequences goes too. Free comments go with them: people write names there.
    """
    kept: dict[str, Any] = {}
    for tag, element in model.items():
        if not isinstance(element, dict) or _tells_who(str(tag).upper(), element.get("vr")):
            continue
        if "InlineBinary" in element or "BulkDataURI" in element:
            continue
        values = element.get("Value")
        if element.get("vr") == "SQ" and isinstance(values, list):
            items = [without_patient(item, deepest - 1) for item in values if isinstance(item, dict) and deepest]
            kept[str(tag).upper()] = {"vr": "SQ", "Value": items}
        else:
            kept[str(tag).upper()] = dict(element)
    return kept


def _tells_who(tag: str, vr: object) -> bool:
    if len(tag) != 8 or int(tag[3], 16) % 2:
        return True
    of_patient = tag[:4] in _GROUPS_OF_PATIENT and tag not in _KEPT_OF_PATIENT
    return of_patient or tag in _COMMENTS or vr == "PN" or vr in _BYTES


# --- refusals ---------------------------------------------------------------------------------------------------------


class StudyNotFound(Refusal):
    """No such study, series, instance or frame in this record, or none that this reader may see [domain, 3]."""

    code = "study_not_found"


class NotRendered(Refusal):
    """The instance is there, but its frames have no picture, or cannot be told apart: it has to be read as it is."""

    code = "not_rendered"


class StudyTokenRefused(Refusal):
    """The token is unknown, is over, or was given to a session that ended."""

    code = "study_token_refused"


# --- shapes -----------------------------------------------------------------------------------------------------------


class Study(TypedDict):
    """A study as a search shows it; the numbers count what this reader may see."""

    study_uid: str
    attributes: dict[str, Any]
    modalities: list[str]
    classes: list[str]
    series: int
    instances: int


class Series(TypedDict):
    """A series as a search shows it."""

    study_uid: str
    series_uid: str
    attributes: dict[str, Any]
    instances: int


class Instance(TypedDict):
    """An instance with its attributes; `frames` is how many it has, 0 for what is no image."""

    document_id: str
    study_uid: str
    series_uid: str
    instance_uid: str
    class_uid: str
    transfer_syntax: str
    frames: int
    attributes: dict[str, Any]


class FoundImages(TypedDict):
    """Answer of `find_studies`, `find_series`, `find_instances`: one of the three lists; `more` when it goes on.

    It may be shorter than was asked for: what follows begins after as many as there are.

    elsewhere: instances of the study that a manifest points to and that are not kept here, as [study, series,
    instance, class].
    """

    found: list[Any]
    more: bool
    elsewhere: list[list[str]]


class OpenedInstance(TypedDict):
    """All the gateway needs to stream an instance. frames: of each asked for, offset, length, offset, length, …"""

    study_uid: str
    series_uid: str
    instance_uid: str
    content_id: str
    get_url: str
    sealed_key: str
    size: int
    transfer_syntax: str
    frames: list[list[int]]


class OpenedInstances(TypedDict):
    """Answer of `open_instances`: some of them in order; `next` is where to go on, null when these were the last."""

    instances: list[OpenedInstance]
    next: list[str] | None
    elsewhere: list[list[str]]


class StudyDocument(TypedDict):
    """A document of a study. kind: report, manifest or image."""

    document_id: str
    kind: str
    title: str
    type: str


class KeyImage(TypedDict):
    """An instance that a manifest or report points to; document_id is null when it is not kept here."""

    series_uid: str
    instance_uid: str
    document_id: str | None


class StudyOfDocument(TypedDict):
    """What belongs together with a document: reports, manifests and images of one study."""

    study_uid: str
    record_id: str
    date: str | None
    description: str | None
    modalities: list[str]
    instances: int
    documents: list[StudyDocument]
    key_images: list[KeyImage]


class DocumentImages(TypedDict):
    """Answer of `images_of`."""

    document_id: str
    studies: list[StudyOfDocument]


class StudyToken(TypedDict):
    """Answer of `share_study`: shown once, kept as its digest."""

    token: str
    expires_at: str
    record_id: str
    study_uid: str


class TokenOfStudy(TypedDict):
    """Answer of `use_study_token`, for the gateway alone: the access token it stands for, and what it opens."""

    token: str
    record_id: str
    study_uid: str
    expires_at: str
