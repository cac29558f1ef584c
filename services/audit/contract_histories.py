"""What audit tells of a record's past: the shapes of its three histories, and what they can be narrowed to."""

from __future__ import annotations

from typing import Final, Literal, TypedDict

PAGE_LIMIT: Final = 100
"""The most entries one page of a history holds."""

EXPORT_LIMIT: Final = 1000
"""How many entries of it an export takes at a time."""

DAYS_LIMIT: Final = 31
"""The most days one page of a chronology holds."""

GROUPS: Final = (
    "record", "documents", "prescriptions", "binders", "sharing", "mandates", "emergency", "representation", "settings",
    "messages", "log", "reviews", "account", "helpdesk", "patients", "directory", "software",
)  # fmt: skip
"""The groups of actions. The first ones are about a record; the others about accounts, registers and machines."""

HistoryKind = Literal["access_history", "chronology", "activity_history"]
"""The three views, as the trace of a reading names them [seed 002]."""


class Entry(TypedDict):
    """One line of a history as it travels: ids and codes, names are resolved at display.

    document_type: of the document it is about, as far as the reader may see that.
    """

    entry_id: str
    at: str
    action: str
    account_id: str | None
    capacity: str | None
    professional_id: str | None
    patient_id: str | None
    profession: str | None
    establishment_id: str | None
    object_id: str | None
    object_type: str | None
    document_type: str | None
    ground: str | None
    rule: str | None
    outcome: str
    reason: str | None
    software: str | None
    request_id: str | None
    count: int | None


class AccessHistory(TypedDict):
    """The answer of `access_history` and `activity_history`: a page, newest first; the last has no `next_cursor`."""

    entries: list[Entry]
    next_cursor: str | None


class Done(TypedDict):
    """What somebody did on a day, and how often: `refused` of those `times` in vain."""

    action: str
    times: int
    refused: int


class Line(TypedDict):
    """What one person did with a record on one day, in one capacity and at one place."""

    day: str
    first_at: str
    last_at: str
    account_id: str | None
    capacity: str | None
    professional_id: str | None
    patient_id: str | None
    profession: str | None
    establishment_id: str | None
    grounds: list[str]
    did: list[Done]


class Chronology(TypedDict):
    """The answer of `chronology`: newest day first, on each day the last who came first; the last page has no
    `next_cursor`."""

    lines: list[Line]
    next_cursor: str | None
