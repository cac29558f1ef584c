"""Who may represent a holder and until when, whom a letter reaches, and when a minor counts as autonomous. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from services.dossier.contract import AccessScope, NotMinor, RecordNotFound, RepresentativeRefused
from services.dossier.rules import Facts
from services.dossier.rules_tables import RepresentativeKind, Tables
from services.refusals import InvalidInput, NotAllowed

PROOF_LENGTH = 300

MAJORITY, TIME = "majority", "time"
"""Why a representation ends by itself."""


class Period(Protocol):
    """The times of a representation; `until`: the end that was foreseen, ended_at: the one that came before it."""

    since: datetime
    until: datetime | None
    ended_at: datetime | None


def require_kind(tables: Tables, kind: object) -> RepresentativeKind:
    """The row of this kind. Refuses: InvalidInput."""
    found = tables.representative_kinds.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise InvalidInput(errors=[{"pointer": "/kind", "message": "choice"}])
    return found


def require_text(value: object, pointer: str, longest: int) -> str:
    """A text of somebody's own, without blanks around it. Refuses: InvalidInput."""
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise InvalidInput(errors=[{"pointer": pointer, "message": "required"}])
    if len(text) > longest:
        raise InvalidInput(errors=[{"pointer": pointer, "message": "too_long"}])
    return text


def require_end(value: object, pointer: str, now: datetime) -> datetime | None:
    """A moment to come, RFC 3339 with its zone; None for no end. Refuses: InvalidInput."""
    if value is None:
        return None
    moment = moment_of(value)
    if moment is None:
        raise InvalidInput(errors=[{"pointer": pointer, "message": "moment"}])
    if moment <= now:
        raise InvalidInput(errors=[{"pointer": pointer, "message": "past"}])
    return moment


def moment_of(value: object) -> datetime | None:
    """A moment in UTC; None for what is none, or has no zone."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def refusal_of_kind(
    kind: RepresentativeKind, majority_at: datetime | None, now: datetime
) -> RepresentativeRefused | None:
    """The refusal of a kind that there is for minors only, when the holder is of age or nobody knows."""
    if kind.for_adults or is_minor(majority_at, now):
        return None
    return RepresentativeRefused()


def is_minor(majority_at: datetime | None, now: datetime) -> bool:
    """Whether somebody comes of age only later."""
    return majority_at is not None and now < majority_at


def end_of(
    kind: RepresentativeKind, until: datetime | None, majority_at: datetime | None, now: datetime
) -> tuple[datetime | None, str]:
    """When a representation ends by itself, and why: of a minor at majority, or before."""
    if (
        kind.ends_at_majority
        and majority_at is not None
        and now < majority_at
        and (until is None or majority_at <= until)
    ):
        return majority_at, MAJORITY
    return until, TIME


def runs(grant: Period, now: datetime) -> bool:
    """Whether something is in force: begun, and over neither by time nor by anybody's word."""
    return grant.since <= now and grant.ended_at is None and (grant.until is None or now < grant.until)


def sitting_until(kind: RepresentativeKind, until: datetime | None, now: datetime) -> datetime:
    """Until when the holder lets act who acts only together: a sitting, and never longer than the representation."""
    ends = now + kind.together
    return ends if until is None else min(ends, until)


def may_sit(tables: Tables, representative: Any | None, now: datetime) -> bool:
    """Whether somebody is in force who acts only together with the holder."""
    if representative is None or not runs(representative, now):
        return False
    return not tables.representative_kinds[representative.kind].acts_alone


def letter_recipients(tables: Tables, representatives: Sequence[Any], patient_id: str, now: datetime) -> list[str]:
    """To whom letters about a record go: those who act alone for the holder, else the holder [RGD 2].

    representatives: in the order in which they were recorded, each with kind, patient_id and its times.
    """
    reached = [
        each.patient_id
        for each in representatives
        if runs(each, now)
        and tables.representative_kinds[each.kind].acts_alone
        and tables.representative_kinds[each.kind].gets_letter
    ]
    return list(dict.fromkeys(reached)) or [patient_id]


def require_autonomy(facts: Facts, scope: AccessScope, minor: bool) -> RecordNotFound | NotAllowed | NotMinor | None:
    """The refusal for everybody but a physician who may deposit, and for a holder of age [L14 13].

    minor: whether the holder is; to take the flag back, it is not asked about.
    """
    if not scope.clauses:
        return RecordNotFound()
    deposits = any(clause.deposit for clause in scope.clauses)
    if scope.holder_side or facts.profession != "physician" or not deposits:
        return NotAllowed()
    return None if minor else NotMinor()
