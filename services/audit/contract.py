"""What audit tells the house: the one event every service emits for every answered request, and audit's own calls.

`AccessTraced` is emitted by the service that answers the caller, in its own outbox, in the transaction of the
answer; audit receives it from all six exchanges (its own included) and keeps it for ever. Ids and codes only.
"""

import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final, Literal

from services.audit.contract_actions import ACTIONS as ACTIONS
from services.audit.contract_alerts import ALERT_RULES as ALERT_RULES
from services.audit.contract_alerts import ALERTS_LIMIT as ALERTS_LIMIT
from services.audit.contract_alerts import AlertNotFound as AlertNotFound
from services.audit.contract_alerts import AlertQueue as AlertQueue
from services.audit.contract_alerts import AlertsCounted as AlertsCounted
from services.audit.contract_alerts import AlertShown as AlertShown
from services.audit.contract_alerts import AlertsRaised as AlertsRaised
from services.audit.contract_alerts import AlertStatistics as AlertStatistics
from services.audit.contract_cases import CASES_LIMIT as CASES_LIMIT
from services.audit.contract_cases import CaseAnswered as CaseAnswered
from services.audit.contract_cases import CaseExists as CaseExists
from services.audit.contract_cases import CaseNotFound as CaseNotFound
from services.audit.contract_cases import CaseOpened as CaseOpened
from services.audit.contract_cases import CaseQueue as CaseQueue
from services.audit.contract_cases import CaseRead as CaseRead
from services.audit.contract_cases import Cases as Cases
from services.audit.contract_cases import CaseShown as CaseShown
from services.audit.contract_events import Event as Event
from services.audit.contract_events import Events as Events
from services.audit.contract_exports import BegunHistoryExport as BegunHistoryExport
from services.audit.contract_exports import HistoryLines as HistoryLines
from services.audit.contract_exports import HistoryStatement as HistoryStatement
from services.audit.contract_exports import HistoryUnattested as HistoryUnattested
from services.audit.contract_histories import DAYS_LIMIT as DAYS_LIMIT
from services.audit.contract_histories import EXPORT_LIMIT as EXPORT_LIMIT
from services.audit.contract_histories import GROUPS as GROUPS
from services.audit.contract_histories import PAGE_LIMIT as PAGE_LIMIT
from services.audit.contract_histories import AccessHistory as AccessHistory
from services.audit.contract_histories import Chronology as Chronology
from services.audit.contract_histories import Done as Done
from services.audit.contract_histories import Entry as Entry
from services.audit.contract_histories import HistoryKind as HistoryKind
from services.audit.contract_histories import Line as Line
from services.audit.contract_log import HEADS_LIMIT as HEADS_LIMIT
from services.audit.contract_log import ConsistencyProof as ConsistencyProof
from services.audit.contract_log import InclusionProof as InclusionProof
from services.audit.contract_log import LeafNotFound as LeafNotFound
from services.audit.contract_log import LogKey as LogKey
from services.audit.contract_log import LogKeys as LogKeys
from services.audit.contract_log import TreeHead as TreeHead
from services.audit.contract_log import TreeHeadNotFound as TreeHeadNotFound
from services.audit.contract_log import TreeHeads as TreeHeads
from services.audit.contract_log import TreeHeadSigned as TreeHeadSigned
from services.audit.contract_oversight import FINDINGS as FINDINGS
from services.audit.contract_oversight import QUEUE_STATES as QUEUE_STATES
from services.audit.contract_oversight import SEARCH_DAYS as SEARCH_DAYS
from services.audit.contract_oversight import WORDS_LENGTH as WORDS_LENGTH
from services.audit.contract_oversight import AlreadySettled as AlreadySettled
from services.audit.contract_oversight import EntriesFound as EntriesFound
from services.audit.contract_oversight import EntryNotFound as EntryNotFound
from services.audit.contract_oversight import InOtherHands as InOtherHands
from services.audit.contract_oversight import NotInHand as NotInHand
from services.audit.contract_oversight import WholeEntry as WholeEntry
from services.audit.contract_statistics import ADDED as ADDED
from services.audit.contract_statistics import DATES_MOST as DATES_MOST
from services.audit.contract_statistics import MONTHS_MOST as MONTHS_MOST
from services.audit.contract_statistics import STANDING as STANDING
from services.audit.contract_statistics import CommuneCovered as CommuneCovered
from services.audit.contract_statistics import Coverage as Coverage
from services.audit.contract_statistics import Statistic as Statistic
from services.audit.contract_statistics import StatisticRow as StatisticRow

NAME: Final = "audit"

CALLS: tuple[str, ...] = ("dossier", "directory")
"""The services audit may call (R7)."""

TRACE_SOURCES: tuple[str, ...] = ("identity", "directory", "dossier", "documents", "audit", "notifications")
"""Every service traces; audit consumes its own readings of the log through its own exchange too."""

