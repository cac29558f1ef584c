"""What the other services and the gateway may know of notifications: its name, its edges, its refusals, its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypedDict

from services.notifications.contract_foreign import DOCUMENT_BLOCKED as DOCUMENT_BLOCKED
from services.notifications.contract_foreign import DOCUMENT_CONFIDENTIALITY_CHANGED as DOCUMENT_CONFIDENTIALITY_CHANGED
from services.notifications.contract_foreign import DOCUMENT_DEPOSITED as DOCUMENT_DEPOSITED
from services.notifications.contract_foreign import DOCUMENT_DISPENSED as DOCUMENT_DISPENSED
from services.notifications.contract_foreign import DOCUMENT_NO_LONGER_AVAILABLE as DOCUMENT_NO_LONGER_AVAILABLE
from services.notifications.contract_foreign import DOCUMENT_RELEASED as DOCUMENT_RELEASED
from services.notifications.contract_foreign import DOCUMENT_VERSIONED as DOCUMENT_VERSIONED
from services.notifications.contract_foreign import FOREIGN_EVENT_TYPES as FOREIGN_EVENT_TYPES
from services.notifications.contract_foreign import FOREIGN_EVENTS as FOREIGN_EVENTS
from services.notifications.contract_foreign import FOREIGN_FIELDS as FOREIGN_FIELDS
from services.notifications.contract_foreign import RECORD_CLOSED as RECORD_CLOSED
from services.notifications.contract_foreign import RECORD_OPENED as RECORD_OPENED
from services.notifications.contract_foreign import SUBSCRIPTION_TESTED as SUBSCRIPTION_TESTED
from services.notifications.contract_inbox import DEVICES_MOST as DEVICES_MOST
from services.notifications.contract_inbox import STREAM_COOKIE as STREAM_COOKIE
from services.notifications.contract_inbox import STREAM_PATH as STREAM_PATH
from services.notifications.contract_inbox import NotificationNotFound as NotificationNotFound
from services.notifications.contract_inbox import NotificationPage as NotificationPage
from services.notifications.contract_inbox import PushDevice as PushDevice
from services.notifications.contract_inbox import PushDevices as PushDevices
from services.notifications.contract_inbox import PushNotAvailable as PushNotAvailable
from services.notifications.contract_inbox import ReadNotification as ReadNotification
from services.notifications.contract_inbox import ReadNotifications as ReadNotifications
from services.notifications.contract_inbox import StreamPrepared as StreamPrepared
from services.notifications.contract_inbox import UnreadCount as UnreadCount
from services.notifications.contract_letters import BATCH_LIMIT as BATCH_LIMIT
from services.notifications.contract_letters import BATCH_STATES as BATCH_STATES
from services.notifications.contract_letters import LETTER_OCCASIONS as LETTER_OCCASIONS
from services.notifications.contract_letters import LETTER_STATES as LETTER_STATES
from services.notifications.contract_letters import BatchPage as BatchPage
from services.notifications.contract_letters import LetterBatchNotFound as LetterBatchNotFound
from services.notifications.contract_letters import LetterInBatch as LetterInBatch
from services.notifications.contract_letters import LetterNotFound as LetterNotFound
from services.notifications.contract_letters import LetterPage as LetterPage
from services.notifications.contract_letters import LetterSpent as LetterSpent
from services.notifications.contract_letters import Manifest as Manifest
from services.notifications.contract_letters import NoLetters as NoLetters
from services.notifications.contract_letters import ShownBatch as ShownBatch
from services.notifications.contract_letters import ShownLetter as ShownLetter
from services.notifications.contract_messages import MESSAGE_CAUSES as MESSAGE_CAUSES
from services.notifications.contract_messages import MESSAGE_CHANNELS as MESSAGE_CHANNELS
from services.notifications.contract_messages import MESSAGE_FAMILIES as MESSAGE_FAMILIES
from services.notifications.contract_messages import MESSAGE_STATES as MESSAGE_STATES
from services.notifications.contract_messages import MessageStep as MessageStep
from services.notifications.contract_messages import OutgoingPage as OutgoingPage
from services.notifications.contract_messages import ReceiptNotTaken as ReceiptNotTaken
from services.notifications.contract_messages import ShownMessage as ShownMessage
from services.notifications.contract_news import DocumentNewsDue as DocumentNewsDue
from services.notifications.contract_settings import DIGEST_CHANNELS as DIGEST_CHANNELS
from services.notifications.contract_settings import NOTICE_CHANNELS as NOTICE_CHANNELS
from services.notifications.contract_settings import TIME_ZONE as TIME_ZONE
from services.notifications.contract_settings import NoticeFixed as NoticeFixed
from services.notifications.contract_settings import ShownSettings as ShownSettings
from services.notifications.contract_threads import ATTACHMENT_BYTES as ATTACHMENT_BYTES
from services.notifications.contract_threads import ATTACHMENT_KINDS as ATTACHMENT_KINDS
from services.notifications.contract_threads import ATTACHMENT_STATES as ATTACHMENT_STATES
from services.notifications.contract_threads import ATTACHMENTS_MOST as ATTACHMENTS_MOST
from services.notifications.contract_threads import CORRESPONDENTS_MOST as CORRESPONDENTS_MOST
from services.notifications.contract_threads import FILE_NAME_LENGTH as FILE_NAME_LENGTH
from services.notifications.contract_threads import SUBJECT_LENGTH as SUBJECT_LENGTH
from services.notifications.contract_threads import TEXT_LENGTH as TEXT_LENGTH
from services.notifications.contract_threads import THREADS_PAGE as THREADS_PAGE
from services.notifications.contract_threads import AttachmentNotFound as AttachmentNotFound
from services.notifications.contract_threads import AttachmentRejected as AttachmentRejected
from services.notifications.contract_threads import AttachmentShown as AttachmentShown
from services.notifications.contract_threads import AttachmentUnchecked as AttachmentUnchecked
from services.notifications.contract_threads import Correspondent as Correspondent
from services.notifications.contract_threads import CorrespondentNotFound as CorrespondentNotFound
from services.notifications.contract_threads import MessagePage as MessagePage
from services.notifications.contract_threads import MessageShown as MessageShown
from services.notifications.contract_threads import OpenedAttachment as OpenedAttachment
from services.notifications.contract_threads import Reachable as Reachable
from services.notifications.contract_threads import ReachableList as ReachableList
from services.notifications.contract_threads import Receipts as Receipts
from services.notifications.contract_threads import StartedAttachment as StartedAttachment
from services.notifications.contract_threads import ThreadNotFound as ThreadNotFound
from services.notifications.contract_threads import ThreadPage as ThreadPage
from services.notifications.contract_threads import ThreadRead as ThreadRead
from services.notifications.contract_threads import ThreadShown as ThreadShown
from services.notifications.contract_threads import TooManyAttachments as TooManyAttachments
from services.notifications.contract_threads import TooManyCorrespondents as TooManyCorrespondents
from services.notifications.contract_threads import Unread as Unread
from services.notifications.contract_threads import WritingEnded as WritingEnded
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
    ("dossier", "access_narrowed.v1"): "on_access_narrowed",
    ("dossier", "practice_changed.v1"): "on_practice_changed",
    ("dossier", "mandate_ended.v1"): "on_mandate_ended",
    ("dossier", "mandate_ending.v1"): "on_mandate_ending",
    ("dossier", "circle_member_added.v1"): "on_circle_member_added",
    ("dossier", "circle_member_removed.v1"): "on_circle_member_removed",
    ("dossier", "records_merged.v1"): "on_records_merged",
    ("dossier", "records_unmerged.v1"): "on_records_unmerged",
    ("identity", "account_invited.v1"): "on_account_invited",
    ("identity", "client_state_changed.v1"): "on_client_state_changed",
    ("identity", "one_time_code_requested.v1"): "on_one_time_code_requested",
    ("identity", "account_notice_due.v1"): "on_account_notice_due",
    ("identity", "helpdesk_requested.v1"): "on_helpdesk_requested",
    ("notifications", "document_news_due.v1"): "on_document_news_due",
    ("documents", "document_deposited.v1"): "on_document_deposited",
    ("documents", "confidentiality_changed.v1"): "on_confidentiality_changed",
    ("documents", "document_blocked.v1"): "on_document_blocked",
    ("documents", "document_released.v1"): "on_document_released",
    ("documents", "document_withheld.v1"): "on_document_withheld",
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
    ("documents", "removal_asked.v1"): "on_removal_asked",
    ("audit", "case_opened.v1"): "on_case_opened",
    ("audit", "case_answered.v1"): "on_case_answered",
    ("audit", "alerts_raised.v1"): "on_alerts_raised",
    ("directory", "patients_merged.v1"): "on_patients_merged",
    ("directory", "patients_unmerged.v1"): "on_patients_unmerged",
    ("dossier", "record_holder_changed.v1"): "on_record_holder_changed",
}
"""(emitter, event type) -> handler. The handler's name is part of the contract: parked events are known by it."""

