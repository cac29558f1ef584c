"""What documents tells the house of timelines: what happened in a record, in the order of time."""

from __future__ import annotations

from typing import TypedDict

TIMELINE_KINDS: tuple[str, ...] = ("document", "risk_factor", "state", "mandate")
"""What stands in a timeline: the four filters of seed 002."""

RISK_FACTOR_TYPES: tuple[str, ...] = ("individual_risk_factors",)
"""The types of document that are risk factors themselves."""

ENTRY_KINDS: tuple[str, ...] = ("problem", "allergy", "risk_factor")
"""The kinds of coded entries that are read from a CDA; all of them stand among the risk factors."""


class CodedEntry(TypedDict):
    """A coded entry of a document; since: the day it began, where that is told."""

    number: int
    kind: str
    display: str
    code: str | None
    system: str | None
    since: str | None


class StateStep(TypedDict):
    """A state that the record came into; the rest is null for who may not see its history."""

    state: str
    previous: str | None
    cause: str | None
    by: str | None


class MandateStep(TypedDict):
    """A mandate that was opened or ended."""

    step: str
    mandate_id: str
    kind: str
    professional_id: str | None
    establishment_id: str | None
    read_until: str
    deposit_until: str
