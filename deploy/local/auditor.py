"""The log of accesses as an auditor takes it away: copied from the witness, exported from the database, checked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local import processes
from deploy.local.failure import StackFailure
from deploy.local.layout import REPOSITORY, Layout

VERIFIER = REPOSITORY / "services" / "audit" / "verifier.py"


def export_log(layout: Layout, first: int = 0) -> Path:
    """Writes the log and what is needed to check it into a folder: log.jsonl, heads.jsonl, verifier.py.

    The witness is copied first: whatever it knows has to be in the log.
    Refuses: StackFailure when the export breaks off.
    """
    folder = layout.state / "log"
    folder.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(layout.witness / "heads.jsonl", folder / "heads.jsonl")
    shutil.copy(VERIFIER, folder / "verifier.py")
    command = [sys.executable, "-m", "services.audit.export_log", "--first", str(first)]
    with (folder / "log.jsonl").open("wb") as file:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=processes.environment(layout, "audit"), stdout=file, stderr=subprocess.PIPE,
            check=False,
        )  # fmt: skip
    if done.returncode:
        raise StackFailure(
            f"the export of the log broke off: {done.stderr.decode()[-500:]}", log=layout.log("postgres")
        )
    return folder


def archive(layout: Layout, year: int) -> str:
    """Puts the traces of a year that is over into the object store; what the command says.

    Refuses: StackFailure, with the reason.
    """
    command = [sys.executable, "-W", "ignore", "-m", "services.audit.archive", str(year)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=processes.environment(layout, "audit"), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackFailure(done.stderr.strip()[-500:], advice="a year goes once it is over and all has gone over it")
    return done.stdout.strip()


def verify(folder: Path) -> tuple[int, str]:
    """What the verifier ends with, and what it says, on what lies in such a folder."""
    command = [sys.executable, "-I", str(folder / "verifier.py"), str(folder / "log.jsonl")]
    done = subprocess.run(
        [*command, "--witness", str(folder / "heads.jsonl")], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr
