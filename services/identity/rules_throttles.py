"""How guessing is slowed down, without letting a stranger keep anybody out.

Tries are counted per (purpose, person, address) and per (purpose, address), never per person alone: with a key of the
person alone any stranger who knows a matricule could keep its owner out for as long as he likes. What a guesser with
many addresses can still try is bounded by the secrets themselves: 54 random bits on a letter; behind every password
stands a one-time code. [architecture.md, trap 16]
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil


@dataclass(frozen=True)
class Tries:
    """What one throttle key has seen. `tries`: all of them; `checked`: those looked at and not (yet) right."""

    tries: int
    checked: int
    last_at: datetime
    blocked_until: datetime | None = None


@dataclass(frozen=True)
class Limit:
    """How many tries are free, how the waiting grows afterwards, and after how much quiet all is forgotten."""

    free: int
    forgotten_after: timedelta
    first_wait: timedelta = timedelta(seconds=30)
    longest_wait: timedelta = timedelta(hours=1)

    def wait_after(self, checked: int) -> timedelta:
        """How long to wait once `checked` tries were wrong: nothing, then 30 s, doubling up to an hour."""
        if checked < self.free:
            return timedelta(0)
        return min(self.longest_wait, self.first_wait * (1 << min(checked - self.free, 20)))


PER_SUBJECT = Limit(free=5, forgotten_after=timedelta(hours=24))
PER_ADDRESS = Limit(free=100, forgotten_after=timedelta(hours=1), longest_wait=timedelta(minutes=5))
PER_CODES_SENT = Limit(free=10, forgotten_after=timedelta(hours=1))
# By account alone, but only for who has shown the password: it bounds what many addresses can guess of an app's six
# digits, and waits so short a time at most that whoever shares the password keeps its owner waiting, never out.
PER_CODES_OF_ACCOUNT = Limit(free=30, forgotten_after=timedelta(hours=1), longest_wait=timedelta(minutes=5))


def take_try(before: Tries | None, limit: Limit, now: datetime) -> tuple[Tries, int | None]:
    """Counts a try before it is looked at; a number of seconds means: not looked at, wait so long.

    Counted beforehand, so that many at the same moment cannot all pass; a right one is given back afterwards. The
    waiting grows with tries that were looked at: knocking during the wait neither helps nor lengthens it.
    """
    if before is None or now - before.last_at > limit.forgotten_after:
        before = Tries(0, 0, now)
    if before.blocked_until is not None and now < before.blocked_until:
        left = (before.blocked_until - now).total_seconds()
        return replace(before, tries=before.tries + 1, last_at=now), max(1, ceil(left))
    checked = before.checked + 1
    wait = limit.wait_after(checked)
    return Tries(before.tries + 1, checked, now, now + wait if wait else None), None
