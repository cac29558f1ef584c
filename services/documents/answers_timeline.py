"""How the lines of a timeline become its answer, whichever source they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.db import rfc3339
from services.documents import answers
from services.documents.contract import CodedEntry, MandateStep, StateStep, TimelineItem, TimelinePage
from services.documents.rules_timeline import Asked, Place, merged, to_cursor
from services.dossier.contract import STATE_EVENT, TimelineEvent


@dataclass(frozen=True)
class _Line:
    place: Place
    item: TimelineItem


def page(rows: Sequence[Any], events: Sequence[TimelineEvent], asked: Asked, limit: int) -> TimelinePage:
    """One page of documents' own lines and dossier's events."""
    shown, last = merged([_of_row(row) for row in rows], [_of_event(event) for event in events], _place, limit)
    return {
        "items": [line.item for line in shown],
        "next_cursor": None if last is None else to_cursor(last, asked),
    }


def _place(line: _Line) -> Place:
    return line.place


def _of_row(row: Any) -> _Line:
    entry: CodedEntry | None = None
    if row.number is not None:
        entry = {
            "number": row.number, "kind": row.entry_kind, "display": row.display, "code": row.code,
            "system": row.system, "since": None if row.since is None else row.since.isoformat(),
        }  # fmt: skip
    item: TimelineItem = {
        "at": rfc3339(row.at), "day_only": row.day_only, "kind": row.line_kind, "document": answers.item(row),
        "entry": entry, "state": None, "mandate": None,
    }  # fmt: skip
    return _Line((row.at, row.line_kind, row.line_id), item)


def _of_event(event: TimelineEvent) -> _Line:
    state: StateStep | None = None
    mandate: MandateStep | None = None
    if event["kind"] == STATE_EVENT:
        state = {
            "state": event["what"], "previous": event["previous"], "cause": event["cause"], "by": event["by"],
        }  # fmt: skip
    else:
        mandate = {
            "step": event["what"], "mandate_id": str(event["mandate_id"]), "kind": str(event["mandate_kind"]),
            "professional_id": event["professional_id"], "establishment_id": event["establishment_id"],
            "read_until": str(event["read_until"]), "deposit_until": str(event["deposit_until"]),
        }  # fmt: skip
    item: TimelineItem = {
        "at": event["at"], "day_only": False, "kind": event["kind"], "document": None, "entry": None, "state": state,
        "mandate": mandate,
    }  # fmt: skip
    return _Line((datetime.fromisoformat(event["at"]), event["kind"], event["id"]), item)
