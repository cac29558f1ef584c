"""What the broker delivers: an event, or several of one kind that lay beside each other in their sender's outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.db import new_id, now
from services.rpc import dumps

HEAD_START = timedelta(days=30)  # by which an urgent event goes before the others


@dataclass(frozen=True)
class Arrival:
    """A delivery. text: its body, where that is the one event; cause: why it comes to be parked; handler: None for what
    nobody here handles."""

    message: Any
    cause: str | None
    source: str
    type: str
    text: str | None
    envelopes: list[dict[str, Any]]
    handler: Any

    @property
    def is_worked_at_once(self) -> bool:
        """Whether a worker takes it as it comes, without rows."""
        fits = self.handler is not None and (self.handler.together or len(self.envelopes) == 1)
        return fits and self.handler.at_once and self.cause is None

    @property
    def is_urgent(self) -> bool:
        """Whether it goes before all that is not."""
        return self.handler is not None and self.handler.urgent

    def rows(self) -> list[dict[str, Any]]:
        """As they stand in the inbox."""
        due_at = now() - HEAD_START if self.is_urgent else now()
        return [
            {"event_id": envelope["id"], "source": self.source, "type": self.type,
             "envelope": dumps(envelope).decode() if self.text is None else self.text, "cause": self.cause,
             "state": "parked" if self.cause else "due", "due_at": due_at}
            for envelope in self.envelopes
        ]  # fmt: skip


def arrived(message: Any, cause: str | None, handlers: Mapping[tuple[str, str], Any]) -> Arrival | None:
    """What a delivery brings; None for what is no event of its sender: bodies are never logged."""
    source = str(message.properties.get("user_id", ""))
    text: str | None
    try:
        text = bytes(message.body).decode() if not isinstance(message.body, str) else message.body
        told = json.loads(text)
        envelopes = told if isinstance(told, list) else [told]
        kind = envelopes[0]["type"]
        kind.encode()  # an unpaired surrogate could not be stored, not even as parked
        genuine = (source, kind) in handlers
        for envelope in envelopes:
            genuine = genuine and envelope["source"] == source and envelope["type"] == kind
            envelope["id"] = str(UUID(envelope["id"]))
            _context = envelope["request_id"], envelope["traceparent"]
        if isinstance(told, list):
            text = None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        text, kind, genuine, envelopes = "{}", "undecodable", False, [{"id": new_id()}]
    if cause is None and not genuine:
        return None
    return Arrival(message, cause, source, kind, text, envelopes, handlers.get((source, kind)))


def fitting(arrivals: Sequence[Arrival], most: int) -> int:
    """How many of these deliveries one transaction takes: of one handler, so many events at most, at least one."""
    count, events = 1, len(arrivals[0].envelopes)
    if not arrivals[0].handler.together:
        return count
    while count < len(arrivals) and arrivals[count].handler is arrivals[0].handler:
        events += len(arrivals[count].envelopes)
        if events > most:
            break
        count += 1
    return count
