"""The privacy officer's search among the entries of all records."""

from __future__ import annotations

from typing import Final

from services.audit import rules_oversight, rules_search, store_archive, store_oversight, store_search
from services.audit.archiving import bring_back
from services.audit.contract import ACTIONS, traced
from services.audit.contract_oversight import EntriesFound
from services.audit.oversight import refused
from services.bus import Service, emit, rpc
from services.db import now
from services.dossier.contract import GROUNDS
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

SEARCHED: Final = "log.searched"
_KNOWN: Final = {
    "action": ACTIONS, "ground": frozenset(GROUNDS), "outcome": frozenset(rules_search.OUTCOMES)
}  # fmt: skip


class EntrySearch(Service):
    """The entrypoint of the search."""

    @rpc
    def search_entries(
        self, caller: Caller, *, since: str, until: str, professional_id: str | None = None,
        patient_id: str | None = None, account_id: str | None = None, establishment_id: str | None = None,
        record_id: str | None = None, action: str | None = None, ground: str | None = None, outcome: str | None = None,
        limit: int = 50, cursor: str | None = None,
    ) -> EntriesFound | Refusal:  # fmt: skip
        """Entries of all records, newest first, by who acted, where, on which record, what, on what ground.

        since, until: the first and the last day. patient_id: of who acted as a patient. Where no record is named, a
        page looks through SEARCH_DAYS at most: it may hold few entries, or none, and there be more behind it.
        Of years in the archive it finds what is of the record that is named; without one, `archived_years` says which
        years it did not look through.
        The search leaves one trace, in the history of the record that is named; it names whom else was looked for.
        Refuses: NotAllowed (privacy officers only), InvalidInput.
        """
        ids = {
            "professional_id": professional_id, "patient_id": patient_id, "account_id": account_id,
            "establishment_id": establishment_id, "record_id": record_id,
        }  # fmt: skip
        words = {"action": action, "ground": ground, "outcome": outcome}
        asked = rules_search.require_search(since, until, limit, cursor, {**ids}, {**words}, _KNOWN)
        with self.db.transaction(caller) as session:
            if not rules_oversight.may_oversee(caller.capacity, caller.role):
                return refused(session, caller, SEARCHED, NotAllowed())
            if asked.record_id is not None:
                bring_back(session, asked.record_id)
            archived = [] if asked.record_id is not None else store_archive.years(session)
            found = store_search.entries(session, asked)
            page = found[: asked.limit]
            kind, person_id = asked.person or (None, None)
            emit(session, traced(
                caller, SEARCHED, at=now(), record_id=asked.record_id, object_id=person_id, object_type=kind,
                count=len(page),
            ))  # fmt: skip
        last = (page[-1].at, page[-1].trace_id) if len(found) > asked.limit else None
        return {
            "entries": [entry for row in page if (entry := store_oversight.whole(row)) is not None],
            "next_cursor": asked.next_cursor(last),
            "archived_years": archived,
        }
