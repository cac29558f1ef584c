"""The access history of a record: who came, when, on what ground, refusals included."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import records as shapes

access_history = APIBlueprint("access_history", __name__, url_prefix="/records/<uuid:record_id>/access-history")


@operation(
    access_history, "GET", "", summary="Read the access history", answer=shapes.AccessHistory, query=shapes.Page,
    paged=True, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_access_history(record_id: str, query: dict[str, Any]) -> Any:
    """All of the record for its holder, one's own entries for a professional; newest first."""
    answer = ask("audit", "access_history", record_id=record_id, limit=query["limit"], cursor=query.get("cursor"))
    people = {"professional": "professional_id", "patient": "patient_id", "establishment": "establishment_id"}
    return {**answer, "entries": named(answer["entries"], **people)}
