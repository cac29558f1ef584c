"""Processes that read the lines of a load beside the one that writes them: on two cores both are busy.

They are started afresh (spawn), hold nothing but the reader, and end with the process that started them, also when it
is killed. Results come back in the order of the file, and no more chunks are under way than the crew can hold.
"""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import wait

from services.directory.ports.load_files import Chunk
from services.directory.rules_load import Good, Reader, Refused

Read = tuple[list[Good], list[Refused]]

UNDER_WAY = 3
"""Chunks per process: one being read, one waiting for it, one waiting for whoever writes."""

_reader: Reader


class Crew:
    """The processes. Use it as `with Crew(reader, size) as crew`; with none of them who asks reads by itself."""

    def __init__(self, reader: Reader, size: int) -> None:
        self._reader, self._size = reader, size
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(size, mp_context=spawn, initializer=_begin, initargs=(reader,)) if size else None
        self._pool = pool

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def read(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Read]]:
        """Each chunk with what it says, in order."""
        if self._pool is None:
            yield from ((chunk, self._reader.read(chunk.first, chunk.lines)) for chunk in chunks)
            return
        under_way: deque[tuple[Chunk, Future[Read]]] = deque()
        for chunk in chunks:
            under_way.append((chunk, self._pool.submit(_read, chunk.first, chunk.lines)))
            if len(under_way) > self._size * UNDER_WAY:
                done, future = under_way.popleft()
                yield done, future.result()
        while under_way:
            done, future = under_way.popleft()
            yield done, future.result()


def cores() -> int:
    """How many processes may run at once here."""
    return len(os.sched_getaffinity(0))


def _begin(reader: Reader) -> None:
    global _reader
    _reader = reader
    gc.freeze()  # what is here to stay; lines hold no cycles, and looking for some would cost a fifth of reading
    gc.set_threshold(100_000)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for who started us; we end with them
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _read(first: int, lines: tuple[bytes, ...]) -> Read:
    return _reader.read(first, lines)
