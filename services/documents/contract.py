"""What documents tells the house: its events, its refusals, the words and shapes of its calls.

The only file of this service that others import.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, NotRequired, TypedDict

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
from services.refusals import Refusal

NAME: Final = "documents"

CALLS: tuple[str, ...] = ("dossier", "directory")
"""The services documents may call (R7)."""

SUBSCRIPTIONS: dict[tuple[str, str], str] = {
    ("dossier", "records_merged.v1"): "on_records_merged",
    ("dossier", "records_unmerged.v1"): "on_records_unmerged",
}
"""Where records lead; else documents keeps no copy of anybody's facts: rights are asked of dossier at every request."""

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

PAGE_LIMIT: Final = 100
"""The most documents one page of a list holds."""

URL_LIFETIME: Final = 60
"""Seconds within which a presigned URL must be used; an upload that has begun may take longer."""

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DocumentDeposited:
    """A document is in the record, its bytes durable. `author_id` is null when the holder deposited it.

    `home_record_id`: the record it was meant for, where that one leads to `record_id` because two patients were merged.
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
    BlockReminderDue,
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


# --- shapes of the calls ----------------------------------------------------------------------------------------------


class PreparedDeposit(TypedDict):
    """Answer of `prepare_deposit`; the last three only when the gateway's key came along."""

    upload_id: str
    expires_at: str
    max_size: int
    version_id: NotRequired[str]
    put_url: NotRequired[str]
    sealed_key: NotRequired[str]


class StartedUpload(TypedDict):
    """Answer of `start_upload`: where to put the sealed bytes of this one try, and the key to seal them with."""

    version_id: str
    put_url: str
    sealed_key: str
    max_size: int


class CommittedDeposit(TypedDict):
    """Answer of `commit_deposit`, the same at every repeat."""

    document_id: str
    version_id: str
    record_id: str


class Item(TypedDict):
    """A document as a list shows it; ids and codes, but for the title."""

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
    level: str
    media_type: str
    size: int
    deposited_at: str


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
    """Answer of `read_document`: newest version first."""

    versions: list[Version]


class DocumentPage(TypedDict):
    """Answer of `list_documents`, newest first; `next_cursor` is null on the last page."""

    documents: list[Item]
    next_cursor: str | None


class OpenedContent(TypedDict):
    """Answer of `open_content`: all the gateway needs to stream one version's bytes to its reader."""

    document_id: str
    version_id: str
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
