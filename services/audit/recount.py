"""The operator's command that makes the counts of the statistics again from what they were made of.

`python -m services.audit.recount`: each kind of count in a transaction of its own; whoever reads meanwhile reads the
counts as they were, and what is told meanwhile is counted afterwards.
"""

from __future__ import annotations

from services.audit import store_statistics
from services.audit.contract_statistics import STANDING
from services.db import Sessions
from services.settings import load


def main(sessions: Sessions | None = None) -> None:
    """Counts everything anew. sessions: of another database than the settings name."""
    sessions = sessions or Sessions(load().database_url)
    for measure in STANDING:
        with sessions.transaction() as session:
            store_statistics.recount(session, measure)
    with sessions.transaction() as session:
        store_statistics.recount_entries(session)


if __name__ == "__main__":
    main()
