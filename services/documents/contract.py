"""What documents tells the house: its events, its refusals, the words and shapes of its calls.

The only file of this service that others import.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict

from services.documents.contract_binders import BINDER_NAME_LENGTH as BINDER_NAME_LENGTH
from services.documents.contract_binders import BINDERS_MOST as BINDERS_MOST
from services.documents.contract_binders import Binder as Binder
from services.documents.contract_binders import BinderNameTaken as BinderNameTaken
from services.documents.contract_binders import BinderNotFound as BinderNotFound
from services.documents.contract_binders import Binders as Binders
from services.documents.contract_binders import TooManyBinders as TooManyBinders
from services.documents.contract_checking import DOCUMENT_STATES as DOCUMENT_STATES
from services.documents.contract_checking import DepositState as DepositState
from services.documents.contract_checking import HandedRendition as HandedRendition
from services.documents.contract_deposits import MATRICULE_ROOT as MATRICULE_ROOT
from services.documents.contract_deposits import MIB as MIB
from services.documents.contract_deposits import MOST_AT_ONCE as MOST_AT_ONCE
from services.documents.contract_deposits import NOTE_LENGTH as NOTE_LENGTH
from services.documents.contract_deposits import PART as PART
from services.documents.contract_deposits import PART_SEGMENTS as PART_SEGMENTS
from services.documents.contract_deposits import AuthorUnknown as AuthorUnknown
from services.documents.contract_deposits import CommittedDeposit as CommittedDeposit
from services.documents.contract_deposits import Deposited as Deposited
from services.documents.contract_deposits import JoinedUpload as JoinedUpload
from services.documents.contract_deposits import PartChanged as PartChanged
from services.documents.contract_deposits import PartsMissing as PartsMissing
from services.documents.contract_deposits import PreparedDeposit as PreparedDeposit
from services.documents.contract_deposits import PreparedSubmission as PreparedSubmission
from services.documents.contract_deposits import Put as Put
from services.documents.contract_deposits import StartedPart as StartedPart
from services.documents.contract_deposits import StartedUpload as StartedUpload
from services.documents.contract_deposits import Submitted as Submitted
from services.documents.contract_deposits import TypeCodeUnknown as TypeCodeUnknown
from services.documents.contract_deposits import UploadInParts as UploadInParts
from services.documents.contract_deposits import WrongPatient as WrongPatient
from services.documents.contract_ends import END_CAUSES as END_CAUSES
from services.documents.contract_ends import REASON_LENGTH as REASON_LENGTH
from services.documents.contract_ends import REMOVAL_CAUSES as REMOVAL_CAUSES
from services.documents.contract_ends import REMOVAL_STATES as REMOVAL_STATES
from services.documents.contract_ends import SCRUB_FINDINGS as SCRUB_FINDINGS
from services.documents.contract_ends import ExportOver as ExportOver
from services.documents.contract_ends import RemovalAsked as RemovalAsked
from services.documents.contract_ends import RemovalDecided as RemovalDecided
from services.documents.contract_ends import RemovalNotFound as RemovalNotFound
from services.documents.contract_ends import RemovalUnderWay as RemovalUnderWay
from services.documents.contract_ends import SecondAgentNeeded as SecondAgentNeeded
from services.documents.contract_finding import FOLDERS as FOLDERS
from services.documents.contract_finding import ORDERS as ORDERS
from services.documents.contract_finding import SEARCH_LIMIT as SEARCH_LIMIT
from services.documents.contract_finding import Folder as Folder
from services.documents.contract_finding import Piece as Piece
from services.documents.contract_finding import Tree as Tree
from services.documents.contract_finding import TypeCount as TypeCount
from services.documents.contract_finding import Wanted as Wanted
from services.documents.contract_hidden import BlockReminderDue as BlockReminderDue
from services.documents.contract_hidden import DepositableType as DepositableType
from services.documents.contract_hidden import DepositableTypes as DepositableTypes
from services.documents.contract_hidden import DocumentBlocked as DocumentBlocked
from services.documents.contract_hidden import DocumentReleased as DocumentReleased
from services.documents.contract_hidden import DocumentRestricted as DocumentRestricted
from services.documents.contract_hidden import DocumentWithheld as DocumentWithheld
from services.documents.contract_hidden import Explained as Explained
from services.documents.contract_hidden import PatientBlock as PatientBlock
from services.documents.contract_hidden import PatientBlockRead as PatientBlockRead
from services.documents.contract_hidden import Readers as Readers
from services.documents.contract_hidden import RestrictionList as RestrictionList
from services.documents.contract_hidden import RestrictionOf as RestrictionOf
from services.documents.contract_hidden import Withholding as Withholding
from services.documents.contract_imaging import EXPLICIT_LITTLE_ENDIAN as EXPLICIT_LITTLE_ENDIAN
from services.documents.contract_imaging import FRAMES_AT_ONCE as FRAMES_AT_ONCE
from services.documents.contract_imaging import IMAGES_LIMIT as IMAGES_LIMIT
from services.documents.contract_imaging import STUDY_TOKEN as STUDY_TOKEN
from services.documents.contract_imaging import UNCOMPRESSED as UNCOMPRESSED
from services.documents.contract_imaging import NotRendered as NotRendered
from services.documents.contract_imaging import StudyNotFound as StudyNotFound
from services.documents.contract_imaging import StudyTokenRefused as StudyTokenRefused
from services.documents.contract_imaging import without_patient as without_patient
from services.documents.contract_life import EVENTS as LIFE_EVENTS
from services.documents.contract_life import BytesDestroyed as BytesDestroyed
from services.documents.contract_life import DepositOpposed as DepositOpposed
from services.documents.contract_life import DepositRequested as DepositRequested
from services.documents.contract_life import DepositWishChanged as DepositWishChanged
from services.documents.contract_life import DocumentCorrected as DocumentCorrected
from services.documents.contract_life import DocumentDispensed as DocumentDispensed
from services.documents.contract_life import DocumentRejected as DocumentRejected
from services.documents.contract_life import DocumentRemoved as DocumentRemoved
from services.documents.contract_life import DocumentVersioned as DocumentVersioned
from services.documents.contract_life import RectificationAnswered as RectificationAnswered
from services.documents.contract_life import RectificationAsked as RectificationAsked
from services.documents.contract_prescriptions import CANCEL_REASON_LENGTH as CANCEL_REASON_LENGTH
from services.documents.contract_prescriptions import CODE_LENGTH as CODE_LENGTH
from services.documents.contract_prescriptions import DISPENSATION_WORDINGS as DISPENSATION_WORDINGS
from services.documents.contract_prescriptions import LINE_LENGTH as LINE_LENGTH
from services.documents.contract_prescriptions import LINES_MOST as LINES_MOST
from services.documents.contract_prescriptions import PRESCRIPTION_STATES as PRESCRIPTION_STATES
from services.documents.contract_prescriptions import PRESCRIPTIONS as PRESCRIPTIONS
from services.documents.contract_prescriptions import QUANTITY as QUANTITY
from services.documents.contract_prescriptions import SHOWN_STATES as SHOWN_STATES
from services.documents.contract_prescriptions import UNIT_LENGTH as UNIT_LENGTH
from services.documents.contract_prescriptions import CopyNotGenuine as CopyNotGenuine
from services.documents.contract_prescriptions import DispensationCancelled as DispensationCancelled
from services.documents.contract_prescriptions import DispensationFinal as DispensationFinal
from services.documents.contract_prescriptions import DispensationNotFound as DispensationNotFound
from services.documents.contract_prescriptions import NotAPrescription as NotAPrescription
from services.documents.contract_prescriptions import PrescriptionCancelled as PrescriptionCancelled
from services.documents.contract_prescriptions import PrescriptionDispensed as PrescriptionDispensed
from services.documents.contract_prescriptions import PrescriptionExpired as PrescriptionExpired
from services.documents.contract_prescriptions import PrescriptionGiven as PrescriptionGiven
from services.documents.contract_prescriptions import QuantityNotLeft as QuantityNotLeft
from services.documents.contract_timeline import ENTRY_KINDS as ENTRY_KINDS
from services.documents.contract_timeline import RISK_FACTOR_TYPES as RISK_FACTOR_TYPES
from services.documents.contract_timeline import TIMELINE_KINDS as TIMELINE_KINDS
from services.documents.contract_timeline import CodedEntry as CodedEntry
from services.documents.contract_timeline import MandateStep as MandateStep
from services.documents.contract_timeline import StateStep as StateStep
from services.documents.contract_versions import RECTIFICATION_ANSWERS as RECTIFICATION_ANSWERS
from services.documents.contract_versions import RECTIFICATION_LENGTH as RECTIFICATION_LENGTH
from services.documents.contract_versions import RECTIFICATIONS_SHOWN as RECTIFICATIONS_SHOWN
from services.documents.contract_versions import RECTIFIED_WITHIN as RECTIFIED_WITHIN
from services.documents.contract_versions import SHOWN_KINDS as SHOWN_KINDS
from services.documents.contract_versions import Corrected as Corrected
from services.documents.contract_versions import DocumentGone as DocumentGone
from services.documents.contract_versions import DocumentHistory as DocumentHistory
from services.documents.contract_versions import DocumentUnfinished as DocumentUnfinished
from services.documents.contract_versions import PreviewNotFound as PreviewNotFound
from services.documents.contract_versions import Rectification as Rectification
from services.documents.contract_versions import RectificationNotFound as RectificationNotFound
from services.documents.contract_versions import RectificationOpen as RectificationOpen
from services.documents.contract_versions import RectificationOverdue as RectificationOverdue
from services.documents.contract_versions import Rectifications as Rectifications
from services.documents.contract_versions import RectificationSettled as RectificationSettled
from services.documents.contract_versions import Restored as Restored
from services.documents.contract_versions import ShownDocument as ShownDocument
from services.documents.contract_versions import ShownRendition as ShownRendition
from services.documents.contract_versions import VersionShown as VersionShown
from services.documents.contract_versions import Wording as Wording
from services.documents.contract_wishes import DUE as DUE
from services.documents.contract_wishes import WISH_KINDS as WISH_KINDS
from services.documents.contract_wishes import WISH_OUTCOMES as WISH_OUTCOMES
from services.documents.contract_wishes import WISHES_SHOWN as WISHES_SHOWN
from services.documents.contract_wishes import TooManyWishes as TooManyWishes
from services.documents.contract_wishes import Wish as Wish
from services.documents.contract_wishes import Wishes as Wishes
from services.documents.contract_wishes import WishNotFound as WishNotFound
from services.refusals import Refusal

NAME: Final = "documents"

CALLS: tuple[str, ...] = ("dossier", "directory")
"""The services documents may call (R7)."""

SUBSCRIPTIONS: dict[tuple[str, str], str] = {
    ("dossier", "records_merged.v1"): "on_records_merged",
    ("dossier", "records_unmerged.v1"): "on_records_unmerged",
    ("dossier", "record_state_changed.v1"): "on_record_state_changed",
    ("directory", "professional_updated.v1"): "on_professional_updated",
}
"""Where records lead, that one was deleted, and that an author may be called otherwise.

