"""A process that works beside the services: what it says goes into the log, and it ends when it is told to."""

from __future__ import annotations

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


class Stopping:
    """Whether somebody asked this process to end."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
