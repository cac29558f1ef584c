"""identity against OWASP ASVS 5.0.0: the table names every requirement, tests that exist, and figures that are true."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.app import create_app
from services.db import new_id
from services.identity import (
    rules,
    rules_helpdesk,
    rules_passwords,
    rules_recovery,
    rules_sessions,
    rules_throttles,
)
from services.identity.contract import FACTORS
from services.identity.models import Account
from services.identity.ports import codes
from services.identity.ports.totp import new_secret
from tests.services.identity_house import KEY, Front, identity_house

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "services" / "identity" / "asvs.md").read_text(encoding="utf-8")
COUNTS = {"6.1": 3, "6.2": 12, "6.3": 8, "6.4": 6, "6.5": 8, "6.6": 4, "6.7": 2, "6.8": 4,
          "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2}  # fmt: skip
"""How many requirements each section of release 5.0.0 has."""
NUMBERS = [f"{section}.{number}" for section, count in COUNTS.items() for number in range(1, count + 1)]
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \([123]\) \| (.+?) \| (.*?) ?\| (.+) \|$", re.MULTILINE)
ROWS = {number: (asked, tests, state) for number, asked, tests, state in ROW.findall(TABLE)}
ARGUED = ("deviation: ", "not applicable: ")
START = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def front(database: Callable[[str], str]) -> Iterator[Front]:
    house = identity_house(database)
    yield Front(house)
    house.close()


@cache
def names_in(path: str) -> frozenset[str]:
    """The tests a file holds."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    return frozenset(node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef))


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_requirement_of_both_chapters_has_its_row_and_no_other_has() -> None:
    assert [number for number, *_ in ROW.findall(TABLE)] == NUMBERS
    assert len([line for line in TABLE.splitlines() if re.match(r"\| \d", line)]) == len(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_row_names_tests_that_exist(number: str) -> None:
    _, tests, state = ROWS[number]
    named = re.findall(r"`([^`]+)`", tests)
    assert bool(named) is not state.startswith("not applicable")
    for name in named:
        path, _, test = name.partition("::")
        assert test in names_in(path), name


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_not_met_is_argued(number: str) -> None:
    asked, _, state = ROWS[number]
    assert len(asked) > 15
    assert state == "met" or (state.startswith(ARGUED) and len(state.split(": ", 1)[1]) > 60)


# --- what it says of the code -----------------------------------------------------------------------------------------


def session_length(stay_connected: bool) -> timedelta:
    return rules.session_expiry(START, stay_connected) - START


def pause(stay_connected: bool) -> timedelta:
    return rules.refresh_expiry(START, START + timedelta(days=1000), stay_connected) - START


FIGURES: dict[str, Any] = {
    "wrong tries that are free, per person and network address": rules_throttles.PER_SUBJECT.free,
    "tries that are free per network address and hour": rules_throttles.PER_ADDRESS.free,
    "first wait after that, doubling": rules_throttles.PER_SUBJECT.first_wait,
    "longest wait": rules_throttles.PER_SUBJECT.longest_wait,
    "codes that are sent before waiting begins": rules_throttles.PER_CODES_SENT.free,
    "wrong tries of one code": rules.ONE_TIME_CODE_TRIES,
    "life of a one-time code": rules.ONE_TIME_CODE_LIFETIME,
    "life of a code on a letter, which works once": rules.LETTER_CODE_LIFETIME,
    "life of a link to a new password": rules_recovery.RESET_LIFETIME,
    "no codes by mail after a reset where mail is all there is": rules_recovery.MAIL_DELAY,
    "an identity check at the helpdesk counts for": rules_helpdesk.CHECK_COUNTS_FOR,
    "shortest password": rules_passwords.PASSWORD_MINIMUM,
    "longest password": rules_passwords.PASSWORD_MAXIMUM,
    "life of an access token": rules.ACCESS_TOKEN_LIFETIME,
    "a log-in counts as fresh for": rules_sessions.FRESH,
    "longest session": session_length(False),
    'longest session, "stay connected"': session_length(True),
    "longest pause": pause(False),
    'longest pause, "stay connected"': pause(True),
}


def test_every_figure_is_the_codes() -> None:
    part = TABLE.split("### Figures")[1].split("###")[0]
    written = dict(re.findall(r"^\| (.+?) \| (\d+(?: s)?) \|", part, re.MULTILINE))
    expected = {
        name: f"{int(value.total_seconds())} s" if isinstance(value, timedelta) else str(value)
        for name, value in FIGURES.items()
    }
    assert written == expected


def test_the_words_of_our_own_world_are_those_of_the_rules() -> None:
    part = TABLE.split("### Words")[1].split("###")[0]
    assert tuple(re.findall(r"`(\w+)`", part)) == rules_passwords._OWN_WORDS


def test_every_way_in_is_documented() -> None:
    part = TABLE.split("### Ways in")[1].split("###")[0].casefold()
    ways = {"password": "password and one-time code", "luxtrust": "luxtrust", "passkey": "passkey"}
    channels = {"email": "mailbox", "mobile": "mobile", "totp": "authenticator app"}
    for factor in FACTORS:
        way, _, channel = factor.partition(" ")
        assert f"| {ways[way]} |" in part, factor
        assert not channel or channels[channel] in part, factor


def test_no_password_expires(front: Front) -> None:
    who = front.activate(front.patient())
    front.change(sa.update(Account).where(Account.log_in_name == KEY.log_in_name(who.matricule))
                 .values(password_changed_at=datetime(1999, 1, 1, tzinfo=UTC)))  # fmt: skip
    assert front.log_in(who)["access_token"]


def test_nobody_is_asked_a_secret_question() -> None:
    document = create_app().test_client().get("/api/v1/openapi.json").get_json()
    members = {name for shape in document["components"]["schemas"].values() for name in shape.get("properties", {})}
    assert "password" in members, "shapes are looked at"
    assert not [name for name in members if re.search(r"hint|question|maiden|mother", name)]


def test_the_page_for_a_new_password_hides_what_is_typed_and_lets_password_managers_in() -> None:
    answer = create_app().test_client().get("/password-reset")
    inputs = re.findall(r"<input\b[^>]*>", answer.get_data(as_text=True))
    fields = [one for one in inputs if 'type="checkbox"' not in one]
    assert answer.status_code == 200 and fields
    for field in fields:
        assert 'type="password"' in field and 'autocomplete="new-password"' in field
        assert "onpaste" not in field and "readonly" not in field
        assert "maxlength" not in field, "a browser cuts what is pasted without a word: refused is better than cut"


def test_codes_have_the_entropy_they_need() -> None:
    assert codes.CODE_LENGTH * math.log2(len(set(codes.CODE_ALPHABET))) >= 30
    assert (rules.LETTER_CODE_LENGTH - 1) * math.log2(len(set(rules.LETTER_ALPHABET))) >= 53


@pytest.mark.parametrize(
    ("draw", "bits"),
    [
        (codes.new_token, 256),
        (new_secret, 160),
        (lambda: codes.new_letter_code("patient"), 48),
        (lambda: KEY.passkey_challenge(new_id()).hex(), 256),
        (lambda: KEY.reset_token(new_id()), 240),
        (lambda: KEY.tracking_token(new_id()), 240),
        (lambda: KEY.luxtrust_nonce(new_id()), 240),
    ],
)
def test_every_secret_drawn_is_another(draw: Callable[[], str], bits: int) -> None:
    drawn = [draw() for _ in range(2000)]
    assert len(set(drawn)) == len(drawn)
    signs = len({sign for one in drawn for sign in one})
    assert min(len(one) for one in drawn) * math.log2(signs) >= bits
