"""What a privacy officer looks for among all entries, and how far one page of it reaches. Pure: no I/O, no clock."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.audit.contract_oversight import SEARCH_DAYS
from services.audit.rules import Position, cursor_after, require_position
from services.audit.rules_oversight import Period, require_id, require_limit, require_period
from services.refusals import InvalidInput

MOST: Final = 100
OUTCOMES: Final = ("allowed", "refused")
PEOPLE: Final = ("professional_id", "patient_id", "account_id", "establishment_id")
"""By whose entries may be looked for, and the kind of object that the search's own trace names, before `_id`."""


@dataclass(frozen=True)
class Search:
    """What is looked for; None where it does not matter. after: the place where the last page ended."""

    period: Period
    ids: dict[str, str]
    words: dict[str, str]
    limit: int
    after: Position | None

    @property
    def record_id(self) -> str | None:
        """The one record that is looked into."""
        return self.ids.get("record_id")

    @property
    def person(self) -> tuple[str, str] | None:
        """Kind and id of the first person or place that is looked for."""
        return next(((name.removesuffix("_id"), self.ids[name]) for name in PEOPLE if name in self.ids), None)

    @property
    def until(self) -> datetime:
        """Where this page begins, going back."""
        return self.period.until if self.after is None else min(self.after[0], self.period.until)

    @property
    def since(self) -> datetime:
        """Where this page ends at the latest: nobody waits for a year to be read through."""
        if self.record_id is not None:
            return self.period.since
        return max(self.period.since, self.until - timedelta(days=SEARCH_DAYS))

    def next_cursor(self, last: Position | None) -> str | None:
        """Returns the mark of the place where the next page begins, None when nothing is left.

        last: the last entry of a page that has more behind it; None when all of this page's time was looked through.
        """
        if last is not None:
            return cursor_after(*last)
        return None if self.since <= self.period.since else cursor_after(self.since, first_id_at(self.since))


def require_search(
    since: object, until: object, limit: object, cursor: object, ids: dict[str, object], words: dict[str, object],
    known: dict[str, frozenset[str]],
) -> Search:  # fmt: skip
    """Returns what is asked for.

    ids: by the name of the column. words: `action`, `ground`, `outcome`; known: what each of them may be.
    Refuses: InvalidInput.
    """
    asked = {name: require_id(value, f"/{name}") for name, value in ids.items()}
    for name, word in words.items():
        if word is not None and word not in known[name]:
            raise InvalidInput(errors=[{"pointer": f"/{name}", "message": "choice"}])
    return Search(
        period=require_period(since, until),
        ids={name: value for name, value in asked.items() if value is not None},
        words={name: str(word) for name, word in words.items() if word is not None},
        limit=require_limit(limit, MOST),
        after=require_position(cursor),
    )


def first_id_at(moment: datetime) -> str:
    """Returns the smallest id that a trace of this millisecond can have: a trace's id is made of its time."""
    return str(uuid.UUID(int=int(moment.timestamp() * 1000) << 80))
