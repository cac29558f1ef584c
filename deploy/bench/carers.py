"""The professionals and establishments that the bench measures on, as registering them would have written them.

They go into directory's tables by COPY: what is measured is finding them, not how they came in.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg2

from deploy.bench.ground import Ground
from deploy.population import care
from services.directory.rules import searchable_establishment, searchable_names, searchable_text

PROFESSIONALS = 25_000
SEED = 1
_SINCE = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
_PLACE = ("address_line", "postal_code", "locality", "country")
_UNTOLD = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def populate_professionals(ground: Ground, count: int = PROFESSIONALS) -> None:
    """Fills directory with so many professionals and their establishments, once."""
    url = ground.stack.layout.database_url("directory").replace("+psycopg2", "")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("select exists (select from establishments where establishment_id = %s)",
                       (care.establishment_id(0, SEED),))  # fmt: skip
        if cursor.fetchone() == (True,):
            return
        fill(cursor, count)
        connection.commit()
        connection.autocommit = True
        cursor.execute("vacuum analyze professionals, workplaces, establishments, licences")


def fill(cursor: Any, count: int, seed: int = SEED) -> None:
    """Copies establishments, professionals, workplaces, licences and matricules, in the cursor's transaction."""
    places = care.establishments(care.establishments_for(count), seed)
    people = [(str(uuid.uuid5(uuid.NAMESPACE_OID, one.matricule)), one) for one in care.professionals(count, seed)]
    _copy(cursor, "establishments", ("establishment_id", "name", "kind", *_PLACE, "found_by", "registered_at"), (
        (one.establishment_id, one.name, one.kind, one.address_line, one.postal_code, one.locality, one.country,
         searchable_establishment(one.name, one.kind, one.locality), _SINCE)
        for one in places
    ))  # fmt: skip
    columns = ("professional_id", "family_name", "first_name", "profession", "specialities", "licence", "language",
               *_PLACE, "version", "names_folded", "found_by", "registered_at", "updated_at")  # fmt: skip
    _copy(cursor, "professionals", columns, (
        (whose, one.family_name, one.first_name, one.profession, _array(one.specialities), "valid", one.language,
         one.address_line, one.postal_code, one.locality, one.country, 1,
         searchable_names(one.family_name, one.first_name),
         searchable_text(one.family_name, one.first_name, one.profession, one.specialities), _SINCE, _SINCE)
        for whose, one in people
    ))  # fmt: skip
    _copy(cursor, "workplaces", ("professional_id", "establishment_id", "since"), (
        (whose, place, _SINCE) for whose, one in people for place in one.establishment_ids
    ))  # fmt: skip
    _copy(cursor, "licences", ("professional_id", "since", "noted_at", "state"), (
        (whose, _SINCE, _SINCE, "valid") for whose, _ in people
    ))  # fmt: skip
    _copy(cursor, "matricules", ("matricule", "professional_id", "since"), (
        (one.matricule, whose, _SINCE) for whose, one in people
    ))  # fmt: skip


def _copy(cursor: Any, table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    lines = ("\t".join(str(value).translate(_UNTOLD) for value in row) for row in rows)
    cursor.copy_from(io.StringIO("\n".join(lines) + "\n"), table, columns=columns)


def _array(texts: Iterable[str]) -> str:
    return "{" + ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts) + "}"
