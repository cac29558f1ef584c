"""The account page over a real database: contacts, password, language, and who is told of each change."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.identity import store_account
from services.identity.contract import (
    ContactNotFound,
    ContactTaken,
    LastContact,
    LogInRefused,
    OneTimeCodeRefused,
    PasswordRefused,
    PasswordTooCommon,
    PasswordTooShort,
    ReauthenticationDue,
)
from services.identity.models import Capacity, Challenge, Contact, LogInSession
from services.identity.models_desk import Notice
from services.refusals import InvalidInput, KeyReused, Refusal, SessionEnded, TooManyTries
from services.tokens import Caller
from tests.builders import context
from tests.services.identity_house import PASSWORD, Front, Person, counting, refused

NEW_PASSWORD = "quatre hérissons bleus"


def owner(front: Front) -> tuple[Person, Caller]:
    """Somebody with an account, at their page, having logged in just now."""
    who = front.activate(front.patient())
    return who, front.caller_of(front.log_in(who)["access_token"])


def professional(front: Front) -> tuple[Person, Caller]:
    """The same, with an account that has a professional's capacity too."""
    who, me = owner(front)
    front.change(sa.insert(Capacity).values(
        account_id=me.account_id, kind="professional", subject_id=new_id(), conditions_version="2026-11",
        conditions_language="fr", conditions_accepted_at=now(), activated_at=now(),
    ))  # fmt: skip
    return who, me


def number() -> str:
    return f"+352621{int(new_id()[-6:], 16) % 1000000:06d}"


def add(front: Front, me: Caller, kind: str, value: str) -> str:
    return str(front.ask("add_account_contact", me, kind=kind, value=value)["challenge_id"])


def prove(front: Front, me: Caller, challenge_id: str, code: str | None = None) -> Any:
    code = code or front.mail(challenge_id)["code"]
    return front.ask("prove_account_contact", me, challenge_id=challenge_id, code=code)


def contacts(front: Front, me: Caller) -> dict[str, str]:
    """The proved addresses of an account, with their ids."""
    return {one["value"]: one["contact_id"] for one in front.ask("describe_account", me)["contacts"]}


def traces(front: Front, me: Caller, action: str) -> list[dict[str, Any]]:
    """The traces that a session left of one kind of action."""
    return [t for t in front.events("access_traced.v1") if t["session_id"] == me.session_id and t["action"] == action]


def notices(front: Front, me: Caller, occasion: str) -> list[set[str]]:
    """To whom each notice of this kind about this person's addresses goes."""
    with front.sessions.transaction() as session:
        rows = session.scalars(sa.select(Notice).where(Notice.occasion == occasion).order_by(Notice.created_at)).all()
    told = [{one["value"] for one in row.recipients} for row in rows]
    mine = set(contacts(front, me))
    return [each for each in told if each & mine]


# --- what the owner sees ----------------------------------------------------------------------------------------------


def test_the_owner_sees_the_whole_account_and_no_secret_of_it(front: Front) -> None:
    who, me = owner(front)
    page = front.ask("describe_account", me)
    [capacity] = page.pop("capacities")
    assert (capacity["capacity"], capacity["role"]) == ("patient", None) and capacity["activated_at"]
    [contact] = page.pop("contacts")
    assert (contact["kind"], contact["value"]) == ("email", who.email) and contact["proved_at"]
    assert page.pop("password_changed_at")
    assert page == {"account_id": me.account_id, "language": "fr", "luxtrust": [], "authenticators": [], "devices": 0}
    assert [trace["outcome"] for trace in traces(front, me, "account.read")] == ["allowed"]


def test_the_language_is_the_owners_choice_and_one_of_five(front: Front) -> None:
    _, me = owner(front)
    assert front.ask("set_language", me, language="lb")["language"] == "lb"
    assert front.ask("describe_account", me)["language"] == "lb"
    for wrong in ("it", "", None, "FR"):
        refused(InvalidInput, lambda wrong=wrong: front.ask("set_language", me, language=wrong))  # type: ignore[misc]
    assert front.ask("describe_account", me)["language"] == "lb"


