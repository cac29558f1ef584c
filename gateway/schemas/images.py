"""Shapes of images: what a search for studies asks, what belongs together, and the token of a viewer."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Number, Part, Secret, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.documents.contract import IMAGES_LIMIT

UID = r"\A[0-9]+(\.[0-9]+)*\Z"
STUDY = "1.2.826.0.1.3680043.8.498.1"


def uid(**kwargs: Any) -> Text:
    """A unique identifier of DICOM."""
    return Text(maximum=64, pattern=UID, code="invalid", **kwargs)


class Search(Query):
    """What every search of PS3.18 may ask; keys that are not here are not matched."""

    limit = Number("How many at most.", minimum=1, maximum=IMAGES_LIMIT, load_default=IMAGES_LIMIT)
    offset = Number("How many to pass over.", maximum=100_000, load_default=0)
    Modality = Text(maximum=16, pattern=r"\A[A-Z0-9_ ]+\Z", code="invalid")


class StudySearch(Search):
    StudyInstanceUID = uid()
    ModalitiesInStudy = Text(maximum=16, pattern=r"\A[A-Z0-9_ ]+\Z", code="invalid")
    StudyDate = Text("A day, or a range of days.", maximum=17, pattern=r"\A[0-9]{8}(-[0-9]{8}|-)?\Z|\A-[0-9]{8}\Z",
                     code="date")  # fmt: skip


class SeriesSearch(Search):
    StudyInstanceUID = uid()
    SeriesInstanceUID = uid()


class InstanceSearch(SeriesSearch):
    SOPInstanceUID = uid()
    SOPClassUID = uid()


class StudyDocument(Shape):
    document_id = Id()
    kind = Choice(("report", "manifest", "image"))
    title = Text()
    type = Text()


class KeyImage(Shape):
    series_uid = Text()
    instance_uid = Text()
    document_id = Id("Null where it is kept elsewhere, or not to be seen.", allow_none=True)


class Study(Shape):
    study_uid = Text()
    date = Text("As DICOM writes it, `20260224`.", allow_none=True)
    description = Text(allow_none=True)
    modalities = Listed(Text())
    instances = Number("Of those that the reader may see.")
    dicomweb = Text("Where a viewer begins: the base address of DICOMweb.")
    documents = Listed(Part(StudyDocument))
    key_images = Listed(Part(KeyImage))


class Images(Shape):
    """What belongs together with a document: the reports, manifests and images of its studies."""

    document_id = Id()
    studies = Listed(Part(Study))
    example: ClassVar = {
        "document_id": ID,
        "studies": [
            {
                "study_uid": STUDY,
                "date": "20260224",
                "description": "Thorax",
                "modalities": ["CT", "KO"],
                "instances": 87,
                "dicomweb": f"/dicomweb/records/{OTHER_ID}",
                "documents": [{"document_id": ID, "kind": "manifest", "title": "Key images", "type": "imaging"}],
                "key_images": [{"series_uid": f"{STUDY}.1", "instance_uid": f"{STUDY}.1.1", "document_id": None}],
            }
        ],
    }


class StudyChoice(Shape):
    """Which study of the document; may be left out where it is of one."""

    study_uid = uid()
    example: ClassVar = {"study_uid": STUDY}


class StudyToken(Shape):
    """Shown once."""

    token = Secret("Bearer token for DICOMweb, for this study alone.")
    expires_at = Moment()
    study_uid = Text()
    dicomweb = Text()
    example: ClassVar = {
        "token": "dst_…",
        "expires_at": TIME,
        "study_uid": STUDY,
        "dicomweb": f"/dicomweb/records/{OTHER_ID}",
    }
