"""A whole history on paper: every entry as a sentence, sealed, with the file in it that anybody can check.

The seal says that the sheet is as the platform made it; what shows that the platform left nothing out is the attached
file, together with the verifier. Lines are laid out here: what fpdf2 does for any text costs thirty times as much.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from font_roboto import Roboto, RobotoBold
from fpdf import FPDF

from gateway.history_files import at_here
from gateway.seal import Seal, make_room, sealed
from services.settings import load

MOST = 10_000
"""So many entries a sheet has at most: some 600 pages."""

ATTACHED = "history.jsonl"
MARGIN, TOP, BOTTOM = 16.0, 18.0, 281.0  # millimetres
SAID_AT = 50.0
LINE = 4.0
SIZE = 8.5


def sheet(
    begun: dict[str, Any], statement: dict[str, Any], entries: Iterable[dict[str, Any]], lines: bytes,
    words: dict[str, Any], language: str, by: Seal,
) -> bytes:  # fmt: skip
    """The history as a sealed PDF, its fonts within.

    begun, statement: audit's answers. entries: in words, newest first. lines: the file to attach. words: of the
    catalogue, "history_export".
    """
    made = _Sheet(words, language)
    made.head(begun, statement)
    for entry in entries:
        made.entry(entry)
    made.check(statement)
    made.embed_file(bytes=lines, basename=ATTACHED, desc=words["attached"], mime_type="application/x-ndjson")
    make_room(made, words["title"])
    return sealed(bytes(made.output()), by)


class _Sheet(FPDF):
    """On A4."""

    def __init__(self, words: dict[str, Any], language: str) -> None:
        super().__init__(format="A4")
        self._words = words
        self._widths: dict[str, float] = {}
        self._down = TOP
        self.add_font("text", "", Roboto)
        self.add_font("text", "B", RobotoBold)
        self.set_margins(MARGIN, TOP, MARGIN)
        self.set_auto_page_break(False)
        self.set_lang(language)
        self.set_title(words["title"])
        self.set_font("text", "", SIZE)
        self.add_page()

    def footer(self) -> None:
        self.set_font("text", "", 7)
        self.text(MARGIN, 290, self._words["page"].format(number=self.page_no()))

    def head(self, begun: dict[str, Any], statement: dict[str, Any]) -> None:
        """What this is, of which record, of when, and how much it is."""
        self.set_font("text", "B", 15)
        self.text(MARGIN, self._down, self._words["title"])
        self.set_font("text", "", SIZE)
        self._down += 8
        self._say(f"{self._words['record']} {begun['record_id']}")
        self._say(self._words["made_at"].format(moment=at_here(begun["begun_at"]), count=statement["count"]))
        self._down += LINE

    def entry(self, entry: dict[str, Any]) -> None:
        """When, and the sentence."""
        said = self._lines(entry["text"], 210 - MARGIN - SAID_AT)
        self._make_room(len(said) * LINE)
        self.text(MARGIN, self._down, at_here(entry["at"]))
        for line in said:
            self.text(SAID_AT, self._down, line)
            self._down += LINE
        self._down += 1

    def check(self, statement: dict[str, Any]) -> None:
        """How anybody finds out whether it is genuine and whole, and what the notary states."""
        verifier = f"{load().public_url}/api/v1/audit/verifier"
        self._make_room(25 * LINE)
        self._down += 2 * LINE
        self.set_font("text", "B", 10)
        self._widths.clear()
        self._say(self._words["check"])
        self.set_font("text", "", SIZE)
        self._widths.clear()
        for part in ("sealed", "checked"):
            self._say(self._words[part].format(verifier=verifier, file=ATTACHED))
            self._down += 1
        for line in (*statement["statement"].splitlines(), f"{statement['key_id']} {statement['signature']}"):
            self._say(line)

    def _say(self, text: str) -> None:
        for line in self._lines(text, 210 - 2 * MARGIN):
            self._make_room(LINE)
            self.text(MARGIN, self._down, line)
            self._down += LINE

    def _make_room(self, height: float) -> None:
        if self._down + height > BOTTOM:
            self.add_page()
            self._down = TOP

    def _lines(self, text: str, most: float) -> list[str]:
        """A text in lines of at most this width; a word that is longer than a line is cut."""
        blank, lines, line, used = self._width(" "), list[str](), list[str](), 0.0
        for word in (part for whole in text.split() for part in self._parts(whole, most)):
            if line and used + blank + self._width(word) > most:
                lines.append(" ".join(line))
                line, used = [], 0.0
            used += self._width(word) + (blank if line else 0)
            line.append(word)
        return [*lines, " ".join(line)]

    def _parts(self, word: str, most: float) -> list[str]:
        if self._width(word) <= most:
            return [word]
        half = len(word) // 2
        return [*self._parts(word[:half], most), *self._parts(word[half:], most)]

    def _width(self, word: str) -> float:
        known = self._widths.get(word)
        if known is None:
            known = self._widths[word] = self.get_string_width(word)
        return known
