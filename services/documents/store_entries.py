"""Every query of coded entries; who sees them follows from the document they stand in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.documents.models_care import entries
from services.documents.rules_findings import Entry


def keep(session: Session, document_id: str, found: Sequence[Entry]) -> None:
    """These entries and no others, numbered as they stand."""
    session.execute(sa.delete(entries).where(entries.c.document_id == document_id))
    if found:
        session.execute(sa.insert(entries).values([
            {"document_id": document_id, "number": number, "kind": each.kind, "code": each.code, "system": each.system,
             "display": each.display, "since": None if each.since is None else date.fromisoformat(each.since)}
            for number, each in enumerate(found, 1)
        ]))  # fmt: skip