# --- contacts ---------------------------------------------------------------------------------------------------------


def test_a_mobile_is_added_with_the_code_that_reaches_it_and_every_address_is_told(front: Front) -> None:
    who, me = owner(front)
    mobile = number()
    challenge_id = add(front, me, "mobile", mobile)
    sent = front.mail(challenge_id)
    assert (sent["kind"], sent["address"], sent["purpose"]) == ("mobile", mobile, "account_contact")
    assert list(contacts(front, me)) == [who.email], "it counts for nothing until it is proved"
    page = prove(front, me, challenge_id)
    assert {one["value"] for one in page["contacts"]} == {who.email, mobile}
    assert notices(front, me, "contact_added") == [{who.email, mobile}]
    started = front.ask("start_log_in", who.at(), matricule=who.matricule, password=PASSWORD, channel="mobile")
    assert front.mail(started["challenge_id"])["address"] == mobile


def test_an_address_is_changed_by_adding_the_new_and_removing_the_old_which_hears_of_both(front: Front) -> None:
    who, me = owner(front)
    fresh = f"neu.{new_id()}@example.lu"
    prove(front, me, add(front, me, "email", fresh))
    page = front.ask("remove_contact", me, contact_id=contacts(front, me)[who.email])
    assert [one["value"] for one in page["contacts"]] == [fresh]
    assert notices(front, me, "contact_added") == [{who.email, fresh}]
    assert notices(front, me, "contact_removed") == [{who.email, fresh}], "the old address is told of its own removal"
    for action in ("contact.added", "contact.removed"):
        assert [(t["outcome"], t["object_type"]) for t in traces(front, me, action)] == [("allowed", "contact")]


def test_a_code_of_another_account_session_or_purpose_proves_nothing(front: Front) -> None:
    who, me = owner(front)
    elsewhere = front.caller_of(front.log_in(who)["access_token"])
    _, other = owner(front)
    mine, theirs = add(front, me, "mobile", number()), add(front, other, "mobile", number())
    log_in = front.challenge(who)
    for challenge_id, asked_by, code_of in [
        (mine, other, mine), (mine, elsewhere, mine), (theirs, me, theirs), (mine, me, theirs), (log_in, me, log_in),
        (new_id(), me, mine),
    ]:  # fmt: skip
        code = front.mail(code_of)["code"]

        def attempt(challenge_id: str = challenge_id, by: Caller = asked_by, code: str = code) -> Any:
            return prove(front, by, challenge_id, code)

        refused(OneTimeCodeRefused, attempt)
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), challenge_id=mine,
                                                  code=front.mail(mine)["code"]))  # fmt: skip
    assert len(prove(front, me, mine)["contacts"]) == 2, "the right twin: one wrong try does not end it"


def test_five_wrong_codes_end_a_challenge_and_each_leaves_its_trace(front: Front) -> None:
    _, me = owner(front)
    challenge_id = add(front, me, "mobile", number())
    right = front.mail(challenge_id)["code"]
    for _ in range(5):
        refused(OneTimeCodeRefused, lambda: prove(front, me, challenge_id, "wrong!"))
    refused(OneTimeCodeRefused, lambda: prove(front, me, challenge_id, right))
    assert [t["reason"] for t in traces(front, me, "contact.added")] == ["one_time_code_refused"] * 6


def test_of_many_who_submit_one_valid_code_exactly_one_is_heard(front: Front) -> None:
    _, me = owner(front)
    challenge_id = add(front, me, "mobile", number())
    code = front.mail(challenge_id)["code"]

    def submit(_: int) -> str:
        try:
            prove(front, me, challenge_id, code)
        except Refusal as refusal:
            return refusal.code
        return "proved"

    with ThreadPoolExecutor(10) as pool:
        assert Counter(pool.map(submit, range(30))) == {"proved": 1, "one_time_code_refused": 29}


