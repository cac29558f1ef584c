"""What a list or a search is narrowed to, and where its pages end: pure decisions.

A cursor belongs to its question: it carries a digest of what was wanted, and answers nothing else.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

from services.documents.contract import LEVELS, ORDERS, SEARCH_LIMIT
from services.documents.rules import DocumentType, Errors, Position, canonical_id, from_cursor, is_page_limit, to_cursor

HOLDER = "holder"
"""The author of what the holder side deposited, who has no professional's id."""

CURSOR_LENGTH = 300


@dataclass(frozen=True)
class Wanted:
    """What contract.Wanted says, checked."""

    type: str | None = None
    category: str | None = None
    folder: str | None = None
    acted_from: date | None = None
    acted_until: date | None = None
    author: str | None = None
    level: str | None = None
    new_to_me: bool = False
    new_since_visit: bool = False
    binder_id: str | None = None
    order: str = ORDERS[0]


EVERYTHING = Wanted()


@dataclass(frozen=True)
class Place:
    """Where a page ended: the last document, and what stands before its moment of deposit in the order.

    day: where the order is that of acts. rank: of a search.
    """

    deposited_at: datetime
    document_id: str
    day: date | None = None
    rank: int | None = None


# --- what is wanted ---------------------------------------------------------------------------------------------------


def read_wanted(types: Mapping[str, DocumentType], given: Mapping[str, Any] | None) -> tuple[Wanted, Errors]:
    """What a caller wants, and every error in it as {pointer, message}; what is wrong is left out of it."""
    errors: Errors = []
    said = {name: value for name, value in (given or {}).items() if value is not None}
    known: dict[str, Collection[Any]] = {
        "type": types, "category": {kind.category for kind in types.values()},
        "folder": {kind.folder for kind in types.values()}, "level": LEVELS, "order": ORDERS,
        "new_to_me": (True, False), "new_since_visit": (True, False),
    }  # fmt: skip
    read: dict[str, Any] = {}
    for name, value in said.items():
        if name in known:
            read[name] = value if isinstance(value, str | bool) and value in known[name] else None
        elif name in ("acted_from", "acted_until"):
            read[name] = _day(value)
        elif name == "author":
            read[name] = value if value == HOLDER else canonical_id(value)
        elif name == "binder_id":
            read[name] = canonical_id(value)
        else:
            read[name] = None
        if read[name] is None:
            errors.append({"pointer": f"/{name}", "message": "invalid" if name in known else "unknown"})
            del read[name]
    return Wanted(**read), errors


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None


def is_search_limit(limit: object) -> bool:
    """Whether a page of a search may hold this many documents."""
    return is_page_limit(limit) and isinstance(limit, int) and limit <= SEARCH_LIMIT


# --- pages ------------------------------------------------------------------------------------------------------------


def cursor_after(place: Place, wanted: Wanted, query: str = "") -> str:
    """The place as an opaque text that `place_in` reads for the same question only. query: what a search sought."""
    if wanted == EVERYTHING and not query:
        return to_cursor(Position(place.deposited_at, place.document_id))
    day = None if place.day is None else place.day.isoformat()
    told = [place.deposited_at.astimezone(UTC).isoformat(), place.document_id, day, place.rank, _digest(wanted, query)]
    return base64.urlsafe_b64encode(json.dumps(told, separators=(",", ":")).encode()).decode().rstrip("=")


def place_in(cursor: object, wanted: Wanted, query: str = "") -> Place | None:
    """The place in a cursor that `cursor_after` made for this question, or None when it is not one."""
    if wanted == EVERYTHING and not query:
        position = from_cursor(cursor)
        return None if position is None else Place(position.deposited_at, position.document_id)
    if not isinstance(cursor, str) or not 0 < len(cursor) <= CURSOR_LENGTH or not cursor.isascii():
        return None
    try:
        moment, document_id, day, rank, _ = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        identity = canonical_id(document_id)
        if identity is None or not isinstance(rank, int | None) or isinstance(rank, bool):
            return None
        place = Place(datetime.fromisoformat(moment), identity, None if day is None else date.fromisoformat(day), rank)
        # Written again it is the same, digest included: else it is of another question, or none of ours.
        fits = (day is not None) == (wanted.order == "acted" and not query) and (rank is not None) == bool(query)
        return place if fits and place.deposited_at.tzinfo and cursor_after(place, wanted, query) == cursor else None
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
        return None


def _digest(wanted: Wanted, query: str) -> str:
    told = json.dumps([asdict(wanted), query], default=str, sort_keys=True)
    return sha256(told.encode("utf-8", "replace")).hexdigest()[:16]
