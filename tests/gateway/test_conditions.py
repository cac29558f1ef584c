"""The general conditions: everybody may read them, in five languages, as text and as a page to keep."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pypdf import PdfReader

from gateway import general_conditions
from services.identity.contract import CONDITIONS_VERSION, LANGUAGES

API = "/api/v1/conditions"


def get(app: Any, path: str, language: str = "fr") -> Any:
    return app.test_client().get(f"{API}/{path}", headers={"Accept-Language": language})


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_conditions_in_force_exist_in_every_language_as_text_and_as_pdf(app: Any, language: str) -> None:
    told = get(app, CONDITIONS_VERSION, language).get_json()
    assert (told["version"], told["language"]) == (CONDITIONS_VERSION, language)
    assert get(app, f"{CONDITIONS_VERSION}?language={language}", "fr").get_json() == told
    answer = get(app, f"{CONDITIONS_VERSION}.pdf?language={language}")
    assert answer.status_code == 200 and answer.content_type == "application/pdf"
    document = PdfReader(io.BytesIO(answer.data))
    printed = " ".join(page.extract_text() for page in document.pages)
    words = [word for word in told["text"].split() if len(word) > 3]
    missing = [word for word in words if word not in printed]
    assert len(missing) < len(words) / 100, f"glyphs or lines are missing: {missing[:5]}"
    assert all(CONDITIONS_VERSION in page.extract_text() for page in document.pages)


def test_each_language_says_all_ten_points_in_words_of_its_own() -> None:
    texts = {language: general_conditions.text(CONDITIONS_VERSION, language) or "" for language in LANGUAGES}
    assert len(set(texts.values())) == len(LANGUAGES)
    for language, text in texts.items():
        points = [line.partition(".")[0] for line in text.splitlines() if line[:1].isdigit()]
        assert points == [str(number) for number in range(1, 11)], language
        assert "2016/679" in text and "112" in text and "{" not in text


def test_the_version_in_force_is_found_without_knowing_it(app: Any) -> None:
    assert get(app, "current").get_json() == get(app, CONDITIONS_VERSION).get_json()
    assert get(app, "current.pdf").data == get(app, f"{CONDITIONS_VERSION}.pdf").data


@pytest.mark.parametrize("version", ["2019-01", "..", "%2e%2e", "2026-11%2ffr.txt", "2026-11.txt", "2026-11.pdf.pdf"])
def test_there_are_no_other_versions(app: Any, version: str) -> None:
    for path in (version, f"{version}.pdf"):
        answer = get(app, path)
        assert answer.status_code == 404 and answer.content_type == "application/problem+json", path


def test_a_language_we_do_not_write_is_refused(app: Any) -> None:
    answer = get(app, f"{CONDITIONS_VERSION}?language=es")
    assert answer.status_code == 422 and answer.get_json()["errors"][0]["pointer"] == "/language"
    assert get(app, f"{CONDITIONS_VERSION}?language=de").status_code == 200
