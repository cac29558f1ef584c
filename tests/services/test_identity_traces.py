"""Every answered request leaves exactly one trace: each step that is taken, and each that is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.identity.contract import (
    CONDITIONS_VERSION,
    ActivationComplete,
    ActivationNotFound,
    AlreadyActivated,
    LogInRefused,
    OneTimeCodeRefused,
    ReauthenticationDue,
    RefreshRefused,
    StepOutOfOrder,
)
from services.identity.models import Agent, LogInSession
from services.tokens import Caller
from tests.builders import context
from tests.services.identity_house import ADMINISTRATOR, AGENT, KEY, PASSWORD, Front, Person, refused, trace_left

Trace = dict[str, Any]


def told(trace: Trace, *names: str) -> tuple[Any, ...]:
    return tuple(trace[name] for name in ("action", "purpose", *names))


# --- ways in ----------------------------------------------------------------------------------------------------------


def test_each_step_of_a_log_in_is_traced_once_with_whose_it_is(front: Front) -> None:
    who = front.member(front.patient())
    begin = {"matricule": who.matricule, "password": PASSWORD}
    begun = trace_left(front, lambda: front.ask("start_log_in", who.at(), **begin))
    assert told(begun, "account_id", "patient_id") == (
        "log_in.begun", "password email", who.account_id, who.patient_id)  # fmt: skip
    challenge_id = front.challenge(who)
    again = trace_left(front, lambda: front.ask("resend_code", who.at(), challenge_id=challenge_id))
    assert told(again, "account_id") == ("log_in.continued", "password email", who.account_id)
    refusal = trace_left(front, lambda: front.ask("resend_code", who.at(), challenge_id=new_id()))
    assert told(refusal, "reason", "account_id") == ("session.opened", None, OneTimeCodeRefused.code, None)
    passkey = trace_left(front, lambda: front.ask("start_passkey_log_in", who.at()))
    assert told(passkey, "account_id") == ("log_in.begun", "passkey", None)


def test_a_wrong_log_in_leaves_as_much_for_the_known_as_for_the_unknown(front: Front) -> None:
    """Beside whose account it was, which the log alone knows."""

    def kinds(who: Person) -> list[str]:
        before = len(front.house.events("identity"))
        refused(LogInRefused, lambda: front.ask("start_log_in", who.at(), matricule=who.matricule, password="wrong"))
        return [event["type"] for event in front.house.events("identity")[before:]]

    known, unknown = front.member(front.patient()), front.person()
    assert kinds(known) == kinds(unknown) == ["access_traced.v1"]
    one, other = (front.traces(who.address, "session.opened")[-1] for who in (known, unknown))
    own = {"trace_id", "at", "request_id", "address", "account_id", "patient_id"}
    assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in other.items() if k not in own}


def test_a_refreshed_session_is_traced_once_and_so_is_one_that_is_not(front: Front) -> None:
    who = front.member(front.patient())
    given = front.log_in(who)
    renew = {"refresh_token": given["refresh_token"]}
    renewed = trace_left(front, lambda: front.ask("refresh", who.at(), **renew))
    assert told(renewed, "account_id", "session_id", "capacity") == (
        "session.refreshed", None, who.account_id, given["session_id"], "patient")  # fmt: skip
    unknown = trace_left(front, lambda: front.ask("refresh", who.at(), refresh_token="x"))
    assert told(unknown, "reason", "account_id") == ("session.opened", None, RefreshRefused.code, None)


# --- activation -------------------------------------------------------------------------------------------------------


def test_each_step_of_an_activation_is_traced_once_and_its_last_as_the_activation(front: Front) -> None:
    who = front.patient()
    code, runs = front.letter(who), []
    begin = {"matricule": who.matricule, "activation_code": code}
    steps: list[Trace] = [trace_left(front, lambda: runs.append(front.begin(who, code)))]
    run, address = runs[0], {"kind": "email", "value": who.email}
    for call in (
        lambda: front.confirm(run), lambda: front.accept(run),
        lambda: front.ask("add_contact", context(), **run, **address),
        lambda: front.ask("resend_contact_code", context(), **run),
        lambda: front.ask("activation_state", context(), **run),
        lambda: front.ask("activation_person", context(), **run),
    ):  # fmt: skip
        steps.append(trace_left(front, call))
    sent = front.events("one_time_code_requested.v1")[-1]["challenge_id"]
    code_there = front.mail(sent)["code"]
    steps.append(trace_left(front, lambda: front.ask("prove_contact", context(), **run, code=code_there)))
    assert [told(step) for step in steps] == [
        ("activation.step", "begun"), ("activation.step", "personal_data"), ("activation.step", "conditions"),
        ("activation.step", "contact_code"), ("activation.step", "contact_code"), ("account.read", "steps"),
        ("account.read", "personal_data"), ("activation.step", "contact"),
    ]  # fmt: skip
    assert {(step["object_id"], step["patient_id"]) for step in steps} == {(run["activation_id"], who.patient_id)}
    last = trace_left(front, lambda: front.choose(run))
    assert told(last, "patient_id") == ("account.activated", None, who.patient_id)
    over = trace_left(front, lambda: front.choose(run))
    assert over["reason"] == ActivationComplete.code and over["object_id"] == run["activation_id"]
    assert trace_left(front, lambda: front.ask("start_activation", who.at(), **begin))["action"] == "account.activated"


def test_doubted_personal_data_are_traced_once_as_the_request_they_open(front: Front) -> None:
    run = front.begin(who := front.patient(), front.letter(who))
    doubt = trace_left(front, lambda: front.ask("confirm_person", context(), **run, correct=False, message="Mon nom."))
    assert told(doubt, "patient_id") == ("helpdesk.requested", "personal_data", who.patient_id)


def steps_of(run: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Every call in an activation, with what it is given."""
    letter = {"matricule": "1990010112347", "activation_code": "H7KQ-4MXT-9RWB"}
    given: dict[str, dict[str, Any]] = {
        "accept_conditions": {"version": CONDITIONS_VERSION, "language": "fr"}, "enter_letter_code": letter,
        "activation_person": {}, "confirm_person": {"correct": True}, "resend_contact_code": {},
        "add_contact": {"kind": "email", "value": "jane.doe@example.lu"}, "prove_contact": {"code": "6wqxU4"},
        "set_password": {"password": PASSWORD}, "start_luxtrust_activation": {},
    }  # fmt: skip
    return {call: run | more for call, more in given.items()}


