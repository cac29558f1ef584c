"""What the privacy officer's queues have in common: a page, one of it, and the steps that an officer takes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.audit import rules, rules_oversight, store_oversight
from services.audit.archiving import bring_back
from services.audit.contract import traced
from services.audit.contract_oversight import WholeEntry
from services.audit.rules_oversight import Action, Queue
from services.bus import Service, emit
from services.db import new_id, now, once, remember
from services.refusals import ChangedMeanwhile, NotAllowed, Refusal
from services.tokens import Caller


@dataclass(frozen=True)
class Kind:
    """One kind of what is worked off.

    name: as its traces and objects are called. done: the trace of each step. shown: a row and its entry as they travel
    to an officer. concerned: the accounts that may not judge it. settled: what else follows from settling it.
    """

    name: str
    work: store_oversight.Work
    not_found: type[Refusal]
    done: dict[Action, str]
    shown: Callable[[Any, WholeEntry | None], Any]
    concerned: Callable[[Any, WholeEntry | None], tuple[str | None, ...]]
    settled: Callable[[Session, Any, WholeEntry | None, datetime], None] | None = None


class Oversight(Service):
    """What the mixins of the officer's queues share."""

    def _queue(self, caller: Caller, kind: Kind, asked: Queue) -> tuple[list[Any], str | None] | Refusal:
        """A page of a queue, and the mark of the next one. Refuses: NotAllowed."""
        action = f"{kind.name}.searched"
        with self.db.transaction(caller) as session:
            if not rules_oversight.may_oversee(caller.capacity, caller.role):
                return refused(session, caller, action, NotAllowed())
            found = store_oversight.queue(session, kind.work, asked)
            page = [kind.shown(*each) for each in found[: asked.limit]]
            emit(session, traced(caller, action, at=now(), object_type=kind.name, count=len(page)))
        return page, page[-1][f"{kind.name}_id"] if len(found) > asked.limit else None

    def _one(self, caller: Caller, kind: Kind, work_id: str) -> Any | Refusal:
        """One of a queue. Refuses: NotAllowed, the kind's own "not found"."""
        action, work_id = f"{kind.name}.read", rules.as_id(work_id) or new_id()
        with self.db.transaction(caller) as session:
            refusal: Refusal | None = None
            if not rules_oversight.may_oversee(caller.capacity, caller.role):
                refusal = NotAllowed()
            found = None if refusal else _found(session, kind, work_id)
            if found is None:
                return refused(session, caller, action, refusal or kind.not_found(), kind, work_id)
            emit(session, _done(caller, action, kind, work_id, found[0].record_id))
        return kind.shown(*found)

    def _step(
        self, caller: Caller, kind: Kind, action: Action, work_id: str, version: int | None, **said: str
    ) -> Any | Refusal:
        """A step with one of a queue. Refuses: NotAllowed, the kind's own "not found", ChangedMeanwhile, InOtherHands,
        NotInHand, AlreadySettled."""
        at, done, work_id = now(), kind.done[action], rules.as_id(work_id) or new_id()
        operation, body = f"{action}_{kind.name}", {"id": work_id, "version": version, **said}
        with self.db.transaction(caller) as session:
            if not rules_oversight.may_oversee(caller.capacity, caller.role):
                return refused(session, caller, done, NotAllowed(), kind, work_id)
            answered = once(session, caller, operation, body)
            if answered is not None:
                return answered
            found = _found(session, kind, work_id, held=True)
            if found is None:
                return refused(session, caller, done, kind.not_found(), kind, work_id)
            row, entry = found
            refusal: Refusal | None = ChangedMeanwhile() if version not in (None, row.version) else None
            refusal = refusal or rules_oversight.step(
                action, row.state, row.taken_by, caller.account_id, kind.concerned(row, entry)
            )
            if refusal is not None:
                return refused(session, caller, done, refusal, kind, work_id, row.record_id)
            if not (action == "take" and row.taken_by == caller.account_id):
                written = rules_oversight.written(action, caller.account_id, at)
                store_oversight.change(session, kind.work, work_id, **written, **said)
            if action == "settle" and kind.settled is not None:
                kind.settled(session, row, entry, at)
            emit(session, _done(caller, done, kind, work_id, row.record_id, said.get("verdict")))
            answer = kind.shown(*store_oversight.one(session, kind.work, work_id) or found)
            return remember(session, caller, operation, body, answer)


def _found(session: Session, kind: Kind, work_id: str, *, held: bool = False) -> Any | None:
    """One of a queue with its entry, which may have to come out of the archive."""
    found = store_oversight.one(session, kind.work, work_id, held=held)
    if found is None or found[1] is not None or found[0].record_id is None:
        return found
    bring_back(session, found[0].record_id)
    return store_oversight.one(session, kind.work, work_id)


def refused(
    session: Session, caller: Caller, action: str, refusal: Refusal, kind: Kind | None = None,
    work_id: str | None = None, record_id: str | None = None,
) -> Refusal:  # fmt: skip
    """Leaves the trace of a refusal and hands it back, to be returned so that the trace is committed."""
    emit(session, traced(
        caller, action, at=now(), outcome="refused", reason=refusal.code, record_id=record_id, object_id=work_id,
        object_type=None if kind is None else kind.name,
    ))  # fmt: skip
    return refusal


def _done(
    caller: Caller, action: str, kind: Kind, work_id: str, record_id: str | None, verdict: str | None = None
) -> Any:  # fmt: skip
    return traced(
        caller, action, at=now(), record_id=record_id, object_id=work_id, object_type=kind.name, purpose=verdict
    )  # fmt: skip
