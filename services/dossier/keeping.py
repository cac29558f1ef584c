"""What documents asks of dossier about the end of documents: who consented to longer keeping, and who may export.

As system calls, traced by nobody here: the first is asked by a timer, the second by documents for whoever exports, who
came with a token of their own and may still be reading when that is over.
"""

from __future__ import annotations

from typing import Any

from services.bus import Service, rpc_system
from services.db import now
from services.dossier import contract, rules, rules_keeping, store_holders, store_life, store_settings
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller, Context

EXPORT = "export"  # the row of holder_actions.csv


class Keeping(Service):
    """The entrypoints of longer keeping and of exports."""

    @rpc_system("documents")
    def kept_longer(self, context: Context, *, record_ids: list[str]) -> dict[str, list[str]]:
        """Those of these records whose holder's dated consent to longer keeping stands [RGD 9(5)]."""
        asked = [rules.id_of(record_id) for record_id in record_ids]
        with self.db.transaction(context) as session:
            return {"record_ids": store_settings.with_value(session, asked, "longer_keeping", "yes")}

    @rpc_system("documents")
    def export_scope(
        self, context: Context, *, record_id: str, capacity: str, patient_id: str | None = None,
        role: str | None = None,
    ) -> dict[str, Any] | Refusal:  # fmt: skip
        """What may be exported of a record, as an `AccessScope`: to its holder side, or after a death to an officer.

        capacity, patient_id, role: of who exports, as their session says.
        Refuses: RecordNotFound, RecordClosed (to the holder side alone), NotAllowed.
        [domain: Life of a record; holder_actions.csv]
        """
        at, record_id = now(), rules.id_of(record_id)
        tables = tables_at(at)
        with self.db.transaction(context) as session:
            if capacity == "agent":
                life = store_life.life(session, record_id)
                refusal = rules_keeping.require_officer(life, role)
                if refusal is not None or life is None:
                    return refusal or contract.RecordNotFound()
                return rules_keeping.scope_of_relatives(tables, life).to_wire()
            if capacity != "patient" or patient_id is None:
                return contract.RecordNotFound()
            who = Caller("", "", capacity, patient_id, None, None, None, None, 0, context)
            scope = rules.scope(tables, store_holders.situation_of_holder(session, who, record_id), at)
        return rules.require_holder_action(tables, scope, EXPORT) or scope.to_wire()
