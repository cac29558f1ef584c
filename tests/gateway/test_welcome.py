"""The bare address greets whoever follows the link of a letter, in five languages and without anything to run."""

from __future__ import annotations

import pytest
from flask import Flask

from gateway.resources import help as help_page
from services.settings import Settings


@pytest.mark.parametrize(
    ("language", "word"),
    [("fr", "partagé"), ("lb", "Fleegedossier"), ("pt", "partilhado"), ("en", "Shared"), ("de", "Akte")],
)
def test_the_front_page_speaks_the_visitors_language(app: Flask, language: str, word: str) -> None:
    answer = app.test_client().get("/", headers={"Accept-Language": language})
    assert answer.status_code == 200 and answer.content_type.startswith("text/html")
    assert word in answer.text and f'lang="{language}"' in answer.text
    assert answer.headers["Content-Language"] == language


def test_the_front_page_runs_nothing_and_names_the_way_to_help(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(help_page, "load", lambda: Settings(help_mail="aide@example.lu", help_phone="+352 <0>"))
    answer = app.test_client().get("/")
    assert "<script" not in answer.text and "script-src" not in answer.headers["Content-Security-Policy"]
    assert all(word in answer.text for word in ("/api/v1/docs", "aide@example.lu", "+352 &lt;0&gt;", "lundi"))


def test_only_the_bare_address_is_a_page(app: Flask) -> None:
    answer = app.test_client().get("/anything")
    assert answer.status_code == 404 and answer.content_type == "application/problem+json"
