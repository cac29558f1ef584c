"""The set-up assistant: the settings of a record one after the other, taken up again where they were left."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from services.bus import Service, rpc
from services.db import now, rfc3339
from services.dossier import contract, rules, rules_setup, store, store_setup
from services.dossier.answers import allowed, judge, refused
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller

ROW = "setup"


class Setup(Service):
    """The entrypoints of the set-up assistant."""

    @rpc
    def setup(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """The steps in the order of the menu in which a holder manages the record, and the next open one.

        Of each: its state, as whom it was brought there, when, and whether the caller may do what it is about.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed. [domain, Pages]
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            _, scope = judge(session, caller, record_id, at)
            refusal = rules.require_holder_action(tables_at(at), scope, ROW)
            if refusal is not None:
                return refused(session, caller, "setup.read", at, record_id, refusal)
            allowed(session, caller, "setup.read", at, scope, named=_named(scope, ROW, at))
            return _shown(session, scope, at)

    @rpc
    def set_setup_step(self, caller: Caller, *, record_id: str, step: str, state: str) -> dict[str, Any] | Refusal:
        """Notes a step as done, put aside or open again; gives the whole list. The same again changes nothing.

        It changes no setting: each is set on its own page.
        Refuses: RecordNotFound (to everybody but the holder side), RecordClosed, NotAllowed (what the step is about is
        not for this caller to do), SetupStepNotFound, InvalidInput.
        """
        at, record_id, state = now(), rules.id_of(record_id), rules_setup.require_state(state)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            _, scope = judge(session, caller, record_id, at)
            tables = tables_at(at)
            found = rules_setup.require_step(tables, step)
            refusal: Refusal | None = rules.require_holder_action(tables, scope, ROW)
            if refusal is None and not isinstance(found, Refusal):
                refusal = rules.require_holder_action(tables, scope, found.action)
            if refusal is not None or isinstance(found, Refusal):
                no = refusal or contract.SetupStepNotFound()
                return refused(session, caller, "setup.changed", at, record_id, no)
            ground, rule = _named(scope, found.action, at)
            if state == "open":
                store_setup.open_step(session, record_id, found.step)
            else:
                store_setup.put_step(
                    session, record_id, found.step, state, ground=ground, account_id=caller.account_id, at=at
                )
            allowed(session, caller, "setup.changed", at, scope, named=(ground, rule), purpose=f"{found.step}/{state}")
            return _shown(session, scope, at)


def _named(scope: contract.AccessScope, action: str, at: datetime) -> tuple[str, str]:
    clause = rules.acting_clause(tables_at(at), scope, action)
    assert clause is not None
    return clause.ground, clause.rule


def _shown(session: Session, scope: contract.AccessScope, at: datetime) -> dict[str, Any]:
    told = [tuple(row) for row in store_setup.steps(session, scope.record_id)]
    steps = rules_setup.checklist(tables_at(at), scope, told)
    return {
        "steps": [
            {
                "step": each.step,
                "state": each.state,
                "by": each.ground,
                "at": None if each.at is None else rfc3339(each.at),
                "may_do": each.may_do,
            }
            for each in steps
        ],
        "next": rules_setup.next_step(steps),
    }
