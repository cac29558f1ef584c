"""What a prescription holds is written down when it is shown: then it can be dispensed, line by line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.documents import rules_prescriptions as rules
from services.documents import store_prescriptions
from services.documents.contract import PRESCRIPTIONS, PrescriptionGiven
from services.documents.rules_findings import Findings
from services.refusals import Refusal


def keep_lines(session: Session, row: Any, findings: Findings, at: datetime) -> None:
    """Makes a document that passed a prescription with its lines; a version that tells none keeps those there are.

    Where something was given the lines stay as they are: what was given is not prescribed otherwise.
    """
    if row.category != PRESCRIPTIONS:
        return
    before = store_prescriptions.lock(session, row.document_id)
    if before is not None and not rules.is_untouched(before[1]):
        return
    details = store_prescriptions.details_of(session, row.version_id) or {}
    lines = rules.lines_of(findings.lines, details, row.title)
    day = rules.read_day(findings.valid_until) or rules.read_day(details.get("valid_until"))
    if before is None:
        store_prescriptions.write(session, row.document_id, lines, day)
    elif findings.lines or details.get("lines"):
        store_prescriptions.rewrite(session, row.document_id, lines, day or before[0].valid_until)


def fixed(session: Session, document_id: str, category: str, *, hold: bool = True) -> Refusal | None:
    """Why a document is not changed any more: something of this prescription was given; None for every other.

    hold: how its lines stand, until the commit, where the document is held already.
    """
    if category != PRESCRIPTIONS:
        return None
    stands = store_prescriptions.lock(session, document_id, hold=hold)
    return None if stands is None or rules.is_untouched(stands[1]) else PrescriptionGiven()
