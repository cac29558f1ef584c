"""Letters as PDF files in a folder: A4, address window, codes in a frame, a card to cut out.

The file is the only place where a letter's codes stand in clear: mode 0600, written beside its name and moved there in
one step. The text layer is plain (fonts embedded), so that a print shop can check what it prints.

`python -m services.notifications.ports.letters` is the press (press.py); it serves the socket that is its standard
input.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import segno
from font_roboto import Roboto, RobotoBold
from fpdf import FPDF

from services.notifications.ports.letter_folder import LetterFolder
from services.notifications.ports.press import Printed, Sheet
from services.notifications.ports.texts import catalogue, date_text, fill
from services.notifications.rules_batches import file_of

# Millimetres. The window of a C5/6 envelope opens on the right, as on letters in Luxembourg and France.
MARGIN = 22.0
WINDOW = (108.0, 48.0, 84.0, 32.0)
FOLD = 99.0
CARD = (85.6, 54.0)  # ISO/IEC 7810 ID-1: fits where a bank card does
QR = 21.0  # beside the activation code, with its quiet zone
CARD_QR = 17.0

INK = (28, 43, 51)
ACCENT = (11, 85, 99)
FAINT = (110, 124, 131)
PALE = (232, 241, 243)


class Letters:
    """The folder of letters waiting for the print shop."""

    def __init__(self, folder: str) -> None:
        self._folder = LetterFolder(folder)

    def print(self, sheet: Sheet) -> Printed:
        """Writes the letter's file, whole or not at all; a repeat replaces it. Raises OSError when it cannot."""
        letter = _Letter(sheet).compose()
        content = bytes(letter.output())
        self.write(sheet.letter_id, content)
        return Printed(letter.page_no(), sha256(content).digest())

    def write(self, letter_id: str, content: bytes) -> Path:
        """Puts the bytes under the letter's name, durable when this returns."""
        return self._folder.write(file_of(letter_id), content)


def render(sheet: Sheet) -> bytes:
    """The letter as a PDF, in the language of its reader."""
    return bytes(_Letter(sheet).compose().output())


