"""A process that many bytes go through keeps its memory: measured in one of its own, with and without."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.local.layout import REPOSITORY

FILES = 200
PROGRAM = """
import resource, threading
from services.process import keep_memory

if {kept}:
    keep_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    for _ in range({files}):
        blocks = [bytes(256 * 1024) for _ in range(8)]
        del blocks

def in_a_thread():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

in_a_thread()
before = faults()
in_a_thread()
print((faults() - before) / {files})
"""


def faults_of_a_file(kept: bool) -> float:
    """How many pages a process has to be given for each file of 2 MiB in blocks, let go of before the next one."""
    program = PROGRAM.format(kept=kept, files=FILES)
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True, timeout=60
    )
    return float(told.stdout)


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_let_go_of_is_there_for_the_next_file_where_memory_is_kept(kept: bool) -> None:
    assert (faults_of_a_file(kept) < 30) is kept
