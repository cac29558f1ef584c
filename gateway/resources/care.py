"""The agency's work in the directory of professionals and establishments."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import care as shapes

care = APIBlueprint("care", __name__, url_prefix="/agency")

PROFESSIONAL = "/professionals/<uuid:professional_id>"
ORGANISATION = "/organisations/<uuid:establishment_id>"


# --- establishments ---------------------------------------------------------------------------------------------------


@operation(
    care, "POST", "/establishments", summary="Register an establishment", answer=shapes.EstablishmentMade, status=201,
    body=shapes.Establishment, once=True, refuses=("not_allowed",),
)  # fmt: skip
def register_establishment(body: dict[str, Any]) -> Any:
    """Practice, hospital, laboratory, pharmacy or care network."""
    return ask("directory", "register_establishment", **body)


@operation(
    care, "PATCH", ORGANISATION, summary="Change an organisation", answer=shapes.OrganisationRead,
    body=shapes.EstablishmentChange, once=True,
    refuses=("not_allowed", "establishment_not_found", "establishment_closed"),
)  # fmt: skip
def change_establishment(establishment_id: str, body: dict[str, Any]) -> Any:
    """Name and address; what it is stays."""
    return ask("directory", "change_establishment", establishment_id=establishment_id, changes=body)


@operation(
    care, "POST", f"{ORGANISATION}/closing", summary="Close an organisation", answer=shapes.OrganisationRead,
    once=True, refuses=("not_allowed", "establishment_not_found"),
)  # fmt: skip
def close_establishment(establishment_id: str) -> Any:
    """For good: nobody works there any more, and its name stays for what happened there."""
    return ask("directory", "close_establishment", establishment_id=establishment_id)


# --- professionals ----------------------------------------------------------------------------------------------------


@operation(
    care, "POST", "/professionals", summary="Register a professional", answer=shapes.ProfessionalMade, status=201,
    body=shapes.Professional, once=True, refuses=("not_allowed", "professional_exists"),
)  # fmt: skip
def register_professional(body: dict[str, Any]) -> Any:
    """Registers, or brings the entry of the same professional up to date."""
    return ask("directory", "register_professional", **body)


@operation(
    care, "PATCH", PROFESSIONAL, summary="Change a professional", answer=shapes.ProfessionalChanged,
    body=shapes.ProfessionalChange, conditional=True, tagged=True, once=True,
    refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def change_professional(professional_id: str, body: dict[str, Any], version: int | None) -> Any:
    """Name, profession, specialities, language, address."""
    return ask("directory", "change_professional", professional_id=professional_id, changes=body, version=version)


@operation(
    care, "POST", f"{PROFESSIONAL}/licence", summary="Note a professional's licence", answer=shapes.Licence,
    body=shapes.LicenceGiven, once=True, refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def set_licence(professional_id: str, body: dict[str, Any]) -> Any:
    """Suspended or withdrawn: sessions and software tokens in the professional's name end within moments; from the day
    named, when one is named. A suspension with an end is over by itself. What is to come is called off by noting what
    shall hold from its first moment instead."""
    return ask("directory", "set_licence", professional_id=professional_id, **body)


@operation(
    care, "POST", f"{PROFESSIONAL}/workplaces", summary="Note a workplace", answer=shapes.WorkplaceNoted, status=201,
    body=shapes.WorkplaceBegun, once=True,
    refuses=("not_allowed", "person_not_found", "establishment_not_found", "establishment_closed"),
)  # fmt: skip
def start_work(professional_id: str, body: dict[str, Any]) -> Any:
    """From now on; who works there already goes on. It can be chosen from the next log-in on. Who is attached to the
    emergency service there may open emergency access, from the moment it is noted."""
    return ask("directory", "start_work", professional_id=professional_id, **body)


@operation(
    care, "DELETE", f"{PROFESSIONAL}/workplaces/<uuid:establishment_id>", summary="End a workplace", status=204,
    refuses=("not_allowed", "person_not_found"),
)  # fmt: skip
def end_work(professional_id: str, establishment_id: str) -> Any:
    """From now on; a token goes on naming the place until it expires, within minutes."""
    ask("directory", "end_work", professional_id=professional_id, establishment_id=establishment_id)
