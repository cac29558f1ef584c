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
    once=True, refuses=("not_allowed", "patient_exists", "identifier_taken", "person_not_found",
                        "already_representative", "representative_refused"),
)  # fmt: skip
def open_record(body: dict[str, Any]) -> Any:
    """Registers the patient and opens their record; the letter with the codes follows. A repeat finds the same."""
    named = body.pop("representatives", [])
    for each in named:
        ask("directory", "majority_of", patient_id=each["patient_id"])  # somebody whom the directory knows
    patient = ask("directory", "register_patient", **body)
    majority = ask("directory", "majority_of", **patient) if named else {"majority_at": None}
    record = ask("dossier", "open_record", representatives=named, majority_at=majority["majority_at"], **patient)
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
