"""The 37 document types of the record, read once from document_types.csv (the national list and our additions)."""

import csv
from functools import cache
from importlib.resources import files

from services.documents.rules import DocumentType


@cache
def document_types() -> dict[str, DocumentType]:
    """Every document type by its slug, in the order of the list."""
    text = files("services.documents").joinpath("document_types.csv").read_text(encoding="utf-8")
    return {
        row["slug"]: DocumentType(
            row["slug"], row["label_fr"], row["folder"], row["category"], loinc=row["loinc"] or None
        )
        for row in csv.DictReader(text.splitlines())
    }
