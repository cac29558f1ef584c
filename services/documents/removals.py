"""Removal by the agency: one agent asks, another decides, and the document is gone but for its tombstone.

Agents name a document by its id and never read what is in it [domain, Documents].
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.documents import answers, contract, erasing, rules, rules_ends, store_erasing, store_removals
from services.documents.contract_ends import Removal, RemovalAsked, Removals
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class Removing(Service):
    """The entrypoints of removals; all of them for agents alone."""

    @rpc
    def ask_removal(self, caller: Caller, *, document_id: str, cause: str, reason: str) -> Removal | Refusal:
        """Asks for the removal of a document; another agent decides.

        cause: one of REMOVAL_CAUSES. reason: the agent's words, 1 to 500 characters, without names.

        Refuses: NotAllowed (agents only); DocumentNotFound (unknown, or gone already); RemovalUnderWay; InvalidInput.
        """
        cause, reason = rules_ends.require_words(cause, reason)
        asked, at = rules.canonical_id(document_id) or new_id(), now()
        body = {"document_id": asked, "cause": cause, "reason": reason}
        with self.db.transaction(caller) as session:
            if not rules_ends.may_work(caller.capacity):
                return _refused(session, caller, "removal.asked", NotAllowed())
            store_removals.hold_document(session, asked)
            done: Removal | None = once(session, caller, "ask_removal", body)
            if done is not None:
                return done
            row = store_removals.lies(session, asked)
            if row is None:
                return _refused(session, caller, "removal.asked", contract.DocumentNotFound(), asked, "document")
            if store_removals.open_of(session, asked) is not None:
                refusal = contract.RemovalUnderWay()
                return answers.refuse(
                    session, caller, "removal.asked", refusal, record_id=row.home_record_id, object_id=asked
                )
            removal_id = new_id()
            store_removals.add(
                session, removal_id, asked, cause=cause, reason=reason, asked_by=caller.account_id, at=at
            )
            emit(session, RemovalAsked(removal_id, caller.account_id, rfc3339(at)))
            emit(session, traced(
                caller, "removal.asked", at=at, record_id=row.home_record_id, object_id=asked, object_type="document"
            ))  # fmt: skip
            made = _told(session, removal_id)
            remember(session, caller, "ask_removal", body, made)
            return made

    @rpc
    def list_removals(
        self, caller: Caller, *, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Removals | Refusal:
        """The removals that agents asked for, newest first; state: one of REMOVAL_STATES.

        Refuses: NotAllowed (agents only); InvalidInput.
        """
        wanted, most, after = rules_ends.require_queue(state, limit, cursor)
        with self.db.transaction(caller) as session:
            if not rules_ends.may_work(caller.capacity):
                return _refused(session, caller, "removal.searched", NotAllowed())
            found = store_removals.page(session, wanted, after, most)
            page = found[:most]
            emit(session, traced(caller, "removal.searched", at=now(), object_type="removal", count=len(page)))
            return {
                "removals": [_removal(row) for row in page],
                "next_cursor": page[-1].removal_id if len(found) > most else None,
            }

    @rpc
    def read_removal(self, caller: Caller, *, removal_id: str) -> Removal | Refusal:
        """One removal, with what became of it.

        Refuses: NotAllowed (agents only); RemovalNotFound.
        """
        asked = rules.canonical_id(removal_id) or new_id()
        with self.db.transaction(caller) as session:
            if not rules_ends.may_work(caller.capacity):
                return _refused(session, caller, "removal.searched", NotAllowed())
            row = store_removals.one(session, asked)
            if row is None:
                return _refused(session, caller, "removal.searched", contract.RemovalNotFound(), asked)
            emit(session, traced(
                caller, "removal.searched", at=now(), object_id=asked, object_type="removal", count=1
            ))  # fmt: skip
            return _removal(row)

    @rpc
    def approve_removal(self, caller: Caller, *, removal_id: str) -> Removal | Refusal:
        """Removes the document, as another agent asked: its words and keys are gone when this returns, its bytes soon.

        Refuses: NotAllowed (agents only); RemovalNotFound; SecondAgentNeeded to who asked; RemovalDecided.
        """
        return self._decide(caller, removal_id, "approved", "removal.approved")

    @rpc
    def refuse_removal(self, caller: Caller, *, removal_id: str) -> Removal | Refusal:
        """Leaves the document where it is, though another agent asked for its removal; it can be asked for again.

        Refuses: as `approve_removal`.
        """
        return self._decide(caller, removal_id, "refused", "removal.refused")

    def _decide(self, caller: Caller, removal_id: str, state: str, action: str) -> Removal | Refusal:
        asked, at = rules.canonical_id(removal_id) or new_id(), now()
        body = {"removal_id": asked}
        with self.db.transaction(caller) as session:
            if not rules_ends.may_work(caller.capacity):
                return _refused(session, caller, action, NotAllowed())
            row = store_removals.one(session, asked)
            if row is None:
                return _refused(session, caller, action, contract.RemovalNotFound(), asked)
            held = store_erasing.hold(session, [row.document_id]) if state == "approved" else ()
            row = store_removals.one(session, asked, hold=True) or row
            done: Removal | None = once(session, caller, action, body)
            if done is not None:
                return done
            refusal = rules_ends.refused_decision(row.state, row.asked_by, caller.account_id)
            if refusal is not None:
                return _refused(session, caller, action, refusal, asked)
            store_removals.decide(session, asked, state, decided_by=caller.account_id, at=at)
            emit(session, traced(caller, action, at=at, object_id=asked, object_type="removal"))
            erasing.end(session, caller, held, "request", at)
            made = _told(session, asked)
            remember(session, caller, action, body, made)
            return made


def _refused(
    session: Session, caller: Caller, action: str, refusal: Refusal, object_id: str | None = None,
    object_type: str = "removal",
) -> Refusal:  # fmt: skip
    return answers.refuse(
        session, caller, action, refusal, record_id=None, object_id=object_id, object_type=object_type
    )


def _told(session: Session, removal_id: str) -> Removal:
    row = store_removals.one(session, removal_id)
    assert row is not None, "a removal vanished"
    return _removal(row)


def _removal(row: store_removals.Row) -> Removal:
    def moment(name: str) -> str | None:
        value = getattr(row, name)
        return None if value is None else rfc3339(value)

    return {
        "removal_id": row.removal_id, "document_id": row.document_id, "cause": row.cause, "reason": row.reason,
        "state": row.state, "asked_by": row.asked_by, "asked_at": rfc3339(row.asked_at), "decided_by": row.decided_by,
        "decided_at": moment("decided_at"), "destroyed_at": moment("destroyed_at"), "objects": row.objects,
    }  # fmt: skip
