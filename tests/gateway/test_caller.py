"""Who is calling: what a request's headers become, and which tokens open nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from gateway import caller
from services.refusals import InvalidInput, Unauthenticated
from services.settings import load
from services.tokens import AUDIENCE, ISSUER
from tests.gateway.conftest import ACCOUNT, RECORD, Signer, in_minutes
from tests.gateway.test_errors import problem

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_traceparent_keeps_its_trace_and_gets_a_new_span() -> None:
    made = caller.child_of(f"00-{TRACE}-{SPAN}-01").split("-")
    assert made[0] == "00" and made[1] == TRACE and made[2] != SPAN and made[3] == "01"


@pytest.mark.parametrize(
    "given_parent",
    [None, "", "nonsense", f"01-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01"],
)
def test_without_a_valid_traceparent_a_trace_begins(given_parent: str | None) -> None:
    made = caller.child_of(given_parent).split("-")
    assert len(made[1]) == 32 and made[1] != TRACE and int(made[1], 16)


@pytest.mark.parametrize(
    ("accepted", "locale"),
    [
        ("", "fr"),
        ("de", "de"),
        ("de-AT,en;q=0.5", "de"),
        ("lb", "lb"),
        ("lu", "lb"),
        ("en;q=0.2, pt;q=0.9", "pt"),
        ("ja", "fr"),
        ("*", "fr"),
        (";;;,,", "fr"),
    ],
)
def test_the_language_is_the_best_of_our_five(accepted: str, locale: str) -> None:
    assert caller.locale_of(accepted) == locale


@given(st.text(max_size=300))
def test_any_language_header_gives_one_of_our_five(accepted: str) -> None:
    assert caller.locale_of(accepted) in caller.LOCALES


@given(st.text(max_size=200))
def test_a_software_name_is_cut_to_harmless_characters(agent: str) -> None:
    name = caller.software_of(agent)
    assert name is None or (len(name) <= 64 and name.isascii() and not set(name) & set("<>\"'\n\r\\{}"))


def test_software_may_name_itself(app: Flask) -> None:
    with app.test_request_context(headers={"X-Software": "praxis/4.2", "User-Agent": "Mozilla/5.0"}):
        assert caller.begin().software == "praxis/4.2"
    with app.test_request_context(headers={"User-Agent": "Mozilla/5.0"}):
        assert caller.begin().software == "Mozilla/5.0"


def test_a_forwarded_address_counts_from_the_trusted_proxy_only(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    with app.test_request_context(headers=forwarded, environ_base={"REMOTE_ADDR": "10.0.0.1"}):
        assert caller.begin().address == "10.0.0.1"
        settings = replace(load(), trusted_proxy="10.0.0.1")
        monkeypatch.setattr(caller, "load", lambda: settings)
        assert caller.begin().address == "198.51.100.7"
        settings = replace(load(), trusted_proxy="10.0.0.2")
        assert caller.begin().address == "10.0.0.1"


def test_the_deadline_is_that_of_the_settings(app: Flask) -> None:
    with app.test_request_context():
        left = caller.begin().deadline - time.time()
        assert 0 < left <= load().rpc_timeout


@pytest.mark.parametrize("key", ["a", "x" * 128, "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"])
def test_an_idempotency_key_travels_in_the_context(app: Flask, key: str) -> None:
    with app.test_request_context(headers={"Idempotency-Key": key}):
        caller.begin()
        caller.with_idempotency_key()
        assert g.context.idempotency_key == key


@pytest.mark.parametrize("key", ["", "with space", "x" * 129, "é"])
def test_an_idempotency_key_that_is_none_is_refused(app: Flask, key: str) -> None:
    with app.test_request_context(headers={"Idempotency-Key": key}), pytest.raises(InvalidInput):
        caller.begin()
        caller.with_idempotency_key()


def test_a_genuine_token_makes_a_caller(app: Flask, signer: Signer) -> None:
    with app.test_request_context(headers=signer.header()):
        caller.begin()
        made = caller.authenticate()
        assert made.account_id == ACCOUNT and made.capacity == "patient" and made.session_id == RECORD
        assert made.context.token and caller.who() is made


def hmac_token(signer: Signer) -> str:
    """A token whose maker knows only the public key and says it is a shared secret."""
    secret = OctKey.import_key(signer.key.as_dict(private=False)["x"])
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": ACCOUNT, "sid": RECORD, "cap": "agent", "exp": in_minutes(10)}
    return jwt.encode({"alg": "HS256", "kid": signer.kid}, claims, secret, algorithms=["HS256"])


def headers(signer: Signer, fault: str) -> dict[str, str]:
    stranger: Any = OKPKey.generate_key("Ed25519", {"kid": signer.kid})
    faults = {
        "missing": {},
        "empty": {"Authorization": "Bearer "},
        "basic": {"Authorization": "Basic YTpi"},
        "garbage": {"Authorization": "Bearer x.y.z"},
        "forged": {"Authorization": f"Bearer {signer.token(key=stranger)}"},
        "expired": signer.header(exp=in_minutes(-1)),
        "other issuer": signer.header(iss="somebody"),
        "other audience": signer.header(aud="somebody"),
        "no audience": signer.header(aud=None),
        "many audiences": signer.header(aud=[AUDIENCE, "somebody"]),
        "another kind": signer.header(_typ="at+jwt"),
        "software without a scope": signer.header(cli=ACCOUNT),
        "a scope of nobody's": signer.header(scope="system/Patient.rs"),
        "no session": signer.header(sid=None),
        "unsigned": {"Authorization": "Bearer eyJhbGciOiJub25lIiwia2lkIjoidGVzdC1rZXkifQ.e30."},
        "unknown key": {"Authorization": f"Bearer {Signer().token()}"},
        "verified with the public key": {"Authorization": f"Bearer {hmac_token(signer)}"},
    }
    return faults[fault]


@pytest.mark.parametrize(
    "fault",
    [
        "missing", "empty", "basic", "garbage", "forged", "expired", "other issuer", "other audience", "no audience",
        "many audiences", "another kind", "software without a scope", "a scope of nobody's", "no session", "unsigned",
        "unknown key", "verified with the public key",
    ],
)
def test_a_token_that_is_not_genuine_opens_nothing(http: FlaskClient, signer: Signer, fault: str) -> None:
    answer = http.get("/api/v1/sessions/current", headers=headers(signer, fault))
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_token_is_asked_for_before_the_body_is_looked_at(http: FlaskClient) -> None:
    problem(http.post("/api/v1/patients/searches", data=b"{", content_type="text/plain"), 401, "unauthenticated")


def test_a_genuine_token_reaches_the_bus(http: FlaskClient, bearer: dict[str, str]) -> None:
    problem(http.get(f"/api/v1/records/{RECORD}", headers=bearer), 503, "unavailable")


def test_forged_key_ids_do_not_become_a_flood_of_questions(app: Flask, signer: Signer) -> None:
    with app.test_request_context():
        caller.begin()
        began = time.monotonic()
        for number in range(100):
            assert caller._keys.find(f"forged-{number}") is None
        assert time.monotonic() - began < 1, "each forged key was asked for"


def test_a_bearer_of_a_public_operation_is_not_looked_at(http: FlaskClient) -> None:
    assert http.get("/api/v1/help", headers={"Authorization": "Bearer nonsense"}).status_code == 200


def test_without_a_token_nobody_is_a_caller(app: Flask) -> None:
    with app.test_request_context(), pytest.raises(Unauthenticated):
        caller.begin()
        caller.authenticate()


def test_a_question_asked_while_the_answer_is_on_its_way_has_its_asker_and_a_deadline_of_its_own(
    app: Flask, signer: Signer
) -> None:  # fmt: skip
    def question(about: str) -> tuple[str, str, str, float]:
        who = caller.who()
        return about, g.caller.account_id, who.context.token or "", who.context.deadline

    with app.test_request_context(headers=signer.header()):
        caller.begin()
        caller.authenticate()
        token, first = g.context.token, g.context.deadline
        asked = caller.later(question)
    with pytest.raises(RuntimeError, match="context"):
        question("x")  # the request is over
    time.sleep(0.01)
    about, account_id, spoken, deadline = asked("x")
    assert (about, account_id, spoken) == ("x", ACCOUNT, token) and deadline > first
