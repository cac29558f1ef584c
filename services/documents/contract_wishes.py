"""What documents tells the house of a holder's wishes about deposits during care: none of this, or one that is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, TypedDict

from services.refusals import Refusal

DUE: Final = timedelta(days=15)
"""Within how long a deposit that the holder side asked for has to be made [RGD 9(2)]."""

WISH_KINDS: tuple[str, ...] = ("opposed", "requested")
WISH_OUTCOMES: tuple[str, ...] = ("met", "withdrawn", "overdue")
WISHES_SHOWN: Final = 200


class WishNotFound(Refusal):
    """No such wish in this record, or none of who asks."""

    code = "wish_not_found"


class TooManyWishes(Refusal):
    """The record has as many wishes in force as it may have."""

    code = "too_many_wishes"


class Wish(TypedDict):
    """A wish about deposits; ended_at and outcome are null while it stands, document_id is what met it.

    tries: how many deposits an opposition refused; null to everybody but the holder side.
    """

    wish_id: str
    record_id: str
    kind: str
    professional_id: str | None
    establishment_id: str | None
    mandate_id: str | None
    type: str | None
    since: str
    due_at: str | None
    ended_at: str | None
    outcome: str | None
    document_id: str | None
    tries: int | None


class Wishes(TypedDict):
    """Answer of `list_wishes` and `wishes_for_me`, the newest first."""

    wishes: list[Wish]
