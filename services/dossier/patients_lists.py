"""A professional's own lists: "Mes patients" and "Mes derniers dossiers" [seed 000].

To be listed is no access: nobody is told of a first one. What a ground lets in stands in a list, and nothing else: a
block, a closed record and the lack of a ground are the same absence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import now, rfc3339
from services.dossier import contract, rules_patients_lists, store_patients_lists
from services.dossier.answers import invalid, refused
from services.dossier.store_patients_lists import Place
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

LISTED = "patient.listed"

Query = Callable[..., Sequence[Any]]


class PatientsLists(Service):
    """The entrypoints of a professional's lists."""

    @rpc(scope="system/Patient.rs")
    def my_patients(
        self, caller: Caller, *, limit: int = 50, cursor: str | None = None
    ) -> contract.ListedPatients | Refusal:
        """The records in which a ground of the caller's runs now, or one of the establishment they are logged in at.

        The latest ground first; of several in a record the strongest is named. `since`: when it began.
        Refuses: NotAllowed (professionals only), InvalidInput (limit, cursor). [seed 000, Mes patients]
        """
        return self._listed(caller, store_patients_lists.my_patients, limit, cursor)

    @rpc(scope="system/Patient.rs")
    def latest_records(
        self, caller: Caller, *, limit: int = 50, cursor: str | None = None
    ) -> contract.ListedPatients | Refusal:
        """Of the records in which a ground lets the caller in now, those they have been in, the last one first.

        `since`: about when they last came. Refuses: NotAllowed (professionals only), InvalidInput (limit, cursor).
        [seed 000, Mes derniers dossiers]
        """
        return self._listed(caller, store_patients_lists.latest_records, limit, cursor)

    def _listed(self, caller: Caller, query: Query, limit: object, cursor: object) -> contract.ListedPatients | Refusal:
        at = now()
        place = rules_patients_lists.from_cursor(cursor)
        if cursor is not None and place is None:
            raise invalid("/cursor", "cursor")
        if not rules_patients_lists.is_page_limit(limit) or not isinstance(limit, int):
            raise invalid("/limit", "range")
        with self.db.transaction(caller) as session:
            if caller.capacity != "professional" or caller.professional_id is None:
                return refused(session, caller, LISTED, at, None, NotAllowed())
            given = rules_patients_lists.giving(tables_at(at), caller.profession)
            rows = query(session, caller, given, place and Place(*place), limit + 1, at)
            shown = rows[:limit]
            emit(session, traced(caller, LISTED, at=at, count=len(shown)))
        more = len(rows) > limit
        return {
            "patients": [_line(row) for row in shown],
            "next_cursor": rules_patients_lists.to_cursor(shown[-1].since, shown[-1].record_id) if more else None,
        }


def _line(row: Any) -> contract.ListedPatient:
    return {
        "record_id": row.record_id,
        "patient_id": row.patient_id,
        "ground": row.ground,
        "since": rfc3339(row.since),
        "until": None if row.until is None else rfc3339(row.until),
    }
