"""Organisations: practices, hospitals, laboratories, pharmacies and care networks, and who works there."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import care as shapes

organisations = APIBlueprint("organisations", __name__, url_prefix="/organisations")

ONE = "/<uuid:establishment_id>"


@operation(
    organisations, "GET", "", summary="Find organisations", answer=shapes.OrganisationsFound,
    query=shapes.OrganisationQuery, paged=True,
)  # fmt: skip
def search_organisations(query: dict[str, Any]) -> Any:
    """By the beginnings of words of name, kind (in five languages) or locality; those that are closed are not found."""
    return ask("directory", "search_establishments", query=query.pop("q"), **query)


@operation(
    organisations, "GET", ONE, summary="Read an organisation", answer=shapes.OrganisationRead,
    refuses=("establishment_not_found",),
)  # fmt: skip
def read_organisation(establishment_id: str) -> Any:
    """Name, kind and address, and when it was closed."""
    return ask("directory", "read_establishment", establishment_id=establishment_id)


@operation(
    organisations, "GET", f"{ONE}/professionals", summary="List who works at an organisation",
    answer=shapes.ProfessionalsFound, query=shapes.CarePage, paged=True, refuses=("establishment_not_found",),
)  # fmt: skip
def list_professionals_of_organisation(establishment_id: str, query: dict[str, Any]) -> Any:
    """By name; each with all their workplaces."""
    return ask("directory", "professionals_at", establishment_id=establishment_id, **query)
