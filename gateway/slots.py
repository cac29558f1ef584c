"""Slots: where the next file of a series of deposits may be put before anything is asked about it.

A slot comes with the answer to a deposit, belongs to whoever made that one, and takes the bytes of one file, once: its
key seals nothing else. This process alone can open that key, so the slots lie here.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import Any

from services.tokens import Caller

KEPT = 30.0  # seconds; the URL in it lives for 60, and all of the file is here before it is put
LARGEST = 2 * 1024 * 1024  # bytes of a request; a bigger one is worth to be asked about before it is put

_Who = tuple[str, str]


class Slots:
    """The slots of everybody who deposits one file after the other through this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[_Who, list[tuple[float, dict[str, Any]]]] = {}
        self._lately: dict[_Who, float] = {}
        self._swept = time.monotonic()

    def take(self, caller: Caller, length: int | None) -> dict[str, Any] | None:
        """A slot of this caller's, which nobody else will have; None where there is none, or not for so many bytes."""
        if not fits(length):
            return None
        with self._lock:
            kept = self._kept.get(_who(caller), [])
            while kept:
                until, slot = kept.pop()
                if until > time.monotonic():
                    return slot
        return None

    def keep(self, caller: Caller, slot: dict[str, Any]) -> None:
        """Has a slot ready for this caller's next file."""
        with self._lock:
            at = time.monotonic()
            living = [each for each in self._kept.get(_who(caller), []) if each[0] > at]
            self._kept[_who(caller)] = [*living, (at + KEPT, slot)]

    def is_series(self, caller: Caller, length: int | None) -> bool:
        """Whether this caller has lately deposited here what fits into a slot, as they do now.

        Who deposits once, or only what is big, leaves no slot unused.
        """
        if not fits(length):
            return False
        with self._lock:
            at = time.monotonic()
            self._sweep(at)
            lately = at - self._lately.get(_who(caller), float("-inf")) < KEPT
            self._lately[_who(caller)] = at
        return lately

    def _sweep(self, at: float) -> None:
        if at - self._swept > KEPT:
            self._swept = at
            self._kept = {who: kept for who, kept in self._kept.items() if any(until > at for until, _ in kept)}
            self._lately = {who: last for who, last in self._lately.items() if at - last < KEPT}


def fits(length: int | None) -> bool:
    """Whether a request of so many bytes may go into a slot; None is that of one which does not say."""
    return length is not None and length <= LARGEST


def _who(caller: Caller) -> _Who:
    return caller.account_id, caller.capacity
