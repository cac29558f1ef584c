"""How sending to foreign systems goes on, waits, and stops; what becomes of an event whose readers lost it.

No I/O, no clock, no database, no randomness of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from services.notifications.contract import DOCUMENT_NO_LONGER_AVAILABLE, RECORD_CLOSED
from services.notifications.rules_subscriptions import ForeignEvent, lost_event

FRESH: Final = timedelta(seconds=1)
"""For so long dossier's word counts that somebody may read of an event; then it is asked anew."""

HELD: Final = timedelta(seconds=5)
"""For so long at most an event waits for an earlier one about the same thing. [decisions.md: Relay]"""

KEPT: Final = timedelta(days=14)
"""For so long an event can be played again, and waits for a queue that is full."""

MOST_WAITING: Final = 100_000
"""With more than these waiting a subscription is parked: its subscriber is not coming back by itself."""

WEBHOOK_PATIENCE: Final = timedelta(days=1)
"""For so long a webhook is tried. [interfaces.md: Events for foreign systems]"""

FIRST_WAIT: Final = timedelta(seconds=1)
LONGEST_WAIT: Final = {"queue": timedelta(minutes=1), "webhook": timedelta(minutes=15)}
GONE: Final = 410
HIGHEST: Final = 2**31 - 1  # what a CloudEvents sequence of the type Integer can come to


@dataclass(frozen=True)
class Health:
    """How sending to a subscription goes; since: from when on it is in this state."""

    state: str
    cause: str | None
    since: datetime
    failures: int = 0
    retry_at: datetime | None = None


def well(at: datetime) -> Health:
    """Sending works."""
    return Health("active", None, at)


def failed(
    way: str, failures: int, lagging_since: datetime | None, cause: str, at: datetime, jitter: float,
    asked_wait: timedelta | None = None,
) -> Health:  # fmt: skip
    """After one more failure: exponential backoff with full jitter; a webhook is given up after a day, or when it says
    that it is gone.

    failures: those in a row before this one; lagging_since: since when, None when it is the first. jitter: random, 0 to
    1. asked_wait: how long the subscriber itself asked to be left alone.
    """
    since = lagging_since or at
    if way == "webhook" and (cause == f"http_{GONE}" or at - since >= WEBHOOK_PATIENCE):
        return Health("parked", cause, at, failures + 1)
    longest = LONGEST_WAIT[way]
    wait = min(longest, FIRST_WAIT * 2 ** min(failures, 20)) * jitter
    if asked_wait is not None:
        wait = max(wait, min(asked_wait, longest))
    return Health("lagging", cause, since, failures + 1, at + wait)


def asked_wait(retry_after: str | None) -> timedelta | None:
    """What a `Retry-After` of seconds asks for [RFC 9110 10.2.3]; a date, or nonsense, asks for nothing."""
    if retry_after is None or not retry_after.isascii() or not retry_after.isdigit() or len(retry_after) > 6:
        return None
    return timedelta(seconds=int(retry_after))


ALWAYS_TOLD: Final = (DOCUMENT_NO_LONGER_AVAILABLE, RECORD_CLOSED)
"""What is told to those who cannot read any more, and because of that."""


def instead(event: ForeignEvent, document_id: str, at: datetime, text_of_at: str) -> ForeignEvent:
    """What goes out under the number of an event on a document that nobody there may read any more.

    Its id is one of its own, the same at each repeat: whoever had the event before must not take this for it.
    """
    event_id = str(uuid5(UUID(event.event_id), DOCUMENT_NO_LONGER_AVAILABLE))
    return lost_event(event_id, event.subject, document_id, at, text_of_at)


def wrong_replay(from_sequence: object, since: object) -> list[dict[str, str]]:
    """The errors of a wish to have events again: from a number or from a time, one of the two."""
    if (from_sequence is None) == (since is None):
        return [{"pointer": "/from_sequence", "message": "required" if since is None else "one_of"}]
    if from_sequence is not None:
        number = isinstance(from_sequence, int) and not isinstance(from_sequence, bool)
        right = number and 1 <= from_sequence <= HIGHEST  # type: ignore[operator]
        return [] if right else [{"pointer": "/from_sequence", "message": "number"}]
    return [] if moment(since) is not None else [{"pointer": "/since", "message": "moment"}]


def moment(text: object) -> datetime | None:
    """A time with its offset [RFC 3339]; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
