"""Every query of coded entries; who sees them follows from the document they stand in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from services.documents.models_care import entries
from services.documents.rules_findings import Entry
from services.documents.store_rows import added, rows
from services.words import say_last


def keep(session: Session, document_id: str, found: Sequence[Entry]) -> None:
    """These entries and no others, numbered as they stand; with the commit."""
    told = [
        {"document_id": document_id, "number": number, "kind": each.kind, "code": each.code, "system": each.system,
         "display": each.display, "since": each.since}
        for number, each in enumerate(found, 1)
    ]  # fmt: skip
    say_last(session, "delete from entries where document_id = cast(:told_by as uuid)", told_by=document_id)
    if told:
        say_last(session, _ADD, entries_told=rows(told))


_ADD = added(entries, "document_id, number, kind, code, system, display, since", "entries_told")
