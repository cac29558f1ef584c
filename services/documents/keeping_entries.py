"""What is written down of the coded entries of a version that passed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from services.documents import store_entries
from services.documents.rules_findings import Findings
from services.documents.store_examining import Row


def keep_entries(session: Session, row: Row, findings: Findings, at: datetime) -> None:
    """Has a document tell the coded entries of its current version, and those of the one before no more."""
    store_entries.keep(session, row.document_id, findings.entries)
