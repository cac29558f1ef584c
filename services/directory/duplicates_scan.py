"""`python -m services.directory.duplicates_scan`: compares every sheet that was never compared, as after a load.

Runs beside the platform, at night. Each batch is claimed, compared and noted in one transaction, so it may be killed at
any line and started again, and several may run at once: none takes what another holds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from services.db import Sessions, now
from services.directory import rules_duplicates, rules_search, store_duplicates
from services.directory.rules_blocking import search_keys
from services.settings import load

AT_ONCE = 200
"""So many sheets are compared in one transaction: whoever changes one of them meanwhile waits for a second at most."""

errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Rate(ProgressColumn):
    """How many sheets a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares what waits, with a bar that moves; returns the exit status."""
    argparse.ArgumentParser(prog="python -m services.directory.duplicates_scan", description=__doc__).parse_args(
        arguments
    )
    sessions = Sessions(load().database_url)
    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    compared = pairs = 0
    with sessions.transaction() as session:
        waiting = store_duplicates.uncompared(session)
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task("sheets", total=waiting)
        for sheets, found in scan(sessions):
            compared, pairs = compared + sheets, pairs + found
            progress.update(task, completed=compared, total=max(waiting, compared))
    errors.print(f"{compared:>10,} sheets compared\n{pairs:>10,} pairs noted that may be one person's")
    return 0


def scan(sessions: Sessions, at_once: int = AT_ONCE) -> Iterator[tuple[int, int]]:
    """Compares batch after batch until nothing waits; of each, how many sheets it was and how many pairs were new."""
    after: str | None = None
    while True:
        sheets, found, last = _batch(sessions, at_once, after)
        if sheets:
            yield sheets, found
        elif after is None:
            return
        after = last  # None at the end: once more from the beginning, for what others held and let go


def _batch(sessions: Sessions, at_once: int, after: str | None) -> tuple[int, int, str | None]:
    with sessions.transaction() as session:
        claimed = store_duplicates.claim_uncompared(session, at_once, after)
        if not claimed:
            return 0, 0, None
        sought = {sheet.patient_id: rules_search.reading_of(sheet) for sheet in claimed}
        keys = {patient_id: search_keys(reading) for patient_id, reading in sought.items()}
        pairs: list[tuple[str, str, int]] = []
        for patient_id, candidates in store_duplicates.candidates_of_many(session, keys).items():
            hits = rules_search.rated(sought[patient_id], candidates, rules_duplicates.LEAST)
            pairs += rules_duplicates.pairs(patient_id, hits)
        found = store_duplicates.note_compared(session, list(sought), sorted(set(pairs)), now())
    return len(claimed), found, claimed[-1].patient_id


if __name__ == "__main__":
    sys.exit(main())
