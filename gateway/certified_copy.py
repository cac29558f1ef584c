"""The certified copy of a partial dispensation: a page with the grid of lines, for the pharmacy that gives the rest.

It is what the platform knows at this moment, and says when that was; its code tells any pharmacist whether it is
genuine and what is left then [seed 003].
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import segno
from font_roboto import Roboto, RobotoBold
from fpdf import FPDF
from fpdf.fonts import FontFace

from services.settings import load

HERE = ZoneInfo("Europe/Luxembourg")
MARGIN = 18.0  # millimetres
MODULE = 0.9  # millimetres of one dark square of the QR code
GROUP = 6  # letters of the code that stand together
_COLUMNS = ("number", "line", "prescribed", "given", "left")
_WIDTHS = (8, 86, 26, 26, 26)


def sheet(copy: dict[str, Any], words: dict[str, Any], language: str) -> bytes:
    """The copy as a PDF, its fonts within. copy: documents' answer with the names in it."""
    return bytes(_Copy(copy, words, language).output())


def grouped(code: str) -> str:
    """A code as people read it off a paper."""
    return "-".join(code[at : at + GROUP] for at in range(0, len(code), GROUP))


class _Copy(FPDF):
    """On A4: who, the grid, the code."""

    def __init__(self, copy: dict[str, Any], words: dict[str, Any], language: str) -> None:
        super().__init__(format="A4")
        self._words = words
        self.add_font("text", "", Roboto)
        self.add_font("text", "B", RobotoBold)
        self.set_margins(MARGIN, 18, MARGIN)
        self.set_auto_page_break(True, margin=18)
        self.set_lang(language)
        self.set_title(words["title"])
        self.add_page()
        self._say(words["title"], 15, "B")
        self._say(words["certified"], 9)
        self.ln(3)
        for label, value in self._facts(copy):
            self._fact(words[label], value)
        self.ln(4)
        self._grid(copy)
        self._end(copy)

    def _facts(self, copy: dict[str, Any]) -> list[tuple[str, str]]:
        states: dict[str, str] = self._words["states"]
        day = copy["act_date"]
        return [
            ("patient", copy["patient_name"] or "—"),
            ("prescription", copy["title"]),
            ("prescriber", " · ".join(filter(None, (copy["author_name"], day and _day(day)))) or "—"),
            ("valid_until", _day(copy["valid_until"]) if copy["valid_until"] else "—"),
            ("pharmacy", copy["establishment_name"]),
            ("dispenser", copy["dispenser_name"] or "—"),
            ("dispensed_at", _moment(datetime.fromisoformat(copy["at"]))),
            ("state", states[copy["dispensation_state"]]),
        ]

    def _fact(self, label: str, value: str) -> None:
        self.set_font("text", "B", 10)
        self.cell(46, 6, label)
        self.set_font("text", "", 10)
        self.multi_cell(0, 6, value, align="L", new_x="LMARGIN", new_y="NEXT")

    def _grid(self, copy: dict[str, Any]) -> None:
        given = {each["number"]: each for each in copy["dispensed"]}
        self.set_font("text", "", 9)
        heading = FontFace(emphasis="BOLD")
        with self.table(col_widths=_WIDTHS, text_align=("RIGHT", "LEFT", "RIGHT", "RIGHT", "RIGHT"),
                        headings_style=heading, line_height=5, padding=1) as table:  # fmt: skip
            row = table.row()
            for column in _COLUMNS:
                row.cell(self._words[column])
            for line in copy["lines"]:
                row = table.row()
                for cell in (str(line["number"]), line["text"], *self._amounts(line, given.get(line["number"]))):
                    row.cell(cell)

    def _amounts(self, line: dict[str, Any], given: dict[str, Any] | None) -> tuple[str, str, str]:
        """Prescribed, given this time, left; a line without a number is given whole or not at all."""
        whole, nothing = self._words["whole"], "0"
        if line["quantity"] is None:
            return whole, whole if given else nothing, nothing if line["complete"] else whole
        unit = f" {line['unit']}" if line["unit"] else ""
        return line["quantity"] + unit, given["quantity"] if given else nothing, line["left"]

    def _end(self, copy: dict[str, Any]) -> None:
        code = copy["verification_code"]
        if self.get_y() > 225:
            self.add_page()
        self.ln(6)
        top = self.get_y()
        side = self._qr(f"{load().public_url}/api/v1/dispensations/verification/{code}", MARGIN, top)
        self.set_left_margin(MARGIN + side + 6)
        self.set_y(top)
        self._say(self._words["code"], 10, "B")
        self._say(grouped(code), 14, "B")
        self._say(self._words["verify"], 9)
        self._say(self._words["printed_at"].format(moment=_moment(datetime.now(UTC))), 9)
        self.set_left_margin(MARGIN)

    def _qr(self, text: str, left: float, top: float) -> float:
        """Draws a QR code square by square; gives the length of its side."""
        matrix = segno.make_qr(text, error="m").matrix
        self.set_fill_color(0, 0, 0)
        for down, row in enumerate(matrix):
            for right, dark in enumerate(row):
                if dark:
                    self.rect(left + right * MODULE, top + down * MODULE, MODULE, MODULE, style="F")
        return len(matrix) * MODULE

    def _say(self, line: str, size: float, style: str = "") -> None:
        self.set_font("text", style, size)
        self.multi_cell(w=0, h=size * 0.5, text=line, align="L", new_x="LMARGIN", new_y="NEXT")


def _day(day: str) -> str:
    year, month, of_month = day.split("-")
    return f"{of_month}.{month}.{year}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(HERE).strftime("%d.%m.%Y %H:%M")
