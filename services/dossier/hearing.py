"""Who may be told of a document: of the holder side, and of the professionals who have its patient in their care.

Everybody who may read it now by the common rules, and nobody else. Of professionals those alone whose ground lasts, the
circle of trust and the referring physician: who came for a day has not asked to hear of what comes later.
"""

from __future__ import annotations

from typing import Any

from services.bus import Service, rpc_system
from services.db import now
from services.dossier import contract, rules, rules_hearing, store_hearing, store_history, store_readable
from services.dossier.contract import DocumentFacts
from services.dossier.tables import tables_at
from services.tokens import Context


class Hearing(Service):
    """The entrypoint of who may be told."""

    @rpc_system("notifications")
    def hearers_of_documents(self, context: Context, *, documents: list[dict[str, Any]]) -> contract.HearersOfDocuments:
        """Of each of these documents who may read it now and may be told of it; nobody twice, nobody after a death.

        documents: of each a DocumentFacts on the wire, and record_id: the one it was deposited in. Its author is not
        named: they know. A person is named as the strongest of what lets them read. However many documents of a record
        are asked about, its people are looked up once. [RGD 6(3); L14 16(5), 13]
        """
        at = now()
        deposited_in = [rules.id_of(one["record_id"]) for one in documents]
        asked = [DocumentFacts.from_wire({n: v for n, v in one.items() if n != "record_id"}) for one in documents]
        tables, people = tables_at(at), {}
        with self.db.reading(context) as session:
            ways = store_readable.where_contents_lie(session, set(deposited_in))
            lie_in = [ways.get(record_id, record_id) for record_id in deposited_in]
            for record_id in sorted(set(lie_in)):
                situations = store_history.persons_of(session, record_id, at, past=False)
                situations += store_hearing.lasting_situations(session, record_id, at)
                people[record_id] = [(facts, rules.scope(tables, facts, at)) for facts in situations]
        return {
            "hearers": [
                rules_hearing.hearers(record_id, people[record_id], document)
                for record_id, document in zip(lie_in, asked, strict=True)
            ]
        }
