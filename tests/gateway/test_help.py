"""Help: from the settings, in the words of five languages."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.caller import LOCALES
from gateway.errors import catalogue
from gateway.opening_hours import in_words
from services.settings import Settings, load


def words(locale: str) -> dict[str, Any]:
    found: dict[str, Any] = catalogue(locale)["help"]["hours"]
    return found


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("fr", "du lundi au vendredi, de 8 h à 18 h"),
        ("lb", "Méindeg bis Freideg, 8 Auer bis 18 Auer"),
        ("pt", "segunda-feira a sexta-feira, das 8h às 18h"),
        ("en", "Monday to Friday, 8:00 to 18:00"),
        ("de", "Montag bis Freitag, 8 Uhr bis 18 Uhr"),
    ],
)
def test_the_hours_of_the_settings_are_said_in_each_language(locale: str, said: str) -> None:
    assert in_words("Mo-Fr 08:00-18:00", words(locale)) == said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("Mo-Fr 08:30-12:00; Sa 09:00-11:45", "Montag bis Freitag, 8:30 Uhr bis 12 Uhr; Samstag, 9 Uhr bis 11:45 Uhr"),
        ("Su 00:00-24:00", "Sonntag, 0 Uhr bis 24 Uhr"),
        ("nach Vereinbarung", "nach Vereinbarung"),
        ("Mo-Fr 8-18", "Mo-Fr 8-18"),
        ("", ""),
    ],
)
def test_hours_written_otherwise_are_shown_as_they_stand(setting: str, said: str) -> None:
    assert in_words(setting, words("de")) == said


@pytest.mark.parametrize("locale", LOCALES)
def test_every_topic_of_the_settings_has_words_in_every_language(locale: str) -> None:
    topics = catalogue(locale)["help"]["topics"]
    assert set(topics) == set(Settings().help_topics.split(","))
    assert all(topics.values()) and len(set(topics.values())) == len(topics)


def test_help_says_what_the_settings_say(http: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PHONE": "+352 12 34 56", "MAIL": "aide@example.lu", "HOURS": "Mo-We 09:00-12:30",
                        "TOPICS": "contact, other"}.items():  # fmt: skip
        monkeypatch.setenv(f"OPENDSP_HELP_{name}", value)
    load.cache_clear()
    try:
        found = http.get("/api/v1/help", headers={"Accept-Language": "en"}).get_json()
    finally:
        monkeypatch.undo()
        load.cache_clear()
    assert found["language"] == "en" and found["text"]
    assert (found["phone"], found["mail"]) == ("+352 12 34 56", "aide@example.lu")
    assert found["hours"] == "Monday to Wednesday, 9:00 to 12:30"
    assert found["topics"] == [
        {"topic": "contact", "label": "E-mail address or mobile phone"},
        {"topic": "other", "label": "Something else"},
    ]
