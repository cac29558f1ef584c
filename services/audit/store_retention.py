"""The queries that destroy: the contents of a deleted record's entries, and nothing else ever."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from services.audit.models import EntryRow, Id
from services.audit.models_archive import ArchivedGroup
from services.audit.models_log import Attestation, Leaf, TreeHeadRow
from services.audit.models_retention import DeletedRecord, Destruction
from services.db import begun

_IDS = ARRAY(Id)
# A leaf without contents says nothing but what was signed: so they stay until a head is over it.
_SIGNED = sa.select(sa.func.coalesce(sa.func.max(TreeHeadRow.size), 0)).scalar_subquery()


def note_deleted(session: Session, record_ids: Collection[str], at: datetime) -> None:
    """Notes that records were deleted; told again, the first time stays."""
    rows = [{"record_id": each, "deleted_at": at} for each in sorted(set(record_ids))]
    if rows:
        session.execute(insert(DeletedRecord).on_conflict_do_nothing(), rows)


def due(session: Session, before: datetime, limit: int) -> list[str]:
    """Returns records deleted before a moment of which signed entries are left, out of other replicas' hands."""
    left = sa.exists().where(
        EntryRow.record_id == DeletedRecord.record_id, Leaf.trace_id == EntryRow.trace_id, Leaf.position < _SIGNED
    )
    archived = sa.exists().where(ArchivedGroup.record_id == DeletedRecord.record_id)
    held = sa.select(DeletedRecord.record_id).where(DeletedRecord.deleted_at <= before, left | archived)
    held = held.order_by(DeletedRecord.deleted_at).limit(limit).with_for_update(skip_locked=True)
    return list(session.scalars(held))


def destroy_contents(session: Session, record_ids: Collection[str]) -> list[int]:
    """Destroys the contents of the signed entries of records, salt and all, and takes the records' names off the
    leaves; returns the places in the log. The leaves themselves stay."""
    these = sa.literal(list(record_ids), _IDS)
    begun(session).exec_driver_sql("set local audit.destroys = 'contents'")
    gone = sa.delete(EntryRow).where(
        EntryRow.record_id == sa.any_(these), Leaf.trace_id == EntryRow.trace_id, Leaf.position < _SIGNED
    )
    positions = list(session.scalars(gone.returning(Leaf.position).execution_options(synchronize_session=False)))
    nameless = sa.update(Leaf).where(Leaf.position == sa.any_(sa.literal(positions, ARRAY(sa.BigInteger))))
    session.execute(nameless.values(record_id=None).execution_options(synchronize_session=False))
    asked = sa.delete(Attestation).where(Attestation.record_ids.op("&&")(these))
    session.execute(asked.execution_options(synchronize_session=False))
    begun(session).exec_driver_sql("set local audit.destroys = ''")
    return positions


def add_destruction(session: Session, digest: str, said: str, at: datetime) -> None:
    """Keeps what a destruction says of itself."""
    session.execute(insert(Destruction).values(digest=bytes.fromhex(digest), said=said, at=at))
