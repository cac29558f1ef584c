"""The life of a record as pure decisions: who may take which step, and when time alone takes one [RGD 2-4]."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from services.dossier.contract import NotInThisState, RecordNotFound
from services.dossier.rules_tables import Tables
from services.refusals import NotAllowed

BEGINNINGS: tuple[str, ...] = ("affiliation", "identity_checked", "activation", "reopening", "unmerged")
"""The steps after which the years without access are counted anew."""

MOVES: tuple[str, ...] = ("merged", "unmerged")
"""The steps that lead a record to another one and back: they say nothing about why its holder has it closed."""


@dataclass(frozen=True)
class Life:
    """Where a record stands in its life.

    merged: it leads to another one, which speaks for it. began_at: its last step among BEGINNINGS. accessed_on: the
    last day on which somebody was let in. opened_at: the first step of all. closed_for: the cause for which it is
    closed; closed_from: the state it had before that.
    """

    record_id: str
    patient_id: str
    state: str
    since: datetime
    merged: bool
    began_at: datetime
    opened_at: datetime
    accessed_on: date | None
    closed_for: str | None = None
    closed_from: str | None = None


def require_step(tables: Tables, life: Life, becomes: str, cause: str) -> NotInThisState | None:
    """The refusal of a step that the life cycle does not have from here, or of any while the record is merged.

    A death is noted once: a second one would have the first look as if it had come to a record closed before.
    """
    noted = cause == "death" and life.closed_for == "death"
    if life.merged or noted or (life.state, becomes, cause) not in tables.life_cycle:
        return NotInThisState(state=life.state)
    return None


def hidden_state(holder_side: bool) -> NotAllowed | RecordNotFound:
    """The refusal of who may not see or take this: to the holder side the record is there, to others it is not."""
    return NotAllowed() if holder_side else RecordNotFound()


def require_reopening(tables: Tables, life: Life, agency: bool, now: datetime) -> NotInThisState | NotAllowed | None:
    """The refusal of a reopening: of what is not closed, too late, or by the wrong side.

    After a death only the agency acts, before it only the holder side.
    """
    refusal = require_step(tables, life, *reopening(life))
    if refusal is not None or tables.life_periods["deletion"].after(life.since) <= now:
        return refusal or NotInThisState(state=life.state)
    return None if (life.closed_for == "death") is agency else NotAllowed()


def reopening(life: Life) -> tuple[str, str]:
    """State and cause that a reopening leads to.

    A death that was noted by mistake leaves a record closed that its holder had closed before.
    """
    if life.closed_for == "death" and life.closed_from == "closed":
        return "closed", "death_withdrawn"
    return "active", "reopening"


def after_opposition(tables: Tables, life: Life) -> tuple[str, str] | None:
    """State and cause that an opposition with the letter's code leads to; None when the record is active or gone.

    It deletes a record that nobody could use yet. One that came too late, and found the record open by lapse, closes
    it, as its holder may ask at any time: what professionals wrote meanwhile is not theirs to destroy.
    """
    for becomes, cause in (("deleted", "opposition"), ("closed", "holder_request")):
        if life.state not in ("active", "closed") and require_step(tables, life, becomes, cause) is None:
            return becomes, cause
    return None


def closes_without_access(tables: Tables, life: Life) -> datetime:
    """When the record will have been without access for the years after which it is closed.

    The day of the last access counts as a whole: at which hour somebody came is not kept.
    """
    period = tables.life_periods["inactivity"]
    closes_at = period.after(life.began_at)
    if life.accessed_on is None:
        return closes_at
    return max(closes_at, period.after(datetime.combine(life.accessed_on, time(), UTC)) + timedelta(days=1))


def days_to_come(tables: Tables, life: Life, lapses_at: datetime | None) -> dict[str, date | None]:
    """The days on which time alone takes the next steps; lapses_at: when the letter's time is over."""
    days: dict[str, date | None] = {"lapses_on": None, "closes_on": None, "deleted_on": None}
    if life.merged:
        return days
    if lapses_at is not None and require_step(tables, life, "open_by_lapse", "lapse") is None:
        days["lapses_on"] = lapses_at.date()
    if require_step(tables, life, "closed", "ten_years_without_access") is None:
        days["closes_on"] = closes_without_access(tables, life).date()
    if require_step(tables, life, "deleted", "ten_years_closed") is None:
        days["deleted_on"] = tables.life_periods["deletion"].after(life.since).date()
    return days