LANGUAGES: Final[tuple[str, ...]] = ("fr", "lb", "pt", "en", "de")


class SubscriptionNotFound(Refusal):
    """No subscription has this id."""

    code: ClassVar[str] = "subscription_not_found"


class TooManySubscriptions(Refusal):
    """So many subscriptions are running that no further one may begin."""

    code: ClassVar[str] = "too_many_subscriptions"


class WebhookRefused(Refusal):
    """The webhook was asked whether it wants our events and did not say so; detail: cause, what came of it.

    url: it is no https address. address: it is none of the public internet. not_allowed: the answer gives no leave.
    tls, timeout, unreachable, http_…: there was no answer, or another one. not_offered: nothing goes to webhooks here.
    """

    code: ClassVar[str] = "webhook_refused"


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


EVENTS: Final[tuple[type[Any], ...]] = (SubscriptionCreated, SubscriptionEnded, DocumentNewsDue)


# --- shapes of the calls ----------------------------------------------------------------------------------------------


class CreatedSubscription(TypedDict):
    """Answer of `create_subscription`, the only one that ever holds the password; all null for a webhook."""

    subscription_id: str
    vhost: str | None
    queue: str | None
    username: str | None
    password: str | None
    host: str | None
    port: int | None


class ShownSubscription(TypedDict):
    """A subscription: what it hears, how it is sent to, and how that goes.

    client_id: null for one that the agency made. document_types, categories, establishments: empty for all. way: queue
    or webhook.
    state: active, suspended or ended. delivery: active, lagging or parked, `cause` why, `since` from when on. sequence:
    the last number given.
    """

    subscription_id: str
    establishment_id: str
    client_id: str | None
    event_types: list[str]
    document_types: list[str]
    categories: list[str]
    establishments: list[str]
    way: str
    queue: str | None
    username: str | None
    webhook: str | None
    state: str
    delivery: str
    cause: str | None
    since: str
    sequence: int
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
