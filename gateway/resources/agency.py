"""The agency's work: opening records, registering establishments and professionals, inviting to an account."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import machines
from gateway.schemas import people as shapes
from services.refusals import InvalidInput

agency = APIBlueprint("agency", __name__, url_prefix="/agency")


@operation(
    agency, "POST", "/openings", summary="Open a record", answer=shapes.Opened, status=201, body=shapes.Opening,
    once=True, refuses=("not_allowed", "patient_exists"),
)  # fmt: skip
def open_record(body: dict[str, Any]) -> Any:
    """Registers the patient and opens their record; the letter with the codes follows. A repeat finds the same."""
    patient = ask("directory", "register_patient", **body)
    record = ask("dossier", "open_record", patient_id=patient["patient_id"])
    return {"patient_id": patient["patient_id"], **record}


@operation(
    agency, "POST", "/establishments", summary="Register an establishment", answer=shapes.EstablishmentMade, status=201,
    body=shapes.Establishment, once=True, refuses=("not_allowed",),
)  # fmt: skip
def register_establishment(body: dict[str, Any]) -> Any:
    """Practice, hospital, laboratory, pharmacy or care network."""
    return ask("directory", "register_establishment", **body)


@operation(
    agency, "POST", "/professionals", summary="Register a professional", answer=shapes.ProfessionalMade, status=201,
    body=shapes.Professional, once=True, refuses=("not_allowed", "professional_exists"),
)  # fmt: skip
def register_professional(body: dict[str, Any]) -> Any:
    """Registers, or brings the entry of the same professional up to date."""
    return ask("directory", "register_professional", **body)


@operation(
    agency, "POST", "/professionals/<uuid:professional_id>/licence", summary="Note a professional's licence",
    answer=machines.Licence, body=machines.LicenceGiven, once=True, refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def set_licence(professional_id: str, body: dict[str, Any]) -> Any:
    """Suspended or withdrawn: sessions and software tokens in the professional's name end within moments."""
    return ask("directory", "set_licence", professional_id=professional_id, **body)


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
