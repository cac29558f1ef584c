"""Who is told of which states and mandates in a timeline: pure decisions over a scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.dossier.contract import AccessScope

States = Literal["all", "common", "none"]

COMMON_STATES: tuple[str, ...] = ("open", "open_by_lapse", "active")
"""The states that concern everybody who reads in a record; that it was closed for a time concerns its holder."""


@dataclass(frozen=True)
class Told:
    """states: every step with its cause; or that it was opened and became active, without; or nothing.

    all_mandates: of everybody, else those of who asks and of where they work.
    """

    states: States
    all_mandates: bool


def told_to(given: AccessScope) -> Told:
    """What this caller is told: the holder side and the referring physician of everything [domain, Pages].

    Who deposits without reading, as under an order, learns nothing of the record but their own mandate.
    """
    if given.holder_side or any(clause.ground == "referring_physician" for clause in given.clauses):
        return Told("all", True) if given.clauses else Told("none", False)
    return Told("common" if any(clause.read for clause in given.clauses) else "none", False)
