"""A file that its examiner does not have whole: it asks for the bytes it needs, and they are opened for it then."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable

from services.sealing import Buffer

BLOCK = 256 * 1024
_KEPT = 32  # blocks; parsers come back to where they were


class Pieces(io.RawIOBase):
    """A seekable file over `fetch(start, length)`, which gives exactly these bytes."""

    def __init__(self, size: int, fetch: Callable[[int, int], Buffer]) -> None:
        super().__init__()
        self.size = size
        self._fetch = fetch
        self._at = 0
        self._blocks: OrderedDict[int, Buffer] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence])
        return self._at

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self.size - self._at))
        done = 0
        while done < wanted:
            number, skip = divmod(self._at, BLOCK)
            piece = memoryview(self._block(number))[skip : skip + wanted - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._at += len(piece)
        return done

    def _block(self, number: int) -> Buffer:
        if number not in self._blocks:
            start = number * BLOCK
            self._blocks[number] = self._fetch(start, min(BLOCK, self.size - start))
            if len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]