def test_the_same_code_is_sent_three_times_and_no_more(front: Front) -> None:
    _, me = owner(front)
    challenge_id = add(front, me, "mobile", number())
    code = front.mail(challenge_id)["code"]
    for _ in range(2):
        assert front.ask("resend_account_code", me, challenge_id=challenge_id)["challenge_id"] == challenge_id
    assert refused(TooManyTries, lambda: front.ask("resend_account_code", me, challenge_id=challenge_id))
    asked = [e for e in front.events("one_time_code_requested.v1") if e["challenge_id"] == challenge_id]
    assert [e["purpose"] for e in asked] == ["account_contact"] * 3
    assert front.mail(challenge_id)["code"] == code
    _, other = owner(front)
    refused(OneTimeCodeRefused, lambda: front.ask("resend_account_code", other, challenge_id=challenge_id))
    prove(front, me, challenge_id)
    refused(OneTimeCodeRefused, lambda: front.ask("resend_account_code", me, challenge_id=challenge_id))


def test_an_address_given_twice_under_one_key_is_sent_one_code(front: Front) -> None:
    _, me = owner(front)
    keyed, given = keyed_as(me), {"kind": "mobile", "value": number()}
    first = front.ask("add_account_contact", keyed, **given)
    assert front.ask("add_account_contact", keyed, **given) == first
    sent = [e for e in front.events("one_time_code_requested.v1") if e["challenge_id"] == first["challenge_id"]]
    assert len(sent) == 1 and len(traces(front, me, "account.change_begun")) == 1
    refused(KeyReused, lambda: front.ask("add_account_contact", keyed, kind="mobile", value=number()))
    assert front.ask("add_account_contact", me, **given) != first, "without a key it is asked for anew"
    _, other = owner(front)
    theirs = replace(other, context=replace(other.context, idempotency_key=keyed.context.idempotency_key))
    assert front.ask("add_account_contact", theirs, **given)["challenge_id"] != first["challenge_id"]


def keyed_as(me: Caller) -> Caller:
    return replace(me, context=replace(me.context, idempotency_key=new_id()))


def test_codes_to_ever_new_addresses_are_slowed_down(front: Front) -> None:
    _, me = owner(front)
    for _ in range(10):
        add(front, me, "mobile", number())
    wait = refused(TooManyTries, lambda: add(front, me, "mobile", number()))
    assert wait.detail["retry_after"] > 0


def test_where_codes_go_is_changed_only_by_somebody_who_showed_lately_that_it_is_them(front: Front) -> None:
    who, me = owner(front)
    prove(front, me, add(front, me, "mobile", number()))
    running = sa.update(LogInSession).where(LogInSession.session_id == me.session_id)
    front.change(running.values(authenticated_at=now() - timedelta(minutes=16)))
    refused(ReauthenticationDue, lambda: add(front, me, "mobile", number()))
    refused(ReauthenticationDue, lambda: front.ask("remove_contact", me, contact_id=contacts(front, me)[who.email]))
    front.ask("authenticate", me, password=PASSWORD)
    front.ask("remove_contact", me, contact_id=contacts(front, me)[who.email])


@pytest.mark.parametrize(("kind", "value"), [
    ("email", "jane"), ("email", "+352621123456"), ("mobile", "jane@example.lu"), ("mobile", "12"), ("totp", "x"),
    ("pigeon", "x"), ("mobile", None), ("email", "a" * 250 + "@example.lu"),
])  # fmt: skip
def test_what_is_no_address_is_named(front: Front, kind: str, value: Any) -> None:
    _, me = owner(front)
    refused(InvalidInput, lambda: add(front, me, kind, value))


def test_an_address_proved_already_is_not_proved_again(front: Front) -> None:
    who, me = owner(front)
    wrong = refused(InvalidInput, lambda: add(front, me, "email", who.email.upper()))
    assert wrong.detail["errors"] == [{"pointer": "/value", "message": "already_proved"}]


def test_a_professionals_mail_address_is_their_own_and_only_its_reader_learns_that_it_is_taken(front: Front) -> None:
    patient, _ = owner(front)
    _, me = professional(front)
    challenge_id = add(front, me, "email", patient.email)
    refused(OneTimeCodeRefused, lambda: prove(front, me, challenge_id, "wrong!"))
    refused(ContactTaken, lambda: prove(front, me, challenge_id))
    assert patient.email not in contacts(front, me)
    free = f"eigen.{new_id()}@example.lu"
    prove(front, me, add(front, me, "email", free))
    _, other = professional(front)
    refused(ContactTaken, lambda: prove(front, other, add(front, other, "email", free)))


