"""The recipe of the local stack: what is done, in which order, and how each part proves that it is up."""

import contextlib
import fcntl
import http.client
import json
import os
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import luxtrust, mailbox, packages, postgres, processes, rabbitmq, seaweed
from deploy.local.failure import StackFailure
from deploy.local.layout import REPOSITORY, SERVICES, Layout, read_kept, write_private
from deploy.local.part import Part
from deploy.local.ports import is_free
from deploy.local.supervise import Supervisor

# part, what became of it, seconds it took
Progress = Callable[[str, str, float], None]

INFRASTRUCTURE = ("postgres", "epmd", "rabbitmq", "weed", "mailbox", "luxtrust")
PATIENCE = 180.0


class Stack:
    """One whole platform, its state in one folder.

    `infra()` starts what the services stand on, `up()` everything, `down()` ends all of it and keeps the data. Each
    may be called again at any time; what is already so is left alone.
    """

    def __init__(self, state: Path, progress: Progress = lambda part, message, seconds: None) -> None:
        self.layout = Layout(state)
        self.supervisor = Supervisor(self.layout)
        self._progress = progress
        self._fresh_broker = False

    @property
    def url(self) -> str:
        """The gateway's address, empty while this stack was never started."""
        return self.layout.public_url if self.layout.has_ports() else ""

    @property
    def monitor_url(self) -> str:
        """Where operators look at what waits."""
        return f"http://127.0.0.1:{self.layout.ports['monitor']}"

    def infra(self) -> None:
        """Start PostgreSQL, RabbitMQ, the object store, the mailbox and LuxTrust; make databases, schemas and topology.

        Refuses: StackFailure, naming the part, its log and what to do.
        """
        with self._alone():
            self._infra()

    def up(self, *, with_people: bool = True) -> None:
        """Start everything, wait until the gateway answers that all of it is ready, load the demo people once.

        Refuses: StackFailure, naming the part, its log and what to do.
        """
        with self._alone():
            self._infra()
            self._platform()
            if with_people:
                self._people()

    def down(self) -> None:
        """Stop everything, clients first, and leave no process behind. Nothing that was acknowledged is lost."""
        if not self.layout.has_ports():
            self._say("everything", "there was nothing to stop", time.monotonic())
            return
        with self._alone():
            began = time.monotonic()
            services = [part.name for part in processes.parts(self.layout) if part.name != processes.GATEWAY]
            self.supervisor.shut_down(
                [
                    [processes.GATEWAY],
                    [*services, *(name for name in self._known() if name.partition("-")[0] in processes.SCALED)],
                    [name for name in INFRASTRUCTURE if name != "epmd"],
                    ["epmd"],
                ]
            )
            seaweed.remove_sockets(self.layout)
            self._say("everything", "stopped, the data is kept", began)

    def scale(self, service: str, count: int) -> None:
        """Run so many processes of a service, from now on and after the next start."""
        with self._alone():
            processes.keep_replicas(self.layout, service, count)
            if self.supervisor.is_up():
                changed = self.supervisor.ensure(self._parts())
                self.supervisor.start([*changed, *self._services()])

    def log_lines(self, part: str) -> list[str]:
        """What a part has logged, the oldest kept line first."""
        log = self.layout.log(part)
        older = sorted(log.parent.glob(f"{log.name}.*"), key=lambda file: -int(file.suffix[1:]))
        return [
            line for file in (*older, log) if file.exists() for line in file.read_text("utf-8", "replace").splitlines()
        ]

    # -- what the services stand on ------------------------------------------------------------------------------

    def _infra(self) -> None:
        began = time.monotonic()
        installed = packages.ensure()
        if installed:
            self._say("packages", f"installed {', '.join(installed)}", began)
        self.layout.create()
        self._refuse_taken_ports()
        rabbitmq.prepare(self.layout)
        seaweed.prepare(self.layout)
        luxtrust.prepare(self.layout)
        processes.write_settings(self.layout)
        self._prepare_processes()
        if not (self.layout.postgres / "data").exists():
            began = time.monotonic()
            postgres.prepare(self.layout)
            self._say("postgres", "a cluster of its own was made", began)
        postgres.prepare(self.layout)

        began = time.monotonic()
        changed = self.supervisor.ensure(self._parts())
        if "rabbitmq" in changed:
            self._fresh_broker = True
        if self.supervisor.state("weed") not in ("RUNNING", "STARTING"):
            seaweed.forget_readiness(self.layout)
        started = self.supervisor.start(INFRASTRUCTURE)
        self._fresh_broker |= "rabbitmq" in started
        self._await("postgres", lambda: postgres.answers(self.layout), began)
        with ThreadPoolExecutor(1) as beside:
            # The broker takes its seconds to boot; the databases are made meanwhile.
            databases = beside.submit(self._databases)
            self._await("mailbox", self._mailbox_answers, began)
            self._await("luxtrust", lambda: _listens(self.layout.ports["luxtrust"]), began)
            self._await("weed", self._store_answers, began)
            self._await("rabbitmq", lambda: rabbitmq.answers(self.layout), began)
            databases.result()
        self._topology()

    def _databases(self) -> None:
        began = time.monotonic()
        postgres.provision(self.layout)
        kept_in = self.layout.state / "migrated.json"
        done: dict[str, str] = read_kept(kept_in)
        wanted = {service: self._schema_of(service) for service in SERVICES}
        due = [service for service in SERVICES if done.get(service) != wanted[service]]
        if due:
            # One process for all: what takes the time is to load the libraries.
            self._run("a migration", "migrations", ["-m", "deploy.local.schemas", str(self.layout.state), *due])
            write_private(kept_in, json.dumps(wanted))
        if "identity" in due:
            self._run("the first signing key", "identity", ["-m", "services.identity.first_key"])
        self._say("databases", f"{len(due)} migrated" if due else "as they should be", began)

    def _schema_of(self, service: str) -> str:
        services = REPOSITORY / "services"
        return processes.digest(services / service / "migrations", services / "db.py")

    def _topology(self) -> None:
        began = time.monotonic()
        if self._fresh_broker:
            rabbitmq.remember_definitions(self.layout)
            self._fresh_broker = False
        elif rabbitmq.definitions_are_new(self.layout):
            rabbitmq.import_definitions(self.layout)
            self._say("topology", "changed, given to the running broker", began)
            return
        self._say("topology", "declared", began)

    # -- the platform --------------------------------------------------------------------------------------------

    def _platform(self) -> None:
        began = time.monotonic()
        names = [processes.BROKER_AUTH, *self._services(), processes.GATEWAY]
        self.supervisor.start(names)
        self._await(processes.BROKER_AUTH, lambda: _listens(self.layout.ports["broker_auth"]), began)
        answered: set[str] = set()
        silent: list[str] = []

        def ready() -> bool:
            status, dependencies = self._readiness()
            silent[:] = [name for name, answers in dependencies.items() if not answers]
            for name in SERVICES:
                if dependencies.get(name) and name not in answered:
                    answered.add(name)
                    self._say(name, "answers", began)
            return status == http.HTTPStatus.OK

        self._await(processes.GATEWAY, ready, began, watched=names, silent=silent)
        self._await(processes.MONITOR, lambda: _listens(self.layout.ports["monitor"]), began)
        self.supervisor.require(names)

    def _readiness(self) -> tuple[int, dict[str, bool]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.layout.ports["gateway"], timeout=10)
        try:
            connection.request("GET", "/health/ready")
            response = connection.getresponse()
            body = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()
        told = body.get("dependencies", body) if isinstance(body, dict) else {}
        return response.status, {name: state in (True, "ok", "up", "ready") for name, state in told.items()}

    def _people(self) -> None:
        began = time.monotonic()
        kept_in = self.layout.state / "people.json"
        if kept_in.exists():
            self._say("people", "already there", began)
            return
        from deploy.local import people
        from deploy.visitors import Town

        town = Town(self.url, self.layout.mail, self.layout.letters)
        try:
            loaded = people.load(town, self.first_agent_code)
        except Exception as error:
            raise StackFailure(
                f"the demo people could not be loaded: {error}",
                log=self.layout.log(processes.GATEWAY),
                advice="the platform itself is up; mend what the logs tell, then `make up` loads them again",
            ) from error
        write_private(kept_in, json.dumps(loaded, indent=1, ensure_ascii=False))
        self._say("people", "the demo people were loaded", began)

    def first_agent_code(self, matricule: str, role: str = "administrator") -> str:
        """An activation code for an agent with this matricule and role, as an operator makes the first one."""
        arguments = ["-m", "services.identity.first_agent", "--matricule", matricule, "--role", role]
        return self._run("the first agent's code", "identity", arguments).strip()

    def people(self) -> dict[str, dict[str, str]]:
        """The log-ins of the demo people by role. Empty when none are loaded."""
        return read_kept(self.layout.state / "people.json")

    # -- how it is done ------------------------------------------------------------------------------------------

    def _parts(self) -> list[Part]:
        layout = self.layout
        infrastructure = [postgres.part(layout), *rabbitmq.parts(layout), seaweed.part(layout), mailbox.part(layout)]
        return [*infrastructure, luxtrust.part(layout), *processes.parts(layout)]

    def _services(self) -> list[str]:
        others = (processes.GATEWAY, processes.BROKER_AUTH)
        return [part.name for part in processes.parts(self.layout) if part.name not in others]

    def _known(self) -> list[str]:
        return list(self.supervisor.states()) if self.supervisor.is_up() else []

    def _prepare_processes(self) -> None:
        for process in processes.PROCESSES:
            self.layout.temporary_folder(process)

    def _refuse_taken_ports(self) -> None:
        if self.supervisor.is_up():
            return
        self.supervisor.sweep()
        taken = [f"{port} ({name})" for name, port in self.layout.ports.items() if not is_free(port)]
        if taken:
            raise StackFailure(
                f"ports that this stack keeps for itself are taken by another program: {', '.join(taken)}",
                advice=f"stop that program, or remove {self.layout.state / 'ports.json'} and other ports are chosen",
            )

    def _run(self, what: str, process: str, arguments: Sequence[str]) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env=processes.environment(self.layout, process),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            log = self.layout.log(f"{process}-setup")
            write_private(log, done.stderr)
            raise StackFailure(f"{what} failed", log=log, advice="mend what its last lines tell, then `make up` again")
        return done.stdout

    def _await(
        self,
        part: str,
        answers: Callable[[], bool],
        began: float,
        watched: Sequence[str] = (),
        silent: Sequence[str] = (),
    ) -> None:
        deadline = time.monotonic() + PATIENCE
        while not answers():
            self.supervisor.require(watched or [part])
            if time.monotonic() > deadline:
                cause = f"; it says that these do not answer it: {', '.join(silent)}" if silent else ""
                raise StackFailure(
                    f"{part} runs but is not ready after {PATIENCE:.0f} s{cause}",
                    log=self.layout.log(silent[0] if silent and self.layout.log(silent[0]).exists() else part),
                    advice=f"see its log and those of its neighbours in {self.layout.logs}",
                )
            time.sleep(0.15)
        self._say(part, "answers", began)

    def _mailbox_answers(self) -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", self.layout.ports["smtp"], timeout=5) as client:
                return client.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    def _store_answers(self) -> bool:
        return seaweed.is_set_up(self.layout) and _listens(self.layout.ports["s3"])

    def _say(self, part: str, message: str, began: float) -> None:
        self._progress(part, message, time.monotonic() - began)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        # Two `make up` at once would each start half.
        self.layout.state.mkdir(mode=0o711, parents=True, exist_ok=True)
        with (self.layout.state / "lock").open("w") as held:
            os.fchmod(held.fileno(), 0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
