"""How long a sender may let this process wait: a request that drips in byte by byte must not hold a thread.

gunicorn waits for the first byte of a request outside its threads; for all further ones, of the head and of the body,
a thread waits, and for each of them anew. Here the waiting of a whole request is bounded by what has come of it. It
bounds each hold, not how many hold at once: that is the business of the proxy in front.
"""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

PATIENCE = 15.0  # seconds of waiting that every request may cost
SLOWEST = 4 * 1024  # bytes a second that earn further waiting
MOST = 256 * 1024
"""Bytes taken at once. By itself gunicorn takes up to a MiB ahead, and copies what is left of it with each block that
it hands on: measured, to read a MiB took three times as long."""


class Paced(socket.socket):
    """A connection that counts how long its peer was waited for since the request began, and gives up on a slow one."""

    waited = 0.0
    received = 0

    def begin(self) -> None:
        """Another request begins: what was waited for before is forgotten."""
        self.waited, self.received = 0.0, 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As a socket's own. Raises ConnectionResetError when the peer is too slow: as if it had gone."""
        kept, left = self.gettimeout(), max(0.001, PATIENCE + self.received / SLOWEST - self.waited)
        bounded = kept is None or left < kept  # a body that has come a long way has earned more than any one wait
        begun = time.monotonic()
        try:
            if bounded:
                self.settimeout(left)
            data = super().recv(min(size, MOST), flags)
        except TimeoutError:
            if not bounded:
                raise  # the shorter patience of whoever reads
            raise ConnectionResetError(errno.ECONNRESET, "too slow") from None
        finally:
            self.waited += time.monotonic() - begun
            if bounded and self.fileno() >= 0:
                self.settimeout(kept)
        self.received += len(data)
        return data


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads, over paced connections."""

    def enqueue_req(self, conn: Any) -> None:
        """Each request of a connection passes here on its way to a thread."""
        if not isinstance(conn.sock, Paced):
            conn.sock = Paced(fileno=conn.sock.detach())
        conn.sock.begin()
        super().enqueue_req(conn)
