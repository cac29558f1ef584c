"""Queries on whom a professional reached with secure messages, for the limits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.db import new_id
from services.notifications.models_threads import ThreadReach
from services.notifications.rules_thread_limits import COLLEAGUES, MESSAGES, ThreadLimit

_HOLD = sa.text("select pg_advisory_xact_lock(hashtextextended('thread_reaches ' || :professional_id, 0))")
# The newest of what was reached that there would be no room for beside what is wanted: once it is out of the window,
# with all that is older, there is.
_IN_THE_WAY: Final = {
    COLLEAGUES: """
        select last from (
            select colleague, max(at) as last from thread_reaches, unnest(colleague_ids) as colleague
             where professional_id = :professional_id and at > :since_{number}
             group by colleague) as reached
         where colleague <> all (cast(:wanted as uuid[]))
         order by last desc offset greatest(:most_{number} - cardinality(cast(:wanted as uuid[])), 0) limit 1""",
    MESSAGES: """
        select at from (
            select at, sum(cardinality(colleague_ids)) over (order by at desc, reach_id desc) as reached
              from thread_reaches where professional_id = :professional_id and at > :since_{number}) as reaches
         where reached > :most_{number} - cardinality(cast(:wanted as uuid[]))
         order by at desc limit 1""",
}


def hold(session: Session, professional_id: str) -> None:
    """Has whatever else this professional writes wait for this transaction, so that all of it is counted."""
    session.execute(_HOLD, {"professional_id": professional_id})


def room_at(
    session: Session, limits: Sequence[ThreadLimit], professional_id: str, colleague_ids: Collection[str], at: datetime
) -> list[datetime | None]:
    """Of each limit when there is room under it to reach these colleagues too; None: there is now."""
    asked: dict[str, Any] = {"professional_id": professional_id, "wanted": sorted(colleague_ids)}
    asked |= {f"since_{number}": at - limit.window for number, limit in enumerate(limits)}
    asked |= {f"most_{number}": limit.most for number, limit in enumerate(limits)}
    ways = (f"({_IN_THE_WAY[limit.counts].format(number=number)})" for number, limit in enumerate(limits))
    found = session.execute(sa.text(f"select {', '.join(ways)}"), asked).one()
    return [None if way is None else way + limit.window for limit, way in zip(limits, found, strict=True)]


def note(session: Session, professional_id: str, colleague_ids: Collection[str], at: datetime) -> None:
    """Notes that a professional reached these colleagues."""
    reached = {"reach_id": new_id(), "professional_id": professional_id, "at": at}
    session.execute(insert(ThreadReach).values(**reached, colleague_ids=sorted(colleague_ids)))


def forget(session: Session, before: datetime) -> None:
    """Forgets whom somebody reached until a moment; it counts no more. Again changes nothing."""
    session.execute(sa.delete(ThreadReach).where(ThreadReach.at <= before))
