"""The witness: a file of signed heads that is only ever added to, in a folder that belongs to the notary's own system
user. What stands in it stands for ever; by it anybody finds out whether the database was bent.

`heads.jsonl` has one JSON object a line: a head, or the key that signs from a size of the log on.
"""

from __future__ import annotations

import fcntl
import json
import os
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from services.audit.rules_heads import Head, base64, moment

FILE = "heads.jsonl"
LOCK = "lock"
TAIL = 64 * 1024


@dataclass(frozen=True)
class Key:
    """A public key, and from which size of the log on it signs."""

    key_id: str
    public_key: bytes
    from_size: int
    since: datetime

    def as_line(self) -> dict[str, Any]:
        """The key as it stands in the witness, in exports and in answers."""
        return {
            "key_id": self.key_id, "public_key": base64(self.public_key), "from_size": self.from_size,
            "since": moment(self.since),
        }  # fmt: skip


class Witness:
    """The file, held by one notary at a time."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = self._file = -1
        self.last: Head | None = None
        self.keys: list[Key] = []

    def take(self) -> bool:
        """Whether it is ours now; it stays so until it is closed or the process ends, however it ends.

        A line that a kill cut off is taken away: nobody was told of it.
        """
        if self._file >= 0:
            return True
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        self._file = os.open(self.folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._cut_torn()
        directory = os.open(self.folder, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        self._find_last()
        return True

    def close(self) -> None:
        """Lets it go."""
        for handle in (self._file, self._lock):
            if handle >= 0:
                os.close(handle)
        self._file = self._lock = -1

    def append(self, head: Head) -> None:
        """Writes a head; when this returns, it is there for ever."""
        self._write(head.as_line())
        self.last = head

    def append_key(self, key: Key) -> None:
        """Writes which key signs from now on."""
        self._write({"key": key.as_line()})
        self.keys.append(key)

    def heads(self, beyond: int) -> Iterator[Head]:
        """The heads of more leaves than these, from the smallest on."""
        with (self.folder / FILE).open("rb") as file:
            file.seek(self._first_beyond(file, beyond))
            for line in file:
                told = json.loads(line)
                if "key" not in told and told["size"] > beyond:
                    yield Head.from_line(told)

    def head_of(self, size: int) -> Head | None:
        """The head of exactly so many leaves."""
        head = next(self.heads(size - 1), None)
        return head if head is not None and head.size == size else None

    def _first_beyond(self, file: Any, size: int) -> int:
        """Where to begin to read: the sizes in the file never fall, so its lines are halved, not read through."""
        low, high = 0, file.seek(0, os.SEEK_END)
        while high - low > TAIL:
            middle = (low + high) // 2
            file.seek(middle)
            file.readline()
            begins = file.tell()
            line = file.readline()
            if not line or _size(json.loads(line)) > size:
                high = middle
            else:
                low = begins
        return low

    def _write(self, told: dict[str, Any]) -> None:
        line = json.dumps(told, separators=(",", ":")).encode() + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            raise OSError("the witness takes no more")
        os.fsync(self._file)

    def _cut_torn(self) -> None:
        end = os.lseek(self._file, 0, os.SEEK_END)
        start = max(0, end - TAIL)
        tail = os.pread(self._file, end - start, start)
        whole = tail[: tail.rfind(b"\n") + 1]
        before = whole[: whole.rfind(b"\n", 0, -1) + 1]
        if whole and not _is_line(whole[len(before) :]):  # a power cut can leave the length without the bytes
            whole = before
        if len(whole) != len(tail):
            os.ftruncate(self._file, start + len(whole))
            os.fsync(self._file)

    def _find_last(self) -> None:
        self.last, self.keys = None, []
        with (self.folder / FILE).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - TAIL))
            if end > TAIL:
                file.readline()
            for line in file:
                told = json.loads(line)
                if "key" not in told:
                    self.last = Head.from_line(told)
            file.seek(0)
            for line in file:
                if line.startswith(b'{"key"'):
                    key = json.loads(line)["key"]
                    self.keys.append(Key(key["key_id"], b64decode(key["public_key"]), int(key["from_size"]),
                                         datetime.fromisoformat(key["since"])))  # fmt: skip


def _size(told: dict[str, Any]) -> int:
    return int(told["key"]["from_size"] if "key" in told else told["size"])


def _is_line(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
