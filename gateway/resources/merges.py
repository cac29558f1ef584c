"""Merging patients: two identity sheets that are one person's, and the way back."""

from typing import Any

from apiflask import APIBlueprint

from gateway.caller import ask
from gateway.names import named
from gateway.operations import operation
from gateway.schemas import merges as shapes
from gateway.schemas.records import Page

merges = APIBlueprint("merges", __name__, url_prefix="/agency/merges")


@operation(
    merges, "POST", "", summary="Merge two patients", answer=shapes.Merge, status=201, body=shapes.MergeWish,
    once=True, refuses=("not_allowed", "person_not_found", "already_merged"),
)  # fmt: skip
def merge_patients(body: dict[str, Any]) -> Any:
    """Both ids keep resolving, to the survivor; records, documents and traces follow. A repeat finds the same merge."""
    return ask("directory", "merge_patients", **body)


@operation(
    merges, "POST", "/<uuid:merge_id>/undoing", summary="Undo a merge", answer=shapes.Merge, once=True,
    refuses=("not_allowed", "merge_not_found"),
)  # fmt: skip
def unmerge_patients(merge_id: str) -> Any:
    """The two are two people again, each with what was theirs; what came after the merge stays with the survivor."""
    return ask("directory", "unmerge_patients", merge_id=merge_id)


@operation(
    merges, "GET", "", summary="List merges", answer=shapes.Merges, query=Page, paged=True, refuses=("not_allowed",)
)
def list_merges(query: dict[str, Any]) -> Any:
    """Newest first, undone ones included."""
    answer = ask("directory", "merges", limit=query["limit"], cursor=query.get("cursor"))
    return {**answer, "merges": named(answer["merges"], patient="survivor_id", profession=None)}
