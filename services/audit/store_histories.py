"""The query of the chronology: what each person did with a record, day by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.audit.models import EntryRow, Moment
from services.audit.rules_histories import ACTOR, Wanted
from services.audit.store import Row, asked_for, shown, with_those_led_here
from services.dossier.contract import AccessScope


def lines_by_day(
    session: Session, record_id: str, *, of_professional: str | None, before: datetime | None, days: int,
    without: Sequence[str], scope: AccessScope | None, wanted: Wanted,
) -> Sequence[Row]:  # fmt: skip
    """Returns how often each person did what and on what ground, on the last days with something in them before a
    moment, of each record that is read here apart; `more`: whether there are days before those.

    of_professional, without, scope: as `shown`. The days are looked for one after the other by the index of the
    record's entries, so that a page costs what its own days hold, however long the history is.
    """
    here, entry = with_those_led_here(record_id), EntryRow
    clauses = [*shown(of_professional, without, scope), *asked_for(wanted)]

    def last(*bounds: sa.ColumnElement[bool], beside: Sequence[sa.CTE] = ()) -> sa.ScalarSelect[Any]:
        """The day of the last entry within these bounds."""
        of_one = sa.select(entry.at).where(entry.record_id == here.c.record_id, *clauses, *bounds)
        newest = of_one.order_by(entry.at.desc()).limit(1).correlate(here, *beside).scalar_subquery()
        return sa.select(_day(sa.func.max(newest))).select_from(here).correlate(*beside).scalar_subquery()

    first = last(*(() if before is None else (entry.at < before,)))
    found = sa.select(first.label("day"), sa.literal(1).label("number")).cte("found", recursive=True)
    found = found.union_all(
        sa.select(last(entry.at < found.c.day, beside=[found]), found.c.number + 1)
        .where(found.c.number <= days, found.c.day.is_not(None))
    )  # fmt: skip
    beyond = sa.exists().where(found.c.number > days, found.c.day.is_not(None)).correlate(None)
    in_day = (entry.at >= found.c.day) & (entry.at < found.c.day + sa.text("interval '1 day'"))
    who = [getattr(entry, name) for name in ACTOR]
    of_day = (
        sa.select(
            *who, entry.action, entry.ground, sa.func.count().label("times"),
            sa.func.count().filter(entry.outcome == "refused").label("refused"),
            sa.func.min(entry.at).label("first_at"), sa.func.max(entry.at).label("last_at"),
        )
        .where(entry.record_id == here.c.record_id, in_day, *clauses)
        .group_by(*who, entry.action, entry.ground).correlate(here, found).lateral("of_day")
    )  # fmt: skip
    rows = (
        sa.select(found.c.day, of_day, beyond.label("more"))
        .select_from(found.join(here, sa.true()).join(of_day, sa.true()))
        .where(found.c.number <= days)
    )
    return session.execute(rows).all()


def _day(moment: Any) -> sa.ColumnElement[Any]:
    """The first moment of the day that a moment lies in."""
    return sa.func.date_trunc("day", moment, "UTC", type_=Moment)