Else documents keeps no copy of anybody's facts: rights are asked of dossier at every request.
"""

# --- words ------------------------------------------------------------------------------------------------------------

LEVELS: tuple[str, ...] = ("standard", "confidential", "private")
"""How confidential a document is, from open to closed [RGD 6(3), seed 002]."""

PDF: Final = "application/pdf"
PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
TEXT: Final = "text/plain"
CDA: Final = "application/xml"
CDA_AS_TEXT: Final = "text/xml"
DICOM: Final = "application/dicom"

MEDIA_TYPES: dict[str, str] = {
    PDF: "pdf",
    PNG: "png",
    JPEG: "jpg",
    TEXT: "txt",
    CDA: "xml",
    CDA_AS_TEXT: "xml",
    DICOM: "dcm",
}
"""Every kind of bytes a document may have, and the ending its file name gets."""

MOST_BYTES: dict[str, int] = {
    PDF: 100 * MIB,
    PNG: 50 * MIB,
    JPEG: 50 * MIB,
    TEXT: 10 * MIB,
    CDA: 20 * MIB,
    CDA_AS_TEXT: 20 * MIB,
}
"""How many bytes a file of each kind may have; DICOM, and every kind, no more than the platform takes at all."""

PICTURE_PIXELS: Final = 100_000_000
"""How many pixels a picture may have: opened it takes three bytes for each, twice."""

PAGE_LIMIT: Final = 100
"""The most documents one page of a list holds."""

URL_LIFETIME: Final = 60
"""Seconds within which a presigned URL must be used; an upload that has begun may take longer."""

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DocumentDeposited:
    """A document is in the record, its bytes durable and checked. `author_id` is null when the holder deposited it.

    `home_record_id`: the record it was meant for, where that one leads to `record_id` because two patients were merged.
    `hidden`: from whom of the holder side it is hidden from the first: blocked from all, withheld from representatives.
    `establishment_id`: where; null for the holder side, and where nobody said (older events do not say it).
    """

    type: ClassVar[str] = "document_deposited.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    version_id: str
    document_type: str
    category: str
    level: str
    author_id: str | None
    media_type: str
    size: int
    deposited_at: str
    home_record_id: str | None = None
    folder: str | None = None
    hidden: str | None = None
    establishment_id: str | None = None


@dataclass(frozen=True)
class ConfidentialityChanged:
    """A document has another level from `changed_at` on."""

    type: ClassVar[str] = "confidentiality_changed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    level: str
    previous: str
    changed_at: str


EVENTS: tuple[type, ...] = (
    DocumentDeposited, ConfidentialityChanged, DocumentRestricted, DocumentBlocked, DocumentReleased, DocumentWithheld,
    BlockReminderDue, RectificationOverdue, RemovalAsked, *LIFE_EVENTS,
)  # fmt: skip

# --- refusals ---------------------------------------------------------------------------------------------------------


class DocumentNotFound(Refusal):
    """Unknown, hidden from this reader, or of a record without a ground: nobody can tell which [domain, 3]."""

    code = "document_not_found"


class TypeNotDepositable(Refusal):
    """The reader's rights in this record do not include depositing this type [RGD Annex 1]."""

    code = "type_not_depositable"


