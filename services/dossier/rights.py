"""Rights made plain: what I may do here, why somebody may or may not, who holds a ground, how to ask for one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import now, rfc3339
from services.dossier import contract, rules, rules_decisions, rules_rights, store_history, store_rights
from services.dossier.answers import allowed, judge, refused
from services.dossier.contract import AccessScope, DocumentFacts, RecordNotFound
from services.dossier.rules import Facts
from services.dossier.rules_own_access import may_ask
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

READ, EXPLAINED, SEARCHED, OPTIONS = "rights.read", "rights.explained", "rights.searched", "access_options.read"
HOLDER_ACTION = "rights"  # the row of holder_actions.csv


class Rights(Service):
    """The entrypoints of rights made plain."""

    @rpc
    def my_rights(self, caller: Caller, *, record_id: str) -> dict[str, list[contract.OwnClause]] | Refusal:
        """What the caller may do in this record now, ground by ground, the strongest first.

        Refuses: RecordNotFound (also to who has nothing but authorship), RecordClosed (to the holder alone).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            facts, scope = judge(session, caller, record_id, at)
            refusal = rules.require_open_ground(scope)
            if refusal is not None:
                return refused(session, caller, READ, at, record_id, refusal)
            allowed(session, caller, READ, at, scope, count=len(scope.clauses))
        return {"rights": [_own(facts, clause, at) for clause in scope.clauses]}

    @rpc
    def rights_given(self, caller: Caller, *, record_id: str) -> dict[str, list[contract.GivenRight]] | Refusal:
        """Everybody who holds a ground that gives something in this record now, the latest given first.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed. [seed 002, Droits]
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            facts, scope = judge(session, caller, record_id, at)
            refusal = rules.require_holder_action(tables_at(at), scope, HOLDER_ACTION)
            if refusal is not None:
                return refused(session, caller, SEARCHED, at, record_id, refusal)
            given = [each for each in store_rights.given(session, record_id, at) if _gives(each, facts, at)]
            _traced(session, caller, SEARCHED, at, scope, count=len(given))
        return {"rights": [_given(each) for each in given]}

    @rpc
    def explain(
        self, caller: Caller, *, record_id: str, who: str | dict[str, Any], document: dict[str, Any], action: str,
        moment: str | None = None,
    ) -> contract.Explanation | Refusal:  # fmt: skip
        """Whether somebody may read, deposit or change the level of documents of a kind, and the rule that decides it.

        who: "me", {"professional_id": …} or {"patient_id": …}: the holder side may ask about anyone, a professional
        about themself alone, who is told of a block or of a closed record as of the lack of a ground.
        document: category, level and, where they are known, type and folder. moment: one that has passed, None for now.
        Refuses: RecordNotFound, RecordClosed (to the holder alone), InvalidInput. [domain: Who may see what]
        """
        present, record_id = now(), rules.id_of(record_id)
        kind = rules_rights.asked_document({name: document.get(name, "") for name in _OF_KIND})
        asked = _Asked(who, kind, action, moment, present)
        with self.db.transaction(caller) as session:
            scope, answer = _explain(session, caller, record_id, asked)
            about = {"object_id": asked.professional_id or asked.patient_id, "object_type": asked.kind}
            if isinstance(answer, Refusal):
                return refused(session, caller, EXPLAINED, present, record_id, answer, **about)
            _traced(session, caller, EXPLAINED, present, scope, **about)
        return answer

    @rpc(processes=("documents",))
    def explain_document(
        self, caller: Caller, *, record_id: str, who: str | dict[str, Any], document: dict[str, Any], action: str,
        moment: str | None = None,
    ) -> contract.Explanation | Refusal:  # fmt: skip
        """The same of one document that the caller sees; documents, which answers the caller, writes the trace.

        document: a DocumentFacts on the wire, as it was at that moment.
        Refuses: RecordNotFound, RecordClosed (to the holder alone), InvalidInput.
        """
        asked = _Asked(who, rules_rights.asked_document(document), action, moment, now())
        with self.db.transaction(caller) as session:
            return _explain(session, caller, rules.id_of(record_id), asked)[1]

    @rpc
    def access_options(self, caller: Caller, *, record_id: str) -> dict[str, list[contract.AccessOption]] | Refusal:
        """The ways in which this professional may ask for access to a record.

        They depend on the caller alone: the record is not looked at, so an unknown, a closed and a blocked one have the
        same answer as one without a ground, made in the same way.
        Refuses: NotAllowed (professionals only). [domain: Pages, Professional]
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            if caller.capacity != "professional" or caller.professional_id is None:
                return refused(session, caller, OPTIONS, at, record_id, NotAllowed())
            asking = store_rights.asking(session, caller.professional_id, caller.establishment_id)
            options = rules_rights.ways_to_ask(
                asking.profession, asking.licence, caller.profession,
                {kind: may_ask(tables_at(at), kind, asking.profession, bool(asking.attached)) for kind in _OWN_WORD},
            )  # fmt: skip
            emit(session, traced(caller, OPTIONS, at=at, record_id=record_id, count=len(options)))
        return {"options": [{"option": option, "text": f"access_options.{option}"} for option in options]}


