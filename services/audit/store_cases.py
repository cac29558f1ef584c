"""The queries of cases: an entry that its reader does not recognise, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.audit.models import EntryRow, HiddenDocument
from services.audit.models_cases import Case
from services.audit.store import tells_of, with_those_led_here
from services.db import new_id
from services.tokens import Caller


def record_of_entry(session: Session, record_id: str, entry_id: str, without: Sequence[str]) -> str | None:
    """Returns the own record of an entry in the history of this one; None where the reader's history has no such entry.

    without: the kinds of hidden documents whose entries are left out of it.
    """
    here = with_those_led_here(record_id)
    query = sa.select(EntryRow.record_id).where(
        EntryRow.trace_id == entry_id, EntryRow.record_id.in_(sa.select(here.c.record_id))
    )
    found: str | None = session.scalar(query.where(~tells_of(without)) if without else query)
    return found


def open_case(
    session: Session, entry_id: str, record_id: str, by: Caller, comment: str | None, at: datetime
) -> tuple[str, bool]:  # fmt: skip
    """Opens a case about an entry; of two at once one is opened. Returns its id, and whether it is new."""
    row = insert(Case).values(
        case_id=new_id(), trace_id=entry_id, record_id=record_id, opened_at=at, opened_by=by.account_id,
        patient_id=by.patient_id, comment=comment,
    )  # fmt: skip
    made = session.scalar(row.on_conflict_do_nothing(index_elements=["trace_id"]).returning(Case.case_id))
    if made is not None:
        return made, True
    return session.execute(sa.select(Case.case_id).where(Case.trace_id == entry_id)).scalar_one(), False


def cases_of_record(
    session: Session, record_id: str, without: Sequence[str], *, after: str | None = None, limit: int | None = None,
    case_id: str | None = None,
) -> Sequence[Case]:  # fmt: skip
    """Returns the cases in the history of a record, newest first: one of them, or those after a place.

    without: the kinds of hidden documents about which no case is told.
    """
    here = with_those_led_here(record_id)
    query = sa.select(Case).join(EntryRow, EntryRow.trace_id == Case.trace_id)
    query = query.where(Case.record_id.in_(sa.select(here.c.record_id)))
    if without:
        query = query.where(~tells_of(without))
    if case_id is not None:
        query = query.where(Case.case_id == case_id)
    if after is not None:
        query = query.where(Case.case_id < after)
    return session.scalars(query.order_by(Case.case_id.desc()).limit(limit)).all()


def hidden_now(session: Session, object_id: str | None) -> str | None:
    """Returns in what way a document is hidden now, the stricter first; None for one that is not, or for none."""
    if object_id is None:
        return None
    times: Any = HiddenDocument
    found: str | None = session.scalar(
        sa.select(sa.func.min(times.kind)).where(times.document_id == object_id, times.until.is_(None))
    )
    return found
