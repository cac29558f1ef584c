"""The holder's side of presence codes: since when there is one, and a new one in its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Service, emit, rpc
from services.db import now, once, remember, rfc3339
from services.dossier import contract, rules, store, store_presence
from services.dossier import presence_code as codes
from services.dossier.answers import allowed, judge, refused
from services.dossier.contract import AccessScope
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller

ACTION = "presence_code"
READ = "presence_code.read"
REGENERATED = "presence_code.regenerated"


class PresenceCodes(Service):
    """The entrypoints of the holder's presence code."""

    _hashed: Callable[..., Any]

    @rpc
    def presence_code(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """Since when there is a presence code; never the code. issued_at: null where none was ever issued.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (assistants).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope, refusal = _judged(session, caller, record_id, at)
            if refusal is not None:
                return refused(session, caller, READ, at, record_id, refusal)
            since = store_presence.presence_code_since(session, record_id)
            allowed(session, caller, READ, at, scope, named=_acting(scope, at), object_type=ACTION)
        return {"issued_at": None if since is None else rfc3339(since)}

    @rpc
    def regenerate_presence_code(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """A new presence code, told this once; the one before opens nothing from the answer on. Mandates go on.

        Under a key that was answered before, the answer says when that code was made, and `code` is null: a code is
        kept nowhere but as its hash. Whoever lost the answer makes another one, under another key.

        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (assistants).
        [domain, Mandates: presence code]
        """
        at, record_id = now(), rules.id_of(record_id)
        body, operation = {"record_id": record_id}, "regenerate_presence_code"
        with self.db.transaction(caller) as session:
            _, _, refusal = _judged(session, caller, record_id, at)
            if refusal is not None:
                return refused(session, caller, REGENERATED, at, record_id, refusal)
            answered: dict[str, Any] | None = once(session, caller, operation, body)
            if answered is not None:
                return answered
        code = codes.draw()
        hashed = self._hashed(codes.hash_of, code)
        with self.db.transaction(caller) as session:
            meanwhile: dict[str, Any] | None = once(session, caller, operation, body)
            if meanwhile is not None:
                return meanwhile
            store.lock_record(session, record_id)
            at = now()  # once others are done: of two made at the same time the one told last is the code
            facts, scope, refusal = _judged(session, caller, record_id, at)
            if refusal is not None:
                return refused(session, caller, REGENERATED, at, record_id, refusal)
            store_presence.insert_presence_code(session, record_id, hashed, at)
            emit(session, contract.PresenceCodeRegenerated(record_id, str(facts.patient_id), rfc3339(at)))
            allowed(session, caller, REGENERATED, at, scope, named=_acting(scope, at), object_type=ACTION)
            answer: dict[str, Any] = remember(session, caller, operation, body, _without_code(at))
        return {**answer, "code": code}


def _judged(
    session: Session, caller: Caller, record_id: str, at: datetime
) -> tuple[rules.Facts, AccessScope, Refusal | None]:
    """The caller's situation and scope, and why they may not do this."""
    facts, scope = judge(session, caller, record_id, at)
    return facts, scope, rules.require_holder_action(tables_at(at), scope, ACTION)


def _acting(scope: AccessScope, at: datetime) -> tuple[str, str] | None:
    clause = rules.acting_clause(tables_at(at), scope, ACTION)
    return None if clause is None else (clause.ground, clause.rule)


def _without_code(at: datetime) -> dict[str, Any]:
    """What is kept of the answer."""
    return {"code": None, "issued_at": rfc3339(at)}
