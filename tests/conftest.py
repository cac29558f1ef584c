"""The platform under test: real parts on free ports, in folders of their own, taken down whatever happens.

`infra` is PostgreSQL, RabbitMQ, the object store and the mailbox with schemas and topology, and nobody on the bus.
`platform` is everything, gateway included. `database("dossier")` is an empty database of that service on `infra`,
`database_before("dossier", "0003")` one with the schema of an earlier release.
"""

import atexit
import itertools
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest
import requests
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from deploy.local import packages, postgres, processes
from deploy.local.layout import DATABASE_ADMIN, password
from deploy.local.reconcile import reconcile
from deploy.local.stack import Stack
from deploy.local.supervise import wait_until
from services.db import migrate

if TYPE_CHECKING:
    from services.settings import Settings

PLACE = Path("/var/tmp")
PREFIX = "opendsp-test-"
TEST_ROLES = "opendsp_test_roles"

# How long an example takes tells of the machine's other work, not of the code.
_BUSY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
# Each run draws other examples: many runs of fewer find what one long run would, and sooner.
settings.register_profile("usual", max_examples=50, **_BUSY)
settings.register_profile("long", max_examples=500, **_BUSY)
settings.load_profile("usual")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="ten times the examples, and a process killed at each line")
    parser.addoption("--keep-state", action="store_true", help="leave the folders of the stacks (their logs) in place")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("long" if config.option.long else "usual")


@pytest.fixture(scope="session")
def infra(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """What the services stand on, without the services."""
    with _stack(request) as stack:
        stack.infra()
        yield stack


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator["Platform"]:
    """The whole platform, ready, without demo people."""
    with _stack(request) as stack:
        stack.up(with_people=False)
        yield Platform(stack)


@pytest.fixture(scope="session")
def databases(infra: Stack) -> "Databases":
    """What `database` and `database_before` make theirs with."""
    return Databases(infra)


@pytest.fixture(scope="session")
def database(databases: "Databases") -> Callable[[str], str]:
    """Makes databases: `database("dossier")` gives the URL of a new one with that service's schema."""
    return databases.fresh


@pytest.fixture(scope="session")
def database_before(databases: "Databases") -> Callable[[str, str], "Before"]:
    """Makes databases to upgrade: `database_before("dossier", "0003")` gives a new one with the schema of then."""
    return databases.before


class Platform:
    """A running platform and what a test may do to it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = stack.url
        self.state = stack.layout.state
        self.mailbox = stack.layout.mail
        self.letters = stack.layout.letters

    def kill(self, process: str) -> int:
        """Kill a process and its children with -9, as an accident would; the supervisor starts it again."""
        return self.stack.supervisor.kill(process)

    def stop(self, process: str) -> None:
        """Stop a process and keep it down."""
        self.stack.supervisor.stop([process])

    def start(self, process: str) -> None:
        """Start a process that was stopped."""
        self.stack.supervisor.start([process])

    def restart(self, process: str) -> None:
        """Stop and start a process; `wait_ready` tells when it answers."""
        self.stack.supervisor.restart(process)

    def pid(self, process: str) -> int:
        """The process id, 0 when it does not run."""
        return self.stack.supervisor.pid(process)

    def first_agent_code(self, matricule: str) -> str:
        """The activation code of an administrator, as the operator's command prints it."""
        return self.stack.first_agent_code(matricule)

    def is_ready(self) -> bool:
        """Whether the gateway says that everything answers."""
        try:
            return requests.get(f"{self.url}/health/ready", timeout=60).status_code == requests.codes.ok
        except requests.RequestException:
            return False

    def wait_ready(self, seconds: float = 180) -> None:
        """Wait until everything answers again."""
        assert wait_until(self.is_ready, seconds, step=0.2), f"not ready after {seconds} s"

    def settings(self, process: str) -> "Settings":
        """The settings a process runs with."""
        return processes.load_settings(self.stack.layout, process)

    def differences(self, patience: float = 60) -> list[str]:
        """The readings that do not have exactly one trace, and the rows of services that have none."""
        return reconcile(self.stack.layout, self.log_lines(processes.GATEWAY), patience)[:-1]

    def log_lines(self, process: str) -> list[str]:
        """What a process has logged so far."""
        return self.stack.log_lines(process)


class Databases:
    """Databases for one test each: a service's migrations run once, into a template that the others are copies of."""

    def __init__(self, infra: Stack) -> None:
        self._layout = infra.layout
        self._password = password()
        self._templates: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._admin = postgres.connect(self._layout)
        self._admin.cursor().execute(f"CREATE ROLE {TEST_ROLES} NOLOGIN")
        # A service's own role enters the database of its name only; a test's role enters all the copies it owns.
        with (self._layout.postgres / "data" / "pg_hba.conf").open("a") as who_may_enter:
            who_may_enter.write(f"host all +{TEST_ROLES} 127.0.0.1/32 scram-sha-256\n")
        # They outlive processes that are killed, and need not outlive a power cut.
        self._admin.cursor().execute("ALTER SYSTEM SET fsync = off")
        self._admin.cursor().execute("SELECT pg_reload_conf()")

    def fresh(self, service: str) -> str:
        """The URL of a new, empty database with the service's schema."""
        if service not in self._templates:
            self._templates[service] = self._template(service)
        template = self._templates[service]
        name = f"{template}_{next(self._numbers)}"
        with self._admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} OWNER {template} TEMPLATE {template}")
        return self._url(name, template)

    def before(self, service: str, revision: str) -> "Before":
        """A new, empty database with the service's schema as that revision left it."""
        name = f"before_{service}_{next(self._numbers)}"
        self._admin.cursor().execute(f"CREATE DATABASE {name}")
        url = self._layout.database_url_of(name, DATABASE_ADMIN, self._layout.secrets["database_admin"])
        migrate(service, url, revision)
        return Before(service, url)

    def _template(self, service: str) -> str:
        role = f"test_{service}"
        with self._admin.cursor() as cursor:
            postgres.make_database(cursor, role, self._password)
            cursor.execute(f"GRANT {TEST_ROLES} TO {role}")
        migrate(service, self._url(role, role))
        # A template must have no connections of its own while it is copied.
        assert wait_until(lambda: not self._connections(role), 10)
        return role

    def _connections(self, name: str) -> int:
        with self._admin.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,))
            (count,) = cursor.fetchone()
        return int(count)

    def _url(self, name: str, role: str) -> str:
        return self._layout.database_url_of(name, role, self._password)


