"""Inside the sandbox: `python -m services.documents.ports.sandbox_room MODULE FD`, started by sandbox.py alone.

The room is a process without secrets, settings, database and network. It loads the libraries once; for each file it
forks a child that can only compute: no new file descriptors, 1 GiB of memory, 30 s of processor, a minute in all. What
the child finds goes back over its one socket; how it ended, the room tells.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

from services.documents.ports.pieces import Pieces
from services.documents.rules_examining import Limits, to_wire
from services.documents.rules_findings import Findings, NotPassed

HEADER = struct.Struct("!cQI")
"""Of what a child says: R (start, length) asks for bytes, F (count, length) is a finding, B (0, length) goes beside it,
X (0, length) tells that something of ours is missing inside."""

_NEW_NET, _NEW_USER = 0x40000000, 0x10000000
_DEATH_SIGNAL, _DUMPABLE, _NO_NEW_PRIVILEGES = 1, 4, 38
_MESSAGE = 64 * 1024
_NOBODY = 65534


def main(module: str, control: socket.socket) -> None:
    """Serves until the other end of `control` is closed. module: what examines."""
    alone = _shut_off()
    examiners = importlib.import_module(module)
    examiners.warm_up()
    gc.collect()
    gc.freeze()  # a child that collects would copy every page that it shares
    control.send(json.dumps({"ready": True, "network": not alone}).encode())
    while True:
        told, handed, _, _ = socket.recv_fds(control, _MESSAGE, 1)
        if not told:
            return
        control.send(json.dumps(_serve(control, examiners, json.loads(told), handed[0])).encode())


def _shut_off() -> bool:
    """Leaves the network behind where the kernel lets us; nobody may look into this memory, nor gain rights."""
    libc = ctypes.CDLL(None, use_errno=True)
    alone = libc.unshare(_NEW_NET) == 0 or libc.unshare(_NEW_USER | _NEW_NET) == 0
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)
    return bool(alone)


def _serve(control: socket.socket, examiners: Any, errand: dict[str, Any], line: int) -> dict[str, Any]:
    """Has a child look at one file; says how it ended."""
    begun = time.monotonic()
    room = os.getpid()
    child = os.fork()
    if not child:
        try:
            _look(examiners, errand, line, room)
        finally:
            os._exit(1)
    os.close(line)
    handle = os.pidfd_open(child)
    try:
        _await(handle, control, child, errand["limits"]["wall"])
    finally:
        os.close(handle)
    _, status, used = os.wait4(child, 0)
    return {
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
        "memory": used.ru_maxrss * 1024,
        "seconds": time.monotonic() - begun,
    }


def _await(handle: int, control: socket.socket, child: int, wall: int) -> None:
    """Until the child is over; it is ended when its time is, or when nobody waits for it any more."""
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    waiting.register(control, select.POLLHUP | select.POLLRDHUP)
    found = waiting.poll((wall + 1) * 1000)
    if not any(number == handle for number, _ in found):
        os.kill(child, signal.SIGKILL)


# --- the child ------------------------------------------------------------------------------------------------------


def _look(examiners: Any, errand: dict[str, Any], line: int, room: int) -> None:
    limits = Limits(**errand["limits"])
    signal.setitimer(signal.ITIMER_REAL, limits.wall)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.dup2(line, 3)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    out = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=3)
    for limit, most in (
        (resource.RLIMIT_AS, limits.memory), (resource.RLIMIT_NOFILE, 0), (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NPROC, 0),
    ):  # fmt: skip
        resource.setrlimit(limit, (most, most))
    # a second of grace, or the signal would be the one that does not tell why
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor, limits.processor + 1))
    if os.geteuid() == 0:  # nobody's limits bind root
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    # after that: whoever changes who they are loses it
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != room:  # it ended before it could be said what is to happen then
        os._exit(1)
    try:
        size, pieces = errand["size"], errand["pieces"]
        data = Pieces(size, lambda start, length: _asked(out, start, length)) if pieces else _received(out, size)
        findings = examiners.examine(data, errand["media_type"], errand["facts"])
    except NotPassed as verdict:
        findings = Findings(rejection=verdict.code)
    except MemoryError:
        findings = Findings(rejection="too_large_inside")
    except RecursionError:
        findings = Findings(rejection="broken")
    except Exception as broken:
        if isinstance(broken, ImportError) or getattr(broken, "errno", 0) == errno.EMFILE:
            missing = getattr(broken, "name", None) or getattr(broken, "filename", None) or type(broken).__name__
            _tell(out, b"X", 0, str(missing).encode()[:200])
            os._exit(0)
        findings = Findings(rejection="broken")
    told, beside = to_wire(findings)
    _tell(out, b"F", len(beside), json.dumps(told).encode())
    for each in beside:
        _tell(out, b"B", 0, each)
    os._exit(0)


def _tell(out: socket.socket, kind: bytes, number: int, body: bytes) -> None:
    out.sendall(HEADER.pack(kind, number, len(body)) + body)


def _asked(out: socket.socket, start: int, length: int) -> bytearray:
    out.sendall(HEADER.pack(b"R", start, length))
    return _received(out, length)


def _received(line: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        got = line.recv_into(view[at:])
        if not got:
            os._exit(1)  # whoever wanted to know is gone
        at += got
    return data


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started us decides
    with socket.socket(fileno=int(sys.argv[2])) as end:
        main(sys.argv[1], end)
