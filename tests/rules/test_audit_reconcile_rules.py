"""What the gateway's log says was answered, held against what is kept."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from services.audit.rules_reconcile import BEFORE_ANY_SERVICE, Answer, answer_of, compare

RECORD = "/api/v1/records/<uuid:record_id>"
LINE: dict[str, Any] = {
    "time": "2026-11-21T16:00:00.123Z", "level": "info", "process": "gateway", "event": "request", "method": "GET",
    "route": RECORD, "status": 200, "ms": 3.1, "request_id": "a",
}  # fmt: skip


def answer(**changes: Any) -> Answer:
    made = answer_of(json.dumps({**LINE, **changes}))
    assert made is not None
    return made


def findings(one: Answer, **kept: int) -> list[str]:
    return [finding for finding, _ in compare([one], {one.request_id: Counter(kept)} if kept else {})]


@pytest.mark.parametrize("route", [
    RECORD, f"{RECORD}/documents", "/api/v1/documents/<uuid:document_id>", f"{RECORD}/access-history",
    "/api/v1/threads/<uuid:thread_id>/messages",
    "/fhir/AuditEvent", "/fhir/AuditEvent/<uuid:event_id>",
])  # fmt: skip
def test_a_reading_that_was_answered_has_exactly_one_entry(route: str) -> None:
    one = answer(route=route)
    assert findings(one, allowed=1) == []
    assert findings(one) == ["missing"]
    assert findings(one, allowed=2) == ["twice"]
    assert findings(one, allowed=1, refused=1) == ["twice"]


def test_a_reading_that_was_refused_has_an_entry_that_says_so() -> None:
    one = answer(status=404, code="record_not_found")
    assert findings(one, refused=1) == []
    assert findings(one) == ["missing"]
    assert findings(one, allowed=1) == ["unanswered"]


@pytest.mark.parametrize(("status", "code"), [(503, "unavailable"), (500, "internal"), (404, None),
                                              *((400, code) for code in sorted(BEFORE_ANY_SERVICE))])  # fmt: skip
def test_what_no_service_answered_needs_no_entry_and_never_has_two(status: int, code: str | None) -> None:
    one = answer(status=status, code=code)
    assert findings(one) == findings(one, allowed=1) == []
    assert findings(one, allowed=2) == ["twice"]


def test_a_reading_may_go_on_in_an_opening_that_stands() -> None:
    one = answer(route="/api/v1/documents/<uuid:document_id>/content")
    assert findings(one) == findings(one, allowed=1) == []
    assert findings(one, allowed=2) == ["twice"]


@pytest.mark.parametrize("line", [
    "", "no json", "[]", "7", json.dumps({**LINE, "event": "started"}), json.dumps({**LINE, "method": "POST"}),
    json.dumps({**LINE, "route": "/api/v1/help"}), json.dumps({**LINE, "route": "-"}),
    json.dumps({**LINE, "route": f"{RECORD}/export"}), json.dumps({k: v for k, v in LINE.items() if k != "request_id"}),
])  # fmt: skip
def test_every_other_line_of_a_log_is_left_aside(line: str) -> None:
    assert answer_of(line) is None
