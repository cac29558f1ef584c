"""What documents tells the house of versions, corrections, rectifications and what is shown of a document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final, TypedDict

from services.documents.contract_checking import HandedRendition
from services.refusals import Refusal

RECTIFIED_WITHIN: Final = timedelta(days=15)
"""How long an author has to answer, and may make a new version without another ground [RGD 6(3), domain]."""

RECTIFICATION_ANSWERS: tuple[str, ...] = ("done", "refused")
RECTIFICATION_LENGTH: Final = 2_000
RECTIFICATIONS_SHOWN: Final = 200
SHOWN_KINDS: tuple[str, ...] = ("thumbnail", "page", "view")
"""What may be made of a document to be shown: a small picture, its first page, its narrative as HTML."""

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RectificationOverdue:
    """The author did not answer in time; told once [RGD 6(3)]."""

    type: ClassVar[str] = "rectification_overdue.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    document_id: str
    rectification_id: str
    professional_id: str
    at: str


# --- refusals ---------------------------------------------------------------------------------------------------------


class DocumentGone(Refusal):
    """The agency removed the document: who could see it is told so, everybody else that there is none."""

    code = "document_removed"


class DocumentUnfinished(Refusal):
    """The document's first bytes are still looked at, or did not pass: there is nothing to change yet."""

    code = "document_unfinished"


class PreviewNotFound(Refusal):
    """Nothing of this kind was made of the document's bytes, or not yet."""

    code = "preview_not_found"


class RectificationNotFound(Refusal):
    """No such request, or none that this professional is asked to answer."""

    code = "rectification_not_found"


class RectificationOpen(Refusal):
    """The author was asked to put this document right already, and has not answered."""

    code = "rectification_open"


class RectificationSettled(Refusal):
    """The request was answered before, and otherwise."""

    code = "rectification_settled"


# --- shapes of the calls ----------------------------------------------------------------------------------------------


class VersionShown(TypedDict):
    """One version as the history shows it; its depositor alone sees one that is `checking` or `rejected`.

    restores: the number it brings back. author_id, establishment_id: whose and where; null for the holder side.
    """

    version_id: str
    number: int
    state: str
    reason: str | None
    restores: int | None
    current: bool
    media_type: str
    size: int
    sha256: str
    author_id: str | None
    establishment_id: str | None
    created_at: str


class Wording(TypedDict):
    """How a document was described, as it was deposited (number 1) or as somebody corrected it."""

    number: int
    type: str
    title: str
    act_date: str | None
    language: str | None
    author_id: str | None
    created_at: str


class DocumentHistory(TypedDict):
    """Answer of `read_history`, both lists newest first; `version` counts every change, as in `read_document`."""

    document_id: str
    version: int
    versions: list[VersionShown]
    wordings: list[Wording]


class Restored(TypedDict):
    """Answer of `restore_version`: the new version, and what the document's count of changes is now."""

    document_id: str
    version_id: str
    number: int
    restores: int
    version: int


class Corrected(TypedDict):
    """Answer of `correct_document`: the wording now in force, and what the count of changes is now."""

    document_id: str
    type: str
    category: str
    folder: str
    title: str
    act_date: str | None
    language: str | None
    version: int


class Rectification(TypedDict):
    """A request to put a document right. answer: done or refused, null while it waits; words: the author's own.

    version_id: of the author's version that came after it, where there is one.
    """

    rectification_id: str
    record_id: str
    document_id: str
    professional_id: str
    wish: str
    asked_at: str
    due_at: str
    overdue: bool
    answer: str | None
    words: str | None
    answered_at: str | None
    version_id: str | None


class Rectifications(TypedDict):
    """Answer of `list_rectifications` and `rectifications_for_me`, the newest first."""

    rectifications: list[Rectification]


class ShownDocument(TypedDict):
    """What a page about a document has in its head; `type_name` in the reader's language."""

    document_id: str
    version_id: str
    number: int
    media_type: str
    type_name: str
    title: str
    act_date: str | None
    deposited_at: str
    author_id: str | None


class ShownRendition(TypedDict):
    """Answer of `open_rendition`: the document's head, and the rendition unless the bytes themselves are shown."""

    document: ShownDocument
    rendition: HandedRendition | None
