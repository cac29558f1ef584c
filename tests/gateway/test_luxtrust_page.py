"""The page of the way back from LuxTrust: in the visitor's language, without a script, closed to everything."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway.caller import LOCALES
from gateway.errors import catalogue
from gateway.resources import luxtrust
from services.db import new_id
from services.identity.contract import LuxTrustRefused, LuxTrustTaken
from services.refusals import Refusal, Unavailable

FLOW = new_id()


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What identity answers, last first, and what it was asked: nobody is on this gateway's bus."""
    answers: list[Any] = []

    def ask(_service: str, _method: str, **asked: Any) -> Any:
        answer = answers.pop()
        answers.append(asked)
        if isinstance(answer, Refusal):
            raise answer
        return answer

    monkeypatch.setattr(luxtrust, "ask", ask)
    return answers


def done(outcome: str = "done") -> dict[str, str]:
    return {"flow_id": FLOW, "purpose": "log_in", "outcome": outcome}


@pytest.mark.parametrize("language", LOCALES)
def test_every_outcome_is_told_in_the_visitors_language(http: FlaskClient, identity: Any, language: str) -> None:
    words = catalogue(language)["luxtrust"]
    outcomes = (
        (done(), 200, "done"), (done("cancelled"), 200, "cancelled"), (LuxTrustRefused(), 400, "refused"),
        (LuxTrustTaken(), 409, "luxtrust_taken"), (Unavailable(service="luxtrust"), 503, "unavailable"),
    )  # fmt: skip
    for answer, status, word in outcomes:
        identity.append(answer)
        page = http.get("/luxtrust/callback?state=x", headers={"Accept-Language": language})
        assert page.status_code == status and page.content_type.startswith("text/html")
        assert page.headers["Content-Language"] == language
        assert escape(words[word]) in page.text and words["title"] in page.text


def test_the_page_has_no_script_and_is_kept_nowhere(http: FlaskClient, identity: Any) -> None:
    identity.append(done())
    page = http.get("/luxtrust/callback?state=x&code=secret")
    assert page.headers["Cache-Control"] == "no-store" and page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "<script" not in page.text and "secret" not in page.text and "<style" not in page.text


def test_the_cookie_of_this_journey_and_no_other_goes_with_the_question_and_is_removed(
    http: FlaskClient, identity: Any
) -> None:
    path = "/luxtrust/callback"
    http.set_cookie(f"opendsp_luxtrust_{FLOW}", "mine", path=path)
    http.set_cookie(f"opendsp_luxtrust_{new_id()}", "another", path=path)
    identity.append(done())
    page = http.get(f"{path}?state={FLOW}.mac&code=c")
    assert identity.pop() == {"binding": "mine", "state": f"{FLOW}.mac", "code": "c", "error": None}
    (removed,) = page.headers.getlist("Set-Cookie")
    assert removed.startswith(f"opendsp_luxtrust_{FLOW}=;") and "Max-Age=0" in removed and f"Path={path}" in removed


def test_whoever_sets_out_gets_a_cookie_for_the_way_back_alone(http: FlaskClient, identity: Any) -> None:
    identity.append({"flow_id": FLOW, "authorization_url": "https://x.example/", "expires_at": "t", "binding": "b",
                     "log_in_token": "l"})  # fmt: skip
    begun = http.post("/api/v1/sessions/luxtrust")
    assert begun.status_code == 201 and "binding" not in begun.get_json()
    (cookie,) = begun.headers.getlist("Set-Cookie")
    assert re.fullmatch(
        rf"opendsp_luxtrust_{FLOW}=b; Max-Age=600; HttpOnly; Path=/luxtrust/callback; SameSite=Lax",
        re.sub(r" Expires=[^;]+;", "", cookie),
    )


def test_over_tls_the_cookie_stays_on_tls(http: FlaskClient, identity: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from services.settings import load

    monkeypatch.setattr(luxtrust, "load", lambda: replace(load(), public_url="https://dsp.example"))
    identity.append({"flow_id": FLOW, "binding": "b"})
    assert "; Secure;" in http.post("/api/v1/sessions/luxtrust").headers["Set-Cookie"]


def test_what_a_stranger_puts_into_the_address_is_never_shown(http: FlaskClient, identity: Any) -> None:
    identity.append(LuxTrustRefused())
    page = http.get("/luxtrust/callback", query_string={"state": "<b>x</b>", "error": "<script>alert(1)</script>"})
    assert page.status_code == 400 and "<b>" not in page.text and "alert" not in page.text


def test_a_journey_needs_the_activation_it_belongs_to(http: FlaskClient, identity: Any) -> None:
    answer = http.post(f"/api/v1/activations/{FLOW}/luxtrust")
    assert answer.status_code == 422 and answer.get_json()["errors"][0]["pointer"] == "/Activation-Token"
    identity.append({"flow_id": FLOW, "binding": "b"})
    assert http.post(f"/api/v1/activations/{FLOW}/luxtrust", headers={"Activation-Token": "t"}).status_code == 201
    assert identity.pop() == {"activation_id": FLOW, "activation_token": "t"}
