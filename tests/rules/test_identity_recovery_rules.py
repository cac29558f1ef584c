"""What a forgotten password may and may not open: the mailbox alone owns nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.identity import rules_recovery as recovery
from services.identity.contract import FACTORS
from services.refusals import InvalidInput

AT = datetime(2026, 11, 21, 9, 15, tzinfo=UTC)
OTHERS = ("mobile", "totp", "passkey", "luxtrust")


@pytest.mark.parametrize("other", OTHERS)
def test_with_another_factor_no_time_brings_codes_by_mail_back(other: str) -> None:
    barred = recovery.mail_codes_from([other], AT)
    assert recovery.mail_is_barred(barred, AT + timedelta(days=365 * 100))
    assert recovery.next_ways([other]) == [other]


def test_with_mail_alone_a_day_passes_first() -> None:
    barred = recovery.mail_codes_from([], AT)
    assert recovery.mail_is_barred(barred, AT)
    assert recovery.mail_is_barred(barred, AT + timedelta(hours=24) - timedelta(microseconds=1))
    assert not recovery.mail_is_barred(barred, AT + timedelta(hours=24))
    assert recovery.next_ways([]) == ["email"]


def test_without_a_reset_mail_is_never_barred() -> None:
    assert not recovery.mail_is_barred(None, AT)


@pytest.mark.parametrize("factors", FACTORS)
def test_any_log_in_but_the_one_by_mail_lifts_the_bar(factors: str) -> None:
    assert recovery.lifts_mail_bar(factors) is (factors != "password email")


def test_a_link_lives_half_an_hour_and_there_are_three_a_day() -> None:
    assert timedelta(minutes=30) == recovery.RESET_LIFETIME
    assert recovery.RESETS_PER_DAY == 3


@pytest.mark.parametrize("value", ["", "jane", "jane@", "jane@lu", "a b@example.lu", "+352621123456", None, 7])
def test_what_is_no_mail_address_is_named_in_its_own_field(value: object) -> None:
    with pytest.raises(InvalidInput) as refusal:
        recovery.require_mail(value)
    assert refusal.value.detail["errors"] == [{"pointer": "/email", "message": "email_format"}]


def test_its_twin_is_taken_as_it_is() -> None:
    assert recovery.require_mail("Jane.Doe@example.lu") == "Jane.Doe@example.lu"
