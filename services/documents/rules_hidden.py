"""Who may hide a document from whom, and when a patient block falls due: pure decisions over a scope and the facts."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Literal

from services.documents.rules import Facts, Grant, Scope, may_change_level, may_read

REMINDED_AFTER = timedelta(days=23)
"""How long after a patient block its author is reminded [L14 16(5)]."""

ESCALATED_AFTER = timedelta(days=30)
"""How long after it the referring physician is told too [L14 16(5)]."""

REASON_LENGTH = 500

Step = Literal["released", "escalated", "reminded"]

# --- rights -----------------------------------------------------------------------------------------------------------


def may_restrict(scope: Scope, facts: Facts) -> Grant | None:
    """What lets this caller hide the document from a professional and ask who sees it: the holder side, what it sees.

    [RGD 6(3)]
    """
    return may_read(scope, facts) if scope.holder_side else None


def may_block(scope: Scope, facts: Facts) -> Grant | None:
    """What lets this caller hide the document from the holder side, and show it again, or None.

    A professional may, on one ground that reaches it and lets them deposit its category; its author, who reads it at
    every level, on any ground that lets them deposit it. What the holder deposited stays the holder's
    [L14 16(5), L14 18(2)].
    """
    if scope.holder_side or facts.author_id is None or facts.restricted:
        return None
    grant = may_change_level(scope, facts)
    if grant is not None or scope.author_id != facts.author_id:
        return grant
    depositing = (each for each in scope.clauses if each.deposits(facts.category, facts.type, facts.folder))
    return next((Grant(each.ground, each.rule) for each in depositing), None)


def may_withhold(scope: Scope, facts: Facts) -> Grant | None:
    """What lets this caller hide the document from the legal representatives: while the minor is held to be autonomous.

    [L14 13]
    """
    return may_show(scope, facts) if scope.autonomous_minor else None


def may_show(scope: Scope, facts: Facts) -> Grant | None:
    """What lets this caller show a withheld document again: the minor's own ground, or a professional's as for a block.

    Who comes of age keeps this right when the flag is gone.
    """
    if not scope.holder_side:
        return may_block(scope, facts)
    if may_read(scope, facts) is None:
        return None
    return next((Grant(each.ground, each.rule) for each in scope.clauses if each.ground == "holder"), None)


# --- what is said -----------------------------------------------------------------------------------------------------


def read_reason(reason: object) -> str | None:
    """The reason of a block in one line, or None when it is none: empty, too long, or not a text."""
    if not isinstance(reason, str):
        return None
    clean = " ".join(unicodedata.normalize("NFC", reason).split())
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in clean):
        return None
    return clean if 1 <= len(clean) <= REASON_LENGTH else None


def read_moment(moment: object) -> datetime | None:
    """A moment in RFC 3339 with its zone, or None when it is none."""
    if not isinstance(moment, str) or not 10 < len(moment) <= 40:
        return None
    try:
        read = datetime.fromisoformat(moment)
        return read.astimezone(UTC) if read.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


# --- time -------------------------------------------------------------------------------------------------------------


def step_due(
    since: datetime, reminded_at: datetime | None, escalated_at: datetime | None, release_after: timedelta | None,
    at: datetime,
) -> Step | None:  # fmt: skip
    """What is to be done about a running block now; the furthest step alone, because it says what the others would.

    release_after: None where no block ends by itself, as the agency sets it [domain, Confidentiality].
    """
    if release_after is not None and since + release_after <= at:
        return "released"
    if escalated_at is None and since + ESCALATED_AFTER <= at:
        return "escalated"
    if reminded_at is None and escalated_at is None and since + REMINDED_AFTER <= at:
        return "reminded"
    return None
