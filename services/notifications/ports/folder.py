"""A folder in which each thing is a file that is there whole or not at all, and stays there."""

from __future__ import annotations

import os
from pathlib import Path


class Folder:
    """Written to by one process or several; each file has one name, however often it is written."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def write(self, name: str, content: bytes) -> Path:
        """Puts the bytes under the name, for their owner alone, durable when this returns; a repeat replaces them."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / name
        part = self._folder / f".{path.stem}.part"
        # One name per file: what a killed process left behind is overwritten by the retry, not collected.
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o600)
            file.write(content)
            file.flush()
            os.fsync(handle)
        part.replace(path)
        self._sync()
        return path

    def unlink(self, *names: str) -> None:
        """Deletes files; what is gone already is no error."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)
        if self._folder.exists():
            self._sync()

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
