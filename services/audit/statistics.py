"""Statistics: how many documents, records, accounts, deposits and accesses; for agents of the agency alone.

Numbers of the whole country, and coverage by commune as far as no number there tells of people. [seed 002]
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from services.audit import coverage, rules_statistics, store_coverage, store_statistics
from services.audit.contract import Coverage, Statistic, traced
from services.bus import Service, emit, rpc
from services.db import now
from services.refusals import NotAllowed, Refusal
from services.settings import load
from services.tokens import Caller

READ = "statistics.read"


class Statistics(Service):
    """The entrypoints of the statistics."""

    def _count_entries(self) -> None:
        """Counts the entries of the log that are not counted yet, a part of them in each transaction."""
        more = True
        while more:
            with self.db.transaction() as session:
                more = store_statistics.count_entries(session)

    def _forget_ended(self, at: datetime) -> None:
        """Forgets which things they were that ended long ago; the counts stay."""
        until = date.fromisoformat(rules_statistics.day_of(at.isoformat())) - timedelta(rules_statistics.NAMED_DAYS)
        with self.db.transaction() as session:
            store_statistics.forget_ended(session, until)

    @rpc
    def standing(self, caller: Caller, *, measure: str, dates: list[str]) -> Statistic | Refusal:
        """How many there were of each at the end of these days in Luxembourg: documents by type, records by state,
        accounts by capacity.

        A document counts under the type that it had then, until it was removed. Refuses: NotAllowed (agents only),
        InvalidInput (measure, dates: 1 to 60). [seed 002, Catégorie des documents dans les DSP]
        """
        measure, days = rules_statistics.require_standing(measure), rules_statistics.require_dates(dates)
        with self.db.transaction(caller) as session:
            if not rules_statistics.may_read_statistics(caller.capacity):
                return _refused(session, caller, measure)
            made = store_statistics.standing(session, measure, days)
            _read(session, caller, measure, len(made))
        return _table(measure, [day.isoformat() for day in days], made)

    @rpc
    def added(self, caller: Caller, *, measure: str, since: str, until: str) -> Statistic | Refusal:
        """How many came in each month from one to another: documents by type, accounts by capacity, deposits by the
        software that made them, accesses by profession.

        Deposits and accesses as far as they are sealed in the log. Refuses: NotAllowed (agents only), InvalidInput
        (measure, since, until: at most ten years). [seed 002]
        """
        measure, months = rules_statistics.require_added(measure), rules_statistics.require_months(since, until)
        with self.db.transaction(caller) as session:
            if not rules_statistics.may_read_statistics(caller.capacity):
                return _refused(session, caller, measure)
            made = store_statistics.added(session, measure, months, *rules_statistics.days_of(months))
            _read(session, caller, measure, len(made))
        return _table(measure, months, made)

    @rpc
    def coverage(self, caller: Caller, *, day: str | None = None) -> Coverage | Refusal:
        """Who has a record, in the country and by commune: as it was counted last, or last by a day.

        Numbers below the country's are not shown where they are so small that they tell of people, nor those that
        would give them away. Refuses: NotAllowed (agents only), InvalidInput (day).
        [seed 002, Couverture géographique]
        """
        until = rules_statistics.require_day(day)
        with self.db.transaction(caller) as session:
            if not rules_statistics.may_read_statistics(caller.capacity):
                return _refused(session, caller, "coverage")
            counted = store_coverage.newest(session, until)
            _read(session, caller, "coverage", 0 if counted is None else len(counted.communes))
        return coverage.shown(counted, load().statistics_smallest_cell)


def _table(measure: str, columns: Sequence[str], made: store_statistics.Made) -> Statistic:
    return {
        "measure": measure,
        "columns": list(columns),
        "rows": [{"key": key, "counts": counts} for key, counts in made.items()],
        "totals": [sum(counts) for counts in zip(*made.values(), strict=True)] if made else [0] * len(columns),
    }


def _read(session: Session, caller: Caller, measure: str, count: int) -> None:
    emit(session, traced(caller, READ, at=now(), object_type=measure, count=count))


def _refused(session: Session, caller: Caller, measure: str) -> Refusal:
    refusal = NotAllowed()
    emit(session, traced(caller, READ, at=now(), object_type=measure, outcome="refused", reason=refusal.code))
    return refusal
