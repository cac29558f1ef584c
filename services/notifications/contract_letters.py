"""What the gateway may know of letters: their queue, the batches for the print shop, and what is refused of them."""

from __future__ import annotations

from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

LETTER_STATES: Final[tuple[str, ...]] = ("waiting", "printed", "posted")
"""waiting: to be printed; printed: its file lies there for the print shop; posted: the shop confirmed it."""

LETTER_OCCASIONS: Final[tuple[str, ...]] = (
    "record_opened", "letter_activation", "letter_recovery", "account_invited.professional", "account_invited.agent",
)  # fmt: skip
"""Why a letter goes out."""

BATCH_STATES: Final[tuple[str, ...]] = ("open", "confirmed")
BATCH_LIMIT: Final = 500
"""How many letters a batch holds at most."""


class LetterNotFound(Refusal):
    """No letter has this id."""

    code: ClassVar[str] = "letter_not_found"


class LetterInBatch(Refusal):
    """The letter lies in a batch that the print shop has not confirmed yet: its file is still there to be printed."""

    code: ClassVar[str] = "letter_in_batch"


class LetterSpent(Refusal):
    """The letter's code was used or its time is over; a new letter is asked for instead."""

    code: ClassVar[str] = "letter_spent"


class LetterBatchNotFound(Refusal):
    """No batch has this id."""

    code: ClassVar[str] = "letter_batch_not_found"


class NoLetters(Refusal):
    """There is no letter for a batch."""

    code: ClassVar[str] = "no_letters"


class ShownLetter(TypedDict):
    """One line of a list of letters: nothing of the person, nothing of the codes."""

    letter_id: str
    occasion: str
    state: str
    due_by: str
    overdue: bool
    printed_at: str | None


class LetterPage(TypedDict):
    """Answer of `list_letters`; `next_cursor` is null on the last page."""

    letters: list[ShownLetter]
    next_cursor: str | None


class ShownBatch(TypedDict):
    """One line of a list of batches."""

    batch_id: str
    state: str
    size: int
    made_at: str
    confirmed_at: str | None


class BatchPage(TypedDict):
    """Answer of `list_letter_batches`, newest first; `next_cursor` is null on the last page."""

    batches: list[ShownBatch]
    next_cursor: str | None


class ManifestLine(TypedDict):
    """One letter of a batch: its file's name, pages and SHA-256, at its place in the pile."""

    place: int
    letter_id: str
    file: str
    occasion: str
    pages: int
    sha256: str


class Manifest(ShownBatch):
    """A batch with its letters in their order."""

    letters: list[ManifestLine]