class _Letter(FPDF):
    """One letter being laid out."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(format="A4")
        self.sheet = sheet
        self.texts: Mapping[str, Any] = catalogue(sheet.language)["letter"]
        self.told: Mapping[str, Any] = self.texts[sheet.occasion]
        self.values = {
            "portal": sheet.portal,
            "date": date_text(sheet.at, sheet.language),
            "expires": date_text(sheet.activation_expires_at, sheet.language),
            "reference": sheet.reference,
        }
        for family, style, file in (("text", "", Roboto), ("text", "B", RobotoBold), ("code", "B", RobotoBold)):
            self.add_font(family, style, file)
        self.set_margins(MARGIN, 20, MARGIN)
        self.set_auto_page_break(True, margin=22)
        self.set_lang(sheet.language)
        self.set_title(self.told["subject"])
        self.set_creator("OpenDSP")
        self.set_creation_date(sheet.at)

    def say(
        self, text: str, *, size: float = 9.5, style: str = "", colour: tuple[int, int, int] = INK, **cell: Any
    ) -> None:
        """One paragraph at the pen, the pen below it afterwards."""
        self.set_font("text", style, size)
        self.set_text_color(*colour)
        options = {"w": 0, "h": size * 0.49, "align": "L", "new_x": "LMARGIN", "new_y": "NEXT", **cell}
        self.multi_cell(text=fill(text, self.values), **options)

    def compose(self) -> _Letter:
        """Lays out the whole letter."""
        self.add_page()
        self._head()
        self.say(self.told["subject"], size=13, style="B", colour=ACCENT)
        self.ln(3)
        self.say(self.texts["greeting"])
        self.ln(1.5)
        for paragraph in self.told["intro"]:
            self.say(paragraph)
        self.ln(3)
        self._codes()
        for section in self.told["sections"]:
            self._section(section)
        self.ln(4)
        self.say(self.texts["closing"], style="B")
        if self.sheet.presence_code is not None:
            self._card(self.sheet.presence_code)
        return self

    def footer(self) -> None:
        """Page numbers and a fold mark: a page that went missing is noticed."""
        self.set_y(-14)
        numbers = self.texts["page"].replace("{page}", str(self.page_no())).replace("{pages}", "{nb}")
        self.set_font("text", "", 7.5)
        self.set_text_color(*FAINT)
        self.cell(0, 4, numbers, align="C")
        self.set_draw_color(*FAINT)
        self.set_line_width(0.15)
        self.line(4, FOLD, 8, FOLD)

    def _head(self) -> None:
        sender, *under = [fill(line, self.values) for line in self.texts["sender"]]
        self.set_fill_color(*ACCENT)
        self.rect(0, 0, self.w, 3.2, style="F")
        self.set_xy(MARGIN, 16)
        self.say(sender, size=17, style="B", colour=ACCENT)
        self.ln(0.6)
        for line in under:
            self.say(line, size=9, colour=FAINT)
        x, y, width, _ = WINDOW
        self.set_xy(x, y)
        for line in (*self.sheet.name_lines, *self.sheet.address_lines):
            self.set_x(x)
            # A name goes on paper as it is; braces in it are no places to fill.
            self.say(line.replace("{", "{{").replace("}", "}}"), size=10.5, w=width, h=5.2)
        self.set_xy(x, 84)
        self.say(self.texts["place_and_date"], size=9.5, w=width)
        self.set_y(FOLD + 3)

    def _codes(self) -> None:
        """The frame with the codes; label and code stand on one line of the text layer."""
        lines = [("activation_code", self.sheet.activation_code)]
        if self.sheet.presence_code is not None:
            lines.append(("presence_code", self.sheet.presence_code))
        height = max(3 + 13.6 * len(lines), QR + 4)
        top = self.get_y()
        self.set_fill_color(*PALE)
        self.set_draw_color(*ACCENT)
        self.set_line_width(0.3)
        self.rect(MARGIN, top, self.epw, height, style="DF", round_corners=True, corner_radius=2)
        self.set_y(top + 4)
        for label, code in lines:
            self._code_line(self.texts[label], code, size=12.5, x=MARGIN + 5)
            self.set_x(MARGIN + 5)
            self.say(self.texts[f"{label}_hint"], size=8.5, colour=FAINT, w=self.epw - QR - 14)
            self.ln(3)
        # What counts stands behind the #: no server on the way sees or logs it.
        link = f"{self.sheet.portal.rstrip('/')}/#activation={self.sheet.activation_code}"
        self._qr(link, MARGIN + self.epw - QR - 2, top + (height - QR) / 2, QR)
        self.set_y(top + height + 3)

    def _qr(self, text: str, x: float, y: float, size: float) -> None:
        """A QR code on white, as wide as told with the quiet zone that readers need [ISO/IEC 18004]."""
        matrix = segno.make_qr(text, error="m").matrix
        module = size / (len(matrix) + 8)
        self.set_fill_color(255, 255, 255)
        self.rect(x, y, size, size, style="F")
        self.set_fill_color(0, 0, 0)
        for down, row in enumerate(matrix, 4):
            for right, dark in enumerate(row, 4):
                if dark:
                    self.rect(x + right * module, y + down * module, module, module, style="F")

    def _code_line(self, label: str, code: str, *, size: float, x: float) -> None:
        self.set_x(x)
        self.set_text_color(*INK)
        self.set_font("text", "", size)
        self.cell(self.get_string_width(label) + 0.5, size * 0.5, label)
        self.set_font("code", "B", size + 1)
        self.set_text_color(*ACCENT)
        self.cell(0, size * 0.5, code, new_x="LMARGIN", new_y="NEXT")

    def _section(self, section: Mapping[str, Any]) -> None:
        if self.will_page_break(20):
            self.add_page()
        self.ln(3)
        self.say(section["title"], size=10.5, style="B", colour=ACCENT)
        self.ln(0.8)
        for paragraph in section["text"]:
            self.say(paragraph)
            self.ln(0.8)

    def _card(self, code: str) -> None:
        """The wallet card, at the foot of the last page, to be cut out along its edge."""
        width, height = CARD
        if self.will_page_break(height + 14):
            self.add_page()
        x, y = (self.w - width) / 2, self.h - 22 - height
        self.set_xy(MARGIN, y - 6)
        self.say(self.texts["card_cut"], size=7.5, colour=FAINT, align="C")
        self.set_draw_color(*FAINT)
        self.set_line_width(0.2)
        self.set_dash_pattern(dash=1.6, gap=1.2)
        self.rect(x, y, width, height, round_corners=True, corner_radius=3)
        self.set_dash_pattern()
        self.set_fill_color(*ACCENT)
        self.rect(x + 5, y + 14, 14, 0.8, style="F")
        self.set_xy(x + 5, y + 6)
        self.say(self.texts["card_title"], size=12, style="B", colour=ACCENT, w=width - CARD_QR - 12)
        self._qr(code, x + width - CARD_QR - 4, y + 4, CARD_QR)
        self.set_xy(x + 5, y + 24)
        self._code_line(self.texts["presence_code"], code, size=11, x=x + 5)
        self.set_xy(x + 5, y + 33)
        self.say(self.texts["card_text"], size=7.5, colour=INK, w=width - 10, h=3.8)


def main() -> None:
    """Prints letter by letter until the other end is closed; the service decides when, not a signal to its group."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with socket.socket(fileno=0) as asked, asked.makefile("rb") as lines:
        asked.setblocking(True)  # made by eventlet, this end would not wait for the next letter
        for line in lines:
            try:
                job = json.loads(line)
                printed = Letters(job["folder"]).print(Sheet.from_wire(job["sheet"]))
                answer = {"pages": printed.pages, "sha256": printed.digest.hex()}
            except Exception as broken:  # its kind alone: a text might hold what stands on the letter
                answer = {"failed": type(broken).__name__}
            asked.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
