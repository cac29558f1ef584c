"""The decisions on requests for a record: the state machine as a table, the form field by field, days and digests."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.directory import rules_openings as rules
from services.directory.contract import OPENING_STATEMENT, OPENING_STATES, OpeningCheckDue, RequestDecided
from services.refusals import InvalidInput, Refusal
from tests.builders import matricule

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}

# One row per action, one place per state: received, checked, accepted, refused, withdrawn. D decided, C check due.
D, C = RequestDecided, OpeningCheckDue
TABLE = {
    "check": ("checked", "checked", D, D, D),
    "accept": (C, "accepted", D, D, D),
    "refuse": ("refused", "refused", D, D, D),
    "withdraw": ("withdrawn", "withdrawn", D, D, "withdrawn"),
}


def a_form(**changes: Any) -> dict[str, Any]:
    return {
        "matricule": matricule(date(1980, 5, 17), 1), "birth_name": "Weber", "first_names": "Zoé", "sex": "F",
        "birth_date": "1980-05-17", "language": "lb", "address": HOME, "email": "zoe@example.lu",
        "statement": {"version": OPENING_STATEMENT, "accepted": True}, "signed_on": "2026-11-20",
        "signed_at": "Luxembourg", **changes,
    }  # fmt: skip


def faults(**changes: Any) -> set[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refused:
        rules.require_form(a_form(**changes), TODAY)
    return {(error["pointer"], error["message"]) for error in refused.value.detail["errors"]}


# --- the state machine ------------------------------------------------------------------------------------------------


def test_the_table_knows_every_action_and_state() -> None:
    assert set(TABLE) == set(get_args(rules.Action))
    assert get_args(rules.State) == OPENING_STATES


@pytest.mark.parametrize(("action", "number"), list(product(TABLE, range(len(OPENING_STATES)))))
def test_what_an_action_makes_of_a_request_in_each_state(action: Any, number: int) -> None:
    after = rules.step(action, rules.state_of(OPENING_STATES[number]))
    assert (type(after) if isinstance(after, Refusal) else after) == TABLE[action][number]


@pytest.mark.parametrize(
    ("capacity", "may"), [("agent", True), ("patient", False), ("professional", False), ("machine", False)]
)
def test_only_agents_work_requests_off(capacity: str, may: bool) -> None:
    assert rules.may_work(capacity) is may


@pytest.mark.parametrize("state", OPENING_STATES)
def test_a_request_is_overdue_after_its_time_and_only_while_there_is_work_left(state: str) -> None:
    assert rules.is_overdue(state, NOW - timedelta(seconds=1), NOW) is (state in ("received", "checked"))
    assert rules.is_overdue(state, NOW, NOW) is False


# --- the form ---------------------------------------------------------------------------------------------------------


def test_a_form_of_an_adult_passes_and_keeps_what_it_says() -> None:
    form = rules.require_form(a_form(), TODAY)
    said = form.sheet
    assert (said.birth_name, said.email, said.identity_check_due) == ("Weber", "zoe@example.lu", False)
    assert (form.signed_on, form.signed_at, form.statement_version) == (
        date(2026, 11, 20), "Luxembourg", OPENING_STATEMENT,
    )  # fmt: skip


def test_who_is_not_affiliated_asks_without_a_matricule() -> None:
    assert rules.require_form(a_form(matricule=None), TODAY).sheet.matricule is None


def test_a_birth_date_other_than_the_matricules_is_flagged_and_not_refused() -> None:
    assert rules.require_form(a_form(birth_date="1980-05-18"), TODAY).sheet.identity_check_due is True


@pytest.mark.parametrize(
    ("contacts", "refused"),
    [
        ({"email": "zoe@example.lu", "phone": None}, None),
        ({"email": None, "phone": "27 12 50 18"}, None),
        ({"email": "zoe@example.lu", "phone": "+352 27 12 50 18"}, None),
        ({"email": None, "phone": None}, ("/email", "contact_due")),
        ({"email": "zoe", "phone": None}, ("/email", "email_format")),
        ({"email": None, "phone": "call me"}, ("/phone", "phone_format")),
    ],
)
def test_an_email_or_a_telephone_number_is_due(contacts: dict[str, Any], refused: tuple[str, str] | None) -> None:
    if refused is None:
        assert rules.require_form(a_form(**contacts), TODAY)
    else:
        assert faults(**contacts) == {refused}


@pytest.mark.parametrize(
    ("born", "signed", "adult"),
    [
        ("2008-11-20", "2026-11-20", True),
        ("2008-11-21", "2026-11-20", False),  # 18 today, and not when it was signed
        ("2008-02-29", "2026-02-28", False),
        ("2008-02-29", "2026-03-01", True),
        ("2008-01-01", "2025-12-31", False),
    ],
)
def test_the_form_is_for_who_was_an_adult_on_the_day_of_signing(born: str, signed: str, adult: bool) -> None:
    today = date.fromisoformat(signed) + timedelta(days=1)
    form = a_form(matricule=None, birth_date=born, signed_on=signed)
    if adult:
        assert rules.require_form(form, today)
    else:
        with pytest.raises(InvalidInput) as refused:
            rules.require_form(form, today)
        assert refused.value.detail["errors"] == [{"pointer": "/birth_date", "message": "minor"}]


@given(born=st.dates(date(1900, 1, 1), date(2026, 1, 1)), day=st.dates(date(1900, 1, 1), date(2060, 1, 1)))
def test_once_adult_always_adult(born: date, day: date) -> None:
    if rules.is_adult(born, day):
        assert rules.is_adult(born, day + timedelta(days=1)) and day.year - born.year >= 18


@pytest.mark.parametrize(
    ("signed_on", "message"),
    [
        ("2026-11-21", None), ("2026-08-23", None),
        ("2026-11-22", "signed_later"), ("2026-08-22", "signed_long_ago"), ("yesterday", "date"), (None, "required"),
    ],
)  # fmt: skip
def test_a_signature_is_neither_of_days_to_come_nor_older_than_ninety_days(signed_on: Any, message: Any) -> None:
    if message is None:
        assert rules.require_form(a_form(signed_on=signed_on), TODAY)
    else:
        assert faults(signed_on=signed_on) == {("/signed_on", message)}


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ({"version": "opening-1999-1", "accepted": True}, {("/statement/version", "not_in_force")}),
        ({"version": OPENING_STATEMENT, "accepted": False}, {("/statement/accepted", "accepted")}),
        (None, {("/statement/version", "required"), ("/statement/accepted", "accepted")}),
    ],
)
def test_the_wording_in_force_must_have_been_accepted(statement: Any, refused: set[tuple[str, str]]) -> None:
    assert faults(statement=statement) == refused


def test_a_wrong_matricule_is_refused_with_the_digit_that_is_wrong() -> None:
    right = matricule(date(1980, 5, 17), 1)
    twelfth = right[:11] + str((int(right[11]) + 1) % 10) + right[12]
    thirteenth = right[:12] + str((int(right[12]) + 1) % 10)
    assert faults(matricule=twelfth) == {("/matricule", "matricule_luhn")}
    assert faults(matricule=thirteenth) == {("/matricule", "matricule_verhoeff")}


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert {pointer for pointer, _ in faults(birth_name="", sex="?", signed_on="2027-01-01", email=None)} == {
        "/birth_name", "/sex", "/signed_on", "/email",
    }  # fmt: skip


# --- names and tokens -------------------------------------------------------------------------------------------------


def test_each_told_token_opens_the_request_and_no_other_does() -> None:
    told = [bytes([number]) * rules.DIGEST for number in range(1, 4)]
    digests = b""
    for digest in told:
        digests = rules.with_digest(digests, digest)
    assert all(rules.has_digest(digests, digest) for digest in told)
    assert not rules.has_digest(digests, bytes([9]) * rules.DIGEST)
    assert not rules.has_digest(b"", bytes(rules.DIGEST))


def test_no_more_tokens_are_kept_than_four() -> None:
    digests = b""
    for number in range(10):
        digests = rules.with_digest(digests, bytes([number]) * rules.DIGEST)
    assert len(digests) == rules.MOST_TOKENS * rules.DIGEST


@given(random=st.binary(min_size=8, max_size=8))
def test_a_reference_has_eight_signs_that_do_not_look_alike(random: bytes) -> None:
    reference = rules.reference_from(random)
    assert len(reference) == 9 and reference[4] == "-" and not set(reference) & set("01IO")
