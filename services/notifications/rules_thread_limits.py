"""How many colleagues a professional may reach with secure messages: limits, and how long to wait. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.notifications.contract_threads import CORRESPONDENTS_MOST

COLLEAGUES: Final = "colleagues"
"""Each colleague who was reached counts once, however often."""
MESSAGES: Final = "messages"
"""Each message counts for every colleague who hears it."""
COUNTED: Final = (COLLEAGUES, MESSAGES)


@dataclass(frozen=True)
class ThreadLimit:
    """One row of thread_limits.csv: how much of what it counts there is for one professional within the window."""

    limit: str
    counts: str
    most: int
    window: timedelta


def wrong_limits(limits: Sequence[ThreadLimit]) -> str | None:
    """What is wrong with a table of limits; None where nothing is. One message to a full thread must always be let."""
    if len({one.limit for one in limits}) != len(limits):
        return "a limit stands there twice"
    if any(one.counts not in COUNTED for one in limits):
        return "unknown word under counts"
    if any(one.window <= timedelta(0) for one in limits):
        return "a window that is none"
    return "less than a thread takes" if any(one.most < CORRESPONDENTS_MOST for one in limits) else None


def longest(limits: Sequence[ThreadLimit]) -> timedelta:
    """For how long it is counted at most whom somebody reached."""
    return max((one.window for one in limits), default=timedelta(0))


def seconds_to_wait(until: Sequence[datetime | None], at: datetime) -> int:
    """How many seconds to wait until nothing stands in the way any more, 0 where nothing does.

    until: of each limit, when there is room again; None: there is now.
    """
    waits = [-int(-(one - at).total_seconds() // 1) for one in until if one is not None]
    return max((max(1, wait) for wait in waits), default=0)
