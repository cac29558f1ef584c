"""The privacy officer's work: who does it, who takes and settles what, and what is asked of their lists.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from services.audit.contract_oversight import (
    FINDINGS,
    OVERSEER,
    QUEUE_STATES,
    WORDS_LENGTH,
    AlreadySettled,
    InOtherHands,
    NotInHand,
)
from services.refusals import InvalidInput, NotAllowed, Refusal

HERE: Final = ZoneInfo("Europe/Luxembourg")
LONGEST_PERIOD: Final = timedelta(days=366 * 2)

ASKS: Final = frozenset({"holder", "legal_representative"})

Action = Literal["take", "release", "settle"]


def may_oversee(capacity: str, role: str | None) -> bool:
    """True when somebody is a privacy officer of the agency; no other agent is."""
    return capacity == "agent" and role == OVERSEER


def may_ask(grounds: Iterable[str]) -> bool:
    """True when one of these grounds lets somebody ask the officer in the holder's place; an assistant reads along."""
    return not ASKS.isdisjoint(grounds)


def step(
    action: Action, state: str, taken_by: str | None, officer: str, concerned: Iterable[str | None]
) -> Refusal | None:
    """Returns why an officer may not take something, give it back or settle it; None when they may.

    concerned: the accounts that it is about, or that asked for it: nobody judges what they did themselves. One who is
    away holds up nothing: another officer may give back for them what they took.
    """
    if state == "settled":
        return AlreadySettled()
    if action == "release":
        return None if state == "taken" else NotInHand()
    if officer in concerned:
        return NotAllowed()
    if taken_by not in (None, officer):
        return InOtherHands()
    return NotInHand() if action == "settle" and taken_by is None else None


def written(action: Action, officer: str, at: datetime) -> dict[str, Any]:
    """Returns what such a step writes, beside what the officer says."""
    if action == "take":
        return {"state": "taken", "taken_by": officer, "taken_at": at}
    if action == "release":
        return {"state": "waiting", "taken_by": None, "taken_at": None}
    return {"state": "settled", "settled_by": officer, "settled_at": at}


# --- what is asked ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """A page of a queue: in this state, of this kind, after the one with this id; None where it does not matter."""

    state: str | None
    kind: str | None
    limit: int
    after: str | None


def require_queue(
    state: object, limit: object, cursor: object, *, most: int, kind: object = None, kinds: tuple[str, ...] = ()
) -> Queue:  # fmt: skip
    """Returns a page of a queue.

    most: the highest limit. kinds: what `kind` may be. Refuses: InvalidInput.
    """
    if state is not None and state not in QUEUE_STATES:
        raise _invalid("/state", "choice")
    if kind is not None and kind not in kinds:
        raise _invalid("/rule", "choice")
    return Queue(_text(state), _text(kind), require_limit(limit, most), require_id(cursor, "/cursor", "cursor"))


def require_limit(limit: object, most: int) -> int:
    """Returns how many lines a page has. Refuses: InvalidInput."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= most:
        raise _invalid("/limit", "range")
    return limit


def require_id(value: object, pointer: str, code: str = "uuid") -> str | None:
    """Returns an id in its one spelling, None for None. Refuses: InvalidInput."""
    if value is None:
        return None
    try:
        return str(UUID(value)) if isinstance(value, str) else str(UUID(""))
    except ValueError:
        raise _invalid(pointer, code) from None


def require_comment(comment: object) -> str | None:
    """Returns what the holder asks, None where they only do not recognise it. Refuses: InvalidInput."""
    return None if comment is None else _words(comment, "/comment")


def require_finding(verdict: object, note: object, pointer: str) -> tuple[str, str]:
    """Returns how an access was found, and why; pointer: where the words stand. Refuses: InvalidInput."""
    if not isinstance(verdict, str) or verdict not in FINDINGS:
        raise _invalid("/verdict", "choice")
    return verdict, _words(note, pointer)


@dataclass(frozen=True)
class Period:
    """From one moment until another, which is no part of it."""

    since: datetime
    until: datetime


def require_period(since: object, until: object) -> Period:
    """Returns the time from the beginning of one day in Luxembourg to the end of another. Refuses: InvalidInput."""
    first, last = _day(since, "/from"), _day(until, "/to")
    if last < first:
        raise _invalid("/to", "before_beginning")
    if last - first > LONGEST_PERIOD:
        raise _invalid("/to", "range")
    return Period(_begins(first), _begins(last + timedelta(days=1)))


def _begins(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=HERE)


def _day(value: object, pointer: str) -> date:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        day = date.fromisoformat(value)
    except ValueError:
        raise _invalid(pointer, "date") from None
    if not 1971 <= day.year <= 2999:
        raise _invalid(pointer, "range")
    return day


def _words(value: object, pointer: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _invalid(pointer, "required")
    if len(value) > WORDS_LENGTH:
        raise _invalid(pointer, "too_long")
    return value.strip()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _invalid(pointer: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])
