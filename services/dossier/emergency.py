"""Emergency access: a professional of an emergency service breaks the glass, for 24 hours and to read only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.audit.contract import traced
from services.bus import Service, emit, rpc
from services.db import now, once, remember, rfc3339
from services.dossier import contract, own_access, rules, rules_own_access, store, store_own_access
from services.dossier.answers import refused
from services.dossier.tables import tables_at
from services.refusals import Refusal
from services.tokens import Caller

KIND = "emergency"


class Emergency(Service):
    """The entrypoints of emergency access."""

    @rpc
    def open_emergency_session(
        self, caller: Caller, *, record_id: str, reason_category: str, reason: str
    ) -> contract.OwnAccessOpened | Refusal:
        """Opens an emergency access for 24 h, with a reason: standard documents, confidential ones where the holder's
        setting lets, never private ones, and no deposits. The holder side is told at once, and an officer reviews it.

        One that runs is given again. Refuses: EmergencyRefused (refused by the holder, unknown or closed record,
        blocked, licence not valid: alike), NotAllowed (who is no physician or nurse attached to an emergency service
        at the workplace of this log-in), TooManyTries, InvalidInput.
        [domain: Emergency access]
        """
        at, record_id = now(), rules.id_of(record_id)
        category = rules_own_access.require_category(tables_at(at), reason_category)
        stated = rules_own_access.require_reason(reason)
        body = {"record_id": record_id, "reason_category": category, "reason": stated}
        with self.db.transaction(caller) as session:
            refusal = own_access.require_asker(session, caller, KIND, at)
            if refusal is not None:
                return refused(session, caller, own_access.OPENED[KIND], at, record_id, refusal)
            answered: contract.OwnAccessOpened | None = once(session, caller, "open_emergency_session", body)
            if answered is not None:
                return answered
            version = f"{KIND}-{tables_at(at).version}"
            asked = own_access.Asked(KIND, record_id, stated, version, purpose=category, reason_category=category)
            answer = own_access.open_access(session, caller, asked, at)
            if isinstance(answer, Refusal):
                return answer
            return remember(session, caller, "open_emergency_session", body, answer)

    @rpc
    def end_emergency_session(self, caller: Caller, *, record_id: str) -> dict[str, Any] | Refusal:
        """ "Accès normal": ends the caller's own emergency access to this record at once.

        Refuses: MandateNotFound (none of the caller's runs there, whatever the reason).
        """
        at, record_id = now(), rules.id_of(record_id)
        with self.db.transaction(caller) as session:
            store.lock_record(session, record_id)
            whose = caller.professional_id if caller.capacity == "professional" else None
            ended = whose and store_own_access.end_own(session, record_id, whose, KIND, caller.account_id, at)
            if not ended or whose is None:
                return refused(session, caller, "emergency.ended", at, record_id, contract.MandateNotFound())
            emit(session, contract.MandateEnded(record_id, ended.mandate_id, whose, KIND, cause="professional"))
            rule = tables_at(at).grounds[KIND][0].rule
            emit(
                session,
                traced(
                    caller, "emergency.ended", at=at, record_id=record_id, ground=KIND, rule=rule,
                    object_id=ended.mandate_id, object_type="mandate",
                ),
            )  # fmt: skip
        return {"mandate_id": ended.mandate_id, "ended_at": rfc3339(at)}

    def _forget_access_tries(self, at: datetime) -> None:
        """Forgets the tries of such accesses that count against nobody any more; their traces stay."""
        with self.db.transaction() as session:
            store_own_access.forget_tries(session, at - own_access.counted(at))
