"""What follows from the close look at a version: it is shown, or it is rejected; with all that was found in it.

One transaction, and only the first of two that looked at the same version changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from services.bus import emit
from services.documents import answers, store_examining
from services.documents.keeping_entries import keep_entries
from services.documents.keeping_images import keep_images
from services.documents.keeping_lines import fixed, keep_lines
from services.documents.renditions import keep_renditions
from services.documents.rules_findings import Findings
from services.documents.store_examining import Row
from services.documents.wishes import keep_met
from services.documents.wording import keep_text

Keep = Callable[[Session, Row, Findings, datetime], None]

KEEPERS: tuple[Keep, ...] = (keep_text, keep_renditions, keep_images, keep_entries, keep_lines)
"""What is written down of a version that passed: each kind of finding by its own hand, in this order.

They may be asked again for a version that they have kept before.
"""

AT_FIRST: tuple[Keep, ...] = (keep_met,)
"""What follows besides when a version is shown for the first time."""


def finish(session: Session, version_id: str, findings: Findings, at: datetime) -> bool:
    """Shows a version or rejects it, tells of it, and keeps what was found; False when it was settled before.

    A version that is shown already, because it is older than this close look, is neither hidden nor told of again.
    """
    row = store_examining.lock_examined(session, version_id)
    if row is None:
        return False
    if row.version_state != "checking" or row.state == "removed":
        store_examining.strike(session, version_id)
        if findings.rejection is None and row.state == "available" and row.current_version_id == version_id:
            _keep(session, row, findings, at)
        return True
    rejection = findings.rejection or _came_too_late(session, row)
    if rejection is not None:
        store_examining.settle(session, version_id, "rejected", rejection, at)
        store_examining.give_up(session, row.document_id)
        emit(session, answers.rejected(row, rejection, at))
        return True
    store_examining.settle(session, version_id, "available", None, at)
    if store_examining.show(session, row.document_id, version_id, row.number):
        _keep(session, row, findings, at, AT_FIRST)
        for event in answers.shown(row) if row.number == 1 else [answers.versioned(row, at)]:
            emit(session, event)
    return True


def _came_too_late(session: Session, row: Row) -> str | None:
    """Why a version is not shown any more, whatever is in it: a pharmacy gave something of the one before."""
    refusal = fixed(session, row.document_id, row.category)
    return None if refusal is None else refusal.code


def _keep(session: Session, row: Row, findings: Findings, at: datetime, besides: tuple[Keep, ...] = ()) -> None:
    for keep in (*KEEPERS, *besides):
        keep(session, row, findings, at)
