"""What is decided of professionals and establishments: what a search asks for, changes, and licences over time.

Pure: no I/O, no clock (the moment is an argument). Messages of faults are codes; they never repeat what was typed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from services.directory.contract import (
    ESTABLISHMENT_CHANGES,
    ESTABLISHMENT_KINDS,
    LANGUAGES,
    PROFESSIONAL_CHANGES,
    PROFESSIONS,
)
from services.directory.rules import (
    LONGEST_TEXT,
    Fault,
    as_id,
    fault,
    fold_spelling,
    require_licence,
    require_limit,
    require_search_words,
)
from services.directory.rules_fields import Fields
from services.directory.rules_sheets import MOST_SPECIALITIES, MOST_WORKPLACES
from services.refusals import InvalidInput

# --- who may, and what they ask for -----------------------------------------------------------------------------------


def may_see_professional(capacity: str, licence: str) -> bool:
    """Whether a professional of this licence is there for this capacity: who lost it for good, for agents alone."""
    return capacity == "agent" or licence != "withdrawn"


@dataclass(frozen=True)
class Sought:
    """A checked search: of professionals, or of establishments (kind). Words and texts are folded."""

    words: tuple[str, ...]
    limit: int
    after: str | None
    profession: str | None = None
    kind: str | None = None
    speciality: str | None = None
    locality: str | None = None
    establishment_id: str | None = None


def require_search(query: object, limit: object, **narrowed: object) -> Sought:
    """Returns a search by words, narrowed by cursor, profession or kind, speciality, locality, establishment_id.

    Refuses: InvalidInput naming every faulty field at once.
    """
    faults: list[Fault] = []
    words = _checked(faults, lambda: require_search_words(query), [])
    sought = Sought(
        words=tuple(words),
        limit=_checked(faults, lambda: require_limit(limit), 0),
        after=_id(faults, "cursor", narrowed.get("cursor")),
        profession=_choice(faults, "profession", narrowed.get("profession"), PROFESSIONS),
        kind=_choice(faults, "kind", narrowed.get("kind"), ESTABLISHMENT_KINDS),
        speciality=_folded(faults, "speciality", narrowed.get("speciality")),
        locality=_folded(faults, "locality", narrowed.get("locality")),
        establishment_id=_id(faults, "establishment_id", narrowed.get("establishment_id")),
    )
    if faults:
        raise InvalidInput(errors=faults)
    return sought


def require_page(establishment_id: str | None, limit: object, cursor: object) -> Sought:
    """Returns which of those who work at an establishment are wanted.

    Refuses: InvalidInput.
    """
    faults: list[Fault] = []
    most, after = _checked(faults, lambda: require_limit(limit), 0), _id(faults, "cursor", cursor)
    if faults:
        raise InvalidInput(errors=faults)
    return Sought(words=(), limit=most, after=after, establishment_id=establishment_id)


def _checked(faults: list[Fault], check: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return check()
    except InvalidInput as refused:
        faults += refused.detail["errors"]
        return otherwise


def _id(faults: list[Fault], field: str, value: object) -> str | None:
    found = as_id(value)
    if value is not None and found is None:
        faults.append(fault(field, "uuid"))
    return found


def _choice(faults: list[Fault], field: str, value: object, allowed: tuple[str, ...]) -> str | None:
    if value is not None and value not in allowed:
        faults.append(fault(field, "choice"))
        return None
    return value if isinstance(value, str) else None


def _folded(faults: list[Fault], field: str, value: object) -> str | None:
    if value is None:
        return None
    folded = fold_spelling(value) if isinstance(value, str) and len(value) <= LONGEST_TEXT else ""
    if not folded:
        faults.append(fault(field, "text"))
    return folded


# --- changes ----------------------------------------------------------------------------------------------------------


def require_professional_change(changes: object) -> dict[str, Any]:
    """Returns the fields to change, checked; `address` may be null, nothing else may.

    Refuses: InvalidInput naming every faulty field at once, and a change of nothing.
    """
    check = _fields(changes, PROFESSIONAL_CHANGES)
    readers: dict[str, Callable[[], Any]] = {
        "family_name": lambda: check.name("family_name"),
        "first_name": lambda: check.name("first_name"),
        "profession": lambda: check.one_of("profession", PROFESSIONS),
        "specialities": lambda: list(check.texts("specialities", MOST_SPECIALITIES)),
        "language": lambda: check.one_of("language", LANGUAGES),
    }
    return _changed(changes, check, readers)


def require_establishment_change(changes: object) -> dict[str, Any]:
    """Returns the fields of an establishment to change, checked; `address` may be null.

    Refuses: InvalidInput naming every faulty field at once, and a change of nothing.
    """
    check = _fields(changes, ESTABLISHMENT_CHANGES)
    return _changed(changes, check, {"name": lambda: check.name("name")})


def _fields(changes: object, known: tuple[str, ...]) -> Fields:
    if not isinstance(changes, Mapping) or not changes:
        raise InvalidInput(errors=[{"pointer": "", "message": "required"}])
    unknown = [fault(str(name), "unknown_member") for name in changes if name not in known]
    if unknown:
        raise InvalidInput(errors=unknown)
    return Fields(changes)


def _changed(changes: Any, check: Fields, readers: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    found = {name: read() for name, read in readers.items() if name in changes}
    if "address" in changes:
        found["address"] = check.address() if changes["address"] is not None else None
    check.refuse_faults()
    return found


def require_room_for(establishment_id: str, running: Sequence[str]) -> None:
    """One workplace more is not more than anybody has.

    Refuses: InvalidInput.
    """
    if establishment_id not in running and len(running) >= MOST_WORKPLACES:
        raise InvalidInput(errors=[fault("establishment_id", "too_many")])


def require_flag(value: object, field: str) -> bool:
    """A yes or no. Refuses: InvalidInput."""
    if not isinstance(value, bool):
        raise InvalidInput(errors=[fault(field, "boolean")])
    return value


# --- licences over time -----------------------------------------------------------------------------------------------

_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:[0-5]\d)", re.ASCII
)
"""A date-time of RFC 3339; fromisoformat alone takes weeks, days without dashes and offsets with seconds, too."""


@dataclass(frozen=True)
class Licence:
    """A licence as it was noted; until: when a temporary stop ends by itself."""

    state: str
    since: datetime
    until: datetime | None = None


def require_licence_note(
    licence: object, since: object, until: object, at: datetime
) -> tuple[str, datetime | None, datetime | None]:
    """Returns (state, from when on or None for now, until when or None for until it is changed).

    Refuses: InvalidInput: a beginning in the past, an end before the beginning, an end of anything but a suspension.
    """
    faults: list[Fault] = []
    state = _checked(faults, lambda: require_licence(licence), "")
    begins, ends = _moment(faults, "since", since), _moment(faults, "until", until)
    if begins is not None and begins < at:
        faults.append(fault("since", "past"))
    if ends is not None and ends <= (begins or at):
        faults.append(fault("until", "before_beginning"))
    if ends is not None and state != "suspended":
        faults.append(fault("until", "only_of_suspension"))
    if faults:
        raise InvalidInput(errors=faults)
    return state, begins, ends


def note_at(state: str, begins: datetime | None, ends: datetime | None, at: datetime) -> Licence:
    """Returns what is noted of a licence at this moment, which may lie behind that of its check.

    Refuses: InvalidInput, when the end has come meanwhile.
    """
    since = max(begins or at, at)
    if ends is not None and ends <= since:
        raise InvalidInput(errors=[fault("until", "before_beginning")])
    return Licence(state, since, ends)


def _moment(faults: list[Fault], field: str, value: object) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    faults.append(fault(field, "moment"))
    return None


def licence_at(noted: Sequence[Licence], at: datetime) -> Licence | None:
    """Returns the licence that holds at a moment: the last whose time has come, or, after its end, a valid one again.

    noted: in the order of their beginnings, and of two with one beginning in the order in which they were noted.
    None: before anything was noted.
    """
    begun = [each for each in noted if each.since <= at]
    if not begun:
        return None
    last = begun[-1]
    return last if last.until is None or at < last.until else Licence("valid", last.until)


def next_change(noted: Sequence[Licence], at: datetime) -> datetime | None:
    """Returns when something noted next begins, or what holds ends by itself; None when nothing is to come."""
    holds = licence_at(noted, at)
    coming = [each.since for each in noted if each.since > at]
    if holds is not None and holds.until is not None:
        coming.append(holds.until)
    return min(coming, default=None)


def is_news(noted: Sequence[Licence], note: Licence) -> bool:
    """Whether this would change anything: false when the same would hold at its beginning, to the same end."""
    holds = licence_at(noted, note.since)
    return holds is None or (holds.state, holds.until) != (note.state, note.until)


def with_note(noted: Sequence[Licence], note: Licence) -> list[Licence]:
    """Returns what is noted with one note more: after all that begin before it, or at the same moment."""
    return sorted([*noted, note], key=lambda each: each.since)


def restored(noted: Mapping[str, Sequence[Licence]], at: datetime) -> dict[str, Licence]:
    """Returns, by whose they are, the valid licences that follow at this moment from stops that are over."""
    holding = {whose: licence_at(its, at) for whose, its in noted.items()}
    return {whose: holds for whose, holds in holding.items() if holds is not None and holds not in noted[whose]}
