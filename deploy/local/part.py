"""One supervised process of the stack, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """What the supervisor must know of a process: command, environment, folder, account, how it is stopped."""

    name: str
    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    stop_signal: str = "TERM"
    # Trap 10 and 13 of the architecture: a nameko process needs up to 30 s to finish what it holds, and no longer.
    grace: int = 30
