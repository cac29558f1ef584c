"""What the processes of the platform keep in memory: while nobody asks, and while big files pass."""

from __future__ import annotations

import time
from pathlib import Path

from deploy.bench.figures import PARTS, Row
from deploy.bench.ground import Ground
from deploy.bench.rounds import absolute

MB = 1024.0  # the kernel counts in kilobytes


def idle(ground: Ground) -> list[Row]:
    """The memory of each part after a while in which nothing was asked of it.

    Of one process its resident set; of a part of several (PostgreSQL, the gateway) what they hold together, pages that
    they share counted once.
    """
    time.sleep(ground.amount.settle)
    supervisor = ground.stack.supervisor
    facts = {name: int(told["pid"]) for name, told in supervisor.states().items() if told["pid"]}
    facts["supervisor"] = int((ground.stack.layout.supervisor / "supervisord.pid").read_text())
    children = _children()
    rows = []
    for part in PARTS:
        # The supervisor is everybody's parent: it alone is counted without its children.
        family = [facts[part]] if part == "supervisor" else _family(facts[part], children)
        held = sum(_kilobytes(pid, "Pss" if len(family) > 1 else "Rss") for pid in family)
        rows.append(absolute(f"memory_{part}", [held / MB], ground.amount.size))
    return rows


class Peak:
    """How much more memory the processes of a part took, at the most, than when this began."""

    def __init__(self, ground: Ground, part: str) -> None:
        self._pids = _family(ground.stack.supervisor.pid(part), _children())
        self._before = {}
        for pid in self._pids:
            # Forgets the peak so far (proc(5), clear_refs).
            Path(f"/proc/{pid}/clear_refs").write_text("5")
            self._before[pid] = _status(pid, "VmRSS")

    def grown(self) -> float:
        """Megabytes, each process' own peak added up: an upper bound of what they took at one time."""
        return sum(self.each())

    def each(self) -> list[float]:
        """Megabytes, of each of the processes."""
        return [max(0, _status(pid, "VmHWM") - before) / MB for pid, before in self._before.items()]


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
            found.setdefault(parent, []).append(int(entry.name))
    return found


def _family(pid: int, children: dict[int, list[int]]) -> list[int]:
    return [pid, *(one for child in children.get(pid, []) for one in _family(child, children))]


def _kilobytes(pid: int, field: str) -> int:
    return _field(Path(f"/proc/{pid}/smaps_rollup"), field)


def _status(pid: int, field: str) -> int:
    return _field(Path(f"/proc/{pid}/status"), field)


def _field(file: Path, field: str) -> int:
    line = next(line for line in file.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])
