"""Who may subscribe to what, what a foreign event says, what a foreign account may do on the second vhost.

No I/O, no clock, no database, no randomness of its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from services.notifications.contract import (
    DOCUMENT_BLOCKED,
    DOCUMENT_CONFIDENTIALITY_CHANGED,
    DOCUMENT_DEPOSITED,
    DOCUMENT_DISPENSED,
    DOCUMENT_NO_LONGER_AVAILABLE,
    DOCUMENT_RELEASED,
    DOCUMENT_VERSIONED,
    FOREIGN_EVENT_TYPES,
    RECORD_CLOSED,
    RECORD_OPENED,
    SUBSCRIPTION_TESTED,
    ShownSubscription,
)
from services.notifications.rules import is_id

QUEUE_BYTES: Final = 64 * 1024 * 1024
QUEUE_AGE: Final = timedelta(days=14)
MOST_OF_AN_OWNER: Final = 20
"""So many subscriptions one software has at a time, and the agency for one establishment: each has its own queue."""

MOST_CHOSEN: Final = 100
QUEUE_PREFIX: Final = "sub."
USER_PREFIX: Final = "foreign-"
UNFINISHED_AFTER: Final = timedelta(minutes=10)
"""A subscription still in preparation after this was cut short: nobody ever saw its password."""

QUEUE_REMOVED_FOR_GOOD: Final = timedelta(minutes=2)
"""For so long after the end the queue is deleted again and again: an event on its way could declare it anew."""

LOOK_TWICE: Final = timedelta(seconds=5)
"""So long after something was told dossier is asked again: what ended it while it was on its way is found then."""

LOOK_AGAIN: Final = timedelta(days=1)
"""After so long dossier is asked again about what was told, though nothing is known to have happened."""

# What an unknown user name is compared with, so that it takes as long as a known one.
_NO_DIGEST: Final = bytes(32)


@dataclass(frozen=True)
class Credential:
    """How a foreign system gets at its queue; the password is shown once and kept as a digest only."""

    queue: str
    username: str
    password: str


@dataclass(frozen=True)
class Owner:
    """Who manages subscriptions: software its own, where it works; the agency (None and None) everybody's."""

    client_id: str | None = None
    establishment_id: str | None = None


def owner(capacity: str, client_id: str | None, establishment_id: str | None) -> Owner | None:
    """Who is asking; None for people who are not the agency's: they hear in other ways. [interfaces.md]"""
    if client_id is not None:
        return None if establishment_id is None else Owner(client_id, establishment_id)
    return Owner() if capacity == "agent" else None


def place_of(whose: Owner, named: str | None) -> tuple[str, str | None]:
    """For whose professionals somebody subscribes, and what is wrong with the establishment they named, if anything.

    Software subscribes for its own organisation; for any other one, there or not, the answer is the same.
    """
    if whose.establishment_id is None:
        return named or "", None if is_id(named) else "required" if named is None else "id"
    return whose.establishment_id, None if named in (None, whose.establishment_id) else "unknown"


def wrong_wish(wish: Mapping[str, object], categories: Sequence[str]) -> list[dict[str, str]]:
    """What is wrong with a wish, as JSON pointers; empty when each thing wished for can be had.

    wish: event_types, document_types, categories and establishments, or some of them. categories: those there are. A
    type of document and an establishment are looked at for their form only: which there are, others know.
    """
    errors = wrong_event_types(wish["event_types"]) if "event_types" in wish else []
    forms = {"document_types": _is_slug, "categories": categories.__contains__, "establishments": is_id}
    for name, known in forms.items():
        said = wish.get(name, [])
        if not isinstance(said, list) or len(said) > MOST_CHOSEN:
            errors.append({"pointer": f"/{name}", "message": "invalid"})
            continue
        errors += [
            {"pointer": f"/{name}/{place}", "message": "unknown"} for place, one in enumerate(said) if not known(one)
        ]
    return errors


def unknown_establishments(chosen: Sequence[str], known: Collection[str]) -> list[dict[str, str]]:
    """Those chosen that there are not, as JSON pointers. known: those of them that there are."""
    return [
        {"pointer": f"/establishments/{place}", "message": "unknown"}
        for place, one in enumerate(chosen) if one.lower() not in known
    ]  # fmt: skip


def _is_slug(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,63}", value) is not None


