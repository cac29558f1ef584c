"""How what was found becomes an answer: pages that know their question, the tree, the pieces of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.db import rfc3339
from services.documents import answers, store
from services.documents.contract import Folder, FoundDocument, FoundPage, ListedDocument, ListedPage, Piece, Tree
from services.documents.document_types import document_types, folders, name_in, type_names
from services.documents.rules_finding import Place, Wanted, cursor_after
from services.documents.rules_words import SNIPPET_LENGTH, Stems, Term, pieces, whole_words


def page(rows: Sequence[store.Row], limit: int, wanted: Wanted, since: datetime | None) -> ListedPage:
    """The rows of a page, of which there is one more when another page follows. since: the end of the last visit."""
    last = rows[limit - 1] if len(rows) > limit else None
    day = last.acted if last is not None and wanted.order == "acted" else None
    return {
        "documents": [_listed(row) for row in rows[:limit]],
        "next_cursor": last and cursor_after(Place(last.deposited_at, last.document_id, day), wanted),
        "new_since": None if since is None else rfc3339(since),
    }


def _listed(row: store.Row) -> ListedDocument:
    return {**answers.item(row), "new": row.new}  # type: ignore[typeddict-item]


def tree(rows: Sequence[store.Row], language: str) -> Tree:
    """All folders in their order, each with the types that this caller sees something of."""
    counts = {(row.folder, row.type): int(row.number) for row in rows}
    order = {slug: number for number, slug in enumerate(document_types())}
    found: list[Folder] = []
    for folder, names in folders().items():
        types = sorted((kind for of, kind in counts if of == folder), key=lambda kind: order.get(kind, len(order)))
        found.append({
            "folder": folder, "label": name_in(names, language), "count": sum(counts[folder, kind] for kind in types),
            "types": [
                {"type": kind, "label": name_in(type_names()[kind], language), "count": counts[folder, kind]}
                for kind in types
            ],
        })  # fmt: skip
    return {"folders": found}


def found(
    rows: Sequence[store.Row], limit: int, wanted: Wanted, query: str, terms: Sequence[Term],
    stems: Mapping[str, Stems],
) -> FoundPage:  # fmt: skip
    """The rows that a search found, of which there is one more when another page follows."""
    last = rows[limit - 1] if len(rows) > limit else None
    place = last and Place(last.deposited_at, last.document_id, rank=int(last.rank))
    return {
        "documents": [_found(row, terms, stems) for row in rows[:limit]],
        "next_cursor": None if place is None else cursor_after(place, wanted, query),
    }


def _found(row: store.Row, terms: Sequence[Term], stems: Mapping[str, Stems]) -> FoundDocument:
    return {
        **answers.item(row), "title_pieces": pieces(row.title, terms, stems), "snippet": _snippet(row, terms, stems)
    }  # type: ignore[typeddict-item]  # fmt: skip


def _snippet(row: store.Row, terms: Sequence[Term], stems: Mapping[str, Stems]) -> list[Piece]:
    if row.excerpt is None:
        return []
    to_end = row.excerpt_at + SNIPPET_LENGTH > row.length
    return pieces(whole_words(row.excerpt, from_start=row.excerpt_at == 1, to_end=to_end), terms, stems)
