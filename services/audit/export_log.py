"""`python -m services.audit.export_log > log.jsonl`: the whole log, or what follows a position, for the verifier.

For auditors and the privacy officer's office, by an operator. The witness file is copied first: what it knows has to be
in the log. The export is one look at the database, changes nothing in it, and leaves one trace before it begins. Years
in the archive come back for as long as it takes.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

CHUNK = 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the export to the standard output."""
    from services.audit.contract import NAME
    from services.db import Sessions
    from services.settings import load

    parser = argparse.ArgumentParser(prog="python -m services.audit.export_log", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="the position it begins at")
    asked = parser.parse_args(arguments)
    sessions = Sessions(load().database_url, NAME)
    for line in lines(sessions, asked.first):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return 0


def lines(sessions: Any, first: int = 0) -> Iterator[str]:
    """Gives the lines of the export, from a position on. sessions: of audit's database, in audit's name."""
    from services.audit import archiving, store_archive, store_exports
    from services.audit.contract import traced
    from services.bus import emit
    from services.db import now

    at = now()
    with sessions.transaction() as session:
        emit(session, traced(None, "log.exported", at=at, object_type="log"))
        archived = bool(store_archive.years(session))
    if archived:
        archiving.bring_all_back(sessions, archiving.at_hand())
    try:
        with sessions.transaction() as session:
            store_exports.freeze(session)
            yield from as_it_is(session, first, at)
    finally:
        if archived:
            archiving.send_all_back(sessions)


def as_it_is(session: Any, first: int, at: datetime) -> Iterator[str]:
    """Gives the lines of what a transaction sees."""
    from services.audit import rules_exports, store_exports, store_log
    from services.audit.rules_tree import kept_places, root_of

    size = store_exports.size_of(session)
    spans = [(number << level, (number + 1) << level) for level, number in rules_exports.frontier_of(first)]
    kept = store_log.hashes_at(session, kept_places(spans))
    frontier = [root_of(span, kept.__getitem__) for span in spans]
    keys = [key.as_line() for key in store_log.keys(session)]
    yield rules_exports.log_header(first, size, frontier=frontier, keys=keys, at=at)
    for start in range(first, size, CHUNK):
        end = min(start + CHUNK, size)
        nodes = store_exports.nodes_of(session, start, end)
        heads = store_exports.heads_of(session, start, end)
        yield from rules_exports.log_lines(store_log.sealed(session, start, end), nodes, heads)
    for order in store_exports.destructions(session):
        yield rules_exports.as_line({"destruction": order})
    for row in store_exports.hidden(session):
        yield rules_exports.as_line({"hidden": row})
    for trace_id in store_exports.unsealed(session):
        yield rules_exports.as_line({"unsealed": trace_id})
    yield rules_exports.as_line({"end": size})


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a library's advice to its programmers is no line for an operator
    sys.exit(main())
