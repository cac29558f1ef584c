"""The pure decisions about LuxTrust products and passkeys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.identity import rules_factors as rules
from services.identity.ports.codes import IdentityKey
from services.refusals import InvalidInput

BEGAN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KEY = IdentityKey(bytes(range(32)))


@pytest.mark.parametrize(("amr", "product"), [
    (["sc", "pin"], "smartcard"), (["pin", "hwk"], "token"), (["swk"], "mobile"), (["pwd"], "luxtrust"),
    ([], "luxtrust"), ([7, None], "luxtrust"),
])  # fmt: skip
def test_a_product_is_named_by_what_the_issuer_says_of_its_means(amr: list[Any], product: str) -> None:
    assert rules.product_of(amr) == product


@pytest.mark.parametrize(("seconds", "believed"), [(0, True), (30, True), (-59, True), (-61, False), (-86400, False)])
def test_a_pin_counts_when_it_was_typed_on_this_journey(seconds: int, believed: bool) -> None:
    assert rules.was_proved_for_this((BEGAN + timedelta(seconds=seconds)).timestamp(), BEGAN) is believed


@pytest.mark.parametrize("told", [None, "1795251600", True, [], {}])
def test_a_pin_without_a_date_does_not_count(told: object) -> None:
    assert not rules.was_proved_for_this(told, BEGAN)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a", "a"), (" Tablette ", "Tablette"), ("  mon   téléphone ", "mon téléphone"), ("x" * 64, "x" * 64),
     (" " + "x" * 64 + " ", "x" * 64), ("Téléphone d'Anne 📱", "Téléphone d'Anne 📱")],
)  # fmt: skip
def test_a_device_has_a_name_that_can_be_read(name: str, kept: str) -> None:
    assert rules.require_device_name(name) == kept


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "length"), ("  ", "length"), ("x" * 65, "length"), (None, "length"), (7, "length"), ("a\nb", "characters"),
     ("a\r\nb", "characters"), ("a\tb", "characters"), ("a\x00", "characters"), ("a\u202eb", "characters")],
)  # fmt: skip
def test_a_device_has_no_other_name(name: object, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        rules.require_device_name(name)
    assert refusal.value.detail == {"errors": [{"pointer": "/name", "message": said}]}


def test_a_credential_is_an_object() -> None:
    assert rules.require_credential({"id": "x"}) == {"id": "x"}
    for other in (None, [], "x"):
        with pytest.raises(InvalidInput):
            rules.require_credential(other)


# --- what follows from identity's key ---------------------------------------------------------------------------------


def test_a_state_names_its_journey_and_no_other_does() -> None:
    flow, other = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01", "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"
    state = KEY.luxtrust_state(flow)
    assert KEY.luxtrust_flow(state) == flow
    changed = state[:-1] + ("A" if state[-1] != "A" else "B")
    for wrong in (changed, state.replace(flow, other), flow, f"{flow}.", "", None, 7, "é", state + "x" * 100):
        assert KEY.luxtrust_flow(wrong) is None
    assert IdentityKey(bytes(32)).luxtrust_flow(state) is None, "another platform's"


def test_what_follows_from_an_id_differs_by_purpose_and_by_id() -> None:
    flow, other = "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e01", "01935d0e-4c3b-7d52-9a43-1f0c2b6a7e02"
    made = [str(make(one)) for make in (KEY.luxtrust_nonce, KEY.luxtrust_verifier, KEY.passkey_challenge,
                                        KEY.passkey_owner) for one in (flow, other)]  # fmt: skip
    assert len(set(made)) == len(made)
    assert len(KEY.luxtrust_verifier(flow)) == 43  # RFC 7636 4.1
    assert KEY.luxtrust_subject("a", "bc") != KEY.luxtrust_subject("ab", "c")
