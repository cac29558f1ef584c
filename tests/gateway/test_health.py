"""Alive without anybody, ready only with everybody, and figures without a person in them."""

from __future__ import annotations

import time

from flask.testing import FlaskClient


def test_the_gateway_is_alive_without_anybody(http: FlaskClient) -> None:
    assert http.get("/health/live").get_json() == {"status": "ok"}


def test_it_is_not_ready_while_nobody_answers_and_says_who(http: FlaskClient) -> None:
    began = time.monotonic()
    answer = http.get("/health/ready")
    assert answer.status_code == 503 and time.monotonic() - began < 5
    assert set(answer.get_json()["dependencies"]) == {
        "identity", "directory", "dossier", "documents", "audit", "notifications", "object_store",
    }  # fmt: skip


def test_metrics_count_by_template_never_by_id(http: FlaskClient) -> None:
    http.get("/api/v1/records/01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02")
    text = http.get("/metrics").text
    assert 'route="/api/v1/records/<uuid:record_id>"' in text and "01935d0e" not in text
    assert "worker=" in text and "opendsp_resident_bytes" in text
