"""Who may exchange messages with the holder side of a record. Pure: no clock, no database."""

from __future__ import annotations

from typing import Final

from services.dossier.contract import AccessScope

LASTING: Final = ("referring_physician", "circle")
"""The grounds that the holder gave without an end: who is let in for a day, or let themselves in, writes to nobody."""


def ground_of_writing(scope: AccessScope) -> str | None:
    """On what ground a professional may write to the holder side now, and be written to; None where there is none.

    The scope is the one of every decision: a closed record, a block, a licence that is not valid leave nothing in it.
    """
    return next((clause.ground for clause in scope.clauses if clause.ground in LASTING), None)
