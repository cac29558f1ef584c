"""Assistants: invited by the holder, accepting with the code they were handed, reading along until somebody ends it."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import assistants as shapes

assistants = APIBlueprint("assistants", __name__)

ALL = "/records/<uuid:record_id>/assistants"


@operation(
    assistants, "GET", ALL, summary="List assistants", answer=shapes.Assistants,
    refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def list_assistants(record_id: str) -> Any:
    """Whoever was invited, by the name the holder gave them, and what became of it; the newest first."""
    return ask("dossier", "assistants", record_id=record_id)


@operation(
    assistants, "POST", ALL, summary="Invite an assistant", answer=shapes.AssistantInvited, status=201,
    body=shapes.AssistantWanted, once=True,
    refuses=("record_not_found", "record_closed", "not_allowed", "invitation_refused"),
)  # fmt: skip
def invite_assistant(record_id: str, body: dict[str, Any]) -> Any:
    """By the holder or who represents them, never by software. The code is shown this once: the holder hands it over.

    A repeat finds the same invitation, with a code of its own.
    """
    return ask("dossier", "invite_assistant", record_id=record_id, **body)


@operation(
    assistants, "DELETE", f"{ALL}/<uuid:assistant_id>", summary="End an assistance", status=204,
    refuses=("record_not_found", "record_closed", "not_allowed", "assistant_not_found"),
)  # fmt: skip
def end_assistant(record_id: str, assistant_id: str) -> Any:
    """By the holder side with the right to, or by the assistant: an invitation is void, an assistance ends at once."""
    ask("dossier", "end_assistant", record_id=record_id, assistant_id=assistant_id)


@operation(
    assistants, "POST", "/assistant-invitations", summary="Accept an invitation",
    answer=shapes.InvitationAccepted, status=201, body=shapes.InvitationCode, once=True,
    refuses=("invitation_refused",),
)  # fmt: skip
def accept_invitation(body: dict[str, Any]) -> Any:
    """By the person who was handed the code. The record is among theirs from now on; every refusal is the same."""
    accepted = ask("dossier", "accept_invitation", code=body["code"])
    return named([accepted], patient="patient_id", name="patient_name", profession=None)[0]
