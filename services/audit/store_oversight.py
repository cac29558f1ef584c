"""The queries of what officers work off: one row, its steps, the queue; and an entry as an officer reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.audit.contract_oversight import WholeEntry
from services.audit.models import EntryRow, Id
from services.audit.models_cases import Alert, Care, Case, Sighting
from services.audit.rules_oversight import Queue
from services.db import rfc3339

Work = type[Case] | type[Alert]

WHOLE = (
    EntryRow.trace_id, EntryRow.at, EntryRow.received_at, EntryRow.source, EntryRow.action, EntryRow.outcome,
    EntryRow.reason, EntryRow.account_id, EntryRow.capacity, EntryRow.patient_id, EntryRow.professional_id,
    EntryRow.profession, EntryRow.establishment_id, EntryRow.record_id, EntryRow.object_id, EntryRow.object_type,
    EntryRow.ground, EntryRow.rule, EntryRow.purpose, EntryRow.session_id, EntryRow.request_id, EntryRow.address,
    EntryRow.software, EntryRow.count,
)  # fmt: skip
_ENTRY = sa.select(*WHOLE).subquery("entry")
_MOMENTS = ("at", "received_at")


def queue(session: Session, work: Work, asked: Queue) -> Sequence[Any]:
    """Returns one more than the limit, if there are so many: pairs of a row and its entry, the oldest first."""
    key = _key(work)
    query = _with_entry(work)
    if asked.state is not None:
        query = query.where(work.state == asked.state)
    if asked.kind is not None:
        query = query.where(Alert.rule == asked.kind)
    if asked.after is not None:
        query = query.where(key > asked.after)
    return _read(session, query.order_by(key).limit(asked.limit + 1))


def one(session: Session, work: Work, work_id: str, *, held: bool = False) -> Any | None:
    """Returns one row with its entry, None when there is none; held: against every other change of it."""
    if held:
        session.execute(sa.select(_key(work)).where(_key(work) == work_id).with_for_update())
    return next(iter(_read(session, _with_entry(work).where(_key(work) == work_id))), None)


def change(session: Session, work: Work, work_id: str, **values: Any) -> None:
    """Writes what an officer did with a held row: a new version."""
    session.execute(sa.update(work).where(_key(work) == work_id).values(version=work.version + 1, **values))


def whole(row: Any) -> WholeEntry | None:
    """Returns an entry as an officer reads it; None for one whose contents are gone."""
    if row.trace_id is None:
        return None
    told: Any = {column.name: getattr(row, column.name) for column in WHOLE}
    told["entry_id"] = told.pop("trace_id")
    return cast(WholeEntry, told | {name: rfc3339(told[name]) for name in _MOMENTS})


def _key(work: Work) -> Any:
    return Case.case_id if work is Case else Alert.alert_id


def _with_entry(work: Work) -> sa.Select[Any]:
    return sa.select(work, *_ENTRY.c).outerjoin(_ENTRY, _ENTRY.c.trace_id == work.trace_id)


def _read(session: Session, query: sa.Select[Any]) -> Sequence[Any]:
    rows = session.execute(query, execution_options={"populate_existing": True}).all()
    return [(row[0], whole(row)) for row in rows]


def forget(session: Session, record_ids: Sequence[str]) -> None:
    """Takes away what stands here of records whose traces are destroyed: cases with their words, alerts, and care."""
    for table in (Case, Alert, Care):
        gone = sa.delete(table).where(table.record_id == sa.any_(sa.literal(list(record_ids), ARRAY(Id))))
        session.execute(gone.execution_options(synchronize_session=False))
    seen = sa.delete(Sighting).where(Sighting.thing_id == sa.any_(sa.literal(list(record_ids), ARRAY(Id))))
    session.execute(seen.execution_options(synchronize_session=False))
