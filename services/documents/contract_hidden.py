"""What documents tells the house of whom a document is hidden from: its events, and the shapes of those calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypedDict

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DocumentRestricted:
    """The holder side hid a document from one professional, or no longer does [RGD 6(3)]."""

    type: ClassVar[str] = "document_restricted.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    professional_id: str
    restricted: bool
    at: str


@dataclass(frozen=True)
class DocumentBlocked:
    """A professional hid a document from the holder side until it will have been explained in person [L14 16(5)].

    Nobody of the holder side may hear of it.
    """

    type: ClassVar[str] = "document_blocked.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    at: str


@dataclass(frozen=True)
class DocumentReleased:
    """The holder side sees a document again. blocked_at: since when it did not, as DocumentBlocked told it.

    hidden: withheld where representatives still do not.
    """

    type: ClassVar[str] = "document_released.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    at: str
    blocked_at: str
    hidden: str | None = None


@dataclass(frozen=True)
class DocumentWithheld:
    """An autonomous minor's document was hidden from the legal representatives, or no longer is [L14 13].

    since: when the hiding began, which is `at` when it begins.
    """

    type: ClassVar[str] = "document_withheld.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    withheld: bool
    at: str
    since: str


@dataclass(frozen=True)
class BlockReminderDue:
    """A patient block has run so long that it must be looked at: told to this professional alone.

    escalated: the last reminder, which goes to the referring physician too: named in one event of each, where there is
    one.
    """

    type: ClassVar[str] = "block_reminder_due.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    professional_id: str
    escalated: bool
    referring_physician_id: str | None
    at: str


# --- shapes of the calls ----------------------------------------------------------------------------------------------


class RestrictionOf(TypedDict):
    """Answer of `restrict_document` and `unrestrict_document`."""

    document_id: str
    professional_id: str
    restricted: bool


class Restriction(TypedDict):
    """A professional whom a document is hidden from, and since when."""

    professional_id: str
    since: str


class RestrictionList(TypedDict):
    """Answer of `list_restrictions`, the oldest first."""

    restrictions: list[Restriction]


class PatientBlock(TypedDict):
    """Answer of `block_document` and `release_document`; since: null where nothing is blocked any more."""

    document_id: str
    blocked: bool
    since: str | None


class PatientBlockRead(PatientBlock):
    """Answer of `read_patient_block`; who blocked it and why, null where nothing is blocked."""

    professional_id: str | None
    reason: str | None


class Withholding(TypedDict):
    """Answer of `withhold_document` and `show_document`."""

    document_id: str
    withheld: bool


class DepositableType(TypedDict):
    """A type of document that may be deposited, the folder it goes to, and the kinds of bytes it may have.

    max_sizes: of each kind, how many bytes at most.
    """

    slug: str
    label: str
    folder: str
    category: str
    media_types: list[str]
    max_sizes: dict[str, int]


class DepositableTypes(TypedDict):
    """Answer of `depositable_types`, in the order of the list of types."""

    types: list[DepositableType]


class Reader(TypedDict):
    """Somebody who can see a document now, or all who work at an establishment; on what ground, by which rule.

    until: when that ground ends, null for none that ends by itself.
    """

    professional_id: str | None
    patient_id: str | None
    establishment_id: str | None
    ground: str
    rule: str
    until: str | None


class Readers(TypedDict):
    """Answer of `readers`."""

    readers: list[Reader]


class Explained(TypedDict):
    """Answer of `explain_document`: the decision and its rule; of a refusal the step that refused, and what would help.

    until: when what was allowed ends, null where it does not by itself.
    """

    allowed: bool
    ground: str | None
    rule: str
    step: str | None
    remedies: list[str]
    until: str | None
