"""Between two figures: until the platform has done what the one before left it, or the next would measure that."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

CALM = 2.0  # seconds
BUSY = 0.25  # of all cores: the timers of a platform that nobody asks anything take half of that
LONGEST = 150  # times that long


def come_to_rest(busy: Callable[[float], float] | None = None) -> bool:
    """Returns when the machine has been calm for two seconds, or False after five minutes without.

    busy: what share of all cores was at work during so many seconds, once these are over; the machine's own if None.
    """
    return any((busy or share_at_work)(CALM) < BUSY for _ in range(LONGEST))


def share_at_work(seconds: float) -> float:
    """What share of all cores is at work during so many seconds, from 0 to 1."""
    before = _ticks()
    time.sleep(seconds)
    at_work, all_of_it = (after - earlier for after, earlier in zip(_ticks(), before, strict=True))
    return at_work / max(1, all_of_it)


def _ticks() -> tuple[int, int]:
    """How long the cores have worked, and how long they have been there [proc(5), /proc/stat]."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
