"""A process that works beside the services: what it says goes into the log, and it ends when it is told to."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

from services.logs import JsonLines, begin


def begin_log() -> None:
    """The first line of such a process; from here on it says everything as the services do, on stderr."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    begin()


class Stopping:
    """Whether somebody asked this process to end."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
