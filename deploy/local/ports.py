"""Ports nobody has: neither a program that listens now, nor another stack that keeps them while it is stopped."""

import fcntl
import json
import os
import random
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.failure import StackFailure

KEPT_IN = "ports.json"  # of a stack's state folder
STACKS = Path("/tmp") / f"opendsp-stacks-{os.geteuid()}"  # noqa: S108 (looked at before anything is written there)

# Below the kernel's range for outgoing connections, so that no client socket takes one of ours between two starts.
PORT_RANGE = range(20000, 32000)
# What a system service of the same or another program listens on by default.
PORTS_OF_OTHERS = frozenset(
    {20000, 21027, 22000, 24007, 24224, 25565, 25672, 25826, 26379, 26656, 27015, 27017, 27018, 27019, 28015, 28017}
)


def free_ports(count: int, taken: Iterable[int]) -> list[int]:
    """Ports nobody listens on now, on loopback or on any address, and no stack of this account keeps.

    Refuses: StackFailure when the range has too few free ones.
    """
    shut = PORTS_OF_OTHERS | set(taken) | _kept()
    candidates = [port for port in PORT_RANGE if port not in shut]
    random.SystemRandom().shuffle(candidates)
    free: list[int] = []
    for port in candidates:
        if is_free(port):
            free.append(port)
        if len(free) == count:
            return free
    raise StackFailure(f"only {len(free)} of {count} ports are free between {PORT_RANGE.start} and {PORT_RANGE.stop}")


def is_free(port: int) -> bool:
    """Whether nobody listens on the port."""
    for address in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 (only probed)
        with socket.socket() as probe:
            # As the servers themselves do: a connection in its last two minutes does not count as a listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


@contextmanager
def known_to_others(state: Path, name: str) -> Iterator[None]:
    """While a stack chooses its ports: no other stack of this account does, and from then on all leave them to it.

    state: its folder. name: what tells it from all others.

    Refuses: StackFailure where somebody else has taken the place in which stacks know of each other.
    """
    place = private_folder(STACKS, "it is where the stacks of one account find each other's ports")
    with (place / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / name).is_symlink():
            (place / name).symlink_to(state)
        yield


def _kept() -> set[int]:
    """What all stacks of this account keep; one whose folder was removed keeps nothing, and is forgotten."""
    kept: set[int] = set()
    for stack in [found for found in STACKS.glob("*") if found.is_symlink()]:
        try:
            kept.update(json.loads((stack / KEPT_IN).read_text()).values())
        except (OSError, ValueError, TypeError, AttributeError):
            # It has chosen none yet, is gone, or its file is damaged, of which it tells whoever starts it.
            if not stack.exists():
                stack.unlink(missing_ok=True)
    return kept


def private_folder(path: Path, purpose: str) -> Path:
    """A folder that nobody else may look into, made on demand. Refuses: StackFailure where it is anything else."""
    path.mkdir(mode=0o700, exist_ok=True)
    facts = path.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise StackFailure(f"{path} is not a private folder of this account", advice=f"{purpose}: remove it")
    return path
