"""A line to the broker that a test can cut: bytes pass both ways, until it is cut at the event a test says."""

from __future__ import annotations

import re
import socket
import threading
from types import TracebackType

EVENT = re.compile(rb'"id":"([0-9a-f-]{36})"')
LONGEST = len('"id":""') + 36
BLOCK = 64 * 1024


class Wire:
    """A door before the broker's; `carried` tells for each connection, in order, the ids of the events it was given.

    The first connection that is given the `cut_at`th event ends there: that one, and what comes with it, is lost.
    """

    def __init__(self, host: str, port: int, cut_at: int) -> None:
        self.carried: list[list[str]] = []
        self._behind = (host, port)
        self._cut_at: int | None = cut_at
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._ends: list[socket.socket] = []

    def __enter__(self) -> Wire:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._door.close()
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
                far = socket.create_connection(self._behind)
            except OSError:
                return  # the test is over
            self._ends += [near, far]
            carried: list[str] = []
            self.carried.append(carried)
            threading.Thread(target=self._pass, args=(near, far, carried), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, None), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, carried: list[str] | None) -> None:
        seen = b""
        try:
            while data := source.recv(BLOCK):
                if carried is not None:
                    seen += data
                    found = list(EVENT.finditer(seen))
                    carried += [one[1].decode() for one in found]
                    # What may be the beginning of the next one is kept, of the last one nothing.
                    seen = seen[max(found[-1].end() if found else 0, len(seen) - LONGEST + 1) :]
                    if self._cut_at is not None and len(carried) >= self._cut_at:
                        self._cut_at = None
                        break
                target.sendall(data)
        except OSError:
            pass  # one end went; the other follows
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it went first
