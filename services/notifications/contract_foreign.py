"""The events that foreign systems receive: the type of each and what it says. The AsyncAPI document is made of this.

A type stands here with the shape of its `data`, or it is no type: what is sent, what may be subscribed to and what the
document promises cannot differ. A break is a new version of the type beside the old one.
"""

from __future__ import annotations

from typing import Final, TypedDict

DOCUMENT_DEPOSITED: Final = "lu.dsp.document.deposited.v1"
DOCUMENT_CONFIDENTIALITY_CHANGED: Final = "lu.dsp.document.confidentiality_changed.v1"
DOCUMENT_BLOCKED: Final = "lu.dsp.document.blocked.v1"
DOCUMENT_RELEASED: Final = "lu.dsp.document.released.v1"
DOCUMENT_VERSIONED: Final = "lu.dsp.document.versioned.v1"
DOCUMENT_DISPENSED: Final = "lu.dsp.document.dispensed.v1"
DOCUMENT_NO_LONGER_AVAILABLE: Final = "lu.dsp.document.no_longer_available.v1"
RECORD_OPENED: Final = "lu.dsp.record.opened.v1"
RECORD_CLOSED: Final = "lu.dsp.record.closed.v1"
SUBSCRIPTION_TESTED: Final = "lu.dsp.subscription.tested.v1"


class Origin(TypedDict, total=False):
    """Where a document comes from: absent of a holder's own, and where it is not known."""

    establishment_id: str


class DocumentFacts(Origin):
    """What every event says of a document that its reader may read: ids and codes, never a name or a title."""

    record_id: str
    document_id: str
    version_id: str
    type: str
    category: str
    level: str


class Deposited(DocumentFacts):
    """A document was deposited."""

    deposited_at: str


class ConfidentialityChanged(DocumentFacts):
    """A document has another level; told to those who still read it, and never which it had before."""

    changed_at: str


class Blocked(DocumentFacts):
    """A document is kept from its patient until somebody has explained it to them; its readers must not speak of it."""

    blocked_at: str


class Released(DocumentFacts):
    """A document is no longer kept from its patient."""

    released_at: str


class Versioned(DocumentFacts):
    """A document has a new current version, which `version_id` names."""

    number: int
    versioned_at: str


class Dispensed(DocumentFacts):
    """What is left of a prescription has changed, by a dispensation or by taking one back."""

    state: str
    dispensed_at: str


class NoLongerAvailable(TypedDict):
    """A document that was told of is not to be had any more, the same whatever the cause: what was kept of it must go.

    Sent to every system that was told of the document, whether it wishes for this type or not.
    """

    record_id: str
    document_id: str
    at: str


class RecordOpened(TypedDict):
    """Whoever has a ground in a record reads and deposits in it from now on: it was opened, activated or reopened."""

    record_id: str
    opened_at: str


class RecordClosed(TypedDict):
    """A record was closed: told to those who had a ground in it, and who have none any more."""

    record_id: str
    closed_at: str


class SubscriptionTested(TypedDict):
    """Somebody tried a subscription out: nothing happened. Sent when asked for, whether it is wished for or not.

    It has no number in the subscriber's row.
    """

    subscription_id: str
    at: str


FOREIGN_EVENTS: Final[dict[str, type]] = {
    DOCUMENT_DEPOSITED: Deposited,
    DOCUMENT_CONFIDENTIALITY_CHANGED: ConfidentialityChanged,
    DOCUMENT_BLOCKED: Blocked,
    DOCUMENT_RELEASED: Released,
    DOCUMENT_VERSIONED: Versioned,
    DOCUMENT_DISPENSED: Dispensed,
    DOCUMENT_NO_LONGER_AVAILABLE: NoLongerAvailable,
    RECORD_OPENED: RecordOpened,
    RECORD_CLOSED: RecordClosed,
    SUBSCRIPTION_TESTED: SubscriptionTested,
}
"""CloudEvents type -> the shape of its data, whose docstring says when it is sent."""

FOREIGN_EVENT_TYPES: Final[tuple[str, ...]] = tuple(FOREIGN_EVENTS)
"""CloudEvents types a foreign system may subscribe to."""

FOREIGN_FIELDS: Final[dict[str, str]] = {
    "subscription_id": "The subscription.",
    "record_id": "The record as it is found through the API now.",
    "document_id": "The document; the API gives it to whoever may read it, and traces the reading.",
    "version_id": "Its current version.",
    "type": "The code of its type.",
    "category": "The category of the access matrix its type belongs to.",
    "level": "Its level of confidentiality.",
    "establishment_id": "The establishment in which the document was first deposited; absent of a holder's own, and"
    " where it is not known.",
    "deposited_at": "When it was deposited.",
    "changed_at": "When its level was changed.",
    "blocked_at": "Since when it is kept from its patient.",
    "released_at": "Since when its patient sees it.",
    "number": "Which version of the document it is, counted from 1.",
    "versioned_at": "When the version was made.",
    "state": "What is left of the prescription: open, partial or dispensed.",
    "dispensed_at": "When it was dispensed, or taken back.",
    "at": "When it was found to be gone; what caused it may have been before.",
    "opened_at": "When the record was opened.",
    "closed_at": "When the record was closed.",
}
"""What each member of an event's data means. `…_id` is a UUID, `at` and `…_at` are times in UTC (RFC 3339)."""
