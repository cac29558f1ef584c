"""What the tables give a profession, as rows that a query can join; and the cursor of a professional's lists.

Pure, as rules.py.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.dossier.contract import GROUNDS, LIST_LIMIT
from services.dossier.rules import column_of
from services.dossier.rules_tables import Tables


@dataclass(frozen=True)
class GivingRow:
    """That a ground gives something, while it reads or afterwards; where `setting` is named, if it has this value."""

    ground: str
    reading: bool
    rank: int
    setting: str | None
    value: str | None


@dataclass(frozen=True)
class Giving:
    """What can let a professional in: the grounds that give anything, and the states that show anything."""

    rows: tuple[GivingRow, ...]
    states: tuple[str, ...]


def giving(tables: Tables, profession: str | None) -> Giving:
    """Every way in which a ground lets somebody of this profession in."""
    states = tuple(state for state, row in tables.states.items() if row.professionals == "everything")
    return Giving(tuple(_rows(tables, profession)), states)


def _rows(tables: Tables, profession: str | None) -> Iterator[GivingRow]:
    for rank, ground in enumerate(GROUNDS):
        column = column_of(ground, profession)
        for reading in (True, False) if column is not None else ():
            conditions = [condition for condition, _ in tables.clauses.get((ground, str(column), reading), ())]
            if None in conditions:
                yield GivingRow(ground, reading, rank, None, None)
                continue
            for condition in conditions:
                assert condition is not None
                for value in condition.values:
                    yield GivingRow(ground, reading, rank, condition.setting, value)


# --- pages ----------------------------------------------------------------------------------------------------


def is_page_limit(limit: object) -> bool:
    """Whether a page may have so many lines."""
    return type(limit) is int and 1 <= limit <= LIST_LIMIT


def to_cursor(at: datetime, record_id: str) -> str:
    """The place after a line, as text that says nothing to others."""
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), record_id]).encode()).decode().rstrip("=")


def from_cursor(cursor: object) -> tuple[datetime, str] | None:
    """The place that a cursor names; None when it names none."""
    if not isinstance(cursor, str) or len(cursor) > 200:
        return None
    try:
        at, record_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(at)
        return None if moment.tzinfo is None else (moment, str(UUID(record_id)))
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return None
