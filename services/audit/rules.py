"""What audit decides: who reads how much of a record's access history, and where a page begins.

Pure: no I/O, no clock.
"""

import base64
import binascii
import uuid
from datetime import UTC, datetime
from typing import Final, Literal

from services.audit.contract import PAGE_LIMIT
from services.refusals import InvalidInput

View = Literal["record", "seen", "own", "state", "none"]
"""All entries of the record, those but on documents that the reader does not see, the reader's own ones, nothing
because the record is closed, or nothing at all."""

LONGEST_CURSOR: Final = 200

Position = tuple[datetime, str]
"""An entry's place in the history: its time and its id."""


def view_of(
    *, holder_side: bool, professional: bool, has_clause: bool, author: bool, referring: bool = False
) -> View:  # fmt: skip
    """Returns how much of a record's history a caller reads [RGD 8; domain, Pages].

    holder_side: they are the holder or act as the holder. professional: they act as one, so that "own" means
    something. has_clause: some ground lets them into the record, which the holder of a closed record has not.
    author: they wrote a document in it, and may still read that. referring: a clause of theirs is the referring
    physician's.
    """
    if holder_side:
        return "record" if has_clause else "state"
    if professional and has_clause and referring:
        return "seen"
    return "own" if professional and (has_clause or author) else "none"


def left_out(view: View, *, may_see_withheld: bool) -> tuple[str, ...]:
    """Returns in what ways documents may be hidden from a reader, so that no entry may tell of them.

    A professional reads their own entries alone, which tell them nothing they did not see; what the referring
    physician reads of others is measured by their whole scope.
    """
    if view != "record":
        return ()
    return ("blocked",) if may_see_withheld else ("blocked", "withheld")


OPEN_COUNTS: Final = frozenset({
    "assistant", "blocklist", "circle", "mandate", "referring", "representative", "rights", "setting", "types",
})  # fmt: skip
"""What may be counted in front of everybody: neither documents nor entries about them. Whatever is new is not."""


def tells_count(action: str, view: View, *, own: bool, of_holder_side: bool, may_see_withheld: bool) -> bool:
    """Returns whether an entry says how much its answer showed: never to somebody from whom part of it may be hidden.

    own: the reader's own entry. of_holder_side: of somebody who reads the record as its holder; what is blocked was in
    no answer of theirs, what is withheld from the representatives was.
    """
    as_much = of_holder_side and may_see_withheld and view == "record"
    return action.split(".")[0] in OPEN_COUNTS or view == "own" or own or as_much


def as_id(value: object) -> str | None:
    """Returns an id in its one spelling, None for what cannot be the id of anything."""
    if not isinstance(value, str):
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


def require_limit(limit: object) -> int:
    """Returns how many entries a page holds.

    Refuses: InvalidInput outside 1 to 100.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= PAGE_LIMIT:
        raise _invalid("limit", "out_of_range")
    return limit


def cursor_after(at: datetime, entry_id: str) -> str:
    """Returns the opaque mark of the place after this entry."""
    text = f"{at.astimezone(UTC).isoformat()}|{entry_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def require_position(cursor: object) -> Position | None:
    """Returns the place a cursor marks, None for the beginning.

    Refuses: InvalidInput for anything that `cursor_after` did not write.
    """
    if cursor is None:
        return None
    try:
        at, entry_id = _decoded(cursor)
        ours = cursor_after(at, entry_id) == cursor
    except (ValueError, OverflowError, binascii.Error) as broken:  # overflow: a time that no calendar has in UTC
        raise _invalid("cursor", "format") from broken
    if not ours:
        raise _invalid("cursor", "format")
    return at, entry_id


def _decoded(cursor: object) -> Position:
    if not isinstance(cursor, str) or len(cursor) > LONGEST_CURSOR:
        raise ValueError("no cursor")
    text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    moment, _, entry_id = text.partition("|")
    at = datetime.fromisoformat(moment)
    if at.tzinfo is None:
        raise ValueError("no zone")
    return at, str(uuid.UUID(entry_id))


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(errors=[{"pointer": f"/{field}", "message": message}])
