"""The forgotten password over a real database: the link, what it opens, and what nobody learns."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.identity import store_account, store_notices
from services.identity.contract import (
    ChannelNotAvailable,
    LogInRefused,
    OneTimeCodeRefused,
    PasswordResetRefused,
    PasswordTooCommon,
)
from services.identity.models import Account, Contact
from services.identity.models_desk import Notice, PasswordReset
from services.identity.models_factors import LuxTrustProduct, Passkey
from services.refusals import InvalidInput, Refusal, SessionEnded, TooManyTries
from services.tokens import Caller
from tests import builders
from tests.builders import caller, context
from tests.services.identity_house import KEY, Front, Person, counting, refused

NEW_PASSWORD = "quatre hérissons bleus"


def owner(front: Front) -> tuple[Person, Caller]:
    who = front.activate(front.patient())
    return who, front.caller_of(front.log_in(who)["access_token"])


def ask(front: Front, who: Person, email: str | None = None, **at: Any) -> Any:
    """Somebody fills in the form of the forgotten password."""
    return front.ask("request_password_reset", who.at(**at), matricule=who.matricule, email=email or who.email)


def link(front: Front, who: Person, **at: Any) -> tuple[str, str]:
    """The link in the mail: id and token."""
    before = {event["notice_id"] for event in front.events("account_notice_due.v1")}
    ask(front, who, **at)
    [notice_id] = [e["notice_id"] for e in front.events("account_notice_due.v1") if e["notice_id"] not in before]
    told = front.ask("account_notice", context(), "notifications", notice_id=notice_id)
    assert told["recipients"] == [{"kind": "email", "value": who.email}]
    reset_id, token = told["values"]["reset"].split(".")
    return reset_id, token


def follow(front: Front, found: tuple[str, str], password: str = NEW_PASSWORD, who: Person | None = None) -> Any:
    at = (who or front.person()).at()
    return front.ask("reset_password", at, reset_id=found[0], token=found[1], password=password)


def add_mobile(front: Front, me: Caller) -> str:
    mobile = f"+352661{int(new_id()[-6:], 16) % 1000000:06d}"
    challenge_id = front.ask("add_account_contact", me, kind="mobile", value=mobile)["challenge_id"]
    front.ask("prove_account_contact", me, challenge_id=challenge_id, code=front.mail(challenge_id)["code"])
    return mobile


def told(front: Front, occasion: str, address: str) -> list[set[str]]:
    """To whom each notice of this kind goes that goes to this address."""
    with front.sessions.transaction() as session:
        rows = session.scalars(sa.select(Notice.recipients).where(Notice.occasion == occasion)).all()
    each = [{one["value"] for one in row} for row in rows]
    return [values for values in each if address in values]


# --- the way through --------------------------------------------------------------------------------------------------


def test_the_link_sets_a_new_password_ends_every_session_and_all_addresses_are_told(front: Front) -> None:
    who, me = owner(front)
    mobile = add_mobile(front, me)
    begun = front.challenge(who)
    code = front.mail(begun)["code"]
    answer = follow(front, link(front, who))
    assert answer == {"next": {"channels": ["mobile"], "mail_codes_from": None}}
    refused(SessionEnded, lambda: front.ask("describe_account", me))
    assert [e["session_id"] for e in front.events("session_ended.v1")].count(me.session_id) == 1
    assert told(front, "password_reset", who.email) == [{who.email, mobile}]
    refused(LogInRefused, lambda: front.challenge(who))
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), challenge_id=begun, code=code))
    done = [t for t in front.events("access_traced.v1") if t["action"] == "password.reset"]
    assert [t["patient_id"] for t in done if t["account_id"] == me.account_id] == [who.patient_id]


def test_after_a_reset_the_mailbox_alone_does_not_get_in_and_another_factor_lifts_that(front: Front) -> None:
    who, me = owner(front)
    add_mobile(front, me)
    follow(front, link(front, who))
    barred = refused(ChannelNotAvailable, lambda: front.challenge(who, NEW_PASSWORD))
    assert barred.detail["channels"] == ["mobile"]
    asked = {"matricule": who.matricule, "password": NEW_PASSWORD}
    begun = front.ask("start_log_in", who.at(), **asked, channel="mobile")["challenge_id"]
    front.ask("confirm_log_in", who.at(), challenge_id=begun, code=front.mail(begun)["code"])
    assert front.challenge(who, NEW_PASSWORD), "from then on a code may go by e-mail again"


def test_where_mail_is_all_there_is_a_day_passes_first(front: Front) -> None:
    who, me = owner(front)
    answer = follow(front, link(front, who))
    assert answer["next"]["channels"] == ["email"]
    until = front.one(sa.select(Account.mail_codes_from).where(Account.account_id == me.account_id))
    assert timedelta(hours=23, minutes=59) < until - now() <= timedelta(hours=24)
    assert answer["next"]["mail_codes_from"] == until.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    refused(ChannelNotAvailable, lambda: front.challenge(who, NEW_PASSWORD))
    passed = sa.update(Account).where(Account.account_id == me.account_id).values(mail_codes_from=now())
    front.change(passed)
    assert front.challenge(who, NEW_PASSWORD)


@pytest.mark.parametrize("way", ["luxtrust", "passkey"])
def test_any_other_way_in_bars_mail_until_it_is_used(front: Front, way: str) -> None:
    who, me = owner(front)
    at = now()
    front.change({
        "luxtrust": sa.insert(LuxTrustProduct).values(
            subject=new_id().encode(), product_id=new_id(), account_id=me.account_id, product="x", linked_at=at),
        "passkey": sa.insert(Passkey).values(
            device_id=new_id(), account_id=me.account_id, credential_id=new_id().encode(), public_key=b"", sign_count=0,
            name="x", backed_up=False, added_at=at),
    }[way])  # fmt: skip
    assert follow(front, link(front, who))["next"] == {"channels": [way], "mail_codes_from": None}
    until = front.one(sa.select(Account.mail_codes_from).where(Account.account_id == me.account_id))
    assert until.year == 9999


# --- single use -------------------------------------------------------------------------------------------------------


def test_a_link_used_twice_is_refused_even_when_both_come_at_once(front: Front) -> None:
    who, _ = owner(front)
    found = link(front, who)

    def attempt(number: int) -> str:
        try:
            follow(front, found, f"{NEW_PASSWORD} {number}")
        except Refusal as refusal:
            return refusal.code
        return "reset"

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(attempt, range(16))) == {"reset": 1, "password_reset_refused": 15}
    refused(PasswordResetRefused, lambda: follow(front, found))


def test_every_wrong_link_is_refused_alike_and_costs_no_hash(front: Front) -> None:
    who, _ = owner(front)
    other, _ = owner(front)
    mine, theirs = link(front, who), link(front, other)
    expired = link(front, who)
    front.change(sa.update(PasswordReset).where(PasswordReset.reset_id == expired[0]).values(expires_at=now()))
    unknown = new_id()
    cases = [
        (mine[0], theirs[1]), (mine[0], ""), (mine[0], mine[1][:-1]), (mine[0], "x" * 5000), (mine[0], "é"),
        expired, (unknown, mine[1]), (unknown, KEY.reset_token(unknown)), ("' or 1=1", mine[1]),
        (mine[0], KEY.one_time_code(mine[0])),
    ]  # fmt: skip
    for found in cases:

        def attempt(found: tuple[str, str] = found) -> Any:
            return follow(front, found)

        assert refused(PasswordResetRefused, attempt).to_wire() == {"code": "password_reset_refused", "detail": {}}
        assert counting(front, attempt) == 0
    follow(front, mine)


def test_a_password_that_is_guessed_first_leaves_the_link_good(front: Front) -> None:
    who, _ = owner(front)
    found = link(front, who)
    refused(PasswordTooCommon, lambda: follow(front, found, "password1234"))
    refused(PasswordTooCommon, lambda: follow(front, found, f"ma {who.matricule} carte"))
    follow(front, found)


def test_a_new_password_voids_the_links_still_on_their_way(front: Front) -> None:
    who, _ = owner(front)
    first, second = link(front, who), link(front, who)
    follow(front, second)
    refused(PasswordResetRefused, lambda: follow(front, first))
    found = link(front, who)
    front.change(sa.update(Account).where(Account.log_in_name == KEY.log_in_name(who.matricule))
                 .values(mail_codes_from=None))  # fmt: skip
    begun = front.challenge(who, NEW_PASSWORD)
    tokens = front.ask("confirm_log_in", who.at(), challenge_id=begun, code=front.mail(begun)["code"])
    me = front.caller_of(tokens["access_token"])
    front.ask("change_password", me, current_password=NEW_PASSWORD, password=f"{NEW_PASSWORD} deux")
    refused(PasswordResetRefused, lambda: follow(front, found))


def test_a_link_dies_with_the_address_it_was_sent_to(front: Front) -> None:
    who, me = owner(front)
    fresh = f"neu.{new_id()}@example.lu"
    challenge_id = front.ask("add_account_contact", me, kind="email", value=fresh)["challenge_id"]
    front.ask("prove_account_contact", me, challenge_id=challenge_id, code=front.mail(challenge_id)["code"])
    found = link(front, who)
    held = {one["value"]: one["contact_id"] for one in front.ask("describe_account", me)["contacts"]}
    front.ask("remove_contact", me, contact_id=held[who.email])
    refused(PasswordResetRefused, lambda: follow(front, found))
    assert front.ask("describe_account", me)["contacts"]


def test_a_link_is_left_good_by_the_removal_of_a_telephone(front: Front) -> None:
    who, me = owner(front)
    mobile = add_mobile(front, me)
    found = link(front, who)
    held = {one["value"]: one["contact_id"] for one in front.ask("describe_account", me)["contacts"]}
    front.ask("remove_contact", me, contact_id=held[mobile])
    follow(front, found)


def test_a_link_of_before_a_lock_is_worth_nothing_when_it_is_lifted(front: Front) -> None:
    who, _ = owner(front)
    found = link(front, who)
    agency = caller("agent")
    front.ask("lock_account", agency, matricule=who.matricule, cause="lost_device")
    front.ask("unlock_account", agency, matricule=who.matricule)
    refused(PasswordResetRefused, lambda: follow(front, found))
    follow(front, link(front, who))


def test_a_locked_account_is_not_opened_by_a_link_of_before(front: Front) -> None:
    who, me = owner(front)
    found = link(front, who)
    locked = sa.update(Account).where(Account.account_id == me.account_id)
    front.change(locked.values(locked_at=now(), lock_cause="request"))
    refused(PasswordResetRefused, lambda: follow(front, found))
    front.change(locked.values(locked_at=None, lock_cause=None))
    follow(front, found)


def test_many_wrong_links_from_one_address_are_slowed_down(front: Front) -> None:
    stranger = front.person()
    wrong = (new_id(), "x")
    for _ in range(100):
        refused(PasswordResetRefused, lambda: follow(front, wrong, who=stranger))
    refused(TooManyTries, lambda: follow(front, wrong, who=stranger))
    refused(PasswordResetRefused, lambda: follow(front, wrong)), "from elsewhere they are looked at"


# --- what nobody learns -----------------------------------------------------------------------------------------------


def statements(front: Front, call: Any) -> list[str]:
    """The words to the database that a call costs, without their values."""
    words: list[str] = []
    engine = front.sessions.engine

    def note(_connection: Any, _cursor: Any, statement: str, _parameters: Any, asked: Any, _many: bool) -> None:
        words.append(builders.said(statement, asked))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return words


def test_whoever_asks_for_whom_gets_the_same_answer_after_the_same_work(front: Front) -> None:
    who, _ = owner(front)
    locked, account = owner(front)
    front.change(sa.update(Account).where(Account.account_id == account.account_id).values(locked_at=now()))
    often, _ = owner(front)
    for _ in range(3):
        ask(front, often, address=front.person().address)
    stranger, other = front.person(), owner(front)[0]
    cases = {
        "the owner": (who, who.email), "the owner in capitals": (who, who.email.upper()),
        "another's address": (who, other.email), "no such address": (who, "nobody@example.lu"),
        "no account": (stranger, stranger.email), "no account, a known address": (stranger, who.email),
        "locked": (locked, locked.email), "too often": (often, often.email),
    }  # fmt: skip
    answers, work = {}, {}
    for name, (person, email) in cases.items():
        at = {"address": front.person().address}

        def call(person: Person = person, email: str = email, at: dict[str, str] = at, name: str = name) -> None:
            answers[name] = ask(front, person, email, **at)

        work[name] = statements(front, call)
    assert {str(answer) for answer in answers.values()} == {"{'expires_in': 1800}"}
    for name in cases:
        assert work[name] == work["the owner"], name
    assert len(told(front, "password_reset_requested", who.email)) == 2
    for address in (other.email, "nobody@example.lu", stranger.email, locked.email):
        assert told(front, "password_reset_requested", address) == []
    assert len(told(front, "password_reset_requested", often.email)) == 3


def test_an_address_that_was_never_proved_gets_no_link(front: Front) -> None:
    who, me = owner(front)
    wished = f"fremd.{new_id()}@example.lu"
    front.ask("add_account_contact", me, kind="email", value=wished)
    ask(front, who, wished)
    assert told(front, "password_reset_requested", wished) == []
    removed = f"alt.{new_id()}@example.lu"
    challenge_id = front.ask("add_account_contact", me, kind="email", value=removed)["challenge_id"]
    front.ask("prove_account_contact", me, challenge_id=challenge_id, code=front.mail(challenge_id)["code"])
    contact_id = front.one(sa.select(Contact.contact_id).where(Contact.value == removed))
    front.ask("remove_contact", me, contact_id=contact_id)
    ask(front, who, removed)
    assert told(front, "password_reset_requested", removed) == []
    ask(front, who)
    assert len(told(front, "password_reset_requested", who.email)) == 1, "the right twin"


def test_a_stranger_asks_five_times_and_then_waits_known_or_not(front: Front) -> None:
    who, _ = owner(front)
    for person in (who, front.person()):
        address = front.person().address
        for _ in range(5):
            ask(front, person, "somebody@example.lu", address=address)
        waits = refused(TooManyTries, lambda person=person, at=address: ask(front, person, address=at))  # type: ignore[misc]
        assert waits.detail["retry_after"] > 0
    assert link(front, who, address=front.person().address), "the owner, elsewhere, is not kept out"


def test_what_is_no_matricule_or_no_address_is_named(front: Front) -> None:
    who = front.person()
    for matricule, email, pointer in (("12", who.email, "/matricule"), (who.matricule, "jane", "/email")):
        wrong = refused(InvalidInput, lambda m=matricule, e=email: front.ask("request_password_reset", who.at(),
                                                                             matricule=m, email=e))  # type: ignore[misc]  # fmt: skip
        assert [error["pointer"] for error in wrong.detail["errors"]] == [pointer]


def test_every_request_leaves_one_trace_and_no_address_in_any_event(front: Front) -> None:
    who, _ = owner(front)
    stranger = front.person()
    ask(front, who)
    ask(front, stranger)
    assert [t["outcome"] for t in front.traces(who.address, "password.reset_requested")] == ["allowed"]
    assert [t["reason"] for t in front.traces(stranger.address, "password.reset_requested")] == ["not_sent"]
    said = str(front.house.events("identity"))
    assert who.email not in said and who.matricule not in said and stranger.email not in said


def test_a_notice_whose_link_is_over_is_not_sent_any_more(front: Front) -> None:
    who, _ = owner(front)
    before = {event["notice_id"] for event in front.events("account_notice_due.v1")}
    ask(front, who)
    [notice_id] = [e["notice_id"] for e in front.events("account_notice_due.v1") if e["notice_id"] not in before]
    look = {"notice_id": notice_id}
    first = front.ask("account_notice", context(), "notifications", **look)
    assert front.ask("account_notice", context(), "notifications", **look) == first, "a repeat tells the same link"
    reset_id, token = first["values"]["reset"].split(".")
    follow(front, (reset_id, token))
    assert front.ask("account_notice", context(), "notifications", **look) == {"spent": True}


def test_old_links_and_notices_are_forgotten(front: Front) -> None:
    who, me = owner(front)
    link(front, who)
    of_mine = sa.select(sa.func.count()).where(PasswordReset.account_id == me.account_id)
    for days, left in ((1, 1), (3, 0)):
        with front.sessions.transaction() as session:
            store_account.sweep_account(session, now() + timedelta(days=days))
            store_notices.sweep_notices(session, now() + timedelta(days=days))
        assert front.one(of_mine) == left
        assert front.one(sa.select(sa.func.count()).select_from(Notice)) > 0
    with front.sessions.transaction() as session:
        store_notices.sweep_notices(session, now() + timedelta(days=8))
    assert front.one(sa.select(sa.func.count()).select_from(Notice)) == 0
