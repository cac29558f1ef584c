"""How every call of dossier judges, answers and refuses: one decision, one trace, in the caller's transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit
from services.db import rfc3339
from services.dossier import contract, rules, store
from services.dossier.tables import tables_at
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller

SEEN_NOTED = timedelta(minutes=5)
"""How much older than their last coming a professional's may look: no write for every question."""

# The holder of a closed record is let in on no clause, to see its state.
STATE_ONLY = ("holder", "holder/state")


def judge(session: Session, caller: Caller, record_id: str, at: datetime) -> tuple[rules.Facts, contract.AccessScope]:
    """What the caller may do in the record; a professional's first ground in it is told to the holder by event."""
    facts, scope = look(session, caller, record_id, at)
    # The record's row before its events' number, as every change of its grants takes them: no two wait for each other.
    note_coming(session, facts, scope, at)
    announce_first_access(session, facts, scope, at)
    return facts, scope


def look(session: Session, caller: Caller, record_id: str, at: datetime) -> tuple[rules.Facts, contract.AccessScope]:
    """What the caller may do in the record, and nothing more: for who judges again where that `leaves_a_mark`."""
    facts = store.situation(session, caller, record_id, at)
    return facts, rules.scope(tables_at(at), facts, at)


def leaves_a_mark(facts: rules.Facts, scope: contract.AccessScope, at: datetime) -> bool:
    """Whether judging so writes anything: that somebody came, or came for the first time."""
    comes = bool(scope.clauses) and (_is_first_of_day(facts, at) or _is_seen_again(facts, at))
    return comes or rules.is_first_access(facts, scope)


def note_coming(session: Session, facts: rules.Facts, scope: contract.AccessScope, at: datetime) -> None:
    """Notes that somebody was let in: once a day for the record, every few minutes for a professional who came."""
    if not scope.clauses:
        return
    if _is_first_of_day(facts, at):
        store.note_access(session, facts.record_id, at.date())
    if facts.professional_id is not None and _is_seen_again(facts, at):
        store.note_seen(session, facts.record_id, facts.professional_id, at)


def _is_first_of_day(facts: rules.Facts, at: datetime) -> bool:
    return facts.accessed_on is None or facts.accessed_on < at.date()


def _is_seen_again(facts: rules.Facts, at: datetime) -> bool:
    return facts.seen_at is not None and facts.seen_at < at - SEEN_NOTED


def announce_first_access(session: Session, facts: rules.Facts, scope: contract.AccessScope, at: datetime) -> None:
    """One event per record and professional, whatever happens at the same time: the row decides [RGD 3(3)]."""
    if not rules.is_first_access(facts, scope) or facts.professional_id is None or facts.patient_id is None:
        return
    ground = scope.clauses[0].ground
    first = store.insert_first_access(session, facts.record_id, facts.professional_id, ground, at)
    if first is not None:
        emit(
            session,
            contract.RecordFirstAccessedBy(
                facts.record_id, facts.patient_id, facts.professional_id, ground, rfc3339(at), first
            ),
        )


def allowed(
    session: Session,
    caller: Caller,
    action: str,
    at: datetime,
    scope: contract.AccessScope,
    named: tuple[str, str] | None = None,
    **more: Any,
) -> None:
    """Traces an answer, with the ground that let the caller in: the strongest, or the one that is `named`."""
    strongest = (scope.clauses[0].ground, scope.clauses[0].rule) if scope.clauses else STATE_ONLY
    ground, rule = named or strongest
    emit(session, traced(caller, action, at=at, record_id=scope.record_id, ground=ground, rule=rule, **more))


def refused(
    session: Session, caller: Caller, action: str, at: datetime, record_id: str | None, refusal: Refusal, **more: Any
) -> Refusal:
    """Traces a refusal and hands it back to be returned: raised here, it would take its own trace back with it."""
    emit(session, traced(caller, action, at=at, record_id=record_id, outcome="refused", reason=refusal.code, **more))
    return refusal


def require_id(value: object, pointer: str) -> str:
    """An id in its one spelling. Refuses: InvalidInput."""
    id_ = rules.id_of(value)
    if id_ == contract.NOBODY:
        raise invalid(pointer, "id")
    return id_


def require_risk(accepted: object, version: object) -> None:
    """That the risk was accepted, in a wording we know. Refuses: InvalidInput."""
    if accepted is not True:
        raise invalid("/risk_accepted", "must_be_accepted")
    if not isinstance(version, str) or version not in contract.RISK_WORDINGS:
        raise invalid("/risk_version", "unknown")


def invalid(pointer: str, message: str) -> InvalidInput:
    """The refusal of one field."""
    return InvalidInput(errors=[{"pointer": pointer, "message": message}])


def mandate_shown(mandate: Any) -> dict[str, Any]:
    """A mandate as it travels; closes_at: the discharge, the validation."""
    return {
        "mandate_id": mandate.mandate_id,
        "kind": mandate.kind,
        "professional_id": mandate.professional_id,
        "establishment_id": mandate.establishment_id,
        "starts_at": rfc3339(mandate.starts_at),
        "read_until": rfc3339(mandate.read_until),
        "deposit_until": rfc3339(mandate.deposit_until),
        "ended_at": _moment(mandate.ended_at),
        "reference": mandate.reference,
        "closes_at": _moment(mandate.closes_at),
        "consent_at": _moment(mandate.consent_at),
        "reason_category": mandate.reason_category,
        "reason": mandate.reason,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
