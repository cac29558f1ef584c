"""What documents says about finding: the tree of a record, what a list may be narrowed to, and what a search found."""

from __future__ import annotations

from typing import Final, TypedDict

ORDERS: tuple[str, ...] = ("deposited", "acted")
"""How a list is ordered: newest deposit first, or newest act first; an undated act counts on the day of its deposit."""

FOLDERS: tuple[str, ...] = (
    "personal_data", "summaries", "certificates", "dispensations", "medical_data", "social_data", "imaging",
    "laboratory", "prevention", "care_follow_up", "prescription", "vaccination",
)  # fmt: skip
"""The folders of the tree, in their order [seed 002]."""

SEARCH_LIMIT: Final = 50
"""The most documents one page of a search holds."""


class Wanted(TypedDict, total=False):
    """What a list or a search is narrowed to; what is left out does not matter.

    type, category, folder: slugs. acted_from, acted_until: ISO days, of the act or, where none was told, of the
    deposit. author: a professional's id, or "holder". level: of contract.LEVELS. new_to_me: only what the caller has
    neither opened nor deposited. new_since_visit: only what came after their last visit to the record, and not from
    themself; not of a search. binder_id: of one of the caller's own. order: of ORDERS, not of a search.
    """

    type: str | None
    category: str | None
    folder: str | None
    acted_from: str | None
    acted_until: str | None
    author: str | None
    level: str | None
    new_to_me: bool | None
    new_since_visit: bool | None
    binder_id: str | None
    order: str | None


class TypeCount(TypedDict):
    """A type in a folder and how many documents of it this caller may read."""

    type: str
    label: str
    count: int


class Folder(TypedDict):
    """A folder as this caller sees it; one without a document they may read is simply empty."""

    folder: str
    label: str
    count: int
    types: list[TypeCount]


class Tree(TypedDict):
    """Answer of `read_tree`: the folders in the order of the list, labels in the caller's language."""

    folders: list[Folder]


class Piece(TypedDict):
    """A piece of a text; found: it is what was sought."""

    text: str
    found: bool
