"""The pool of hashing processes: real processes, killed and left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.identity.ports import hashers, hashing
from services.identity.ports.hashers import Hasher, Hashers
from services.identity.ports.hashing import Hashing

SECRET = "trois grenouilles violettes"
SERVICE = """
import time
from services.identity.ports import hashing
from services.identity.ports.hashers import Hashers
pool = Hashers(1)
pool(hashing.hashed, "x")
print(pool._places.take().process.pid, flush=True)
time.sleep(60)
"""

GREEN = """
import eventlet
eventlet.monkey_patch()
from services.identity.ports import hashing
from services.identity.ports.hashers import Hashers
pool = Hashers(1)
for _ in range(3):
    pool(hashing.hashed, "x")
    hasher = pool._places.take()
    print(hasher.process.pid, flush=True)
    pool._places.give(hasher)
"""


@pytest.fixture
def pool() -> Iterator[Hashers]:
    made = Hashers(2)
    yield made
    for hasher in everyone(made):
        hasher.end()


def everyone(pool: Hashers) -> list[Hasher]:
    """The processes of a pool that nobody uses at the moment."""
    places = [pool._places.take() for _ in range(2)]
    for place in reversed(places):
        pool._places.give(place)
    return [place for place in places if place is not None]


def gone(pid: int) -> bool:
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_pool_hashes_and_compares_like_the_hash_itself(pool: Hashers) -> None:
    secret_hash = Hashing(pool).hash(SECRET)
    assert secret_hash.startswith("$argon2id$") and Hashing().matches(secret_hash, SECRET)
    for stored, secret, right in (
        (secret_hash, SECRET, True), (secret_hash, "another", False), (None, SECRET, False), (None, "", False),
        ("no hash", SECRET, False), (secret_hash, "ü 🐸\n", False), (secret_hash, "\ud83d", False),
        (None, "nobody's secret", False),
    ):  # fmt: skip
        assert Hashing(pool).matches(stored, secret) is Hashing().matches(stored, secret) is right


def test_a_pool_has_as_many_processes_as_it_may_and_none_before_it_is_asked(pool: Hashers) -> None:
    assert everyone(pool) == []
    with ThreadPoolExecutor(8) as crew:
        assert all(
            answer.startswith("$argon2id$") for answer in crew.map(lambda _: pool(hashing.hashed, SECRET), range(8))
        )
    pids = {hasher.process.pid for hasher in everyone(pool)}
    assert len(pids) == 2 and os.getpid() not in pids


def test_a_place_goes_to_who_has_waited_longest_whoever_comes_meanwhile() -> None:
    places, served = hashers.Places(1), []
    mine = places.take()

    def wait(number: int) -> None:
        place = places.take()
        served.append(number)
        places.give(place)

    crew = []
    for number in range(6):
        crew.append(threading.Thread(target=wait, args=(number,)))
        crew[-1].start()
        while len(places._waiting) <= number:
            time.sleep(0.001)
    places.give(mine)
    wait(6)
    for thread in crew:
        thread.join()
    assert served == [0, 1, 2, 3, 4, 5, 6]


def test_a_process_that_dies_is_replaced_and_its_question_answered(pool: Hashers) -> None:
    secret_hash = pool(hashing.hashed, SECRET)
    [first] = everyone(pool)
    os.kill(first.process.pid, signal.SIGKILL)
    assert gone(first.process.pid)
    assert pool(hashing.is_of_hash, secret_hash, SECRET) is True
    [second] = everyone(pool)
    assert second.process.pid != first.process.pid


def test_a_pool_whose_processes_cannot_live_says_so_and_keeps_its_places(
    pool: Hashers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for _ in range(3):
        with pytest.raises(hashers.HashersGone):
            pool(hashing.hashed, SECRET)
    monkeypatch.undo()
    assert pool(hashing.hashed, SECRET)


def test_a_process_gives_way_to_others_and_knows_nothing_of_its_service(pool: Hashers) -> None:
    os.environ["OPENDSP_TEST_SECRET"] = "to be kept"
    try:
        pool(hashing.hashed, SECRET)
    finally:
        del os.environ["OPENDSP_TEST_SECRET"]
    [hasher] = everyone(pool)
    process = Path("/proc", str(hasher.process.pid))
    assert os.sched_getscheduler(hasher.process.pid) == os.SCHED_BATCH
    assert b"OPENDSP" not in (process / "environ").read_bytes()
    assert SECRET.encode() not in (process / "cmdline").read_bytes()


def test_a_process_keeps_the_memory_of_a_hash_for_the_next(pool: Hashers) -> None:
    pool(hashing.hashed, SECRET)
    [hasher] = everyone(pool)

    def pages_taken() -> int:
        return int(Path(f"/proc/{hasher.process.pid}/stat").read_text().rpartition(")")[2].split()[7])

    before = pages_taken()
    for _ in range(4):
        pool(hashing.hashed, SECRET)
    pages_of_a_hash = hashing.MEMORY_KIB * 1024 // os.sysconf("SC_PAGE_SIZE")
    assert pages_taken() - before < pages_of_a_hash // 10, "each hash takes its memory from the kernel anew"


def test_a_process_ends_with_its_service_however_that_dies() -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert service.stdout is not None
    pid = int(service.stdout.readline())
    os.kill(pid, signal.SIGTERM)
    time.sleep(0.2)
    assert Path(f"/proc/{pid}").exists(), "a signal to the group leaves the last answers time"
    service.kill()
    service.wait()
    assert gone(pid)


def test_a_process_lives_on_from_question_to_question_in_a_service_of_greenlets() -> None:
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GREEN], capture_output=True, text=True, check=True, timeout=60,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    pids = told.stdout.split()
    assert len(pids) == 3 and len(set(pids)) == 1, "a hash that has to wait for a new process waits for its imports"
