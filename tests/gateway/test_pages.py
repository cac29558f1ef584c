"""The pages around a shown document: whatever a file's bytes, nothing of it acts, and their policy lets nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import pages
from gateway.caller import LOCALES
from gateway.errors import catalogue
from services.directory.contract import PROFESSIONS

HEAD = {
    "title": '"><script>alert(1)</script>', "type_name": "Rapport", "act_date": "2026-11-20", "number": 2,
    "deposited_at": "2026-11-21T09:30:00.000000Z", "media_type": "application/pdf",
}  # fmt: skip


def shown(blocks: list[bytes]) -> str:
    return b"".join(pages.escaped(blocks)).decode()


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 7))
def test_a_text_is_shown_as_it_is_however_its_bytes_are_cut(text: str, size: int) -> None:
    data = text.encode()
    page = shown([data[at : at + size] for at in range(0, len(data), size)])
    inside = page.removeprefix("<pre>").removesuffix("</pre>")
    assert "<" not in inside and inside == escape(text.removeprefix("\ufeff"))


@given(st.binary(max_size=60), st.integers(1, 5))
def test_bytes_that_are_no_utf_8_are_shown_too_and_nothing_of_them_acts(data: bytes, size: int) -> None:
    page = shown([data[at : at + size] for at in range(0, len(data), size)])
    assert re.fullmatch("<pre>[^<>]*</pre>", page)


def test_latin_1_is_read_as_such() -> None:
    assert shown([b"l'\xe9t\xe9 <b>"]) == "<pre>l&#x27;été &lt;b&gt;</pre>"
    assert shown([b"\xe9"]) == "<pre>é</pre>"


@pytest.mark.parametrize("locale", LOCALES)
def test_titles_and_names_are_words_and_never_markup(locale: str) -> None:
    head = pages.print_head(
        HEAD, locale, author="<b>Dr</b>", printed_by="<i>x</i>", at=datetime(2026, 11, 21, 14, 5, tzinfo=UTC)
    )
    page = pages.opening(HEAD, locale, head=head) + pages.leading(HEAD, locale, '/x"y', "/p")
    assert "<script" not in page and "<b>Dr" not in page and "<i>x" not in page and '"y' not in page
    assert "2026-11-21 14:05 UTC" in page and "2026-11-20" in page and f'lang="{locale}"' in page


def test_the_policies_let_no_script_run_and_nothing_foreign_in() -> None:
    for policy in (pages.CLOSED, pages.LEADING):
        assert "default-src 'none'" in policy and "script" not in policy and "unsafe" not in policy
        assert "base-uri 'none'" in policy and "form-action 'none'" in policy and "http" not in policy
    assert pages.CLOSED.startswith("sandbox;") and "img-src data:" in pages.CLOSED


def test_every_language_names_every_profession() -> None:
    for locale in LOCALES:
        words = catalogue(locale)["document_page"]
        assert set(words) == set(catalogue("fr")["document_page"]) and set(words["professions"]) == set(PROFESSIONS)
    assert pages.author_line("WEBER Jean", "nurse", "de") == "WEBER Jean, Krankenpfleger"
    assert pages.author_line(None, None, "en") == "Holder or their representative"
