"""What the other services and the gateway may know of notifications: its name, its edges, its refusals, its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypedDict

from services.refusals import Refusal

NAME: Final = "notifications"

CALLS: Final[tuple[str, ...]] = ("identity", "dossier", "directory")
"""The services this one may ask (R7). Facts about documents come with documents' events, never by a call."""

SUBSCRIPTIONS: Final[dict[tuple[str, str], str]] = {
    ("dossier", "record_opened.v1"): "on_record_opened",
    ("dossier", "record_first_accessed_by.v1"): "on_record_first_accessed_by",
    ("dossier", "record_state_changed.v1"): "on_record_state_changed",
    ("dossier", "mandate_opened.v1"): "on_mandate_opened",
    ("dossier", "emergency_access_opened.v1"): "on_emergency_access_opened",
    ("dossier", "responsibility_access_opened.v1"): "on_responsibility_access_opened",
    ("dossier", "presence_code_tried.v1"): "on_presence_code_tried",
    ("dossier", "presence_code_regenerated.v1"): "on_presence_code_regenerated",
    ("dossier", "grant_ended.v1"): "on_grant_ended",
    ("dossier", "licence_stops_grants.v1"): "on_licence_stops_grants",
    ("dossier", "assistant_accepted.v1"): "on_assistant_accepted",
    ("dossier", "representative_recorded.v1"): "on_representative_recorded",
    ("dossier", "referring_physician_proposed.v1"): "on_referring_physician_proposed",
    ("dossier", "referring_physician_changed.v1"): "on_referring_physician_changed",
    ("identity", "account_invited.v1"): "on_account_invited",
    ("identity", "one_time_code_requested.v1"): "on_one_time_code_requested",
    ("identity", "account_notice_due.v1"): "on_account_notice_due",
    ("documents", "document_deposited.v1"): "on_document_deposited",
    ("documents", "confidentiality_changed.v1"): "on_confidentiality_changed",
    ("documents", "document_blocked.v1"): "on_document_blocked",
    ("documents", "document_released.v1"): "on_document_released",
    ("documents", "document_restricted.v1"): "on_document_restricted",
    ("documents", "document_versioned.v1"): "on_document_versioned",
    ("documents", "document_corrected.v1"): "on_document_corrected",
    ("documents", "block_reminder_due.v1"): "on_block_reminder_due",
    ("documents", "document_rejected.v1"): "on_document_rejected",
    ("documents", "document_removed.v1"): "on_document_removed",
    ("documents", "document_dispensed.v1"): "on_document_dispensed",
    ("documents", "rectification_asked.v1"): "on_rectification_asked",
    ("documents", "rectification_answered.v1"): "on_rectification_answered",
    ("documents", "rectification_overdue.v1"): "on_rectification_overdue",
    ("documents", "deposit_requested.v1"): "on_deposit_requested",
    ("documents", "deposit_wish_changed.v1"): "on_deposit_wish_changed",
    ("documents", "deposit_opposed.v1"): "on_deposit_opposed",
    ("audit", "case_answered.v1"): "on_case_answered",
}
"""(emitter, event type) -> handler. The handler's name is part of the contract: parked events are known by it."""

DOCUMENT_DEPOSITED: Final = "lu.dsp.document.deposited.v1"
DOCUMENT_CONFIDENTIALITY_CHANGED: Final = "lu.dsp.document.confidentiality_changed.v1"
DOCUMENT_BLOCKED: Final = "lu.dsp.document.blocked.v1"
DOCUMENT_RELEASED: Final = "lu.dsp.document.released.v1"

FOREIGN_EVENT_TYPES: Final[tuple[str, ...]] = (
    DOCUMENT_DEPOSITED, DOCUMENT_CONFIDENTIALITY_CHANGED, DOCUMENT_BLOCKED, DOCUMENT_RELEASED,
)  # fmt: skip
"""CloudEvents types a foreign system may subscribe to."""

LANGUAGES: Final[tuple[str, ...]] = ("fr", "lb", "pt", "en", "de")

LETTER_STATES: Final[tuple[str, ...]] = ("waiting", "printed")
LETTER_OCCASIONS: Final[tuple[str, ...]] = (
    "record_opened", "letter_activation", "letter_recovery", "account_invited.professional", "account_invited.agent",
)  # fmt: skip
"""Why a letter goes out."""


class SubscriptionNotFound(Refusal):
    """No subscription has this id."""

    code: ClassVar[str] = "subscription_not_found"


@dataclass(frozen=True)
class SubscriptionCreated:
    """A foreign system may from now on receive the named events."""

    type: ClassVar[str] = "subscription_created.v1"
    subject: ClassVar[str | None] = "subscription_id"

    subscription_id: str
    establishment_id: str
    event_types: list[str]
    created_at: str


@dataclass(frozen=True)
class SubscriptionEnded:
    """A foreign system receives nothing any more and its credential is refused."""

    type: ClassVar[str] = "subscription_ended.v1"
    subject: ClassVar[str | None] = "subscription_id"

    subscription_id: str
    establishment_id: str
    ended_at: str


EVENTS: Final[tuple[type[Any], ...]] = (SubscriptionCreated, SubscriptionEnded)


# --- shapes of the calls ----------------------------------------------------------------------------------------------


class CreatedSubscription(TypedDict):
    """Answer of `create_subscription`, the only one that ever holds the password."""

    subscription_id: str
    vhost: str
    queue: str
    username: str
    password: str
    host: str
    port: int


class ShownSubscription(TypedDict):
    """One line of a list of subscriptions; `ended_at` is null while it is active."""

    subscription_id: str
    establishment_id: str
    event_types: list[str]
    queue: str
    username: str
    state: str
    created_at: str
    ended_at: str | None


class SubscriptionPage(TypedDict):
    """Answer of `list_subscriptions`, newest first; `next_cursor` is null on the last page."""

    subscriptions: list[ShownSubscription]
    next_cursor: str | None


class EndedSubscription(TypedDict):
    """Answer of `end_subscription`, the same at every repeat."""

    subscription_id: str
    ended_at: str


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
