"""Who may write to whom: the holder side and the professionals whom it trusts for good, and professionals among them.

It is asked by notifications, which keeps the messages; each of them is written on an answer of the same moment.
"""

from __future__ import annotations

from services.bus import Service, rpc_system
from services.db import now
from services.dossier import contract, rules, store, store_correspondence, store_holders, store_merges, store_people
from services.dossier.rules_correspondence import ground_of_writing
from services.dossier.tables import tables_at
from services.tokens import Context


class Corresponding(Service):
    """The entrypoints of correspondence."""

    @rpc_system("notifications")
    def correspondence(
        self, context: Context, *, record_id: str, professional_ids: list[str] | None = None,
        patient_id: str | None = None,
    ) -> contract.Correspondence:  # fmt: skip
        """A record's holder side, and which professionals it may exchange messages with at this moment.

        professional_ids: whom to look at; None: everybody of the circle of trust, and the referring physician.
        patient_id: whose place on the holder side is asked for. Assistants have none: they read the record alone.
        Messages are no access: nobody's first one is told. [domain: Who may see what; ours]
        """
        at, asked = now(), rules.id_of(record_id)
        tables = tables_at(at)
        alone = [row.kind for row in tables.representative_kinds.values() if row.acts_alone]
        whom = None if professional_ids is None else {rules.id_of(one) for one in professional_ids}
        with self.db.transaction(context) as session:
            found = store_merges.where_content_lies(session, asked)
            record = store.record_for_correspondence(session, found)
            people = store_people.people_of(session, found, alone, at)
            situations = store_correspondence.situations_of(session, found, whom, at)
            role = speaks_id = None
            if patient_id is not None:
                speaks_id = store_holders.who_speaks_for(session, rules.id_of(patient_id))
                sides = store_correspondence.sides_of(session, rules.id_of(patient_id), alone, at)
                role = next((side.role for side in sides if side.record_id == found), None)
        grounds = {
            facts.professional_id: ground_of_writing(rules.scope(tables, facts, at))
            for facts in situations if facts.professional_id is not None
        }  # fmt: skip
        return {
            "record_id": found,
            "open": record is not None and tables.states[record.state].professionals == "everything",
            "holder": people["holder"],
            "representatives": people["representatives"],
            "autonomous_minor": record is not None and record.autonomous_minor == "yes",
            "role": role,
            "speaks_id": speaks_id,
            "professionals": {who: ground for who, ground in sorted(grounds.items()) if ground is not None},
        }

    @rpc_system("notifications")
    def sides_of(self, context: Context, *, patient_id: str) -> contract.Sides:
        """The records whose messages a patient reads now: as their holder, or as who acts for the holder.

        A closed one among them: what was written stays. Nothing is left after a death. [L14 14; ours]
        """
        at = now()
        alone = [row.kind for row in tables_at(at).representative_kinds.values() if row.acts_alone]
        with self.db.transaction(context) as session:
            sides = store_correspondence.sides_of(session, rules.id_of(patient_id), alone, at)
        return {
            "sides": [{"record_id": each.record_id, "found_in": each.found_in, "role": each.role} for each in sides]
        }

    @rpc_system("notifications")
    def practising_among(self, context: Context, *, professional_ids: list[str]) -> dict[str, list[str]]:
        """Those of these professionals who may practise now: they may write to one another."""
        asked = {rules.id_of(one) for one in professional_ids}
        with self.db.transaction(context) as session:
            return {"professional_ids": store_correspondence.practising(session, asked)}

    @rpc_system("notifications")
    def deleted_among(self, context: Context, *, record_ids: list[str]) -> dict[str, list[str]]:
        """Those of these records that are deleted by now, themselves or where they lead."""
        asked = {rules.id_of(one) for one in record_ids}
        with self.db.transaction(context) as session:
            return {"record_ids": store_correspondence.gone(session, asked)}
