"""A process that works beside the services: what it says goes into the log, and it ends when it is told to."""

from __future__ import annotations

import ctypes
import gc
import logging
import signal
import sys
from types import FrameType

from services.logs import JsonLines, begin

YOUNG = 10_000  # objects more than were let go of, after which the new ones are looked through


def begin_log() -> None:
    """The first line of such a process; from here on it says everything as the services do, on stderr."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    begin()


def settle_in() -> None:
    """Has the garbage collector leave alone what is here by now: said once all is imported and set up.

    That is hundreds of thousands of objects that stay to the end. Each full look through them would stop the process
    for a tenth of a second, and whoever asks it something at that moment waits.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def keep_memory() -> None:
    """Has the C library keep what is let go of for what comes next, and ask the system for blocks of bytes no more.

    By itself it gives each back at once, and takes it anew, page by page, with the next one: measured, a third of what
    a gateway needed for a deposit of 1 MiB. Said before anything runs, in a process that many bytes go through.
    """
    say = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's own; another library has no such habit
    for option, value in _KEPT.items() if say is not None else ():
        say(option, value)


_KEPT = {
    -8: 2,  # M_ARENA_MAX: what one thread let go of is there for the next one
    -3: 16 * 1024**2,  # M_MMAP_THRESHOLD, bytes: more than any block on its way through
    -1: 16 * 1024**2,  # M_TRIM_THRESHOLD, bytes: so much at the end of an arena stays free
}


class Stopping:
    """Whether somebody asked this process to end."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
