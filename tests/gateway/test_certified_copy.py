"""The certified copy as a page: what stands on it, in five languages, and that its code can be read back."""

from __future__ import annotations

import re
from typing import Any

import pypdfium2
import pytest

from gateway import certified_copy
from gateway.caller import LOCALES
from gateway.errors import catalogue
from services.documents.contract import SHOWN_STATES

CODE = "ABCDEFGHJKLMNPQR23"
LINES = [
    {"number": 1, "text": "Amoxicilline 1 g, comprimé pelliculé", "quantity": "3", "unit": "boîte", "given": "1",
     "left": "2", "complete": False},
    {"number": 2, "text": "Bas de contention", "quantity": None, "unit": None, "given": "0", "left": None,
     "complete": False},
    {"number": 3, "text": "Préparation magistrale", "quantity": None, "unit": None, "given": "0", "left": None,
     "complete": True},
]  # fmt: skip
COPY: dict[str, Any] = {
    "title": "Ordonnance du 20 novembre", "act_date": "2026-11-20", "valid_until": "2027-01-31",
    "patient_name": "PIG Peppa", "author_name": "MÜLLER Anne", "dispenser_name": "WEBER Luc",
    "establishment_name": "Pharmacie du Marché", "at": "2026-11-21T08:15:00.000000Z", "verification_code": CODE,
    "dispensation_state": "partial", "lines": LINES,
    "dispensed": [{"number": 1, "quantity": "1"}, {"number": 3, "quantity": None}],
}  # fmt: skip


def printed(language: str, **changes: Any) -> tuple[int, str]:
    """How many pages there are, and what a reader sees on them."""
    pdf = pypdfium2.PdfDocument(certified_copy.sheet(COPY | changes, catalogue(language)["certified_copy"], language))
    return len(pdf), "\n".join(page.get_textpage().get_text_bounded() for page in pdf)


@pytest.mark.parametrize("language", LOCALES)
def test_the_copy_says_who_gave_what_and_what_is_left(language: str) -> None:
    words = catalogue(language)["certified_copy"]
    pages, text = printed(language)
    assert pages == 1
    for told in (
        words["title"], "PIG Peppa", "MÜLLER Anne", "Pharmacie du Marché", "WEBER Luc", "21.11.2026 09:15",
        "31.01.2027", "ABCDEF-GHJKLM-NPQR23", words["states"]["partial"], "Bas de contention",
    ):  # fmt: skip
        assert told in text, told
    grid = " ".join(text.split())
    assert re.search(r"3 boîte 1 2\b", grid), "prescribed, given, left"
    assert re.search(rf"Bas de contention {words['whole']} 0 {words['whole']}", grid)
    assert re.search(rf"Préparation magistrale {words['whole']} {words['whole']} 0", grid)


@pytest.mark.parametrize("language", LOCALES)
def test_every_language_has_every_word_of_the_copy(language: str) -> None:
    words = catalogue(language)["certified_copy"]
    assert words.keys() == catalogue("fr")["certified_copy"].keys() and all(words.values())
    assert set(words["states"]) == set(SHOWN_STATES) and "{moment}" in words["printed_at"]


def test_a_long_prescription_goes_on_over_pages_with_its_code_at_the_end() -> None:
    lines = [{**LINES[0], "number": number, "text": "Très long " * 20} for number in range(1, 51)]
    pages, text = printed("fr", lines=lines, dispensed=[])
    assert pages > 2 and text.index("ABCDEF-GHJKLM-NPQR23") > text.rindex("Très long")


def test_what_is_not_known_is_a_dash_and_no_fault() -> None:
    _, text = printed("fr", patient_name=None, author_name=None, dispenser_name=None, act_date=None, valid_until=None)
    assert "None" not in text and "Pharmacie du Marché" in text


def test_a_copy_is_of_the_moment_it_is_printed_at() -> None:
    _, text = printed("de")
    assert re.search(r"Stand: \d\d\.\d\d\.\d{4} \d\d:\d\d", text)
