"""A timeline out of two sources: what is asked of it, the order of its lines, where its pages end. Pure decisions.

A line's place is its moment, its kind and its id, in this order and all the same in both sources, so that each gives
its own next lines after a place and nothing is shown twice or left out where a page ends.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import TypeVar

from services.documents.contract import TIMELINE_KINDS
from services.documents.rules import Errors

CURSOR_LENGTH = 300
ID_LENGTH = 60

Place = tuple[datetime, str, str]
"""Moment, kind and id of a line."""

Line = TypeVar("Line")


@dataclass(frozen=True)
class Asked:
    """What a timeline is narrowed to. since, before: moments, from the one on and before the other."""

    kinds: tuple[str, ...] = TIMELINE_KINDS
    since: datetime | None = None
    before: datetime | None = None


def read_asked(kinds: object, since: object, until: object) -> tuple[Asked, Errors]:
    """What is asked, and every error in it as {pointer, message}.

    kinds: some of TIMELINE_KINDS, None for all. since, until: ISO days in UTC, the last one included.
    """
    errors: Errors = []
    wanted: tuple[str, ...] = TIMELINE_KINDS
    if kinds is not None:
        known = isinstance(kinds, list) and bool(kinds) and all(each in TIMELINE_KINDS for each in kinds)
        if isinstance(kinds, list) and known:
            wanted = tuple(each for each in TIMELINE_KINDS if each in kinds)
        else:
            errors.append({"pointer": "/kinds", "message": "choice"})
    days: dict[str, date | None] = {}
    for name, said in (("since", since), ("until", until)):
        days[name] = None if said is None else _day(said)
        if said is not None and days[name] is None:
            errors.append({"pointer": f"/{name}", "message": "date"})
    last = days["until"]
    end = None if last is None or last == date.max else _begin(last + timedelta(days=1))
    return Asked(wanted, None if days["since"] is None else _begin(days["since"]), end), errors


def merged(
    first: Sequence[Line], second: Sequence[Line], place: Callable[[Line], Place], limit: int
) -> tuple[list[Line], Place | None]:
    """The newest lines of both, at most `limit`, and the place of the last one where more follow.

    first, second: the next lines of each source, one more than `limit` where it has more.
    """
    both = sorted((*first, *second), key=place, reverse=True)
    page = both[:limit]
    return page, place(page[-1]) if len(both) > limit else None


# --- cursors ----------------------------------------------------------------------------------------------------------


def to_cursor(place: Place, asked: Asked) -> str:
    """The place as an opaque text that `from_cursor` reads for the same question only."""
    moment, kind, identity = place
    told = [moment.astimezone(UTC).isoformat(), kind, identity, _digest(asked)]
    return base64.urlsafe_b64encode(json.dumps(told, separators=(",", ":")).encode()).decode().rstrip("=")


def from_cursor(cursor: object, asked: Asked) -> Place | None:
    """The place in a cursor that `to_cursor` made for this question, or None when it is not one."""
    if not isinstance(cursor, str) or not 0 < len(cursor) <= CURSOR_LENGTH or not cursor.isascii():
        return None
    try:
        moment, kind, identity, _ = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if kind not in TIMELINE_KINDS or not isinstance(identity, str) or not _is_id(identity):
            return None
        place = (datetime.fromisoformat(moment), kind, identity)
        # Written again it is the same, digest included: else it is of another question, or none of ours.
        return place if place[0].tzinfo is not None and to_cursor(place, asked) == cursor else None
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
        return None


def _is_id(text: str) -> bool:
    return 0 < len(text) <= ID_LENGTH and all(letter.isalnum() or letter in "-:" for letter in text) and text.isascii()


def _digest(asked: Asked) -> str:
    told = [asked.kinds, *(each and each.isoformat() for each in (asked.since, asked.before))]
    return sha256(json.dumps(told).encode()).hexdigest()[:16]


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None


def _begin(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
