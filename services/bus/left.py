"""Whether to look for more in the inbox at once: what came here is counted, and a look is a word to the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

OVERTAKEN = timedelta(seconds=2)  # by which an event may be in the table before one that was due earlier


class Left:
    """How many events were kept here that nobody has taken yet.

    Others may lie there uncounted: of before, of another replica, to be tried again. So every so often somebody looks
    blindly, and from there on until there is nothing. What a wrong count makes wait, it finds.
    """

    def __init__(self) -> None:
        self._count = 0
        self._kept = 0  # ever
        self._blind = True
        self._since: datetime | None = None
        self.urgent = 0  # of those that were kept ever

    @property
    def since(self) -> datetime | None:
        """When the oldest of them was due, at the earliest; None: nobody knows.

        What was worked leaves a trail in the index until the database cleans it up, which every look from the beginning
        follows anew.
        """
        return self._since

    def __bool__(self) -> bool:
        return self._blind or self._count > 0

    @property
    def kept(self) -> int:
        """How many were kept here ever: to be told with `nothing`."""
        return self._kept

    def keep(self, count: int, *, urgent: bool = False) -> None:
        """So many were kept. urgent: they are due before all others."""
        self._count += count
        self._kept += count
        if urgent:
            self.urgent += count
            self._since = None

    def take(self, count: int) -> None:
        """So many of those that nobody had tried yet are in somebody's hands."""
        self._count = max(0, self._count - count)

    def reach(self, due_at: datetime) -> None:
        """The first that is in nobody's hands was due at this moment."""
        self._since = due_at - OVERTAKEN

    def nothing(self, kept: int) -> None:
        """A look found nothing. kept: how many were when it began; if some came meanwhile, it says nothing."""
        if kept == self._kept:
            self._count, self._blind = 0, False

    def look_blindly(self) -> None:
        """There may be some that nobody here counted, however old."""
        self._blind = True
        self._since = None


@dataclass(frozen=True)
class Look:
    """What one worker may look for; true while there may be some of it. of_all: the unhurried among it."""

    lefts: tuple[Left, ...]
    kept: tuple[int, ...]
    urgent: tuple[int, ...]
    of_all: bool

    def __bool__(self) -> bool:
        return any(self.lefts)

    @property
    def since(self) -> datetime | None:
        """From when on what is due has to be looked at; None: from the beginning."""
        known = [left.since for left in self.lefts if left.since is not None]
        return min(known) if len(known) == len(self.lefts) else None

    def found(self, due_at: datetime) -> None:
        """The oldest of it was due at this moment, but for urgent ones kept since the look began."""
        for left, urgent in zip(self.lefts, self.urgent, strict=True):
            if left.urgent == urgent:
                left.reach(due_at)

    def found_nothing(self) -> None:
        """There was none of it, but for what was kept since."""
        for left, kept in zip(self.lefts, self.kept, strict=True):
            left.nothing(kept)


class Lefts:
    """What is left of that for which any worker of the process looks, and of the unhurried, one worker's at a time."""

    def __init__(self) -> None:
        self._of = {False: Left(), True: Left()}
        self._taken = False

    def of(self, handler: object) -> Left:
        """What is left of the kind of events that this handler takes; None: nobody does."""
        return self._of[getattr(handler, "unhurried", False)]

    @contextmanager
    def turn(self) -> Iterator[Look]:
        """What a worker may look for now."""
        if self._taken:
            yield self._look(self._of[False])
            return
        self._taken = True
        try:
            yield self._look(*self._of.values())
        finally:
            self._taken = False

    def look_blindly(self) -> None:
        """There may be some of either that nobody here counted."""
        for left in self._of.values():
            left.look_blindly()

    @staticmethod
    def _look(*lefts: Left) -> Look:
        kept, urgent = tuple(left.kept for left in lefts), tuple(left.urgent for left in lefts)
        return Look(lefts, kept, urgent, of_all=len(lefts) > 1)
