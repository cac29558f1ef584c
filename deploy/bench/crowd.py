"""A crowd of HTTP clients in one thread: raw sockets that stay open, one request each on its way all the time.

Cheap on purpose: it runs on the cores it measures. It reads what HTTP/1.1 with a Content-Length needs and no more.
"""

from __future__ import annotations

import selectors
import socket
import time

HEAD_ENDS = b"\r\n\r\n"


class Unanswered(Exception):
    """The server answered otherwise than was wanted, or went away."""


class Client:
    """One connection that asks the same thing again and again, or something else each time."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self._request = request
        self._held = b""
        self._wanted = b" 200 "
        self.body = b""  # of the answer read last
        self.socket = socket.create_connection(address, timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes | None = None, status: int = 200) -> None:
        """Sends the request, or another one; status: what it has to be answered with."""
        self._wanted = b" %d " % status
        self.socket.sendall(request or self._request)

    def read(self) -> bool:
        """Takes what has come; True when the answer is whole. Refuses: Unanswered."""
        data = self.socket.recv(65536)
        if not data:
            raise Unanswered("the connection was closed")
        self._held += data
        head, found, body = self._held.partition(HEAD_ENDS)
        if not found or len(body) < _length(head):
            return False
        if self._wanted not in head[:16]:
            raise Unanswered(head.partition(b"\r\n")[0].decode("latin-1"))
        self._held, self.body = b"", body
        return True

    def answer(self, request: bytes | None = None) -> float:
        """Asks, this or the usual, and waits for the whole answer; the seconds it took. Refuses: Unanswered."""
        began = time.perf_counter()
        self.ask(request)
        while not self.read():
            pass
        return time.perf_counter() - began

    def close(self) -> None:
        """Ends the connection."""
        self.socket.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise Unanswered("an answer without a length")


def rate(address: tuple[str, int], request: bytes, clients: int, seconds: float) -> float:
    """Answers per second of so many clients asking at once. Refuses: Unanswered."""
    crowd = [Client(address, request) for _ in range(clients)]
    answered = 0
    try:
        with selectors.DefaultSelector() as selector:
            for client in crowd:
                selector.register(client.socket, selectors.EVENT_READ, client)
                client.answer()  # each connection has found its worker
            began = time.perf_counter()
            end = began + seconds
            for client in crowd:
                client.ask()
            asking = clients
            while asking:
                for key, _ in selector.select(30):
                    if key.data.read():
                        answered += 1
                        if time.perf_counter() < end:
                            key.data.ask()
                        else:
                            asking -= 1
            return answered / (time.perf_counter() - began)
    finally:
        for client in crowd:
            client.close()
