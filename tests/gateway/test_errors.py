"""Every "no" over HTTP: one table, five languages, one form; never a stack trace, never a page of HTML."""

from __future__ import annotations

import importlib
import io
import json
import re
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.exceptions import BadGateway

from gateway import caller, errors
from gateway.app import create_app
from services.directory.rules_professionals import require_search
from services.refusals import Refusal
from services.sealing import BytesTampered
from tests.gateway.conftest import RECORD

SERVICES = ("identity", "directory", "dossier", "documents", "audit", "notifications")
LOCALES = caller.LOCALES
BODY = {"Content-Type": "application/json"}


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.data
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = answer.get_json(force=True)
    assert document["type"] == f"urn:dsp:problem:{code}"
    assert document["status"] == status
    assert document["title"] and document["detail"]
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert "…" not in document["detail"], "a value of the detail is missing"
    return document


def refusals() -> list[type[Refusal]]:
    for service in SERVICES:
        importlib.import_module(f"services.{service}.contract")
    return [kind for kind in Refusal.__subclasses__() if kind.__module__.startswith("services.")]


@pytest.mark.parametrize("kind", refusals(), ids=lambda kind: kind.__name__)
def test_every_refusal_of_the_house_has_a_status(kind: type[Refusal]) -> None:
    assert kind.code in errors.STATUS


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("code", errors.STATUS)
def test_every_code_has_its_words_in_every_language(code: str, locale: str) -> None:
    found = errors.catalogue(locale)["problems"][code]
    places = re.findall(r"\{(\w+)\}", found["detail"])
    assert found["title"] and found["detail"]
    assert places == re.findall(r"\{(\w+)\}", errors.catalogue("fr")["problems"][code]["detail"])


@pytest.mark.parametrize("locale", LOCALES)
def test_a_catalogue_holds_no_code_that_is_not_in_the_table(locale: str) -> None:
    catalogue = errors.catalogue(locale)
    assert set(catalogue["problems"]) == set(errors.STATUS)
    assert set(catalogue["messages"]) == set(errors.catalogue("fr")["messages"])
    assert set(catalogue["help"]) == {"hours", "text", "topics"}


def test_titles_follow_the_language(http: FlaskClient) -> None:
    answers = {each: http.get("/nowhere", headers={"Accept-Language": each}) for each in LOCALES}
    assert len({answer.get_json(force=True)["title"] for answer in answers.values()}) == 5
    assert all(answer.headers["Content-Language"] == each for each, answer in answers.items())


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/nowhere", "/api/v1/records/123", "/api/v1/documents/x/content"])
def test_an_address_that_does_not_exist_is_a_problem(http: FlaskClient, path: str) -> None:
    problem(http.get(path), 404, "not_found")