class UploadNotFound(Refusal):
    """No such upload of this person in this capacity."""

    code = "upload_not_found"


class UploadIncomplete(Refusal):
    """The object store does not hold as many bytes as were announced, or none."""

    code = "upload_incomplete"


class UploadExpired(Refusal):
    """The upload, or this try of it, is older than a day: begin again."""

    code = "upload_expired"


class UploadEmpty(Refusal):
    """The file has no bytes."""

    code = "upload_empty"


class UploadTooLarge(Refusal):
    """The file has more than `max_size` bytes."""

    code = "upload_too_large"


class MediaTypeNotAllowed(Refusal):
    """The bytes are of a kind that this type of document does not take; `allowed` lists those it does."""

    code = "media_type_not_allowed"


REJECTIONS: tuple[str, ...] = (
    "broken", "encrypted", "entities", "too_large_inside", "too_many_pixels", "too_many_pages", "infected",
    "wrong_kind", "too_slow", "prescription_given",
)  # fmt: skip
"""Why bytes that looked right at the door did not pass the close look, or came too late [decisions, Bytes]."""

# --- shapes of the calls ----------------------------------------------------------------------------------------------


class Item(TypedDict):
    """A document as a list shows it; ids and codes, but for the title. establishment_id: where it was deposited."""

    document_id: str
    record_id: str
    version_id: str
    type: str
    category: str
    folder: str
    title: str
    act_date: str | None
    language: str | None
    author_id: str | None
    holder_authored: bool
    establishment_id: str | None
    level: str
    media_type: str
    size: int
    deposited_at: str
    state: str
    reason: str | None
    dispensation_state: str | None


