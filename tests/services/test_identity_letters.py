"""Lost letters and the way back into an account by letter, over a real database."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.identity.contract import (
    AccountLocked,
    ActivationRefused,
    AlreadyActivated,
    ContactTaken,
    LogInRefused,
    NotActivated,
    PasswordResetRefused,
    RefreshRefused,
    StepOutOfOrder,
)
from services.identity.models import Account, Activation, ActivationLetter, Capacity, Contact, Invitation
from services.identity.models_desk import Notice, PasswordReset
from services.identity.models_factors import LuxTrustProduct
from services.refusals import InvalidInput, Refusal, SessionEnded, TooManyTries
from tests.builders import context
from tests.services.identity_house import AGENT, KEY, PASSWORD, Front, Person, refused

DAY = timedelta(days=1)
ANSWER = {"again_after": 86400}
NEW_PASSWORD = "sept renards argentés"


def ask_for_letter(front: Front, who: Person, kind: str = "patient") -> Any:
    return front.ask("request_letter", front.person().at(), matricule=who.matricule, kind=kind)


def age(front: Front, who: Person, by: timedelta) -> None:
    """Lets time pass over all that was sent to somebody."""
    ids = [one for one in (who.patient_id, who.professional_id) if one]
    front.change(sa.update(ActivationLetter).where(ActivationLetter.subject_id.in_(ids))
                 .values(issued_at=ActivationLetter.issued_at - by))  # fmt: skip
    front.change(sa.update(Invitation).where(Invitation.subject_id.in_(ids))
                 .values(invited_at=Invitation.invited_at - by))  # fmt: skip


def sent(front: Front, who: Person) -> int:
    ids = (who.patient_id, who.professional_id)
    return sum(event["subject_id"] in ids for event in front.events("account_invited.v1"))


# --- lost letters -----------------------------------------------------------------------------------------------------


def test_who_lost_the_letter_gets_another_one_whose_code_replaces_the_first(front: Front) -> None:
    who = front.patient()
    lost = front.letter(who)
    age(front, who, DAY)
    assert ask_for_letter(front, who) == ANSWER
    [event] = [e for e in front.events("account_invited.v1") if e["subject_id"] == who.patient_id]
    assert (event["subject_kind"], event["purpose"]) == ("patient", "activation")
    code = front.letter(who)
    refused(ActivationRefused, lambda: front.begin(who, lost))
    assert front.begin(who, code)


def test_the_answer_is_the_same_for_everybody_and_a_letter_goes_to_few(front: Front) -> None:
    due, too_soon, active, never, invited = (front.patient() for _ in range(5))
    front.letter(due), front.letter(too_soon)
    age(front, due, DAY)
    front.activate(active)
    age(front, active, 3 * DAY)
    doctor = front.professional(invited)
    front.ask("invite_professional", AGENT, professional_id=doctor.professional_id)
    age(front, doctor, DAY)
    cases = {"due": (due, "patient", 1), "too soon": (too_soon, "patient", 0), "active": (active, "patient", 0),
             "never had one": (never, "patient", 0), "unknown": (front.person(), "patient", 0),
             "no professional": (due, "professional", 0), "invited": (doctor, "professional", 1)}  # fmt: skip
    for name, (who, kind, letters) in cases.items():
        before = sent(front, who)
        assert ask_for_letter(front, who, kind) == ANSWER, name
        assert sent(front, who) - before == letters, name
        assert ask_for_letter(front, who, kind) == ANSWER
        assert sent(front, who) - before == letters, f"{name}: not twice a day"


def test_three_letters_in_thirty_days_are_enough(front: Front) -> None:
    who = front.patient()
    front.letter(who)
    for expected in (1, 2, 2, 2):
        age(front, who, 2 * DAY)
        before = sent(front, who)
        ask_for_letter(front, who)
        assert sent(front, who) == expected
        if expected > before:
            front.letter(who)  # and it is printed
    age(front, who, 30 * DAY)
    ask_for_letter(front, who)
    assert sent(front, who) == 3


def test_of_many_requests_at_one_moment_one_leads_to_a_letter(front: Front) -> None:
    who = front.patient()
    front.letter(who)
    age(front, who, DAY)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: ask_for_letter(front, who), range(8))) == [ANSWER] * 8
    assert sent(front, who) == 1


def test_requests_are_slowed_for_the_known_and_the_unknown_alike_and_each_is_traced(front: Front) -> None:
    for who in (front.patient(), front.person()):
        for _ in range(5):
            assert front.ask("request_letter", who.at(), matricule=who.matricule, kind="patient") == ANSWER
        refused(TooManyTries, lambda who=who: front.ask(  # type: ignore[misc]
            "request_letter", who.at(), matricule=who.matricule, kind="patient"))  # fmt: skip
        traces = front.traces(who.address, "letter.requested")
        assert Counter(trace["outcome"] for trace in traces) == {"allowed": 5, "refused": 1}
        assert {trace["patient_id"] for trace in traces} == {who.patient_id}


def test_a_request_repeated_under_one_key_counts_once_and_another_persons_counts_too(front: Front) -> None:
    known, unknown = front.patient(), front.person()
    for who in (known, unknown):
        keyed = who.at(idempotency_key="k-1")
        for _ in range(7):  # two more than anybody may ask for
            assert front.ask("request_letter", keyed, matricule=who.matricule, kind="patient") == ANSWER
        [trace] = front.traces(who.address, "letter.requested")
        assert trace["patient_id"] == who.patient_id
    kept = front.one(sa.text("select string_agg(key || encode(digest, 'hex') || response::text, '') from requests"))
    for who in (known, unknown):
        body = json.dumps({"kind": "patient", "matricule": who.matricule}, sort_keys=True, separators=(",", ":"))
        assert who.matricule not in kept and sha256(body.encode()).hexdigest() not in kept


@pytest.mark.parametrize("given", [{"kind": "agent"}, {"kind": "x"}, {"matricule": "18931201057"}, {"matricule": ""}])
def test_a_request_that_makes_no_sense_is_refused(front: Front, given: dict[str, str]) -> None:
    asked = {"matricule": front.person().matricule, "kind": "patient"} | given
    refused(InvalidInput, lambda: front.ask("request_letter", front.person().at(), **asked))


def test_the_letter_room_sends_what_fits_the_account(front: Front) -> None:
    """What the helpdesk asks for: activation for who is not active, recovery for who is."""
    fresh, active = front.patient(), front.activate(front.patient())

    def reissue(who: Person, purpose: str) -> Any:
        with front.sessions.transaction() as session:
            return front.house.identity._reissue(session, AGENT, "patient", who.patient_id, purpose, now())

    assert reissue(fresh, "activation")["invitation_id"] and reissue(active, "recovery")["invitation_id"]
    refused(AlreadyActivated, lambda: reissue(active, "activation"))
    refused(NotActivated, lambda: reissue(fresh, "recovery"))
    by = sa.select(Invitation.invited_by).where(Invitation.subject_id == fresh.patient_id)
    assert front.one(by) == AGENT.account_id
    purposes = {e["subject_id"]: e["purpose"] for e in front.events("account_invited.v1")}
    assert (purposes[fresh.patient_id], purposes[active.patient_id]) == ("activation", "recovery")


# --- the way back -----------------------------------------------------------------------------------------------------


def recovery(front: Front, who: Person, kind: str = "patient") -> dict[str, str]:
    return front.begin(who, front.letter(who, kind, purpose="recovery"))


def account_of(front: Front, who: Person) -> Account:
    with front.sessions.transaction() as session:
        owner = sa.select(Capacity.account_id).where(Capacity.subject_id.in_((who.patient_id, who.professional_id)))
        return session.scalars(sa.select(Account).where(Account.account_id.in_(owner))).one()


def test_a_letter_of_recovery_replaces_password_and_contact_and_ends_every_session(front: Front) -> None:
    who = front.activate(front.patient())
    account = account_of(front, who)
    running = [front.log_in(who) for _ in range(2)]
    front.change(sa.insert(LuxTrustProduct).values(subject=new_id().encode(), product_id=new_id(),
                 account_id=account.account_id, product="Card", linked_at=now()))  # fmt: skip
    front.change(sa.update(Account).where(Account.account_id == account.account_id).values(mail_codes_from=now() + DAY))
    link = new_id()
    front.change(sa.insert(PasswordReset).values(reset_id=link, account_id=account.account_id, created_at=now(),
                                                 expires_at=now() + DAY))  # fmt: skip
    run = recovery(front, who)
    told = front.ask("activation_state", context(), **run)
    assert (told["flow"], told["next"], [one["step"] for one in told["steps"]]) == (
        "recovery", "contact", ["contact", "password"])  # fmt: skip
    refused(StepOutOfOrder, lambda: front.choose(run, NEW_PASSWORD))
    refused(StepOutOfOrder, lambda: front.accept(run))
    old, who.email = who.email, f"new.{new_id()}@example.lu"
    front.prove(run, who.email)
    assert front.ask("contacts_of", context(), "notifications", patient_id=who.patient_id)["contacts"] == [
        {"kind": "email", "value": old}], "nothing is changed before the end"  # fmt: skip
    assert front.choose(run, NEW_PASSWORD)["complete"]
    contacts = front.ask("contacts_of", context(), "notifications", patient_id=who.patient_id)["contacts"]
    assert contacts == [{"kind": "email", "value": who.email}]
    after = account_of(front, who)
    assert (after.account_id, after.mail_codes_from) == (account.account_id, None)
    assert after.password_changed_at > account.password_changed_at
    ended = [event["session_id"] for event in front.events("session_ended.v1")]
    for given in running:
        assert ended.count(given["session_id"]) == 1
        me = front.caller_of(given["access_token"])
        refused(SessionEnded, lambda me=me: front.ask("log_out", me))  # type: ignore[misc]
        refused(RefreshRefused, lambda given=given: front.ask(  # type: ignore[misc]
            "refresh", who.at(), refresh_token=given["refresh_token"]))  # fmt: skip
    with front.sessions.transaction() as session:
        [notice] = session.scalars(sa.select(Notice).where(Notice.occasion == "password_reset")).all()
    assert {one["value"] for one in notice.recipients} == {old, who.email}
    refused(PasswordResetRefused, lambda: front.ask(
        "reset_password", who.at(), reset_id=link, token=KEY.reset_token(link), password=NEW_PASSWORD))  # fmt: skip
    assert front.one(sa.select(LuxTrustProduct.product).where(LuxTrustProduct.account_id == account.account_id))
    refused(LogInRefused, lambda: front.challenge(who, PASSWORD))
    assert front.challenge(who, NEW_PASSWORD)
    assert not [e for e in front.events("account_activated.v1") if e["patient_id"] == who.patient_id][1:]
    traces = [t for t in front.events("access_traced.v1") if t["action"] == "password.reset"]
    assert [trace["account_id"] for trace in traces if trace["outcome"] == "allowed"] == [account.account_id]


def test_a_letter_of_recovery_works_once_and_an_abandoned_one_changes_nothing(front: Front) -> None:
    who = front.activate(front.patient())
    code = front.letter(who, purpose="recovery")
    run = front.begin(who, code)
    front.prove(run, f"new.{new_id()}@example.lu")
    assert front.log_in(who)["access_token"], "the old password still opens"
    again = front.begin(who, code)
    assert front.walk(again, who)["complete"]
    refused(ActivationRefused, lambda: front.begin(who, code))


def test_letters_of_activation_and_of_recovery_do_not_stand_for_each_other(front: Front) -> None:
    fresh, active = front.patient(), front.activate(front.patient())
    activation, back = front.letter(fresh), front.letter(fresh, purpose="recovery")
    refused(ActivationRefused, lambda: front.begin(fresh, back))
    assert front.begin(fresh, activation), "a worthless letter of recovery does not take its place"
    refused(ActivationRefused, lambda: front.begin(active, front.letter(active)))
    assert recovery(front, active)


def test_a_locked_account_stays_locked_after_a_recovery(front: Front) -> None:
    who = front.activate(front.patient())
    account_id = account_of(front, who).account_id
    front.change(sa.update(Account).where(Account.account_id == account_id)
                 .values(locked_at=now(), lock_cause="suspected_misuse"))  # fmt: skip
    assert front.walk(recovery(front, who), who)["complete"]
    refused(AccountLocked, lambda: front.log_in(who))


def test_a_professional_recovers_with_the_address_they_had_and_with_no_one_elses(front: Front) -> None:
    who, other = front.activate(front.professional(), "professional"), front.activate(front.patient())
    run = recovery(front, who, "professional")
    refused(ContactTaken, lambda: front.prove(run, other.email))
    assert front.walk(run, who)["complete"]
    individual = sa.select(Contact.individual).where(Contact.value == who.email, Contact.account_id.is_not(None))
    assert front.one(individual) is True
    stranger = front.professional()
    run = front.begin_professional(stranger)
    front.confirm(run)
    refused(ContactTaken, lambda: front.prove(run, who.email))


def test_one_recovery_among_many_at_one_moment_takes_effect(front: Front) -> None:
    who = front.activate(front.patient())
    run = recovery(front, who)
    front.walk(run, who, "password")

    def finish(at: int) -> str:
        try:
            front.choose(run, f"{NEW_PASSWORD} {at}")
        except Refusal as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(6) as pool:
        assert Counter(pool.map(finish, range(6))) == {"done": 1, "activation_complete": 5}


def test_the_account_behind_a_recovery_is_the_one_of_the_letter(front: Front) -> None:
    who = front.activate(front.professional(front.patient()))
    front.walk(front.begin_professional(who), who)
    run = recovery(front, who, "professional")
    account_id = front.one(sa.select(Activation.account_id).where(Activation.activation_id == run["activation_id"]))
    assert account_id == account_of(front, who).account_id
    assert front.walk(run, who)["complete"]
    assert front.log_in(who, capacity="patient")["patient_id"] == who.patient_id
