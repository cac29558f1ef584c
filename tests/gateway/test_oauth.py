"""OAuth at the gateway: which forms are read at all, how a refusal looks, and where everything is said to be."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from gateway import caller
from gateway.forms import FORM, LIMIT
from gateway.resources import oauth
from services.identity.contract import SCOPES, TokenRefused
from services.settings import load
from tests.gateway.test_errors import problem

ENDPOINTS = ("token", "introspect", "revoke")
ISSUER = load().public_url.rstrip("/")


def post(http: FlaskClient, data: Any, endpoint: str = "token", **more: Any) -> Any:
    return http.post(f"/api/v1/oauth/{endpoint}", data=data, content_type=more.pop("content_type", FORM), **more)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "body",
    [
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"token=a&token=b",
        b"client_secret=secret-4711",
        b"a=" + "é".encode(),
        b"a=%ff%fe",
        b"&".join(b"a%d=1" % number for number in range(40)),
    ],
)
def test_a_form_that_oauth_does_not_know_is_refused_in_its_words(http: FlaskClient, endpoint: str, body: bytes) -> None:
    answer = post(http, body, endpoint)
    assert answer.status_code == 400 and answer.content_type == "application/json"
    assert answer.get_json()["error"] == "invalid_request" and answer.get_json()["error_description"]
    assert answer.headers["Cache-Control"] == "no-store" and b"4711" not in answer.data


def test_one_way_of_authentication_is_enough(http: FlaskClient) -> None:
    answer = post(http, b"grant_type=client_credentials", headers={"Authorization": "Basic YTpi"})
    assert answer.status_code == 400 and answer.get_json()["error"] == "invalid_request"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b", "text/plain", ""])
def test_a_body_of_another_kind_is_told_the_right_one(http: FlaskClient, endpoint: str, kind: str) -> None:
    answer = post(http, b"grant_type=client_credentials", endpoint, content_type=kind)
    assert problem(answer, 415, "unsupported_media_type")["allowed"] == [FORM]


def test_a_form_too_large_is_not_read(http: FlaskClient) -> None:
    assert problem(post(http, b"a=" + b"x" * LIMIT), 413, "body_too_large")["max_size"] == LIMIT


def test_a_sender_that_leaves_is_no_mistake_of_ours(http: FlaskClient) -> None:
    class Gone(io.BytesIO):
        def readinto(self, _: Any) -> int:
            raise ConnectionResetError

    answer = http.post("/api/v1/oauth/token", input_stream=Gone(b"a=b" * 20), content_type=FORM)
    problem(answer, 400, "upload_truncated")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_readable_form_reaches_the_bus(http: FlaskClient, endpoint: str) -> None:
    problem(post(http, b"grant_type=client_credentials&token=x&more=1", endpoint), 503, "unavailable")


def test_what_is_sent_on_is_what_is_known_once_and_not_empty(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(oauth, "ask", lambda _service, _method, **kwargs: asked.append(kwargs) or {})
    post(http, b"grant_type=client_credentials&scope=&on_behalf_of=a%20b&matricule=1&resource=x")
    assert asked == [{"grant_type": "client_credentials", "on_behalf_of": "a b"}]


@pytest.mark.parametrize(("error", "status"), [("invalid_client", 401), ("invalid_scope", 400), ("invalid_grant", 400)])
def test_a_refusal_of_identity_is_told_as_rfc_6749_wants_it(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch, error: str, status: int
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise TokenRefused(error=error, description="why")

    monkeypatch.setattr(oauth, "ask", refuse)
    for endpoint in ENDPOINTS:
        answer = post(http, b"a=b", endpoint)
        assert answer.status_code == status
        assert answer.get_json() == {"error": error, "error_description": "why"}
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")


PLACES = ("/.well-known/oauth-authorization-server", "/.well-known/smart-configuration",
          "/fhir/.well-known/smart-configuration")  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_the_endpoints_are_found_where_the_standards_look(http: FlaskClient, place: str) -> None:
    answer = http.get(place)
    found = answer.get_json()
    assert answer.status_code == 200 and answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert found["issuer"] == ISSUER and found["token_endpoint"] == f"{ISSUER}/api/v1/oauth/token"
    assert found["grant_types_supported"] == ["client_credentials"]
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert {"ES384", "EdDSA"} <= set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert not {"none", "HS256", "RS256"} & set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert found["scopes_supported"] == list(SCOPES)
    for name in ("token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        path = found[name].removeprefix(ISSUER)
        assert http.open(path, method="OPTIONS").headers["Allow"].count("POST"), path
    assert http.open(found["jwks_uri"].removeprefix(ISSUER), method="OPTIONS").headers["Allow"].count("GET")


def test_smart_says_what_a_backend_service_can_do(http: FlaskClient) -> None:
    first, second = (http.get(place).get_json() for place in PLACES[1:])
    assert first == second and "client-confidential-asymmetric" in first["capabilities"]


def test_software_without_the_scope_is_told_so_as_rfc_6750_wants_it(http: FlaskClient, monkeypatch: Any) -> None:
    from gateway.resources import professionals
    from services.refusals import InsufficientScope

    def refuse(*_: Any, **__: Any) -> Any:
        raise InsufficientScope(scope="system/Practitioner.rs")

    monkeypatch.setattr(professionals, "ask", refuse)
    monkeypatch.setattr(caller, "authenticate", lambda: None)
    answer = http.get("/api/v1/professionals?q=schmit")
    assert problem(answer, 403, "insufficient_scope")["scope"] == "system/Practitioner.rs"
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
