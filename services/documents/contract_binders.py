"""What documents tells the house of binders: a reader's own collections of documents, and nobody else's."""

from __future__ import annotations

from typing import Final, TypedDict

from services.refusals import Refusal

BINDERS_MOST: Final = 100
"""The most binders one reader keeps of one record."""

BINDER_NAME_LENGTH: Final = 80


class BinderNotFound(Refusal):
    """No such binder of this person in this capacity, or of a record they may not read any more."""

    code = "binder_not_found"


class BinderNameTaken(Refusal):
    """This reader has a binder of that name in this record already."""

    code = "binder_name_taken"


class TooManyBinders(Refusal):
    """This reader keeps `most` binders of this record already."""

    code = "too_many_binders"


class Binder(TypedDict):
    """A binder; `documents` counts those that its reader may see now."""

    binder_id: str
    record_id: str
    name: str
    documents: int
    created_at: str


class Binders(TypedDict):
    """Answer of `list_binders`, by name."""

    binders: list[Binder]
