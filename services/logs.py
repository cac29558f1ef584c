"""Log lines as JSON, one catalogue of events, nothing a person could be known by.

A line has a time, a level, the process, an event name and codes. Values are shown only under the field names of
`FIELDS`, so a careless `extra` cannot carry a name or a token out; texts of exceptions are left out altogether
(drivers put parameters into them) and their place is told by file, line and type. `begin` has that hold for the
errors too that end a process or one of its threads.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections import deque
from functools import cache
from types import TracebackType
from typing import Any

FIELDS = (
    "request_id", "traceparent", "service", "method", "route", "status", "ms", "code", "event_id", "event_type",
    "source", "handler", "attempts", "retry_in", "count", "kind", "part", "account_id",
    "session_id", "record_id", "object_id",
)  # fmt: skip
_OURS = ("services", "gateway", "deploy")

log = logging.getLogger(__name__)


def begin() -> None:
    """The first line of a process; from here on no error leaves a trace of Python's own, with its text, in the log."""
    sys.excepthook = lambda kind, error, trace: _unhandled("process", (kind, error, trace))
    threading.excepthook = lambda told: _unhandled("thread", (told.exc_type, told.exc_value, told.exc_traceback))
    sys.unraisablehook = lambda told: _unhandled("clean-up", (told.exc_type, told.exc_value, told.exc_traceback))
    log.info("started")


def _unhandled(part: str, error: Any) -> None:
    log.critical("error nobody handled", exc_info=error, extra={"part": part})


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; foreign libraries' texts are cut to their logger's name and template."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": _process(),
            # The template, never its arguments: those may be a request's values.
            "event": str(record.msg) if isinstance(record.msg, str) else type(record.msg).__name__,
        }
        if not record.name.startswith(_OURS):
            line["logger"] = record.name
        for field in FIELDS:
            value = record.__dict__.get(field)
            if value is not None:
                line[field] = value
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["at"] = _places(record.exc_info[2])
        return json.dumps(line, ensure_ascii=False, default=str)


@cache
def _process() -> str:
    from services.settings import load

    return load().process


def _places(trace: TracebackType | None) -> list[str]:
    """Where an exception passed, innermost last, without any value."""
    last = deque(((frame.f_code, line) for frame, line in traceback.walk_tb(trace)), 8)
    return [f"{'/'.join(code.co_filename.rsplit('/', 2)[-2:])}:{line} {code.co_name}"
            for code, line in last if "/" in code.co_filename]  # fmt: skip
