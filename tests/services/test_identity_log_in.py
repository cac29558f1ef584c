"""Log-in over a real database: password, one-time code, throttles, capacity, and what nobody learns."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from services.db import new_id, now
from services.directory.models import Professional
from services.identity.contract import (
    CONDITIONS_VERSION,
    AccountLocked,
    ChannelNotAvailable,
    ConditionsDue,
    LicenceNotValid,
    LogInRefused,
    OneTimeCodeRefused,
)
from services.identity.models import Account, Capacity, Challenge, LogInSession, TriesRow
from services.identity.ports import hashing
from services.refusals import InvalidInput, Refusal, TooManyTries, Unavailable
from tests.services.identity_house import KEY, PASSWORD, Front, Person, counting, refused


def test_a_person_logs_in_with_password_and_code(front: Front) -> None:
    who = front.member(front.patient())
    given = front.log_in(who)
    assert given["token_type"] == "Bearer" and given["expires_in"] == 600 and given["capacity"] == "patient"
    me = front.caller_of(given["access_token"])
    assert (me.account_id, me.session_id, me.patient_id) == (given["account_id"], given["session_id"], who.patient_id)
    assert me.expires_at - time.time() == pytest.approx(600, abs=5)
    opened = front.traces(who.address, "session.opened")
    assert [trace["outcome"] for trace in opened] == ["allowed"]
    assert (opened[0]["patient_id"], opened[0]["session_id"]) == (who.patient_id, me.session_id)


def test_a_log_in_whose_answer_died_with_its_worker_gives_the_same_session(front: Front) -> None:
    who = front.member(front.professional(), "professional")
    challenge_id = front.challenge(who)
    said = {"challenge_id": challenge_id, "code": front.mail(challenge_id)["code"]}
    asked = who.at()
    lost = front.ask("confirm_log_in", asked, **said)
    again = front.ask("confirm_log_in", replace(asked, redelivered=True), **said)
    assert again["session_id"] == lost["session_id"] and again["refresh_token"] != lost["refresh_token"]
    me = front.caller_of(again["access_token"])
    assert [one["session_id"] for one in front.ask("list_sessions", me)["sessions"]] == [me.session_id]
    assert front.ask("refresh", who.at(), refresh_token=again["refresh_token"])["session_id"] == me.session_id
    told = [(t["session_id"], t["professional_id"]) for t in front.traces(who.address, "session.opened")]
    assert told == [(me.session_id, who.professional_id)] * 2  # the second says so, and audit keeps one


@pytest.mark.parametrize("other", [{"redelivered": True}, {}])
def test_a_code_that_another_request_used_opens_nothing_though_its_worker_died(
    front: Front, other: dict[str, Any]
) -> None:
    who = front.member(front.patient())
    challenge_id = front.challenge(who)
    said = {"challenge_id": challenge_id, "code": front.mail(challenge_id)["code"]}
    asked = who.at()
    front.ask("confirm_log_in", asked, **said)
    again = replace(who.at(), **other) if other else asked
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", again, **said))


def test_a_session_that_ended_meanwhile_is_not_opened_by_the_request_done_again(front: Front) -> None:
    who = front.member(front.patient())
    challenge_id = front.challenge(who)
    said = {"challenge_id": challenge_id, "code": front.mail(challenge_id)["code"]}
    asked = who.at()
    lost = front.ask("confirm_log_in", asked, **said)
    front.ask("log_out", front.caller_of(lost["access_token"]))
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", replace(asked, redelivered=True), **said))


def test_wrong_passwords_and_unknown_people_are_refused_alike_at_the_price_of_one_hash(front: Front) -> None:
    known = front.member(front.patient())
    letter_only = front.patient()
    front.letter(letter_only)
    long = PASSWORD + "x" * 200
    cases = ((known, "wrong"), (front.person(), PASSWORD), (letter_only, PASSWORD), (known, ""), (known, long))
    for who, password in cases:

        def attempt(who: Person = who, password: str = password) -> Any:
            at = front.person().at()
            return front.ask("start_log_in", at, matricule=who.matricule, password=password)

        assert refused(LogInRefused, attempt).to_wire() == {"code": "log_in_refused", "detail": {}}
        assert counting(front, attempt) == 1
    assert counting(front, lambda: front.challenge(known)) == 1
    for matricule in ("1", None):
        refused(InvalidInput, lambda matricule=matricule: front.ask(  # type: ignore[misc]
            "start_log_in", known.at(), matricule=matricule, password=PASSWORD))  # fmt: skip


def test_a_hash_of_an_earlier_cost_still_lets_in_and_is_made_anew_by_the_right_password_alone(front: Front) -> None:
    who = front.member(front.patient())
    cheap = PasswordHasher(time_cost=1, memory_cost=hashing.MEMORY_KIB, parallelism=1).hash(PASSWORD)
    of_account = Account.account_id == front.log_in(who)["account_id"]
    with front.house.sessions["identity"].transaction() as session:
        session.execute(sa.update(Account).where(of_account).values(password_hash=cheap))

    def stored() -> str:
        with front.house.sessions["identity"].transaction() as session:
            return str(session.scalar(sa.select(Account.password_hash).where(of_account)))

    refused(LogInRefused, lambda: front.challenge(who, "wrong"))
    assert stored() == cheap
    front.log_in(who)
    renewed = stored()
    assert hashing.is_outdated(cheap) and not hashing.is_outdated(renewed)
    front.log_in(who)
    assert stored() == renewed


def test_six_wrong_passwords_leave_six_tries_and_six_traces_and_a_stranger_locks_nobody_out(front: Front) -> None:
    who, stranger = front.member(front.patient()), front.person()
    thief = replace(who, address=stranger.address)
    for _ in range(5):
        refused(LogInRefused, lambda: front.challenge(thief, "wrong"))
    refused(TooManyTries, lambda: front.challenge(thief, "wrong"))
    refused(TooManyTries, lambda: front.challenge(thief))
    traces = front.traces(stranger.address, "session.opened")
    assert Counter(t["reason"] for t in traces) == {"log_in_refused": 5, "too_many_tries": 2}
    key = KEY.throttle_key("log_in", KEY.log_in_name(who.matricule).hex(), stranger.address)
    assert front.one(sa.select(TriesRow.tries).where(TriesRow.key == key)) == 7
    assert front.log_in(who)["access_token"]


def test_an_unknown_person_waits_like_a_known_one(front: Front) -> None:
    nobody = front.person()
    for _ in range(5):
        refused(LogInRefused, lambda: front.challenge(nobody))
    refused(TooManyTries, lambda: front.challenge(nobody))


def test_one_address_that_tries_many_people_is_slowed_down(front: Front) -> None:
    thief = front.person()
    key = KEY.throttle_key("log_in", thief.address)
    front.change(sa.insert(TriesRow).values(key=key, tries=100, checked=100, last_at=now(),
                                            blocked_until=now() + timedelta(seconds=60)))  # fmt: skip
    refused(TooManyTries, lambda: front.challenge(replace(front.person(), address=thief.address)))


def test_codes_are_not_mailed_without_end_to_who_knows_the_password(front: Front) -> None:
    who = front.member(front.patient())
    for _ in range(10):
        front.challenge(who)
    refused(TooManyTries, lambda: front.challenge(who))


def test_who_enters_the_codes_logs_in_as_often_as_a_day_asks_for(front: Front) -> None:
    who = front.member(front.patient())
    for _ in range(12):
        front.log_in(who)
    for _ in range(10):
        front.challenge(who)
    refused(TooManyTries, lambda: front.challenge(who))


@pytest.mark.parametrize("rivals", [100])
def test_of_a_hundred_submissions_of_one_code_exactly_one_is_accepted(front: Front, rivals: int) -> None:
    who = front.member(front.patient())
    challenge_id = front.challenge(who)
    code = front.mail(challenge_id)["code"]

    def submit(_: int) -> str:
        try:
            front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=code)
        except Refusal as refusal:
            return refusal.code
        return "in"

    with ThreadPoolExecutor(12) as pool:
        answers = Counter(pool.map(submit, range(rivals)))
    assert answers == {"in": 1, "one_time_code_refused": rivals - 1}


def test_six_wrong_one_time_codes_leave_six_traces_and_the_right_one_dead(front: Front) -> None:
    who = front.member(front.patient())
    challenge_id = front.challenge(who)
    code = front.mail(challenge_id)["code"]
    for _ in range(6):
        refused(OneTimeCodeRefused, lambda: front.ask(
            "confirm_log_in", who.at(), challenge_id=challenge_id, code="wrong1"))  # fmt: skip
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=code))
    assert len(front.traces(who.address, "session.opened", "one_time_code_refused")) == 7
    assert front.mail(challenge_id) == {"spent": True}
    assert front.log_in(who)["access_token"], "a new challenge helps"


def test_a_code_of_another_time_account_or_purpose_opens_nothing(front: Front) -> None:
    one, other, newcomer = front.member(front.patient()), front.member(front.patient()), front.patient()
    run = front.begin(newcomer, front.letter(newcomer))
    front.walk(run, newcomer, until="contact")
    contact = front.add_contact(run, newcomer.email)
    mine, theirs, late = front.challenge(one), front.challenge(other), front.challenge(one)
    codes = {challenge_id: front.mail(challenge_id)["code"] for challenge_id in (contact, mine, theirs, late)}
    front.change(sa.update(Challenge).where(Challenge.challenge_id == late).values(expires_at=now()))
    assert front.mail(late) == {"spent": True}
    for challenge_id, code in (
        (mine, codes[theirs]), (theirs, codes[mine]), (contact, codes[contact]), (late, codes[late]),
        (new_id(), codes[mine]), ("x", codes[mine]), (mine, None), (mine, codes[late]),
    ):  # fmt: skip
        refused(OneTimeCodeRefused, lambda i=challenge_id, c=code: front.ask(  # type: ignore[misc]
            "confirm_log_in", one.at(), challenge_id=i, code=c))  # fmt: skip
    assert front.ask("confirm_log_in", one.at(), challenge_id=mine, code=f" {codes[mine]} ")["access_token"]


def test_a_professional_without_a_valid_licence_does_not_come_in(front: Front) -> None:
    doctor = front.member(front.professional(), "professional")
    given = front.log_in(doctor)
    assert front.caller_of(given["access_token"]).establishment_id is not None

    def licence(state: str) -> None:
        with front.house.sessions["directory"].transaction() as session:
            session.execute(sa.update(Professional).where(Professional.professional_id == doctor.professional_id)
                            .values(licence=state))  # fmt: skip

    licence("suspended")
    refused(LicenceNotValid, lambda: front.log_in(doctor))
    refused(LicenceNotValid, lambda: front.ask("refresh", doctor.at(), refresh_token=given["refresh_token"]))
    assert given["session_id"] in [event["session_id"] for event in front.events("session_ended.v1")]
    licence("valid")
    assert front.log_in(doctor)["access_token"]


# --- channels, sending again ------------------------------------------------------------------------------------------


def test_a_code_goes_by_the_channel_chosen(front: Front) -> None:
    who = front.member(front.patient())
    number = front.mobile(who)
    sent = front.mail(front.challenge(who, channel="mobile"))
    assert (sent["kind"], sent["address"]) == ("mobile", number)
    by_mail = front.mail(front.challenge(who, channel="email"))
    assert (by_mail["kind"], by_mail["address"]) == ("email", who.email)
    challenge_id = front.challenge(who, channel="mobile")
    code = front.mail(challenge_id)["code"]
    given = front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=code)
    factors = sa.select(LogInSession.factors).where(LogInSession.session_id == given["session_id"])
    assert front.one(factors) == "password mobile"
    assert front.traces(who.address, "session.opened")[-1]["purpose"] == "password mobile"


def test_only_who_knows_the_password_learns_which_channels_an_account_has(front: Front) -> None:
    who = front.member(front.patient())
    for channel in ("mobile", "totp"):
        refusal = refused(ChannelNotAvailable, lambda c=channel: front.challenge(who, channel=c))  # type: ignore[misc]
        assert refusal.detail == {"channels": ["email"]}
        at = replace(who, address=front.person().address)
        refused(LogInRefused, lambda c=channel, at=at: front.challenge(at, "wrong", channel=c))  # type: ignore[misc]
        refused(LogInRefused, lambda c=channel: front.challenge(front.person(), channel=c))  # type: ignore[misc]
    refused(InvalidInput, lambda: front.challenge(who, channel="fax"))
    reasons = [trace["reason"] for trace in front.traces(who.address, "session.opened")]
    assert reasons == ["channel_not_available"] * 2


def test_a_mailbox_that_is_barred_after_a_reset_gets_no_codes_until_another_factor_lifts_the_bar(front: Front) -> None:
    who = front.member(front.patient())
    bar = sa.update(Account).where(Account.account_id == who.account_id)
    front.change(bar.values(mail_codes_from=now() + timedelta(hours=24)))
    assert refused(ChannelNotAvailable, lambda: front.challenge(who)).detail == {"channels": []}
    front.mobile(who)
    assert refused(ChannelNotAvailable, lambda: front.challenge(who)).detail == {"channels": ["mobile"]}
    challenge_id = front.challenge(who, channel="mobile")
    front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=front.mail(challenge_id)["code"])
    assert front.one(sa.select(Account.mail_codes_from).where(Account.account_id == who.account_id)) is None
    assert front.log_in(who)["access_token"], "and mail serves again"
    front.change(bar.values(mail_codes_from=now() - timedelta(seconds=1)))
    assert front.log_in(who)["access_token"], "so it does when the day is over"
    assert front.one(sa.select(Account.mail_codes_from).where(Account.account_id == who.account_id)) is not None


def test_a_code_is_sent_again_twice_and_is_the_same(front: Front) -> None:
    who = front.member(front.patient())
    challenge_id = front.challenge(who)
    first = front.mail(challenge_id)
    for _ in range(2):
        again = front.ask("resend_code", who.at(), challenge_id=challenge_id)
        assert again["challenge_id"] == challenge_id and front.mail(challenge_id) == first
    asked = [e for e in front.events("one_time_code_requested.v1") if e["challenge_id"] == challenge_id]
    assert len(asked) == 3
    refusal = refused(TooManyTries, lambda: front.ask("resend_code", who.at(), challenge_id=challenge_id))
    assert 0 < refusal.detail["retry_after"] <= 300
    assert len([e for e in front.events("one_time_code_requested.v1") if e["challenge_id"] == challenge_id]) == 3
    assert front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=first["code"])["access_token"]


def test_a_code_that_is_over_or_was_never_sent_is_not_sent_again(front: Front) -> None:
    who, newcomer = front.member(front.patient()), front.patient()
    run = front.begin(newcomer, front.letter(newcomer))
    front.walk(run, newcomer, until="contact")
    of_activation = front.add_contact(run, newcomer.email)
    used, late = front.challenge(who), front.challenge(who)
    front.ask("confirm_log_in", who.at(), challenge_id=used, code=front.mail(used)["code"])
    front.change(sa.update(Challenge).where(Challenge.challenge_id == late).values(expires_at=now()))
    for challenge_id in (used, late, of_activation, new_id(), "x"):
        refused(OneTimeCodeRefused, lambda i=challenge_id: front.ask("resend_code", who.at(), challenge_id=i))  # type: ignore[misc]
    assert front.ask("resend_code", who.at(), challenge_id=front.challenge(who))


def test_codes_are_not_sent_again_without_end_whatever_the_challenge(front: Front) -> None:
    who = front.member(front.patient())
    sent = 0
    with pytest.raises(TooManyTries):
        for _ in range(20):
            challenge_id = front.challenge(who)
            front.ask("resend_code", who.at(), challenge_id=challenge_id)
            sent += 2
    assert sent == 10


def test_a_password_known_to_many_addresses_asks_for_a_bounded_number_of_codes(front: Front) -> None:
    who = front.member(front.patient())
    for at in range(30):
        front.challenge(replace(who, address=f"203.0.113.{at}"))
    waits = refused(TooManyTries, lambda: front.challenge(replace(who, address="203.0.113.77"))).detail["retry_after"]
    assert 0 < waits <= 300, "its owner waits, and not for long"


# --- what a log-in meets at its end -----------------------------------------------------------------------------------


def begun(front: Front, who: Person) -> dict[str, str]:
    challenge_id = front.challenge(who)
    return {"challenge_id": challenge_id, "code": front.mail(challenge_id)["code"]}


@pytest.mark.parametrize("accepted", [None, "2020-01"])
def test_conditions_that_are_due_are_accepted_with_the_log_in_and_spend_no_code(
    front: Front, accepted: str | None
) -> None:
    who = front.member(front.patient(), accepted=accepted)
    proof = begun(front, who)
    for _ in range(2):
        refusal = refused(ConditionsDue, lambda: front.ask("confirm_log_in", who.at(), **proof))
        assert refusal.detail == {"version": CONDITIONS_VERSION}
    wrong = {"version": "2020-01", "language": "fr"}
    refused(InvalidInput, lambda: front.ask("confirm_log_in", who.at(), **proof, conditions=wrong))
    right = {"version": CONDITIONS_VERSION, "language": "pt"}
    refused(OneTimeCodeRefused, lambda: front.ask(
        "confirm_log_in", who.at(), **(proof | {"code": "wrong1"}), conditions=right))  # fmt: skip
    assert front.ask("confirm_log_in", who.at(), **proof, conditions=right)["access_token"]
    with front.sessions.transaction() as session:
        held = session.get_one(Capacity, (who.account_id, "patient"))
        assert (held.conditions_version, held.conditions_language) == (CONDITIONS_VERSION, "pt")
    activated = [e for e in front.events("account_activated.v1") if e["account_id"] == who.account_id]
    assert len(activated) == (1 if accepted is None else 0), "told once, at the first acceptance"
    assert front.log_in(who)["access_token"], "and never asked again"


def test_conditions_accepted_in_one_capacity_are_due_in_another(front: Front) -> None:
    who = front.member(front.member(front.patient()), "agent", accepted=None)
    assert front.log_in(who, capacity="patient")["access_token"]
    refused(ConditionsDue, lambda: front.log_in(who, capacity="agent"))


def test_a_locked_account_is_told_so_only_to_who_has_the_right_code(front: Front) -> None:
    who = front.member(front.patient())
    proof = begun(front, who)
    change = sa.update(Account).where(Account.account_id == who.account_id)
    front.change(change.values(locked_at=now(), lock_cause="request"))
    refused(LogInRefused, lambda: front.challenge(replace(who, address=front.person().address), "wrong"))
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), **(proof | {"code": "wrong1"})))
    refused(AccountLocked, lambda: front.ask("confirm_log_in", who.at(), **proof))
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), **proof))
    assert front.traces(who.address, "session.opened", "account_locked")
    front.change(change.values(locked_at=None, lock_cause=None))
    assert front.log_in(who)["access_token"]


def test_a_log_in_begun_with_a_password_that_was_changed_since_does_not_come_in(front: Front) -> None:
    who = front.member(front.patient())
    stale = begun(front, who)
    change = sa.update(Account).where(Account.account_id == who.account_id)
    front.change(change.values(password_changed_at=now()))
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), **stale))
    assert front.ask("confirm_log_in", who.at(), **begun(front, who))["access_token"]


def test_an_outage_of_the_directory_spends_no_code(front: Front) -> None:
    class Down:
        def capacity_facts(self, _who: Any, **_: Any) -> Any:
            raise Unavailable(service="directory")

    doctor = front.member(front.professional(), "professional")
    proof = begun(front, doctor)
    usual, front.house.identity.directory = front.house.identity.directory, Down()
    try:
        refused(Unavailable, lambda: front.ask("confirm_log_in", doctor.at(), **proof))
    finally:
        front.house.identity.directory = usual
    assert front.ask("confirm_log_in", doctor.at(), **proof)["access_token"]
