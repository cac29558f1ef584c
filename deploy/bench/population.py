"""The people that searches are measured on: an invented population in the databases of the measured platform.

Directory gets them by the loader, as an operator would bring them; their records come by a COPY into dossier, because
here it is the searching that is measured.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any

import psycopg2

from deploy.bench import loads
from deploy.bench.ground import Ground
from deploy.bench.rest import come_to_rest
from deploy.local.loading import SIZES
from deploy.population.people import Patient
from services.db import new_id

AT_ONCE = 20_000
SAMPLE = 4_000

RECORD = ("record_id", "patient_id", "state", "since")


@cache
def populate(ground: Ground) -> tuple[Patient, ...]:
    """Fills directory by its own loader and dossier by COPY, once, each person with an active record.

    Returns some of the people, spread over all.
    """
    loads.loaded(ground)
    directory, dossier = (_connected(ground, service) for service in ("directory", "dossier"))
    try:
        _open_records(directory, dossier)
        _finish(directory, "patients", "matricules")
        _finish(dossier, "records")
    finally:
        directory.close()
        dossier.close()
    come_to_rest()
    with (loads.files(ground) / "patients.csv").open(encoding="utf-8", newline="") as file:
        everyone = [Patient(**line) for line in islice(csv.DictReader(file), 0, None, _every(ground))]
    return tuple(replace(who, usual_name=who.usual_name or None) for who in everyone)


def _every(ground: Ground) -> int:
    people, _ = SIZES[ground.amount.size]
    return max(1, people // SAMPLE)


def _open_records(directory: Any, dossier: Any) -> None:
    """An active record for each patient that the loader brought."""
    at = datetime.now(UTC)
    with directory.cursor("loaded") as loaded, dossier.cursor() as cursor:
        loaded.itersize = AT_ONCE
        loaded.execute("select patient_id from patients where registered_with like 'load %'")
        while some := loaded.fetchmany(AT_ONCE):
            _copy(cursor, "records", RECORD, ((new_id(), patient_id, "active", at) for (patient_id,) in some))
    dossier.commit()
    directory.rollback()


def _copy(cursor: Any, table: str, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    text.seek(0)
    cursor.copy_expert(f"copy {table} ({', '.join(columns)}) from stdin with (format csv)", text)


def _finish(connection: Any, *tables: str) -> None:
    """As after any load: what the planner knows and what the index still has to sort in is brought up to date."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"vacuum analyze {table}")


def _connected(ground: Ground, service: str) -> Any:
    return psycopg2.connect(ground.stack.layout.database_url(service).replace("+psycopg2", ""))
