"""The pool of hashing processes: a hash never runs in the process that answers requests.

A process, not a thread: beside a hash of tens of milliseconds everybody else's answers must not wait, so the hashers
are batch work to the kernel, which never takes a core from who has just woken up; and a thread that is put aside might
be holding the interpreter's lock. They keep their fair share: with `nice` a machine that is busy otherwise would keep
log-ins waiting past the deadline of their questions.

Each is a session of its own: a kernel that shares its cores out between sessions (sched(7), autogroup) would else have
it live on the one share of all that was started with its service. Measured with everything on one machine: of each hash
it waited 10 ms for a core, and waits 7; a tenth more people log in per second.

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
from collections.abc import Callable, Sequence
from typing import Any

from services.identity.ports import hashing

# To glibc: no mapping of its own for a large block, and nothing given back below so many bytes, two hashes' worth.
# Where another library is in its place this says nothing, and a hash is as dear as ever.
_KEPT = 2 * 1024 * hashing.MEMORY_KIB
KEEPS_MEMORY = {"GLIBC_TUNABLES": f"glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={_KEPT}"}

SEATS = 2
"""At each process: for who is served and who is next, so that it never waits for a service that has others to serve."""

_WORKS: dict[str, Callable[..., Any]] = {work.__name__: work for work in (hashing.hashed, hashing.is_of_hash)}


class HashersGone(Exception):
    """A hasher died, and the one that took its place too."""


class Hashers:
    """So many processes at most, each started when first needed; call it with a work and its arguments."""

    def __init__(self, count: int) -> None:
        self._seats = Seats([Post() for _ in range(count)])

    def __call__(self, work: Callable[..., Any], *args: Any) -> Any:
        """What the work answers, once there is a seat; who came first is served first."""
        post = self._seats.take()
        try:
            return post.ask(work.__name__, args)
        finally:
            self._seats.give(post)


class Seats:
    """The seats at the posts of the pool, handed from who leaves to who has waited longest.

    At each post there is one for who is served and one for who is next. Not a queue of the standard library: there a
    seat that comes free belongs to who is quickest, and on a busy day some would wait until nobody wants their answer
    any more.
    """

    def __init__(self, posts: Sequence[Post]) -> None:
        self._lock = threading.Lock()
        self._free = [*posts] * SEATS
        self._waiting: deque[queue.Queue[Post]] = deque()

    def take(self) -> Post:
        """A seat of one's own, where fewest sit, and of those where somebody sat last; waits for it."""
        with self._lock:
            if self._free:
                post = max(reversed(self._free), key=self._free.count)
                self._free.remove(post)
                return post
            handed: queue.Queue[Post] = queue.Queue(1)
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

    def give(self, post: Post) -> None:
        """The seat is free again."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put_nowait(post)
            else:
                self._free.append(post)


class Post:
    """One process of the pool, or none yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.hasher: Hasher | None = None

    def ask(self, work: str, args: tuple[Any, ...]) -> Any:
        """What the process answers, or the one that took its place. Raises HashersGone."""
        for _ in range(1 + SEATS):  # who sits here too may take a process along
            with self._lock:
                if self.hasher is None or self.hasher.gone:
                    self.hasher = Hasher()
                hasher = self.hasher
            try:
                return hasher.ask(work, args)
            except OSError:
                pass
        raise HashersGone


class Hasher:
    """The service's end of one process. What is asked while it is at work lies ready for it: it waits for nobody."""

    def __init__(self) -> None:
        self.gone = False
        self._socket, theirs = socket.socketpair()
        self._answers = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self._asking = 0
        self._before = threading.Event()
        self._before.set()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=theirs.fileno(), stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                     **KEEPS_MEMORY},
            )  # fmt: skip

    def ask(self, work: str, args: tuple[Any, ...]) -> Any:
        """One question, one answer: answers come in the order of the questions, and each is read by who asked it.

        Raises OSError when the process is gone, for all who are here. Whoever stops waiting leaves an answer behind
        that nobody else may get, and takes the process along.
        """
        mine = threading.Event()
        with self._lock:
            before, self._before = self._before, mine
            self._asking += 1
            try:
                self._socket.sendall(json.dumps([work, *args]).encode() + b"\n")
            except OSError:
                self.gone = True  # said to whoever asked before, too: they find it closed by themselves
        try:
            before.wait()
            return self._answer()
        except BaseException:
            self.gone = True
            raise
        finally:
            mine.set()
            self._leave()

    def end(self) -> None:
        """Lets go of the process: it ends when it reads that nobody asks any more."""
        self.gone = True
        self._answers.close()
        self._socket.close()
        self.process.poll()

    def _answer(self) -> Any:
        answer = self._answers.readline() if not self.gone else b""
        if not answer.endswith(b"\n"):
            raise ConnectionResetError
        return json.loads(answer)

    def _leave(self) -> None:
        with self._lock:
            self._asking -= 1
            if self.gone and not self._asking:
                self.end()


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
