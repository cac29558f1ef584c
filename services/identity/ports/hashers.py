"""The pool of hashing processes: a hash never runs in the process that answers requests.

A process, not a thread: beside a hash of tens of milliseconds everybody else's answers must not wait, so the hashers
are batch work to the kernel, which never takes a core from who has just woken up; and a thread that is put aside might
be holding the interpreter's lock. They keep their fair share: with `nice` a machine that is busy otherwise would keep
log-ins waiting past the deadline of their questions.

Each is joined by a socket pair and ends when its service's end of it is closed, however the service dies. A hasher that
dies is replaced, and what it was asked is asked again.

A hasher keeps the memory of one hash for the next. Taken from the kernel anew each time, its thousands of pages would
have to be found, cleared and given back, and half of a hash's time goes there. What was in it is gone all the same:
Argon2 wipes its memory before it lets go of it.

`python -m services.identity.ports.hashers` is a hasher; it serves the socket that is its standard input.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from services.identity.ports import hashing

# To glibc: no mapping of its own for a large block, and nothing given back below so many bytes, two hashes' worth.
# Where another library is in its place this says nothing, and a hash is as dear as ever.
_KEPT = 2 * 1024 * hashing.MEMORY_KIB
KEEPS_MEMORY = {"GLIBC_TUNABLES": f"glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={_KEPT}"}

_WORKS: dict[str, Callable[..., Any]] = {work.__name__: work for work in (hashing.hashed, hashing.is_of_hash)}


class HashersGone(Exception):
    """A hasher died, and the one that took its place too."""


class Hashers:
    """So many processes at most, each started when first needed; call it with a work and its arguments."""

    def __init__(self, count: int) -> None:
        self._places = Places(count)

    def __call__(self, work: Callable[..., Any], *args: Any) -> Any:
        """What the work answers, once a place is free; who came first is served first."""
        hasher = self._places.take()
        try:
            for _ in range(2):
                hasher = hasher or Hasher()
                try:
                    return hasher.ask(work.__name__, args)
                except OSError:
                    hasher = hasher.end()
            raise HashersGone
        except BaseException:
            # Whoever stops waiting leaves an answer behind that nobody else may get.
            hasher = hasher and hasher.end()
            raise
        finally:
            self._places.give(hasher)


class Places:
    """The places of the pool, each empty or with a process, handed from who leaves to who has waited longest.

    Not a queue of the standard library: there a place that comes free belongs to who is quickest, and on a busy day
    some would wait until nobody wants their answer any more.
    """

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free: list[Hasher | None] = [None] * count
        self._waiting: deque[queue.Queue[Hasher | None]] = deque()

    def take(self) -> Hasher | None:
        """A place of one's own; waits for it."""
        with self._lock:
            if self._free:
                return self._free.pop()
            handed: queue.Queue[Hasher | None] = queue.Queue(1)
            self._waiting.append(handed)
        try:
            return handed.get()
        except BaseException:
            with self._lock:
                if handed in self._waiting:
                    self._waiting.remove(handed)
                    raise
            self.give(handed.get_nowait())
            raise

    def give(self, place: Hasher | None) -> None:
        """The place is free again."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put_nowait(place)
            else:
                self._free.append(place)


class Hasher:
    """The service's end of one process."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=theirs.fileno(), stdout=subprocess.DEVNULL,
                env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                     **KEEPS_MEMORY},
            )  # fmt: skip

    def ask(self, work: str, args: tuple[Any, ...]) -> Any:
        """One question, one answer. Raises OSError when the process is gone."""
        self._socket.sendall(json.dumps([work, *args]).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            more = self._socket.recv(4096)
            if not more:
                raise ConnectionResetError
            answer += more
        return json.loads(answer)

    def end(self) -> None:
        """Lets go of the process: it ends when it reads that nobody asks any more."""
        self._socket.close()
        self.process.poll()


def main() -> None:
    """Answers line by line until the other end is closed; the service decides when, not a signal to its group."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    hashing.nobodys_hash()  # made before the first question, so that none costs two hashes
    with socket.socket(fileno=0) as asked, asked.makefile("rb") as lines:
        # Made by eventlet, this end does not block: to wait for the next question would read like the end of them.
        asked.setblocking(True)
        for line in lines:
            work, *args = json.loads(line)
            asked.sendall(json.dumps(_WORKS[work](*args)).encode() + b"\n")


if __name__ == "__main__":
    main()
