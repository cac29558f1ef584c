"""Shapes of the export of a history."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Query, Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Part, Text
from gateway.schemas.histories import AccessHistory, Entry
from gateway.schemas.people import ID, TIME

JSONL, JSON, CSV, PDF = "application/x-ndjson", "application/json", "text/csv", "application/pdf"
KINDS = {"jsonl": JSONL, "json": JSON, "csv": CSV, "pdf": PDF}


class WholeHistory(Shape):
    record_id = Id()
    exported_at = Moment()
    language = Text("Of the words in it.")
    entries = Listed(Part(Entry), "Newest first.")
    example: ClassVar = {
        "record_id": ID, "exported_at": TIME, "language": "en", "entries": AccessHistory.example["entries"],
    }  # fmt: skip


_FILES = {kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in (JSONL, CSV, PDF)}
ANSWER: dict[str, Any] = {**_FILES, JSON: {"schema": WholeHistory, "example": WholeHistory.example}}
VERIFIER: dict[str, Any] = {"text/x-python": {"schema": {"type": "string", "contentMediaType": "text/x-python"}}}


class ExportQuery(Query):
    format = Choice(
        tuple(KINDS), "`jsonl` is what the verifier checks; `pdf` is sealed and has that file attached; `json` and"
        " `csv` are for reading.", load_default="jsonl",
    )  # fmt: skip
