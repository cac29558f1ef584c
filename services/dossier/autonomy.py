"""Minors with discernment: a physician notes that they decide for themselves [L14 13]."""

from __future__ import annotations

from typing import Any

from services.bus import Service, rpc
from services.db import now
from services.dossier import rules, rules_representatives, store, store_settings
from services.dossier.answers import allowed, judge, refused
from services.refusals import Refusal
from services.tokens import Caller

SETTING = "autonomous_minor"
CHANGED = "setting.changed"


class Autonomy(Service):
    """The entrypoints of the autonomous minor."""

    @rpc
    def flag_autonomous_minor(self, caller: Caller, *, record_id: str, minor: bool) -> dict[str, Any] | Refusal:
        """Notes that a minor decides for themself: what is withheld for them, their representatives do not see.

        minor: whether the holder is one, as directory says.
        Refuses: RecordNotFound (no ground), NotAllowed (no physician who may deposit), NotMinor. [L14 13]
        """
        return self._flag(caller, record_id, "yes", minor is True)

    @rpc
    def unflag_autonomous_minor(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """Takes that note back; also of somebody who came of age since. Refuses: RecordNotFound, NotAllowed."""
        return self._flag(caller, record_id, "no", True)

    def _flag(self, caller: Caller, record_id: str, value: str, minor: bool) -> dict[str, Any] | Refusal:
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            facts, scope = judge(session, caller, record_id, at)
            refusal = rules_representatives.require_autonomy(facts, scope, minor)
            if refusal is not None:
                return refused(session, caller, CHANGED, at, record_id, refusal, object_type=SETTING)
            store_settings.put(session, record_id, SETTING, value, account_id=caller.account_id, at=at)
            clause = next(clause for clause in scope.clauses if clause.deposit)
            named = (clause.ground, clause.rule)
            allowed(session, caller, CHANGED, at, scope, named=named, object_type=SETTING, purpose=value)
        return {"autonomous_minor": value == "yes"}
