"""The pool of hashing processes: real processes, killed and left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
print(pool._seats.take().hasher.process.pid, flush=True)
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
    post = pool._seats.take()
    print(post.hasher.process.pid, flush=True)
    pool._seats.give(post)
"""


@pytest.fixture
def pool() -> Iterator[Hashers]:
    made = Hashers(2)
    yield made
    for hasher in everyone(made):
        hasher.end()


def everyone(pool: Hashers) -> list[Hasher]:
    """The processes of a pool that nobody uses at the moment."""
    posts = [pool._seats.take() for _ in range(2)]
    for post in reversed(posts):
        pool._seats.give(post)
    return [post.hasher for post in posts if post.hasher is not None]


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


def test_a_seat_goes_to_who_has_waited_longest_whoever_comes_meanwhile() -> None:
    seats, served = hashers.Seats([hashers.Post()]), []
    mine = [seats.take() for _ in range(hashers.SEATS)]

    def wait(number: int) -> None:
        post = seats.take()
        served.append(number)
        seats.give(post)

    crew = []
    for number in range(6):
        crew.append(threading.Thread(target=wait, args=(number,)))
        crew[-1].start()
        while len(seats._waiting) <= number:
            time.sleep(0.001)
    seats.give(mine[0])
    wait(6)
    for thread in crew:
        thread.join()
    assert served == [0, 1, 2, 3, 4, 5, 6]


def test_whoever_comes_sits_where_fewest_sit() -> None:
    posts = [hashers.Post() for _ in range(3)]
    seats = hashers.Seats(posts)
    taken = [seats.take() for _ in range(4)]
    assert sorted(map(taken.count, posts)) == [1, 1, 2]
    for post in {id(post): post for post in taken if taken.count(post) == 1}.values():
        seats.give(post)
    assert all(seats.take() is not post for post in posts if taken.count(post) == 2)


def test_who_is_next_gets_the_own_answer_and_no_others() -> None:
    hasher = Hasher()
    try:
        secrets = {f"secret {number}": hashing.hashed(f"secret {number}") for number in range(3)}
        questions = [(kept, secret) for kept in secrets for secret in secrets]
        with ThreadPoolExecutor(9) as crew:
            told = list(crew.map(lambda asked: hasher.ask("is_of_hash", (secrets[asked[0]], asked[1])), questions))
        assert told == [kept == secret for kept, secret in questions]
    finally:
        hasher.end()


def test_a_question_is_with_the_process_before_the_one_before_is_answered(pool: Hashers) -> None:
    hasher = Hasher()
    try:
        hasher.ask("hashed", ("the first starts it",))
        os.kill(hasher.process.pid, signal.SIGSTOP)
        with ThreadPoolExecutor(2) as crew:
            both = [crew.submit(hasher.ask, "hashed", (SECRET,)) for _ in range(2)]
            assert eventually(lambda: hasher._asking == 2) and not any(one.done() for one in both)
            os.kill(hasher.process.pid, signal.SIGCONT)
            assert all(hashing.is_of_hash(one.result(), SECRET) for one in both)
    finally:
        hasher.end()


def test_with_a_process_that_dies_both_who_sat_there_are_answered_by_another(pool: Hashers) -> None:
    secret_hash = pool(hashing.hashed, SECRET)
    [first] = everyone(pool)
    os.kill(first.process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(4) as crew:
        told = [crew.submit(pool, hashing.is_of_hash, secret_hash, SECRET) for _ in range(4)]
        assert eventually(lambda: first._asking == 2)
        os.kill(first.process.pid, signal.SIGKILL)
        assert [one.result() for one in told] == [True] * 4
    assert first.gone and first not in everyone(pool)


def test_who_stops_waiting_leaves_no_answer_to_anybody(pool: Hashers) -> None:
    green = """
import eventlet
eventlet.monkey_patch()
from services.identity.ports import hashing
from services.identity.ports.hashers import Hashers
pool = Hashers(1)
kept = hashing.hashed("x")
for _ in range(3):
    first, second = eventlet.spawn(pool, hashing.hashed, "y"), eventlet.spawn(pool, hashing.is_of_hash, kept, "x")
    eventlet.sleep(0.5 if _ == 0 else 0.02)
    [first, second][_ % 2].kill()
    print("right" if _ % 2 or second.wait() is True else "wrong", pool(hashing.is_of_hash, kept, "x"), flush=True)
"""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", green], capture_output=True, text=True, check=True, timeout=60,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert told.stdout.split() == ["right", "True"] * 3


def eventually(found: Callable[[], bool]) -> bool:
    for _ in range(500):
        if found():
            return True
        time.sleep(0.01)
    return False


def test_a_process_that_dies_is_replaced_and_its_question_answered(pool: Hashers) -> None:
    secret_hash = pool(hashing.hashed, SECRET)
    [first] = everyone(pool)
    os.kill(first.process.pid, signal.SIGKILL)
    assert gone(first.process.pid)
    assert pool(hashing.is_of_hash, secret_hash, SECRET) is True
    [second] = everyone(pool)
    assert second.process.pid != first.process.pid


def test_a_pool_whose_processes_cannot_live_says_so_and_keeps_its_seats(
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
    assert os.getsid(hasher.process.pid) == hasher.process.pid != os.getsid(0)
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
