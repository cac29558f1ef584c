"""Shapes of submissions, typed notes, uploads in parts and wishes about deposits."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Day, Id, Listed, Moment, Number, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from gateway.schemas.records import Deposited, Details, Metadata
from services.documents.contract import MOST_AT_ONCE, NOTE_LENGTH, PART, WISH_KINDS, WISH_OUTCOMES

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

# --- several at once --------------------------------------------------------------------------------------------------


class DocumentOfSubmission(Shape):
    """What is known of one of several documents before its bytes."""

    type = Text("Slug of the document type.", maximum=80, required=True)
    title = Text(maximum=200, required=True)
    act_date = Day("When the act took place.", allow_none=True)
    language = Text("BCP 47, two letters.", minimum=2, maximum=2, allow_none=True)
    author = Id("The professional in whose name software deposits, the same for all.", allow_none=True)
    size = Number("Bytes of the file; needed above 8 MiB, unless it is the last.", minimum=1)
    details = Part(Details, "Of a prescription.", allow_none=True)
    example: ClassVar = {"type": "medical_report", "title": "Compte rendu du 20 novembre", "act_date": "2026-11-20"}


class SubmissionMetadata(Shape):
    """The part `metadata` of a submission: one description per file, in the order of the files."""

    documents = Listed(Part(DocumentOfSubmission), maximum=MOST_AT_ONCE, required=True)
    example: ClassVar = {"documents": [DocumentOfSubmission.example, DocumentOfSubmission.example]}


class Submitted(Shape):
    """All documents of a submission, in the order of the files."""

    submission_id = Id()
    documents = Listed(Part(Deposited))
    example: ClassVar[dict[str, Any]] = {"submission_id": ID, "documents": [Deposited.example]}


# --- a typed note -----------------------------------------------------------------------------------------------------


class Note(Shape):
    """What the holder types into the expression space."""

    title = Text(maximum=200, required=True)
    text = Text("Plain text, with line breaks.", maximum=NOTE_LENGTH, required=True)
    language = Text("BCP 47, two letters.", minimum=2, maximum=2, allow_none=True)
    example: ClassVar = {"title": "Ce qui compte pour moi", "text": "Parlez-moi en luxembourgeois.", "language": "fr"}


# --- an upload in parts -----------------------------------------------------------------------------------------------


class UploadWanted(Metadata):
    """What a document will be whose bytes follow."""

    size = Number("Bytes of a file that will come in parts: `PUT /uploads/{upload_id}/parts/{number}`.", minimum=1)
    example: ClassVar[dict[str, Any]] = {**Metadata.example, "size": 20_000_000}


class PartStored(Shape):
    number = Number()
    size = Number("Bytes.")
    sha256 = Text("Of the part's bytes, hexadecimal.")
    example: ClassVar = {"number": 1, "size": PART, "sha256": DIGEST}


class UploadInParts(Shape):
    """How far an upload has come: what is not under `stored` is still to be sent."""

    upload_id = Id()
    expires_at = Moment()
    size = Number("Bytes of the whole file, as it was announced.")
    part_size = Number("Bytes of every part; the last one has what is left.")
    parts = Number("How many there will be.")
    stored = Listed(Part(PartStored), "Those that are there, in order.", maximum=100_000)
    document_id = Id("The document it became, null until then.", allow_none=True)
    example: ClassVar = {
        "upload_id": ID,
        "expires_at": TIME,
        "size": 20_000_000,
        "part_size": PART,
        "parts": 3,
        "stored": [PartStored.example],
        "document_id": None,
    }


# --- wishes -----------------------------------------------------------------------------------------------------------


class WishWanted(Shape):
    """Whom a wish is about: one of the three ids; a request names the professional."""

    kind = Choice(WISH_KINDS, required=True)
    professional_id = Id()
    establishment_id = Id()
    mandate_id = Id("A stay, an order or a presence of this record; opposing an order ends it.")
    type = Text("Slug of the only document type meant; every one when absent.", maximum=80)
    example: ClassVar = {"kind": "requested", "professional_id": ID, "type": "laboratory_results"}


class Wish(Shape):
    wish_id = Id()
    record_id = Id()
    kind = Choice(WISH_KINDS)
    professional_id = Id(allow_none=True)
    professional_name = Text("Null while the directory cannot be asked.", allow_none=True)
    establishment_id = Id(allow_none=True)
    establishment_name = Text(allow_none=True)
    mandate_id = Id(allow_none=True)
    type = Text("Slug of the document type; null for every one.", allow_none=True)
    since = Moment()
    due_at = Moment("By when a deposit that was asked for is due.", allow_none=True)
    ended_at = Moment(allow_none=True)
    outcome = Choice(WISH_OUTCOMES, "`overdue` until it is met all the same.", allow_none=True)
    document_id = Id("What met the request.", allow_none=True)
    tries = Number("Deposits that were refused; null to professionals.", allow_none=True)
    example: ClassVar = {
        "wish_id": ID,
        "record_id": OTHER_ID,
        "kind": "requested",
        "professional_id": ID,
        "professional_name": "MÜLLER Anne",
        "establishment_id": None,
        "establishment_name": None,
        "mandate_id": None,
        "type": "laboratory_results",
        "since": TIME,
        "due_at": TIME,
        "ended_at": None,
        "outcome": None,
        "document_id": None,
        "tries": 0,
    }


class Wishes(Shape):
    wishes = Listed(Part(Wish), "Newest first.")
    example: ClassVar = {"wishes": [Wish.example]}
