"""Alerts: the privacy officer's queue of what the rules found, and how often each rule was right."""

from __future__ import annotations

from typing import Any

from services.audit import rules_oversight, store_alerts
from services.audit.contract import traced
from services.audit.contract_alerts import (
    ALERT_RULES,
    ALERTS_LIMIT,
    AlertNotFound,
    AlertQueue,
    AlertShown,
    AlertStatistics,
)
from services.audit.contract_oversight import WholeEntry
from services.audit.models_cases import Alert
from services.audit.oversight import Kind, Oversight, refused
from services.bus import emit, rpc
from services.db import now, rfc3339
from services.refusals import NotAllowed, Refusal
from services.tokens import Caller


class AlertDesk(Oversight):
    """The entrypoints of alerts; all of them for privacy officers alone."""

    @rpc
    def alerts(
        self, caller: Caller, *, state: str | None = None, rule: str | None = None, limit: int = 50,
        cursor: str | None = None,
    ) -> AlertQueue | Refusal:  # fmt: skip
        """The alerts, the one that waits longest first; by state (waiting, taken, settled) and rule where named.

        Refuses: NotAllowed (privacy officers only), InvalidInput.
        """
        asked = rules_oversight.require_queue(state, limit, cursor, most=ALERTS_LIMIT, kind=rule, kinds=ALERT_RULES)
        page = self._queue(caller, KIND, asked)
        return page if isinstance(page, Refusal) else {"alerts": page[0], "next_cursor": page[1]}

    @rpc
    def read_alert(self, caller: Caller, *, alert_id: str) -> AlertShown | Refusal:
        """One alert with the whole entry that raised it.

        Refuses: NotAllowed (privacy officers only), AlertNotFound.
        """
        answer: AlertShown | Refusal = self._one(caller, KIND, alert_id)
        return answer

    @rpc
    def take_alert(self, caller: Caller, *, alert_id: str, version: int | None = None) -> AlertShown | Refusal:
        """Takes an alert in hand; whose it is already keeps it. version: the one that was read; None takes it as it is.

        Refuses: NotAllowed (privacy officers only, and nobody judges an access of their own), AlertNotFound,
        InOtherHands, AlreadySettled, ChangedMeanwhile.
        """
        answer: AlertShown | Refusal = self._step(caller, KIND, "take", alert_id, version)
        return answer

    @rpc
    def release_alert(self, caller: Caller, *, alert_id: str, version: int | None = None) -> AlertShown | Refusal:
        """Gives an alert back to the queue: one's own, or that of an officer who is away.

        Refuses: NotAllowed (privacy officers only), AlertNotFound, NotInHand, AlreadySettled, ChangedMeanwhile.
        """
        answer: AlertShown | Refusal = self._step(caller, KIND, "release", alert_id, version)
        return answer

    @rpc
    def settle_alert(
        self, caller: Caller, *, alert_id: str, verdict: str, note: str, version: int | None = None
    ) -> AlertShown | Refusal:
        """Finds an access justified or not, and says why: for good, and for officers' eyes.

        Refuses: NotAllowed (privacy officers only, and nobody judges an access of their own), AlertNotFound, NotInHand,
        InOtherHands, AlreadySettled, ChangedMeanwhile, InvalidInput.
        """
        verdict, why = rules_oversight.require_finding(verdict, note, "/note")
        answer: AlertShown | Refusal = self._step(caller, KIND, "settle", alert_id, version, verdict=verdict, note=why)
        return answer

    @rpc
    def alert_statistics(self, caller: Caller, *, since: str, until: str) -> AlertStatistics | Refusal:
        """How many alerts each rule raised about the entries of these days, and how they were found.

        since, until: the first and the last day. Refuses: NotAllowed (privacy officers only), InvalidInput.
        """
        period = rules_oversight.require_period(since, until)
        with self.db.transaction(caller) as session:
            if not rules_oversight.may_oversee(caller.capacity, caller.role):
                return refused(session, caller, "alert.counted", NotAllowed())
            counted = store_alerts.counted(session, period)
            emit(session, traced(caller, "alert.counted", at=now(), object_type="alert", count=len(counted)))
        return {"rules": counted}


def _shown(row: Any, entry: WholeEntry | None) -> AlertShown:
    return {
        "alert_id": row.alert_id,
        "version": row.version,
        "rule": row.rule,
        "state": row.state,
        "at": rfc3339(row.at),
        "raised_at": rfc3339(row.raised_at),
        "number": row.number,
        "record_id": row.record_id,
        "professional_id": row.professional_id,
        "account_id": row.account_id,
        "establishment_id": row.establishment_id,
        "mandate_id": row.mandate_id,
        "taken_by": row.taken_by,
        "taken_at": row.taken_at and rfc3339(row.taken_at),
        "verdict": row.verdict,
        "note": row.note,
        "settled_by": row.settled_by,
        "settled_at": row.settled_at and rfc3339(row.settled_at),
        "entry": entry,
    }


def _concerned(row: Any, _entry: WholeEntry | None) -> tuple[str | None, ...]:
    return (row.account_id,)


KIND = Kind(
    name="alert",
    work=Alert,
    not_found=AlertNotFound,
    done={"take": "alert.taken", "release": "alert.released", "settle": "alert.settled"},
    shown=_shown,
    concerned=_concerned,
)
