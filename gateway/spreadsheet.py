"""Rows as they open in a spreadsheet, where what looks like a formula stays a text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any


def csv_rows(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows of CSV (RFC 4180) in UTF-8; null is an empty cell [decisions, Identity]."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([[_cell(value) for value in row] for row in rows])
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
