"""Shapes of merging: two identity sheets that are one person's."""

from __future__ import annotations

from typing import ClassVar

from gateway.operations import Shape
from gateway.schemas.fields import Choice, Id, Listed, Moment, Part, Text
from gateway.schemas.people import ID, OTHER_ID, TIME
from services.directory.contract import MERGE_REASONS

MERGE_ID = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e03"


class MergeWish(Shape):
    """Which sheet is to speak for which other one."""

    survivor_id = Id("The sheet that speaks for both from now on.", required=True)
    merged_id = Id("The sheet that leads to it.", required=True)
    reason = Choice(MERGE_REASONS, required=True)
    example: ClassVar = {"survivor_id": ID, "merged_id": OTHER_ID, "reason": "duplicate_registration"}


class Merge(Shape):
    """A merge; undone from `undone_at` on."""

    merge_id = Id()
    survivor_id = Id()
    merged_id = Id()
    reason = Choice(MERGE_REASONS)
    merged_at = Moment()
    merged_by = Id("Account of the agent.")
    undone_at = Moment(allow_none=True)
    undone_by = Id("Account of the agent.", allow_none=True)
    example: ClassVar = {
        "merge_id": MERGE_ID,
        "survivor_id": ID,
        "merged_id": OTHER_ID,
        "reason": "duplicate_registration",
        "merged_at": TIME,
        "merged_by": ID,
        "undone_at": None,
        "undone_by": None,
    }


class NamedMerge(Merge):
    """A merge in the list."""

    name = Text("Of the survivor.", allow_none=True)


class Merges(Shape):
    merges = Listed(Part(NamedMerge))
    next_cursor = Text(allow_none=True)
    example: ClassVar = {"merges": [{**Merge.example, "name": "DOE Jane"}], "next_cursor": None}
