"""What a service has made of its settings once for the whole process: its keys, its bucket, its ways outside."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import eventlet
from nameko.extensions import DependencyProvider

from services.refusals import Unavailable
from services.settings import Settings, load

BUCKET_RETRY = 1  # seconds

log = logging.getLogger(__name__)


class Made(DependencyProvider):  # type: ignore[misc]
    """Gives each worker what `make` makes of the settings; what cannot be made stops the process at its start."""

    def __init__(self, make: Callable[[Settings], Any]) -> None:
        self.make = make

    def setup(self) -> None:
        self.made = self.make(load())

    def get_dependency(self, worker_ctx: Any) -> Any:
        return self.made


class MadeBucket(Made):
    """Gives each worker a bucket; makes it in the store in the background, as soon as the store is up."""

    def start(self) -> None:
        self.container.spawn_managed_thread(self._ensure, identifier="bucket")

    def _ensure(self) -> None:
        while True:
            try:
                self.made.ensure()
                return
            except Unavailable:
                log.warning("object store unreachable", extra={"retry_in": BUCKET_RETRY})
                eventlet.sleep(BUCKET_RETRY)