def kept_wish(wish: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """A wish as it is kept: each thing once, in order."""
    return {name: sorted(set(said)) for name, said in wish.items()}


def wrong_event_types(event_types: object) -> list[dict[str, str]]:
    """The errors of the wished event types as JSON pointers; empty when each is one that foreign systems may get."""
    if not isinstance(event_types, list) or not event_types:
        return [{"pointer": "/event_types", "message": "required"}]
    return [
        {"pointer": f"/event_types/{place}", "message": "unknown"}
        for place, event_type in enumerate(event_types)
        if event_type not in FOREIGN_EVENT_TYPES
    ]


def shown(subscription: Mapping[str, Any], text_of: Callable[[datetime], str]) -> ShownSubscription:
    """A subscription as a list shows it: nothing that would let anybody in.

    Software that is suspended sees nothing; for the agency its subscriptions are so.
    """
    ended_at = subscription["ended_at"]
    suspended = ended_at is None and subscription["suspended_at"] is not None
    return {
        "subscription_id": subscription["subscription_id"],
        "establishment_id": subscription["establishment_id"],
        "client_id": subscription["client_id"],
        "event_types": list(subscription["event_types"]),
        "document_types": list(subscription["document_types"]),
        "categories": list(subscription["categories"]),
        "establishments": list(subscription["establishments"]),
        "way": subscription["way"],
        "queue": subscription["queue"] if subscription["way"] == "queue" else None,
        "username": subscription["username"] if subscription["way"] == "queue" else None,
        "webhook": subscription["url"],
        "state": "suspended" if suspended else subscription["state"],
        "delivery": subscription["delivery"],
        "cause": subscription["cause"],
        "since": text_of(subscription["since"]),
        "sequence": subscription["sequence"],
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

    restricted: the professionals it is hidden from. establishment_id: where it was first deposited, if that is known.
    """

    document_id: str
    record_id: str
    version_id: str
    document_type: str
    category: str
    author_id: str | None
    level: str
    folder: str = ""
    restricted: tuple[str, ...] = ()
    establishment_id: str | None = None


@dataclass(frozen=True)
class ForeignEvent:
    """One fact on its way out. The id is that of our own event: the same however often it is sent.

    source, number: which service counted it, and as which of the events about this subject.
    """

    event_id: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any]
    source: str = ""
    number: int | None = None


def facts_for_readers(document: KnownDocument) -> dict[str, Any]:
    """What dossier needs to know of a document to say who may read it."""
    return {
        "record_id": document.record_id,
        "category": document.category,
        "type": document.document_type,
        "folder": document.folder,
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


def versioned_event(event_id: str, document: KnownDocument, number: int, versioned_at: str) -> ForeignEvent:
    """A new current version, which the version id names."""
    return _foreign(event_id, DOCUMENT_VERSIONED, document, "versioned_at", versioned_at, number=number)


def dispensed_event(event_id: str, document: KnownDocument, state: str, dispensed_at: str) -> ForeignEvent:
    """What is left of a prescription: open, partial or dispensed."""
    return _foreign(event_id, DOCUMENT_DISPENSED, document, "dispensed_at", dispensed_at, state=state)


def lost_event(event_id: str, record_id: str, document_id: str, at: datetime, text_of_at: str) -> ForeignEvent:
    """A document that nobody there may read any more: the same whatever the cause, and nothing else of it.

    at: when that was found out, and how it stands in the event.
    """
    data = {"record_id": record_id, "document_id": document_id, "at": text_of_at}
    return ForeignEvent(event_id, DOCUMENT_NO_LONGER_AVAILABLE, record_id, at, data)


def test_event(event_id: str, subscription_id: str, at: datetime, text_of_at: str) -> ForeignEvent:
    """An event that says nothing, by which a subscriber sees that events arrive."""
    data = {"subscription_id": subscription_id, "at": text_of_at}
    return ForeignEvent(event_id, SUBSCRIPTION_TESTED, subscription_id, at, data)


RECORD_NEWS: Final[dict[str, tuple[str, str]]] = {
    "open_by_lapse": (RECORD_OPENED, "opened_at"),
    "active": (RECORD_OPENED, "opened_at"),
    "closed": (RECORD_CLOSED, "closed_at"),
}
"""The state a record came into -> the type of event that tells of it, and what its time is called there. The other
states are open to no professional, and told to none."""

NO_RECORD_NEWS: Final = ("merged", "unmerged", "death_withdrawn")
"""Causes of what is no news of a record's own: it leads elsewhere, or stays as closed as it was."""


def record_event(event_id: str, record_id: str, state: str, cause: str, at: str) -> ForeignEvent | None:
    """What befell a record as those see it who have a ground in it: never why; None for what is not told."""
    if state not in RECORD_NEWS or cause in NO_RECORD_NEWS:
        return None
    event_type, named = RECORD_NEWS[state]
    data = {"record_id": record_id, named: at}
    return ForeignEvent(event_id, event_type, record_id, datetime.fromisoformat(at), data)


def _foreign(
    event_id: str, event_type: str, document: KnownDocument, named: str, at: str, **more: str | int
) -> ForeignEvent:
    data = {
        "record_id": document.record_id,
        "document_id": document.document_id,
        "version_id": document.version_id,
        "type": document.document_type,
        "category": document.category,
        "level": document.level,
        **({} if document.establishment_id is None else {"establishment_id": document.establishment_id}),
        **more,
        named: at,
    }
    return ForeignEvent(event_id, event_type, document.record_id, datetime.fromisoformat(at), data)


def look_again_at(until: datetime | None, now: datetime) -> datetime:
    """When dossier is to be asked again about what somebody reads until then; None: without an end."""
    return now + LOOK_AGAIN if until is None else min(until, now + LOOK_AGAIN)


def establishments_of(subscriptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each establishment once, in a stable order: dossier is asked about it once, however many queues it has."""
    return sorted({subscription["establishment_id"] for subscription in subscriptions})