SUBSCRIPTIONS: dict[tuple[str, str], str] = {
    **{(source, "access_traced.v1"): "on_access_traced" for source in TRACE_SOURCES},
    ("dossier", "records_merged.v1"): "on_records_merged",
    ("dossier", "records_unmerged.v1"): "on_records_unmerged",
    ("dossier", "mandate_opened.v1"): "on_mandate_opened",
    ("dossier", "mandate_ended.v1"): "on_mandate_ended",
    ("dossier", "circle_member_added.v1"): "on_circle_member_added",
    ("dossier", "circle_member_removed.v1"): "on_circle_member_removed",
    ("dossier", "grant_ended.v1"): "on_grant_ended",
    ("dossier", "referring_physician_changed.v1"): "on_referring_physician_changed",
    ("documents", "document_deposited.v1"): "on_document_deposited",
    ("documents", "confidentiality_changed.v1"): "on_confidentiality_changed",
    ("documents", "document_corrected.v1"): "on_document_corrected",
    ("documents", "document_restricted.v1"): "on_document_restricted",
    ("documents", "document_blocked.v1"): "on_document_blocked",
    ("documents", "document_released.v1"): "on_document_released",
    ("documents", "document_withheld.v1"): "on_document_withheld",
    ("documents", "document_removed.v1"): "on_document_removed",
    ("dossier", "record_opened.v1"): "on_record_opened",
    ("dossier", "record_state_changed.v1"): "on_record_state_changed",
    ("identity", "account_activated.v1"): "on_account_activated",
}

OUTCOMES: frozenset[str] = frozenset({"allowed", "refused"})
Outcome = Literal["allowed", "refused"]


@dataclass(frozen=True)
class AccessTraced:
    """One access or action: who, as what, on which record or object, on what ground, with what outcome [RGD 8].

    `patient_id`, `professional_id`, `profession` and `establishment_id` describe the person who acts; the record
    acted upon is `record_id`. No ordering is promised: entries carry their own time. `digest`: SHA-256 in hex of what
    the entry says beside, kept elsewhere. `redelivered`: the request was handed out before to somebody who died over
    it, and perhaps after tracing it: then this trace says what is told already.
    """

    type: ClassVar[str] = "access_traced.v1"
    subject: ClassVar[str | None] = None
    prompt: ClassVar[bool] = False  # nobody waits for a trace: it may take the relay's next round
    bundled: ClassVar[bool] = True  # one for every answered request

    trace_id: str
    at: str
    action: str
    outcome: str
    account_id: str | None = None
    capacity: str | None = None
    patient_id: str | None = None
    professional_id: str | None = None
    profession: str | None = None
    establishment_id: str | None = None
    record_id: str | None = None
    object_id: str | None = None
    object_type: str | None = None
    ground: str | None = None
    rule: str | None = None
    reason: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    address: str | None = None
    software: str | None = None
    purpose: str | None = None
    count: int | None = None
    digest: str | None = None
    redelivered: bool | None = None


EVENTS: tuple[type, ...] = (AccessTraced, TreeHeadSigned, CaseOpened, CaseAnswered, AlertsRaised)


def traced(
    who: object,
    action: str,
    *,
    at: datetime | str,
    record_id: str | None = None,
    object_id: str | None = None,
    object_type: str | None = None,
    ground: str | None = None,
    rule: str | None = None,
    outcome: Outcome = "allowed",
    reason: str | None = None,
    purpose: str | None = None,
    count: int | None = None,
    account_id: str | None = None,
    capacity: str | None = None,
    patient_id: str | None = None,
    professional_id: str | None = None,
    profession: str | None = None,
    establishment_id: str | None = None,
    session_id: str | None = None,
    digest: str | None = None,
) -> AccessTraced:
    """Returns the trace of one answered request, filled with what is known of who asked.

    `who` is a Caller (its person, capacity and workplace are copied; of business software its client id as account,
    the person it acts for and the purpose it stated), a Context (a call without a session: only request, address and
    software are known) or None (a timer). A fact given by keyword stands before the caller's: identity names the
    account that a log-in was for, though nobody is logged in yet.
    `at` is an aware datetime or an RFC 3339 string; `reason` is the code of the refusal.

    Raises ValueError when the action is not in ACTIONS, the outcome unknown, a refusal has no reason, the digest is no
    digest, or the time has no zone: an entry that cannot be understood must not reach the store [RGD 8].
    """
    if action not in ACTIONS:
        raise ValueError(f"not an action of the catalogue: {action}")
    if outcome not in OUTCOMES:
        raise ValueError(f"not an outcome: {outcome}")
    if outcome == "refused" and reason is None:
        raise ValueError("a refusal is traced with its code")
    if digest is not None and len(bytes.fromhex(digest)) != 32:
        raise ValueError("a digest is a SHA-256")
    moment = _moment(at)
    context = getattr(who, "context", who)
    return AccessTraced(
        trace_id=_time_ordered_id(moment),
        at=moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        action=action,
        outcome=outcome,
        account_id=account_id or _fact(who, "account_id"),
        capacity=capacity or _fact(who, "capacity"),
        patient_id=patient_id or _fact(who, "patient_id"),
        professional_id=professional_id or _fact(who, "professional_id"),
        profession=profession or _fact(who, "profession"),
        establishment_id=establishment_id or _fact(who, "establishment_id"),
        record_id=record_id,
        object_id=object_id,
        object_type=object_type,
        ground=ground,
        rule=rule,
        reason=reason,
        session_id=session_id or _fact(who, "session_id"),
        request_id=_fact(context, "request_id"),
        address=_fact(context, "address"),
        software=_fact(context, "software"),
        purpose=purpose or _fact(who, "purpose"),
        count=count,
        digest=digest,
        redelivered=getattr(context, "redelivered", False) or None,
    )


def _moment(at: datetime | str) -> datetime:
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    if moment.tzinfo is None:
        raise ValueError("a trace carries its zone")
    return moment


def _fact(who: object, name: str) -> str | None:
    value = getattr(who, name, None)
    return None if value is None else str(value)


def _time_ordered_id(moment: datetime) -> str:
    # A UUIDv7 by hand: a contract imports the standard library only, and the store's index wants ids in time order.
    milliseconds = int(moment.timestamp() * 1000) & ((1 << 48) - 1)
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))
