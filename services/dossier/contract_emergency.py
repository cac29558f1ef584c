"""Access on a professional's own word, in an emergency or on their own responsibility, and the reviews that follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypedDict

from services.refusals import Refusal

EMERGENCY_REASONS: tuple[str, ...] = (
    "life_threatening",
    "unable_to_consent",
    "acute_care",
    "poisoning",
    "mental_health",
    "other",
)
"""The categories of reasons for an emergency access, in the order in which they are offered; emergency_reasons.csv."""

RESPONSIBILITY_CONDITIONS: tuple[str, ...] = ("direct_care", "strictly_necessary", "patient_informed")
"""What is accepted with an access on one's own responsibility, in the order of seed 003; each is accepted by itself."""

RESPONSIBILITY_WORDINGS: dict[str, dict[str, str]] = {
    "responsibility-2026-1": {
        "access": "J'accède au dossier du patient en engageant ma responsabilité.",
        "direct_care": (
            "Je participe directement à la prise en charge du patient et j'ai un lien thérapeutique avec lui."
        ),
        "strictly_necessary": (
            "J'accède uniquement aux informations strictement nécessaires à la réalisation de cette prise en charge."
        ),
        "patient_informed": (
            "J'informe mon patient préalablement à mon accès sur les conditions d'utilisation de ses données et de son"
            " droit d'opposition."
        ),
    }
}
"""The sentences of seed 003 by version: `access` and each condition; the version is kept with the mandate."""

REASON_LENGTH = 1000

OWN_ACCESSES: tuple[str, ...] = ("emergency", "responsibility")
"""The kinds of access that a professional opens on their own word; each is reviewed."""

REVIEW_STATES: tuple[str, ...] = ("waiting", "taken", "settled")
VERDICTS: tuple[str, ...] = ("justified", "not_justified")
PRIVACY_OFFICER = "privacy_officer"
"""The role of the agents who review [identity's ROLES]."""

REVIEW_NOTE_LENGTH = 2000
REVIEW_PAGE = 100
"""The most lines of one page of reviews or of their statistics."""


# --- events -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EmergencyAccessOpened:
    """A professional opened an emergency access: the holder side is told at once."""

    type: ClassVar[str] = "emergency_access_opened.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    mandate_id: str
    professional_id: str
    at: str


@dataclass(frozen=True)
class ResponsibilityAccessOpened:
    """A professional opened an access on their own responsibility: the holder is told."""

    type: ClassVar[str] = "responsibility_access_opened.v1"
    subject: ClassVar[str | None] = "record_id"

    record_id: str
    patient_id: str
    mandate_id: str
    professional_id: str
    at: str


# --- refusals -----------------------------------------------------------------------------------------------


class EmergencyRefused(Refusal):
    """No emergency access to this record: refused by the holder, unknown, closed or blocked, licence: one answer."""

    code = "emergency_refused"


class ResponsibilityRefused(Refusal):
    """No access on one's own responsibility to this record: refused, unknown, closed, blocked, licence: one answer."""

    code = "responsibility_refused"


class ReviewNotFound(Refusal):
    """There is no such review."""

    code = "review_not_found"


class ReviewTaken(Refusal):
    """Another officer has this review in hand."""

    code = "review_taken"


class ReviewNotTaken(Refusal):
    """Nobody settles a review, or gives it back, who has not taken it."""

    code = "review_not_taken"


class ReviewSettled(Refusal):
    """The review is settled: its verdict stays."""

    code = "review_settled"


# --- shapes on the wire -------------------------------------------------------------------------------------


class OwnAccessOpened(TypedDict):
    """An access on a professional's own word, and until when it lets read."""

    mandate_id: str
    kind: str
    starts_at: str
    read_until: str


class ReviewShown(TypedDict):
    """An access under review: who had it, where from, what they stated, and what the officer thinks of it."""

    review_id: str
    version: int
    kind: str
    state: str
    record_id: str
    mandate_id: str
    professional_id: str
    establishment_id: str | None
    opened_at: str
    read_until: str
    ended_at: str | None
    reason_category: str | None
    reason: str | None
    taken_by: str | None
    taken_at: str | None
    verdict: str | None
    note: str | None
    settled_by: str | None
    settled_at: str | None


class ReviewPage(TypedDict):
    """A page of reviews, the one that waits longest first; next_cursor is null on the last one."""

    reviews: list[ReviewShown]
    next_cursor: str | None


class Counted(TypedDict):
    """How many accesses of one kind were opened, and what became of their reviews."""

    opened: int
    justified: int
    not_justified: int
    waiting: int


class ProfessionalCounted(TypedDict):
    """How often a professional came by ground of the holder's will (`normal`), and how often on their own word."""

    professional_id: str
    normal: int
    emergency: Counted
    responsibility: Counted


class ReviewStatistics(TypedDict):
    """A page of statistics, the professional with the most emergency accesses first."""

    professionals: list[ProfessionalCounted]
    next_cursor: str | None
