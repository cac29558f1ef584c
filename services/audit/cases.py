"""Cases: somebody of the holder side does not recognise an access; the privacy officer looks, and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules, rules_oversight, store_cases
from services.audit.archiving import bring_back
from services.audit.contract import traced
from services.audit.contract_cases import (
    CASES_LIMIT,
    CaseAnswered,
    CaseExists,
    CaseNotFound,
    CaseOpened,
    CaseQueue,
    CaseRead,
    Cases,
    CaseShown,
)
from services.audit.contract_oversight import EntryNotFound, WholeEntry
from services.audit.models_cases import Case
from services.audit.oversight import Kind, Oversight
from services.bus import emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.dossier.contract import NOBODY, AccessScope, RecordClosed, RecordNotFound
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class CaseDesk(Oversight):
    """The entrypoints of cases: of the holder side, and of the privacy officers."""

    dossier: Any  # the service's way to dossier

    # --- the holder side --------------------------------------------------------------------------------------

    @rpc
    def open_case(
        self, caller: Caller, *, record_id: str, entry_id: str, comment: str | None = None
    ) -> CaseShown | Refusal:
        """ "I do not recognise this": has the privacy officer look at an entry of the access history.

        comment: in the holder's own words, where they have any; it stands in no trace and no event.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (assistants), EntryNotFound
        (none in the history as the caller reads it), CaseExists, InvalidInput. [RGD 8]
        """
        asked, entry_id = rules_oversight.require_comment(comment), rules.as_id(entry_id) or new_id()
        scope = self._scope_of_case(caller, record_id)
        body = {"record_id": scope.record_id, "entry_id": entry_id, "comment": asked}
        about = {"object_id": entry_id, "object_type": "entry"}
        with self.db.transaction(caller) as session:
            refusal = _barred(scope, asks=True)
            if refusal is not None:
                return _refused(session, caller, "case.opened", scope, refusal, **about)
            bring_back(session, scope.record_id)
            answered: CaseShown | None = once(session, caller, "open_case", body)
            if answered is not None:
                return answered
            own = store_cases.record_of_entry(session, scope.record_id, entry_id, _without(scope))
            if own is None:
                return _refused(session, caller, "case.opened", scope, EntryNotFound(), **about)
            case_id, new = store_cases.open_case(session, entry_id, own, caller, asked, now())
            if not new:
                return _refused(session, caller, "case.opened", scope, CaseExists(case_id=case_id), **about)
            emit(session, CaseOpened(case_id=case_id, at=rfc3339(now())))
            _traced(session, caller, "case.opened", scope, object_id=case_id, object_type="case")
            [made] = store_cases.cases_of_record(session, scope.record_id, _without(scope), case_id=case_id)
            return remember(session, caller, "open_case", body, _shown(made))

    @rpc
    def list_cases(
        self, caller: Caller, *, record_id: str, limit: int = 50, cursor: str | None = None
    ) -> Cases | Refusal:  # fmt: skip
        """The cases of a record with their answers, newest first; none about a document that is hidden from who reads.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, InvalidInput.
        """
        limit = rules_oversight.require_limit(limit, CASES_LIMIT)
        after = rules_oversight.require_id(cursor, "/cursor", "cursor")
        scope = self._scope_of_case(caller, record_id)
        with self.db.transaction(caller) as session:
            refusal = _barred(scope)
            if refusal is not None:
                return _refused(session, caller, "case.searched", scope, refusal)
            bring_back(session, scope.record_id)
            found = store_cases.cases_of_record(
                session, scope.record_id, _without(scope), after=after, limit=limit + 1
            )  # fmt: skip
            page = [_shown(each) for each in found[:limit]]
            _traced(session, caller, "case.searched", scope, object_type="case", count=len(page))
        return {"cases": page, "next_cursor": page[-1]["case_id"] if len(found) > limit else None}

    @rpc
    def read_case(self, caller: Caller, *, record_id: str, case_id: str) -> CaseShown | Refusal:
        """One case with its answer.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, CaseNotFound.
        """
        case_id, scope = rules.as_id(case_id) or new_id(), self._scope_of_case(caller, record_id)
        about = {"object_id": case_id, "object_type": "case"}
        with self.db.transaction(caller) as session:
            refusal = _barred(scope)
            bring_back(session, scope.record_id)
            found = store_cases.cases_of_record(session, scope.record_id, _without(scope), case_id=case_id)
            if refusal is not None or not found:
                return _refused(session, caller, "case.read", scope, refusal or CaseNotFound(), **about)
            _traced(session, caller, "case.read", scope, **about)
            return _shown(found[0])

    def _scope_of_case(self, caller: Caller, record_id: str) -> AccessScope:
        asked = rules.as_id(record_id) or NOBODY  # what cannot be an id goes the way of an unknown one
        return AccessScope.from_wire(self.dossier.access_scope(caller, record_id=asked))

    # --- the privacy officers -----------------------------------------------------------------------------------

    @rpc
    def case_queue(
        self, caller: Caller, *, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> CaseQueue | Refusal:
        """The cases of all records, the one that waits longest first; by state (waiting, taken, settled) where named.

        Refuses: NotAllowed (privacy officers only), InvalidInput.
        """
        page = self._queue(caller, KIND, rules_oversight.require_queue(state, limit, cursor, most=CASES_LIMIT))
        return page if isinstance(page, Refusal) else {"cases": page[0], "next_cursor": page[1]}

    @rpc
    def read_case_of_queue(self, caller: Caller, *, case_id: str) -> CaseRead | Refusal:
        """One case with the whole entry that it is about.

        Refuses: NotAllowed (privacy officers only), CaseNotFound.
        """
        answer: CaseRead | Refusal = self._one(caller, KIND, case_id)
        return answer

    @rpc
    def take_case(self, caller: Caller, *, case_id: str, version: int | None = None) -> CaseRead | Refusal:
        """Takes a case in hand; whose it is already keeps it. version: the one that was read; None takes it as it is.

        Refuses: NotAllowed (privacy officers only, and nobody answers for themselves), CaseNotFound, InOtherHands,
        AlreadySettled, ChangedMeanwhile.
        """
        answer: CaseRead | Refusal = self._step(caller, KIND, "take", case_id, version)
        return answer

    @rpc
    def release_case(self, caller: Caller, *, case_id: str, version: int | None = None) -> CaseRead | Refusal:
        """Gives a case back to the queue: one's own, or that of an officer who is away.

        Refuses: NotAllowed (privacy officers only), CaseNotFound, NotInHand, AlreadySettled, ChangedMeanwhile.
        """
        answer: CaseRead | Refusal = self._step(caller, KIND, "release", case_id, version)
        return answer

    @rpc
    def answer_case(
        self, caller: Caller, *, case_id: str, verdict: str, answer: str, version: int | None = None
    ) -> CaseRead | Refusal:
        """Finds the access justified or not and answers the holder side, which is told that there is an answer.

        Refuses: NotAllowed (privacy officers only, and nobody answers for themselves), CaseNotFound, NotInHand,
        InOtherHands, AlreadySettled, ChangedMeanwhile, InvalidInput.
        """
        verdict, note = rules_oversight.require_finding(verdict, answer, "/answer")
        answered: CaseRead | Refusal = self._step(
            caller, KIND, "settle", case_id, version, verdict=verdict, note=note
        )  # fmt: skip
        return answered


def _barred(scope: AccessScope, *, asks: bool = False) -> Refusal | None:
    """Why somebody may not read a record's cases, or not open one; None when they may."""
    if not scope.holder_side:
        return RecordNotFound()
    if not scope.clauses:
        return RecordClosed()
    return NotAllowed() if asks and not rules_oversight.may_ask(clause.ground for clause in scope.clauses) else None


