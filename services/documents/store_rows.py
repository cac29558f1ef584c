"""Rows for a statement in one parameter: however many there are, its text stays the same, and is planned once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from services.db import rfc3339
from services.words import Rows


def rows(values: Sequence[dict[str, Any]]) -> Rows:
    """Rows whose bytes and moments are as the database reads them."""
    return Rows({name: _plain(value) for name, value in row.items()} for row in values)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    return "\\x" + value.hex() if isinstance(value, bytes) else value


def added(table: sa.Table, columns: str, parameter: str) -> str:
    """The statement that writes the rows of a parameter. columns: which of the table's; what a row lacks is null."""
    return (
        f"insert into {table.name} ({columns})"  # noqa: S608 (names of the program alone)
        f" select {columns} from json_populate_recordset(cast(null as {table.name}), cast(:{parameter} as json))"
    )
