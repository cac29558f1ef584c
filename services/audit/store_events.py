"""What a search among AuditEvents asks of entries, in SQL; and which record an entry is about."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.audit.models import EntryRow, Id, RecordMove
from services.audit.models_log import Leaf
from services.audit.rules_balp import Shape
from services.audit.rules_balp_codes import AUTHORIZATION, QUERIES
from services.audit.rules_events import Asked

_TEXTS = ARRAY(sa.Text)


def asked_of_entries(asked: Asked) -> list[sa.ColumnElement[bool]]:
    """What an entry must be, so that its AuditEvent is among those asked for."""
    entry = EntryRow
    same = {"professional_id": entry.professional_id, "establishment_id": entry.establishment_id}
    clauses: list[sa.ColumnElement[bool]] = [
        column == getattr(asked, name) for name, column in same.items() if getattr(asked, name) is not None
    ]
    if asked.object_id is not None:  # what was refused to somebody, and what was searched for, is of the record alone
        alone = _went("denied") | _among(entry.action, sorted(QUERIES))
        clauses += [entry.object_id == asked.object_id, ~alone]
    if asked.person_id is not None:  # the event of who acts as a professional does not name them as a patient
        clauses += [entry.patient_id == asked.person_id, entry.professional_id.is_(None)]
    if asked.agent_id is not None:
        who = sa.func.coalesce(entry.professional_id, entry.patient_id, entry.account_id)
        clauses.append((who == asked.agent_id) | (entry.establishment_id == asked.agent_id))
    if asked.since is not None:
        clauses.append(entry.at >= asked.since)
    if asked.before is not None:
        clauses.append(entry.at < asked.before)
    if asked.by_shape is not None:
        clauses.append(sa.or_(*(_went(shape) & _among(entry.action, names) for shape, names in asked.by_shape.items())))
    return clauses


def the_one(entry_id: str) -> list[sa.ColumnElement[bool]]:
    """That an entry is this one."""
    return [EntryRow.trace_id == entry_id]


def record_of(session: Session, entry_id: str) -> str | None:
    """Returns the record that an entry is read in now: its own, or the one that leads to in the end."""
    kept = sa.select(EntryRow.record_id).where(EntryRow.trace_id == entry_id, EntryRow.record_id.is_not(None))
    # its place in the log tells it too, where the contents lie in the object store
    sealed = sa.select(Leaf.record_id).where(Leaf.trace_id == entry_id, Leaf.record_id.is_not(None))
    begin = sa.select(kept.union(sealed).subquery().c.record_id, sa.literal(0).label("step"))
    way = begin.cte("way", recursive=True)
    way = way.union_all(
        sa.select(RecordMove.leads_to, way.c.step + 1).join(way, RecordMove.record_id == way.c.record_id).where(
            RecordMove.leads_to.is_not(None), way.c.step < 100
        )
    )  # fmt: skip
    found: str | None = session.scalar(sa.select(sa.cast(way.c.record_id, Id)).order_by(way.c.step.desc()).limit(1))
    return found


def _went(shape: Shape) -> sa.ColumnElement[bool]:
    """Whether an entry of a record went so, as rules_balp.shape_of."""
    decided = sa.func.coalesce(_among(EntryRow.reason, sorted(AUTHORIZATION)), sa.false())
    if shape == "done":
        return EntryRow.outcome == "allowed"
    return (EntryRow.outcome == "refused") & (decided if shape == "denied" else ~decided)


def _among(column: Any, values: Any) -> sa.ColumnElement[bool]:
    return column == sa.any_(sa.literal(list(values), _TEXTS))
