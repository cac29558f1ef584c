"""The agency's work: opening records, inviting to an account. What it does in the directories is in their files."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import people as shapes
from gateway.schemas import sheets
from services.refusals import InvalidInput

agency = APIBlueprint("agency", __name__, url_prefix="/agency")


@operation(
    agency, "POST", "/openings", summary="Open a record", answer=shapes.Opened, status=201, body=sheets.Opening,
    once=True, refuses=("not_allowed", "patient_exists", "identifier_taken"),
)  # fmt: skip
def open_record(body: dict[str, Any]) -> Any:
    """Registers the patient and opens their record; the letter with the codes follows. A repeat finds the same."""
    patient = ask("directory", "register_patient", **body)
    record = ask("dossier", "open_record", patient_id=patient["patient_id"])
    return {"patient_id": patient["patient_id"], **record}


@operation(
    agency, "POST", "/invitations", summary="Invite to an account", answer=shapes.InvitationMade, status=201,
    body=shapes.Invitation, once=True, refuses=("not_allowed", "professional_unknown", "already_activated"),
)  # fmt: skip
def invite(body: dict[str, Any]) -> Any:
    """A professional of the directory, or (administrators only) an agent; a letter with an activation code follows."""
    if set(body) == {"professional_id"}:
        return ask("identity", "invite_professional", **body)
    if set(body) == {"matricule", "role"}:
        return ask("identity", "invite_agent", **body)
    raise InvalidInput(errors=[{"pointer": "", "message": "one_of"}])