STEPS = tuple(steps_of({}))


@pytest.mark.parametrize("call", ["activation_state", *STEPS])
def test_an_activation_that_is_not_ones_own_is_refused_with_one_trace_that_names_nothing(
    front: Front, call: str
) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    for wrong in ({"activation_token": "x"}, {"activation_id": new_id()}, {"activation_id": "' or 1=1"}):
        given = steps_of(run | wrong).get(call, run | wrong)
        trace = trace_left(front, lambda given=given: front.ask(call, who.at(), **given))  # type: ignore[misc]
        assert trace["reason"] == ActivationNotFound.code
        assert {trace[name] for name in ("object_id", "object_type", "account_id", "patient_id")} == {None}


@pytest.mark.parametrize("call", [call for call in STEPS if call not in ("activation_person", "confirm_person")])
def test_a_step_out_of_its_order_is_refused_with_one_trace(front: Front, call: str) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    trace = trace_left(front, lambda: front.ask(call, who.at(), **steps_of(run)[call]))
    assert trace["reason"] == StepOutOfOrder.code
    assert (trace["object_id"], trace["patient_id"]) == (run["activation_id"], who.patient_id)


def test_an_invitation_of_somebody_who_is_active_already_is_refused_with_one_trace(front: Front) -> None:
    doctor = front.member(front.professional(), "professional")
    invited = trace_left(front, lambda: front.ask("invite_professional", AGENT, professional_id=doctor.professional_id))
    assert (invited["reason"], invited["object_id"]) == (AlreadyActivated.code, doctor.professional_id)
    agent = front.member(front.person(), "agent")
    again = {"matricule": agent.matricule, "role": "administrator"}
    refusal = trace_left(front, lambda: front.ask("invite_agent", ADMINISTRATOR, **again))
    assert refusal["reason"] == AlreadyActivated.code
    role = sa.select(Agent.role).where(Agent.log_in_name == KEY.log_in_name(agent.matricule))
    assert front.one(role) == "agent", "a refused invitation makes nobody an administrator"
    other = again | {"matricule": front.person().matricule}
    new = trace_left(front, lambda: front.ask("invite_agent", ADMINISTRATOR, **other))
    assert (new["action"], new["outcome"]) == ("account.invited", "allowed")


# --- sensitive changes ------------------------------------------------------------------------------------------------

CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "add_authenticator": ({"name": "Téléphone"}, "authenticator.added"),
    "remove_authenticator": ({"authenticator_id": new_id()}, "authenticator.removed"),
    "add_account_contact": ({"kind": "mobile", "value": "+352621123456"}, "contact.added"),
    "remove_contact": ({"contact_id": new_id()}, "contact.removed"),
    "start_passkey": ({}, "passkey.added"),
    "add_passkey": ({"ceremony_id": new_id(), "credential": {}, "name": "Téléphone"}, "passkey.added"),
    "remove_device": ({"device_id": new_id()}, "passkey.removed"),
    "start_luxtrust_link": ({}, "luxtrust.linked"),
    "unlink_luxtrust": ({"product_id": new_id()}, "luxtrust.unlinked"),
}


@pytest.mark.parametrize("call", CHANGES)
def test_a_sensitive_change_after_an_old_log_in_is_refused_with_one_trace(front: Front, call: str) -> None:
    who = front.member(front.patient())
    me = front.session(who)
    given, action = CHANGES[call]
    ago = sa.update(LogInSession).where(LogInSession.session_id == me.session_id)
    front.change(ago.values(authenticated_at=now() - timedelta(minutes=16)))
    old = trace_left(front, lambda: front.ask(call, me, **given))
    assert (old["reason"], old["action"]) == (ReauthenticationDue.code, action)
    assert (old["account_id"], old["session_id"]) == (me.account_id, me.session_id)


@pytest.mark.parametrize("call", [call for call in CHANGES if call != "start_luxtrust_link"])
def test_a_sensitive_change_after_a_fresh_log_in_is_answered_with_one_trace(front: Front, call: str) -> None:
    me = front.session(front.member(front.patient()))
    fresh = trace_left(front, lambda: front.ask(call, me, **CHANGES[call][0]))
    assert fresh["reason"] != ReauthenticationDue.code and fresh["session_id"] == me.session_id
    begun = {"add_authenticator": "authenticator", "add_account_contact": "contact", "start_passkey": "passkey"}
    if call in begun:
        assert told(fresh) == ("account.change_begun", begun[call])


def test_a_code_sent_again_to_a_new_address_is_traced_once(front: Front) -> None:
    me: Caller = front.session(front.member(front.patient()))
    sent = front.ask("add_account_contact", me, kind="mobile", value="+352621123457")
    again = trace_left(front, lambda: front.ask("resend_account_code", me, challenge_id=sent["challenge_id"]))
    assert told(again, "object_type") == ("account.change_begun", "contact", "contact")
    other = trace_left(front, lambda: front.ask("resend_account_code", me, challenge_id=new_id()))
    assert told(other, "reason") == ("contact.added", None, OneTimeCodeRefused.code)
