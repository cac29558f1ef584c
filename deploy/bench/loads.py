"""How fast files come into the directory, against a bare COPY of the rows that they end up as.

The loader is measured as an operator has it: the whole process, from its start to its exit, with reading, checking and
the keys that searches need. The bare COPY fills empty tables of the same definition, constraints and indexes in a
database of its own beside, from files of exactly the rows that the load had made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2

from deploy.bench.figures import Row
from deploy.bench.ground import Ground, program
from deploy.bench.rounds import Compared
from deploy.local import loading, postgres
from deploy.local.layout import Layout, password
from services.db import migrate

BESIDE = "opendsp_bench"
TABLES: Mapping[str, Mapping[str, str]] = {
    "patients": {"patients": "true", "matricules": "patient_id is not null"},
    "professionals": {
        "professionals": "true", "matricules": "professional_id is not null", "licences": "true", "workplaces": "true",
    },
}  # fmt: skip
"""What a load of a kind writes, and which of the rows there are its own."""

ROUNDS = 3
PROFESSIONALS = 25_000


class NotLoaded(Exception):
    """The loader ended otherwise than with every line taken."""


@cache
def loaded(ground: Ground) -> float:
    """Loads the invented patients into the measured directory, once for all that is measured on them; lines/s."""
    layout = ground.stack.layout
    return _loaded(layout, layout.settings_file("directory"), files(ground), "patients")


@cache
def files(ground: Ground) -> Path:
    """The folder with the invented country of this size."""
    patients, _ = loading.SIZES[ground.amount.size]
    return loading.generated(ground.stack.layout, "bench", patients, PROFESSIONALS)


def bulk_load(ground: Ground) -> list[Row]:
    """Patients into the directory of the platform, professionals into an empty one that has nobody to tell."""
    rate, layout = loaded(ground), ground.stack.layout
    with _beside(layout) as beside:
        url = layout.database_url("directory")
        patients = _compared(ground, rate, url, beside, "patients")
    with _beside(layout) as first:
        settings = layout.temporary / "bench-load.toml"
        settings.write_text(f'process = "directory"\ndatabase_url = "{first}"\n')
        _loaded(layout, settings, files(ground), "establishments")
        rate = _loaded(layout, settings, files(ground), "professionals")
        with _beside(layout, "2") as second:
            _carry(first, second, "establishments", layout.temporary)
            professionals = _compared(ground, rate, first, second, "professionals")
    size = ground.amount.size
    return [patients.row("bulk_load", size), professionals.row("bulk_load_professionals", size)]


def _loaded(layout: Layout, settings: Path, folder: Path, kind: str) -> float:
    """Lines a second of the whole process."""
    file = folder / f"{kind}.csv"
    with file.open("rb") as lines:
        count = sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b"")) - 1
    report = layout.temporary / f"{kind}.refused.csv"
    arguments = ["-m", "services.directory.load", kind, str(file), "--report", str(report)]
    began = time.perf_counter()
    with program(layout, arguments, {"OPENDSP_SETTINGS": str(settings)}, pipes=True) as process:
        told, _ = process.communicate()
        seconds = time.perf_counter() - began
    if process.returncode or report.exists():
        raise NotLoaded(f"{kind}: {' '.join(told.split())}")
    return count / seconds


def _compared(ground: Ground, rate: float, source: str, target: str, kind: str) -> Compared:
    """The load's rate beside those of a bare COPY of the same rows, which is done several times."""
    rounds = ROUNDS if ground.amount.size == "small" else 1
    folder = ground.stack.layout.temporary
    for table, its_own in TABLES[kind].items():
        with closing(_connected(source)) as connection, connection.cursor() as cursor:
            _dump(cursor, table, folder, its_own)
    rates = [_bare(target, kind, folder) for _ in range(rounds)]
    for table in TABLES[kind]:
        (folder / f"{table}.rows").unlink()
    return Compared((rate,) * rounds, tuple(rates))


def _bare(url: str, kind: str, folder: Path) -> float:
    """Rows of `kind` a second, when everything that belongs to them is copied in one transaction."""
    with closing(_connected(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"truncate {', '.join(TABLES[kind])} cascade")
        connection.commit()
        began = time.perf_counter()
        for table in TABLES[kind]:
            _fill(cursor, table, folder)
        connection.commit()
        seconds = time.perf_counter() - began
        cursor.execute(f"select count(*) from {kind}")  # noqa: S608
        return float(cursor.fetchone()[0]) / seconds


def _carry(source: str, target: str, table: str, folder: Path) -> None:
    for url, work in ((source, _dump), (target, _fill)):
        with closing(_connected(url)) as connection, connection.cursor() as cursor:
            work(cursor, table, folder)
            connection.commit()


def _dump(cursor: Any, table: str, folder: Path, which: str = "true") -> None:
    with (folder / f"{table}.rows").open("wb") as out:
        cursor.copy_expert(f"copy (select * from {table} where {which}) to stdout", out)  # noqa: S608


def _fill(cursor: Any, table: str, folder: Path) -> None:
    with (folder / f"{table}.rows").open("rb") as rows:
        cursor.copy_expert(f"copy {table} from stdin", rows, 1 << 20)


def _connected(url: str) -> Any:
    return psycopg2.connect(url.replace("+psycopg2", ""))


@contextmanager
def _beside(layout: Layout, which: str = "") -> Iterator[str]:
    """An empty database with directory's schema, gone with the block."""
    name, secret = f"{BESIDE}{which}", password()
    with closing(postgres.connect(layout)) as admin, admin.cursor() as cursor:
        _drop(cursor, name)
        postgres.make_database(cursor, name, secret)
        try:
            url = layout.database_url_of(name, name, secret)
            migrate("directory", url)
            yield url
        finally:
            with suppress(psycopg2.Error):
                _drop(cursor, name)


def _drop(cursor: Any, name: str) -> None:
    cursor.execute(f"drop database if exists {name} with (force)")
    cursor.execute(f"drop role if exists {name}")
