"""How long it takes to find one patient in the whole country: by matricule, and by a name that is not quite right.

Everybody asks within the hourly limit that holds for everybody: the searches are spread over the demo people who may
search, and their number follows from the limits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import cycle, islice
from random import Random
from typing import Any

import psycopg2
from sqlalchemy.dialects import postgresql

from deploy.bench.crowd import Client
from deploy.bench.figures import Row
from deploy.bench.ground import Ground
from deploy.bench.pages import MILLISECONDS
from deploy.bench.population import populate
from deploy.bench.questions import PATH as WITHOUT_SQL
from deploy.bench.rounds import Compared, absolute, percentile
from deploy.population import errors
from deploy.population.people import Patient
from services.directory.rules_blocking import search_keys
from services.directory.rules_search import LIMITS, require_search
from services.directory.store_search import WITH_A_KEY

SEARCHERS = ("physician", "pharmacist", "agent")
SHARE = 0.9  # of the hourly limit: warming up takes some of the rest
WARM = 4  # searches of each searcher
SEED = 7
SEARCHES = "/patients/searches"

Body = dict[str, Any]


def patient_lookup(ground: Ground) -> list[Row]:
    """p99 by matricule beside p99 of a GET without SQL and of a bare commit, added; rounds in turns."""
    people = populate(ground)
    rounds = ground.amount.rounds
    times = min(ground.amount.pages, _within_limits("matricule") // rounds)
    known = cycle({"matricule": person.matricule} for person in people)
    ours, baseline = [], []
    with _desk(ground) as search, _alone(ground) as client, _commits(ground) as commit:
        for _ in range(WARM * len(SEARCHERS)):
            search(next(known)), client.answer(), commit()
        for _ in range(rounds):
            found, asked, committed = [], [], []
            for _ in range(times):  # one beside the other, so that a slow second touches all three
                found.append(search(next(known)))
                asked.append(client.answer())
                committed.append(commit())
            ours.append(percentile(found, 99) * MILLISECONDS)
            baseline.append((percentile(asked, 99) + percentile(committed, 99)) * MILLISECONDS)
    return [Compared(tuple(ours), tuple(baseline)).row("patient_lookup", ground.amount.size)]


def patient_search(ground: Ground) -> list[Row]:
    """p95 by a name, first names and birth date with a mistake in them; and beside p95 of the query for candidates."""
    people = populate(ground)
    rounds, size = ground.amount.rounds, ground.amount.size
    times = _within_limits("name") // rounds
    bodies = mistaken(people, rounds * times + WARM * len(SEARCHERS))
    ours, bare = [], []
    with _desk(ground) as search, _candidates(ground) as candidates:
        for _ in range(WARM * len(SEARCHERS)):
            search(next(bodies))
        for _ in range(rounds):
            seen = [(search(body), candidates(body)) for body in islice(bodies, times)]
            ours.append(percentile([through for through, _ in seen], 95) * MILLISECONDS)
            bare.append(percentile([beside for _, beside in seen], 95) * MILLISECONDS)
    compared = Compared(tuple(ours), tuple(bare))
    return [absolute("patient_search", ours, size), compared.row("patient_search_sql", size)]


def mistaken(people: Sequence[Patient], count: int) -> Iterator[Body]:
    """So many searches for people of the population, each with the mistakes of a second desk."""
    random = Random(SEED)  # noqa: S311 (invented, no secret)
    for person in random.choices(people, k=count):
        sheet, made = errors.mistaken(random, errors.Sheet(
            person.birth_name, person.usual_name, person.first_names, person.sex, person.birth_date,
        ))  # fmt: skip
        names = [name for name in (sheet.birth_name, sheet.usual_name) if name]
        born = sheet.birth_date[:4] if "date_unknown" in made else sheet.birth_date
        yield {"name": random.choice(names), "first_names": sheet.first_names, "birth_date": born}


def _within_limits(kind: str) -> int:
    return int(LIMITS[kind] * SHARE) * len(SEARCHERS)


@contextmanager
def _desk(ground: Ground) -> Iterator[Callable[[Body], float]]:
    """Sends a search as one of the searchers in turn; the seconds until its answer."""
    for role in SEARCHERS:  # before there are connections: those that nobody speaks over are ended
        ground.person(role)
    clients = [Client(ground.address, b"") for _ in SEARCHERS]
    turns = cycle(zip(SEARCHERS, clients, strict=True))

    def search(body: Body) -> float:
        role, client = next(turns)
        return client.answer(_post(ground, role, body))

    try:
        yield search
    finally:
        for client in clients:
            client.close()


def _post(ground: Ground, role: str, body: Body) -> bytes:
    head = ground.request(ground.person(role), SEARCHES).replace(b"GET", b"POST", 1).removesuffix(b"\r\n")
    text = json.dumps(body).encode()
    return head + f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text


@contextmanager
def _alone(ground: Ground) -> Iterator[Client]:
    """One client that asks for what needs one RPC and no SQL."""
    client = Client(ground.address, ground.request(ground.person("physician"), WITHOUT_SQL))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _commits(ground: Ground) -> Iterator[Callable[[], float]]:
    """Commits one row into directory's database, in a table of the bench's own; the seconds it took."""
    with closing(_connected(ground)) as connection, connection.cursor() as cursor:
        cursor.execute("create table bench_commits (number bigint)")
        connection.commit()

        def commit() -> float:
            cursor.execute("insert into bench_commits values (1)")
            began = time.perf_counter()
            connection.commit()
            return time.perf_counter() - began

        try:
            yield commit
        finally:
            connection.rollback()
            cursor.execute("drop table bench_commits")
            connection.commit()


@contextmanager
def _candidates(ground: Ground) -> Iterator[Callable[[Body], float]]:
    """Asks for the candidates of a search by psycopg2 and nothing else; the seconds until all rows are there."""
    compiled = WITH_A_KEY.compile(dialect=postgresql.psycopg2.dialect())  # type: ignore[no-untyped-call]
    text = str(compiled)
    with closing(_connected(ground)) as connection, connection.cursor() as cursor:

        def candidates(body: Body) -> float:
            sought = require_search(body).reading
            keys = sorted(search_keys(sought)) if sought else []
            began = time.perf_counter()
            cursor.execute(text, {**compiled.params, "keys": keys})
            cursor.fetchall()
            connection.rollback()
            return time.perf_counter() - began

        yield candidates


def _connected(ground: Ground) -> Any:
    return psycopg2.connect(ground.stack.layout.database_url("directory").replace("+psycopg2", ""))
