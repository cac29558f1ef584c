"""The pure decisions about business software: keys, states, scopes, purposes, what an assertion must say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity import rules_machines as rules
from services.identity.contract_machines import CLIENT_STATES, PURPOSES_OF_USE, SCOPES, TokenRefused
from services.refusals import InvalidInput

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
CLIENT = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01"
ISSUER, ENDPOINT = "https://dsp.example.lu", "https://dsp.example.lu/api/v1/oauth/token"
EDWARDS = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "kid": "one"}
P384 = {"kty": "EC", "crv": "P-384", "x": "A" * 64, "y": "B" * 64, "kid": "two"}


def codes(call: Callable[[], Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refusal:
        call()
    return [(error["pointer"], error["message"]) for error in refusal.value.detail["errors"]]


def error(call: Callable[[], Any]) -> str:
    with pytest.raises(TokenRefused) as refusal:
        call()
    return str(refusal.value.detail["error"])


# --- keys -------------------------------------------------------------------------------------------------------------


def test_public_keys_of_both_kinds_are_kept_without_what_verifies_nothing() -> None:
    given_keys = [EDWARDS | {"use": "sig", "alg": "EdDSA", "x5c": ["…"]}, P384 | {"alg": "ES384", "key_ops": []}]
    assert rules.require_jwks({"keys": given_keys, "more": 1}) == {"keys": [EDWARDS, P384]}


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
@pytest.mark.parametrize("key", [EDWARDS, P384], ids=["Ed25519", "P-384"])
def test_a_private_key_is_refused_and_not_repeated(key: dict[str, str], member: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        rules.require_jwks({"keys": [key | {member: "secret-4711"}]})
    assert "4711" not in str(refusal.value.detail)
    assert refusal.value.detail["errors"] == [{"pointer": "/jwks/keys/0", "message": "jwk_private"}]


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "r"},
        {"kty": "oct", "kid": "o"},
        P384 | {"crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        EDWARDS | {"crv": "X25519"},
        EDWARDS | {"crv": "Ed448", "x": "A" * 76},
        EDWARDS | {"x": "A" * 42},
        EDWARDS | {"x": "A" * 44},
        EDWARDS | {"x": "*" * 43},
        EDWARDS | {"x": 7},
        {name: value for name, value in P384.items() if name != "y"},
        P384 | {"y": "A" * 63},
        EDWARDS | {"use": "enc"},
        EDWARDS | {"alg": "ES384"},
        P384 | {"alg": "ES256"},
        {},
        "key",
        None,
    ],
)
def test_a_key_of_another_kind_is_refused(key: Any) -> None:
    assert codes(lambda: rules.require_jwks({"keys": [key]})) == [("/jwks/keys/0", "jwk_kind")]


@pytest.mark.parametrize("kid", [None, "", "x" * 65, 7, "é", "a\nb"])
def test_a_key_needs_an_id(kid: Any) -> None:
    assert codes(lambda: rules.require_jwks({"keys": [EDWARDS | {"kid": kid}]})) == [("/jwks/keys/0", "jwk_id")]
    assert codes(lambda: rules.require_jwks({"keys": [EDWARDS, P384 | {"kid": "one"}]})) == [("/jwks/keys/1", "jwk_id")]


@pytest.mark.parametrize("jwks", [None, [], {}, {"keys": {}}, {"keys": []}, {"keys": [EDWARDS] * 6}, "keys"])
def test_what_is_no_key_set_is_refused(jwks: Any) -> None:
    assert codes(lambda: rules.require_jwks(jwks)) == [("/jwks", "jwk_set")]


# --- registering ------------------------------------------------------------------------------------------------------


def test_names_are_tidied_and_scopes_put_in_order() -> None:
    kept = rules.require_client("  Praxis  Plus ", "4.2", "Été & Fils", [SCOPES[2], SCOPES[0], SCOPES[2]])
    assert kept == ("Praxis Plus", "4.2", "Été & Fils", [SCOPES[0], SCOPES[2]])


@pytest.mark.parametrize("text", [None, "", "   ", 7, "a\x07b", "x" * 81])
def test_every_wrong_name_is_named_at_once(text: Any) -> None:
    found = codes(lambda: rules.require_client(text, text, text, []))
    assert [pointer for pointer, _ in found] == ["/name", "/version", "/vendor", "/scopes"]


@pytest.mark.parametrize(
    "scopes", [None, [], "system/Patient.rs", ["system/Patient.cruds"], [SCOPES[0], "user/*.rs"], [7]]
)
def test_a_scope_that_is_none_of_ours_is_not_registered(scopes: Any) -> None:
    assert codes(lambda: rules.require_client("a", "b", "c", scopes)) == [("/scopes", "scope")]


HERE, ELSEWHERE = "here", "elsewhere"
KEEPERS = [
    ("agent", None, False, True),
    ("professional", HERE, True, True),
    ("professional", HERE, False, False),
    ("professional", ELSEWHERE, True, False),
    ("professional", None, True, False),
    ("patient", None, False, False),
    ("patient", HERE, True, False),
    ("machine", HERE, True, False),
]


@pytest.mark.parametrize(("capacity", "at_work", "manages", "may"), KEEPERS)
def test_managers_logged_in_there_and_the_agency_keep_an_organisations_software(
    capacity: str, at_work: str | None, manages: bool, may: bool
) -> None:
    assert rules.may_keep_software(capacity, at_work, HERE, manages) is may


# --- states -----------------------------------------------------------------------------------------------------------

ALLOWED = {
    ("requested", "tested"), ("tested", "in_production"), ("tested", "suspended"), ("in_production", "suspended"),
    ("suspended", "in_production"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), product(CLIENT_STATES, CLIENT_STATES))
def test_attestation_goes_its_way_and_no_other(before: Any, after: Any) -> None:
    assert (before in rules.states_before(after)) is ((before, after) in ALLOWED)


@pytest.mark.parametrize("state", [None, "", "revoked", 7, "TESTED"])
def test_a_word_that_is_no_state_is_refused(state: Any) -> None:
    assert codes(lambda: rules.require_state(state)) == [("/state", "choice")]


# --- scopes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "scope", "on_behalf"), product(CLIENT_STATES, SCOPES, (True, False)))
def test_a_scope_is_open_by_state_and_by_whom_it_is_for(state: Any, scope: str, on_behalf: bool) -> None:
    tested, alone = scope == "system/Practitioner.rs", scope in (
        "system/Practitioner.rs", "system/DocumentReference.c", "system/Subscription.cruds"
    )  # fmt: skip
    open_now = {"requested": False, "suspended": False, "tested": tested, "in_production": alone or on_behalf}[state]
    if open_now:
        assert rules.grant_scope(scope, SCOPES, state, on_behalf) == scope
    else:
        wrong = "invalid_scope" if state in ("tested", "in_production") else "unauthorized_client"
        assert error(lambda: rules.grant_scope(scope, SCOPES, state, on_behalf)) == wrong


@pytest.mark.parametrize("asked", ["", " ", "a", "system/Patient.rs,system/Consent.cs", "system/patient.rs", 7, []])
def test_words_that_are_no_scope_are_refused(asked: Any) -> None:
    assert error(lambda: rules.grant_scope(asked, SCOPES, "in_production", True)) == "invalid_scope"


@given(asked=st.lists(st.sampled_from(SCOPES), min_size=1), registered=st.sets(st.sampled_from(SCOPES)))
def test_nobody_is_given_more_than_was_asked_and_registered(asked: list[str], registered: set[str]) -> None:
    kept = [scope for scope in SCOPES if scope in registered]
    try:
        granted = rules.grant_scope(" ".join(asked), kept, "in_production", True).split()
    except TokenRefused:
        assert not set(asked) <= registered
    else:
        assert set(granted) == set(asked) <= registered and len(granted) == len(set(granted))


def test_without_a_wish_all_that_is_open_is_given() -> None:
    assert rules.grant_scope(None, SCOPES, "in_production", True) == " ".join(SCOPES)
    alone = "system/Practitioner.rs system/DocumentReference.c system/Subscription.cruds"
    assert rules.grant_scope(None, SCOPES, "in_production", False) == alone
    others = [scope for scope in SCOPES if scope not in alone.split()]
    assert error(lambda: rules.grant_scope(None, others, "in_production", False)) == "invalid_scope"


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", PURPOSES_OF_USE)
def test_every_purpose_of_the_table_may_be_stated(purpose: str) -> None:
    assert rules.require_purpose(purpose, True) == rules.require_purpose(purpose, False) == purpose


@pytest.mark.parametrize("purpose", ["", "treat", "CURIOSITY", 7])
def test_no_other_purpose_may(purpose: Any) -> None:
    assert error(lambda: rules.require_purpose(purpose, False)) == "invalid_request"


def test_who_acts_for_somebody_states_a_purpose() -> None:
    assert rules.require_purpose(None, False) is None
    assert error(lambda: rules.require_purpose(None, True)) == "invalid_request"


FACTS = {"licence": "valid", "profession": "physician", "establishment_ids": [HERE]}


@pytest.mark.parametrize(
    ("facts", "may"),
    [
        (FACTS, True),
        (FACTS | {"establishment_ids": [ELSEWHERE, HERE]}, True),
        (FACTS | {"establishment_ids": [ELSEWHERE]}, False),
        (FACTS | {"establishment_ids": []}, False),
        (FACTS | {"licence": "suspended"}, False),
        (FACTS | {"licence": "withdrawn"}, False),
        (FACTS | {"licence": None}, False),
        (None, False),
    ],
)
def test_software_acts_for_those_who_work_there_with_a_valid_licence(facts: Any, may: bool) -> None:
    assert rules.may_act_for(facts, HERE) is may


# --- assertions -------------------------------------------------------------------------------------------------------

CLAIMS = {"iss": CLIENT, "sub": CLIENT, "aud": ENDPOINT, "jti": "1", "exp": NOW.timestamp() + 60}


def judged(**changes: Any) -> tuple[str, datetime]:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return rules.require_claims(claims, (ISSUER, ENDPOINT), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": ISSUER},
        {"aud": [ENDPOINT]},
        {"exp": NOW.timestamp() + 300},
        {"exp": int(NOW.timestamp()) + 1},
        {"nbf": NOW.timestamp() - 5},
        {"jti": "x" * 128},
    ],
)
def test_what_an_assertion_may_say(changes: dict[str, Any]) -> None:
    jti, expires_at = judged(**changes)
    assert jti == changes.get("jti", "1")
    assert NOW < expires_at <= NOW + rules.ASSERTION_LIFETIME + rules.CLOCKS


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": [ENDPOINT, ISSUER]},
        {"aud": [[ENDPOINT]]},
        {"aud": ENDPOINT + "/"},
        {"aud": "https://elsewhere.example"},
        {"exp": None},
        {"exp": NOW.timestamp() - 6},
        {"exp": NOW.timestamp() + 306},
        {"exp": True},
        {"exp": "1795253400"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": -1},
        {"exp": 1e300},
        {"nbf": NOW.timestamp() + 6},
        {"nbf": "now"},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 129},
    ],
)
def test_what_it_may_not(changes: dict[str, Any]) -> None:
    assert error(lambda: judged(**changes)) == "invalid_client"


def test_an_assertion_is_remembered_at_least_as_long_as_it_is_good() -> None:
    for ahead in (1, 60, 300, 304):
        exp = NOW.timestamp() + ahead
        _, expires_at = judged(exp=exp)
        kept_until = expires_at + timedelta(minutes=1)  # store_machines.sweep
        with pytest.raises(TokenRefused):
            rules.require_claims(CLAIMS | {"exp": exp}, (ENDPOINT,), kept_until)


@pytest.mark.parametrize("sub", [None, 7, "", "x", CLIENT.upper(), f"{CLIENT} "])
def test_what_can_be_nobodys_name_is_known_before_the_database_is_asked(sub: Any) -> None:
    assert rules.client_named({"sub": sub}) is None
    assert rules.client_named({"sub": CLIENT}) == CLIENT
