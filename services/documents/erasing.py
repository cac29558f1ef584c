"""The end of documents, whoever brings it about: one transaction after which only tombstones are left to be seen.

The bytes themselves go from the store afterwards (ends.py); from here on nothing opens them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit
from services.db import rfc3339
from services.documents import rules_ends, store_erasing
from services.documents.contract import DocumentRemoved
from services.documents.store_erasing import Row


def end(session: Session, who: Any, held: Sequence[Row], cause: str, at: datetime) -> None:
    """Ends documents that are held and have an approved removal each: words, keys, objects, and the news of it.

    who: the caller, None where nobody asked. cause: request, term or record_deleted.
    """
    ids = [row.document_id for row in held]
    if not ids:
        return
    under = store_erasing.key_records(session, ids)
    store_erasing.condemn(session, ids, at)
    store_erasing.forget_keys(session, ids)
    store_erasing.erase(session, ids, at)
    for row in held:
        emit(session, _removed(row, cause, at))
        emit(session, traced(
            who, "document.removed", at=at, record_id=row.home_record_id, object_id=row.document_id,
            object_type="document", rule=cause,
        ))  # fmt: skip
    destroy_keys(session, under, at)


def destroy_keys(session: Session, record_ids: Collection[str], at: datetime) -> None:
    """Destroys the keys of those of these records that were deleted and whose last document is gone."""
    for record_id in store_erasing.spent_keys(session, record_ids, at):
        emit(session, traced(None, "record.destroyed", at=at, record_id=record_id, object_type="record_key"))


def _removed(row: Row, cause: str, at: datetime) -> DocumentRemoved:
    hidden = rules_ends.hidden_how(
        state=row.state, blocked=row.patient_blocked_at is not None, withheld=row.withheld_at is not None
    )
    return DocumentRemoved(row.record_id, row.document_id, cause, rfc3339(at), row.author_id, hidden)
