"""Authenticator apps over a real database: added, proved, used once, removed."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.identity import rules_sessions
from services.identity.contract import (
    AuthenticatorNotFound,
    ChannelNotAvailable,
    OneTimeCodeRefused,
    ReauthenticationDue,
    TooManyAuthenticators,
)
from services.identity.models import LogInSession
from services.identity.models_factors import Authenticator
from services.refusals import InvalidInput, KeyReused, Refusal, TooManyTries
from services.tokens import Caller
from tests.services.identity_house import Front, Person, refused

HALF_A_MINUTE = timedelta(seconds=30)


def begin(front: Front, me: Caller, name: str = "Téléphone") -> dict[str, str]:
    return dict(front.ask("add_authenticator", me, name=name))


def code_of(begun: dict[str, str], steps: int = 0) -> str:
    return pyotp.TOTP(begun["secret"]).at(now() + steps * HALF_A_MINUTE)


def prove(front: Front, me: Caller, begun: dict[str, str], code: str) -> Any:
    return front.ask("prove_authenticator", me, authenticator_id=begun["authenticator_id"], code=code)


def forget_use(front: Front, begun: dict[str, str]) -> None:
    """Half a minute later, so to speak: the code used last lies behind."""
    whose = Authenticator.authenticator_id == begun["authenticator_id"]
    front.change(sa.update(Authenticator).where(whose).values(last_step=Authenticator.last_step - 2))


@pytest.fixture
def who(front: Front) -> Person:
    return front.member(front.patient())


@pytest.fixture
def app(front: Front, who: Person) -> dict[str, str]:
    """An app whose first code has come back a while ago."""
    me = front.session(who)
    begun = begin(front, me)
    prove(front, me, begun, code_of(begun))
    forget_use(front, begun)
    return begun


def test_an_app_counts_once_its_first_code_has_come_back(front: Front, who: Person) -> None:
    me = front.session(who)
    begun = begin(front, me, name="  mon   téléphone ")
    assert begun["otpauth_uri"].startswith("otpauth://totp/DSP:mon%20t%C3%A9l%C3%A9phone?")
    assert f"secret={begun['secret']}" in begun["otpauth_uri"] and len(begun["secret"]) == 32
    assert who.matricule not in begun["otpauth_uri"] and who.email not in begun["otpauth_uri"]
    refused(ChannelNotAvailable, lambda: front.challenge(who, channel="totp"))
    refused(OneTimeCodeRefused, lambda: prove(front, me, begun, "000000"))
    assert prove(front, me, begun, f" {code_of(begun)[:3]} {code_of(begun)[3:]} ")
    assert front.challenge(who, channel="totp")
    added = front.traces(who.address, "authenticator.added")
    assert [trace["outcome"] for trace in front.events("access_traced.v1")
            if trace["action"] == "authenticator.added" and trace["account_id"] == who.account_id] == [
        "refused", "allowed"]  # fmt: skip
    assert not [trace for trace in added if begun["secret"] in str(trace)]
    notices = [event["occasion"] for event in front.events("account_notice_due.v1")]
    assert "authenticator_added" in notices
    refused(AuthenticatorNotFound, lambda: prove(front, me, begun, code_of(begun))), "proved once"


def test_a_person_logs_in_with_password_and_app_and_nothing_is_sent(
    front: Front, who: Person, app: dict[str, str]
) -> None:
    sent = len(front.events("one_time_code_requested.v1"))
    challenge_id = front.challenge(who, channel="totp")
    assert len(front.events("one_time_code_requested.v1")) == sent
    assert front.mail(challenge_id) == {"spent": True}
    refused(OneTimeCodeRefused, lambda: front.ask("resend_code", who.at(), challenge_id=challenge_id))
    given = front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=code_of(app))
    factors = front.one(sa.select(LogInSession.factors).where(LogInSession.session_id == given["session_id"]))
    assert factors == "password totp"


@pytest.mark.parametrize(("steps", "right"), [(-3, False), (-1, True), (0, True), (1, True), (3, False)])
def test_clocks_of_phones_may_differ_by_one_step(
    front: Front, who: Person, app: dict[str, str], steps: int, right: bool
) -> None:
    proof = {"challenge_id": front.challenge(who, channel="totp"), "code": code_of(app, steps)}
    if right:
        assert front.ask("confirm_log_in", who.at(), **proof)["access_token"]
    else:
        refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), **proof))


def test_a_code_of_an_app_and_all_before_it_count_once(front: Front, who: Person, app: dict[str, str]) -> None:
    code, earlier = code_of(app), code_of(app, -1)
    first = front.challenge(who, channel="totp")
    assert front.ask("confirm_log_in", who.at(), challenge_id=first, code=code)["access_token"]
    for replayed in (code, earlier):
        challenge_id = front.challenge(who, channel="totp")
        refused(OneTimeCodeRefused, lambda i=challenge_id, c=replayed: front.ask(  # type: ignore[misc]
            "confirm_log_in", who.at(), challenge_id=i, code=c))  # fmt: skip


def test_the_first_code_of_an_app_does_not_log_in_too(front: Front, who: Person) -> None:
    me = front.session(who)
    begun = begin(front, me)
    code = code_of(begun)
    prove(front, me, begun, code)
    challenge_id = front.challenge(who, channel="totp")
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=code))


def test_of_a_hundred_submissions_of_one_app_code_exactly_one_is_accepted(
    front: Front, who: Person, app: dict[str, str]
) -> None:
    challenges = [front.challenge(Person(who.matricule, f"203.0.113.{at}", who.email), channel="totp")
                  for at in range(20)]  # fmt: skip
    code = code_of(app)

    def submit(at: int) -> str:
        try:
            front.ask("confirm_log_in", who.at(), challenge_id=challenges[at % len(challenges)], code=code)
        except Refusal as refusal:
            return refusal.code
        return "in"

    with ThreadPoolExecutor(12) as pool:
        answers = Counter(pool.map(submit, range(100)))
    assert answers == {"in": 1, "one_time_code_refused": 99}


def test_a_code_of_somebody_elses_app_opens_nothing(front: Front, who: Person, app: dict[str, str]) -> None:
    other = front.member(front.patient())
    me = front.session(other)
    theirs = begin(front, me)
    prove(front, me, theirs, code_of(theirs))
    forget_use(front, theirs)
    challenge_id = front.challenge(who, channel="totp")
    for code in (code_of(theirs), "", None, "12345", "1234567"):
        refused(OneTimeCodeRefused, lambda code=code: front.ask(  # type: ignore[misc]
            "confirm_log_in", who.at(), challenge_id=challenge_id, code=code))  # fmt: skip
    refused(OneTimeCodeRefused, lambda: front.ask(
        "confirm_log_in", who.at(), challenge_id=challenge_id, code=code_of(app)))  # fmt: skip
    again = front.challenge(who, channel="totp")
    sent_code = front.house.identity.key.one_time_code(again)
    refused(OneTimeCodeRefused, lambda: front.ask(
        "confirm_log_in", who.at(), challenge_id=again, code=sent_code))  # fmt: skip
    assert front.ask("confirm_log_in", who.at(), challenge_id=again, code=code_of(app))["access_token"]


def test_an_app_code_does_not_answer_for_a_code_that_was_mailed(front: Front, who: Person, app: dict[str, str]) -> None:
    challenge_id = front.challenge(who)
    refused(OneTimeCodeRefused, lambda: front.ask(
        "confirm_log_in", who.at(), challenge_id=challenge_id, code=code_of(app)))  # fmt: skip
    code = front.mail(challenge_id)["code"]
    assert front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=code)["access_token"]


def test_five_wrong_first_codes_end_the_attempt_to_add_an_app(front: Front, who: Person) -> None:
    me = front.session(who)
    begun = begin(front, me)
    for _ in range(5):
        refused(OneTimeCodeRefused, lambda: prove(front, me, begun, "000000"))
    refused(AuthenticatorNotFound, lambda: prove(front, me, begun, code_of(begun)))
    again = begin(front, me)
    assert prove(front, me, again, code_of(again))


def test_an_app_begun_long_ago_is_not_proved_any_more(front: Front, who: Person) -> None:
    me = front.session(who)
    begun = begin(front, me)
    late = now() - rules_sessions.AUTHENTICATOR_BEGUN
    whose = Authenticator.authenticator_id == begun["authenticator_id"]
    front.change(sa.update(Authenticator).where(whose).values(added_at=late))
    refused(AuthenticatorNotFound, lambda: prove(front, me, begun, code_of(begun)))


def test_an_account_has_five_apps_at_most_however_many_are_begun_at_one_moment(front: Front, who: Person) -> None:
    me = front.session(who)

    def add(_: int) -> str:
        try:
            begin(front, me)
        except Refusal as refusal:
            return refusal.code
        return "begun"

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(add, range(8))) == {"begun": 5, "too_many_authenticators": 3}
    assert refused(TooManyAuthenticators, lambda: begin(front, me)).detail == {"maximum": 5}


def test_an_app_is_removed_by_its_owner_only(front: Front, who: Person, app: dict[str, str]) -> None:
    other = front.session(front.member(front.patient()))
    wanted = {"authenticator_id": app["authenticator_id"]}
    refused(AuthenticatorNotFound, lambda: front.ask("remove_authenticator", other, **wanted))
    refused(AuthenticatorNotFound, lambda: front.ask("remove_authenticator", other, authenticator_id="x"))
    refused(AuthenticatorNotFound, lambda: front.ask("prove_authenticator", other, **wanted, code=code_of(app)))
    me = front.session(who)
    assert front.ask("remove_authenticator", me, **wanted) == {}
    refused(AuthenticatorNotFound, lambda: front.ask("remove_authenticator", me, **wanted))
    refused(ChannelNotAvailable, lambda: front.challenge(who, channel="totp"))


def test_apps_are_added_and_removed_by_who_has_lately_shown_who_they_are(
    front: Front, who: Person, app: dict[str, str]
) -> None:
    me = front.session(who)
    stale = sa.update(LogInSession).where(LogInSession.session_id == me.session_id)
    front.change(stale.values(authenticated_at=now() - rules_sessions.FRESH - timedelta(seconds=1)))
    refused(ReauthenticationDue, lambda: begin(front, me))
    remove = {"authenticator_id": app["authenticator_id"]}
    refused(ReauthenticationDue, lambda: front.ask("remove_authenticator", me, **remove))
    front.change(stale.values(authenticated_at=now()))
    assert begin(front, me) and front.ask("remove_authenticator", me, **remove) == {}


@pytest.mark.parametrize("name", ["", " ", "x" * 65, None])
def test_an_app_has_a_name(front: Front, who: Person, name: Any) -> None:
    refused(InvalidInput, lambda: begin(front, front.session(who), name=name))


def test_who_knows_the_password_does_not_guess_at_an_app_without_end(
    front: Front, who: Person, app: dict[str, str]
) -> None:
    tried = 0
    with pytest.raises(TooManyTries):
        while True:
            challenge_id = front.challenge(who, channel="totp")
            for _ in range(5):
                refused(OneTimeCodeRefused, lambda i=challenge_id: front.ask(  # type: ignore[misc]
                    "confirm_log_in", who.at(), challenge_id=i, code="000000"))  # fmt: skip
                tried += 1
    assert tried == 50, "ten codes an hour that nobody enters rightly"


def test_the_secret_of_an_app_lies_wrapped_and_opens_under_its_own_id_only(
    front: Front, who: Person, app: dict[str, str]
) -> None:
    whose = Authenticator.authenticator_id == app["authenticator_id"]
    wrapped = bytes(front.one(sa.select(Authenticator.wrapped_secret).where(whose)))
    assert app["secret"].encode() not in wrapped
    key = front.house.identity.key
    assert key.unwrapped_secret(app["authenticator_id"], wrapped) == app["secret"]
    with pytest.raises(Exception, match="does not open"):
        key.unwrapped_secret(new_id(), wrapped)


# --- an answer that was lost on the way -------------------------------------------------------------------------------


def test_a_repeat_under_one_key_shows_the_secret_of_the_same_app_and_no_answer_is_kept_with_it(front: Front) -> None:
    who = front.member(front.patient())
    me = front.session(who)
    keyed = replace(me, context=replace(me.context, idempotency_key=new_id()))
    first = begin(front, keyed)
    assert begin(front, keyed) == first
    refused(KeyReused, lambda: begin(front, keyed, name="Tablette"))
    count = sa.select(sa.func.count()).where(Authenticator.account_id == who.account_id)
    assert front.one(count) == 1 and begin(front, me) != first and front.one(count) == 2
    kept = front.one(sa.text("select string_agg(response::text, '') from requests"))
    assert first["authenticator_id"] in kept and first["secret"] not in kept and "secret" not in kept
    assert prove(front, me, first, code_of(first))


def test_a_repeat_shows_no_secret_to_an_old_log_in_nor_to_another_account(front: Front) -> None:
    me, other = (front.session(front.member(front.patient())) for _ in range(2))
    key = new_id()
    keyed, theirs = (replace(one, context=replace(one.context, idempotency_key=key)) for one in (me, other))
    first = begin(front, keyed)
    assert begin(front, theirs)["authenticator_id"] != first["authenticator_id"]
    whose = LogInSession.session_id == me.session_id
    front.change(sa.update(LogInSession).where(whose).values(authenticated_at=now() - timedelta(minutes=16)))
    refused(ReauthenticationDue, lambda: begin(front, keyed))
    front.change(sa.update(LogInSession).where(whose).values(authenticated_at=now()))
    assert begin(front, keyed) == first


def test_a_repeat_shows_no_secret_that_opens_the_account_already(front: Front) -> None:
    me = front.session(front.member(front.patient()))
    keyed = replace(me, context=replace(me.context, idempotency_key=new_id()))
    begun = begin(front, keyed)
    prove(front, me, begun, code_of(begun))
    refused(AuthenticatorNotFound, lambda: begin(front, keyed))
    assert begin(front, me)["authenticator_id"] != begun["authenticator_id"], "a new one is begun without the key"