def test_its_twins_a_patient_may_share_an_address_and_professionals_a_telephone(front: Front) -> None:
    patient, _ = owner(front)
    _, relative = owner(front)
    prove(front, relative, add(front, relative, "email", patient.email))
    assert patient.email in contacts(front, relative)
    ward_phone = number()
    for _ in range(2):
        _, me = professional(front)
        prove(front, me, add(front, me, "mobile", ward_phone))


def test_two_professionals_who_prove_one_address_at_the_same_moment_do_not_both_get_it(front: Front) -> None:
    shared = f"gemeinsam.{new_id()}@example.lu"
    tries = []
    for _ in range(4):
        _, me = professional(front)
        challenge_id = add(front, me, "email", shared)
        tries.append((me, challenge_id, front.mail(challenge_id)["code"]))

    def submit(one: tuple[Caller, str, str]) -> str:
        try:
            prove(front, *one)
        except Refusal as refusal:
            return refusal.code
        return "proved"

    with ThreadPoolExecutor(4) as pool:
        assert Counter(pool.map(submit, tries)) == {"proved": 1, "contact_taken": 3}


def test_the_last_proved_address_stays_even_when_two_are_removed_at_once(front: Front) -> None:
    who, me = owner(front)
    refused(LastContact, lambda: front.ask("remove_contact", me, contact_id=contacts(front, me)[who.email]))
    add(front, me, "mobile", number())  # never proved: it does not count
    refused(LastContact, lambda: front.ask("remove_contact", me, contact_id=contacts(front, me)[who.email]))
    prove(front, me, add(front, me, "mobile", number()))

    def remove(contact_id: str) -> str:
        try:
            front.ask("remove_contact", me, contact_id=contact_id)
        except Refusal as refusal:
            return refusal.code
        return "removed"

    with ThreadPoolExecutor(2) as pool:
        done = Counter(pool.map(remove, list(contacts(front, me).values())))
    assert done == {"removed": 1, "last_contact": 1}


def test_nobody_removes_the_address_of_another_account(front: Front) -> None:
    who, other = owner(front)
    _, me = owner(front)
    prove(front, me, add(front, me, "mobile", number()))
    for contact_id in (contacts(front, other)[who.email], new_id(), "' or 1=1"):
        refused(ContactNotFound, lambda contact_id=contact_id: front.ask("remove_contact", me, contact_id=contact_id))  # type: ignore[misc]
    assert who.email in contacts(front, other)


# --- password ---------------------------------------------------------------------------------------------------------


def change(front: Front, me: Caller, current: str = PASSWORD, new: str = NEW_PASSWORD) -> Any:
    return front.ask("change_password", me, current_password=current, password=new)


def test_a_new_password_ends_all_other_sessions_and_every_address_is_told(front: Front) -> None:
    who, me = owner(front)
    other = front.caller_of(front.log_in(who)["access_token"])
    begun = front.challenge(who)
    assert change(front, me) == {}
    refused(SessionEnded, lambda: front.ask("describe_account", other))
    assert front.ask("describe_account", me)["account_id"] == me.account_id, "the own session goes on"
    ended = [event["session_id"] for event in front.events("session_ended.v1")]
    assert ended.count(other.session_id) == 1 and me.session_id not in ended
    assert notices(front, me, "password_changed") == [{who.email}]
    refused(LogInRefused, lambda: front.challenge(who))
    code = front.mail(begun)
    refused(OneTimeCodeRefused, lambda: front.ask("confirm_log_in", who.at(), challenge_id=begun,
                                                  code=code.get("code", "x")))  # fmt: skip
    assert front.challenge(who, NEW_PASSWORD)


