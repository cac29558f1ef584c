"""Whether to look for more in the inbox at once: what came here is counted, and a look is a word to the database."""

from __future__ import annotations


class Left:
    """How many events were kept here that nobody has taken yet.

    Others may lie there uncounted: of before, of another replica, to be tried again. So whoever had no news for a while
    looks blindly, until there is nothing. What a wrong count makes wait, it finds.
    """

    def __init__(self) -> None:
        self._count = 0
        self._kept = 0  # ever
        self._blind = True

    def __bool__(self) -> bool:
        return self._blind or self._count > 0

    @property
    def kept(self) -> int:
        """How many were kept here ever: to be told with `nothing`."""
        return self._kept

    def keep(self, count: int) -> None:
        """So many were kept."""
        self._count += count
        self._kept += count

    def take(self, count: int) -> None:
        """So many of those that nobody had tried yet are in somebody's hands."""
        self._count = max(0, self._count - count)

    def nothing(self, kept: int) -> None:
        """A look found nothing. kept: how many were when it began; if some came meanwhile, it says nothing."""
        if kept == self._kept:
            self._count, self._blind = 0, False

    def look_blindly(self) -> None:
        """There may be some that nobody here counted."""
        self._blind = True