class Version(TypedDict):
    """One version of a document's bytes; `sha256` is that of the plain bytes, in hexadecimal."""

    version_id: str
    number: int
    media_type: str
    size: int
    sha256: str
    author_id: str | None
    created_at: str


class Document(Item):
    """Answer of `read_document`: newest version first. version: counts every change of bytes or wording, from 1."""

    versions: list[Version]
    version: int


class DocumentPage(TypedDict):
    """Answer of `list_documents_as`, newest first; `next_cursor` is null on the last page."""

    documents: list[Item]
    next_cursor: str | None


class ListedDocument(Item):
    """A document in the caller's own list. new: it came after their last visit, or they were never here before."""

    new: bool


class ListedPage(TypedDict):
    """Answer of `list_documents`, as DocumentPage; new_since: the end of the last visit, null for the first one."""

    documents: list[ListedDocument]
    next_cursor: str | None
    new_since: str | None


class FoundDocument(Item):
    """A document that a search found. snippet: what stands around the first words found in its text, else empty."""

    title_pieces: list[Piece]
    snippet: list[Piece]


class FoundPage(TypedDict):
    """Answer of `search_documents`, what fits best first; `next_cursor` is null on the last page."""

    documents: list[FoundDocument]
    next_cursor: str | None


class TimelineItem(TypedDict):
    """One line of a timeline. day_only: of `at` the day alone is known. document: also the one that tells an entry."""

    at: str
    day_only: bool
    kind: str
    document: Item | None
    entry: CodedEntry | None
    state: StateStep | None
    mandate: MandateStep | None


class TimelinePage(TypedDict):
    """Answer of `timeline`, newest first; `next_cursor` is null on the last page."""

    items: list[TimelineItem]
    next_cursor: str | None


class OpenedContent(TypedDict):
    """Answer of `open_content`: all the gateway needs to stream one version's bytes to its reader.

    content_id: the name under which these bytes were sealed; of a version that restores another it is that one's.
    """

    document_id: str
    version_id: str
    content_id: str
    get_url: str
    sealed_key: str
    size: int
    media_type: str
    filename: str
    sha256: str


class ChangedConfidentiality(TypedDict):
    """Answer of `change_confidentiality`."""

    document_id: str
    level: str
