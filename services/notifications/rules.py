"""The pure decisions of notifications: identities that repeat, who may subscribe to what, what a foreign event says,
what a foreign account may do on the second vhost. No I/O, no clock, no database, no randomness of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from services.notifications.contract import (
    DOCUMENT_BLOCKED,
    DOCUMENT_CONFIDENTIALITY_CHANGED,
    DOCUMENT_DEPOSITED,
    DOCUMENT_RELEASED,
    FOREIGN_EVENT_TYPES,
    LANGUAGES,
    LETTER_STATES,
    ShownLetter,
    ShownSubscription,
)

# --- people -----------------------------------------------------------------------------------------------------------

DEFAULT_LANGUAGE: Final = "fr"

ONE_TIME_CODE_MINUTES: Final = 5
"""What a message says of a one-time code's life; identity decides it (decisions.md, Identity on the bus)."""

RESET_LINK_MINUTES: Final = 30
"""The same for the link with which a forgotten password is replaced."""

EMAIL: Final = "email"
SMS: Final = "sms"
CHANNEL_OF_KIND: Final[dict[str, str]] = {"email": EMAIL, "mobile": SMS}
"""How something reaches an address, by the kind of address."""

OCCASION_OF_PURPOSE: Final[dict[str, str]] = {
    "contact": "one_time_code.contact",
    "account_contact": "one_time_code.contact",
    "helpdesk_contact": "one_time_code.helpdesk_contact",
    "log_in": "one_time_code.log_in",
}
"""Which text carries a one-time code, by what the code is for."""

LETTER_OF_INVITED: Final[dict[str, str]] = {
    "patient": "letter_activation",  # the first one came with the opening of the record
    "professional": "account_invited.professional",
    "agent": "account_invited.agent",
}
LETTER_OF_RECOVERY: Final = "letter_recovery"

# A name space of our own, so that a letter's id is the same at each retry of its event and nobody else's.
_LETTERS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:dsp:letters")


def language_of(language: str | None) -> str:
    """The person's language where we have texts in it, French otherwise."""
    return language if language in LANGUAGES else DEFAULT_LANGUAGE


def letter_of_invited(subject_kind: str, purpose: str) -> str:
    """Which letter somebody gets: to activate a capacity, or to find the way back into the account they have.

    Raises KeyError for a kind of person who gets none.
    """
    occasion = LETTER_OF_INVITED[subject_kind]
    return LETTER_OF_RECOVERY if purpose == "recovery" else occasion


def letter_id_for(event_id: str, recipient_id: str) -> str:
    """The id of the one letter that this event causes for this recipient, the same at every retry.

    The codes on a letter belong to its id: a retry replaces them and rewrites the file, so that what lies in the
    folder is always valid.
    """
    return str(uuid.uuid5(_LETTERS, f"{event_id}/{recipient_id}"))


def addressed_to(
    representatives: Sequence[Mapping[str, Any]], holder_name: Sequence[str], words: str
) -> dict[str, Any]:
    """One address of those who represent somebody: the first one's, with whoever else lives there, and for whom.

    words: what stands before the holder's {name}. A letter has codes, so there is one of it, not one for each.
    """
    first = representatives[0]
    there = [each for each in representatives if each["address_lines"] == first["address_lines"]]
    names = [line for each in there for line in each["name_lines"]]
    return {**first, "name_lines": [*names, *(words.format(name=name) for name in holder_name)]}


LETTER_WITHIN: Final = timedelta(days=7)
"""How long after the request a letter is on its way at the latest [seed 002; for the other letters ours]."""

_LONGEST_WAIT_IN_OUTAGE: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=1)


def letter_due_by(asked_at: str) -> datetime:
    """Until when the letter must be on its way that was asked for at this time (RFC 3339)."""
    return datetime.fromisoformat(asked_at) + LETTER_WITHIN


def wait_before_print(attempts: int, outage: bool) -> timedelta:
    """How long a letter rests that could not be printed for the n-th time; an outage is over sooner than a fault."""
    longest = _LONGEST_WAIT_IN_OUTAGE if outage else _LONGEST_WAIT
    return min(longest, timedelta(seconds=0.5 * 2 ** min(attempts, 20)))


def may_see_letters(capacity: str) -> bool:
    """Only the agency's agents see which letters wait."""
    return capacity == "agent"


def wrong_letter_page(state: object, limit: object, cursor: object, most: int) -> list[dict[str, str]]:
    """The errors of a wish for a page of letters, as JSON pointers."""
    errors = [] if state in LETTER_STATES else [{"pointer": "/state", "message": "choice"}]
    return errors + wrong_page(None, limit, cursor, most)


