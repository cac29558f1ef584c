"""PostgreSQL of the stack: one private cluster, six databases, six roles that cannot enter each other's."""

import os
import shutil
import subprocess
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection

from deploy.local.failure import StackFailure
from deploy.local.layout import DATABASE_ADMIN, SERVICES, Layout, database_of, postgres_account
from deploy.local.part import Part

INSTALLED = Path("/usr/lib/postgresql")
OLDEST = 15


def programs() -> Path | None:
    """The folder of the newest PostgreSQL from Debian that is new enough, None when there is none."""
    found = [folder for folder in INSTALLED.glob("*/bin") if (folder / "postgres").exists()]
    versions = {int(folder.parent.name): folder for folder in found if folder.parent.name.isdigit()}
    return versions[max(versions)] if versions and max(versions) >= OLDEST else None


def prepare(layout: Layout) -> None:
    """Make the cluster when there is none yet, and write its configuration.

    The cluster is made beside its place and moved there when whole: an interrupted first start leaves no half.
    """
    account = postgres_account()
    _folder(layout.postgres)
    data = layout.postgres / "data"
    if not data.exists():
        fresh = layout.postgres / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        passing = layout.postgres / "password"
        _owned_file(passing, layout.secrets["database_admin"] + "\n")
        command = [
            str(_programs() / "initdb"),
            f"--pgdata={fresh}",
            f"--username={DATABASE_ADMIN}",
            f"--pwfile={passing}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=layout.postgres,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
        passing.unlink()
        if done.returncode:
            raise StackFailure(
                "PostgreSQL's cluster could not be made (initdb)",
                lines=done.stdout + done.stderr,
                advice=f"see that there is room on the disk and that {layout.postgres} may be written",
            )
        fresh.rename(data)
    _owned_file(data / "postgresql.conf", _configuration(layout))
    _owned_file(data / "pg_hba.conf", _who_may_enter())


def part(layout: Layout) -> Part:
    """The supervised server. SIGINT is its fast stop: it does not wait for clients, and loses nothing."""
    return Part(
        name="postgres",
        command=[str(_programs() / "postgres"), "-D", str(layout.postgres / "data")],
        environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        directory=layout.postgres,
        account="postgres" if postgres_account() else None,
        stop_signal="INT",
    )


def provision(layout: Layout) -> None:
    """Make the roles and databases that are missing, and take from everybody what only the owner should have."""
    with_admin = connect(layout)
    try:
        with with_admin.cursor() as cursor:
            for service in SERVICES:
                make_database(cursor, database_of(service), layout.secrets[f"database_{service}"])
            for shared in ("postgres", "template1"):
                cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(shared)))
    finally:
        with_admin.close()


def make_database(cursor: "psycopg2.extensions.cursor", name: str, password: str, template: str = "template0") -> None:
    """Make a role and a database of one name; nobody else may connect to it."""
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
    verb = "ALTER" if cursor.fetchone() else "CREATE"
    cursor.execute(
        sql.SQL(verb + " ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %s").format(sql.Identifier(name)),
        (password,),
    )
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    if not cursor.fetchone():
        cursor.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(name), sql.Identifier(template)
            )
        )
    cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def connect(layout: Layout, database: str = "postgres") -> connection:
    """A connection of the administrator, each statement its own transaction."""
    made = psycopg2.connect(
        host="127.0.0.1",
        port=layout.ports["postgres"],
        user=DATABASE_ADMIN,
        password=layout.secrets["database_admin"],
        dbname=database,
        connect_timeout=5,
    )
    made.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
    return made


def answers(layout: Layout) -> bool:
    """Whether a query is answered."""
    try:
        made = connect(layout)
    except psycopg2.OperationalError:
        return False
    made.close()
    return True


def _configuration(layout: Layout) -> str:
    # fsync and full_page_writes stay at their safe defaults. Statements and key values never reach the log: they
    # hold names and codes. No unix socket: everyone comes over loopback with a password.
    return f"""\
listen_addresses = '127.0.0.1'
port = {layout.ports["postgres"]}
unix_socket_directories = ''
max_connections = 300
password_encryption = 'scram-sha-256'
shared_buffers = '128MB'
max_wal_size = '512MB'
jit = off
log_destination = 'stderr'
logging_collector = off
log_timezone = 'UTC'
timezone = 'UTC'
log_min_error_statement = 'panic'
log_error_verbosity = 'terse'
log_statement = 'none'
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
"""


def _who_may_enter() -> str:
    # `sameuser`: a role reaches the one database of its own name, whatever may be granted inside.
    return f"""\
host all {DATABASE_ADMIN} 127.0.0.1/32 scram-sha-256
host sameuser all 127.0.0.1/32 scram-sha-256
"""


def _programs() -> Path:
    found = programs()
    if not found:
        raise StackFailure("PostgreSQL is not installed", advice="apt-get install postgresql, or run this as root once")
    return found


def _folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    account = postgres_account()
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)


def _owned_file(path: Path, text: str) -> None:
    account = postgres_account()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
        if account:
            os.fchown(stream.fileno(), account.pw_uid, account.pw_gid)
