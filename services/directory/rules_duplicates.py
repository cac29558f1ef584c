"""Which pairs of sheets are noted as possibly one person's, who looks at them, and what may be said of them.

Pure: no I/O, no clock. How alike two sheets are: `rules_matching.py`.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Final, NamedTuple

from services.directory.contract import DUPLICATES_LIMIT, SETTLEMENTS
from services.directory.rules import as_id, fault
from services.directory.rules_matching import THRESHOLDS
from services.refusals import InvalidInput

LEAST: Final = THRESHOLDS.possible
"""From this rate on two sheets are noted for an agent to look at."""

COMPARED_BY: Final = frozenset({"birth_name", "usual_name", "first_names", "birth_date", "sex", "matricule"})
"""The fields that say who is like whom; the matricule, because it tells what is unknown of a birth date."""

LONGEST_CURSOR: Final = 200


class Position(NamedTuple):
    """Where a page of pairs ended; the pair itself stood on it."""

    rate: int
    one_id: str
    other_id: str


def may_look_at_duplicates(capacity: str) -> bool:
    """True when this capacity looks after duplicates: the agency's agents only [domain, Directories]."""
    return capacity == "agent"


def is_compared_by(fields: Iterable[str]) -> bool:
    """Whether a change of these fields may make a sheet like another, or unlike."""
    return not COMPARED_BY.isdisjoint(fields)


def ordered(one_id: str, other_id: str) -> tuple[str, str]:
    """Returns a pair as it is stored, whichever of the two was named first."""
    return (one_id, other_id) if one_id < other_id else (other_id, one_id)


def pairs(patient_id: str, rates: Iterable[tuple[str, int]]) -> list[tuple[str, str, int]]:
    """Returns (one_id, other_id, rate) of a sheet and each sheet that it is this much like."""
    return [(*ordered(patient_id, other_id), rate) for other_id, rate in rates]


def require_settlement(one_id: object, other_id: object, settled: object) -> tuple[str, str]:
    """Returns the pair as it is stored.

    Refuses: InvalidInput for what is no id, for one sheet twice, and for anything but `distinct`.
    """
    ids = {"one_id": as_id(one_id), "other_id": as_id(other_id)}
    wrong = [fault(name, "uuid") for name, found in ids.items() if found is None]
    if not wrong and ids["one_id"] == ids["other_id"]:
        wrong.append(fault("other_id", "same_patient"))
    if settled not in SETTLEMENTS:
        wrong.append(fault("settled", "choice"))
    if wrong:
        raise InvalidInput(errors=wrong)
    return ordered(str(ids["one_id"]), str(ids["other_id"]))


def require_page(limit: object, cursor: object) -> tuple[int, Position | None]:
    """Returns how many pairs to show, and after which one; None for the beginning.

    Refuses: InvalidInput for a limit out of bounds, and a cursor that `cursor_after` did not write.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= DUPLICATES_LIMIT:
        raise InvalidInput(errors=[fault("limit", "range")])
    if cursor is None:
        return limit, None
    position = _position(cursor)
    if position is None:
        raise InvalidInput(errors=[fault("cursor", "invalid")])
    return limit, position


def cursor_after(position: Position) -> str:
    """Returns a position as an opaque text."""
    return base64.urlsafe_b64encode(json.dumps(position, separators=(",", ":")).encode()).decode().rstrip("=")


def _position(cursor: object) -> Position | None:
    if not isinstance(cursor, str) or not 0 < len(cursor) <= LONGEST_CURSOR or not cursor.isascii():
        return None
    try:
        rate, one_id, other_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
    if type(rate) is not int or not (0 <= rate <= 100 and one_id == as_id(one_id) and other_id == as_id(other_id)):
        return None
    position = Position(rate, str(one_id), str(other_id))
    return position if cursor_after(position) == cursor and one_id and other_id else None
