"""Whose inbox it is, how long a ticket lasts, what a browser's keys and a stream's places look like."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications import rules_inbox as rules
from services.notifications.rules_occasions import OCCASIONS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CAPACITIES = ("patient", "professional", "agent")
ids = st.uuids().map(str)


@given(st.sampled_from(CAPACITIES), ids, st.none() | ids, st.none() | ids)
def test_nobody_reads_in_one_capacity_what_they_are_told_in_another(
    capacity: str, account: str, patient: str | None, professional: str | None
) -> None:
    made = rules.owner(capacity, account, patient, professional)
    assert made.patient_id is None or capacity == "patient"
    assert made.professional_id is None or capacity == "professional"
    assert made.account_id == account


@given(ids, ids, ids)
def test_each_capacity_of_one_account_is_an_owner_of_its_own(account: str, patient: str, professional: str) -> None:
    owners = [rules.owner(capacity, account, patient, professional) for capacity in CAPACITIES]
    assert len({one.name for one in owners}) == 3
    assert [one.reader for one in owners] == [
        ("patient", patient), ("professional", professional), ("account", account),
    ]  # fmt: skip


def test_what_agents_hear_is_shown_to_agents_alone() -> None:
    queues = {name for name, one in OCCASIONS.items() if one.audience == ("agent",)}
    deposits = {name for name, one in OCCASIONS.items() if "account" in one.audience}
    assert deposits
    for capacity in ("patient", "professional"):
        assert set(rules.owner(capacity, "a", "b", "c").occasions) == deposits
    assert set(rules.owner("agent", "a", None, None).occasions) >= deposits | queues


@given(st.integers(-(10**5), 10**7))
def test_a_ticket_never_outlives_its_token_and_never_lasts_long(left: int) -> None:
    ends = rules.ticket_ends(int(NOW.timestamp()) + left, NOW)
    assert ends <= NOW + timedelta(seconds=left) and ends <= NOW + rules.COOKIE_MOST
    assert ends in (NOW + timedelta(seconds=left), NOW + rules.COOKIE_MOST)


@given(st.binary(max_size=100), st.booleans())
def test_a_key_is_read_with_and_without_its_padding(key: bytes, padded: bool) -> None:
    text = urlsafe_b64encode(key).decode()
    assert rules.decoded(text if padded else text.rstrip("=")) == key


@given(st.text())
def test_what_is_no_base64url_is_no_key_and_no_error(text: str) -> None:
    found = rules.decoded(text)
    assert found is None or urlsafe_b64encode(found).decode().rstrip("=")[:-1] == text.rstrip("=")[:-1]


@pytest.mark.parametrize("text", [None, 1, b"QUJD", "A", "AAAAA", "QU JD", "QU+D", "QU/D", "QUJD=\n", "===="])
def test_other_writings_are_none(text: object) -> None:
    assert rules.decoded(text) in (None, b"") and (text == "====" or rules.decoded(text) is None)


@given(st.integers(0, 2**63 - 1))
def test_a_place_is_what_a_stream_said(place: int) -> None:
    assert rules.place_in_stream(str(place)) == place


@given(st.text() | st.none())
def test_any_other_place_is_the_present(text: str | None) -> None:
    found = rules.place_in_stream(text)
    assert found is None or ((str(found) == (text or "").lstrip("0") or found == 0) and 0 <= found < 2**63)


def test_places_beyond_all_numbers_are_the_present() -> None:
    assert rules.place_in_stream(str(2**63)) is None and rules.place_in_stream("9" * 40) is None


def test_origins_are_those_of_the_addresses_and_nothing_else() -> None:
    told = rules.origins_of("https://Portal.example.lu/mon-dsp?x=1", "http://localhost:8080", "")
    assert told == {"https://portal.example.lu", "http://localhost:8080"}


@given(st.integers(0, 10**6))
def test_a_silent_device_is_left_alone_ever_longer_and_never_for_ever(failures: int) -> None:
    wait = rules.wait_for_device(failures)
    assert rules.SILENCE_FROM <= wait <= rules.SILENCE_TO
    assert rules.wait_for_device(failures + 1) >= wait


def test_a_device_is_forgotten_after_days_of_silence_not_hours() -> None:
    silent = sum((rules.wait_for_device(failures) for failures in range(rules.DEVICE_TRIES)), timedelta())
    assert timedelta(days=4) < silent < timedelta(days=7)
