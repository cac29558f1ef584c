"""What the scrub of the store found: objects that are missing, or are not what they were."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import records
from gateway.schemas import removals as shapes

scrubs = APIBlueprint("scrubs", __name__, url_prefix="/agency/scrubs")


@operation(
    scrubs, "GET", "", summary="List damaged objects of the store", answer=shapes.Scrubs, query=records.Page,
    paged=True, refuses=("not_allowed",),
)  # fmt: skip
def list_scrubs(query: dict[str, Any]) -> Any:
    """Found by reading every object again in the background; for agents, ids alone."""
    return ask("documents", "list_scrubs", **query)
