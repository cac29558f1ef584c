"""Removal of documents by the agency: one agent asks, another decides; and what the scrub of the store found."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.operations import operation
from gateway.schemas import removals as shapes

removals = APIBlueprint("removals", __name__, url_prefix="/agency/removals")

_ONE = "/<uuid:removal_id>"
_DECIDING = ("not_allowed", "removal_not_found", "second_agent_needed", "removal_decided")


@operation(
    removals, "POST", "", summary="Ask for the removal of a document", answer=shapes.Removal, status=201,
    body=shapes.RemovalAsked, once=True, refuses=("not_allowed", "document_not_found", "removal_under_way"),
)  # fmt: skip
def ask_removal(body: dict[str, Any]) -> Any:
    """By an agent, with a cause and a reason; nothing goes before another agent approves."""
    return ask("documents", "ask_removal", **body)


@operation(
    removals, "GET", "", summary="List removals", answer=shapes.Removals, query=shapes.RemovalQuery, paged=True,
    refuses=("not_allowed",),
)  # fmt: skip
def list_removals(query: dict[str, Any]) -> Any:
    """Those that agents asked for, newest first; ids and the agents' own words."""
    return ask("documents", "list_removals", **query)


@operation(
    removals, "GET", _ONE, summary="Read a removal", answer=shapes.Removal,
    refuses=("not_allowed", "removal_not_found"),
)  # fmt: skip
def read_removal(removal_id: str) -> Any:
    """Who asked, who decided, and when the last byte was gone."""
    return ask("documents", "read_removal", removal_id=removal_id)


@operation(
    removals, "POST", f"{_ONE}/approval", summary="Approve a removal", answer=shapes.Removal, once=True,
    refuses=_DECIDING,
)  # fmt: skip
def approve_removal(removal_id: str) -> Any:
    """By another agent than who asked; the document is gone for everybody, for good."""
    return ask("documents", "approve_removal", removal_id=removal_id)


@operation(
    removals, "POST", f"{_ONE}/refusal", summary="Refuse a removal", answer=shapes.Removal, once=True,
    refuses=_DECIDING,
)  # fmt: skip
def refuse_removal(removal_id: str) -> Any:
    """By another agent than who asked; the document stays."""
    return ask("documents", "refuse_removal", removal_id=removal_id)
