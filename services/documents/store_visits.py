"""Every query of visits: when a reader was in a record, and the end of the visit before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import say_last
from services.documents.models import documents, versions
from services.documents.models_reading import visits
from services.documents.rules_visits import NOTED, QUIET
from services.tokens import Caller

# A visit that was noted a moment ago is not written again; of two requests that begin one, the second finds it begun.
_NOTE = """
    insert into visits as kept (account_id, capacity, record_id, last_at)
    select cast(:visitor as uuid), cast(:visiting_as as text), cast(:visited as uuid), :visited_at
     where not exists (
           select from visits v where v.account_id = cast(:visitor as uuid) and v.capacity = :visiting_as
              and v.record_id = cast(:visited as uuid) and v.last_at > :visit_noted)
    on conflict (account_id, capacity, record_id) do update
       set since = case when kept.last_at <= :visit_over then kept.last_at else kept.since end,
           last_at = greatest(kept.last_at, excluded.last_at)
"""


def note(session: Session, caller: Caller, record_id: str, at: datetime) -> None:
    """Notes with the commit that a reader is in a record: goes on with their visit there, or begins another."""
    say_last(
        session, _NOTE, visitor=caller.account_id, visiting_as=caller.capacity, visited=record_id, visited_at=at,
        visit_noted=at - NOTED, visit_over=at - QUIET,
    )  # fmt: skip


def since(caller: Caller, record_id: str, at: datetime) -> Any:
    """The end of the visit before the one that runs at a moment, as a part of a statement; null for the first visit."""
    before = sa.case((visits.c.last_at <= at - QUIET, visits.c.last_at), else_=visits.c.since)
    return sa.select(before).where(
        visits.c.account_id == caller.account_id, visits.c.capacity == caller.capacity, visits.c.record_id == record_id
    ).scalar_subquery()  # fmt: skip


def new_since(caller: Caller, moment: Any) -> sa.ColumnElement[bool]:
    """Whether a document's current version came after a moment, and not from the reader: beside `store.CURRENT`.

    Nobody else saw it before it was checked. After no moment everything is new.
    """
    came = sa.func.coalesce(versions.c.checked_at, versions.c.created_at)
    released = documents.c.released_at if caller.capacity == "patient" else sa.null()
    later = (sa.func.greatest(came, released) > moment) | moment.is_(None)
    return sa.and_(versions.c.account_id != caller.account_id, later)


def ended_before(session: Session, caller: Caller, record_id: str, at: datetime) -> datetime | None:
    """The end of the visit before the one that runs at a moment."""
    return session.scalar(sa.select(since(caller, record_id, at)))