def test_a_method_that_is_not_known_names_those_that_are(http: FlaskClient) -> None:
    answer = http.put("/api/v1/sessions", json={})
    problem(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("data", [b"{", b"[]", b'"text"', b"null", b"", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_a_bad_request(http: FlaskClient, data: bytes) -> None:
    problem(http.post("/api/v1/sessions", data=data, headers=BODY), 400, "invalid_json")


@pytest.mark.parametrize(
    ("response", "refusal"),
    [
        ('{"\\ud800": 1}', (422, "invalid_input")),
        ('{"\\u0000": 1}', (422, "invalid_input")),
        ('{"a": [{"b": "\\udfff"}]}', (422, "invalid_input")),
        ("[" * 400 + "]" * 400, (400, "invalid_json")),
    ],
)
def test_what_no_receiver_can_take_is_refused_however_deep_it_lies(
    http: FlaskClient, response: str, refusal: tuple[int, str]
) -> None:
    data = f'{{"ceremony_id": "{uuid4()}", "credential": {{"response": {response}}}}}'
    problem(http.post("/api/v1/sessions/passkey", data=data, headers=BODY), *refusal)


def test_a_sender_that_leaves_in_the_middle_of_a_body_is_no_mistake_of_ours(http: FlaskClient) -> None:
    class Gone(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ConnectionResetError

    answer = http.post("/api/v1/sessions", input_stream=Gone(), content_length=50, content_type="application/json")
    problem(answer, 400, "invalid_json")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_wrong_content_type_is_told_the_right_one(http: FlaskClient, kind: str) -> None:
    answer = http.post("/api/v1/sessions", data=b"{}", content_type=kind)
    assert problem(answer, 415, "unsupported_media_type")["allowed"] == ["application/json"]


def test_a_body_above_a_mebibyte_is_too_large(http: FlaskClient) -> None:
    data = json.dumps({"password": "x" * (1024 * 1024)}).encode()
    assert problem(http.post("/api/v1/sessions", data=data, headers=BODY), 413, "body_too_large")["max_size"]


def test_every_wrong_member_is_named_by_pointer_code_and_words(http: FlaskClient) -> None:
    answer = http.post(
        "/api/v1/sessions", json={"matricule": "12", "channel": "pigeon", "more": 1}, headers={"Accept-Language": "en"}
    )
    found = problem(answer, 422, "invalid_input")["errors"]
    assert {(error["pointer"], error["code"]) for error in found} == {
        ("/matricule", "matricule"),
        ("/password", "required"),
        ("/channel", "choice"),
        ("/more", "unknown_member"),
    }
    assert all(error["message"] for error in found)


def test_what_was_typed_is_never_repeated(http: FlaskClient) -> None:
    answer = http.post("/api/v1/sessions", json={"matricule": "not-a-matricule-4711", "password": 4711})
    assert "4711" not in answer.text.replace(answer.headers["X-Request-Id"], "")  # where chance may write it


@pytest.mark.parametrize("name", ["more", "\ud800", "a/b~\udfff", "x" * 100_000])
def test_a_member_nobody_knows_is_named_whatever_its_name(http: FlaskClient, name: str) -> None:
    data = json.dumps({"matricule": "1990010112347", "password": "lune", name: 1})
    document = problem(http.post("/api/v1/sessions", data=data, headers=BODY), 422, "invalid_input")
    assert [error["code"] for error in document["errors"]] == ["unknown_member"]


@pytest.mark.parametrize("value", [7, None, ["a"], {"a": 1}, "", "a\0b", "\ud800", True])
def test_a_text_that_is_none_is_refused(http: FlaskClient, value: Any) -> None:
    data = json.dumps({"matricule": "1990010112347", "password": value})
    problem(http.post("/api/v1/sessions", data=data, headers=BODY), 422, "invalid_input")


def test_a_wrong_query_is_named(http: FlaskClient, bearer: dict[str, str]) -> None:
    answer = http.get(f"/api/v1/records/{RECORD}/documents?limit=100000", headers=bearer)
    assert problem(answer, 422, "invalid_input")["errors"][0]["pointer"] == "/limit"
    problem(http.get("/api/v1/professionals?q=ab", headers=bearer), 422, "invalid_input")


@pytest.mark.parametrize("path", ["professionals", "organisations"])
def test_a_search_that_the_directory_refuses_is_pointed_at_by_the_name_in_the_url(
    http: FlaskClient, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def ask(_service: str, _method: str, query: str, limit: int) -> dict[str, Any]:
        require_search(query, limit)
        return {path: [], "next_cursor": None}

    monkeypatch.setattr(f"gateway.resources.{path}.ask", ask)
    document = problem(http.get(f"/api/v1/{path}?q=%25%25%25", headers=bearer), 422, "invalid_input")
    assert [(error["pointer"], error["code"]) for error in document["errors"]] == [("/q", "too_short")]
    assert http.get(f"/api/v1/{path}?q=sch", headers=bearer).get_json() == {path: [], "next_cursor": None}


def test_the_bus_out_of_reach_is_unavailable_with_a_time_to_come_back(http: FlaskClient) -> None:
    answer = http.post("/api/v1/sessions", json={"matricule": "1990010112347", "password": "quatre chevaux"})
    problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.fixture(scope="module")
def broken() -> FlaskClient:
    """A gateway with views that fail in every way."""
    app: Flask = create_app()
    unknown = Refusal(secret="4711")
    unknown.code = "never_heard_of"  # type: ignore[misc]
    ways: dict[str, Exception] = {
        "error": ValueError("secret 4711"),
        "http": BadGateway("secret 4711"),
        "unknown": unknown,
        "bytes": BytesTampered("a segment"),
        "wait": errors.refused("too_many_tries", retry_after=61.5),
    }

    def fail(way: str) -> Response:
        raise ways[way]

    app.add_url_rule("/api/v1/fail/<way>", "fail", fail)
    return app.test_client()


@pytest.mark.parametrize("way", ["error", "http", "unknown"])
def test_what_fails_on_our_side_tells_nothing(broken: FlaskClient, way: str) -> None:
    answer = broken.get(f"/api/v1/fail/{way}")
    problem(answer, 500, "internal")
    said = answer.data.replace(answer.headers["X-Request-Id"].encode(), b"")  # where chance may write it
    assert b"4711" not in said and b"Traceback" not in answer.data and b"never_heard_of" not in answer.data


def test_damaged_bytes_are_named_as_such(broken: FlaskClient) -> None:
    problem(broken.get("/api/v1/fail/bytes"), 500, "content_damaged")


def test_a_time_to_wait_stands_in_header_and_text(broken: FlaskClient) -> None:
    answer = broken.get("/api/v1/fail/wait")
    assert "61" in problem(answer, 429, "too_many_tries")["detail"]
    assert answer.headers["Retry-After"] == "62"


def test_every_answer_carries_the_security_headers(http: FlaskClient) -> None:
    for path in ("/health/live", "/api/v1/help", "/nowhere", "/api/v1/docs", "/metrics"):
        headers = http.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Request-Id"]
    assert "RateLimit-Remaining" in http.get("/api/v1/help").headers


def test_help_is_open_to_everybody_in_their_language(http: FlaskClient) -> None:
    assert http.get("/api/v1/help", headers={"Accept-Language": "pt-PT,pt;q=0.9"}).get_json()["language"] == "pt"
    assert http.get("/api/v1/help", headers={"Accept-Language": "ja"}).get_json()["language"] == "fr"


@pytest.mark.parametrize("length", [100, 3_000_000])
def test_a_deposit_with_the_bus_out_of_reach_is_unavailable(
    http: FlaskClient, bearer: dict[str, str], length: int
) -> None:
    headers = bearer | {"Content-Type": "application/pdf"}
    problem(http.put(f"/api/v1/uploads/{RECORD}", data=b"x" * length, headers=headers), 503, "unavailable")


@pytest.mark.parametrize("kind", ["application/zip", "text/html", "multipart/form-data"])
def test_an_upload_of_a_kind_no_document_has_is_told_the_kinds(
    http: FlaskClient, bearer: dict[str, str], kind: str
) -> None:
    answer = http.put(f"/api/v1/uploads/{RECORD}", data=b"x", headers=bearer | {"Content-Type": kind})
    assert "application/pdf" in problem(answer, 415, "unsupported_media_type")["allowed"]


def test_a_deposit_is_checked_part_by_part(http: FlaskClient, bearer: dict[str, str]) -> None:
    path = f"/api/v1/records/{RECORD}/documents"
    problem(http.post(path, json={}, headers=bearer), 415, "unsupported_media_type")
    form = {"Content-Type": "multipart/form-data; boundary=b"} | bearer
    problem(http.post(path, data=b"no parts", headers=form), 400, "upload_truncated")
    for metadata, status, code in ((b"{", 400, "invalid_json"), (b"{}", 422, "invalid_input")):
        body = b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n' + metadata + b"\r\n--b--\r\n"
        problem(http.post(path, data=body, headers=form), status, code)


def test_an_answer_without_a_body_names_no_kind_of_body(http: FlaskClient) -> None:
    answer = http.options("/api/v1/sessions")
    assert answer.data == b"" and "Content-Type" not in answer.headers
