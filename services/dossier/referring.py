"""The referring physician: proposed by either side, signed by both, notified to the health fund, ended [RGD 9(4)]."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Service, emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.dossier import (
    contract,
    referring_steps,
    rules,
    rules_referring,
    store,
    store_blocklist,
    store_professionals,
    store_referring,
)
from services.dossier.answers import allowed, invalid, judge, refused, require_id
from services.dossier.rules_referring import HOLDER, PHYSICIAN, Designation, Ending
from services.dossier.rules_representatives import require_end
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller

ROW = "referring_physician"
ASKED = ("referring_physician", "referring_physician/asked")
"""What lets a physician without any other ground look at, sign and leave what they were asked for."""


@dataclass(frozen=True)
class Seen:
    """A record's designations, in the eyes of one of those concerned."""

    side: str
    facts: rules.Facts
    scope: contract.AccessScope
    designations: list[Designation]

    def of(self, designation_id: str) -> Designation | None:
        return next((one for one in self.designations if one.designation_id == designation_id), None)


class Referring(Service):
    """The entrypoints of the referring physician."""

    @rpc
    def referring_physician(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """Who is the referring physician, and the designations of those concerned.

        `current` for everybody who reads in the record (care context); all designations for the holder side, their own
        for a physician, who needs no other ground to see what the holder asked them.
        Refuses: RecordNotFound, RecordClosed (to the holder side alone).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            facts, scope = judge(session, caller, record_id, at)
            all_ = store_referring.designations(session, record_id)
            shown = all_ if scope.holder_side else _own(facts, all_, at)
            context = rules.require_care_context(scope)
            refusal = None if shown and not scope.holder_side else context
            if refusal is not None:
                return refused(session, caller, "referring.read", at, record_id, refusal)
            named = None if scope.clauses else ASKED
            allowed(session, caller, "referring.read", at, scope, named, count=len(shown))
        current = rules_referring.current(all_, at) if context is None else None
        return {
            "current": None if current is None else _current(current, all_),
            "designations": [_shown(one, at) for one in shown],
        }

    @rpc
    def propose_referring_physician(
        self,
        caller: Caller,
        *,
        record_id: str,
        professional_id: str | None = None,
        replaces_id: str | None = None,
        until: str | None = None,
    ) -> dict[str, Any] | Refusal:
        """Proposes a physician and signs for one's own side; what the other side proposed already is signed by it.

        By the holder side, or by a physician who has a reading ground, for themselves. Without effect until both have
        signed and the health fund has its notice.
        replaces_id, until: of a replacement, the designation it stands in for, and until when, twelve months at most.
        Refuses: RecordNotFound, RecordClosed, NotAllowed, ProfessionalNotFound, NotAPhysician, ProfessionalBlocked (to
        the holder side alone), DesignationNotFound, InvalidInput. [RGD 9(4)]
        """
        at, record_id = now(), rules.id_of(record_id)
        whose = caller.professional_id if professional_id is None else require_id(professional_id, "/professional_id")
        if whose is None:
            raise invalid("/professional_id", "required")
        replaced = None if replaces_id is None else rules.id_of(replaces_id)
        ends_at = require_end(until, "/until", at)
        rules_referring.require_until(replaced, ends_at, at)
        given = {"record_id": record_id, "professional_id": whose, "replaces_id": replaced, "until": until}
        with self.db.transaction(caller) as session:
            answered: dict[str, Any] | None = once(session, caller, "propose_referring_physician", given)
            if answered is not None:
                return answered
            seen = _seen(session, caller, record_id, at)
            refusal = _refusal_of_proposal(session, caller, seen, record_id, whose, replaced, at)
            if refusal is not None:
                return refused(session, caller, "referring.proposed", at, record_id, refusal, object_id=whose)
            one, created = _propose(session, seen, record_id, whose, replaced, ends_at, at)
            _did(session, caller, "referring.proposed", seen, one, at)
            answer = {**_shown(one, at), "created": created}
            return remember(session, caller, "propose_referring_physician", given, answer)  # type: ignore[no-any-return]

    @rpc
    def sign_referring_physician(
        self, caller: Caller, *, record_id: str, designation_id: str
    ) -> dict[str, Any] | Refusal:  # fmt: skip
        """Signs a designation for one's own side; who has signed has signed.

        Refuses: RecordNotFound, RecordClosed, NotAllowed, DesignationNotFound, DesignationOver, ProfessionalBlocked.
        """
        at, record_id, designation_id = now(), rules.id_of(record_id), rules.id_of(designation_id)
        with self.db.transaction(caller) as session:
            seen, one, refusal = _concerned(session, caller, record_id, designation_id, at)
            if one is not None and rules_referring.is_over(one, at):
                refusal = contract.DesignationOver()
            elif one is not None and seen.side == HOLDER and _barred(session, record_id, one.professional_id, at):
                refusal = contract.ProfessionalBlocked()
            if one is None or refusal is not None:
                refusal = refusal or contract.DesignationNotFound()
                return refused(session, caller, "referring.signed", at, record_id, refusal, object_id=designation_id)
            store_referring.put_signature(session, designation_id, seen.side, at)
            _did(session, caller, "referring.signed", seen, one, at)
            return _shown(rules_referring.signed(one, seen.side, at), at)

    @rpc
    def notify_referring_physician(
        self, caller: Caller, *, record_id: str, designation_id: str
    ) -> dict[str, Any] | Refusal:  # fmt: skip
        """The physician gives notice to the health fund: the designation takes effect on the 1st of the month after,
        and whoever was the referring physician until then ends at that moment.

        Refuses: RecordNotFound, RecordClosed, NotAllowed (the holder side), DesignationNotFound, DesignationNotSigned,
        DesignationOver, DesignationPending. [RGD 9(4)]
        """
        at, record_id, designation_id = now(), rules.id_of(record_id), rules.id_of(designation_id)
        with self.db.transaction(caller) as session:
            seen, one, refusal = _concerned(session, caller, record_id, designation_id, at)
            if one is not None and seen.side == HOLDER:
                refusal = NotAllowed()
            elif one is not None and one.effective_at is None:
                refusal = rules_referring.require_notice(one, seen.designations, at)
            if one is None or refusal is not None:
                refusal = refusal or contract.DesignationNotFound()
                return refused(session, caller, "referring.notified", at, record_id, refusal, object_id=designation_id)
            if one.effective_at is None:
                one = rules_referring.notified(one, at)
                store_referring.put_notice(session, record_id, one)
                _end_predecessors(session, seen, record_id, one, at)
            _did(session, caller, "referring.notified", seen, one, at)
            return _shown(one, at)

    @rpc
    def end_referring_physician(
        self, caller: Caller, *, record_id: str, designation_id: str, cause: str = "notice"
    ) -> dict[str, Any] | Refusal:
        """Asks for the end of a designation, by either side.

        cause: notice (in the first year it ends when both sides have asked, later two months after) or refusal (the
        physician goes on no longer: the 1st of the following month). What was not notified comes to nothing at once.
        Refuses: RecordNotFound, RecordClosed, NotAllowed, DesignationNotFound, DesignationOver, InvalidInput.
        [RGD 9(4)]
        """
        at, record_id, designation_id = now(), rules.id_of(record_id), rules.id_of(designation_id)
        if cause not in contract.DESIGNATION_ENDS:
            raise invalid("/cause", "choice")
        given = {"record_id": record_id, "designation_id": designation_id, "cause": cause}
        with self.db.transaction(caller) as session:
            answered: dict[str, Any] | None = once(session, caller, "end_referring_physician", given)
            if answered is not None:
                return answered
            seen, one, refusal = _concerned(session, caller, record_id, designation_id, at)
            ending: Ending | Refusal | None = None
            if one is not None:
                ending = rules_referring.ending(one, seen.side, cause, at)
                refusal = ending if isinstance(ending, Refusal) else None
            if one is None or not isinstance(ending, Ending):
                refusal = refusal or contract.DesignationNotFound()
                return refused(session, caller, "referring.ended", at, record_id, refusal, object_id=designation_id)
            one = _end(session, caller, seen, record_id, one, ending, at)
            _did(session, caller, "referring.ended", seen, one, at)
            return remember(session, caller, "end_referring_physician", given, _shown(one, at))  # type: ignore[no-any-return]


# --- who is concerned -------------------------------------------------------------------------------------------------


def _seen(session: Session, caller: Caller, record_id: str, at: datetime) -> Seen:
    """The record held, the caller judged, the designations as they stand."""
    store.lock_record(session, record_id)
    facts, scope = judge(session, caller, record_id, at)
    side = PHYSICIAN if caller.capacity == "professional" else HOLDER
    return Seen(side, facts, scope, store_referring.designations(session, record_id))


def _concerned(
    session: Session, caller: Caller, record_id: str, designation_id: str, at: datetime
) -> tuple[Seen, Designation | None, Refusal | None]:
    """A designation in the hands of one of its two sides; None and why for anybody else."""
    seen = _seen(session, caller, record_id, at)
    if seen.side == HOLDER:
        refusal = rules.require_holder_action(tables_at(at), seen.scope, ROW)
        return seen, None if refusal else seen.of(designation_id), refusal
    own = [one for one in _own(seen.facts, seen.designations, at) if one.designation_id == designation_id]
    refusal = None if own else rules.require_open_ground(seen.scope)
    return seen, own[0] if own else None, refusal


def _own(facts: rules.Facts, all_: list[Designation], at: datetime) -> list[Designation]:
    """The designations that a physician is asked about."""
    if not rules_referring.may_be_asked(tables_at(at), facts):
        return []
    return [one for one in all_ if one.professional_id == facts.professional_id]


def _barred(session: Session, record_id: str, professional_id: str, at: datetime) -> bool:
    return store_blocklist.is_barred(session, record_id, professional_id, at)


# --- proposing --------------------------------------------------------------------------------------------------------


def _refusal_of_proposal(
    session: Session, caller: Caller, seen: Seen, record_id: str, whose: str, replaced: str | None, at: datetime
) -> Refusal | None:
    if seen.side == HOLDER:
        refusal = rules.require_holder_action(tables_at(at), seen.scope, ROW)
        if refusal is not None:
            return refusal
        profession = store_professionals.profession_of(session, whose)
        if profession is None:
            return contract.ProfessionalNotFound()
        if not rules_referring.is_physician(profession):
            return contract.NotAPhysician()
        if _barred(session, record_id, whose, at):
            return contract.ProfessionalBlocked()
    else:
        hidden = rules.require_open_ground(seen.scope)
        if hidden is not None:
            return hidden
        if not rules_referring.is_physician(seen.facts.profession):
            return contract.NotAPhysician()
        if whose != caller.professional_id or not rules_referring.may_propose(seen.scope, seen.facts):
            return NotAllowed()
    if replaced is not None and not rules_referring.may_be_replaced(seen.of(replaced), whose, at):
        return contract.DesignationNotFound()
    return None


def _propose(
    session: Session,
    seen: Seen,
    record_id: str,
    whose: str,
    replaced: str | None,
    ends_at: datetime | None,
    at: datetime,
) -> tuple[Designation, bool]:
    """The designation that both sides may sign: the one there is, else a new one."""
    known = rules_referring.proposed_already(seen.designations, whose, replaced, at)
    if known is not None:
        store_referring.put_signature(session, known.designation_id, seen.side, at)
        return rules_referring.signed(known, seen.side, at), False
    new = Designation(new_id(), whose, seen.side, at, replaces_id=replaced, ends_at=ends_at)
    one = rules_referring.signed(new, seen.side, at)
    store_referring.insert(session, record_id, one)
    assert seen.facts.patient_id is not None
    emit(session, contract.ReferringPhysicianProposed(
        record_id, seen.facts.patient_id, one.designation_id, whose, seen.side, rfc3339(at),
    ))  # fmt: skip
    return one, True


# --- changing ---------------------------------------------------------------------------------------------------------


def _end_predecessors(session: Session, seen: Seen, record_id: str, one: Designation, at: datetime) -> None:
    """Foresees the end of whoever is the referring physician now, at the moment the new one takes effect."""
    assert one.effective_at is not None
    if one.replaces_id is not None:
        return
    for each in seen.designations:
        running = each.replaces_id is None and rules_referring.is_effective(each, at)
        if running and store_referring.plan_end(session, record_id, each.designation_id, one.effective_at, "replaced"):
            _tell(session, seen, record_id, each, "ending", one.effective_at, at)


def _end(
    session: Session, caller: Caller, seen: Seen, record_id: str, one: Designation, ending: Ending, at: datetime
) -> Designation:
    """Writes what becomes of a designation, and tells of it."""
    cause, by = ending.cause or "", caller.account_id
    if ending.ended:
        store_referring.end_now(session, one.designation_id, at, cause, seen.side, by)
        if rules_referring.is_effective(one, at):
            _tell(session, seen, record_id, one, "ended", at, at)
    elif ending.ends_at is None:
        store_referring.put_asked(session, one.designation_id, seen.side)
    elif store_referring.plan_end(session, record_id, one.designation_id, ending.ends_at, cause, seen.side, by):
        _tell(session, seen, record_id, one, "ending", ending.ends_at, at)
    return rules_referring.after(one, ending, seen.side, at)


def _tell(
    session: Session, seen: Seen, record_id: str, one: Designation, state: str, moment: datetime, at: datetime
) -> None:
    """Tells of an end at this moment, and of that of whoever stands in now and ends with it."""
    patient_id = seen.facts.patient_id
    assert patient_id is not None
    for each in (one, *rules_referring.ending_along(seen.designations, one, moment, at)):
        referring_steps.tell(session, record_id, each, patient_id, state, moment)


def _did(session: Session, caller: Caller, action: str, seen: Seen, one: Designation, at: datetime) -> None:
    """Traces what one of the two sides did."""
    named = None if seen.scope.clauses else ASKED
    if seen.side == HOLDER:
        acting = rules.acting_clause(tables_at(at), seen.scope, ROW)
        named = None if acting is None else (acting.ground, acting.rule)
    allowed(
        session, caller, action, at, seen.scope, named,
        object_id=one.designation_id, object_type="designation", purpose=one.end_cause,
    )  # fmt: skip


# --- what is shown ----------------------------------------------------------------------------------------------------


def _current(one: Designation, all_: list[Designation]) -> dict[str, Any]:
    replaced = next((each.professional_id for each in all_ if each.designation_id == one.replaces_id), None)
    return {
        "designation_id": one.designation_id,
        "professional_id": one.professional_id,
        "since": _moment(one.effective_at),
        "until": _moment(rules_referring.end_of(one)),
        "stands_in_for": replaced,
    }


def _shown(one: Designation, at: datetime) -> dict[str, Any]:
    return {
        "designation_id": one.designation_id,
        "professional_id": one.professional_id,
        "state": rules_referring.state_of(one, at),
        "proposed_by": one.proposed_by,
        "proposed_at": _moment(one.proposed_at),
        "replaces_id": one.replaces_id,
        "holder_signed_at": _moment(one.holder_signed_at),
        "physician_signed_at": _moment(one.physician_signed_at),
        "notified_at": _moment(one.notified_at),
        "effective_at": _moment(one.effective_at),
        "ends_at": _moment(rules_referring.end_of(one)),
        "end_cause": one.end_cause,
        "end_asked_by": one.end_asked_by,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
