"""What the local stack raises when a part does not come up: what failed, where its log is, what to do."""

from pathlib import Path

SHOWN_LINES = 15


class StackFailure(Exception):
    """A part of the stack failed. Its text says what, the last lines of the log, and what to do about it."""

    def __init__(self, what: str, *, log: Path | None = None, lines: str = "", advice: str = "") -> None:
        self.what = what
        self.log = log
        self.advice = advice
        self.lines = lines or (last_lines(log) if log else "")
        super().__init__(what)

    def __str__(self) -> str:
        told = [self.what]
        if self.lines:
            told += ["  the last it said:", *(f"  | {line}" for line in self.lines.rstrip().splitlines())]
        if self.log:
            told.append(f"  its log: {self.log}")
        if self.advice:
            told.append(f"  what to do: {self.advice}")
        return "\n".join(told)


def last_lines(log: Path, count: int = SHOWN_LINES) -> str:
    """The end of a log file, empty when there is none yet."""
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 32_000))
        return "\n".join(stream.read().decode("utf-8", "replace").splitlines()[-count:])
