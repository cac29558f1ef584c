"""Who has a record, by commune: dossier knows whose records are there, directory where people live, audit adds up.

Each says to audit only what it owns, and neither asks the other; audit keeps numbers, and no person for them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from services.audit import rules_small_cells, rules_statistics, store_coverage
from services.audit.contract_statistics import Coverage
from services.audit.store_coverage import Counted
from services.bus import Service, fresh_context


class Coverages(Service):
    """The daily count."""

    dossier: Any
    directory: Any

    def _count_coverage(self, at: datetime) -> None:
        """Counts the records of this day where nobody has yet, from where it was broken off.

        Two replicas at once only do some work twice: each page is added by one of them.
        """
        day = date.fromisoformat(rules_statistics.day_of(at.isoformat()))
        with self.db.transaction() as session:
            begun = store_coverage.begin(session, day, at)
        after, done = begun
        while not done:
            page = self.dossier.holders_of_records(fresh_context(), after=after)
            covered = self.directory.patients_by_commune(fresh_context(), patient_ids=page["patient_ids"])["communes"]
            until = page["next"]
            done = until is None
            everybody = self.directory.patients_by_commune(fresh_context())["communes"] if done else {}
            with self.db.transaction() as session:
                if done:
                    store_coverage.note_end(session, day, after, covered, everybody, at)
                elif not store_coverage.note_page(session, day, after, until, covered):
                    return  # another replica is ahead
            after = until


def shown(counted: Counted | None, smallest: int) -> Coverage:
    """What was counted as it may be seen: a commune's numbers stand there, all or none, beside the country's."""
    found = [] if counted is None else counted.communes
    registered, covered = sum(each.registered for each in found), sum(each.covered for each in found)
    order = rules_small_cells.order_of([each.name for each in found], b"" if counted is None else counted.salt)
    hidden = rules_small_cells.hidden_rows(
        [(each.covered, max(0, each.registered - each.covered)) for each in found], smallest, order
    )
    return {
        "day": None if counted is None else counted.day.isoformat(),
        "smallest": max(smallest, rules_small_cells.LEAST),
        "registered": registered,
        "covered": covered,
        "percent": rules_statistics.percent(covered, registered),
        "communes": [
            {"commune": each.name, "registered": None, "covered": None, "percent": None}
            if place in hidden
            else {
                "commune": each.name, "registered": each.registered, "covered": each.covered,
                "percent": rules_statistics.percent(each.covered, each.registered),
            }
            for place, each in enumerate(found)
        ],
    }  # fmt: skip
