"""Professionals: search of the directory."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import people as shapes

professionals = APIBlueprint("professionals", __name__, url_prefix="/professionals")


@operation(
    professionals, "GET", "", summary="Find professionals", answer=shapes.ProfessionalsFound,
    query=shapes.ProfessionalQuery,
)  # fmt: skip
def search_professionals(query: dict[str, Any]) -> Any:
    """By three letters or more of name, profession or speciality."""
    return ask("directory", "search_professionals", query=query["q"], limit=query["limit"])
