"""The circle of trust: professionals whom the holder trusts for good, or until a day of their own choice."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import circle as shapes

circle = APIBlueprint("circle", __name__, url_prefix="/records/<uuid:record_id>/circle")


@operation(
    circle, "GET", "", summary="Read the circle of trust", answer=shapes.Circle,
    refuses=("record_not_found", "record_closed", "not_allowed"),
)  # fmt: skip
def read_circle(record_id: str) -> Any:
    """Who is in it, since when, until when; for the holder's side, with the comments, and for who reads here."""
    answer = ask("dossier", "circle", record_id=record_id)
    return {**answer, "members": named(answer["members"], professional="professional_id")}


@operation(
    circle, "PUT", "/<uuid:professional_id>", summary="Add to the circle of trust", status=204,
    body=shapes.CircleEntry,
    refuses=("record_not_found", "record_closed", "professional_not_found", "professional_blocked", "not_allowed"),
)  # fmt: skip
def add_to_circle(record_id: str, professional_id: str, body: dict[str, Any]) -> Any:
    """By the holder; adding the same professional again changes the comment and the end only."""
    given = {"comment": body.get("comment"), "until": body.get("until")}
    ask("dossier", "add_to_circle", record_id=record_id, professional_id=professional_id, **given)


@operation(
    circle, "DELETE", "/<uuid:professional_id>", summary="Remove from the circle of trust", status=204,
    refuses=("record_not_found", "record_closed", "circle_member_not_found", "not_allowed"),
)  # fmt: skip
def remove_from_circle(record_id: str, professional_id: str) -> Any:
    """By the holder; this ground ends at once."""
    ask("dossier", "remove_from_circle", record_id=record_id, professional_id=professional_id)
