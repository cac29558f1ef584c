"""How an access is opened on a professional's own word, whatever its kind: asked, judged, told, put up for review.

Nothing is compared here that takes time, so one transaction does it all: the professional's tries take turns, and
every reason that lies in the record is one refusal after the same work.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.bus import emit
from services.db import rfc3339
from services.dossier import contract, rules, rules_own_access, store, store_mandates, store_own_access, store_reviews
from services.dossier.answers import allowed, announce_first_access, refused
from services.dossier.tables import tables_at
from services.refusals import NotAllowed, Refusal, TooManyTries
from services.tokens import Caller

OPENED: dict[str, str] = {"emergency": "emergency.opened", "responsibility": "responsibility.opened"}
_REFUSED: dict[str, type[Refusal]] = {
    "emergency": contract.EmergencyRefused,
    "responsibility": contract.ResponsibilityRefused,
}
_TOLD: dict[str, type[contract.EmergencyAccessOpened] | type[contract.ResponsibilityAccessOpened]] = {
    "emergency": contract.EmergencyAccessOpened,
    "responsibility": contract.ResponsibilityAccessOpened,
}


@dataclass(frozen=True)
class Asked:
    """What a professional asks for and states. reason: their own words, kept with the mandate and nowhere else.

    purpose: the code that the trace carries in their stead.
    """

    kind: str
    record_id: str
    reason: str
    wording_version: str
    purpose: str
    reason_category: str | None = None


def throttles(kind: str) -> tuple[str, str]:
    """The rows of throttles.csv for an access of this kind: on one record, and of one professional."""
    return f"{kind}_per_record", f"{kind}_per_professional"


def counted(at: datetime) -> timedelta:
    """How long a try counts against those that follow it."""
    tables = tables_at(at)
    return max(tables.throttles[name].window for kind in tables.own_accesses for name in throttles(kind))


def require_asker(session: Session, caller: Caller, kind: str, at: datetime) -> NotAllowed | None:
    """The refusal for whoever may not ask at all: about them alone, so it may be told."""
    if caller.capacity != "professional" or caller.professional_id is None:
        return NotAllowed()
    tables = tables_at(at)
    attached = tables.own_accesses[kind].attached and store_own_access.is_attached(
        session, caller.professional_id, caller.establishment_id
    )
    return None if rules_own_access.may_ask(tables, kind, caller.profession, attached) else NotAllowed()


def open_access(session: Session, caller: Caller, asked: Asked, at: datetime) -> dict[str, Any] | Refusal:
    """The access that is opened, or the one that runs already; else the one refusal for every reason there is."""
    assert caller.professional_id is not None
    kind, record_id, whose = asked.kind, asked.record_id, caller.professional_id
    store_own_access.lock_tries(session, whose)
    wait = _wait(session, kind, whose, record_id, at)
    if wait:
        store_own_access.insert_try(session, kind, whose, record_id, "put_off", at)
        return refused(session, caller, OPENED[kind], at, record_id, TooManyTries(retry_after=wait))
    store.lock_record(session, record_id)
    facts = store.situation(session, caller, record_id, at)
    given = rules_own_access.opened_clause(tables_at(at), facts, kind, at)
    running = store_mandates.reading_mandate(session, record_id, whose, kind, at)
    if given is None:
        store_own_access.insert_try(session, kind, whose, record_id, "refused", at)
        return refused(session, caller, OPENED[kind], at, record_id, _REFUSED[kind]())
    scope, clause = given
    mandate = running or _opened(session, caller, asked, facts, at)
    announce_first_access(session, facts, scope, at)
    allowed(
        session, caller, OPENED[kind], at, scope, named=(clause.ground, clause.rule),
        object_id=mandate.mandate_id, object_type="mandate", purpose=asked.purpose,
    )  # fmt: skip
    return {
        "mandate_id": mandate.mandate_id,
        "kind": kind,
        "starts_at": rfc3339(mandate.starts_at),
        "read_until": rfc3339(mandate.read_until),
    }


def _wait(session: Session, kind: str, professional_id: str, record_id: str, at: datetime) -> int:
    found = store_own_access.tries(
        session, kind, professional_id, record_id, at - counted(at), rules_own_access.COUNTED[kind]
    )
    here_and_everywhere = zip(throttles(kind), found, strict=True)
    return max(rules.wait_before_try(tables_at(at).throttles[name], *tries, at) for name, tries in here_and_everywhere)


def _opened(session: Session, caller: Caller, asked: Asked, facts: rules.Facts, at: datetime) -> Any:
    """A new mandate of this kind, told at once and put up for review."""
    assert caller.professional_id is not None and facts.patient_id is not None
    kind = tables_at(at).mandate_kinds[asked.kind]
    mandate = store_mandates.insert_mandate(
        session,
        {
            "record_id": asked.record_id,
            "professional_id": caller.professional_id,
            "establishment_id": caller.establishment_id,
            "kind": asked.kind,
            "wording_version": asked.wording_version,
            "starts_at": at,
            "read_until": at + kind.reads,
            "deposit_until": at + kind.deposits,
            "opened_by": caller.account_id,
            "reason_category": asked.reason_category,
            "reason": asked.reason,
        },
    )
    store_reviews.insert_review(session, mandate, asked.record_id, at)
    store_own_access.insert_try(session, asked.kind, caller.professional_id, asked.record_id, "opened", at)
    told = (asked.record_id, facts.patient_id, mandate.mandate_id, caller.professional_id, rfc3339(at))
    emit(session, contract.MandateOpened(asked.record_id, mandate.mandate_id, caller.professional_id, asked.kind))
    emit(session, _TOLD[asked.kind](*told))
    return mandate


def stated(row: Any | None) -> dict[str, Any]:
    """What stands beside a mandate for the holder side: what was stated for it, and how it was reviewed."""
    if row is None:
        return {"reason_category": None, "reason": None, "review": None}
    review = {"verdict": row.verdict, "settled_at": None if row.settled_at is None else rfc3339(row.settled_at)}
    return {"reason_category": row.reason_category, "reason": row.reason, "review": review}
