"""The set-up assistant's checklist: its steps in order, and which one is next. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.dossier.contract import SETUP_STATES, AccessScope, SetupStepNotFound
from services.dossier.rules import acting_clause
from services.dossier.rules_tables import SetupStep, Tables
from services.refusals import InvalidInput


@dataclass(frozen=True)
class Progress:
    """How far one step is, as whom it was brought there, when; may_do: whether this is for the one who asks to do."""

    step: str
    state: str
    ground: str | None
    at: datetime | None
    may_do: bool


def checklist(tables: Tables, scope: AccessScope, told: Sequence[tuple[str, str, str, datetime]]) -> list[Progress]:
    """Every step in the order of the table; what nobody spoke of is open, and a step that is no more is left out.

    told: step, state, ground and moment of those that were done or put aside.
    """
    known = {step: (state, ground, at) for step, state, ground, at in told}
    progress = []
    for each in tables.setup_steps:
        state, ground, at = known.get(each.step, ("open", None, None))
        progress.append(Progress(each.step, state, ground, at, acting_clause(tables, scope, each.action) is not None))
    return progress


def next_step(steps: Collection[Progress]) -> str | None:
    """The first open step that is for the one who asks to do; None when there is none left."""
    return next((each.step for each in steps if each.state == "open" and each.may_do), None)


def require_step(tables: Tables, step: object) -> SetupStep | SetupStepNotFound:
    """The row of this step, or the refusal for one that there is not."""
    return next((each for each in tables.setup_steps if each.step == step), SetupStepNotFound())


def require_state(state: object) -> str:
    """One of SETUP_STATES. Refuses: InvalidInput."""
    if not isinstance(state, str) or state not in SETUP_STATES:
        raise InvalidInput(errors=[{"pointer": "/state", "message": "choice"}])
    return state
