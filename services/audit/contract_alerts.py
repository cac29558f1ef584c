"""What audit says of alerts: accesses that a rule found worth a look, and how the privacy officer found them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict

from services.audit.contract_oversight import WholeEntry
from services.refusals import Refusal

ALERT_RULES: Final[tuple[str, ...]] = (
    "same_surname",
    "own_record",
    "many_patients",
    "after_care",
    "repeated_failures",
    "out_of_hours",
)
"""The rules that raise alerts; each is a function of rules_alerts.py."""

ALERTS_LIMIT: Final = 100
"""The most alerts one page holds."""


@dataclass(frozen=True)
class AlertsRaised:
    """Alerts wait for a privacy officer: how many were just raised, nothing of whom or what. at: RFC 3339."""

    type: ClassVar[str] = "alerts_raised.v1"
    subject: ClassVar[str | None] = None

    count: int
    at: str


class AlertNotFound(Refusal):
    """There is no such alert."""

    code: ClassVar[str] = "alert_not_found"


class AlertShown(TypedDict):
    """An alert: which rule, about whom, because of which entry, and what became of it.

    number: how many patients or failures within the hour, how many days after the care; null where nothing is
    counted. mandate_id: of the emergency access, by which dossier's queue of reviews has it. entry: null once its
    contents are destroyed.
    """

    alert_id: str
    version: int
    rule: str
    state: str
    at: str
    raised_at: str
    number: int | None
    record_id: str | None
    professional_id: str | None
    account_id: str | None
    establishment_id: str | None
    mandate_id: str | None
    taken_by: str | None
    taken_at: str | None
    verdict: str | None
    note: str | None
    settled_by: str | None
    settled_at: str | None
    entry: WholeEntry | None


class AlertQueue(TypedDict):
    """A page of alerts, the one that waits longest first; next_cursor is null on the last one."""

    alerts: list[AlertShown]
    next_cursor: str | None


class AlertsCounted(TypedDict):
    """How many alerts one rule raised, and what became of them."""

    rule: str
    raised: int
    justified: int
    not_justified: int
    waiting: int


class AlertStatistics(TypedDict):
    """Every rule, in the order of ALERT_RULES."""

    rules: list[AlertsCounted]