def _without(scope: AccessScope) -> tuple[str, ...]:
    return rules.left_out("record", may_see_withheld=scope.may_see_withheld)


def _traced(session: Session, caller: Caller, action: str, scope: AccessScope, **about: Any) -> None:
    first = scope.clauses[0]
    emit(session, traced(
        caller, action, at=now(), record_id=scope.record_id, ground=first.ground, rule=first.rule, **about
    ))  # fmt: skip


def _refused(
    session: Session, caller: Caller, action: str, scope: AccessScope, refusal: Refusal, **about: Any
) -> Refusal:
    emit(session, traced(
        caller, action, at=now(), record_id=scope.record_id, outcome="refused", reason=refusal.code, **about
    ))  # fmt: skip
    return refusal


def _shown(row: Any) -> CaseShown:
    settled = row.state == "settled"
    return {
        "case_id": row.case_id,
        "version": row.version,
        "record_id": row.record_id,
        "entry_id": row.trace_id,
        "state": row.state,
        "opened_at": rfc3339(row.opened_at),
        "comment": row.comment,
        "verdict": row.verdict,
        "answer": row.note,
        "answered_at": rfc3339(row.settled_at) if settled else None,
    }


def _read(row: Any, entry: WholeEntry | None) -> CaseRead:
    return {
        **_shown(row),
        "opened_by": row.opened_by,
        "patient_id": row.patient_id,
        "taken_by": row.taken_by,
        "taken_at": row.taken_at and rfc3339(row.taken_at),
        "answered_by": row.settled_by,
        "entry": entry,
    }


def _concerned(row: Any, entry: WholeEntry | None) -> tuple[str | None, ...]:
    return (row.opened_by, entry and entry["account_id"])


def _answered(session: Session, row: Any, entry: WholeEntry | None, at: datetime) -> None:
    hidden = store_cases.hidden_now(session, entry and entry["object_id"])
    emit(session, CaseAnswered(record_id=row.record_id, case_id=row.case_id, at=rfc3339(at), hidden=hidden))


KIND = Kind(
    name="case",
    work=Case,
    not_found=CaseNotFound,
    done={"take": "case.taken", "release": "case.released", "settle": "case.answered"},
    shown=_read,
    concerned=_concerned,
    settled=_answered,
)
