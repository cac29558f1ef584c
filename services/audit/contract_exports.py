"""How a whole history leaves the platform: begun once, with its one trace, then given piece by piece."""

from __future__ import annotations

from typing import Final, TypedDict

from services.refusals import Refusal

LINES_PAGE: Final = 100
"""How many entries one piece of a verifiable history holds at most."""


class BegunHistoryExport(TypedDict):
    """The answer of `begin_history_export`; what follows is asked for under `export_id`."""

    export_id: str
    record_id: str
    begun_at: str


class HistoryStatement(TypedDict):
    """What the notary states of a history: `header` is the first line of its export.

    count: of the entries that are shown. size: of the log that was looked at. signature: of `statement`, in base64.
    """

    header: str
    count: int
    size: int
    statement: str
    key_id: str
    signature: str


class HistoryLines(TypedDict):
    """A piece of a verifiable history: lines without their ends, how many of them are entries, and up to where in the
    log they lead; null at its end."""

    lines: list[str]
    entries: int
    position: int | None


class HistoryUnattested(Refusal):
    """The notary does not state that this history is whole: it is away, what may be shown changed just now, or what it
    knows is not what the database holds."""

    code = "history_unattested"
