"""The notary killed with -9, at line after line of a round and as a process of its own: nothing is lost, nothing comes
twice, and no head is ever signed in two ways."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from deploy.local.supervise import wait_until
from services.db import new_id
from tests.services.audit_log import Log, in_order, witnessed

ROOT = Path(__file__).parents[2]
OURS = tuple(
    str(ROOT / "services" / "audit" / name)
    for name in ("notary.py", "store_log.py", "attesting.py", "ports/notebook.py", "ports/witness.py")
)
USUAL = 15  # points of the usual run


@pytest.fixture
def log(database: Callable[[str], str], tmp_path: Path) -> Iterator[Log]:
    made = Log(database("audit"), tmp_path / "witness")
    yield made
    made.close()


def lines_of_a_round(log: Log, dies_at: int | None) -> int:
    """A round in a process of its own, which kills itself at a line; how many lines it had, where it lived."""
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        _round(log, dies_at, tells)
    os.close(tells)
    _, status = os.waitpid(child, 0)
    with os.fdopen(told) as answer:
        text = answer.read()
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return 0
    return int(text)


def _round(log: Log, dies_at: int | None, tells: int) -> None:
    count = 0

    def line(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        if event == "line":
            count += 1
            if count == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: FrameType, _event: str, _argument: Any) -> Any:
        return line if frame.f_code.co_filename in OURS else None

    try:
        notary = Log(log.url, log.folder, log.key).notary
        sys.settrace(call)
        notary.work()
        sys.settrace(None)
        os.write(tells, str(count).encode())
    finally:
        os._exit(0)


def test_killed_at_any_line_of_a_round_it_goes_on_as_if_nothing_had_been(
    log: Log, request: pytest.FixtureRequest
) -> None:
    record_id = new_id()
    log.keep_some(3, record_id)
    log.seal()
    log.notary.close()
    log.keep_some(2, record_id)
    lines = lines_of_a_round(log, None)
    assert lines > 100
    every = 1 if request.config.option.long else max(1, lines // USUAL)
    kept = 5
    for dies_at in range(1, lines, every):
        log.keep_some(300 if dies_at % 7 == 0 else 2, record_id)
        kept += 300 if dies_at % 7 == 0 else 2
        before = witnessed(log)
        lines_of_a_round(log, dies_at)
        again = witnessed(log)
        assert again[: len(before)] == before
        log.seal()
        log.notary.close()
        after = witnessed(log)
        assert after[: len(again)] == again, "what is in the witness stands"
        assert after[-1].size == kept
    in_order(log)


class Process:
    """The real process, with settings of its own."""

    def __init__(self, log: Log, folder: Path) -> None:
        key = base64.b64encode(log.seed).decode()
        settings = folder / "notary.toml"
        told = {"process": "notary", "profile": "local", "database_url": log.url, "notary_key": key,
                "witness_folder": str(log.folder)}  # fmt: skip
        settings.write_text("".join(f'{name} = "{value}"\n' for name, value in told.items()))
        self.environment = {"OPENDSP_SETTINGS": str(settings), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        self.log = folder / "notary.log"
        self.starts = 0
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as out:
            command = [sys.executable, "-W", "ignore", "-m", "services.audit.notarise"]
            self.process = subprocess.Popen(command, env=self.environment, cwd=ROOT, stdout=out, stderr=out)
        self.starts += 1

    def has_started(self) -> bool:
        return self.log.read_text().count('"event": "started"') == self.starts

    def end(self, how: int) -> None:
        self.process.send_signal(how)
        self.process.wait(30)


def test_two_processes_of_which_one_is_killed_again_and_again_make_one_log(log: Log, tmp_path: Path) -> None:
    first, second = (Process(log, folder) for folder in (made(tmp_path / "one"), made(tmp_path / "two")))
    stop = threading.Event()

    def feed() -> None:
        while not stop.is_set():
            log.keep_some(20)
            time.sleep(0.02)

    feeding = threading.Thread(target=feed)
    try:
        assert wait_until(lambda: (log.folder / "heads.jsonl").exists(), 60, step=0.1)
        feeding.start()
        for turn in range(3):
            killed = (first, second)[turn % 2]
            size = sealed(log)
            assert wait_until(lambda size=size: sealed(log) > size, 60, step=0.1), "one of the two seals"
            assert wait_until(killed.has_started, 60, step=0.1)
            killed.end(signal.SIGKILL)
            killed.start()
    finally:
        stop.set()
        feeding.join(60)
    assert wait_until(lambda: log.sql("select count(*) from arrivals")[0].count == 0, 60, step=0.1)
    assert wait_until(lambda: witnessed(log)[-1].size == sealed(log), 60, step=0.1)
    for one in (first, second):
        assert wait_until(one.has_started, 60, step=0.1)
        one.end(signal.SIGTERM)
        assert one.process.returncode == 0
    log.seal()
    in_order(log)
    assert '"critical"' not in first.log.read_text() + second.log.read_text()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def sealed(log: Log) -> int:
    return int(log.sql("select count(*) from leaves")[0].count)
