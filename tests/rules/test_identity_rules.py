"""The decisions of identity, each allowed case beside its forbidden twin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity import rules
from services.identity import rules_passwords as passwords
from services.identity import rules_throttles as throttles
from services.identity.contract import (
    CONDITIONS_VERSION,
    LANGUAGES,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
)
from services.identity.ports.blocklist import common_passwords
from services.refusals import InvalidInput
from tests.builders import any_matricule

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KNOWN = "1893120105732"


def pointer(refused: pytest.ExceptionInfo[InvalidInput]) -> str:
    return str(refused.value.detail["errors"][0]["pointer"])


# --- matricules and letter codes --------------------------------------------------------------------------------------


def test_a_valid_matricule_is_accepted_with_blanks() -> None:
    assert rules.require_matricule("1893 1201 05732") == KNOWN


def test_any_valid_matricule_is_accepted() -> None:
    for _ in range(50):
        number = any_matricule()
        assert rules.require_matricule(number) == number


@pytest.mark.parametrize("place", [11, 12])
def test_a_matricule_with_one_wrong_check_digit_is_refused_where_it_must_exist(place: int) -> None:
    wrong = KNOWN[:place] + str((int(KNOWN[place]) + 1) % 10) + KNOWN[place + 1 :]
    with pytest.raises(InvalidInput) as refused:
        rules.require_matricule(wrong)
    assert refused.value.detail["errors"] == [{"pointer": "/matricule", "message": "matricule_checksum"}]
    assert rules.normal_matricule(wrong) == wrong, "at log-in it is an unknown matricule like any other"


@pytest.mark.parametrize(
    "text", ["", "189312010573", "18931201057321", "1893120105 73a", None, 1893120105732, "١" * 13]
)
def test_what_is_not_thirteen_digits_is_no_matricule(text: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.normal_matricule(text)
    assert pointer(refused) == "/matricule"


def test_a_refusal_of_a_matricule_does_not_repeat_it() -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.require_matricule("1893120105733")
    assert "1893120105733" not in str(refused.value.to_wire())


def test_a_letter_code_is_read_as_printed_and_as_typed() -> None:
    printed = rules.printed_letter_code("P7KQ4MXT9RWB")
    assert printed == "P7KQ-4MXT-9RWB"
    for typed in (printed, printed.lower(), " p7kq 4mxt 9rwb ", "P7KQ4MXT9RWB"):
        assert rules.normal_letter_code(typed) == ("patient", "P7KQ4MXT9RWB")


@pytest.mark.parametrize(("code", "kind"), [("H" + "2" * 11, "professional"), ("A" + "2" * 11, "agent")])
def test_the_first_sign_of_a_letter_code_names_the_kind_of_person(code: str, kind: str) -> None:
    assert rules.normal_letter_code(code)[0] == kind


@pytest.mark.parametrize("code", ["", "P7KQ", "X" + "2" * 11, "P" + "0" * 11, "P" + "2" * 12, None, 7, "P" * 1000])
def test_a_code_of_another_shape_is_of_no_kind(code: object) -> None:
    assert rules.normal_letter_code(code)[0] is None


def test_a_letter_works_once_and_in_its_time() -> None:
    day = timedelta(days=1)
    assert rules.letter_is_usable(None, NOON + day, NOON)
    assert not rules.letter_is_usable(NOON - day, NOON + day, NOON)
    assert not rules.letter_is_usable(None, NOON, NOON)


# --- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_conditions_in_force_are_accepted_in_every_language(language: str) -> None:
    rules.require_conditions(CONDITIONS_VERSION, language)


@pytest.mark.parametrize(
    ("version", "language", "field"),
    [("2019-01", "fr", "/version"), (None, "fr", "/version"), (CONDITIONS_VERSION, "es", "/language"),
     (CONDITIONS_VERSION, None, "/language")],
)  # fmt: skip
def test_other_conditions_cannot_be_accepted(version: object, language: object, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.require_conditions(version, language)
    assert pointer(refused) == field


# --- addresses --------------------------------------------------------------------------------------------------------

GOOD = ["jane@example.lu", "Jane.Doe+dsp@mail.example.co.uk", "o'neill@example.org", "x@xn--mnchen-3ya.de",
        "a@b.xn--p1ai"]  # fmt: skip
BAD = ["", "jane", "@example.lu", "jane@", "jane@localhost", "jane@@example.lu", "ja ne@example.lu", "jane@example..lu",
       ".jane@example.lu", "jane.@example.lu", "ja..ne@example.lu", "jane@-example.lu", '"jane"@example.lu',
       "jane@[127.0.0.1]", "jane@example.lu\n", "jane@example.lu\r\nBcc: all@example.lu", "jané@example.lu",
       "a" * 65 + "@example.lu", "a@" + "b" * 64 + ".lu", "a@" + "b." * 126 + "lu", "jane@example.1",
       None, 7]  # fmt: skip


@pytest.mark.parametrize("value", GOOD)
def test_an_ordinary_address_is_kept_as_given(value: str) -> None:
    assert rules.require_contact("email", value) == value


@pytest.mark.parametrize("value", BAD)
def test_a_doubtful_address_is_refused_without_being_repeated(value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.require_contact("email", value)
    assert refused.value.detail["errors"] == [{"pointer": "/value", "message": "email_format"}]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("+352621123456", "+352621123456"), ("621 123 456", "+352621123456"), ("621.123-456", "+352621123456"),
     ("00352 621 123 456", "+352621123456"), ("+33 6 12 34 56 78", "+33612345678"), ("+12345678", "+12345678")],
)  # fmt: skip
def test_a_mobile_number_is_kept_in_its_international_form(typed: str, kept: str) -> None:
    assert rules.require_contact("mobile", typed) == kept


@pytest.mark.parametrize(
    "typed",
    ["", "+", "621", "0621123456", "33612345678", "27123456", "+0352621123456", "+1234567", "+1234567890123456",
     "+352 621 12a 456", "+352621123456\r\nX", "++352621123456", "tel:+352621123456", "٦٢١١٢٣٤٥٦", None, 621123456,
     "+3526" + " " * 60 + "21123456"],
)  # fmt: skip
def test_a_doubtful_number_is_refused_without_being_repeated(typed: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.require_contact("mobile", typed)
    assert refused.value.detail["errors"] == [{"pointer": "/value", "message": "mobile_format"}]


def test_a_code_from_an_app_is_no_address() -> None:
    with pytest.raises(InvalidInput):
        rules.require_contact("totp", "jane@example.lu")


def test_a_professional_types_eleven_or_thirteen_digits() -> None:
    assert rules.normal_entry(KNOWN) == KNOWN and rules.normal_entry(f" {KNOWN[:8]} {KNOWN[8:11]} ") == KNOWN[:11]
    for wrong in (KNOWN[:10], KNOWN[:12], KNOWN + "1", "", None, "1893120105a"):
        with pytest.raises(InvalidInput):
            rules.normal_entry(wrong)


def test_a_letter_is_for_activation_or_recovery() -> None:
    assert rules.require_purpose("recovery") == "recovery" and rules.require_purpose("activation") == "activation"
    for wrong in ("", "opposition", None):
        with pytest.raises(InvalidInput):
            rules.require_purpose(wrong)


def test_a_code_goes_by_no_channel_that_does_not_exist() -> None:
    rules.require_channel("email")
    with pytest.raises(InvalidInput):
        rules.require_channel("pigeon")
    with pytest.raises(InvalidInput):
        rules.require_contact("pigeon", "jane@example.lu")


# --- throttles --------------------------------------------------------------------------------------------------------


def test_five_tries_are_free_and_the_sixth_waits() -> None:
    tries, waits = None, []
    for second in range(6):
        tries, wait = throttles.take_try(tries, throttles.PER_SUBJECT, NOON + timedelta(seconds=second))
        waits.append(wait)
    assert waits == [None, None, None, None, None, 29]
    assert tries is not None and tries.tries == 6 and tries.checked == 5


def test_the_waiting_doubles_up_to_an_hour_and_knocking_does_not_lengthen_it() -> None:
    tries, at, waited = None, NOON, []
    for _ in range(15):
        tries, wait = throttles.take_try(tries, throttles.PER_SUBJECT, at)
        assert wait is None
        if tries.blocked_until:
            waited.append((tries.blocked_until - at).total_seconds())
            blocked_until = tries.blocked_until
            for _ in range(20):
                tries, wait = throttles.take_try(tries, throttles.PER_SUBJECT, at)
                assert wait is not None and tries.blocked_until == blocked_until
            at = blocked_until
    assert waited == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]


def test_after_a_quiet_day_all_is_forgotten() -> None:
    old = throttles.Tries(9, 9, NOON, NOON + timedelta(hours=1))
    later = NOON + timedelta(hours=24, seconds=1)
    assert throttles.take_try(old, throttles.PER_SUBJECT, later) == (throttles.Tries(1, 1, later, None), None)


@given(st.lists(st.integers(0, 4000), max_size=60))
def test_no_more_tries_are_looked_at_than_the_waiting_allows(pauses: list[int]) -> None:
    tries, at, looked_at = None, NOON, []
    for pause in pauses:
        at += timedelta(seconds=pause)
        tries, wait = throttles.take_try(tries, throttles.PER_SUBJECT, at)
        if wait is None:
            looked_at.append(at)
    for nth in range(5, len(looked_at)):
        needed = throttles.PER_SUBJECT.wait_after(nth)
        assert looked_at[nth] - looked_at[nth - 1] >= needed


# --- passwords --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    ["trois grenouilles violettes", "Zéphyr-du-Müllerthal", "kV9#wq2!Tz0p", "pass the salt, please!", "тринадцать рыб",
     "correct horse battery stapler", "x" * 20 + "yqpwm", "4711 Kölnisch Wasser"],
)  # fmt: skip
def test_a_password_nobody_guesses_first_is_accepted_whatever_it_is_made_of(password: str) -> None:
    passwords.require_password(passwords.normal_password(password), common_passwords())


@pytest.mark.parametrize(
    "password",
    ["password1234", "Password2026!", "P@ssw0rd2026", "passwordpassword", "motdepasse123", "Motdepasse!!!",
     "123456789012", "098765432109", "abcdefghijklm", "qwertyuiopas", "azertyuiopqs", "qwertzuiopas",
     "1q2w3e4r5t6y", "1qaz2wsx3edc",
     "aaaaaaaaaaaa", "abcabcabcabc", "123123123123", "lëtzebuerg2026", "Luxembourg2026", "sonnenschein",
     "correct horse battery staple",
     "i love you forever", "esante123456", "OpenDSP-2026", "changemenow!", "111111111111"],
)  # fmt: skip
def test_a_password_that_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooCommon):
        passwords.require_password(passwords.normal_password(password), common_passwords())


def test_the_shipped_lists_hold_the_three_thousand_first_guesses_that_fit_the_policy() -> None:
    long_enough = [word for word in common_passwords() if len(word) >= passwords.PASSWORD_MINIMUM]
    assert len(long_enough) >= 3000
    for word in long_enough:
        with pytest.raises(PasswordTooCommon):
            passwords.require_password(word, common_passwords())


def test_length_is_counted_in_characters_and_bounded_on_both_sides() -> None:
    passwords.require_password("éèàüöäßçñőűł", common_passwords())
    with pytest.raises(PasswordTooShort) as short:
        passwords.require_password("éèàüöäßçñőű", common_passwords())
    assert short.value.detail == {"minimum": 12}
    passwords.require_password("kV9#" * 31 + "wq2!", common_passwords())
    with pytest.raises(PasswordTooLong):
        passwords.require_password("kV9#" * 32 + "w", common_passwords())


def test_the_same_accents_from_another_keyboard_are_the_same_password() -> None:
    assert passwords.normal_password("Zéphyr") == passwords.normal_password("Zéphyr")


def test_a_persons_own_matricule_is_no_part_of_a_password() -> None:
    password = f"ma {KNOWN} carte"
    assert passwords.matricules_within(password) == [KNOWN]
    passwords.require_password(password, common_passwords())
    with pytest.raises(PasswordTooCommon):
        passwords.require_password(password, common_passwords(), [KNOWN])


# --- capacities -------------------------------------------------------------------------------------------------------

PATIENT, PHYSICIAN = rules.Held("patient", "p"), rules.Held("professional", "d")


def test_the_only_capacity_is_the_default() -> None:
    assert rules.choose_capacity([PATIENT], None) == PATIENT
    assert rules.choose_capacity([PATIENT, PHYSICIAN], "professional") == PHYSICIAN


@pytest.mark.parametrize(
    ("held", "wanted"),
    [([PATIENT, PHYSICIAN], None), ([PATIENT], "professional"), ([PATIENT], "agent"), ([PATIENT], "king"), ([], None),
     ([PATIENT], 7)],
)  # fmt: skip
def test_every_other_choice_is_refused_alike(held: list[rules.Held], wanted: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.choose_capacity(held, wanted)
    assert refused.value.detail["errors"] == [{"pointer": "/capacity", "message": "choose"}]


def test_a_workplace_is_one_of_the_professionals_own() -> None:
    assert rules.choose_establishment(PHYSICIAN, ["a", "b"], None) == "a"
    assert rules.choose_establishment(PHYSICIAN, ["a", "b"], "b") == "b"
    assert rules.choose_establishment(PHYSICIAN, [], None) is None
    assert rules.choose_establishment(PATIENT, [], None) is None
    for held, places, wanted in ((PHYSICIAN, ["a"], "c"), (PATIENT, ["a"], "a"), (PHYSICIAN, [], "a")):
        with pytest.raises(InvalidInput) as refused:
            rules.choose_establishment(held, places, wanted)
        assert pointer(refused) == "/establishment_id"


@pytest.mark.parametrize(
    ("facts", "why"),
    [({"licence": "valid", "establishment_ids": ["a"]}, None), (None, "licence_not_valid"),
     ({"licence": "suspended", "establishment_ids": ["a"]}, "licence_not_valid"),
     ({"licence": "withdrawn", "establishment_ids": ["a"]}, "licence_not_valid"),
     ({"licence": "valid", "establishment_ids": ["b"]}, "workplace_left")],
)  # fmt: skip
def test_a_professionals_session_goes_on_only_with_licence_and_workplace(facts: Any, why: str | None) -> None:
    assert rules.why_capacity_is_lost(PHYSICIAN, facts, "a") == why
    assert rules.why_capacity_is_lost(PATIENT, facts, None) is None


# --- sessions and keys ------------------------------------------------------------------------------------------------


def test_a_session_ends_by_itself_and_no_refresh_token_outlives_it() -> None:
    short, long = rules.session_expiry(NOON, False), rules.session_expiry(NOON, True)
    assert (short - NOON, long - NOON) == (timedelta(hours=12), timedelta(days=90))
    assert rules.refresh_expiry(NOON, short, False) == NOON + timedelta(hours=1)
    assert rules.refresh_expiry(short - timedelta(minutes=5), short, False) == short
    assert rules.refresh_expiry(NOON, long, True) == NOON + timedelta(days=30)


def test_a_key_is_made_at_once_when_there_is_none_and_announced_an_hour_ahead_afterwards() -> None:
    assert rules.key_due(None, NOON) == NOON
    assert rules.key_due(NOON, NOON + timedelta(days=29)) is None
    announced = NOON + timedelta(days=30) - timedelta(hours=1)
    assert rules.key_due(NOON, announced) == NOON + timedelta(days=30)
    late = NOON + timedelta(days=30, hours=5)
    assert rules.key_due(NOON, late) == late + timedelta(hours=1)
    assert late + timedelta(hours=1) + rules.ACCESS_TOKEN_LIFETIME < rules.key_expiry(NOON), "the old one still signs"


def test_after_a_long_stand_a_key_is_made_at_once() -> None:
    late = NOON + timedelta(days=60)
    assert rules.key_due(NOON, late) == late


@pytest.mark.parametrize("value", ["", "x", None, 7, "01A1FB8A-4B99-7487-B10B-D63CCF683973", "' or 1=1", "0" * 36])
def test_what_is_no_id_is_known_before_the_database_is_asked(value: object) -> None:
    assert not rules.is_id(value)
    with pytest.raises(InvalidInput):
        rules.require_id(value, "/id")


def test_an_id_is_one() -> None:
    assert rules.is_id("01a1fb8a-4b99-7487-b10b-d63ccf683973")
