"""The general conditions of use: what people accept, by version and language, as text and as a page to keep.

Data, not code: one folder per version, one file per language. A version that was ever in force stays readable.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from font_roboto import Roboto, RobotoBold
from fpdf import FPDF

FOLDER = Path(__file__).with_name("conditions")
VERSIONS = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))
MARGIN = 22.0  # millimetres


@cache
def text(version: str, language: str) -> str | None:
    """The conditions of one version in one language; None where there is no such version."""
    if version not in VERSIONS:
        return None
    return (FOLDER / version / f"{language}.txt").read_text(encoding="utf-8")


@cache
def sheet(version: str, language: str) -> bytes | None:
    """The same as a PDF, fonts embedded; None where there is no such version."""
    found = text(version, language)
    return None if found is None else bytes(_Sheet(version, language, found).output())


class _Sheet(FPDF):
    """The conditions on A4, headings in bold, the version at the foot of each page."""

    def __init__(self, version: str, language: str, whole: str) -> None:
        super().__init__(format="A4")
        self.version = version
        self.add_font("text", "", Roboto)
        self.add_font("text", "B", RobotoBold)
        self.set_margins(MARGIN, 20, MARGIN)
        self.set_auto_page_break(True, margin=20)
        title, _, rest = whole.partition("\n")
        self.set_lang(language)
        self.set_title(title)
        self.add_page()
        self._say(title, 15, "B")
        for line in filter(None, rest.splitlines()):
            heading = re.match(r"[0-9]+\. ", line) is not None
            self.ln(3 if heading else 0)
            self._say(line, 11 if heading else 10, "B" if heading else "")

    def _say(self, line: str, size: float, style: str) -> None:
        self.set_font("text", style, size)
        self.multi_cell(w=0, h=size * 0.5, text=line, align="L", new_x="LMARGIN", new_y="NEXT")

    def footer(self) -> None:
        """The version, so that a printed page tells what was accepted."""
        self.set_y(-14)
        self.set_font("text", "", 8)
        self.cell(0, 4, f"{self.version} · {self.page_no()}/{{nb}}", align="C")
