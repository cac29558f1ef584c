"""`python -m services.notifications.stream`: the process that holds open the streams of news; run as many as needed.

It needs notifications' database, and nothing else: it is woken by it (LISTEN) and asks it who may hear what. It keeps
nothing: whoever is cut off comes back, to this process or another, and says where they were.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.notifications.store_stream import Bell
    from services.notifications.streaming import Streams

AFTER_TROUBLE = 1.0
FAREWELL = 0.2  # seconds for the last words to leave

log = logging.getLogger(__name__)


def main() -> int:
    """Serves until it is told to stop."""
    from services.process import begin_log
    from services.settings import load

    begin_log()
    settings = load()
    if not settings.database_url:
        log.critical("database_url has to be set")
        return 1
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each reader is a file
    asyncio.run(_serve())
    return 0


async def _serve() -> None:
    from services.db import Sessions
    from services.notifications.contract import NAME, STREAM_PATH
    from services.notifications.ports.event_stream import EventStream
    from services.notifications.rules_inbox import origins_of
    from services.notifications.streaming import BEAT_EVERY, LOOK_EVERY, Streams
    from services.process import settle_in
    from services.settings import load

    settings, stopping = load(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    streams = Streams(Sessions(settings.database_url, NAME))
    server = EventStream(
        STREAM_PATH, streams.open, most=settings.stream_connections,
        origins=origins_of(settings.portal_url, settings.public_url),
    )  # fmt: skip
    host, _, port = settings.stream_bind.rpartition(":")
    settle_in()
    await server.begin(host.strip("[]"), int(port))
    work = [
        asyncio.create_task(_listen(streams, settings.database_url)),
        asyncio.create_task(_every(LOOK_EVERY, streams.look)),
        asyncio.create_task(_every(BEAT_EVERY, streams.beat)),
    ]
    await stopping.wait()
    server.end()
    for task in work:
        task.cancel()
    streams.end()
    await asyncio.sleep(FAREWELL)


async def _every(seconds: float, do: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(seconds)
        done = do()
        if asyncio.iscoroutine(done):
            await done


async def _listen(streams: Streams, url: str) -> None:
    """Hears the bell, for ever; where it was deaf for a while everybody is asked for."""
    from services.notifications.store_stream import Bell

    while True:
        try:
            bell = await asyncio.to_thread(Bell, url)
        except OSError:
            log.warning("stream waits", extra={"part": "bell"})
            await asyncio.sleep(AFTER_TROUBLE)
            continue
        streams.ring(None)
        await _hear(bell, streams)
        bell.close()


async def _hear(bell: Bell, streams: Streams) -> None:
    """Until the bell's connection is gone."""
    loop, gone, file = asyncio.get_running_loop(), asyncio.Event(), bell.fileno()

    def heard() -> None:
        try:
            streams.ring(bell.rung())
        except OSError:
            loop.remove_reader(file)
            gone.set()

    loop.add_reader(file, heard)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(file)
    log.warning("stream waits", extra={"part": "bell"})


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a library's advice to its programmers is no line for an operator
    sys.exit(main())