def shown_letter(letter: Mapping[str, Any], now: datetime, text_of: Callable[[datetime], str]) -> ShownLetter:
    """A letter as a list shows it; late is one that should be on its way and waits."""
    printed_at = letter["printed_at"]
    return {
        "letter_id": letter["letter_id"],
        "occasion": letter["occasion"],
        "state": letter["state"],
        "due_by": text_of(letter["due_by"]),
        "overdue": printed_at is None and letter["due_by"] < now,
        "printed_at": None if printed_at is None else text_of(printed_at),
    }


def message_id_for(event_id: str, recipient_id: str, channel: str) -> str:
    """The Message-ID of the one mail that this event causes for this person on this channel [RFC 5322 3.6.4].

    The person stands in it as a digest: a header crosses foreign mail servers, our internal ids need not.
    """
    person = hashlib.sha256(recipient_id.encode()).hexdigest()[:12]
    return f"<{event_id}.{person}.{channel}@opendsp>"


def client_reference_for(event_id: str, recipient_id: str) -> str:
    """The name by which an SMS provider knows a repeat; made like a Message-ID, fit for the name of a file."""
    return message_id_for(event_id, recipient_id, SMS).strip("<>").partition("@")[0]


def occasion_of_notice(occasion: str) -> str:
    """Which text tells an account's owner of a change."""
    return f"account_notice.{occasion}"


def notice_recipient(notice_id: str, place: int) -> str:
    """One recipient of a notice, by the place in its list: addresses are not kept here."""
    return f"{notice_id}.{place}"


def reset_link(portal: str, reset: str) -> str:
    """The link of a forgotten password. What counts stands behind the #: no server on the way sees or logs it."""
    return f"{portal.rstrip('/')}/password-reset#{reset}"


def best_contact(contacts: Iterable[Mapping[str, str]]) -> tuple[str, str] | None:
    """Where to tell somebody one thing: the first e-mail address, else the first number; None where there is none."""
    known = [(contact["kind"], contact["value"]) for contact in contacts if contact["kind"] in CHANNEL_OF_KIND]
    return next((one for one in known if one[0] == "email"), known[0] if known else None)


# --- subscriptions ----------------------------------------------------------------------------------------------------

QUEUE_BYTES: Final = 64 * 1024 * 1024
QUEUE_AGE: Final = timedelta(days=14)
QUEUE_PREFIX: Final = "sub."
USER_PREFIX: Final = "foreign-"
UNFINISHED_AFTER: Final = timedelta(minutes=10)
"""A subscription still in preparation after this was cut short: nobody ever saw its password."""

QUEUE_REMOVED_FOR_GOOD: Final = timedelta(minutes=2)
"""For so long after the end the queue is deleted again and again: an event on its way could declare it anew."""

# What an unknown user name is compared with, so that it takes as long as a known one.
_NO_DIGEST: Final = bytes(32)


@dataclass(frozen=True)
class Credential:
    """How a foreign system gets at its queue; the password is shown once and kept as a digest only."""

    queue: str
    username: str
    password: str


def may_manage_subscriptions(capacity: str) -> bool:
    """Only the agency's agents open and end subscriptions (interfaces.md; machine clients follow with OAuth)."""
    return capacity == "agent"


def wrong_event_types(event_types: object) -> list[dict[str, str]]:
    """The errors of the wished event types as JSON pointers; empty when each is one that foreign systems may get."""
    if not isinstance(event_types, list) or not event_types:
        return [{"pointer": "/event_types", "message": "required"}]
    return [
        {"pointer": f"/event_types/{place}", "message": "unknown"}
        for place, event_type in enumerate(event_types)
        if event_type not in FOREIGN_EVENT_TYPES
    ]


def is_id(value: object) -> bool:
    """Whether a value is the text of a UUID."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def wrong_page(establishment_id: object, limit: object, cursor: object, most: int) -> list[dict[str, str]]:
    """The errors of a wish for a page of subscriptions, as JSON pointers."""
    errors = []
    if establishment_id is not None and not is_id(establishment_id):
        errors.append({"pointer": "/establishment_id", "message": "id"})
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= most:
        errors.append({"pointer": "/limit", "message": "range"})
    if cursor is not None and not is_id(cursor):
        errors.append({"pointer": "/cursor", "message": "cursor"})
    return errors


def shown(subscription: Mapping[str, Any], text_of: Callable[[datetime], str]) -> ShownSubscription:
    """A subscription as a list shows it: nothing that would let anybody in."""
    ended_at = subscription["ended_at"]
    return {
        "subscription_id": subscription["subscription_id"],
        "establishment_id": subscription["establishment_id"],
        "event_types": list(subscription["event_types"]),
        "queue": subscription["queue"],
        "username": subscription["username"],
        "state": subscription["state"],
        "created_at": text_of(subscription["created_at"]),
        "ended_at": None if ended_at is None else text_of(ended_at),
    }


def credential_from(random: bytes) -> Credential:
    """A subscription's queue, user name and 256-bit password out of 64 random bytes.

    Names are random because other foreign systems must not learn from them who else subscribes.
    """
    if len(random) != 64:
        raise ValueError("64 random bytes make one credential")
    return Credential(
        queue=QUEUE_PREFIX + _base32(random[:16]),
        username=USER_PREFIX + _base32(random[16:32]),
        password=base64.urlsafe_b64encode(random[32:]).rstrip(b"=").decode(),
    )


def _base32(random: bytes) -> str:
    return base64.b32encode(random).rstrip(b"=").decode().lower()


def password_digest(password: str) -> bytes:
    """What is kept of a foreign password. It is 256 random bits: a plain digest cannot be guessed back."""
    return hashlib.sha256(password.encode()).digest()


def password_matches(offered: str, digest: bytes | None) -> bool:
    """Whether the offered password is the one of this digest, in the same time whatever the answer."""
    same = hmac.compare_digest(password_digest(offered), digest if digest is not None else _NO_DIGEST)
    return same and digest is not None


def queue_arguments() -> dict[str, Any]:
    """How a subscriber's queue is declared: durable, bounded in bytes and age: a dead subscriber harms nobody."""
    return {
        "x-queue-type": "quorum",
        "x-max-length-bytes": QUEUE_BYTES,
        "x-overflow": "reject-publish",
        "x-message-ttl": int(QUEUE_AGE.total_seconds() * 1000),
    }


