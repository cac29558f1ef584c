"""Whose records are there, for whoever counts them: ids alone, and a page at a time."""

from __future__ import annotations

from services.bus import Service, rpc_system
from services.dossier import contract, rules, store_people
from services.tokens import Context


class Holders(Service):
    """The entrypoint of the count of records."""

    @rpc_system("audit")
    def holders_of_records(self, context: Context, *, after: str | None = None) -> contract.HoldersOfRecords:
        """The patients whose records are neither closed nor deleted, in the order of the records' ids.

        after: `next` of the page before. A record that leads to another one since two patients were merged is closed.
        """
        with self.db.transaction(context) as session:
            found = store_people.holders(session, rules.id_of(after) if after else None, contract.HOLDERS_PAGE + 1)
        page = found[: contract.HOLDERS_PAGE]
        more = len(found) > contract.HOLDERS_PAGE
        return {"patient_ids": [row.patient_id for row in page], "next": page[-1].record_id if more else None}
