"""Who of an establishment reads a document, and until when by the clock: the same decision, for many questions at once.

The scopes are computed once for each professional, record and workplace, however many documents are asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.dossier.contract import AccessScope, DocumentFacts
from services.dossier.rules import Facts, grant_of_reading
from services.dossier.rules_decisions import Decision, ends
from services.dossier.rules_tables import Tables


@dataclass(frozen=True)
class Reader:
    """A professional who may read a document now; until: when that ends by the clock alone, None where it does not."""

    professional_id: str
    until: datetime | None


def reader_of(
    tables: Tables, there: Sequence[tuple[Facts, AccessScope]], document: DocumentFacts, now: datetime
) -> Reader | None:
    """Of the professionals of one workplace one who may read the document now: who may do so longest; None: nobody."""
    best: Reader | None = None
    for facts, given in there:
        granted = grant_of_reading(given, document)
        if granted is None or facts.professional_id is None:
            continue
        until = _until(tables, facts, given, granted, now)
        if best is None or _outlasts(until, best.until):
            best = Reader(facts.professional_id, until)
        if best.until is None:
            break
    return best


def _until(
    tables: Tables, facts: Facts, given: AccessScope, granted: tuple[str, str], now: datetime
) -> datetime | None:
    clause = next((each for each in given.clauses if (each.ground, each.rule) == granted), None)
    ground, rule = granted
    return ends(tables, facts, Decision(True, ground, rule, clause=clause), now)


def _outlasts(one: datetime | None, other: datetime | None) -> bool:
    return other is not None and (one is None or one > other)


def sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    """Which of two ends comes first; None is none."""
    return min((moment for moment in (one, other) if moment is not None), default=None)


def as_if_open(facts: Facts) -> Facts:
    """The situation as it would be in a record that is not closed: whom its closing concerns."""
    return replace(facts, state="active") if facts.state == "closed" else facts
