"""The gateway's log held against real entries: what fits, what is missing, what is there twice, what comes late."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.audit.contract import AccessTraced
from services.audit.reconcile import differences, told
from services.db import new_id, now, rfc3339
from tests.services.audit_log import Log, document_read


@pytest.fixture
def log(database: Callable[[str], str], tmp_path: Path) -> Iterator[Log]:
    made = Log(database("audit"), tmp_path / "witness")
    yield made
    made.close()


def trace(request_id: str, **facts: Any) -> AccessTraced:
    return replace(document_read(new_id(), **facts), request_id=request_id)


def line(request_id: str, **changes: Any) -> str:
    return json.dumps({
        "time": rfc3339(now()), "event": "request", "method": "GET", "route": "/api/v1/documents/<uuid:document_id>",
        "status": 200, "request_id": request_id, **changes,
    })  # fmt: skip


def found(log: Log, lines: list[str], patience: float = 0) -> list[tuple[str, str]]:
    count, wrong = differences(log.sessions, lines, patience)
    assert count == len(lines)
    return [(finding, answer.request_id) for finding, answer in wrong]


def test_readings_with_one_entry_each_fit_and_what_does_not_is_named(log: Log) -> None:
    fine = [new_id() for _ in range(40)]
    missing, twice, refused, untrue = new_id(), new_id(), new_id(), new_id()
    no: dict[str, Any] = {"outcome": "refused", "reason": "document_not_found"}
    log.keep(*map(trace, fine), trace(twice), trace(twice), trace(refused, **no), trace(untrue))
    log.keep_some(5)
    nothing = {"status": 404, "code": "document_not_found"}
    lines = [line(each) for each in fine]
    assert found(log, [*lines, line(refused, **nothing)]) == []
    wrong = [line(missing), *lines, line(twice), line(untrue, **nothing)]
    assert found(log, wrong) == [("missing", missing), ("twice", twice), ("unanswered", untrue)]


def test_a_trace_on_its_way_is_waited_for(log: Log) -> None:
    late = new_id()

    def arrives() -> None:
        time.sleep(0.5)
        log.keep(trace(late))

    arriving = threading.Thread(target=arrives)
    arriving.start()
    assert found(log, [line(late)], patience=60) == []
    arriving.join()


def test_an_entry_of_another_time_is_no_entry_of_this_request(log: Log) -> None:
    old = new_id()
    log.keep(trace(old, at="2026-01-01T00:00:00Z"))
    assert found(log, [line(old)]) == [("missing", old)]


def test_many_lines_are_looked_at_piece_by_piece(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit.reconcile.AT_ONCE", 7)
    ids = [new_id() for _ in range(50)]
    log.keep(*map(trace, ids[:-1]))
    assert found(log, [line(each) for each in ids]) == [("missing", ids[-1])]


def test_the_report_names_requests_and_never_an_address_as_it_was_asked(log: Log) -> None:
    missing = new_id()
    count, wrong = differences(log.sessions, [line(missing), "not a line of ours"], 0)
    [first, last] = told(count, wrong)
    assert first.startswith(f"missing: {missing} /api/v1/documents/<uuid:document_id> 200 ")
    assert last == "1 readings answered, 1 without exactly their one trace"
