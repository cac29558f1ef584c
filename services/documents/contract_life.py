"""What documents tells the house of a document after its deposit: checked, changed, corrected, asked about, gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DocumentRejected:
    """The bytes of a deposit or of a new version did not pass: only who deposited them is told, and why as a code."""

    type: ClassVar[str] = "document_rejected.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    version_id: str
    account_id: str
    capacity: str
    reason: str
    at: str


@dataclass(frozen=True)
class DocumentVersioned:
    """A document has a new current version, its bytes checked and durable. restores: the number it brings back."""

    type: ClassVar[str] = "document_versioned.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    version_id: str
    number: int
    document_type: str
    category: str
    level: str
    author_id: str | None
    media_type: str
    size: int
    restores: int | None
    at: str


@dataclass(frozen=True)
class DocumentCorrected:
    """The type, title, date or language of a document was put right; number: of the wording now in force."""

    type: ClassVar[str] = "document_corrected.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    number: int
    document_type: str
    category: str
    folder: str
    at: str


@dataclass(frozen=True)
class RectificationAsked:
    """The holder side asks an author to put a document right [L14 18, RGD 6(3)]."""

    type: ClassVar[str] = "rectification_asked.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    rectification_id: str
    professional_id: str
    due_at: str
    at: str


@dataclass(frozen=True)
class RectificationAnswered:
    """The author answered: `answer` is done or refused."""

    type: ClassVar[str] = "rectification_answered.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    rectification_id: str
    professional_id: str
    answer: str
    at: str


@dataclass(frozen=True)
class DepositRequested:
    """The holder side asks for a deposit, due at `due_at` [RGD 6(3), 9(2)]."""

    type: ClassVar[str] = "deposit_requested.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    wish_id: str
    professional_id: str
    document_type: str | None
    due_at: str
    at: str


@dataclass(frozen=True)
class DepositWishChanged:
    """A wish about deposits ended or was met: `outcome` is met, withdrawn or overdue."""

    type: ClassVar[str] = "deposit_wish_changed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    wish_id: str
    professional_id: str | None
    outcome: str
    at: str


@dataclass(frozen=True)
class DepositOpposed:
    """The holder side opposed deposits under an order, a stay or by a professional [RGD 6(3)]."""

    type: ClassVar[str] = "deposit_opposed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    wish_id: str
    mandate_id: str | None
    professional_id: str | None
    at: str


@dataclass(frozen=True)
class DocumentDispensed:
    """What is left of a prescription changed: `state` is open, partial or dispensed.

    hidden: from whom of the holder side it was hidden then, who are not told of it: blocked from all, withheld from
    representatives.
    """

    type: ClassVar[str] = "document_dispensed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    dispensation_id: str
    state: str
    cancelled: bool
    at: str
    hidden: str | None = None


@dataclass(frozen=True)
class DocumentRemoved:
    """A document is gone but for its tombstone; `cause` is request, term or record_deleted.

    hidden: from whom of the holder side it was hidden: unfinished or blocked from all, withheld from representatives.
    """

    type: ClassVar[str] = "document_removed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    cause: str
    at: str
    author_id: str | None = None
    hidden: str | None = None


@dataclass(frozen=True)
class BytesDestroyed:
    """The last stored byte of a removed document is gone from the store, and its keys with it: the proof of it."""

    type: ClassVar[str] = "bytes_destroyed.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    objects: int
    at: str


EVENTS: tuple[type, ...] = (
    DocumentRejected, DocumentVersioned, DocumentCorrected, RectificationAsked, RectificationAnswered, DepositRequested,
    DepositWishChanged, DepositOpposed, DocumentDispensed, DocumentRemoved, BytesDestroyed,
)  # fmt: skip
