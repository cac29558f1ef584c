"""Who dispenses at all, whatever record it is about."""

from __future__ import annotations

from services.bus import Service, rpc
from services.db import now
from services.dossier import rules, store
from services.dossier.contract import NOBODY
from services.dossier.rules_tables import dispenses
from services.dossier.tables import tables_at
from services.tokens import Caller


class Dispensing(Service):
    """The entrypoint of those who dispense."""

    @rpc(processes=("documents",))
    def may_dispense(self, caller: Caller) -> dict[str, bool]:
        """Whether the caller has a valid licence in a profession that dispenses (`may`); of no record.

        Leaves no trace: who asks does [domain, Documents: eDocuments; RGD Annex 1].
        """
        at = now()
        with self.db.transaction(caller) as session:
            facts = store.situation(session, caller, NOBODY, at)
        tables, column = tables_at(at), rules.column_of("presence", facts.profession)
        practises = facts.capacity == "professional" and rules.may_practise(facts)
        return {"may": practises and column is not None and dispenses(tables.matrix, tables.narrowings, column)}
