"""The bytes of a DICOM object, read from the front and looked into anywhere, whether they are all there or fetched."""

from __future__ import annotations

import io
from typing import Any


class Source(io.RawIOBase):
    """A file over a buffer or over `Pieces`; remembers whether more was wanted of it than it has."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._pieces = data if isinstance(data, io.RawIOBase) else None
        self._view = memoryview(b"" if self._pieces is not None else data)
        self.size: int = len(self._view) if self._pieces is None else self._pieces.size  # type: ignore[attr-defined]
        self.short = False
        self._at = 0

    def part(self, at: int, length: int) -> bytes:
        """Some bytes, fewer where the file ends."""
        if self._pieces is None:
            return bytes(self._view[at : at + length])
        self._pieces.seek(at)
        return bytes(self._pieces.read(length) or b"")

    def read(self, size: int | None = -1) -> bytes:
        size = self.size - self._at if size is None or size < 0 else size
        data = self.part(self._at, min(size, self.size - self._at))
        # nothing left where an element could begin is the end; anything else is missing
        self.short = self.short or (len(data) < size and (bool(data) or size > 8))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._at, self.size)[whence]
        self._at = min(max(0, start + offset), self.size)
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
