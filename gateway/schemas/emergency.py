"""Shapes of access on a professional's own word: in an emergency, or on their own responsibility."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Text
from gateway.schemas.people import ID, TIME
from services.dossier.contract import (
    EMERGENCY_REASONS,
    OWN_ACCESSES,
    REASON_LENGTH,
    RESPONSIBILITY_CONDITIONS,
    RESPONSIBILITY_WORDINGS,
)

WORDING = max(RESPONSIBILITY_WORDINGS)
LATER = "2026-11-22T09:30:00.000000Z"


class OwnAccess(Shape):
    mandate_id = Id()
    kind = Choice(OWN_ACCESSES)
    starts_at = Moment()
    read_until = Moment("24 hours after.")
    example: ClassVar = {"mandate_id": ID, "kind": "emergency", "starts_at": TIME, "read_until": LATER}


class EmergencyStated(Shape):
    """The reason is shown to the holder, and to the officer who reviews the access."""

    reason_category = Choice(EMERGENCY_REASONS, required=True)
    reason = Text("In the professional's own words.", maximum=REASON_LENGTH, required=True)
    example: ClassVar = {"reason_category": "unable_to_consent", "reason": "Patient inconscient, sans entourage."}


class ResponsibilityTaken(Shape):
    """The three conditions, each accepted by itself; the reason is shown to the holder and to the reviewing officer."""

    reason = Text("In the professional's own words.", maximum=REASON_LENGTH, required=True)
    conditions_accepted = Listed(
        Choice(RESPONSIBILITY_CONDITIONS), " ".join(RESPONSIBILITY_WORDINGS[WORDING].values()), maximum=10,
        required=True,
    )  # fmt: skip
    wording_version = Choice(tuple(RESPONSIBILITY_WORDINGS), "Version of the conditions shown.", required=True)
    example: ClassVar = {
        "reason": "Renouvellement d'un traitement sans ordonnance sur papier.",
        "conditions_accepted": list(RESPONSIBILITY_CONDITIONS),
        "wording_version": WORDING,
    }
