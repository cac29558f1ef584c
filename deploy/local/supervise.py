"""The supervisor of the stack: starts what dies, keeps the logs, and ends everything when told to.

supervisord runs as a daemon of its own per state folder and is steered over a unix socket in it.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from deploy.local.failure import StackFailure
from deploy.local.layout import Layout, write_private
from deploy.local.part import Part

LOG_BYTES = "10MB"
LOG_BACKUPS = 3
# A part that ends so many times in a row is not going to come up by itself while someone waits for it.
TRIES_SHOWN_AS_FAILURE = 3
MARK = "OPENDSP_STATE"
RUNNING = ("RUNNING", "STARTING", "BACKOFF")


class Supervisor:
    """Control over the supervisord of one stack."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._configuration = layout.supervisor / "supervisord.conf"
        self._own_log = layout.logs / "supervisord.log"
        self._told_before = 0

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self._layout.sockets / "supervisor.sock"

    def is_up(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._ask("getState")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def ensure(self, parts: Sequence[Part]) -> list[str]:
        """Have supervisord run with exactly these parts known; names those that were stopped because they changed."""
        write_private(self._configuration, self._text(parts))
        self._told_before = self._own_log.stat().st_size if self._own_log.exists() else 0
        if not self.is_up():
            self._start()
            return []
        [[added, changed, removed]] = self._ask("reloadConfig")
        stopping = [name for name in (*removed, *changed) if self.state(name) in RUNNING]
        self.stop(stopping)
        for name in (*removed, *changed):
            self._ask("removeProcessGroup", name)
        for name in (*added, *changed):
            self._ask("addProcessGroup", name)
        return [name for name in changed if name in stopping]

    def start(self, names: Iterable[str]) -> list[str]:
        """Have the named parts running; names those that were not."""
        started = []
        for name in names:
            state = self.state(name)
            if state == "BACKOFF":
                self.stop([name])  # it waits longer from try to try: someone who starts it wants it now
            if state not in ("RUNNING", "STARTING"):
                with _unless("ALREADY_STARTED"):
                    self._ask("startProcess", name, False)
                started.append(name)
        return started

    def stop(self, names: Iterable[str]) -> None:
        """Stop the named parts together and wait until they are gone."""
        stopping = []
        for name in names:
            with _unless("NOT_RUNNING", "BAD_NAME"):
                self._ask("stopProcess", name, False)
                stopping.append(name)
        wait_until(lambda: all(self.state(name) not in (*RUNNING, "STOPPING") for name in stopping), 60, step=0.05)

    def restart(self, name: str) -> None:
        """Stop and start one part."""
        self.stop([name])
        self.start([name])

    def kill(self, name: str, *, number: int = signal.SIGKILL) -> int:
        """Send a signal to a part's whole process group, as an accident would; gives back the pid it had."""
        pid = self.pid(name)
        if not pid:
            raise StackFailure(f"{name} is not running", log=self._layout.log(name))
        os.killpg(os.getpgid(pid), number)
        return pid

    def pid(self, name: str) -> int:
        """The process id of a part, 0 when it does not run."""
        return int(self._ask("getProcessInfo", name)["pid"])

    def state(self, name: str) -> str:
        """supervisord's word for what a part does: RUNNING, STOPPED, BACKOFF..."""
        return str(self._ask("getProcessInfo", name)["statename"])

    def states(self) -> dict[str, dict[str, Any]]:
        """Everything supervisord knows of each part."""
        return {facts["name"]: facts for facts in self._ask("getAllProcessInfo")}

    def require(self, names: Iterable[str]) -> None:
        """Refuses: StackFailure when one of the parts keeps ending instead of running."""
        known = self.states()
        for name in names:
            facts = known[name]
            dead = facts["statename"] in ("FATAL", "UNKNOWN", "EXITED", "STOPPED")
            tries = facts["spawnerr"] if facts["statename"] == "BACKOFF" else ""
            if dead or (facts["statename"] == "BACKOFF" and self._restarts(name) >= TRIES_SHOWN_AS_FAILURE):
                raise StackFailure(
                    f"{name} does not stay up" + (f" ({tries})" if tries else ""),
                    log=self._layout.log(name),
                    advice="mend what its log tells, then `make up` again; what already runs is left alone",
                )

    def shut_down(self, order: Sequence[Sequence[str]]) -> None:
        """Stop the parts, one group after the other, then supervisord, then whatever was left behind."""
        if self.is_up():
            known = self.states()
            for together in order:
                self.stop(name for name in together if name in known)
            with contextlib.suppress(OSError, xmlrpc.client.Error):
                self._ask("shutdown")
            wait_until(lambda: not self.is_up() and not self._own_pid(), 60, step=0.05)
        sweep(self._layout)

    def sweep(self) -> list[int]:
        """End the stack's processes that no supervisor looks after (one that was killed leaves them)."""
        return [] if self.is_up() else sweep(self._layout)

    def _restarts(self, name: str) -> int:
        # supervisord tells that a part is backing off, not how often it did: the log of its own does.
        if not self._own_log.exists():
            return 0
        with self._own_log.open("rb") as stream:
            stream.seek(self._told_before)
            told = stream.read().decode("utf-8", "replace")
        return told.rpartition(f"success: {name} entered RUNNING")[2].count(f"exited: {name} (")

    def _own_pid(self) -> int | None:
        try:
            pid = int((self._layout.supervisor / "supervisord.pid").read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return None
        return pid if f"{MARK}={self._layout.state}".encode() in _environment_of(pid) else None

    def _start(self) -> None:
        sweep(self._layout)
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(self._configuration)],
            cwd=self._layout.state,
            env={
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "HOME": str(self._layout.state),
                MARK: str(self._layout.state),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode or not wait_until(self.is_up, 15, step=0.05):
            raise StackFailure(
                "the supervisor does not start",
                log=self._own_log,
                lines=done.stdout + done.stderr,
                advice="see that the state folder may be written and the disk is not full",
            )

    def _ask(self, method: str, *arguments: Any) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            # The address is never used: the transport goes to the socket.
            return getattr(xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor, method)(
                *arguments
            )
        finally:
            transport.close()

    def _text(self, parts: Sequence[Part]) -> str:
        layout = self._layout
        head = f"""\
[unix_http_server]
file = {_escaped(self.socket)}
chmod = 0700
[supervisord]
logfile = {_escaped(self._own_log)}
logfile_maxbytes = {LOG_BYTES}
logfile_backups = {LOG_BACKUPS}
pidfile = {_escaped(layout.supervisor / "supervisord.pid")}
childlogdir = {_escaped(layout.logs)}
directory = {_escaped(layout.state)}
umask = 077
{"user = root" if os.geteuid() == 0 else ""}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
        return head + "".join(self._program(part) for part in parts)

    def _program(self, part: Part) -> str:
        environment = ",".join(f'{name}="{_escaped(value)}"' for name, value in part.environment.items())
        return f"""\
[program:{part.name}]
command = {_escaped(shlex.join(part.command))}
directory = {_escaped(part.directory)}
environment = {environment}
{f"user = {part.account}" if part.account else ""}
autostart = false
autorestart = true
startsecs = 1
startretries = 100000
stopsignal = {part.stop_signal}
stopwaitsecs = {part.grace}
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = {_escaped(self._layout.log(part.name))}
stdout_logfile_maxbytes = {LOG_BYTES}
stdout_logfile_backups = {LOG_BACKUPS}
"""


def sweep(layout: Layout) -> list[int]:
    """End what is left of this stack's processes when nobody supervises them any more; names their ids.

    They are known by the mark in their environment, which every child of supervisord inherits; PostgreSQL writes over
    its own, so that one is known by its pid file. No other process is touched.
    """
    server = _orphaned_postgres(layout)
    if server:
        _end([server], first=signal.SIGINT)
    left = _marked(layout.state)
    _end(left, first=signal.SIGTERM)
    for socket in layout.sockets.glob("*.sock*"):
        socket.unlink()
    return left + ([server] if server else [])


def wait_until(condition: Any, seconds: float, step: float = 0.1) -> bool:
    """Ask again and again until it holds; False when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        if condition():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(step)


def _end(pids: Sequence[int], first: int) -> None:
    for number, patience in ((first, 10.0), (signal.SIGKILL, 5.0)):
        alive = [pid for pid in pids if _is_alive(pid)]
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if wait_until(lambda: not any(map(_is_alive, pids)), patience, step=0.05):
            return


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _marked(state: Path) -> list[int]:
    mark = f"{MARK}={state}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and mark in _environment_of(int(entry.name)):
            found.append(int(entry.name))
    return found


def _environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _orphaned_postgres(layout: Layout) -> int | None:
    data = layout.postgres / "data"
    try:
        first, folder = (data / "postmaster.pid").read_text().splitlines()[:2]
        program = Path(f"/proc/{first}/exe").resolve().name
    except (OSError, ValueError):
        return None
    return int(first) if program == "postgres" and Path(folder) == data and _is_alive(int(first)) else None


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")


@contextlib.contextmanager
def _unless(*names: str) -> Any:
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if not any(name in fault.faultString for name in names):
            raise
