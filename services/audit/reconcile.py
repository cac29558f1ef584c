"""`python -m services.audit.reconcile FILE…`: proves from the gateway's logs that each reading has its one trace.

It reads the lines of the gateway's log (`-`: from standard input) and audit's database, and says what does not fit:
answers without an entry, with more than one, or with one that says otherwise. It ends with 0 where everything fits,
with 1 where something does not. What is on its way still is waited for.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TextIO

from services.audit import store_reconcile
from services.audit.rules_reconcile import Answer, Finding, answer_of, compare
from services.db import Sessions

AT_ONCE = 5_000
PATIENCE = 60.0  # seconds for a trace to arrive
PAUSE = 1.0
LONGEST = timedelta(hours=1)  # a request, from its beginning to the line about it; and clocks may differ


def differences(
    sessions: Sessions, lines: Iterable[str], patience: float = PATIENCE
) -> tuple[int, list[tuple[Finding, Answer]]]:
    """How many readings were answered, and which do not fit."""
    answers = (answer for answer in map(answer_of, lines) if answer is not None)
    count, found = 0, []
    end = time.monotonic() + patience
    while batch := list(islice(answers, AT_ONCE)):
        count += len(batch)
        found += _in_batch(sessions, batch, end)
    return count, found


def _in_batch(sessions: Sessions, batch: Sequence[Answer], end: float) -> list[tuple[Finding, Answer]]:
    """What does not fit in a batch; whatever is missing is looked for until the patience is over."""
    while True:
        times = [answer.at for answer in batch]
        with sessions.transaction() as session:
            kept = store_reconcile.entries_of_requests(
                session, [answer.request_id for answer in batch], min(times) - LONGEST, max(times) + LONGEST
            )
        found = compare(batch, kept)
        if not any(finding == "missing" for finding, _ in found) or time.monotonic() >= end:
            return found
        time.sleep(PAUSE)


def told(count: int, found: Sequence[tuple[Finding, Answer]]) -> Iterator[str]:
    """The report, line by line."""
    for finding, answer in found:
        yield f"{finding}: {answer.request_id} {answer.route} {answer.status} {answer.at.isoformat()}"
    yield f"{count} readings answered, {len(found)} without exactly their one trace"


def main(files: Sequence[str], out: TextIO) -> int:
    """Compares; 0 where everything fits."""
    from services.settings import load

    sessions = Sessions(load().database_url)
    count, found = differences(sessions, _lines(files))
    out.writelines(f"{line}\n" for line in told(count, found))
    return 1 if found else 0


def _lines(files: Sequence[str]) -> Iterator[str]:
    for name in files:
        if name == "-":
            yield from sys.stdin
        else:
            with Path(name).open(encoding="utf-8", errors="replace") as file:
                yield from file


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main(sys.argv[1:] or ["-"], sys.stdout))
