"""What reading spends in its database: a service's own methods, and their statements alone by psycopg2.

Runs the methods of documents or audit in this process, over the measured database and with a scope that dossier gave,
and takes the time of every statement that reaches the driver, begin, trace and commit included. What was noted is sent
again by psycopg2 and nothing else. A line on stdin says what is asked; a line on stdout tells p50 of both and, of
several clients at once, p99 of the statements alone, in milliseconds.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice
from random import Random
from typing import Any

import psycopg2
import sqlalchemy as sa

from deploy.bench.bare_decision import caller
from deploy.bench.bare_sql import plans_apart
from deploy.bench.rounds import percentile
from deploy.bench.shelf_texts import queries
from services.audit.service import Audit
from services.db import Sessions
from services.documents.service import Documents
from services.refusals import Refusal
from services.settings import load
from services.tokens import Caller

Statement = tuple[str, Any]


class Timed:
    """A database that takes the time of its statements, each client's apart, and keeps those of one request."""

    def __init__(self, url: str) -> None:
        self.sessions = Sessions(url)
        self._url = url
        self._plans: list[str] = []
        self._own = threading.local()
        sa.event.listen(self.sessions.engine, "before_cursor_execute", self._before)
        sa.event.listen(self.sessions.engine, "after_cursor_execute", self._after)

    def begin(self) -> None:
        """A request of this client begins."""
        self._own.seconds, self._own.statements = 0.0, []

    def told(self) -> tuple[float, list[Statement]]:
        """What the request spent in statements, and which those were."""
        return self._own.seconds, self._own.statements

    def replayer(self) -> Callable[[list[Statement]], float]:
        """What says statements again on a connection of its own and tells how long they took; of all noted till now."""
        connection = psycopg2.connect(self._url.replace("+psycopg2", ""))
        connection.autocommit = True  # they say begin and commit themselves
        with connection.cursor() as cursor:
            for plan in self._plans:
                cursor.execute(plan)

        def again(statements: list[Statement]) -> float:
            seconds = 0.0
            for statement, parameters in statements:
                with connection.cursor() as cursor:
                    began = time.perf_counter()
                    cursor.execute(statement, parameters)
                    seconds += time.perf_counter() - began
                    if cursor.description is not None:
                        cursor.fetchall()
            return seconds

        return again

    def _before(self, _c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        plans, said = plans_apart(statement)
        self._plans += plans
        self._own.statements.append((said, parameters))
        self._own.since = time.perf_counter()

    def _after(self, *_: Any) -> None:
        self._own.seconds += time.perf_counter() - self._own.since


class Scoped:
    """Dossier's answer, given beforehand: it is the reading that is measured here."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self._scope = scope

    def access_scope(self, _who: Any, *, record_id: str) -> dict[str, Any]:
        return {**self._scope, "record_id": record_id}


SERVICES: dict[str, Callable[[], Any]] = {"documents": Documents, "audit": Audit}


def _reader(scope: dict[str, Any]) -> Caller:
    """Whoever the scope was given to."""
    if scope["holder_side"]:
        return caller("patient")
    return caller("professional", professional_id=scope["reader_id"], profession="physician")


class Bare:
    """The methods, and the statements they made."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._records: list[str] = told["records"]
        self._timed = Timed(load().database_url)
        self._service = SERVICES[told["service"]]()
        # nameko gives each worker what these attributes name
        vars(self._service).update(db=self._timed.sessions, dossier=Scoped(told["scope"]))
        self._reader = _reader(told["scope"])

    def measured(self, what: str, clients: int, times: int, seed: int) -> list[float]:
        """p50 of the service's statements and of the same alone, one client each; p99 of them alone, of many clients.

        Several clients of the service in one process would wait for each other's Python and not for the database. Each
        request was made before, and the service and the bare statements take turns in being the first to repeat it.
        """
        random = Random(seed)  # noqa: S311 (invented, no secret)
        sought = queries(random)
        asked = [(random.choice(self._records), next(sought)) for _ in range(times)]
        noted: list[list[Statement]] = []
        for one in asked:
            self._one(what, *one, noted)
        seen: tuple[list[float], list[float]] = ([], [])
        again = self._timed.replayer()
        for number, (one, statements) in enumerate(zip(asked, list(noted), strict=True)):
            for which in (0, 1) if number % 2 else (1, 0):
                seen[which].append(again(statements) if which else self._one(what, *one, []))
        busy = _at_once(clients, noted, self._timed.replayer)
        return [value * 1000 for value in (percentile(seen[0], 50), percentile(seen[1], 50), percentile(busy, 99))]

    def _one(self, what: str, record_id: str, query: str, noted: list[list[Statement]]) -> float:
        self._timed.begin()
        given = {"query": query} if what == "search_documents" else {}
        answer = getattr(self._service, what)(self._reader, record_id=record_id, **given)
        if isinstance(answer, Refusal):
            raise answer
        seconds, statements = self._timed.told()
        noted.append(statements)
        return seconds


def _at_once(clients: int, work: list[Any], made: Callable[[], Callable[[Any], float]]) -> list[float]:
    """What each piece of work took, by so many clients at once, each with what was made for it."""
    seen: list[float] = []
    broken: list[Exception] = []

    def run(number: int) -> None:
        do = made()
        try:
            seen.extend([do(one) for one in islice(work, number, None, clients)])
        except Exception as error:
            broken.append(error)

    crew = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    if broken:
        raise broken[0]
    return seen


def main() -> None:
    """One line of JSON with the records and the scope; then a line for each measurement."""
    bare = Bare(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(bare.measured(**json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
