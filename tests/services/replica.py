"""Replicas of dossier and documents: real services in processes of their own, over the databases they are given."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from services.refusals import Refusal
from services.tokens import Caller
from tests.builders import House


class Replica:
    """One process that holds both services; `ask` and `answer` are two, so that several can work at once."""

    def __init__(self, urls: dict[str, str]) -> None:
        fresh = multiprocessing.get_context("spawn")
        self._pipe, theirs = fresh.Pipe()
        self._process = fresh.Process(target=_serve, args=(urls, theirs), daemon=True)
        self._process.start()

    def ask(self, service: str, method: str, who: Caller, **kwargs: Any) -> None:
        self._pipe.send((service, method, who, kwargs))

    def answer(self) -> Any:
        """The answer to the question asked first; a refusal as such."""
        assert self._pipe.poll(60), "a replica does not answer"
        told, refused = self._pipe.recv()
        return Refusal.from_wire(told) if refused else told

    def kill(self) -> None:
        """Ends it at once, whatever it is in the middle of."""
        self._process.kill()
        self._process.join(10)

    def end(self) -> None:
        self._pipe.close()
        self._process.join(10)


def _serve(urls: dict[str, str], pipe: Connection) -> None:
    house = House(lambda name: urls[name], tuple(urls))
    while True:
        try:
            service, method, who, kwargs = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((house.ask(service, method, who, **kwargs), False))
        except Refusal as refusal:
            pipe.send((refusal.to_wire(), True))
        except Exception as broken:  # told where the test stands, not only on a lost standard error
            pipe.send(({"code": "internal", "detail": {"error": repr(broken)}}, True))


@contextmanager
def replicas(urls: dict[str, str], count: int) -> Iterator[list[Replica]]:
    """So many replicas over the same databases."""
    made = [Replica(urls) for _ in range(count)]
    try:
        yield made
    finally:
        for replica in made:
            replica.end()
