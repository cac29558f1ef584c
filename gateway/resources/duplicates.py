"""Possible duplicates: pairs of identity sheets that an agent tells apart, or merges (merges.py)."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import patients as shapes
from gateway.schemas.records import Page

duplicates = APIBlueprint("duplicates", __name__, url_prefix="/agency/duplicates")


@operation(
    duplicates, "GET", "", summary="List possible duplicates", answer=shapes.PossiblePairs, query=Page, paged=True,
    refuses=("not_allowed",),
)  # fmt: skip
def list_duplicates(query: dict[str, Any]) -> Any:
    """Pairs that nobody has looked at yet, the most alike first."""
    return ask("directory", "possible_duplicates", limit=query["limit"], cursor=query.get("cursor"))


@operation(
    duplicates, "POST", "/settlements", summary="Tell two patients apart", answer=shapes.Settlement,
    body=shapes.Settlement, once=True, refuses=("not_allowed", "duplicate_not_found"),
)  # fmt: skip
def settle_duplicate(body: dict[str, Any]) -> Any:
    """The pair is not listed again, however alike the two become."""
    return ask("directory", "settle_duplicate", **body)
