"""Shapes of records, circle, documents, uploads and access history."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Accepted, Choice, Day, Flag, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.directory.contract import PROFESSIONS
from services.documents.contract import (
    CODE_LENGTH,
    DOCUMENT_STATES,
    LEVELS,
    LINE_LENGTH,
    LINES_MOST,
    MEDIA_TYPES,
    PRESCRIPTION_STATES,
    QUANTITY,
    REJECTIONS,
    UNIT_LENGTH,
)
from services.dossier.contract import CATEGORIES, GROUNDS, STATES

CHECKING = "`checking` until the file was looked at closely, and then shown to others, or rejected."


class Page(Query):
    limit = Number("How many at most.", minimum=1, maximum=100, load_default=50)
    cursor = Text("`next_cursor` of the page before.", maximum=512)


# --- records --------------------------------------------------------------------------------------------------------


class Record(Shape):
    """What the caller may do in a record."""

    record_id = Id()
    patient_id = Id()
    patient_name = Text(allow_none=True)
    state = Choice(STATES, "Shown to the holder's side only.", allow_none=True)
    ground = Choice(GROUNDS, allow_none=True)
    may_read = Listed(Choice(CATEGORIES))
    may_deposit = Listed(Choice(CATEGORIES))
    access_until = Moment(allow_none=True)
    merged_into = Id("The record that speaks for this one since two were found to be one person's.", allow_none=True)
    example: ClassVar = {
        "record_id": ID,
        "patient_id": OTHER_ID,
        "patient_name": "DOE Jane",
        "state": None,
        "ground": "presence",
        "may_read": ["care_reports", "imaging"],
        "may_deposit": ["care_reports"],
        "access_until": TIME,
        "merged_into": None,
    }


# --- circle of trust ------------------------------------------------------------------------------------------------


# --- documents ------------------------------------------------------------------------------------------------------


QUANTITY_TEXT: dict[str, Any] = {"pattern": rf"\A{QUANTITY}\Z", "code": "number", "maximum": 10}


class LineEntered(Shape):
    """A line of a prescription, as its depositor enters it."""

    text = Text("What is prescribed.", maximum=LINE_LENGTH, required=True)
    quantity = Text("How much, a decimal above nothing; without it the line is given whole.", allow_none=True,
                    **QUANTITY_TEXT)  # fmt: skip
    unit = Text(maximum=UNIT_LENGTH, allow_none=True)
    code = Text(maximum=CODE_LENGTH, allow_none=True)
    system = Text("The object identifier or address of the code's system.", maximum=CODE_LENGTH, allow_none=True)
    example: ClassVar = {"text": "Amoxicilline 1 g, comprimé", "quantity": "3", "unit": "boîte"}


class Details(Shape):
    """Of a prescription, where its file does not tell: one that tells none is dispensed as one whole."""

    lines = Listed(Part(LineEntered), maximum=LINES_MOST)
    valid_until = Day("Its last day.", allow_none=True)
    example: ClassVar = {"lines": [LineEntered.example], "valid_until": "2027-01-31"}


class Metadata(Shape):
    """What is known of a document before its bytes."""

    type = Text("Slug of the document type.", maximum=80, required=True)
    title = Text(maximum=200, required=True)
    act_date = Day("When the act took place.", allow_none=True)
    language = Text("BCP 47, two letters.", minimum=2, maximum=2, allow_none=True)
    author = Id("The professional in whose name software deposits whose token names none.", allow_none=True)
    details = Part(Details, "Of a prescription.", allow_none=True)
    example: ClassVar = {"type": "medical_report", "title": "Compte rendu du 20 novembre", "act_date": "2026-11-20"}


class Document(Shape):
    document_id = Id()
    record_id = Id()
    version_id = Id()
    type = Text("Slug of the document type.")
    category = Choice(CATEGORIES)
    folder = Text()
    title = Text()
    act_date = Day(allow_none=True)
    language = Text(allow_none=True)
    author_id = Id("The professional who deposited it; null for the holder.", allow_none=True)
    author_name = Text("Null while the directory cannot be asked.", allow_none=True)
    author_profession = Choice(PROFESSIONS, allow_none=True)
    establishment_id = Id("Where it was deposited; null for the holder, and where it is not known.", allow_none=True)
    establishment_name = Text("Null while the directory cannot be asked.", allow_none=True)
    holder_authored = Flag()
    level = Choice(LEVELS)
    media_type = Choice(tuple(MEDIA_TYPES))
    size = Number("Bytes.")
    deposited_at = Moment()
    state = Choice(DOCUMENT_STATES, CHECKING)
    reason = Choice(REJECTIONS, "Why it was rejected.", allow_none=True)
    dispensation_state = Choice(
        PRESCRIPTION_STATES, "Of a prescription: how much of it was dispensed. Null of others.", allow_none=True
    )
    example: ClassVar[dict[str, Any]] = {
        "document_id": ID,
        "record_id": OTHER_ID,
        "version_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e03",
        "type": "medical_report",
        "category": "care_reports",
        "folder": "medical_data",
        "title": "Compte rendu du 20 novembre",
        "act_date": "2026-11-20",
        "language": "fr",
        "author_id": OTHER_ID,
        "author_name": "MÜLLER Anne",
        "author_profession": "physician",
        "establishment_id": OTHER_ID,
        "establishment_name": "Cabinet du Parc",
        "holder_authored": False,
        "level": "standard",
        "media_type": "application/pdf",
        "size": 48213,
        "deposited_at": TIME,
        "state": "available",
        "reason": None,
        "dispensation_state": None,
    }


class Version(Shape):
    version_id = Id()
    number = Number()
    media_type = Choice(tuple(MEDIA_TYPES))
    size = Number("Bytes.")
    sha256 = Text("Of the bytes, hexadecimal.")
    author_id = Id(allow_none=True)
    created_at = Moment()


class DocumentRead(Document):
    versions = Listed(Part(Version), "Newest first.")
    version = Number("Counts every change of bytes or wording; also the ETag, for If-Match.")
    example: ClassVar[dict[str, Any]] = {
        **Document.example,
        "version": 1,
        "versions": [
            {
                "version_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e03",
                "number": 1,
                "media_type": "application/pdf",
                "size": 48213,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "author_id": OTHER_ID,
                "created_at": TIME,
            }
        ],
    }


class Documents(Shape):
    documents = Listed(Part(Document))
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"documents": [Document.example], "next_cursor": None}


class Deposited(Shape):
    document_id = Id()
    version_id = Id()
    record_id = Id()
    duplicate_of = Id("A document of the record with the same bytes, if the depositor may read it.", allow_none=True)
    state = Choice(DOCUMENT_STATES, CHECKING)
    reason = Choice(REJECTIONS, "Why it was rejected.", allow_none=True)
    example: ClassVar = {
        "document_id": ID,
        "version_id": "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e03",
        "record_id": OTHER_ID,
        "duplicate_of": None,
        "state": "available",
        "reason": None,
    }


class Upload(Shape):
    """Where the bytes go: `PUT /uploads/{upload_id}`."""

    upload_id = Id()
    expires_at = Moment()
    max_size = Number("Bytes.")
    part_size = Number("Bytes of every part but the last, for a file that comes in parts.")
    example: ClassVar = {"upload_id": ID, "expires_at": TIME, "max_size": 2147483648, "part_size": 8388608}


class Confidentiality(Shape):
    level = Choice(LEVELS, required=True)
    risk_accepted = Accepted("The risks of the change were read and accepted.", required=True)
    example: ClassVar = {"level": "confidential", "risk_accepted": True}


class ConfidentialitySet(Shape):
    document_id = Id()
    level = Choice(LEVELS)
    example: ClassVar = {"document_id": ID, "level": "confidential"}


class VersionQuery(Query):
    version_id = Id("An older version; the newest when absent.")


class ContentQuery(VersionQuery):
    disposition = Choice(
        ("attachment", "inline"), "`inline`: to be shown, where the kind is PDF, PNG, JPEG or text.",
        load_default="attachment",
    )  # fmt: skip
