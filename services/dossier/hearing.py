"""Who may be told of a document: of the holder side, and of the professionals who have its patient in their care.

Everybody who may read it now by the common rules, and nobody else. Of professionals those alone whose ground lasts, the
circle of trust and the referring physician: who came for a day has not asked to hear of what comes later.
"""

from __future__ import annotations

from typing import Any

from services.bus import Service, rpc_system
from services.db import now
from services.dossier import contract, rules, rules_hearing, store_hearing, store_history, store_merges
from services.dossier.contract import DocumentFacts
from services.dossier.tables import tables_at
from services.tokens import Context


class Hearing(Service):
    """The entrypoint of who may be told."""

    @rpc_system("notifications")
    def hearers_of_document(self, context: Context, *, facts: dict[str, Any]) -> contract.DocumentHearers:
        """Who may read this document now and may be told of it; nobody twice, nobody after a death.

        facts: a DocumentFacts on the wire, and record_id: the one it was deposited in. Its author is not named: they
        know. A person is named as the strongest of what lets them read. [RGD 6(3); L14 16(5), 13]
        """
        at, deposited_in = now(), rules.id_of(facts["record_id"])
        document = DocumentFacts.from_wire({name: value for name, value in facts.items() if name != "record_id"})
        with self.db.transaction(context) as session:
            record_id = store_merges.where_content_lies(session, deposited_in)
            situations = store_history.persons_of(session, record_id, at, past=False)
            situations += store_hearing.lasting_situations(session, record_id, at)
        tables, reading = tables_at(at), {}
        for each in situations:
            granted = rules.grant_of_reading(rules.scope(tables, each, at), document)
            if granted is not None:
                reading[each.own_patient_id or each.professional_id or ""] = granted[0]
        return rules_hearing.hearers(record_id, reading, document.author_id)
