"""The platform that is measured: a stack of its own in a temporary folder, its demo people, its broker, its store.

Nothing of the clone's own `.run` is touched; whatever happens, the stack is taken down and its folder removed. What an
earlier run left behind because it was killed is removed first.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from uuid_utils import uuid7

from deploy.bench.figures import Amount
from deploy.demo import enter_presence_code
from deploy.local import processes
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.people import visitor
from deploy.local.ports import free_ports
from deploy.local.stack import Progress, Stack
from deploy.local.supervise import MARK, wait_until
from deploy.visitors import Town, Visitor
from services.settings import Settings
from services.tokens import Context

PLACE = Path("/var/tmp")  # noqa: S108 (a disk, where /tmp may be memory; the folder in it is made by mkdtemp)
PREFIX = "opendsp-bench-"
TOKEN_LASTS = 240.0  # seconds after which a person takes a new token; one holds ten minutes


class Ground:
    """What every measurement stands on. amount: how much is measured."""

    def __init__(self, stack: Stack, amount: Amount) -> None:
        self.stack = stack
        self.amount = amount
        self._logged_in: dict[str, tuple[Visitor, float]] = {}

    @property
    def address(self) -> tuple[str, int]:
        """Where the gateway listens."""
        return "127.0.0.1", self.stack.layout.ports["gateway"]

    def settings(self, process: str) -> Settings:
        """The settings a process of the platform runs with."""
        return processes.load_settings(self.stack.layout, process)

    def person(self, role: str) -> Visitor:
        """A demo person with an open session whose token lasts through the next measurement."""
        if role not in self._logged_in:
            told = self.stack.people()[role]
            who = visitor(self._town, told).log_in(told["capacity"])
            self._logged_in[role] = (who, time.monotonic())
        who, since = self._logged_in[role]
        if time.monotonic() - since > TOKEN_LASTS:
            who.tokens = who.ask("POST", "/sessions/refresh", json={"refresh_token": who.tokens["refresh_token"]})
            self._logged_in[role] = (who, time.monotonic())
        return who

    @cached_property
    def _town(self) -> Town:
        """One for all: after the deposits there are thousands of mails, which are read once."""
        return Town(self.stack.url, self.stack.layout.mail, self.stack.layout.letters)

    @cached_property
    def record_id(self) -> str:
        """The demo patient's record; the demo physician has a mandate in it."""
        record_id = str(self.person("patient").ask("GET", "/records")["records"][0]["record_id"])
        enter_presence_code(self.person("physician"), record_id, self.stack.people()["patient"]["presence_code"])
        return record_id

    def request(self, who: Visitor, path: str) -> bytes:
        """A GET under /api/v1 of a person with a session, byte for byte."""
        host, port = self.address
        return (
            f"GET /api/v1{path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: application/json\r\n"
            f"Accept-Language: fr\r\nUser-Agent: opendsp-bench/1\r\n"
            f"Authorization: Bearer {who.tokens['access_token']}\r\n\r\n"
        ).encode()

    def free_port(self) -> int:
        """A port nobody listens on."""
        return free_ports(1, taken=self.stack.layout.ports.values())[0]


def context(token: str) -> Context:
    """What travels with a question that the gateway asks for somebody, as the gateway would fill it."""
    request_id = str(uuid7())
    trace = f"00-{request_id.replace('-', '')}-{request_id.replace('-', '')[-16:]}-00"
    return Context(request_id, trace, time.time() + 5, "fr", "127.0.0.1", "opendsp-bench/1", None, token, "gateway")


@contextmanager
def ground(amount: Amount, progress: Progress) -> Iterator[Ground]:
    """Brings the stack up with its demo people, and takes it down whatever happens."""
    _remove_what_killed_runs_left()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=PLACE))
    signal.signal(signal.SIGTERM, _as_interrupt)
    stack = Stack(folder, progress)
    try:
        _require_space(folder, amount)
        stack.up()
        yield Ground(stack, amount)
    finally:
        _remove(stack, folder)


@contextmanager
def program(
    layout: Layout, arguments: Sequence[str], environment: Mapping[str, str], pipes: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """A Python process beside the stack, ended with the block, or by the stack's own sweep if the bench is killed."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={
            "PYTHONPATH": str(REPOSITORY),
            "PATH": f"{processes.BIN}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            MARK: str(layout.state),
            **environment,
        },
        stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
        stdout=subprocess.PIPE if pipes else None,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        if not wait_until(lambda: process.poll() is not None, 10, step=0.05):
            process.kill()
        process.communicate()


class NoSpace(Exception):
    """The disk has too little room for what would be written."""


def _require_space(folder: Path, amount: Amount) -> None:
    free = shutil.disk_usage(folder).free
    if free < amount.needs:
        raise NoSpace(
            f"SIZE={amount.size} needs {amount.needs / 1024**3:.0f} GB free under {PLACE}, there are "
            f"{free / 1024**3:.1f} GB"
        )


def _remove_what_killed_runs_left() -> None:
    for folder in PLACE.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            _remove(Stack(folder), folder)


def _remove(stack: Stack, folder: Path) -> None:
    if stack.layout.has_ports():
        stack.down()
    shutil.rmtree(stack.layout.sockets, ignore_errors=True)
    shutil.rmtree(stack.layout.state, ignore_errors=True)
    if folder.is_symlink():
        folder.unlink()


def _as_interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
