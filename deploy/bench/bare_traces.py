"""A process of writers: traces inserted into a bare table by psycopg2 and nothing else.

A line on stdin says what and for how long, or how many; a line on stdout tells how many were kept a second. The bare
table has the columns of an entry and its primary key: no index beside, no parts, no trigger, no salt.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields
from random import Random
from typing import Any

import psycopg2
from psycopg2.extras import execute_values
from uuid_utils import uuid7

from services.audit.contract import AccessTraced, traced
from services.db import now
from services.settings import load

BARE = "bench_bare_entries"
RECORDS = 2000
TABLE = f"""
    drop table if exists {BARE};
    create table {BARE} (
        trace_id uuid primary key, at timestamptz not null, received_at timestamptz not null, source text not null,
        action text not null, outcome text not null, reason text, account_id uuid, capacity text, patient_id uuid,
        professional_id uuid, profession text, establishment_id uuid, record_id uuid, object_id uuid, object_type text,
        ground text, rule text, purpose text, session_id uuid, request_id text, address text, software text,
        count integer, digest bytea)
"""
NAMES = (*(field.name for field in fields(AccessTraced)), "source", "received_at")
COLUMNS = ", ".join(NAMES)

Row = tuple[Any, ...]


def new_id() -> str:
    return str(uuid7())


def traces(seed: int) -> Iterator[AccessTraced]:
    """Readings of documents in many records, as documents tells them."""
    random = Random(seed)  # noqa: S311 (invented, no secret)
    records, people = [new_id() for _ in range(RECORDS)], [new_id() for _ in range(200)]
    while True:
        yield traced(
            None, "document.read", at=now(), record_id=random.choice(records), object_id=new_id(),
            object_type="document", ground="circle", rule="L14-circle", account_id=random.choice(people),
            capacity="professional", professional_id=random.choice(people), profession="physician",
            establishment_id=random.choice(people), session_id=new_id(),
        )  # fmt: skip


def row(trace: AccessTraced) -> Row:
    """The values of a bare row."""
    return (*vars(trace).values(), "documents", now())


class BareWriters:
    """What is measured against."""

    def __init__(self) -> None:
        self._bare = load().database_url.replace("+psycopg2", "")

    def append(self, writers: int, seconds: float) -> float:
        """The same rows into the bare table, each its own commit."""
        places = ", ".join(["%s"] * len(NAMES))
        statement = f"insert into {BARE} ({COLUMNS}) values ({places})"  # noqa: S608 (names of columns)

        def keep(told: Iterator[AccessTraced]) -> Callable[[], None]:
            connection = psycopg2.connect(self._bare)
            connection.autocommit = True
            cursor = connection.cursor()
            return lambda: cursor.execute(statement, row(next(told)))

        return kept_a_second(writers, seconds, keep)

    def batch(self, count: int, together: int) -> float:
        """Rows a second into the bare table by one writer, so many in each statement and commit."""
        source = traces(0)
        rows = [row(next(source)) for _ in range(count)]
        with closing(psycopg2.connect(self._bare)) as connection, connection.cursor() as cursor:
            began = time.perf_counter()
            for at in range(0, count, together):
                statement = f"insert into {BARE} ({COLUMNS}) values %s"  # noqa: S608 (names of columns)
                execute_values(cursor, statement, rows[at : at + together], page_size=together)
                connection.commit()
            return count / (time.perf_counter() - began)


def kept_a_second(writers: int, seconds: float, made: Callable[[Iterator[AccessTraced]], Callable[[], None]]) -> float:
    """Entries a second of so many writers at once, of whom each keeps one after the other.

    made: gives, of the traces of a writer, what keeps the next one and returns when it is durable.
    """
    keeping = [made(traces(number)) for number in range(writers)]
    for keep in keeping:
        keep()  # what a connection costs is none of the figure
    until = time.perf_counter() + seconds

    def write(keep: Callable[[], None]) -> int:
        count = 0
        while time.perf_counter() < until:
            keep()
            count += 1
        return count

    with ThreadPoolExecutor(writers) as pool:
        return sum(pool.map(write, keeping)) / seconds


def answer(made: object) -> None:
    """Measures what each line of stdin asks for, until it ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(getattr(made, asked.pop("what"))(**asked)), flush=True)


if __name__ == "__main__":
    answer(BareWriters())
