"""Who may read: decisions about people who are not calling.

What `documents` asks here travels with the holder's own token, not as a system call: dossier looks once more, in the
transaction of its answer, whether the asker still is of the holder side. So an assistant whose ground ended a moment
ago learns nothing, and no fault of another service opens these answers to anybody else. The trace is written by the
service that answers the caller.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Service, rpc, rpc_system
from services.db import now, rfc3339
from services.dossier import (
    contract,
    rules,
    rules_decisions,
    rules_readable,
    rules_referring,
    rules_rights,
    store_history,
    store_readable,
    store_referring,
)
from services.dossier.answers import judge
from services.dossier.contract import DocumentFacts
from services.dossier.tables import next_tables_after, tables_at
from services.refusals import Refusal
from services.tokens import Caller, Context


class Readers(Service):
    """The entrypoints of decisions about others."""

    @rpc_system("notifications")
    def readable_at(
        self, context: Context, *, establishment_ids: list[str], documents: list[dict[str, Any]]
    ) -> contract.ReadableAt:
        """At which of these establishments somebody, working there now, may read each of these documents.

        documents: of each a DocumentFacts on the wire, and record_id: the one it was deposited in. Whoever may read in
        the record where that one leads by now is a reader. One statement, however many are asked about.
        """
        at = now()
        tables, places = tables_at(at), [rules.id_of(one) for one in establishment_ids]
        deposited_in = [rules.id_of(one["record_id"]) for one in documents]
        asked = [_facts(one) for one in documents]
        with self.db.reading(context) as session:
            found = store_readable.situations_of_places(
                session, places, set(deposited_in), at, as_contents=True,
                authors=[(home, one.author_id) for home, one in zip(deposited_in, asked, strict=True) if one.author_id],
                restricted_ids={whom for one in asked for whom in one.restricted},
            )  # fmt: skip
        scopes = {place: [(facts, rules.scope(tables, facts, at)) for facts in there] for place, there in found.items()}
        changes = next_tables_after(at)
        readable = []
        for record_id, document in zip(deposited_in, asked, strict=True):
            by_place = {
                place: rules_readable.reader_of(tables, scopes.get((record_id, place), ()), document, at)
                for place in places
            }
            readable.append({place: _told(one, changes) for place, one in by_place.items() if one is not None})
        return {"readable": readable}

    @rpc_system("notifications")
    def grounded_at(self, context: Context, *, establishment_ids: list[str], record_id: str) -> contract.GroundedAt:
        """At which of these establishments somebody, working there now, has a ground in a record.

        Of a closed one: would have one if it were not, for those are whom its closing concerns.
        """
        at, record_id = now(), rules.id_of(record_id)
        places = [rules.id_of(one) for one in establishment_ids]
        with self.db.reading(context) as session:
            found = store_readable.situations_of_places(session, places, {record_id}, at)
        grounded = {
            place
            for (_, place), there in found.items()
            if any(rules.scope(tables_at(at), rules_readable.as_if_open(facts), at).clauses for facts in there)
        }
        return {"establishment_ids": [place for place in places if place in grounded]}

    @rpc_system("documents")
    def referring_physician_of(self, context: Context, *, record_id: str, at: str) -> dict[str, str | None]:
        """Who is the record's referring physician at a moment: the one who is told of a patient block that runs on.

        at: RFC 3339, with its zone. [L14 16(5)]
        """
        moment = datetime.fromisoformat(at)
        with self.db.transaction(context) as session:
            designations = store_referring.designations(session, rules.id_of(record_id))
        current = rules_referring.current(designations, moment)
        return {"professional_id": None if current is None else current.professional_id}

    @rpc(processes=("documents",))
    def readers_of_document(
        self, caller: Caller, *, record_id: str, facts: dict[str, Any], at: str | None = None
    ) -> dict[str, list[contract.Reader]] | Refusal:
        """Everybody who may read this document, or could at a past moment: exactly those whom a decision lets read.

        facts: a DocumentFacts on the wire, as the document was then. at: RFC 3339, None for now. Writes no trace.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed, InvalidInput.
        """
        present, record_id = now(), rules.id_of(record_id)
        moment = rules_rights.asked_moment(at, present)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, present)
            refusal = rules.require_holder_action(tables_at(present), scope, "rights")
            if refusal is not None:
                return refusal
            readers = _readers(session, record_id, rules_rights.asked_document(facts), moment, past=moment < present)
        return {"readers": readers}

    @rpc(processes=("documents",))
    def scope_of(
        self, caller: Caller, *, record_id: str, professional_id: str, at: str | None = None
    ) -> dict[str, Any] | Refusal:
        """The access scope of a professional, wherever they work, now or at a past moment, as an `AccessScope`.

        "Show me my record as Dr X sees it": the asker still sees only what the asker may see. Writes no trace.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed, InvalidInput.
        """
        present, record_id, professional_id = now(), rules.id_of(record_id), rules.id_of(professional_id)
        moment = rules_rights.asked_moment(at, present)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, present)
            refusal = rules.require_holder_action(tables_at(present), scope, "rights")
            if refusal is not None:
                return refusal
            asked = store_history.situation_of(session, record_id, professional_id, moment, past=moment < present)
        return rules.scope(tables_at(moment), asked, moment).to_wire()


def _facts(wire: dict[str, Any]) -> DocumentFacts:
    return DocumentFacts.from_wire({name: value for name, value in wire.items() if name != "record_id"})


def _told(reader: rules_readable.Reader, tables_change: datetime | None) -> contract.ReadableThrough:
    until = rules_readable.sooner(reader.until, tables_change)
    return {"professional_id": reader.professional_id, "until": None if until is None else rfc3339(until)}


def _readers(
    session: Session, record_id: str, document: DocumentFacts, moment: datetime, *, past: bool
) -> list[contract.Reader]:
    everybody = store_history.persons_of(session, record_id, moment, past=past)
    everybody += store_history.situations_of_everybody(session, record_id, document.author_id, moment, past=past)
    read = (_reader(facts, document, moment) for facts in everybody)
    return [reader for reader in read if reader is not None]


def _reader(facts: rules.Facts, document: DocumentFacts, moment: datetime) -> contract.Reader | None:
    tables = tables_at(moment)
    decision = rules_decisions.decide(tables, facts, document, "read", moment)
    if decision.ground is None:
        return None
    until = rules_decisions.ends(tables, facts, decision, moment)
    given_to = {
        grant.establishment_id for grant in rules_decisions.grants_giving(tables, facts, decision.clause, moment)
    }
    return {
        "professional_id": facts.professional_id,
        "patient_id": facts.own_patient_id if facts.capacity == "patient" else None,
        "establishment_id": None if None in given_to else next(iter(sorted(filter(None, given_to))), None),
        "ground": decision.ground,
        "rule": decision.rule,
        "until": None if until is None else rfc3339(until),
    }
