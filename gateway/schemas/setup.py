"""Shapes of the set-up assistant."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Flag, Listed, Moment, Part
from gateway.schemas.people import TIME
from services.dossier.contract import HOLDER_SIDE, SETUP_STATES, SETUP_STEPS


class SetupStep(Shape):
    step = Choice(SETUP_STEPS)
    state = Choice(SETUP_STATES)
    by = Choice(HOLDER_SIDE, "As whom somebody brought it there.", allow_none=True)
    at = Moment(allow_none=True)
    may_do = Flag("Whether what the step is about is for the caller to do.")


class Setup(Shape):
    """The steps in the order of the menu in which a holder manages the record."""

    steps = Listed(Part(SetupStep))
    next = Choice(SETUP_STEPS, "The first open step that the caller may do.", allow_none=True)
    example: ClassVar = {
        "steps": [
            {"step": "organ_donation", "state": "done", "by": "holder", "at": TIME, "may_do": True},
            {"step": "circle", "state": "open", "by": None, "at": None, "may_do": True},
        ],
        "next": "circle",
    }


class SetupStepState(Shape):
    state = Choice(SETUP_STATES, required=True)
    example: ClassVar = {"state": "done"}
