"""The local stack's life: started, started again, killed, stopped; nothing is lost and nothing is left behind."""

import io
import os
import shutil
import signal
import smtplib
import tempfile
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import psycopg2
import pytest
import requests
from minio import Minio

from deploy.local import mailbox, processes
from deploy.local.ports import is_free
from deploy.local.stack import INFRASTRUCTURE, Stack
from deploy.local.supervise import wait_until

BUCKET = "kept"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix=f"opendsp-test-{os.getpid()}-", dir="/var/tmp"))
    made = Stack(folder)
    try:
        made.infra()
        yield made
    finally:
        made.down()
        shutil.rmtree(folder)


def processes_of(stack: Stack) -> list[str]:
    """Every process that has anything to do with the stack's folder: its arguments, environment, folder or files."""
    state = os.fsencode(stack.layout.state)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            told += os.fsencode((entry / "cwd").readlink()) + os.fsencode((entry / "exe").readlink())
        except OSError:
            continue
        if state in told:
            found.append(f"{entry.name} {(entry / 'cmdline').read_bytes()[:80]!r}")
    return found


def unsupervised(stack: Stack) -> list[str]:
    """The processes of the stack that descend from no supervisor: left behind by a parent that was killed alone."""
    found = {int(line.split()[0]): line for line in processes_of(stack)}
    found.pop(int((stack.layout.supervisor / "supervisord.pid").read_text()))
    started = set(pids(stack).values())
    return [line for pid, line in found.items() if pid not in started and parent_of(pid) not in found]


def parent_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def pids(stack: Stack) -> dict[str, int]:
    return {part: stack.supervisor.pid(part) for part in INFRASTRUCTURE}


def store(stack: Stack) -> Minio:
    secrets = stack.layout.secrets
    address = f"127.0.0.1:{stack.layout.ports['s3']}"
    return Minio(
        address,
        access_key=secrets["s3_access_key"],
        secret_key=secrets["s3_secret_key"],
        secure=False,
        region="us-east-1",
    )


def audit_database(stack: Stack) -> "psycopg2.extensions.connection":
    return psycopg2.connect(stack.layout.database_url("audit").replace("+psycopg2", ""))


def leave_something(stack: Stack, name: str) -> None:
    """A row, an object and a mail, each acknowledged."""
    with audit_database(stack) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS left_by_test (name text)")
        cursor.execute("INSERT INTO left_by_test VALUES (%s)", (name,))
    connection.close()
    if not store(stack).bucket_exists(BUCKET):
        store(stack).make_bucket(BUCKET)
    store(stack).put_object(BUCKET, name, io.BytesIO(name.encode()), len(name))
    mail = EmailMessage()
    mail["Subject"] = name
    with smtplib.SMTP("127.0.0.1", stack.layout.ports["smtp"]) as client:
        client.send_message(mail, "from@example.org", ["to@example.org"])


def assert_all_there(stack: Stack, *names: str) -> None:
    with audit_database(stack) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM left_by_test")
        assert {row[0] for row in cursor.fetchall()} >= set(names)
    connection.close()
    for name in names:
        assert store(stack).get_object(BUCKET, name).read() == name.encode()
    assert {mail["Subject"] for mail in mailbox.messages(stack.layout.mail)} >= set(names)


def test_a_second_start_changes_nothing_and_is_quick(stack: Stack) -> None:
    before = pids(stack)
    began = time.monotonic()
    stack.infra()
    assert time.monotonic() - began < 8
    assert pids(stack) == before


@pytest.mark.parametrize("part", INFRASTRUCTURE)
def test_a_part_that_is_killed_comes_back_with_everything_it_had_acknowledged(stack: Stack, part: str) -> None:
    stack.infra()
    leave_something(stack, f"before-{part}")
    killed = stack.supervisor.kill(part)
    deadline = time.monotonic() + 120
    while stack.supervisor.pid(part) in (0, killed):
        assert time.monotonic() < deadline, f"{part} was not started again"
        time.sleep(0.05)
    stack.infra()
    assert_all_there(stack, f"before-{part}")


@pytest.mark.parametrize("part", ["rabbitmq", "weed"])
def test_a_part_of_which_only_the_supervised_process_is_killed_leaves_no_other_in_its_place(
    stack: Stack, part: str
) -> None:
    stack.infra()
    killed = stack.supervisor.pid(part)
    os.kill(killed, signal.SIGKILL)
    assert wait_until(lambda: stack.supervisor.pid(part) not in (0, killed), 30)
    assert wait_until(lambda: unsupervised(stack) == [], 5), unsupervised(stack)
    stack.infra()
    leave_something(stack, f"after-{part}")
    assert_all_there(stack, f"after-{part}")


def test_a_stop_leaves_no_process_and_no_open_port_and_loses_nothing(stack: Stack) -> None:
    stack.infra()
    leave_something(stack, "before-stop")
    assert len(processes_of(stack)) >= len(INFRASTRUCTURE)
    stack.down()
    ports = stack.layout.ports.values()
    assert not [left for port in ports for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock")]
    assert processes_of(stack) == []
    assert all(is_free(port) for port in stack.layout.ports.values())
    stack.down()
    stack.infra()
    assert_all_there(stack, "before-stop")


def test_a_stop_ends_everything_even_when_the_supervisor_was_killed(stack: Stack) -> None:
    stack.infra()
    leave_something(stack, "before-orphans")
    os.kill(int((stack.layout.supervisor / "supervisord.pid").read_text()), signal.SIGKILL)
    stack.down()
    assert processes_of(stack) == []
    stack.infra()
    assert_all_there(stack, "before-orphans")


def test_a_start_after_the_supervisor_was_killed_takes_over(stack: Stack) -> None:
    stack.infra()
    os.kill(int((stack.layout.supervisor / "supervisord.pid").read_text()), signal.SIGKILL)
    stack.infra()
    assert all(pids(stack).values())


def test_everything_secret_is_readable_by_its_owner_only(stack: Stack) -> None:
    files = [*stack.layout.settings.iterdir(), stack.layout.state / "secrets.json"]
    assert len(files) > len(processes.PROCESSES)
    for file in files:
        assert file.stat().st_mode & 0o077 == 0, file
    for folder in (stack.layout.settings, stack.layout.logs, stack.layout.mail, stack.layout.letters, stack.layout.sms):
        assert folder.stat().st_mode & 0o077 == 0, folder


def test_the_store_is_closed_to_anyone_without_the_key(stack: Stack) -> None:
    store(stack).list_buckets()
    doors = (
        ("s3", "/"),
        ("s3", f"/{BUCKET}"),
        ("weed_master", "/dir/assign"),
        ("weed_master", f"/col/delete?collection={BUCKET}"),
        ("weed_filer", f"/buckets/{BUCKET}/"),
        ("weed_volume", "/1,01"),
        ("weed_admin", "/"),
    )
    for port, path in doors:
        answer = requests.get(f"http://127.0.0.1:{stack.layout.ports[port]}{path}", timeout=5)
        assert answer.status_code in (401, 403, 404), (port, path)