class Before:
    """A database from before: what a test fills it with, and how it gets to today's schema."""

    def __init__(self, service: str, url: str) -> None:
        self.service, self.url = service, url
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)

    def run(self, *statements: str) -> None:
        """Execute plain SQL, all of it in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def upgrade(self) -> None:
        """Migrate to today's schema, twice: the second time finds nothing to do."""
        for _ in range(2):
            migrate(self.service, self.url)


class _stack:  # noqa: N801 (used as a word of the language)
    """A stack in a folder of its own; ended and removed when the block ends, the process exits or is terminated."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        packages.ensure()
        _remove_what_killed_runs_left()
        self._keep = bool(request.config.getoption("--keep-state"))
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=PLACE))
        self._stack = Stack(self._folder)
        self._over = False

    def __enter__(self) -> Stack:
        atexit.register(self._end)
        signal.signal(signal.SIGTERM, _as_interrupt)
        return self._stack

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        atexit.unregister(self._end)
        self._stack.down()
        if not self._keep:
            _remove(self._stack, self._folder)


def _as_interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _remove(stack: Stack, folder: Path) -> None:
    shutil.rmtree(stack.layout.sockets, ignore_errors=True)
    shutil.rmtree(stack.layout.state, ignore_errors=True)
    if folder.is_symlink():
        folder.unlink()


def _remove_what_killed_runs_left() -> None:
    for folder in PLACE.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            stack = Stack(folder)
            if stack.layout.has_ports():
                stack.down()
            _remove(stack, folder)


def wait_for_query(url: str, query: str, seconds: float = 60) -> object:
    """The first value a query gives once it gives one: for effects that arrive over the bus."""
    deadline = time.monotonic() + seconds
    while True:
        with psycopg2.connect(url.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
        if row and row[0] is not None:
            return row[0]
        assert time.monotonic() < deadline, f"nothing after {seconds} s: {query}"
        time.sleep(0.1)
