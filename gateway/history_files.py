"""A whole history as a file, in each of its forms: for programs that check it, for programs that read, for people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.archive import HISTORY
from gateway.errors import catalogue
from gateway.spreadsheet import csv_rows
from gateway.streams import BrokenOff
from gateway.trace_words import in_words
from services.audit.contract import HistoryUnattested

HERE = ZoneInfo("Europe/Luxembourg")
PATIENCE = 8.0  # seconds that the notary's answer is waited for
POLL = 0.1
WORDS = ("when", "who", "action", "document", "ground", "software", "refused")
"""The columns of the CSV that are for people; those for programs follow."""

Ask = Callable[..., Any]
Page = Callable[[str | None], dict[str, Any]]


def stated(ask: Ask) -> dict[str, Any]:
    """What the notary states of the history, waited for. Refuses: HistoryUnattested when it does not."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found: dict[str, Any] | None = ask()
        if found is not None:
            return found
        time.sleep(POLL)
    raise HistoryUnattested()


def as_lines(statement: dict[str, Any], piece: Callable[[int], dict[str, Any]]) -> Iterator[bytes]:
    """The form that can be checked. piece: the lines after a position.

    Broken off where fewer or more entries may be shown than were stated: something was hidden or shown meanwhile.
    """
    yield f"{statement['header']}\n".encode()
    after: int | None = -1
    shown = 0
    while after is not None:
        found = piece(after)
        after, shown = found["position"], shown + found["entries"]
        if shown > statement["count"] or (after is None and shown < statement["count"]):
            raise BrokenOff
        yield "".join(f"{line}\n" for line in found["lines"]).encode()


def entries_of(page: Page, locale: str) -> Iterator[list[dict[str, Any]]]:
    """All entries with their names and in words, page by page, newest first."""
    cursor: str | None = None
    while True:
        found = page(cursor)
        yield in_words(found["entries"], locale)
        cursor = found["next_cursor"]
        if cursor is None:
            return


def as_json(begun: dict[str, Any], page: Page, locale: str) -> Iterator[bytes]:
    """One object with all entries, as they are read page by page elsewhere."""
    head = {"record_id": begun["record_id"], "exported_at": begun["begun_at"], "language": locale}
    yield json.dumps(head, ensure_ascii=False)[:-1].encode() + b', "entries": ['
    joint = "\n"
    for entries in entries_of(page, locale):
        for entry in entries:
            yield (joint + json.dumps(entry, ensure_ascii=False)).encode()
            joint = ",\n"
    yield b"\n]}\n"


def as_csv(page: Page, locale: str) -> Iterator[bytes]:
    """A table in plain words, with the codes and ids behind them."""
    words = catalogue(locale)["history_export"]
    yield csv_rows([[*(words[name] for name in WORDS), *HISTORY]])
    for entries in entries_of(page, locale):
        if entries:
            yield csv_rows([[*_row(entry), *(entry.get(column) for column in HISTORY)] for entry in entries])


def _row(entry: dict[str, Any]) -> list[Any]:
    return [at_here(entry["at"]), *(entry["words"][name] for name in WORDS[1:])]


def at_here(moment: str) -> str:
    """A moment as people here read it, to the second."""
    return datetime.fromisoformat(moment).astimezone(HERE).strftime("%d.%m.%Y %H:%M:%S")
