"""A try of a presence code, in two transactions with the hashing between them.

The first notes the try, so that tries made at once are all counted and a process that dies forgives none; it is
committed before the code is looked at. The second judges again, at the moment of the answer, and settles what the
try was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from services.bus import emit
from services.db import rfc3339
from services.dossier import contract, rules, store, store_mandates, store_presence
from services.dossier.answers import allowed, announce_first_access, invalid, mandate_shown, refused
from services.dossier.tables import tables_at
from services.refusals import Refusal, TooManyTries
from services.tokens import Caller

KIND = "presence"
OPENED = "mandate.opened"
_THROTTLES = ("presence_code_per_record", "presence_code_per_professional")


@dataclass(frozen=True)
class Try:
    """A try that was noted, and what it is to be compared with; kept is None when there is nothing."""

    try_id: str
    code_id: str | None
    kept: str | None


def counted(at: datetime) -> timedelta:
    """How long a try counts against those that follow it."""
    return max(tables_at(at).throttles[name].window for name in _THROTTLES)


def require_declaration(presence_code: object, declaration_accepted: object, wording_version: object) -> None:
    """The code is a text, and the declaration was accepted in a wording we know. Refuses: InvalidInput."""
    if not isinstance(presence_code, str) or not presence_code.strip():
        raise invalid("/presence_code", "required")
    if declaration_accepted is not True:
        raise invalid("/declaration_accepted", "must_be_accepted")
    if wording_version not in contract.DECLARATION_WORDINGS:
        raise invalid("/wording_version", "unknown")


def note_try(session: Session, caller: Caller, professional_id: str, record_id: str, at: datetime) -> Try | Refusal:
    """Notes a try, refused when there were too many: nothing is looked at then, whatever the record."""
    store_presence.lock_tries(session, professional_id)
    here, everywhere = store_presence.tries(session, professional_id, record_id, at - counted(at))
    here_and_everywhere = zip(_THROTTLES, (here, everywhere), strict=True)
    wait = max(rules.wait_before_try(tables_at(at).throttles[name], *tries, at) for name, tries in here_and_everywhere)
    try_id = store_presence.insert_try(session, professional_id, record_id, "put_off" if wait else "looked_at", at)
    if wait:
        return refused(session, caller, OPENED, at, record_id, TooManyTries(retry_after=wait))
    return Try(try_id, *store_presence.current_presence_code(session, record_id))


def settle_try(
    session: Session, caller: Caller, record_id: str, tried: Try, right: bool, wording_version: str, at: datetime
) -> dict[str, Any] | Refusal:
    """The mandate that a right code opens, or the one refusal for every reason there is."""
    store.lock_record(session, record_id)
    facts = store.situation(session, caller, record_id, at)
    # Asked again: a code regenerated while this one was compared is no code any more.
    code_id, _ = store_presence.current_presence_code(session, record_id)
    opens = right and code_id == tried.code_id and rules.may_open_presence_mandate(tables_at(at), facts)
    store_presence.settle_try(session, tried.try_id, "right" if opens else "wrong")
    if not opens:
        _tell_holder(session, facts, at)
        return refused(session, caller, OPENED, at, record_id, contract.PresenceCodeRefused())
    mandate = _mandate(session, caller, record_id, wording_version, at)
    grant = rules.Grant(mandate.kind, mandate.starts_at, mandate.read_until, mandate.deposit_until)
    scope = rules.scope(tables_at(at), rules.with_grant(facts, grant), at)
    announce_first_access(session, facts, scope, at)
    allowed(
        session,
        caller,
        OPENED,
        at,
        scope,
        named=(KIND, tables_at(at).grounds[KIND][0].rule),
        object_id=mandate.mandate_id,
        object_type="mandate",
        purpose=wording_version,
    )
    shown = mandate_shown(mandate)
    return {name: shown[name] for name in ("mandate_id", "kind", "starts_at", "read_until", "deposit_until")}


def _mandate(session: Session, caller: Caller, record_id: str, wording_version: str, at: datetime) -> Any:
    """The presence mandate under which this professional reads: the running one, or a new one."""
    assert caller.professional_id is not None
    running = store_mandates.reading_mandate(session, record_id, caller.professional_id, KIND, at)
    if running is not None:
        return running
    kind = tables_at(at).mandate_kinds[KIND]
    mandate = store_mandates.insert_mandate(
        session,
        {
            "record_id": record_id,
            "professional_id": caller.professional_id,
            "establishment_id": caller.establishment_id,
            "kind": KIND,
            "wording_version": wording_version,
            "starts_at": at,
            "read_until": at + kind.reads,
            "deposit_until": at + kind.deposits,
            "opened_by": caller.account_id,
        },
    )
    opened = (mandate.mandate_id, caller.professional_id, KIND, caller.establishment_id)
    emit(session, contract.MandateOpened(record_id, *opened))
    return mandate


def _tell_holder(session: Session, facts: rules.Facts, at: datetime) -> None:
    if facts.patient_id is not None and facts.professional_id is not None:
        emit(
            session,
            contract.PresenceCodeTried(facts.record_id, facts.patient_id, facts.professional_id, rfc3339(at)),
        )
