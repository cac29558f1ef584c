"""The start of a service's process: its first line, and a line for each error that nobody is left to handle."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

from eventlet import hubs, queue
from nameko.extensions import DependencyProvider

from services.logs import begin
from services.process import settle_in

log = logging.getLogger(__name__)


class Start(DependencyProvider):  # type: ignore[misc]
    """Begins the log, and settles in when all is set up.

    Eventlet itself would print what ends a greenlet: as no line of ours, and with its text.
    """

    def setup(self) -> None:
        begin()
        hub = hubs.get_hub()
        hub.squelch_exception = _unwatched
        hub.squelch_timer_exception = lambda _timer, error: _ended(error)
        hub.squelch_generic_exception = _ended
        queue.traceback = SimpleNamespace(print_exc=lambda: _ended(sys.exc_info()))

    def start(self) -> None:
        settle_in()

    def get_dependency(self, worker_ctx: Any) -> None:
        return None


def _ended(error: Any) -> None:
    log.error("greenlet ended", exc_info=error)


def _unwatched(fileno: int, error: Any) -> None:
    """As eventlet has it: a descriptor whose reader failed is not watched any longer."""
    _ended(error)
    hubs.get_hub().remove_descriptor(fileno)
