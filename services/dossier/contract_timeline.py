"""What dossier says for a timeline: the states and mandates of a record, beside what the caller may do in it."""

from __future__ import annotations

from typing import Any, TypedDict

STATE_EVENT = "state"
MANDATE_EVENT = "mandate"


class TimelineEvent(TypedDict):
    """A step in a record's life, or a mandate that was opened or ended, each at its moment; `id` is unlike any other's.

    what: the state reached, or `opened` or `ended`. previous, cause, by: of a state, for who may see its history.
    The rest is of a mandate.
    """

    at: str
    kind: str
    id: str
    what: str
    previous: str | None
    cause: str | None
    by: str | None
    mandate_id: str | None
    mandate_kind: str | None
    professional_id: str | None
    establishment_id: str | None
    read_until: str | None
    deposit_until: str | None


class TimelineFacts(TypedDict):
    """Answer of `timeline_facts`: an AccessScope on the wire and the events that its caller may know of."""

    scope: dict[str, Any]
    events: list[TimelineEvent]