def queue_stays_removed(ended_at: datetime | None, now: datetime) -> bool:
    """Whether a queue deleted now cannot be declared anew by an event that was on its way when the subscription ended.

    ended_at: None for a subscription cut short in preparation, which no event was ever sent to.
    """
    return ended_at is None or now - ended_at >= QUEUE_REMOVED_FOR_GOOD


# --- what a foreign account may do on the second vhost ----------------------------------------------------------------


def may_enter(vhost: str, own_vhost: str) -> bool:
    """A foreign account sees the subscribers' vhost and no other."""
    return vhost == own_vhost


def may_touch(vhost: str, resource: str, name: str, permission: str, *, own_vhost: str, own_queue: str | None) -> bool:
    """A foreign account may read (consume, get) its own queue: nothing else, nowhere else, in no other way."""
    return (
        own_queue is not None
        and vhost == own_vhost
        and resource == "queue"
        and name == own_queue
        and permission == "read"
    )


# --- events for foreign systems ---------------------------------------------------------------------------------------

SOURCE: Final = "urn:dsp"


@dataclass(frozen=True)
class KnownDocument:
    """What notifications keeps of a document: ids and codes out of documents' events.

    restricted: the professionals it is hidden from.
    """

    document_id: str
    record_id: str
    version_id: str
    document_type: str
    category: str
    author_id: str | None
    level: str
    restricted: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignEvent:
    """One fact on its way out. The id is that of our own event: the same however often it is sent."""

    event_id: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any]


def facts_for_readers(document: KnownDocument) -> dict[str, Any]:
    """What dossier needs to know of a document to say who may read it."""
    return {
        "record_id": document.record_id,
        "category": document.category,
        "type": document.document_type,
        "folder": "",  # no event tells it: who reads certain folders only is not asked about
        "level": document.level,
        "author_id": document.author_id,
        "patient_blocked": False,  # hides from the holder side alone
        "withheld": False,
        "restricted": list(document.restricted),
    }


def deposited_event(event_id: str, document: KnownDocument, deposited_at: str) -> ForeignEvent:
    """A deposit as foreign systems see it: ids, codes and a time; the rest is fetched through the API and traced."""
    return _foreign(event_id, DOCUMENT_DEPOSITED, document, "deposited_at", deposited_at)


def confidentiality_changed_event(event_id: str, document: KnownDocument, changed_at: str) -> ForeignEvent:
    """A change of level as those who still read the document see it: the new level, never the one before."""
    return _foreign(event_id, DOCUMENT_CONFIDENTIALITY_CHANGED, document, "changed_at", changed_at)


def blocked_event(event_id: str, document: KnownDocument, blocked_at: str) -> ForeignEvent:
    """A patient block as professionals who read the document see it: never why, and by whom neither."""
    return _foreign(event_id, DOCUMENT_BLOCKED, document, "blocked_at", blocked_at)


def released_event(event_id: str, document: KnownDocument, released_at: str) -> ForeignEvent:
    """The end of a patient block."""
    return _foreign(event_id, DOCUMENT_RELEASED, document, "released_at", released_at)


def _foreign(event_id: str, event_type: str, document: KnownDocument, named: str, at: str) -> ForeignEvent:
    data = {
        "record_id": document.record_id,
        "document_id": document.document_id,
        "version_id": document.version_id,
        "type": document.document_type,
        "category": document.category,
        "level": document.level,
        named: at,
    }
    return ForeignEvent(event_id, event_type, document.record_id, datetime.fromisoformat(at), data)


def establishments_of(subscriptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each establishment once, in a stable order: dossier is asked about it once, however many queues it has."""
    return sorted({subscription["establishment_id"] for subscription in subscriptions})
