"""What audit decides about statistics: who reads them, what is asked for, and what the steps of a thing count.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from services.audit.contract_statistics import ADDED, DATES_MOST, MONTHS_MOST, STANDING
from services.refusals import InvalidInput

LUXEMBOURG: Final = ZoneInfo("Europe/Luxembourg")

ACCESSES: Final = (
    "record.read", "record.exported", "document.searched", "document.read", "document.opened", "document.shown",
    "document.exported", "tree.read", "timeline.read", "prescription.searched", "prescription.read", "study.searched",
    "study.opened", "log.read", "rights.read", "rights.searched",
)  # fmt: skip
"""The actions by which somebody looks into a record; an allowed one is an access."""


class Step(NamedTuple):
    """What was told of one thing: from a day on it is counted as `key`, or as nothing. place: among its steps."""

    subject_id: str
    place: str
    key: str | None
    day: str


Steps = Mapping[str, Sequence[str | None]]
"""What was told of one thing: under each place in its order what it is counted as from then on, and the day."""

Counts = dict[tuple[str, str], tuple[int, int, int, int]]
"""By day and key: how many came, moved in, moved out, and went."""

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def may_read_statistics(capacity: str) -> bool:
    """Whether somebody is an agent of the agency: the statistics are for nobody else."""
    return capacity == "agent"


def day_of(moment: str) -> str:
    """The day in Luxembourg on which something was, as RFC 3339 says it."""
    return datetime.fromisoformat(moment).astimezone(LUXEMBOURG).date().isoformat()


def numbered(number: int | None) -> str:
    """The place of a step that its teller numbered, as it is sorted."""
    return f"{number or 0:012}"


DELETED: Final = "deleted"  # the last state of a record
NAMED_DAYS: Final = 30
"""For how long it stays known which thing it was that ended: longer than any of its news can be late."""

# Of a document: it was deposited before it was corrected, and nothing follows its end, whenever that is told.
DEPOSITED: Final = "0"
REMOVED: Final = "2"


def corrected(number: int) -> str:
    """The place of a correction of a document among its steps."""
    return f"1.{numbered(number)}"


def account_in(account_id: str, capacity: str) -> str:
    """The one thing that an account in one of its capacities is: each is counted, and counted once."""
    return str(uuid.uuid5(uuid.UUID(account_id), capacity))


def counts_of(steps: Steps) -> Counts:
    """What one thing counts, whatever the order in which its steps were told.

    A step that changes nothing counts nothing; one that is dated before the step it follows is of that one's day.
    """
    found: Counter[tuple[str, str, int]] = Counter()
    standing: str | None = None
    latest = ""
    for place in sorted(steps):
        key, day = steps[place]
        latest = max(latest, day or "")
        if key == standing:
            continue
        if standing is not None:
            found[latest, standing, 3 if key is None else 2] += 1
        if key is not None:
            found[latest, key, 0 if standing is None else 1] += 1
        standing = key
    days = {(day, key) for day, key, _ in found}
    return {
        (day, key): (found[day, key, 0], found[day, key, 1], found[day, key, 2], found[day, key, 3])
        for day, key in days
    }


def ended_on(steps: Steps) -> str | None:
    """The day on which a thing came to its end: a document removed, a record deleted; None while it has not."""
    key, _ = steps[max(steps)]
    return max(day or "" for _, day in steps.values()) if key in (None, DELETED) else None


def difference(before: Steps, after: Steps) -> Counts:
    """What the counts change by when more was told of a thing."""
    old, new = counts_of(before), counts_of(after)
    nothing = (0, 0, 0, 0)
    changed: Counts = {}
    for place in old.keys() | new.keys():
        one, other = old.get(place, nothing), new.get(place, nothing)
        if one != other:
            changed[place] = (other[0] - one[0], other[1] - one[1], other[2] - one[2], other[3] - one[3])
    return changed


# --- what is asked for ------------------------------------------------------------------------------------------------


def require_standing(measure: object) -> str:
    """Returns what is to be counted. Refuses: InvalidInput."""
    return _require_measure(measure, STANDING)


def require_added(measure: object) -> str:
    """Returns what is to be counted. Refuses: InvalidInput."""
    return _require_measure(measure, ADDED)


def require_dates(dates: object) -> list[date]:
    """Returns the days asked for, in their order: 1 to 60 of them. Refuses: InvalidInput."""
    if not isinstance(dates, list) or not 1 <= len(dates) <= DATES_MOST:
        raise _invalid("dates", "length")
    return [_day("dates", each) for each in dates]


def require_day(day: object) -> date | None:
    """Returns the day asked for, None where none is. Refuses: InvalidInput."""
    return None if day is None else _day("day", day)


def require_months(since: object, until: object) -> list[str]:
    """Returns every month from one to another, both included: at most ten years. Refuses: InvalidInput."""
    (year, month), (last_year, last_month) = _month("from", since), _month("to", until)
    many = (last_year - year) * 12 + last_month - month + 1
    if not 1 <= many <= MONTHS_MOST:
        raise _invalid("to", "out_of_range")
    return [f"{year + (month - 1 + more) // 12:04}-{(month - 1 + more) % 12 + 1:02}" for more in range(many)]


def days_of(months: Sequence[str]) -> tuple[date, date]:
    """The first day of these months, and the first one after them."""
    year, month = (int(part) for part in months[-1].split("-"))
    over = date(year + 1, 1, 1) if month == 12 else date(year, month + 1, 1)
    return date.fromisoformat(f"{months[0]}-01"), over


def percent(part: int | None, whole: int | None) -> float | None:
    """How much of the whole a part is, to a tenth; None where either is not shown or there is no whole."""
    return None if part is None or not whole else round(100 * part / whole, 1)


def _require_measure(measure: object, known: tuple[str, ...]) -> str:
    if measure not in known:
        raise _invalid("measure", "choice")
    return str(measure)


def _day(field: str, value: object) -> date:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise _invalid(field, "date") from None


def _month(field: str, value: object) -> tuple[int, int]:
    if not isinstance(value, str) or not _MONTH.fullmatch(value) or not "1900" <= value[:4] <= "9000":
        raise _invalid(field, "date")
    return int(value[:4]), int(value[5:])


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": f"/{field}", "message": message}])
