"""What a history is narrowed to, which entries it is made of, and where a page of days ends.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from services.audit.contract import OUTCOMES
from services.audit.contract_histories import DAYS_LIMIT, Done, Line
from services.audit.rules import as_id
from services.audit.rules_catalogue import CHANGES, GROUPS, actions_of
from services.refusals import InvalidInput

GROUND: Final = re.compile(r"[a-z_]{1,40}")
"""A ground as traces spell it; one that nobody ever had finds nothing."""

NEVER_NAMED: Final = frozenset({
    "document.created", "document.prepared", "document.versioned", "deposit.read", "deposit.requested",
    "deposit.opposed", "deposit.wish_ended", "deposit.searched",
})  # fmt: skip
"""What tells of documents without naming one that a reader could be shown: of uploads, and of wishes about deposits,
which are between the holder side and whom they name. No reader sees those of others who may not see every document."""

KEPT_GROUPS: Final = frozenset({"reviews"})
"""Groups between the holder side and the agency alone: no professional reads such entries of others."""


@dataclass(frozen=True)
class Wanted:
    """What a history is narrowed to; None for all. since, before: from the one moment on and before the other."""

    actions: frozenset[str] | None = None
    since: datetime | None = None
    before: datetime | None = None
    professional_id: str | None = None
    establishment_id: str | None = None
    object_id: str | None = None
    outcome: str | None = None
    ground: str | None = None


ALL: Final = Wanted()


def read_wanted(
    *, since: object = None, until: object = None, professional_id: object = None, establishment_id: object = None,
    object_id: object = None, group: object = None, outcome: object = None, ground: object = None,
) -> Wanted:  # fmt: skip
    """Returns what is asked of a history.

    since, until: ISO days in UTC, the last one included. group: of rules_catalogue.GROUPS.
    Refuses: InvalidInput with everything that is wrong in it.
    """
    errors: list[dict[str, str]] = []

    def right(field: str, message: str, value: object, good: object) -> Any:
        if value is not None and good is None:
            errors.append({"pointer": f"/{field}", "message": message})
        return good

    first, last = right("since", "date", since, _day(since)), right("until", "date", until, _day(until))
    ids = {"professional_id": professional_id, "establishment_id": establishment_id, "object_id": object_id}
    found = {name: right(name, "id", value, as_id(value)) for name, value in ids.items()}
    named = right("group", "choice", group, group if group in GROUPS else None)
    ended = right("outcome", "choice", outcome, outcome if isinstance(outcome, str) and outcome in OUTCOMES else None)
    spelt = isinstance(ground, str) and GROUND.fullmatch(ground)
    reason = right("ground", "format", ground, ground if spelt else None)
    if errors:
        raise InvalidInput(errors=errors)
    return Wanted(
        actions=None if named is None else actions_of(named),
        since=None if first is None else _begin(first),
        before=None if last is None or last == date.max else _begin(last + timedelta(days=1)),
        outcome=ended,
        ground=reason,
        **found,
    )


def changes_alone(wanted: Wanted) -> Wanted:
    """Returns the same of the activity history: what really changed documents, who sees them, or settings."""
    actions = CHANGES if wanted.actions is None else CHANGES & wanted.actions
    outcome = wanted.outcome or "allowed"
    return Wanted(
        actions if outcome == "allowed" else frozenset(), wanted.since, wanted.before, wanted.professional_id,
        wanted.establishment_id, wanted.object_id, outcome, wanted.ground,
    )  # fmt: skip


def kept_from_readers() -> frozenset[str]:
    """Returns the actions whose entries, of others, are for the holder side alone where they name no document."""
    return NEVER_NAMED.union(*(actions_of(group) for group in KEPT_GROUPS))


def require_days(limit: object) -> int:
    """Returns how many days a page of a chronology holds.

    Refuses: InvalidInput outside 1 to 31.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= DAYS_LIMIT:
        raise InvalidInput(errors=[{"pointer": "/limit", "message": "out_of_range"}])
    return limit


def require_day(cursor: object) -> datetime | None:
    """Returns the first moment of the day that a page ended with, None for the beginning.

    Refuses: InvalidInput for what is no day.
    """
    day = _day(cursor)
    if cursor is not None and day is None:
        raise InvalidInput(errors=[{"pointer": "/cursor", "message": "format"}])
    return None if day is None else _begin(day)


def _day(value: object) -> date | None:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


# --- the lines of a chronology ----------------------------------------------------------------------------------------

ACTOR: Final = ("account_id", "capacity", "professional_id", "patient_id", "profession", "establishment_id")
"""What makes two entries somebody's same one line: the person in one capacity, at one place."""


def lines(rows: Sequence[Any]) -> list[Line]:
    """Returns the lines of a chronology: newest day first, on each day who came last first.

    rows: how often each person did what on what ground on a day.
    """
    told: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        told.setdefault((row.day, *(getattr(row, name) for name in ACTOR)), []).append(row)
    newest_first = sorted(told.values(), key=lambda of_one: max(row.last_at for row in of_one), reverse=True)
    return [_line(of_one) for of_one in newest_first]


def _line(of_one: list[Any]) -> Line:
    head = of_one[0]
    did: dict[str, Done] = {}
    for row in of_one:
        done = did.setdefault(row.action, {"action": row.action, "times": 0, "refused": 0})
        done["times"] += row.times
        done["refused"] += row.refused
    return {
        "day": head.day.astimezone(UTC).date().isoformat(),
        "first_at": _text(min(row.first_at for row in of_one)),
        "last_at": _text(max(row.last_at for row in of_one)),
        "account_id": head.account_id,
        "capacity": head.capacity,
        "professional_id": head.professional_id,
        "patient_id": head.patient_id,
        "profession": head.profession,
        "establishment_id": head.establishment_id,
        "grounds": sorted({row.ground for row in of_one if row.ground is not None}),
        "did": sorted(did.values(), key=lambda done: done["action"]),
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
