"""The part of audit's contract about the statistics: what is counted, and how the answers look.

For agents of the agency: `standing` (how many of each there were at the end of some days), `added` (how many came in
each month), `coverage` (who has a record, by commune).
"""

from __future__ import annotations

from typing import Final, TypedDict

STANDING: tuple[str, ...] = ("documents", "records", "accounts")
"""What is there from one day to another: documents by type, records by state, accounts by capacity."""

ADDED: tuple[str, ...] = ("documents", "accounts", "deposits", "accesses")
"""What happens: deposits by software and accesses by profession beside what came of the others."""

DATES_MOST: Final = 60
MONTHS_MOST: Final = 120


class StatisticRow(TypedDict):
    """One key's counts, in the order of the columns."""

    key: str
    counts: list[int]


class Statistic(TypedDict):
    """A table of counts: columns are days or months, ISO; a key that was never counted has no row."""

    measure: str
    columns: list[str]
    rows: list[StatisticRow]
    totals: list[int]


class CommuneCovered(TypedDict):
    """Of a commune: who is registered there, and how many of them have a record; all three null are not shown."""

    commune: str
    registered: int | None
    covered: int | None
    percent: float | None


class Coverage(TypedDict):
    """Who has a record on a day, in the country and by commune.

    day: null before anything was counted. smallest: what is smaller is not shown, nor what would give it away.
    """

    day: str | None
    smallest: int
    registered: int
    covered: int
    percent: float | None
    communes: list[CommuneCovered]
