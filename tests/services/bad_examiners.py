"""Examiners that a hostile file has taken over: each does what the first word of its file says."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from services.documents.rules_findings import Findings, Rendition


def warm_up() -> None:
    """Nothing to load."""


def examine(data: Any, media_type: str, facts: dict[str, Any]) -> Any:
    """Does it."""
    word = bytes(data[:64] if hasattr(data, "__getitem__") else data.read(64)).split()[0].decode()
    return globals()[f"do_{word}"](data)


def do_eat(_data: Any) -> Findings:
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def do_loop(_data: Any) -> Findings:
    while True:
        pass


def do_connect(_data: Any) -> Findings:
    return said(lambda: socket.create_connection(("127.0.0.1", 80), timeout=1))


def do_write(_data: Any) -> Findings:
    return said(lambda: Path("/var/tmp/opendsp-escaped").open("wb"))


def do_read(_data: Any) -> Findings:
    return said(lambda: list(Path("/").iterdir()))


def do_fork(_data: Any) -> Findings:
    return said(os.fork)


def do_interfaces(_data: Any) -> Findings:
    return said(lambda: ",".join(name for _, name in socket.if_nameindex()))


def do_environment(_data: Any) -> Findings:
    return Findings(text=" ".join(sorted(os.environ)))


def do_crash(_data: Any) -> Findings:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Findings()


def do_leave(_data: Any) -> Findings:
    os._exit(0)


def do_import(_data: Any) -> Findings:
    import services.documents.no_such_thing  # noqa: F401

    return Findings()


def do_lie(_data: Any) -> Any:
    return {"text": "a finding of its own making"}


def do_flood(_data: Any) -> Findings:
    return Findings(renditions=tuple(Rendition("page", "image/png", bytes(8 * 1024 * 1024), n) for n in range(7)))


def do_talk(_data: Any) -> Findings:
    os.write(3, b"Z" * 1000)
    time.sleep(0.1)
    return Findings()


def do_reach(_data: Any) -> Findings:
    """Asks for bytes that its file does not have."""
    os.write(3, b"R" + (10**9).to_bytes(8, "big") + (100).to_bytes(4, "big"))
    os.read(3, 100)
    return Findings(text="got them")


def do_pid(_data: Any) -> Findings:
    return Findings(text=str(os.getpid()))


def do_wait(_data: Any) -> Findings:
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True:
        time.sleep(1)


def said(deed: Any) -> Findings:
    try:
        return Findings(text=f"done {deed()}")
    except OSError as stopped:
        return Findings(text=type(stopped).__name__ + f" {stopped.errno}")
