"""How many entries there are of each request, for the reconciliation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.audit.models import EntryRow, Id


def entries_of_requests(
    session: Session, request_ids: Collection[str], since: datetime, until: datetime
) -> dict[str, Counter[str]]:  # fmt: skip
    """Returns the outcomes of the entries of these requests that were traced between two moments.

    The ids of entries are made of their time: those of the time alone are looked through.
    """
    within = (EntryRow.trace_id >= _first_id(since)) & (EntryRow.trace_id < _first_id(until))
    these = sa.literal(list(request_ids), ARRAY(sa.Text))
    rows = session.execute(
        sa.select(EntryRow.request_id, EntryRow.outcome, sa.func.count())
        .where(within, EntryRow.request_id == sa.any_(these))
        .group_by(EntryRow.request_id, EntryRow.outcome)
    )
    found: dict[str, Counter[str]] = {}
    for request_id, outcome, number in rows:
        found.setdefault(request_id, Counter())[outcome] = number
    return found


def _first_id(moment: datetime) -> sa.ColumnElement[str]:
    milliseconds = int(moment.timestamp() * 1000) & ((1 << 48) - 1)
    return sa.literal(f"{milliseconds:012x}{0:020x}", sa.Text).cast(Id)
