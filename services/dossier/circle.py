"""The circle of trust: professionals whom the holder trusts, one by one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Service, emit, rpc
from services.db import now, rfc3339
from services.dossier import contract, rules, store, store_blocklist, store_circle, store_deadlines, store_professionals
from services.dossier.answers import allowed, invalid, judge, refused
from services.dossier.rules_representatives import require_end
from services.dossier.store_deadlines import Due
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller

COMMENT_LENGTH = 500


class Circle(Service):
    """The entrypoints of the circle of trust."""

    @rpc
    def circle(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """The circle of trust; the comments are the holder's own and shown to nobody else.

        Refuses: RecordNotFound (also to who may deposit alone), RecordClosed (to the holder alone).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_care_context(scope)
            if refusal is not None:
                return refused(session, caller, "circle.read", at, record_id, refusal)
            members = store_circle.current_members(session, record_id, at)
            allowed(session, caller, "circle.read", at, scope, count=len(members))
        return {
            "members": [
                {
                    "professional_id": member.professional_id,
                    "since": rfc3339(member.since),
                    "until": None if member.ends_at is None else rfc3339(member.ends_at),
                    "comment": member.comment if scope.holder_side else None,
                }
                for member in members
            ]
        }

    @rpc
    def add_to_circle(
        self,
        caller: Caller,
        *,
        record_id: str,
        professional_id: str,
        comment: str | None = None,
        until: str | None = None,
    ) -> dict[str, Any] | Refusal:
        """Adds a professional to the circle of trust; who is in it stays, with the new comment and the new end.

        until: RFC 3339, when it ends by itself; None: not before the holder ends it. [ours]
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, ProfessionalNotFound,
        ProfessionalBlocked, InvalidInput.
        """
        at, record_id, professional_id = now(), rules.id_of(record_id), rules.id_of(professional_id)
        if comment is not None and (not isinstance(comment, str) or len(comment) > COMMENT_LENGTH):
            raise invalid("/comment", "too_long")
        ends_at = require_end(until, "/until", at)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            facts, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, "circle")
            refusal = refusal or _not_to_be_trusted(session, record_id, professional_id, at)
            if refusal is not None:
                return refused(session, caller, "circle.added", at, record_id, refusal, object_id=professional_id)
            member = store_circle.put_member(session, record_id, professional_id, comment, ends_at, at)
            _foresee(session, record_id, member.member_id, ends_at)
            if member.created:
                emit(session, contract.CircleMemberAdded(record_id, professional_id, facts.own_patient_id))
            _did(session, caller, "circle.added" if member.created else "circle.changed", at, scope, professional_id)
        return {
            "professional_id": professional_id,
            "since": rfc3339(member.since),
            "until": None if ends_at is None else rfc3339(ends_at),
            "comment": member.comment,
            "created": member.created,
        }

    @rpc
    def remove_from_circle(self, caller: Caller, *, record_id: str, professional_id: str) -> dict[str, Any] | Refusal:
        """Takes a professional out of the circle of trust; the ground ends with the answer.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, CircleMemberNotFound.
        """
        at, record_id, professional_id = now(), rules.id_of(record_id), rules.id_of(professional_id)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            facts, scope = judge(session, caller, record_id, at)
            refusal: Refusal | None = rules.require_holder_action(tables_at(at), scope, "circle")
            if refusal is None and not end_membership(session, record_id, professional_id, facts.own_patient_id, at):
                refusal = contract.CircleMemberNotFound()
            if refusal is not None:
                return refused(session, caller, "circle.removed", at, record_id, refusal, object_id=professional_id)
            _did(session, caller, "circle.removed", at, scope, professional_id)
        return {"professional_id": professional_id, "until": rfc3339(at)}


def end_membership(session: Session, record_id: str, professional_id: str, by: str | None, at: datetime) -> bool:
    """Ends a membership that runs, and tells of it; False when there is none. by: the patient who does."""
    member_id = store_circle.end_member(session, record_id, professional_id, at)
    if member_id is None:
        return False
    store_deadlines.drop(session, member_id, store_circle.END)
    emit(session, contract.CircleMemberRemoved(record_id, professional_id, by))
    return True


def come_to_end(session: Session, due: Due, at: datetime) -> None:
    """A membership has come to the end that was foreseen: since then it lets nobody in, now it is told."""
    member = store_circle.come_to_end(session, due.subject_id, at)
    if member is None:
        return
    emit(session, contract.GrantEnded(
        due.record_id, member.patient_id, "circle", due.subject_id, "professional", member.professional_id, "time",
        rfc3339(member.until),
    ))  # fmt: skip


def _not_to_be_trusted(session: Session, record_id: str, professional_id: str, at: datetime) -> Refusal | None:
    if not store_professionals.has_professional(session, professional_id):
        return contract.ProfessionalNotFound()
    barred = store_blocklist.is_barred(session, record_id, professional_id, at)
    return contract.ProfessionalBlocked() if barred else None


def _foresee(session: Session, record_id: str, member_id: str, ends_at: datetime | None) -> None:
    if ends_at is None:
        store_deadlines.drop(session, member_id, store_circle.END)
    else:
        store_deadlines.put(session, store_circle.END, member_id, record_id, ends_at)


def _did(
    session: Session, caller: Caller, action: str, at: datetime, scope: contract.AccessScope, professional_id: str
) -> None:
    acting = rules.acting_clause(tables_at(at), scope, "circle")
    named = None if acting is None else (acting.ground, acting.rule)
    allowed(session, caller, action, at, scope, named, object_id=professional_id, object_type="professional")
