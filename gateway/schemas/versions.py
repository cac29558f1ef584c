"""Shapes of a document's versions, wordings and corrections, and of requests to put one right."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import ValidationError, validates_schema

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Flag, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.directory.contract import PROFESSIONS
from services.documents.contract import (
    DOCUMENT_STATES,
    MEDIA_TYPES,
    RECTIFICATION_ANSWERS,
    RECTIFICATION_LENGTH,
    REJECTIONS,
)
from services.dossier.contract import CATEGORIES

THIRD_ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e03"
_AUTHOR: dict[str, Any] = {
    "author_id": OTHER_ID, "author_name": "MÜLLER Anne", "author_profession": "physician", "created_at": TIME
}  # fmt: skip


class VersionMetadata(Shape):
    """What is said beside the bytes of a new version; usually nothing."""

    author = Id("The professional in whose name software deposits whose token names none.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {"author": OTHER_ID}


class _Signed(Shape):
    author_id = Id("The professional whose it is; null for the holder's side.", allow_none=True)
    author_name = Text("Null while the directory cannot be asked.", allow_none=True)
    author_profession = Choice(PROFESSIONS, allow_none=True)
    created_at = Moment()


class VersionShown(_Signed):
    version_id = Id()
    establishment_id = Id("Where it was deposited; null for the holder's side, and where not known.", allow_none=True)
    establishment_name = Text("Null while the directory cannot be asked.", allow_none=True)
    number = Number()
    state = Choice(DOCUMENT_STATES, "`checking` and `rejected` show to who deposited it alone.")
    reason = Choice(REJECTIONS, "Why it was rejected.", allow_none=True)
    restores = Number("The number of the version that it brings back.", allow_none=True)
    current = Flag("Whether readers get this one.")
    media_type = Choice(tuple(MEDIA_TYPES))
    size = Number("Bytes.")
    sha256 = Text("Of the bytes, hexadecimal.")


class Wording(_Signed):
    number = Number("1 is as it was deposited.")
    type = Text("Slug of the document type.")
    title = Text()
    act_date = Day(allow_none=True)
    language = Text(allow_none=True)


class DocumentHistory(Shape):
    document_id = Id()
    version = Number("Counts every change of bytes or wording; also the ETag, for If-Match.")
    versions = Listed(Part(VersionShown), "Newest first.")
    wordings = Listed(Part(Wording), "Newest first; none while it has the one it was deposited with.")
    example: ClassVar[dict[str, Any]] = {
        "document_id": ID,
        "version": 2,
        "versions": [
            {
                "version_id": THIRD_ID, "number": 1, "state": "available", "reason": None, "restores": None,
                "current": True, "media_type": "application/pdf", "size": 48213,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", **_AUTHOR,
                "establishment_id": OTHER_ID, "establishment_name": "Cabinet du Parc",
            }
        ],
        "wordings": [
            {"number": 2, "type": "medical_report", "title": "Compte rendu du 20 novembre", "act_date": "2026-11-20",
             "language": "fr", **_AUTHOR},
            {"number": 1, "type": "medical_report", "title": "Compte rendu", "act_date": None, "language": "fr",
             **_AUTHOR},
        ],
    }  # fmt: skip


class Restored(Shape):
    document_id = Id()
    version_id = Id("The new version's.")
    number = Number()
    restores = Number("The number of the version that it brings back.")
    version = Number("Counts every change; also the ETag.")
    example: ClassVar = {"document_id": ID, "version_id": THIRD_ID, "number": 3, "restores": 1, "version": 3}


class Correction(Shape):
    """What changes; what is not named stays."""

    type = Text("Slug of the document type.", maximum=80)
    title = Text(maximum=200)
    act_date = Day("When the act took place; null where nobody knows.", allow_none=True)
    language = Text("BCP 47, two letters.", minimum=2, maximum=2, allow_none=True)
    example: ClassVar = {"title": "Compte rendu du 20 novembre", "act_date": "2026-11-20"}

    @validates_schema
    def _says_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("required")


class Corrected(Shape):
    document_id = Id()
    type = Text("Slug of the document type.")
    category = Choice(CATEGORIES)
    folder = Text()
    title = Text()
    act_date = Day(allow_none=True)
    language = Text(allow_none=True)
    version = Number("Counts every change; also the ETag.")
    example: ClassVar = {
        "document_id": ID, "type": "medical_report", "category": "care_reports", "folder": "medical_data",
        "title": "Compte rendu du 20 novembre", "act_date": "2026-11-20", "language": "fr", "version": 2,
    }  # fmt: skip


# --- rectifications ---------------------------------------------------------------------------------------------------


class RectificationWanted(Shape):
    wish = Text("What is wrong, and what would be right.", maximum=RECTIFICATION_LENGTH, required=True)
    example: ClassVar = {"wish": "La date de l'opération n'est pas la bonne."}


class RectificationAnswer(Shape):
    answer = Choice(RECTIFICATION_ANSWERS, required=True)
    words = Text("For the holder's side; a refusal needs them.", maximum=RECTIFICATION_LENGTH, allow_none=True)
    example: ClassVar = {"answer": "done", "words": "La date est corrigée dans la nouvelle version."}


class Rectification(Shape):
    rectification_id = Id()
    record_id = Id()
    document_id = Id()
    professional_id = Id("The author who is asked.")
    name = Text("Of the author; null while the directory cannot be asked.", allow_none=True)
    profession = Choice(PROFESSIONS, allow_none=True)
    wish = Text(maximum=RECTIFICATION_LENGTH)
    asked_at = Moment()
    due_at = Moment()
    overdue = Flag()
    answer = Choice(RECTIFICATION_ANSWERS, "Null while it waits.", allow_none=True)
    words = Text("The author's.", maximum=RECTIFICATION_LENGTH, allow_none=True)
    answered_at = Moment(allow_none=True)
    version_id = Id("The author's version that came after it.", allow_none=True)
    example: ClassVar[dict[str, Any]] = {
        "rectification_id": ID, "record_id": OTHER_ID, "document_id": THIRD_ID, "professional_id": OTHER_ID,
        "name": "MÜLLER Anne", "profession": "physician", "wish": "La date de l'opération n'est pas la bonne.",
        "asked_at": TIME, "due_at": "2026-12-06T09:30:00.000000Z", "overdue": False, "answer": None, "words": None,
        "answered_at": None, "version_id": None,
    }  # fmt: skip


class Rectifications(Shape):
    rectifications = Listed(Part(Rectification), "Newest first.")
    example: ClassVar = {"rectifications": [Rectification.example]}
