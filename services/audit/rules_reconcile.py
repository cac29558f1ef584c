"""Whether every answered reading of a record, document or thread has its one entry: what the gateway says it answered,
held against what is kept.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

Finding = Literal["missing", "twice", "unanswered"]
"""An answer without its entry; with more than one; an entry that says "allowed" where the answer was a refusal."""

READS: Final = re.compile(r"/api/v1/(?:records|documents|threads)/<[^>]+>|/fhir/AuditEvent")
"""The addresses that are read under somebody's right, as the gateway's routes spell them."""

JOINING: Final = ("/content", "/view", "/print", "/preview", "/thumbnail", "/images")
"""Readings that may go on in an opening that stands, whose one entry another request left."""

NOT_COUNTED: Final = ("/export",)
"""Answers made of many: each of their parts is traced in its own way."""

BEFORE_ANY_SERVICE: Final = frozenset({
    "unauthenticated", "session_ended", "insufficient_scope", "invalid_input", "not_acceptable", "not_found",
    "method_not_allowed", "too_many_requests", "precondition_required",
})  # fmt: skip
"""What is refused before anything is read, and so leaves no entry but a line in the log."""


@dataclass(frozen=True)
class Answer:
    """One answered request. code: of the refusal; None where it was done."""

    request_id: str
    at: datetime
    route: str
    status: int
    code: str | None

    @property
    def counts(self) -> bool:
        """Whether there has to be exactly one entry: done, or refused by whom it was asked."""
        if any(part in self.route for part in JOINING):
            return False
        return self.status < 300 or (
            self.status < 500 and self.code not in BEFORE_ANY_SERVICE and self.code is not None
        )


def answer_of(line: str) -> Answer | None:
    """Returns the answered reading that a line of the gateway's log tells of, None for every other line."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("event") != "request" or said.get("method") not in ("GET", "HEAD"):
        return None
    route, request_id = said.get("route"), said.get("request_id")
    if not isinstance(route, str) or not isinstance(request_id, str) or not READS.match(route):
        return None
    if any(part in route for part in NOT_COUNTED):
        return None
    return Answer(request_id, datetime.fromisoformat(said["time"]), route, int(said["status"]), said.get("code"))


def compare(answers: Iterable[Answer], kept: Mapping[str, Counter[str]]) -> list[tuple[Finding, Answer]]:
    """Returns what does not fit. kept: of each request, how many entries there are of each outcome."""
    found: list[tuple[Finding, Answer]] = []
    for answer in answers:
        entries = kept.get(answer.request_id, Counter())
        number = entries.total()
        if number > 1:
            found.append(("twice", answer))
        elif answer.counts and number == 0:
            found.append(("missing", answer))
        elif answer.code is not None and answer.counts and entries["allowed"]:
            found.append(("unanswered", answer))
    return found
