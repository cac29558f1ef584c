"""Which documents a history has to leave out, as the log itself tells it. Pure: no I/O, no clock.

What is hidden is left out by a table that anybody could write to who has the database. So the notary states a history
only where that table and the entries about hiding and showing, which nobody can bend, say the same.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

BEGINS: Final = {"document.blocked": "blocked", "document.withheld": "withheld"}
ENDS: Final = {"document.released": "blocked", "document.unwithheld": "withheld"}

Shown = tuple[bytes, str | None, bool]
"""A leaf, the object of its entry, and whether the table leaves it out."""


class Hidings:
    """Which documents are hidden in which way, by the newest entry about it."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], tuple[datetime, bool]] = {}

    def note(self, action: str, outcome: str, object_id: str | None, at: datetime) -> None:
        """Takes an entry into account, whatever it is about; they may come in any order."""
        kind = BEGINS.get(action) or ENDS.get(action)
        if kind is None or outcome != "allowed" or object_id is None:
            return
        place = (object_id, kind)
        if place not in self._newest or at >= self._newest[place][0]:
            self._newest[place] = (at, action in BEGINS)

    def hides(self, object_id: str | None, without: Iterable[str]) -> bool:
        """Whether a document is hidden in one of these ways."""
        return object_id is not None and any(self._newest.get((object_id, way), (None, False))[1] for way in without)


def disputed(entries: Iterable[Shown], hidings: Hidings, without: Collection[str]) -> set[str]:
    """Returns the documents of which the table says otherwise than the entries."""
    return {object_id or "" for _, object_id, left_out in entries if left_out != hidings.hides(object_id, without)}
