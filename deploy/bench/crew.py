"""People who log in through the gateway, one after the other in so many connections: password, one-time code, tokens.

A process of its own with one thread and raw sockets: it runs on the cores it measures, and whoever measures something
else beside it must not wait for its interpreter. Reads a line of JSON on stdin that says where, and then lines of
seconds or of log-ins per second; answers each with the log-ins per second there were.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from typing import Any

from deploy.bench.crowd import Client
from deploy.bench.ground import Ground, program
from services.identity.ports.codes import IdentityKey

PASSWORD = "quatre chevaux bleus"  # noqa: S105 (of people made for this run)


@contextmanager
def crew(ground: Ground, matricules: list[str], clients: int) -> Iterator[Crew]:
    """So many clients in which these people log in when told to, gone with the block."""
    with program(ground.stack.layout, ["-W", "ignore", "-m", "deploy.bench.crew"], {}, pipes=True) as process:
        key = ground.settings("identity").identity_key
        _say(process, {"address": ground.address, "key": key, "matricules": matricules, "clients": clients})
        yield Crew(process)


class Crew:
    """The telling side."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def rate(self, seconds: float) -> float:
        """Log-ins per second of so many clients that begin anew at once."""
        _say(self._process, {"seconds": seconds})
        return self._answer()

    @contextmanager
    def paced(self, per_second: float) -> Iterator[None]:
        """Log-ins at even times in the background, until the block ends."""
        _say(self._process, {"per_second": per_second})
        try:
            yield
        finally:
            _say(self._process, {})
            self._answer()

    def _answer(self) -> float:
        assert self._process.stdout is not None
        told = self._process.stdout.readline()
        if not told:
            raise RuntimeError("nobody logs in any more; the reason stands above")
        return float(json.loads(told))


def _say(process: subprocess.Popen[str], what: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


# --- the process ------------------------------------------------------------------------------------------------------


class People:
    """Those who log in, in turns, and how each of their requests looks."""

    def __init__(self, where: dict[str, Any]) -> None:
        self.address = (where["address"][0], int(where["address"][1]))
        self._key = IdentityKey.of_setting(where["key"])
        self._turns = cycle(where["matricules"])

    def next_password(self) -> bytes:
        """The first request of the next one."""
        return self._post("/sessions", {"matricule": next(self._turns), "password": PASSWORD})

    def code(self, answer: bytes) -> bytes:
        """The second request, after this answer to the first."""
        challenge_id = json.loads(answer)["challenge_id"]
        return self._post(f"/sessions/{challenge_id}/code", {"code": self._key.one_time_code(challenge_id)})

    def _post(self, path: str, body: dict[str, str]) -> bytes:
        text = json.dumps(body)
        return (
            f"POST /api/v1{path} HTTP/1.1\r\nHost: {self.address[0]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}"
        ).encode()


class Visits:
    """New connections, for the server ends those that rest; each with one log-in on its way, always or in time."""

    def __init__(self, people: People, clients: int) -> None:
        self._people = people
        self._clients = [Client(people.address, b"") for _ in range(clients)]
        self._in_code: set[Client] = set()
        self._selector = selectors.DefaultSelector()
        for client in self._clients:
            self._selector.register(client.socket, selectors.EVENT_READ, client)

    def rate(self, seconds: float) -> float:
        """Log-ins per second, all clients at once."""
        began = time.perf_counter()
        for client in self._clients:
            self._begin(client)
        done, busy = 0, len(self._clients)
        while busy:
            for client in self._finished(30):
                done += 1
                if time.perf_counter() < began + seconds:
                    self._begin(client)
                else:
                    busy -= 1
        return done / (time.perf_counter() - began)

    def paced(self, per_second: float) -> float:
        """Log-ins at even times until a line comes on stdin, each as soon as a client is free."""
        began, turn, done = time.perf_counter(), 0, 0
        free, over = deque(self._clients), False
        self._selector.register(sys.stdin, selectors.EVENT_READ, None)
        while not over or len(free) < len(self._clients):
            wait = began + turn / per_second - time.perf_counter()
            if free and wait <= 0 and not over:
                self._begin(free.popleft())
                turn += 1
                continue
            for client in self._finished(30 if over or not free else wait):
                if client is None:
                    over = True
                    self._selector.unregister(sys.stdin)
                else:
                    done += 1
                    free.append(client)
        return done / (time.perf_counter() - began)

    def close(self) -> None:
        """Ends the connections."""
        self._selector.close()
        for client in self._clients:
            client.close()

    def _begin(self, client: Client) -> None:
        client.ask(self._people.next_password(), 202)

    def _finished(self, patience: float) -> Iterator[Any]:
        """The clients whose log-in is done, or whom a line on stdin interrupts: None."""
        for key, _ in self._selector.select(patience):
            client = key.data
            if client is None:
                yield None
            elif client.read():
                if client in self._in_code:
                    self._in_code.remove(client)
                    yield client
                else:
                    self._in_code.add(client)
                    client.ask(self._people.code(client.body), 201)


def main() -> None:
    """Answers line by line until stdin ends."""
    where = json.loads(sys.stdin.readline())
    people = People(where)
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        with closing(Visits(people, where["clients"])) as visits:
            if "seconds" in asked:
                found = visits.rate(asked["seconds"])
            else:
                found = visits.paced(asked["per_second"])
                sys.stdin.readline()  # the line that ended it
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
