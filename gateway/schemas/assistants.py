"""Shapes of assistants and of the invitations they accept."""

from __future__ import annotations

from typing import Any, ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Part, Secret, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.dossier.contract import ASSISTANT_STATES

CODE = "7HXKM-QPRT3-4ACDE-FGJ69"
_EXAMPLE: dict[str, Any] = {
    "assistant_id": ID,
    "name": "Ma fille",
    "state": "invited",
    "invited_at": TIME,
    "code_until": TIME,
    "accepted_at": None,
    "until": None,
    "ended_at": None,
}


class AssistantWanted(Shape):
    name = Text("What the holder calls them.", maximum=80, required=True)
    until = Moment("When the assistance ends by itself.", allow_none=True)
    example: ClassVar = {"name": "Ma fille", "until": None}


class Assistant(Shape):
    assistant_id = Id()
    name = Text("What the holder calls them.")
    state = Choice(ASSISTANT_STATES)
    invited_at = Moment()
    code_until = Moment("Until when the invitation can be accepted; null once it cannot.", allow_none=True)
    accepted_at = Moment(allow_none=True)
    until = Moment("When the assistance ends by itself.", allow_none=True)
    ended_at = Moment("When somebody ended it.", allow_none=True)
    example: ClassVar = _EXAMPLE


class AssistantInvited(Assistant):
    code = Secret("For the holder to hand over; shown this once.")
    example: ClassVar = {**_EXAMPLE, "code": CODE}


class Assistants(Shape):
    assistants = Listed(Part(Assistant))
    example: ClassVar = {"assistants": [_EXAMPLE]}


class InvitationCode(Shape):
    code = Secret("As the holder handed it over; case, spaces and hyphens do not count.", maximum=64, required=True)
    example: ClassVar = {"code": CODE}


class InvitationAccepted(Shape):
    assistant_id = Id()
    record_id = Id()
    patient_id = Id("Whose record it is.")
    patient_name = Text(allow_none=True)
    until = Moment(allow_none=True)
    example: ClassVar = {
        "assistant_id": ID,
        "record_id": OTHER_ID,
        "patient_id": ID,
        "patient_name": "DOE Jane",
        "until": None,
    }
