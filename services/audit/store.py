"""Every query of audit. Entries are inserted and read; there is no other verb."""

from datetime import datetime
from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.audit.contract import AccessTraced, Entry
from services.audit.models import EntryRow
from services.audit.rules import Position, as_id
from services.db import rfc3339

# Built once: most of what audit does is this one statement.
_KEEP = insert(cast(sa.Table, EntryRow.__table__)).on_conflict_do_nothing(index_elements=["trace_id"])
IDS = ("account_id", "patient_id", "professional_id", "establishment_id", "record_id", "object_id", "session_id")


def insert_entry(session: Session, trace: AccessTraced, source: str, at: datetime) -> None:
    """Keeps a trace; the same trace again changes nothing.

    What somebody asked for under an impossible id is kept without the id: losing the entry would be worse.
    """
    values = dict(vars(trace))
    values.update({name: as_id(values[name]) for name in IDS})
    values.update(at=datetime.fromisoformat(trace.at), source=source, received_at=at)
    session.execute(_KEEP, values)


def entries_of_record(
    session: Session, record_id: str, *, of_professional: str | None, after: Position | None, limit: int
) -> list[EntryRow]:
    """Returns a record's entries after a place, newest first; of one professional alone when given.

    A professional's own refused tries on a thing by its id stay out of their view: an id that lies in this record
    would leave a line here and an unknown one none, which tells what is hidden.
    """
    query = sa.select(EntryRow).where(EntryRow.record_id == record_id)
    if of_professional is not None:
        tells_nothing = (EntryRow.outcome == "allowed") | EntryRow.object_id.is_(None)
        query = query.where(EntryRow.professional_id == of_professional, tells_nothing)
    if after is not None:
        query = query.where(sa.tuple_(EntryRow.at, EntryRow.trace_id) < sa.tuple_(*after))
    return list(session.scalars(query.order_by(EntryRow.at.desc(), EntryRow.trace_id.desc()).limit(limit)))


def has_written(session: Session, record_id: str, professional_id: str) -> bool:
    """True when this professional's deposit in this record is on file."""
    written = sa.exists().where(
        EntryRow.record_id == record_id,
        EntryRow.professional_id == professional_id,
        EntryRow.action == "document.created",
        EntryRow.outcome == "allowed",
    )
    return bool(session.scalar(sa.select(written)))


def on_wire(row: EntryRow) -> Entry:
    """Returns an entry as it travels."""
    return {
        "entry_id": row.trace_id,
        "at": rfc3339(row.at),
        "action": row.action,
        "account_id": row.account_id,
        "capacity": row.capacity,
        "professional_id": row.professional_id,
        "patient_id": row.patient_id,
        "profession": row.profession,
        "establishment_id": row.establishment_id,
        "object_id": row.object_id,
        "object_type": row.object_type,
        "ground": row.ground,
        "rule": row.rule,
        "outcome": row.outcome,
        "reason": row.reason,
        "software": row.software,
        "request_id": row.request_id,
        "count": row.count,
    }
