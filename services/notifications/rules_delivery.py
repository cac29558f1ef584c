"""What becomes of a message: its states, when it is tried again, and what providers and mail servers say of it later.

No I/O, no clock, no randomness of its own.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from services.notifications.contract_messages import ShownMessage
from services.notifications.rules import client_reference_for, is_id, message_id_for
from services.notifications.rules_occasions import ASSISTANT, EMAIL, REPRESENTATIVE, SMS

QUEUED: Final = "queued"
SENT: Final = "sent"
DELIVERED: Final = "delivered"
BOUNCED: Final = "bounced"
FAILED: Final = "failed"

_FIRST_WAIT: Final = timedelta(seconds=5)
_LONGEST_WAIT: Final = timedelta(minutes=15)
_SHORTEST_WAIT: Final = timedelta(seconds=1)

_KIND_OF_CHANNEL: Final = {EMAIL: "email", SMS: "mobile"}
_OTHER: Final = {EMAIL: SMS, SMS: EMAIL}


@dataclass(frozen=True)
class Fate:
    """What a try made of a message. away: the way out itself cannot be used for now; the next one need not try.

    channel: on which way it goes on, where it is another one.
    """

    state: str
    cause: str | None = None
    away: bool = False
    channel: str | None = None


SENT_ON: Final = Fate(SENT)


def wait_before_next(attempts: int, share: float) -> timedelta:
    """How long a message rests that could not be sent for the n-th time: anything up to twice as long each time.

    share: where in that span, from 0 to 1, by chance: what an outage has gathered must not come back all at once.
    """
    longest: timedelta = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempts - 1, 20))
    return max(_SHORTEST_WAIT, longest * share)


def changed(message: Mapping[str, Any], fate: Fate, at: datetime, text_of_at: str, share: float) -> dict[str, Any]:
    """The fields of a message after a try; share: as in `wait_before_next`.

    What waits on keeps its place in the history; one whose time is over before it may be tried again is given up then.
    """
    if fate.state == QUEUED and fate.channel is not None:
        return {"channel": fate.channel, "due_at": at}
    if fate.state == QUEUED:
        attempts = message["attempts"] + 1
        return {"attempts": attempts, "due_at": at + wait_before_next(attempts, share), "cause": fate.cause}
    return settled(message, fate.state, fate.cause, at, text_of_at)


def settled(
    message: Mapping[str, Any], state: str, cause: str | None, at: datetime, text_of_at: str
) -> dict[str, Any]:  # fmt: skip
    """The fields of a message that has come to this state."""
    entry = {"state": state, "at": text_of_at, "cause": cause}
    return {
        "state": state, "cause": cause, "due_at": None, "settled_at": at, "history": [*message["history"], entry],
    }  # fmt: skip


_NO_NEWS_YET: Final = timedelta(minutes=1)
_FAREWELLS: Final = frozenset({"record_news.own_access_ended", "record_news.closed", "record_news.deleted"})
"""What is told to those who have left, or of what is left by everybody."""


def is_asked_again(role: str | None, occasion: str, queued_at: str, now: datetime) -> bool:
    """Whether it is asked once more if somebody is still among those who hear of a record: of what had to wait.

    queued_at: RFC 3339.
    """
    waited = now - datetime.fromisoformat(queued_at) > _NO_NEWS_YET
    return waited and role in (REPRESENTATIVE, ASSISTANT) and occasion not in _FAREWELLS


def has_left(people: Mapping[str, Any], person_id: str) -> bool:
    """Whether somebody is none of those who hear of a record now. people: dossier's answer to `people_of`."""
    return person_id not in (people["holder"], *people["representatives"], *people["assistants"])


def is_over(expires_at: datetime | None, at: datetime) -> bool:
    """Whether sending it is of no use any more."""
    return expires_at is not None and expires_at <= at


def address_for(channel: str, contacts: Iterable[Mapping[str, str]]) -> tuple[str, str | None]:
    """On which channel somebody is reached who was to be told on this one, and where.

    The first address of that kind; where they have none the other way; no address where they have none at all.
    """
    known = list(contacts)
    for way in (channel, _OTHER[channel]):
        for contact in known:
            if contact["kind"] == _KIND_OF_CHANNEL[way]:
                return way, contact["value"]
    return channel, None


# --- what is said of it afterwards ------------------------------------------------------------------------------------

RECEIPT_STATUSES: Final = {DELIVERED: DELIVERED, "undelivered": BOUNCED}
"""What a provider may say of a message, and which state that is; anything else changes nothing."""


def state_after(state: str, told: str) -> str | None:
    """The state of a message of which somebody says that it was `told`; None where that changes nothing.

    Only what is on its way can still arrive or come back.
    """
    return told if state == SENT and told in (DELIVERED, BOUNCED) else None


def event_of_reference(reference: str) -> str | None:
    """The event in a client reference or a Message-ID; whatever else it says is compared, not read."""
    event_id = reference.strip("<> \t\r\n")[:36]
    parts = event_id.split("-")
    fits = [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(
        letter in "0123456789abcdef" for part in parts for letter in part
    )
    return event_id if fits else None


def is_sms_reference(reference: str, event_id: str, recipient_id: str) -> bool:
    """Whether this is the name by which a provider knows the SMS to this person."""
    return hmac.compare_digest(reference.encode(), client_reference_for(event_id, recipient_id).encode())


def is_message_id(message_id: str, event_id: str, recipient_id: str) -> bool:
    """Whether this is the Message-ID of the mail to this person."""
    return hmac.compare_digest(message_id.strip().encode(), message_id_for(event_id, recipient_id, EMAIL).encode())


# --- what the helpdesk is shown ---------------------------------------------------------------------------------------

_FAMILIES: Final = {
    "one_time_code": "code",
    "account_notice": "account",
    "record_first_accessed_by": "record",
    "record_news": "record",
    "digest": "digest",
    "thread": "thread",
}


def wrong_search(asked: Mapping[str, object]) -> list[dict[str, str]]:
    """The errors of a search for messages: by exactly one thing, which has the form of an id."""
    given = {name: value for name, value in asked.items() if value is not None}
    if len(given) != 1:
        return [{"pointer": "", "message": "one_of"}]
    return [{"pointer": f"/{name}_id", "message": "id"} for name, value in given.items() if not is_id(value)]


def shown_message(message: Mapping[str, Any], text_of: Callable[[datetime], str]) -> ShownMessage:
    """A message as the helpdesk sees it: which family of messages, but not which news."""
    due_at = message["due_at"]
    return {
        "message_id": message["message_id"],
        "channel": message["channel"],
        "about": _FAMILIES.get(message["occasion"].partition(".")[0], "work"),
        "state": message["state"],
        "cause": message["cause"],
        "attempts": message["attempts"],
        "due_at": None if due_at is None else text_of(due_at),
        "history": [{"state": step["state"], "at": step["at"], "cause": step["cause"]} for step in message["history"]],
    }
