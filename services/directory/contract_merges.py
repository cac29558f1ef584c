"""What directory says of merging patients: the reasons, the refusals, the shapes of its calls.

Of agents: `merge_patients(survivor_id, merged_id, reason)`, `unmerge_patients(merge_id)`, `merges(limit, cursor)`.
"""

from typing import ClassVar, TypedDict

from services.refusals import Refusal

MERGE_REASONS: tuple[str, ...] = ("duplicate_registration", "matricule_changed", "other")
"""Why two sheets are one person's; `matricule_changed`: the second was made under another matricule."""

MERGES_LIMIT = 100
"""The most merges one page of the list holds."""


class AlreadyMerged(Refusal):
    """One of the two is merged already: the one that speaks for it has to be named, or that merge undone first."""

    code: ClassVar[str] = "already_merged"


class MergeNotFound(Refusal):
    """There is no such merge."""

    code: ClassVar[str] = "merge_not_found"


class ShownMerge(TypedDict):
    """A merge: which sheet speaks for which other one, since when, and until when."""

    merge_id: str
    survivor_id: str
    merged_id: str
    reason: str
    merged_at: str
    merged_by: str
    undone_at: str | None
    undone_by: str | None


class Merges(TypedDict):
    """A page of the merges, newest first; `next_cursor` is null on the last one."""

    merges: list[ShownMerge]
    next_cursor: str | None
