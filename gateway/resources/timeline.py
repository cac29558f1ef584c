"""The timeline of a record: what happened in it, in the order of time."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.resources.documents import ORIGIN
from gateway.schemas import timeline as shapes

timeline = APIBlueprint("timeline", __name__, url_prefix="/records/<uuid:record_id>")

_WHO = {"professional": "professional_id", "establishment": "establishment_id"}


@operation(
    timeline, "GET", "/timeline", summary="Read the timeline of a record", answer=shapes.Timeline,
    query=shapes.TimelineQuery, paged=True, refuses=("record_not_found", "record_closed"),
)  # fmt: skip
def read_timeline(record_id: str, query: dict[str, Any]) -> Any:
    """Documents, risk factors, states and mandates that the caller may know of, newest first."""
    kinds = query.pop("kinds", None)
    answer = ask("documents", "timeline", record_id=record_id, kinds=kinds and kinds.split(","), **query)
    return {**answer, "items": _named(_named(answer["items"], "document", **ORIGIN), "mandate", **_WHO)}


def _named(items: list[dict[str, Any]], part: str, **fields: str) -> list[dict[str, Any]]:
    """The items with names beside the ids in one part of them, which not all of them have."""
    shown = iter(named([item[part] for item in items if item[part]], **fields))
    return [{**item, part: next(shown) if item[part] else None} for item in items]
