"""Professionals: search of the directory, and the page of one."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import care as shapes

professionals = APIBlueprint("professionals", __name__, url_prefix="/professionals")


@operation(
    professionals, "GET", "", summary="Find professionals", answer=shapes.ProfessionalsFound,
    query=shapes.ProfessionalQuery, paged=True,
)  # fmt: skip
def search_professionals(query: dict[str, Any]) -> Any:
    """By the beginnings of words of name, profession (in five languages) or speciality; those of names come first."""
    return ask("directory", "search_professionals", query=query.pop("q"), **query)


@operation(
    professionals, "GET", "/<uuid:professional_id>", summary="Read a professional", answer=shapes.ProfessionalRead,
    tagged=True, refuses=("person_not_found",),
)  # fmt: skip
def read_professional(professional_id: str) -> Any:
    """Who they are, where they work, whether they may practise and since when; agents see what was before, too."""
    return ask("directory", "read_professional", professional_id=professional_id)
