"""The privacy officer's reviews: who may look, who takes and settles one, and what is asked of their lists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from services.dossier.contract import (
    OWN_ACCESSES,
    PRIVACY_OFFICER,
    REVIEW_NOTE_LENGTH,
    REVIEW_PAGE,
    REVIEW_STATES,
    VERDICTS,
    ReviewNotTaken,
    ReviewSettled,
    ReviewTaken,
)
from services.dossier.rules_settings import HERE
from services.refusals import InvalidInput, NotAllowed, Refusal

Action = Literal["take", "release", "settle"]

LONGEST_PERIOD: Final = timedelta(days=366 * 2)


def may_review(capacity: str, role: str | None) -> bool:
    """Whether somebody is a privacy officer of the agency; no other agent is."""
    return capacity == "agent" and role == PRIVACY_OFFICER


def step(action: Action, state: str, taken_by: str | None, opened_by: str | None, officer: str) -> Refusal | None:
    """Why an officer may not take a review, give it back or settle it; None when they may.

    opened_by: the account that opened the access: nobody judges what they did themselves. One who is away holds up
    nothing: another officer may give back for them what they took.
    """
    if state == "settled":
        return ReviewSettled()
    if action == "release":
        return None if state == "taken" else ReviewNotTaken()
    if opened_by == officer:
        return NotAllowed()
    if taken_by not in (None, officer):
        return ReviewTaken()
    return ReviewNotTaken() if action == "settle" and taken_by is None else None


def written(action: Action, officer: str, at: datetime) -> dict[str, Any]:
    """What such a step writes into a review, beside what the officer says."""
    if action == "take":
        return {"state": "taken", "taken_by": officer, "taken_at": at}
    if action == "release":
        return {"state": "waiting", "taken_by": None, "taken_at": None}
    return {"state": "settled", "settled_by": officer, "settled_at": at}


# --- what is asked ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """What an officer wants to see of the queue; after: the review that the last page ended with."""

    state: str | None
    kind: str | None
    limit: int
    after: str | None
    mandate_id: str | None = None


def require_queue(
    state: object, kind: object, limit: object, cursor: object, mandate_id: object = None
) -> Queue:  # fmt: skip
    """A page of the queue. Refuses: InvalidInput."""
    if state is not None and state not in REVIEW_STATES:
        raise _invalid("/state", "choice")
    if kind is not None and kind not in OWN_ACCESSES:
        raise _invalid("/kind", "choice")
    after = None if cursor is None else _id(cursor)
    mandate = None if mandate_id is None else _id(mandate_id, "/mandate_id", "uuid")
    return Queue(_text(state), _text(kind), require_limit(limit), after, mandate)


def require_limit(limit: object) -> int:
    """How many lines a page has. Refuses: InvalidInput."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= REVIEW_PAGE:
        raise _invalid("/limit", "range")
    return limit


def require_verdict(verdict: object, note: object) -> tuple[str, str]:
    """What the officer thinks, and why. Refuses: InvalidInput."""
    if not isinstance(verdict, str) or verdict not in VERDICTS:
        raise _invalid("/verdict", "choice")
    if not isinstance(note, str) or not note.strip():
        raise _invalid("/note", "required")
    if len(note) > REVIEW_NOTE_LENGTH:
        raise _invalid("/note", "too_long")
    return verdict, note.strip()


@dataclass(frozen=True)
class Period:
    """From one moment until another, which is no part of it."""

    since: datetime
    until: datetime


def require_period(since: object, until: object) -> Period:
    """From the beginning of one day in Luxembourg to the end of another. Refuses: InvalidInput."""
    first, last = _day(since, "/from"), _day(until, "/to")
    if last < first:
        raise _invalid("/to", "before_beginning")
    if last - first > LONGEST_PERIOD:
        raise _invalid("/to", "range")
    return Period(_begins(first), _begins(last + timedelta(days=1)))


@dataclass(frozen=True)
class Place:
    """Where a page of statistics ended: so many emergency accesses, and the professional who had them."""

    emergencies: int
    professional_id: str


def place_after(emergencies: int, professional_id: str) -> str:
    """A place as an opaque text: only `require_place` reads it."""
    return f"{emergencies}.{professional_id}"


def require_place(cursor: object) -> Place | None:
    """The place that a cursor marks; None for the beginning. Refuses: InvalidInput."""
    if cursor is None:
        return None
    number, _, professional_id = cursor.partition(".") if isinstance(cursor, str) else ("", "", "")
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise _invalid("/cursor", "cursor")
    return Place(int(number), _id(professional_id))


def _begins(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=HERE)


def _day(value: object, pointer: str) -> date:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        day = date.fromisoformat(value)
    except ValueError:
        raise _invalid(pointer, "date") from None
    if not 1900 <= day.year <= 2999:
        raise _invalid(pointer, "range")
    return day


def _id(value: object, pointer: str = "/cursor", message: str = "cursor") -> str:
    try:
        return str(UUID(value)) if isinstance(value, str) else str(UUID(""))
    except ValueError:
        raise _invalid(pointer, message) from None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _invalid(pointer: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])
