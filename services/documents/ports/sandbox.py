"""Hostile files are parsed in a process that can do nothing else; this is the way to it and back.

The sandbox (sandbox_room.py) holds no key, no password and no connection: only the plain bytes of the one file reach
it, over a socket, and facts come back, which are read as what they should be or not at all.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.documents.ports.sandbox_room import HEADER
from services.documents.rules_examining import (
    FINDINGS_BYTES,
    RENDITIONS_BYTES,
    Limits,
    from_wire,
    rejection_of_end,
)
from services.documents.rules_findings import Findings
from services.sealing import Buffer

_ROOM = "services.documents.ports.sandbox_room"
_START = 60.0  # seconds for all the libraries on a busy machine
_GRACE = 10.0
_ROOT = Path(__file__).parents[3]
_PIECE = 8 * 1024 * 1024

log = logging.getLogger(__name__)


class SandboxGone(Exception):
    """The sandbox itself ended, by no fault of the file: try again."""


class Unprepared(Exception):
    """An examiner wanted to open something that `warm_up` had not opened before: a fault of ours, not of the file."""


class Sandbox:
    """One room, one file at a time; started at its first use and again when it went.

    examiners: the module whose `examine` and `warm_up` work inside.
    """

    def __init__(self, examiners: str = "services.documents.ports.examiners", limits: Limits | None = None) -> None:
        self._examiners = examiners
        self._limits = limits or Limits()
        self._room: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._turn = threading.Lock()

    def examine(
        self, media_type: str, facts: dict[str, Any], size: int, blocks: Iterable[Buffer],
        fetch: Callable[[int, int], Iterable[Buffer]] | None = None,
    ) -> Findings:  # fmt: skip
        """What is found in `size` bytes, given as `blocks`; or, with `fetch`, in those that the examiner asks for.

        Refuses: SandboxGone, Unprepared, and whatever `blocks` and `fetch` raise.
        """
        with self._turn:
            control = self._control or self._start()
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    errand = {
                        "media_type": media_type, "facts": facts, "size": size, "pieces": fetch is not None,
                        "limits": asdict(self._limits),
                    }  # fmt: skip
                    self._say(control, errand, theirs)
                try:
                    told = _conversation(ours, size, blocks, fetch, self._limits.wall)
                except BaseException:
                    self.close()  # nobody listens to that child any more
                    raise
            # our end is shut by now: a child that still had something to say hears that nobody listens
            end = self._ended(control)
            if told is not None:
                return told
            rejection = rejection_of_end(end["signal"], end["memory"], end["seconds"], self._limits.wall)
            return Findings(rejection=rejection)

    def prepare(self, nice: int) -> None:
        """Starts the room now, and gives it a priority once it has all it needs; a later one gets that of its maker.

        Refuses: SandboxGone.
        """
        with self._turn:
            self._start()
            assert self._room is not None
            os.setpriority(os.PRIO_PROCESS, self._room.pid, nice)

    def close(self) -> None:
        """Ends the room and whoever is in it."""
        room, control, self._room, self._control = self._room, self._control, None, None
        if control is not None:
            control.close()
        if room is not None:
            room.kill()
            room.wait()

    def _start(self) -> socket.socket:
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._room = subprocess.Popen(
                [sys.executable, "-m", _ROOM, self._examiners, str(theirs.fileno())],
                cwd=_ROOT,
                # nothing of our own: neither where settings lie nor a password
                env={"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # Python's own words of an error may hold what a file says
                pass_fds=[theirs.fileno()],
            )
        ours.settimeout(_START)
        self._control = ours
        ready = self._heard(ours)
        if ready.get("network", True):
            log.warning("sandbox shares the network", extra={"kind": "kernel"})
        return ours

    def _say(self, control: socket.socket, errand: dict[str, Any], line: socket.socket) -> None:
        try:
            socket.send_fds(control, [json.dumps(errand).encode()], [line.fileno()])
        except OSError:
            self.close()
            raise SandboxGone from None

    def _ended(self, control: socket.socket) -> dict[str, Any]:
        control.settimeout(_GRACE)
        return self._heard(control)

    def _heard(self, control: socket.socket) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(control.recv(4096))
        except (OSError, ValueError):
            self.close()
            raise SandboxGone from None
        return told


def _conversation(
    line: socket.socket, size: int, blocks: Iterable[Buffer], fetch: Callable[[int, int], Iterable[Buffer]] | None,
    wall: int,
) -> Findings | None:  # fmt: skip
    """Gives the child its file and hears it out; None when it ended before it had said all."""
    end = time.monotonic() + wall + _GRACE
    line.settimeout(wall)
    try:
        for block in blocks if fetch is None else ():
            line.sendall(block)
        while True:
            line.settimeout(max(0.1, end - time.monotonic()))
            header = _read(line, HEADER.size)
            if header is None:
                return None
            kind, number, length = HEADER.unpack(header)
            if kind == b"R" and fetch is not None and number + length <= size and length <= _PIECE:
                for block in fetch(number, length):
                    line.sendall(block)
            elif kind == b"X":
                raise Unprepared((_read(line, length) or b"").decode("utf-8", "replace"))
            elif kind == b"F":
                return _findings(line, number, length)
            else:
                return Findings(rejection="broken")
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        return None


def _findings(line: socket.socket, count: int, length: int) -> Findings | None:
    """Reads a finding with all that goes beside it: too much or malformed is what a broken examiner would say."""
    broken = Findings(rejection="broken")
    if length > FINDINGS_BYTES:
        return broken
    told, beside, left = _read(line, length), [], RENDITIONS_BYTES
    for _ in range(count):
        header = _read(line, HEADER.size)
        if header is None or told is None:
            return None
        kind, _, size = HEADER.unpack(header)
        left -= size
        if kind != b"B" or left < 0:
            return broken
        body = _read(line, size)
        if body is None:
            return None
        beside.append(body)
    if told is None:
        return None
    try:
        return from_wire(json.loads(told), beside)
    except (ValueError, TypeError, RecursionError):
        return broken


def _read(line: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        got = line.recv(min(size - len(data), 1024 * 1024))
        if not got:
            return None
        data += got
    return bytes(data)
