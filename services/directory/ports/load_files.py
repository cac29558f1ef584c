"""Files to load and the reports of their refused lines.

A file is read forward only, a few thousand lines at a time. A report is written before the step it tells of is
committed; whatever a killed load had written of a step that never was is cut off when it goes on.
"""

import csv
import hashlib
import json
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from services.directory.rules_load import LONGEST_LINE, Refused

STEP: Final = 2_000
STEP_BYTES: Final = 4 * 1024 * 1024
BOM: Final = b"\xef\xbb\xbf"
CATALOGUES: Final = Path(__file__).parents[3] / "gateway" / "catalogues"
COLUMNS: Final = ("file", "line", "field", "reason", "words")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Chunk:
    """Lines that follow one another; ends: where in the file each ends."""

    first: int
    lines: tuple[bytes, ...]
    ends: "array[int]"

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + len(self.lines) - 1

    def end_of(self, number: int) -> int:
        """Where in the file a line ends."""
        return self.ends[number - self.first]


class Source:
    """A file to load. first: its first line, a byte order mark removed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        with path.open("rb") as file:
            line = file.readline(LONGEST_LINE + 1)
            self.begins_with_mark = line.startswith(BOM)
            self.first = line.removeprefix(BOM)
            self.end_of_first = file.tell()

    def digest(self) -> bytes:
        """Of the whole content: by it a load that was broken off finds its file again, under whatever name."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def chunks(self, position: int, first: int, until: int | None = None) -> Iterator[Chunk]:
        """The lines from a position on, the first of them having this number; of a huge line only the beginning."""
        with self.path.open("rb") as file:
            file.seek(position)
            lines: list[bytes] = []
            ends = array("q")
            held = 0
            while (until is None or position < until) and (line := file.readline(LONGEST_LINE + 2)):
                position += len(line)
                if not line.endswith(b"\n"):
                    position += _skipped(file)
                lines.append(line.removeprefix(BOM) if self.begins_with_mark and first == 1 and not lines else line)
                ends.append(position)
                held += len(line)
                if len(lines) == STEP or held > STEP_BYTES:
                    yield Chunk(first, tuple(lines), ends)
                    first, lines, ends, held = first + len(lines), [], array("q"), 0
            if lines:
                yield Chunk(first, tuple(lines), ends)


def _skipped(file: IO[bytes]) -> int:
    """Reads on to the end of a line; says how much that was."""
    skipped = 0
    while rest := file.readline(LONGEST_LINE):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped


class Words:
    """What codes mean, in the operator's language, from the catalogues that callers are answered from."""

    def __init__(self, language: str) -> None:
        told = json.loads((CATALOGUES / f"{language}.json").read_text("utf-8"))
        self._messages: dict[str, str] = told["messages"]
        self._problems: dict[str, dict[str, str]] = told["problems"]

    def of(self, code: str) -> str:
        """The words; the code itself where there are none."""
        return self._messages.get(code) or self._problems.get(code, {}).get("title") or code


class Report:
    """Refused lines with reasons: CSV, or NDJSON when its name ends so. Never what stood in the line.

    A load that begins writes it anew, one that goes on appends; without refused lines there is no such file.
    """

    def __init__(self, path: Path, words: Words, names: tuple[str, str]) -> None:
        self.path = path
        self._words = words
        self._names = names
        self._file: IO[str] | None = None
        self.is_json = path.suffix in (".ndjson", ".jsonl", ".json")

    def begin(self) -> None:
        """Forgets what an earlier load wrote here."""
        self.close()
        self.path.unlink(missing_ok=True)

    def go_on(self, after: int) -> None:
        """Keeps what is told of lines up to this one, and of the second file."""
        self.close()
        if not self.path.exists():
            return
        kept = 0
        with self.path.open("rb") as file:
            for place, row in enumerate(file):
                if not row.endswith(b"\n") or (self._number(place, row) or 0) > after:
                    break
                kept += len(row)
        with self.path.open("r+b") as file:
            file.truncate(kept)

    def write(self, refused: Sequence[Refused]) -> None:
        """Adds lines; they are on the disk when this returns."""
        if not refused:
            return
        file = self._opened()
        writer = csv.writer(file, lineterminator="\n")
        for line in refused:
            for field, code in line.faults:
                row = (self._names[line.roles], line.number, field, code, self._words.of(code))
                if self.is_json:
                    file.write(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n")
                else:
                    writer.writerow([harmless(str(cell)) for cell in row])
        file.flush()
        os.fsync(file.fileno())

    def mark(self) -> int:
        """How long it is."""
        return self.path.stat().st_size if self.path.exists() else 0

    def back_to(self, mark: int) -> None:
        """Takes back what was written since: the step was not."""
        self.close()
        if self.path.exists():
            os.truncate(self.path, mark)

    def close(self) -> None:
        """Finishes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> IO[str]:
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8", newline="")
            if self._file.tell() == 0 and not self.is_json:
                csv.writer(self._file, lineterminator="\n").writerow(COLUMNS)
        return self._file

    def _number(self, place: int, row: bytes) -> int | None:
        """The line that a row tells of; None of the header and of the second file."""
        if self.is_json:
            told = json.loads(row)
            return None if told["file"] == self._names[True] else int(told["line"])
        if place == 0:
            return None
        name, number, *_ = next(csv.reader([row.decode()]))
        return None if name == harmless(self._names[True]) else int(number)


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
