"""Who stands on the holder side of a record, for whoever has to tell them something."""

from __future__ import annotations

from services.bus import Service, rpc_system
from services.db import now
from services.dossier import contract, rules, store_people
from services.dossier.tables import tables_at
from services.tokens import Context


class People(Service):
    """The entrypoints of the holder side."""

    @rpc_system("notifications")
    def people_of(self, context: Context, *, record_id: str) -> contract.RecordPeople:
        """The holder, representatives and assistants in force now, as patients of the directory; no person twice in one
        role, nobody for an unknown record or after a death.

        A representative who acts only together with the holder is one while the holder lets them [L14 14].
        """
        at = now()
        alone = [row.kind for row in tables_at(at).representative_kinds.values() if row.acts_alone]
        with self.db.reading(context) as session:
            return store_people.people_of(session, rules.id_of(record_id), alone, at)

    @rpc_system("audit")
    def holders_of(self, context: Context, *, record_ids: list[str]) -> contract.RecordHolders:
        """Whose records these are, as patients of the directory, in one call; unknown ids are left out."""
        asked = {rules.id_of(record_id) for record_id in record_ids}
        with self.db.reading(context) as session:
            return {"holders": store_people.holders_of(session, asked)}
