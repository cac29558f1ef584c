"""Access on one's own responsibility: prescriptions and dispensations, with a reason and three conditions accepted."""

from __future__ import annotations

from services.bus import Service, rpc
from services.db import now, once, remember
from services.dossier import contract, own_access, rules, rules_own_access
from services.dossier.answers import refused
from services.refusals import Refusal
from services.tokens import Caller

KIND = "responsibility"


class Responsibility(Service):
    """The entrypoint of access on one's own responsibility."""

    @rpc
    def open_responsibility_access(
        self, caller: Caller, *, record_id: str, reason: str, conditions_accepted: list[str], wording_version: str
    ) -> contract.OwnAccessOpened | Refusal:
        """Opens prescriptions and dispensations for 24 h to who engages their responsibility and says why; the holder
        is told, and an officer reviews it.

        One that runs is given again. Refuses: ResponsibilityRefused (refused by the holder, unknown or closed record,
        blocked, licence not valid: alike), NotAllowed (no professional, or a profession that dispenses nothing),
        TooManyTries (it is meant for few), InvalidInput.
        [seed 003; domain: Mandates, orders, responsibility]
        """
        at, record_id = now(), rules.id_of(record_id)
        stated = rules_own_access.require_reason(reason)
        version = rules_own_access.require_conditions(conditions_accepted, wording_version)
        body = {"record_id": record_id, "reason": stated, "wording_version": version}
        with self.db.transaction(caller) as session:
            refusal = own_access.require_asker(session, caller, KIND, at)
            if refusal is not None:
                return refused(session, caller, own_access.OPENED[KIND], at, record_id, refusal)
            answered: contract.OwnAccessOpened | None = once(session, caller, "open_responsibility_access", body)
            if answered is not None:
                return answered
            asked = own_access.Asked(KIND, record_id, stated, version, purpose=version)
            answer = own_access.open_access(session, caller, asked, at)
            if isinstance(answer, Refusal):
                return answer
            return remember(session, caller, "open_responsibility_access", body, answer)
