"""What directory decides about two sheets that are one person's.

Pure: no I/O, no clock. Messages of faults are codes.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from services.directory.contract import PersonNotFound
from services.directory.contract_merges import MERGE_REASONS, MERGES_LIMIT, AlreadyMerged
from services.directory.rules import Fault, as_id, fault
from services.directory.rules_matching import Identity, Reading, match_rate, read
from services.refusals import InvalidInput, Refusal

Verdict = Literal["merge", "merged"]
"""What is to be done with a pair: to merge it, or nothing, because this very merge is there."""


@dataclass(frozen=True)
class Wish:
    """A merge that an agent asks for, its words checked."""

    survivor_id: str
    merged_id: str
    reason: str

    @property
    def pair(self) -> tuple[str, str]:
        """Both, in the one order of all pairs."""
        return pair_of(self.survivor_id, self.merged_id)


@dataclass(frozen=True)
class Person:
    """What is compared of a sheet, and the sheet that speaks for it, where another one does."""

    merged_into: str | None
    birth_name: str
    usual_name: str | None
    first_names: str
    birth_date: date
    sex: str


def require_wish(survivor_id: object, merged_id: object, reason: object) -> Wish:
    """Returns the two sheets and the reason.

    Refuses: InvalidInput naming every faulty field; a sheet is not merged with itself.
    """
    survivor, merged = as_id(survivor_id), as_id(merged_id)
    faults: list[Fault] = [
        fault(field, "uuid") for field, id_ in (("survivor_id", survivor), ("merged_id", merged)) if id_ is None
    ]
    if not isinstance(reason, str) or reason not in MERGE_REASONS:
        faults.append(fault("reason", "choice"))
    if survivor is not None and survivor == merged:
        faults.append(fault("merged_id", "same_person"))
    if faults or survivor is None or merged is None:
        raise InvalidInput(errors=faults)
    return Wish(survivor, merged, str(reason))


def verdict(wish: Wish, people: Mapping[str, Person]) -> Verdict | Refusal:
    """Returns what is to be done with the two, or the refusal.

    people: the sheets there are of the two. Both have to be living: a sheet that another one speaks for is merged no
    second time, and takes nobody in. The very same merge asked for again is no mistake.
    Refuses: PersonNotFound, AlreadyMerged.
    """
    if not {wish.survivor_id, wish.merged_id} <= set(people):
        return PersonNotFound()
    survivor, merged = people[wish.survivor_id], people[wish.merged_id]
    if survivor.merged_into is None and merged.merged_into is None:
        return "merge"
    return "merged" if merged.merged_into == wish.survivor_id else AlreadyMerged()


def pair_of(one_id: str, other_id: str) -> tuple[str, str]:
    """Returns two ids in the one order of all pairs."""
    return (one_id, other_id) if one_id < other_id else (other_id, one_id)


def rate_of(one: Person, other: Person) -> int:
    """Returns how well two sheets match, in per cent."""
    return match_rate(_reading(one), _reading(other))


def _reading(person: Person) -> Reading:
    born = person.birth_date.isoformat()
    return read(Identity(person.birth_name, person.first_names, born, person.sex, person.usual_name))


# --- pages ------------------------------------------------------------------------------------------------------------


def require_merges_limit(limit: object) -> int:
    """Returns how many merges a page holds.

    Refuses: InvalidInput outside 1 to 100.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MERGES_LIMIT:
        raise InvalidInput(errors=[fault("limit", "out_of_range")])
    return limit


def merges_cursor(merge_id: str) -> str:
    """Returns the opaque mark of the place after this merge."""
    return base64.urlsafe_b64encode(merge_id.encode()).decode().rstrip("=")


def require_merges_position(cursor: object) -> str | None:
    """Returns the merge after which a page begins, None for the beginning.

    Refuses: InvalidInput for anything that `merges_cursor` did not write.
    """
    if cursor is None:
        return None
    text = cursor if isinstance(cursor, str) and len(cursor) <= 64 else ""
    try:
        merge_id = as_id(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode())
    except (ValueError, binascii.Error):
        merge_id = None
    if merge_id is None or merges_cursor(merge_id) != cursor:
        raise InvalidInput(errors=[fault("cursor", "format")])
    return merge_id
