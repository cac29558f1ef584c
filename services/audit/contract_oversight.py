"""What the privacy officer's work has in common: its states, its refusals, and an entry as an officer reads it."""

from __future__ import annotations

from typing import ClassVar, Final, TypedDict

from services.refusals import Refusal

OVERSEER: Final = "privacy_officer"
"""The role of the agents who do this work [identity's ROLES]."""

QUEUE_STATES: Final[tuple[str, ...]] = ("waiting", "taken", "settled")
"""What waits for an officer, what one has in hand, what was settled for good."""

FINDINGS: Final[tuple[str, ...]] = ("justified", "not_justified")
"""How an access was found."""

WORDS_LENGTH: Final = 2000
"""The most that a holder asks, or that an officer answers or notes."""

SEARCH_DAYS: Final = 7
"""How far back one page of a search looks at most where no record is named."""


# --- refusals -----------------------------------------------------------------------------------------------


class InOtherHands(Refusal):
    """Another officer has this in hand."""

    code: ClassVar[str] = "in_other_hands"


class NotInHand(Refusal):
    """Nobody settles what they have not taken, or gives it back."""

    code: ClassVar[str] = "not_in_hand"


class AlreadySettled(Refusal):
    """It is settled: what was found stays."""

    code: ClassVar[str] = "already_settled"


class EntryNotFound(Refusal):
    """The history that the caller may read has no such entry."""

    code: ClassVar[str] = "entry_not_found"


# --- shapes on the wire -------------------------------------------------------------------------------------


class WholeEntry(TypedDict):
    """An entry as a privacy officer reads it: all of it, address, session and count too; ids and codes only."""

    entry_id: str
    at: str
    received_at: str
    source: str
    action: str
    outcome: str
    reason: str | None
    account_id: str | None
    capacity: str | None
    patient_id: str | None
    professional_id: str | None
    profession: str | None
    establishment_id: str | None
    record_id: str | None
    object_id: str | None
    object_type: str | None
    ground: str | None
    rule: str | None
    purpose: str | None
    session_id: str | None
    request_id: str | None
    address: str | None
    software: str | None
    count: int | None


class EntriesFound(TypedDict):
    """A page of a search, newest first. While `next_cursor` is not null there may be more, whatever the page holds.

    archived_years: years of which entries lie in the archive and were not looked through.
    """

    entries: list[WholeEntry]
    next_cursor: str | None
    archived_years: list[int]