_OF_KIND = ("category", "type", "folder", "level")
_OWN_WORD = ("emergency", "responsibility")


class _Asked:
    """What is asked for an explanation, checked. Refuses: InvalidInput."""

    def __init__(self, who: object, document: DocumentFacts, action: object, moment: object, present: datetime) -> None:
        self.professional_id, self.patient_id = rules_rights.asked_who(who)
        self.document = document
        self.action = rules_rights.asked_action(action)
        self.moment = rules_rights.asked_moment(moment, present)
        self.present = present

    @property
    def past(self) -> bool:
        return self.moment < self.present

    @property
    def kind(self) -> str | None:
        """What somebody else who is asked about is."""
        return "professional" if self.professional_id else "patient" if self.patient_id else None


def _explain(
    session: Session, caller: Caller, record_id: str, asked: _Asked
) -> tuple[AccessScope, contract.Explanation | Refusal]:
    facts, scope = judge(session, caller, record_id, asked.present)
    refusal = _may_not_ask(scope, caller, asked)
    if refusal is not None:
        return scope, refusal
    asked_about = _situation(session, caller, facts, asked)
    tables = tables_at(asked.moment)
    decision = rules_decisions.decide(tables, asked_about, asked.document, asked.action, asked.moment)
    if not scope.holder_side:
        asks = (asked.document, asked.action, asked.moment)
        decision = rules_decisions.told_to_themself(tables, asked_about, decision, *asks, past=asked.past)
    until = rules_decisions.ends(tables, asked_about, decision, asked.moment)
    return scope, {
        "allowed": decision.allowed,
        "ground": decision.ground,
        "rule": decision.rule,
        "step": decision.step,
        "remedies": list(decision.remedies),
        "until": None if until is None else rfc3339(until),
    }


def _may_not_ask(scope: AccessScope, caller: Caller, asked: _Asked) -> Refusal | None:
    """Who has no ground learns nothing, not even why; who reads one document as its author may ask about that one."""
    if scope.holder_side:
        return rules.require_holder_action(tables_at(asked.present), scope, HOLDER_ACTION)
    if asked.patient_id is not None or asked.professional_id not in (None, caller.professional_id):
        return RecordNotFound()
    lets_in = scope.clauses or rules.grant_of_reading(scope, asked.document)
    return None if lets_in else RecordNotFound()


def _situation(session: Session, caller: Caller, facts: Facts, asked: _Asked) -> Facts:
    """The situation of who is asked about: the caller's own as it was judged, or another's, or what it was then."""
    person_id = asked.patient_id
    if person_id is None and asked.professional_id in (None, caller.professional_id) and not asked.past:
        return facts
    if asked.professional_id is None and facts.capacity == "patient":
        return store_history.person_at(session, facts, person_id or facts.own_patient_id, asked.moment, past=asked.past)
    professional_id = asked.professional_id or facts.professional_id or contract.NOBODY
    return store_history.situation_of(session, facts.record_id, professional_id, asked.moment, past=asked.past)


def _traced(session: Session, caller: Caller, action: str, at: datetime, scope: AccessScope, **more: Any) -> None:
    clause = rules.acting_clause(tables_at(at), scope, HOLDER_ACTION)
    named = None if clause is None else (clause.ground, clause.rule)
    if named is None and not scope.clauses:
        named = ("author", contract.AUTHOR_RULE)
    allowed(session, caller, action, at, scope, named=named, **more)


def _own(facts: Facts, clause: contract.Clause, at: datetime) -> contract.OwnClause:
    decision = rules_decisions.Decision(True, clause.ground, clause.rule, clause=clause)
    until = rules_decisions.ends(tables_at(at), facts, decision, at)
    return {
        "ground": clause.ground,
        "rule": clause.rule,
        "levels": list(clause.levels),
        "read": list(clause.read),
        "deposit": list(clause.deposit),
        "folders": None if clause.folders is None else list(clause.folders),
        "deposit_types": None if clause.deposit_types is None else list(clause.deposit_types),
        "until": None if until is None else rfc3339(until),
    }


def _gives(given: store_rights.Given, caller: Facts, at: datetime) -> bool:
    """Whether a ground that runs gives something; of an establishment's, to whoever works there."""
    tables = tables_at(at)
    if given.facts is not None:
        return bool(rules.scope(tables, given.facts, at).clauses)
    return given.grant.since <= at and tables.states[str(caller.state)].professionals == "everything"


def _given(given: store_rights.Given) -> contract.GivenRight:
    read_until, deposit_until = given.grant.read_until, given.grant.deposit_until
    return {
        "ground": given.grant.ground,
        "grant_id": given.grant_id,
        "professional_id": given.professional_id,
        "patient_id": given.patient_id,
        "establishment_id": given.grant.establishment_id,
        "since": rfc3339(given.grant.since),
        "read_until": None if read_until is None else rfc3339(read_until),
        "deposit_until": None if deposit_until is None else rfc3339(deposit_until),
    }
