"""Alive without anybody, ready only with everybody, and figures without a person in them."""

from __future__ import annotations

import time

from flask import Flask
from flask.testing import FlaskClient

from gateway import caller, errors, limits
from gateway.limits import FloodGuard


def test_the_gateway_is_alive_without_anybody(http: FlaskClient) -> None:
    assert http.get("/health/live").get_json() == {"status": "ok"}


def test_it_is_not_ready_while_nobody_answers_and_says_who(http: FlaskClient) -> None:
    began = time.monotonic()
    answer = http.get("/health/ready")
    assert answer.status_code == 503 and time.monotonic() - began < 5
    assert set(answer.get_json()["dependencies"]) == {
        "identity", "directory", "dossier", "documents", "audit", "notifications", "object_store", "events",
    }  # fmt: skip


def test_metrics_count_by_template_never_by_id(http: FlaskClient) -> None:
    http.get("/api/v1/records/01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02")
    text = http.get("/metrics").text
    assert 'route="/api/v1/records/<uuid:record_id>"' in text and "01935d0e" not in text
    assert "worker=" in text and "opendsp_resident_bytes" in text


def test_a_method_that_somebody_made_up_gets_no_figure_of_its_own(http: FlaskClient) -> None:
    http.open("/health/live", method="MADEUP")
    http.open("/health/live", method="DELETE")
    text = http.get("/metrics").text
    assert "MADEUP" not in text and 'method="other"' in text and 'method="DELETE"' in text


def test_the_flood_guard_counts_per_sender_and_second() -> None:
    guard = FloodGuard(3)
    assert [guard.left("a", 10.1) for _ in range(5)] == [2, 1, 0, -1, -2]
    assert guard.left("b", 10.9) == 2
    assert guard.left("a", 11.0) == 2


def test_a_flood_is_slowed_by_a_problem() -> None:
    app = Flask(__name__)
    errors.register(app)
    app.before_request(lambda: (caller.begin(), None)[1])
    limits.register(app, per_second=5)
    app.add_url_rule("/", "root", lambda: "fine")
    http = app.test_client()
    answers = [http.get("/") for _ in range(40)]
    slowed = [answer for answer in answers if answer.status_code == 429]
    assert slowed and answers[0].status_code == 200
    assert slowed[0].get_json(force=True)["type"] == "urn:dsp:problem:too_many_requests"
    assert slowed[0].headers["Retry-After"] == "1" and slowed[0].headers["RateLimit-Remaining"] == "0"
