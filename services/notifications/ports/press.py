"""The printing press as the service sees it: a process of its own, which makes a letter's file and says so.

Laying out a letter costs a fifth of a second of processor time: in the service's own process every code and every
answer would wait for it. The press is batch work to the kernel, joined by a socket pair like identity's hashers, and
ends when the service's end of it is closed, however the service dies. One that died is replaced.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any

PATIENCE = 60.0  # seconds for one letter


@dataclass(frozen=True)
class Printed:
    """What the press says of a letter's file, for the manifest of its batch."""

    pages: int
    digest: bytes


@dataclass(frozen=True)
class Sheet:
    """What stands on one letter. Never a matricule: an envelope gets lost, and with it a log-in name would."""

    letter_id: str
    occasion: str
    language: str
    name_lines: tuple[str, ...]
    address_lines: tuple[str, ...]
    activation_code: str
    activation_expires_at: datetime
    presence_code: str | None
    portal: str
    reference: str
    at: datetime

    def to_wire(self) -> dict[str, Any]:
        """The sheet as plain JSON values."""
        times = {name: getattr(self, name).isoformat() for name in ("activation_expires_at", "at")}
        return {**asdict(self), **times}

    @staticmethod
    def from_wire(wire: dict[str, Any]) -> Sheet:
        lines = {name: tuple(wire[name]) for name in ("name_lines", "address_lines")}
        times = {name: datetime.fromisoformat(wire[name]) for name in ("activation_expires_at", "at")}
        return Sheet(**{**wire, **lines, **times})


class Press:
    """Prints into one folder; whoever prints at the same time waits."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def print(self, sheet: Sheet) -> Printed:
        """Makes the letter's file, durable when this returns; a repeat replaces it. Raises OSError when it cannot."""
        told = _machine().ask({"folder": self._folder, "sheet": sheet.to_wire()})
        return Printed(told["pages"], bytes.fromhex(told["sha256"]))


class _Machine:
    """Our end of the process, which is started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            try:
                answer = self._answer(json.dumps(job).encode() + b"\n")
            except BaseException:
                self._end()  # whoever stops waiting leaves an answer behind that nobody else may take for theirs
                raise
        told: dict[str, Any] = json.loads(answer)
        if "failed" in told:
            raise OSError(f"not printed: {told['failed']}")
        return told

    def _answer(self, line: bytes) -> bytes:
        ours = self._socket or self._start()
        ours.sendall(line)
        answer = b""
        while not answer.endswith(b"\n"):
            more = ours.recv(4096)
            if not more:
                raise ConnectionResetError("the press is gone")
            answer += more
        return answer.strip()

    def _start(self) -> socket.socket:
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(PATIENCE)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.notifications.ports.letters"], stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )  # fmt: skip
        return self._socket

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.poll()
        self._socket = None


@cache
def _machine() -> _Machine:
    """One for the whole process."""
    return _Machine()
