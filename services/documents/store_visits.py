"""Every query of visits: when a reader was in a record, and the end of the visit before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.documents.models import documents, versions
from services.documents.models_reading import visits
from services.documents.rules_visits import NOTED, QUIET
from services.documents.store_rows import rows
from services.tokens import Caller
from services.words import say_last


def _span(length: timedelta) -> str:
    return f"interval '{length.total_seconds()} seconds'"


# A visit that was noted a moment ago is not written again; of two requests that begin one, the second finds it begun.
_NOTE = f"""
    insert into visits as kept (account_id, capacity, record_id, last_at)
    select account_id, capacity, record_id, max(last_at)
      from json_populate_recordset(cast(null as visits), cast(:visits as json)) as seen
     where coalesce((
           select v.last_at from visits v where v.account_id = seen.account_id and v.capacity = seen.capacity
              and v.record_id = seen.record_id), '-infinity') <= seen.last_at - {_span(NOTED)}
     group by account_id, capacity, record_id order by account_id, capacity, record_id
    on conflict (account_id, capacity, record_id) do update
       set since = case when kept.last_at <= excluded.last_at - {_span(QUIET)} then kept.last_at else kept.since end,
           last_at = greatest(kept.last_at, excluded.last_at)
"""  # noqa: S608 (numbers of the program alone)


def note(session: Session, caller: Caller, record_id: str, at: datetime) -> None:
    """Notes with the commit that a reader is in a record: goes on with their visit there, or begins another."""
    visit = {"account_id": caller.account_id, "capacity": caller.capacity, "record_id": record_id, "last_at": at}
    say_last(session, _NOTE, visits=rows([visit]))


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
