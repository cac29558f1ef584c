"""The document types of the record, their folders, and what both are called in each language, read once from CSV."""

import csv
from functools import cache
from importlib.resources import files

from services.documents.rules import DocumentType


@cache
def document_types() -> dict[str, DocumentType]:
    """Every document type by its slug, in the order of the list (the national one and our additions)."""
    return {
        row["slug"]: DocumentType(
            row["slug"], row["label_fr"], row["folder"], row["category"], loinc=row["loinc"] or None
        )
        for row in _rows("document_types.csv")
    }


@cache
def type_names() -> dict[str, dict[str, str]]:
    """The names of every type, by its slug and by language."""
    return _named("type_names.csv")


@cache
def folders() -> dict[str, dict[str, str]]:
    """The names of every folder of the tree, by its slug, in the order of the tree, and by language."""
    return _named("folders.csv")


def name_in(names: dict[str, str], language: str) -> str:
    """The name in a language, in French where there is none in it."""
    return names.get(language) or names["fr"]


def _named(file: str) -> dict[str, dict[str, str]]:
    return {row.pop("slug"): row for row in _rows(file)}


def _rows(file: str) -> list[dict[str, str]]:
    text = files("services.documents").joinpath(file).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
