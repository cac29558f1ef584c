"""A load killed with -9 at any moment goes on where it was, loses and doubles nobody; bad lines take no memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from deploy.local.supervise import wait_until
from services.directory.ports.load_files import STEP
from tests.services.load_files import Loader, changed, people, professionals, write_csv

SOME = 3 * STEP
BAD_LINES = 100_000
MEMORY_GROWTH = 24 * 1024  # kilobytes


@pytest.fixture(scope="module")
def url(database: Callable[[str], str]) -> str:
    return database("directory")


@pytest.fixture
def loader(url: str, tmp_path: Path) -> Iterator[Loader]:
    made = Loader(url, tmp_path)
    yield made
    made.empty()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three steps of people, every hundredth of them with a sex that there is not."""
    everyone = [changed(one, sex="Q") if place % 100 == 0 else one for place, one in enumerate(people(SOME))]
    return write_csv(tmp_path_factory.mktemp("killed") / "patients.csv", everyone)


def kill(process: subprocess.Popen[str]) -> None:
    """With -9, and nothing it started is left."""
    children = [int(one) for one in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert wait_until(lambda: not [one for one in children if Path(f"/proc/{one}").exists()], 30), "a worker lives on"


def held(loader: Loader, statement: str) -> closing[psycopg2.extensions.connection]:
    """A transaction of somebody else that holds what a statement locks, until it is closed."""
    connection = psycopg2.connect(loader.url.replace("+psycopg2", ""))
    with connection.cursor() as cursor:
        cursor.execute(statement)
    return closing(connection)


def waits(loader: Loader) -> bool:
    asked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    return bool(loader.one(asked) > 0)


def assert_whole(loader: Loader, file: Path) -> None:
    """Every good line once, every bad one told once, every event once."""
    good = SOME - SOME // 100
    assert loader.counts() == {"added": good, "changed": 0, "unchanged": 0, "refused": SOME // 100}
    assert loader.one("select count(*) from patients") == good == loader.one("select count(*) from matricules")
    told = loader.report(file)
    assert told == [(place + 2, "sex", "unknown") for place in range(0, SOME, 100)]
    envelopes = [
        json.loads(row[0]) for row in loader.rows("select envelope from outbox where type = 'patients_loaded.v1'")
    ]
    ids = Counter(one for envelope in envelopes for one in envelope["data"]["patient_ids"])
    assert len(ids) == good and set(ids.values()) == {1}


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_killed_between_copy_and_commit_a_load_goes_on_without_loss_or_double(
    loader: Loader, file: Path, steps: int
) -> None:
    """The last statement of a step waits for a row that somebody holds: its rows are copied, nothing is committed."""
    process = loader.start("patients", file)
    assert wait_until(lambda: loader.one("select coalesce(max(lines), 0) from loads") >= max(1, steps * STEP), 120)
    with held(loader, "select 1 from loads for update"):
        assert wait_until(lambda: waits(loader) or process.poll() is not None, 120)
        before = loader.rows("select lines, added from loads")
        assert process.poll() is None and before[0][0] < SOME
        kill(process)
    assert loader.rows("select lines, added from loads") == before
    assert loader.one("select count(*) from patients") == before[0][1]
    assert f"going on after line {before[0][0]:,}" in loader.load("patients", file)
    assert_whole(loader, file)
    trail = [
        json.loads(row[0])["data"] for row in loader.rows("select envelope from outbox where type like 'access%%'")
    ]
    assert [(one["purpose"], one["count"]) for one in trail] == [("resumed", before[0][0]), (None, SOME)]


def test_killed_within_copy_and_again_and_again_a_load_ends_as_if_nothing_had_been(loader: Loader, file: Path) -> None:
    for moment in range(4):
        process = loader.start("patients", file)
        if moment % 2:
            copying = "select count(*) from pg_stat_activity where query like 'copy patients%%' and state = 'active'"
            wait_until(lambda: loader.one(copying) > 0 or process.poll() is not None, 60, step=0.001)  # noqa: B023
        else:
            wait_until(lambda: loader.one("select count(*) from loads") > 0, 60, step=0.01)
        if process.poll() is None:
            kill(process)
    loader.load("patients", file)
    if loader.one("select finished_at is null from loads"):
        loader.load("patients", file)
    assert_whole(loader, file)


def test_interrupted_by_its_operator_a_load_says_that_it_goes_on(loader: Loader, file: Path) -> None:
    process = loader.start("patients", file)
    assert wait_until(lambda: loader.one("select coalesce(max(lines), 0) from loads") > 1, 120)
    with held(loader, "select 1 from loads for update"):
        assert wait_until(lambda: waits(loader), 120)
        os.kill(process.pid, signal.SIGINT)
    _, wrong = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in wrong) in ((130, False), (0, False)), wrong
    loader.load("patients", file)
    assert_whole(loader, file)


def test_who_stood_before_the_place_of_the_kill_is_still_known_as_a_double(loader: Loader, tmp_path: Path) -> None:
    everyone = people(3 * STEP)
    file = write_csv(tmp_path / "twice.csv", [*everyone, everyone[0]])
    process = loader.start("patients", file)
    assert wait_until(lambda: loader.one("select coalesce(max(lines), 0) from loads") > STEP, 120)
    with held(loader, "select 1 from loads for update"):
        assert wait_until(lambda: waits(loader) or process.poll() is not None, 60)
        assert process.poll() is None
        kill(process)
    loader.load("patients", file)
    assert loader.counts() == {"added": 3 * STEP, "changed": 0, "unchanged": 0, "refused": 1}
    assert loader.report(file) == [(3 * STEP + 2, "", "duplicate_line")]


def test_killed_among_professionals_no_version_is_told_twice(loader: Loader, tmp_path: Path) -> None:
    working, places = professionals(STEP + 200)
    loader.load("establishments", write_csv(tmp_path / "establishments.csv", places))
    file = write_csv(tmp_path / "professionals.csv", working)
    process = loader.start("professionals", file)
    assert wait_until(lambda: loader.one("select count(*) from loads") == 2, 120)
    with held(loader, "select 1 from loads for update"):
        wait_until(lambda: waits(loader) or process.poll() is not None, 120)
        if process.poll() is None:
            kill(process)
    loader.load("professionals", file)
    told = loader.rows("select envelope from outbox where type = 'professional_updated.v1'")
    subjects = Counter(json.loads(row[0])["subject"] for row in told)
    assert len(subjects) == STEP + 200 and set(subjects.values()) == {1}
    assert loader.one("select count(*) from licences") == STEP + 200


def test_a_hundred_thousand_bad_lines_are_told_with_flat_memory_and_the_rest_is_loaded(
    loader: Loader, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "bad.csv", people(10))
    head, good = file.read_bytes().split(b"\n", 1)
    first, last = good.split(b"\n", 1)
    bad = b",".join([b"1980010100000", b"x", b"", b"y", b"Q", b"1980-01-01", b"fr", b"a", b"1", b"b", b"LU"])
    with file.open("wb") as out:
        out.write(head + b"\n" + first + b"\n")
        for _ in range(BAD_LINES // STEP):
            out.write((bad + b"\n") * STEP)
        out.write(last)
    process = loader.start("patients", file)
    assert wait_until(lambda: loader.one("select coalesce(max(lines), 0) from loads") > 3 * STEP, 120)
    family = [process.pid, *map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())]
    early = sum(peak(pid) for pid in family)
    most = early
    while process.poll() is None:
        most = max(most, sum(peak(pid) for pid in family))
        wait_until(lambda: process.poll() is not None, 0.2)
    process.communicate()
    assert process.returncode == 0 and most - early < MEMORY_GROWTH
    assert loader.counts() == {"added": 10, "changed": 0, "unchanged": 0, "refused": BAD_LINES}
    report = loader.report(file)
    assert {line for line, _, _ in report} == set(range(3, BAD_LINES + 3))


def peak(pid: int) -> int:
    """The most memory a process held so far, in kilobytes; 0 of one that is over."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
