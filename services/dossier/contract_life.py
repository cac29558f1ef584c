"""The part of dossier's contract about the life of a record: its words, what is shown of it, and its refusal.

- `record_state(record_id)` -> `RecordState`: the holder side (of a closed record too), agents, the referring physician
- `close_record(record_id, confirmed)` and `reopen_record(record_id)` -> `StateReached`: the holder side; after a death
  an agent alone reopens, when it was noted by mistake
- `close_record_by_agency(record_id, cause)` and `oppose_record(record_id, received_by)` -> `StateReached`: agents
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from services.refusals import Refusal

LIFE_PERIODS: tuple[str, ...] = ("lapse", "inactivity", "deletion")
"""What time alone does: open without its holder, close unused, delete what was closed; also the kinds of deadlines."""

CLOSING_CAUSES: tuple[str, ...] = ("agency_request", "death")
"""Why the agency closes a record."""

OPPOSITION_WAYS: tuple[str, ...] = ("post", "helpdesk")
"""How an opposition reached the agency; the third way is online."""

STATE_CAUSES: tuple[str, ...] = (
    "affiliation", "voluntary_request", "identity_checked", "activation", "lapse", "opposition", "holder_request",
    "agency_request", "death", "death_withdrawn", "ten_years_without_access", "reopening", "ten_years_closed",
    "merged", "unmerged",
)  # fmt: skip

STATE_AUTHORS: tuple[str, ...] = ("holder", "legal_representative", "agency", "platform")
"""As whom a step was taken: never a name that the reader may not see."""


class NotInThisState(Refusal):
    """The record's life has no such step from the state it is in; detail: state."""

    code: ClassVar[str] = "not_in_this_state"


class StateChangeShown(TypedDict):
    """One step in a record's life."""

    at: str
    previous: str | None
    state: str
    cause: str
    by: str


class RecordState(TypedDict):
    """The state of a record and how it came to it, the newest step first.

    lapses_on, closes_on, deleted_on: the day on which time alone takes the next step, if nobody comes before; null
    where there is none.
    """

    record_id: str
    state: str
    since: str
    cause: str | None
    lapses_on: str | None
    closes_on: str | None
    deleted_on: str | None
    history: list[StateChangeShown]


class StateReached(TypedDict):
    """The state in which a record is now."""

    record_id: str
    state: str
    since: str
    deleted_on: str | None
