"""Establishments: practices, hospitals, laboratories, pharmacies and care networks."""

from services.bus import rpc
from services.db import new_id, now, once, remember
from services.directory import (
    rules,
    rules_sheets,
    store_establishments,
)
from services.directory.desk import Desk
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Establishments(Desk):
    """The entrypoints of establishments."""

    @rpc
    def register_establishment(self, caller: Caller, *, name: str, kind: str) -> dict[str, str] | Refusal:
        """Registers an establishment.

        Names do not tell establishments apart, and sharing one by mistake would share what its professionals may
        read: only the Idempotency-Key makes a repeat harmless.
        Refuses: NotAllowed (no agent), InvalidInput. [domain, Directories]
        """
        given = {"name": name, "kind": kind}
        with self.db.transaction(caller) as session:
            if not rules.may_register(caller.capacity):
                return self._refused(session, caller, "establishment.registered", NotAllowed())
            answered = once(session, caller, "register_establishment", given)
            if answered:
                return answered
            sheet = rules_sheets.require_establishment_sheet(given)
            establishment_id = new_id()
            store_establishments.insert_establishment(session, establishment_id, sheet, caller, now())
            self._traced(session, caller, "establishment.registered", establishment_id)
            return remember(session, caller, "register_establishment", given, {"establishment_id": establishment_id})
