"""Who goes first in a process: what arrives. Its green threads share one core, so that what nobody waits for would
hold up, word by word, what somebody does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import eventlet
from nameko.extensions import SharedExtension

LONGEST = 0.05  # seconds; what gives way goes on too, however much arrives
LOOK = 0.004  # seconds between two looks whether the way is free


class Way(SharedExtension):  # type: ignore[misc]
    """Counts who is ahead in this process, for those who give way."""

    def __init__(self) -> None:
        self._ahead = 0
        super().__init__()

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Has others give way meanwhile."""
        self._ahead += 1
        try:
            yield
        finally:
            self._ahead -= 1

    def give(self) -> None:
        """Returns when nobody is ahead, and after a twentieth of a second in any case."""
        until = time.monotonic() + LONGEST
        while self._ahead and time.monotonic() < until:
            eventlet.sleep(LOOK)