def test_a_wrong_current_password_changes_nothing_costs_one_hash_and_is_slowed_down(front: Front) -> None:
    who, me = owner(front)
    assert counting(front, lambda: change(front, me, "falsch falsch falsch")) == 1
    refused(PasswordRefused, lambda: change(front, me, "x" * 5000))
    for _ in range(3):
        refused(PasswordRefused, lambda: change(front, me, "falsch falsch falsch"))
    refused(TooManyTries, lambda: change(front, me, PASSWORD))
    reasons = Counter(t["reason"] for t in traces(front, me, "password.changed"))
    assert reasons == {"password_refused": 5, "too_many_tries": 1}
    assert front.challenge(who), "the old password still holds, from the owner's own network address"


def test_a_right_change_costs_one_comparison_and_one_hash(front: Front) -> None:
    _, me = owner(front)
    assert counting(front, lambda: change(front, me)) == 2


def test_a_password_that_is_guessed_first_is_refused_before_anything_is_counted(front: Front) -> None:
    who, me = owner(front)
    refused(PasswordTooShort, lambda: change(front, me, new="court"))
    for _ in range(6):
        refused(PasswordTooCommon, lambda: change(front, me, new="password1234"))
    refused(PasswordTooCommon, lambda: change(front, me, new=f"ma {who.matricule} carte"))
    change(front, me)


def test_of_two_changes_at_once_with_the_same_old_password_one_wins(front: Front) -> None:
    _, me = owner(front)

    def attempt(number: int) -> str:
        try:
            change(front, me, new=f"{NEW_PASSWORD} {number}")
        except Refusal as refusal:
            return refusal.code
        return "changed"

    with ThreadPoolExecutor(2) as pool:
        assert Counter(pool.map(attempt, range(2))) == {"changed": 1, "password_refused": 1}


# --- nobody else, and what is forgotten -------------------------------------------------------------------------------


def test_addresses_that_nobody_proved_are_forgotten_after_a_day(front: Front) -> None:
    who, me = owner(front)
    challenge_id = add(front, me, "mobile", number())
    pending = sa.select(Challenge.contact_id).where(Challenge.challenge_id == challenge_id)
    contact_id = front.one(pending)

    def there() -> Any:
        return front.one(sa.select(Contact.contact_id).where(Contact.contact_id == contact_id))

    with front.sessions.transaction() as session:
        store_account.sweep_account(session, now())
    assert there() == contact_id
    with front.sessions.transaction() as session:
        store_account.sweep_account(session, now() + timedelta(days=1, minutes=1))
    assert there() is None and who.email in contacts(front, me)


def test_a_notice_tells_notifications_whom_to_tell_and_nobody_else(front: Front) -> None:
    who, me = owner(front)
    front.ask("set_language", me, language="de")
    change(front, me)
    [notice_id] = [event["notice_id"] for event in front.events("account_notice_due.v1")
                   if who.email in told_to(front, event["notice_id"])]  # fmt: skip
    told = front.ask("account_notice", context(), "notifications", notice_id=notice_id)
    assert told["values"].keys() == {"at"} and told["language"] == "de" and told["occasion"] == "password_changed"
    assert told["recipients"] == [{"kind": "email", "value": who.email}]
    assert front.ask("account_notice", context(), "notifications", notice_id=new_id()) == {"spent": True}
    assert front.ask("account_notice", context(), "notifications", notice_id="x") == {"spent": True}
    for process in ("gateway", "dossier", "operator"):
        with pytest.raises(Refusal) as refusal:
            front.ask("account_notice", context(), process, notice_id=notice_id)
        assert refusal.value.code == "not_allowed"


def told_to(front: Front, notice_id: str) -> set[str]:
    row = front.one(sa.select(Notice.recipients).where(Notice.notice_id == notice_id))
    return {one["value"] for one in row or []}


def test_no_event_names_an_address(front: Front) -> None:
    who, me = owner(front)
    mobile = number()
    prove(front, me, add(front, me, "mobile", mobile))
    front.ask("remove_contact", me, contact_id=contacts(front, me)[who.email])
    said = str(front.house.events("identity"))
    assert mobile not in said and who.email not in said and who.matricule not in said
