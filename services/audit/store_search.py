"""The query of a privacy officer's search among all entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.audit.models import EntryRow
from services.audit.rules_search import Search, first_id_at
from services.audit.store_oversight import WHOLE

_NEXT = timedelta(milliseconds=1)


def entries(session: Session, asked: Search) -> Sequence[Any]:
    """Returns one more than the limit, if there are so many within the reach of the page: newest first.

    Without a record the entries are read in the order of their ids, which are made of their times: then the years that
    are not asked about are not touched, and no index is needed that every entry would have to be written into.
    """
    query = sa.select(*WHOLE).where(
        EntryRow.at >= asked.since, EntryRow.at < asked.period.until,
        *(getattr(EntryRow, name) == value for name, value in {**asked.ids, **asked.words}.items()),
    )  # fmt: skip
    if asked.record_id is not None:
        if asked.after is not None:
            query = query.where(sa.tuple_(EntryRow.at, EntryRow.trace_id) < sa.tuple_(*asked.after))
        query = query.order_by(EntryRow.at.desc(), EntryRow.trace_id.desc())
    else:
        before = asked.after[1] if asked.after is not None else first_id_at(asked.period.until + _NEXT)
        query = query.where(EntryRow.trace_id >= first_id_at(asked.since), EntryRow.trace_id < before)
        query = query.order_by(EntryRow.trace_id.desc())
    return session.execute(query.limit(asked.limit + 1)).all()
