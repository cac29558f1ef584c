"""The helpdesk over real databases: requests of the public, agents who work them off, what that opens and what not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.identity.contract import (
    AlreadyActivated,
    ContactTaken,
    IdentityCheckDue,
    LogInRefused,
    NotActivated,
    OneTimeCodeRefused,
    PersonNotKnown,
    RequestClosed,
    RequestNotFound,
    RequestNotTaken,
    RequestTaken,
)
from services.identity.models import Activation, Contact, Invitation
from services.identity.models_desk import HelpdeskRequest, Notice, PasswordReset
from services.refusals import InvalidInput, KeyReused, NotAllowed, Refusal, TooManyTries
from services.tokens import Caller
from tests.builders import caller, context
from tests.services.identity_house import KEY, Front, Person, identity_house, refused

STEPS: dict[str, dict[str, Any]] = {
    "take_request": {}, "release_request": {}, "close_request": {}, "answer_request": {"text": "Voilà."},
    "check_identity": {"matricule": "1990010112347", "kind": "patient", "paper": "passport"},
    "send_letter": {"purpose": "recovery"}, "correct_contact": {"kind": "email", "value": "new@example.lu"},
    "read_request": {},
}  # fmt: skip
FORM = {"topic": "contact", "name": "Zoé Weber", "reply_kind": "email", "message": "Ma nouvelle adresse ?",
        "language": "fr"}  # fmt: skip


@pytest.fixture(scope="module")
def front(database: Callable[[str], str]) -> Iterator[Front]:
    house = identity_house(database)
    yield Front(house)
    house.close()


class Desk:
    """A request at the helpdesk, the person who asks and an agent with it in hand."""

    def __init__(self, front: Front, who: Person, agent: Caller | None = None, **form: Any) -> None:
        self.front, self.who, self.agent = front, who, agent or caller("agent")
        self.opened = front.ask("open_request", who.at(), **(FORM | {"reply_value": who.email} | form))
        self.request_id = self.opened["request_id"]

    def act(self, method: str, agent: Caller | None = None, **what: Any) -> Any:
        return self.front.ask(method, agent or self.agent, request_id=self.request_id, **what)

    def taken(self) -> Desk:
        self.act("take_request")
        return self

    def checked(self, kind: str = "patient") -> Desk:
        self.act("check_identity", matricule=self.who.matricule, kind=kind, paper="identity_card")
        return self

    def follow(self, **changes: Any) -> Any:
        ticket = {"request_id": self.request_id, "tracking_token": self.opened["tracking_token"]}
        return self.front.ask("follow_request", self.who.at(), **(ticket | changes))

    def correct(self, value: str, kind: str = "email") -> str:
        """Has a code sent to a new address, and reads it there."""
        self.act("correct_contact", kind=kind, value=value)
        challenge_id = self.front.events("one_time_code_requested.v1")[-1]["challenge_id"]
        mail = self.front.mail(challenge_id)
        assert (mail["address"], mail["kind"], mail["purpose"]) == (value, kind, "helpdesk_contact")
        return str(mail["code"])

    def prove(self, code: Any, **changes: Any) -> Any:
        ticket = {"request_id": self.request_id, "tracking_token": self.opened["tracking_token"]}
        return self.front.ask("prove_corrected_contact", self.who.at(), **(ticket | {"code": code} | changes))

    def row(self) -> HelpdeskRequest:
        return self.front.one(sa.select(HelpdeskRequest).where(HelpdeskRequest.request_id == self.request_id))

    def traces(self, action: str) -> list[tuple[str, str | None, str | None]]:
        """The traces the agent has left: outcome, reason, purpose."""
        return [(trace["outcome"], trace["reason"], trace["purpose"])
                for trace in self.front.events("access_traced.v1")
                if trace["account_id"] == self.agent.account_id and trace["action"] == action]  # fmt: skip


def notices(front: Front) -> list[Notice]:
    """Everything due to be told, oldest first."""
    with front.sessions.transaction() as session:
        ids = [event["notice_id"] for event in front.events("account_notice_due.v1")]
        return [session.get_one(Notice, notice_id) for notice_id in ids]


# --- the public -------------------------------------------------------------------------------------------------------


def test_a_request_is_opened_and_followed_with_its_token_to_its_answer(front: Front) -> None:
    desk = Desk(front, front.person())
    assert set(desk.opened) == {"request_id", "reference", "tracking_token"}
    assert desk.follow() | {"created_at": 0} == {
        "request_id": desk.request_id, "reference": desk.opened["reference"], "topic": "contact", "state": "open",
        "answer": None, "created_at": 0, "taken_at": None, "answered_at": None, "closed_at": None,
        "code_expires_at": None,
    }  # fmt: skip
    desk.taken().act("answer_request", text="C'est fait.")
    followed = desk.follow()
    assert (followed["state"], followed["answer"]) == ("answered", "C'est fait.")
    assert followed["taken_at"] and followed["answered_at"]
    desk.act("close_request")
    assert (desk.follow()["state"], desk.follow()["answer"]) == ("closed", "C'est fait.")
    asked = front.traces(desk.who.address, "helpdesk.requested")
    assert [(trace["object_id"], trace["purpose"]) for trace in asked] == [(desk.request_id, "contact")]


def test_a_wrong_token_and_a_wrong_id_are_one_refusal_and_leave_a_trace(front: Front) -> None:
    mine, other = Desk(front, front.person()), Desk(front, front.person())
    ways = [{"tracking_token": other.opened["tracking_token"]}, {"tracking_token": ""}, {"tracking_token": None},
            {"tracking_token": "\ud800é"}, {"request_id": new_id()}, {"request_id": "' or 1=1"},
            {"request_id": other.request_id}, {"tracking_token": mine.opened["tracking_token"] + "A"}]  # fmt: skip
    for way in ways:
        refusal = refused(RequestNotFound, lambda way=way: mine.follow(**way))  # type: ignore[misc]
        assert refusal.to_wire() == {"code": "helpdesk_request_not_found", "detail": {}}
        refused(RequestNotFound, lambda way=way: mine.prove("6wqxU4", **way))  # type: ignore[misc]
    reads = front.traces(mine.who.address, "helpdesk.read", "helpdesk_request_not_found")
    assert len(reads) == len(ways) and {trace["object_id"] for trace in reads} == {None}
    assert mine.follow()["state"] == "open"


@pytest.mark.parametrize(
    ("field", "value"),
    [("topic", "weather"), ("topic", ""), ("name", " "), ("name", "x" * 201), ("reply_kind", "pigeon"),
     ("reply_value", "not an address"), ("message", ""), ("message", "x" * 4001), ("language", "it")],
)  # fmt: skip
def test_a_form_that_cannot_be_worked_on_is_refused_at_its_field(front: Front, field: str, value: str) -> None:
    who = front.person()
    refusal = refused(InvalidInput, lambda: Desk(front, who, **{field: value}))
    assert [error["pointer"] for error in refusal.detail["errors"]] == [f"/{field}"]
    assert value not in json.dumps(refusal.to_wire()) or not value.strip()
    assert Desk(front, who, topic="other").follow()["topic"] == "other", "its right twin"


def test_requests_without_end_from_one_network_address_are_slowed_and_traced(front: Front) -> None:
    who = front.person()
    for _ in range(10):
        Desk(front, who, reply_value=f"{new_id()}@example.lu")
    refusal = refused(TooManyTries, lambda: Desk(front, who, reply_value=f"{new_id()}@example.lu"))
    assert 0 < refusal.detail["retry_after"] <= 30
    assert len(front.traces(who.address, "helpdesk.requested", "too_many_tries")) == 1
    assert Desk(front, front.person()), "somebody elsewhere is not kept waiting"


def test_requests_without_end_with_one_reply_address_are_slowed_wherever_they_come_from(front: Front) -> None:
    victim = front.person()
    for turn in range(5):
        Desk(front, front.person(), reply_value=victim.email.upper() if turn % 2 else victim.email)
    refusal = refused(TooManyTries, lambda: Desk(front, victim))
    assert refusal.detail["retry_after"] <= 30
    letter = Desk(front, victim, reply_kind="letter", reply_value="4, Rue des Tests, L-1427 Luxembourg")
    assert letter.follow()["state"] == "open", "another way to answer is open to the owner"


def test_the_same_form_under_the_same_key_is_one_request_with_one_token_and_another_form_is_another_request(
    front: Front,
) -> None:
    who = front.person()
    at = who.at(idempotency_key=new_id())
    form = FORM | {"reply_value": who.email}
    first = front.ask("open_request", at, **form)
    assert front.ask("open_request", at, **form) == first
    count = sa.select(sa.func.count()).where(HelpdeskRequest.reply_value == who.email)
    assert front.one(count) == 1
    stranger = front.person().at(idempotency_key=at.idempotency_key)
    other = front.ask("open_request", stranger, **(form | {"message": "Autre chose"}))
    assert not set(other.values()) & set(first.values()), "nobody gets the answer of whoever chose the same key"
    assert front.ask("open_request", stranger, **(form | {"message": "Autre chose"})) == other
    assert front.ask("open_request", at, **form) == first and front.one(count) == 2
    kept = front.one(sa.text("select string_agg(response::text, '') from requests"))
    assert first["tracking_token"] not in kept, "the answers kept for repeats hold no token"


# --- from a step of an activation -------------------------------------------------------------------------------------


def activation_of(front: Front, who: Person) -> Activation:
    run = front.begin(who, front.letter(who))
    return front.one(sa.select(Activation).where(Activation.activation_id == run["activation_id"]))


def opened_from(front: Front, who: Person, activation: Activation, **form: Any) -> dict[str, Any]:
    given = {"topic": "personal_data", "language": "fr", "name": None, "reply_kind": None, "reply_value": None,
             "message": None}  # fmt: skip
    at = who.at()
    with front.sessions.transaction(at) as session:
        made: dict[str, Any] = front.house.identity._open_request(session, at, **(given | form), activation=activation)
    return made


def test_a_step_of_an_activation_opens_one_request_however_often_it_is_taken(front: Front) -> None:
    who = front.patient()
    activation = activation_of(front, who)
    first = opened_from(front, who, activation, message="Mon prénom est faux")
    assert opened_from(front, who, activation) == first
    assert opened_from(front, who, activation, reply_kind="email", reply_value=who.email) == first
    row = front.one(sa.select(HelpdeskRequest).where(HelpdeskRequest.request_id == first["request_id"]))
    assert (row.subject_kind, row.subject_id, row.activation_id) == (
        "patient",
        who.patient_id,
        activation.activation_id,
    )
    assert (row.message, row.reply_value, row.checked_at) == ("Mon prénom est faux", who.email, None)
    assert len(front.traces(who.address, "helpdesk.requested")) == 3
    front.change(sa.update(HelpdeskRequest).where(HelpdeskRequest.request_id == row.request_id).values(state="closed"))
    assert opened_from(front, who, activation)["request_id"] != first["request_id"], "a closed one does not count"


@pytest.mark.parametrize("form", [{"message": "x" * 4001}, {"reply_kind": "email", "reply_value": "nowhere"},
                                  {"reply_kind": "email"}, {"reply_value": "a@example.lu"}])  # fmt: skip
def test_a_step_of_an_activation_refuses_what_the_public_form_refuses(front: Front, form: dict[str, Any]) -> None:
    who = front.patient()
    activation = activation_of(front, who)
    refused(InvalidInput, lambda: opened_from(front, who, activation, **form))


def test_an_activations_letter_is_no_identity_check(front: Front) -> None:
    who = front.patient()
    opened = opened_from(front, who, activation_of(front, who))
    agent = caller("agent")
    front.ask("take_request", agent, request_id=opened["request_id"])
    refused(IdentityCheckDue, lambda: front.ask("send_letter", agent, request_id=opened["request_id"],
                                                purpose="activation"))  # fmt: skip


# --- who may work here ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", ["patient", "professional"])
@pytest.mark.parametrize("method", [*STEPS, "list_requests"])
def test_nobody_but_the_agencys_agents_works_here_and_who_tries_is_traced(
    front: Front, method: str, capacity: str
) -> None:
    desk = Desk(front, front.person()).taken()
    stranger = caller(capacity)
    what = {} if method == "list_requests" else {"request_id": desk.request_id, **STEPS[method]}
    refused(NotAllowed, lambda: front.ask(method, stranger, **what))
    traces = [trace for trace in front.events("access_traced.v1") if trace["account_id"] == stranger.account_id]
    assert [(trace["outcome"], trace["reason"]) for trace in traces] == [("refused", "not_allowed")]
    assert desk.row().state == "taken" and desk.row().answer is None


@pytest.mark.parametrize("method", STEPS)
@pytest.mark.parametrize("unknown", [new_id(), "x"])
def test_an_unknown_request_is_not_found_by_an_agent_either(front: Front, method: str, unknown: str) -> None:
    agent = caller("agent")
    refused(RequestNotFound, lambda: front.ask(method, agent, request_id=unknown, **STEPS[method]))
    traces = [trace for trace in front.events("access_traced.v1") if trace["account_id"] == agent.account_id]
    assert [trace["reason"] for trace in traces] == ["helpdesk_request_not_found"]


WORK = ("close_request", "answer_request", "check_identity", "send_letter", "correct_contact")


@pytest.mark.parametrize("method", WORK)
def test_a_request_is_taken_before_it_is_worked_on(front: Front, method: str) -> None:
    desk = Desk(front, front.person())
    refused(RequestNotTaken, lambda: desk.act(method, **STEPS[method]))
    assert desk.row().state == "open"


@pytest.mark.parametrize("method", ["take_request", "release_request", *WORK])
def test_another_agents_request_is_left_alone(front: Front, method: str) -> None:
    desk = Desk(front, front.person()).taken()
    refused(RequestTaken, lambda: desk.act(method, caller("agent"), **STEPS[method]))
    assert (desk.row().taken_by, desk.row().state) == (desk.agent.account_id, "taken")


@pytest.mark.parametrize("method", ["take_request", "release_request", *(set(WORK) - {"close_request"})])
def test_a_closed_request_stays_closed(front: Front, method: str) -> None:
    desk = Desk(front, front.person()).taken()
    desk.act("close_request")
    refused(RequestClosed, lambda: desk.act(method, **STEPS[method]))
    refused(RequestClosed, lambda: desk.act(method, caller("agent", role="administrator"), **STEPS[method]))
    assert desk.row().state == "closed" and desk.row().closed_at is not None
    assert desk.act("close_request")["state"] == "closed", "closing again changes nothing"


def test_of_many_agents_who_take_a_request_at_one_moment_one_has_it(front: Front) -> None:
    desk = Desk(front, front.person())
    agents = [caller("agent") for _ in range(8)]

    def take(agent: Caller) -> str:
        try:
            return str(desk.act("take_request", agent)["taken_by"])
        except RequestTaken as refusal:
            return refusal.code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(take, agents))
    winner = desk.row().taken_by
    assert answers.count(str(winner)) == 1 and answers.count("request_taken") == 7


def test_who_comes_a_moment_later_finds_the_request_taken(front: Front) -> None:
    desk = Desk(front, front.person())
    first = new_id()
    with ThreadPoolExecutor(1) as pool:
        with front.sessions.transaction() as session:
            session.execute(sa.update(HelpdeskRequest).where(HelpdeskRequest.request_id == desk.request_id)
                            .values(state="taken", taken_by=first, taken_at=now()))  # fmt: skip
            later = pool.submit(desk.taken)
            time.sleep(0.5)
        with pytest.raises(RequestTaken):
            later.result()
    assert desk.row().taken_by == first


def test_an_agent_gives_a_request_back_and_an_administrator_gives_back_anothers(front: Front) -> None:
    desk = Desk(front, front.person()).taken()
    assert desk.act("release_request")["state"] == "open"
    other = caller("agent")
    assert desk.act("take_request", other)["taken_by"] == other.account_id
    assert desk.act("release_request", caller("agent", role="administrator"))["taken_by"] is None
    assert desk.taken().row().taken_by == desk.agent.account_id


def test_the_list_shows_what_is_to_be_done_oldest_first_page_by_page_and_nothing_that_was_said(front: Front) -> None:
    front.change(sa.update(HelpdeskRequest).values(state="closed", closed_at=now()))
    desks = [Desk(front, front.person()) for _ in range(5)]
    desks[1].taken()
    desks[4].taken().act("close_request")
    agent = caller("agent")
    first = front.ask("list_requests", agent, limit=3)
    rest = front.ask("list_requests", agent, limit=3, cursor=first["next_cursor"])
    shown = [request["request_id"] for request in first["requests"] + rest["requests"]]
    assert shown == [desk.request_id for desk in desks[:4]] and rest["next_cursor"] is None
    taken = front.ask("list_requests", agent, state="taken")
    assert [request["request_id"] for request in taken["requests"]] == [desks[1].request_id]
    closed = front.ask("list_requests", agent, state="closed", limit=100)["requests"]
    assert desks[4].request_id in {request["request_id"] for request in closed}
    text = json.dumps(first)
    assert "Weber" not in text and "@" not in text and "nouvelle adresse" not in text
    for wrong in ({"cursor": "x"}, {"state": "gone"}, {"limit": 0}):
        refused(InvalidInput, lambda wrong=wrong: front.ask("list_requests", agent, **wrong))  # type: ignore[misc]
    assert front.ask("list_requests", agent, cursor=new_id()) == {"requests": [], "next_cursor": None}


def test_an_agent_reads_what_was_said_and_is_traced(front: Front) -> None:
    desk = Desk(front, front.person()).taken()
    sheet = desk.act("read_request")
    assert (sheet["name"], sheet["message"]) == ("Zoé Weber", "Ma nouvelle adresse ?")
    assert (sheet["reply_kind"], sheet["reply_value"]) == ("email", desk.who.email)
    assert sheet["subject_id"] is None and sheet["identity_checked_at"] is None
    assert desk.traces("helpdesk.read") == [("allowed", None, None)]


# --- identity checks --------------------------------------------------------------------------------------------------


def test_an_identity_check_names_the_agent_the_paper_and_the_person(front: Front) -> None:
    desk = Desk(front, front.patient()).taken()
    assert desk.checked().act("read_request")["subject_id"] == desk.who.patient_id
    row = desk.row()
    assert (row.subject_kind, row.checked_by, row.check_method) == ("patient", desk.agent.account_id, "identity_card")
    assert desk.traces("identity.checked") == [("allowed", None, "identity_card")]
    trace = next(t for t in front.events("access_traced.v1") if t["action"] == "identity.checked"
                 and t["account_id"] == desk.agent.account_id)  # fmt: skip
    assert (trace["object_id"], trace["object_type"], trace["patient_id"]) == (desk.who.patient_id, "patient", None)


@pytest.mark.parametrize(
    ("kind", "who", "found"),
    [("patient", "patient", True), ("professional", "professional", True), ("professional", "patient", False),
     ("patient", "professional", False), ("patient", "nobody", False)],
)  # fmt: skip
def test_a_person_is_known_in_their_capacity_or_not_at_all(front: Front, kind: str, who: str, found: bool) -> None:
    person = {"patient": front.patient, "professional": front.professional, "nobody": front.person}[who]()
    desk = Desk(front, person).taken()
    if found:
        assert desk.checked(kind).row().subject_kind == kind
    else:
        refused(PersonNotKnown, lambda: desk.checked(kind))
        assert desk.row().checked_at is None
        assert desk.traces("identity.checked") == [("refused", "person_not_known", None)]


@pytest.mark.parametrize("wrong", [{"matricule": "12"}, {"kind": "horse"}, {"paper": "a good face"}])
def test_a_check_of_nothing_is_refused(front: Front, wrong: dict[str, str]) -> None:
    desk = Desk(front, front.person()).taken()
    refused(InvalidInput, lambda: desk.act("check_identity", **(STEPS["check_identity"] | wrong)))


def test_the_identity_of_agents_is_checked_by_administrators_only(front: Front) -> None:
    who = front.person()
    administrator = caller("agent", role="administrator")
    front.ask("invite_agent", administrator, matricule=who.matricule, role="agent")
    desk = Desk(front, who).taken()
    refused(NotAllowed, lambda: desk.checked("agent"))
    assert desk.traces("identity.checked") == [("refused", "not_allowed", None)]
    own = Desk(front, who, administrator).taken().checked("agent")
    assert own.row().subject_kind == "agent"
    assert own.act("send_letter", purpose="activation")


# --- letters ----------------------------------------------------------------------------------------------------------


def letters_for(front: Front, subject_id: str | None) -> list[tuple[str, str]]:
    invited = [event for event in front.events("account_invited.v1") if event["subject_id"] == subject_id]
    return [(event["subject_kind"], event["purpose"]) for event in invited]


def test_a_new_letter_needs_an_identity_check_of_these_thirty_days(front: Front) -> None:
    desk = Desk(front, front.patient()).taken()
    refused(IdentityCheckDue, lambda: desk.act("send_letter", purpose="activation"))
    desk.checked()
    front.change(sa.update(HelpdeskRequest).where(HelpdeskRequest.request_id == desk.request_id)
                 .values(checked_at=now() - timedelta(days=31)))  # fmt: skip
    refused(IdentityCheckDue, lambda: desk.act("send_letter", purpose="activation"))
    assert letters_for(front, desk.who.patient_id) == []
    desk.checked().act("send_letter", purpose="activation")
    assert letters_for(front, desk.who.patient_id) == [("patient", "activation")]
    assert [trace[:2] for trace in desk.traces("letter.requested")] == [
        ("refused", "identity_check_due"), ("refused", "identity_check_due"), ("allowed", None)]  # fmt: skip


def test_a_check_by_one_agent_counts_for_the_next(front: Front) -> None:
    desk = Desk(front, front.patient()).taken().checked()
    desk.act("release_request")
    other = caller("agent")
    desk.act("take_request", other)
    desk.act("send_letter", other, purpose="activation")
    assert letters_for(front, desk.who.patient_id) == [("patient", "activation")]


@pytest.mark.parametrize(
    ("active", "purpose", "refusal"),
    [(False, "activation", None), (True, "recovery", None), (True, "activation", AlreadyActivated),
     (False, "recovery", NotActivated)],
)  # fmt: skip
def test_a_letter_fits_what_the_person_has(
    front: Front, active: bool, purpose: str, refusal: type[Refusal] | None
) -> None:
    who = front.patient()
    if active:
        front.activate(who)
    desk = Desk(front, who).taken().checked()
    if refusal is None:
        desk.act("send_letter", purpose=purpose)
        assert letters_for(front, who.patient_id) == [("patient", purpose)]
    else:
        refused(refusal, lambda: desk.act("send_letter", purpose=purpose))
        assert letters_for(front, who.patient_id) == []
        assert desk.traces("letter.requested") == [("refused", refusal.code, None)]


def test_the_same_letter_asked_for_twice_under_one_key_is_printed_once(front: Front) -> None:
    desk = Desk(front, front.patient()).taken().checked()
    agent = replace(desk.agent, context=context(idempotency_key=new_id()))
    first = desk.act("send_letter", agent, purpose="activation")
    assert desk.act("send_letter", agent, purpose="activation") == first
    assert len(letters_for(front, desk.who.patient_id)) == 1
    asked = front.one(sa.select(Invitation.invited_by).where(Invitation.subject_id == desk.who.patient_id))
    assert asked == desk.agent.account_id


def test_a_check_repeated_under_one_key_is_noted_once_and_is_no_other_check(front: Front) -> None:
    desk = Desk(front, front.patient()).taken()
    agent = replace(desk.agent, context=context(idempotency_key=new_id()))
    check = {"matricule": desk.who.matricule, "kind": "patient", "paper": "identity_card"}
    assert desk.act("check_identity", agent, **check) == desk.act("check_identity", agent, **check)
    assert [outcome for outcome, *_ in desk.traces("identity.checked")] == ["allowed"]
    for other in ({"paper": "passport"}, {"matricule": front.patient().matricule}):
        refused(KeyReused, lambda other=other: desk.act("check_identity", agent, **(check | other)))  # type: ignore[misc]
    assert (desk.row().subject_id, desk.row().check_method) == (desk.who.patient_id, "identity_card")


# --- corrected contacts -----------------------------------------------------------------------------------------------


def test_a_correction_repeated_under_one_key_sends_one_code_and_corrects_nothing_else(front: Front) -> None:
    desk = Desk(front, front.member(front.patient())).taken().checked()
    agent = replace(desk.agent, context=context(idempotency_key=new_id()))
    correction, before = {"kind": "email", "value": f"{new_id()}@example.lu"}, codes_sent(front)
    first = desk.act("correct_contact", agent, **correction)
    assert desk.act("correct_contact", agent, **correction) == first
    assert codes_sent(front) == before + 1
    refused(KeyReused, lambda: desk.act("correct_contact", agent, kind="email", value=f"{new_id()}@example.lu"))
    desk.act("correct_contact", **correction)
    assert codes_sent(front) == before + 2, "without a key it is asked for anew"


def codes_sent(front: Front) -> int:
    return len(front.events("one_time_code_requested.v1"))


def values(front: Front, who: Person) -> set[str]:
    ids = {"patient_id": who.patient_id} if who.patient_id else {"professional_id": who.professional_id}
    return {one["value"] for one in front.ask("contacts_of", context(), "notifications", **ids)["contacts"]}


def test_a_corrected_address_counts_once_its_owner_has_proved_it_and_the_old_one_is_told(front: Front) -> None:
    who = front.activate(front.patient())
    desk = Desk(front, who).taken().checked()
    new = f"new.{new_id()}@example.lu"
    code = desk.correct(new)
    assert values(front, who) == {who.email}, "not before the proof"
    assert desk.follow()["code_expires_at"] is not None
    assert desk.prove(code) == {}
    assert values(front, who) == {new} and desk.follow()["code_expires_at"] is None
    told = notices(front)[-2:]
    assert [notice.occasion for notice in told] == ["contact_added", "contact_removed"]
    for notice in told:
        assert {one["value"] for one in notice.recipients} == {who.email, new}
    added = front.traces(who.address, "contact.added")[-1]
    assert added["outcome"] == "allowed" and added["account_id"] is not None
    assert front.log_in(who)["access_token"], "and the next code goes to the new one"
    assert front.mail(front.events("one_time_code_requested.v1")[-1]["challenge_id"]) == {"spent": True}
    challenge_id = front.challenge(who)
    assert front.mail(challenge_id)["address"] == new


def test_a_corrected_mobile_number_leaves_the_mailbox_alone(front: Front) -> None:
    who = front.activate(front.patient())
    desk = Desk(front, who).taken().checked()
    desk.prove(desk.correct("+352621000111", "mobile"))
    assert values(front, who) == {who.email, "+352621000111"}
    desk.prove(desk.correct("+352621000222", "mobile"))
    assert values(front, who) == {who.email, "+352621000222"}


def test_an_address_proved_again_stays(front: Front) -> None:
    who = front.activate(front.professional(), "professional")
    desk = Desk(front, who).taken().checked("professional")
    desk.prove(desk.correct(who.email.upper().replace("@EXAMPLE.LU", "@example.lu").lower()))
    assert values(front, who) == {who.email}


def test_links_to_a_new_password_die_with_the_mailbox_they_went_to(front: Front) -> None:
    who = front.activate(front.patient())
    desk = Desk(front, who).taken().checked()
    code = desk.correct(f"{new_id()}@example.lu")
    account_id = front.one(sa.select(Contact.account_id).where(Contact.value == who.email))
    reset_id = new_id()
    front.change(sa.insert(PasswordReset).values(reset_id=reset_id, account_id=account_id, created_at=now(),
                                                 expires_at=now() + timedelta(minutes=30)))  # fmt: skip
    desk.prove(code)
    assert front.one(sa.select(PasswordReset.used_at).where(PasswordReset.reset_id == reset_id)) is not None


def test_a_contact_is_not_corrected_without_check_without_account_or_without_an_address(front: Front) -> None:
    nobody = Desk(front, front.patient()).taken()
    refused(IdentityCheckDue, lambda: nobody.act("correct_contact", kind="email", value="a@example.lu"))
    nobody.checked()
    refused(NotActivated, lambda: nobody.act("correct_contact", kind="email", value="a@example.lu"))
    somebody = Desk(front, front.activate(front.patient())).taken().checked()
    for wrong in (
        {"kind": "email", "value": "a"},
        {"kind": "letter", "value": "Rue"},
        {"kind": "mobile", "value": "x"},
    ):
        refused(InvalidInput, lambda wrong=wrong: somebody.act("correct_contact", **wrong))  # type: ignore[misc]
    assert somebody.correct(f"{new_id()}@example.lu"), "its right twin"
    assert nobody.traces("helpdesk.changed")[1:] == [
        ("refused", "identity_check_due", None), ("refused", "not_activated", None)]  # fmt: skip


def test_a_correction_code_is_good_for_its_own_request_its_last_address_and_five_tries(front: Front) -> None:
    mine = Desk(front, front.activate(front.patient())).taken().checked()
    theirs = Desk(front, front.activate(front.patient())).taken().checked()
    refused(OneTimeCodeRefused, lambda: mine.prove("6wqxU4"))
    foreign = theirs.correct(f"{new_id()}@example.lu")
    earlier = mine.correct(f"{new_id()}@example.lu")
    code = mine.correct(f"{new_id()}@example.lu")
    for wrong in (foreign, earlier, code.swapcase(), "", None):
        refused(OneTimeCodeRefused, lambda wrong=wrong: mine.prove(wrong))  # type: ignore[misc]
    refused(OneTimeCodeRefused, lambda: mine.prove(code))
    assert values(front, mine.who) == {mine.who.email}
    assert len(front.traces(mine.who.address, "contact.added", "one_time_code_refused")) == 7
    assert mine.prove(mine.correct(f"{new_id()}@example.lu")) == {}, "a new code helps"


def test_a_correction_code_is_used_up_by_one_of_many_who_submit_it(front: Front) -> None:
    desk = Desk(front, front.activate(front.patient())).taken().checked()
    code = desk.correct(f"{new_id()}@example.lu")

    def prove(_: int) -> str:
        try:
            desk.prove(code)
        except Refusal as refusal:
            return refusal.code
        return "in"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(prove, range(16)))
    assert answers.count("in") == 1 and answers.count("one_time_code_refused") == 15


def test_a_code_sent_for_one_person_is_worth_nothing_once_the_request_is_about_another(front: Front) -> None:
    desk = Desk(front, front.activate(front.patient())).taken().checked()
    code = desk.correct(f"{new_id()}@example.lu")
    other = front.activate(front.patient())
    desk.act("check_identity", matricule=other.matricule, kind="patient", paper="passport")
    refused(OneTimeCodeRefused, lambda: desk.prove(code))
    assert values(front, other) == {other.email} and values(front, desk.who) == {desk.who.email}


def test_a_code_of_a_closed_request_is_worth_nothing(front: Front) -> None:
    desk = Desk(front, front.activate(front.patient())).taken().checked()
    code = desk.correct(f"{new_id()}@example.lu")
    desk.act("close_request")
    refused(RequestClosed, lambda: desk.prove(code))
    assert values(front, desk.who) == {desk.who.email}


def test_a_professionals_corrected_address_is_their_own(front: Front) -> None:
    one, other = (front.activate(front.professional(), "professional") for _ in range(2))
    desk = Desk(front, one).taken().checked("professional")
    refused(ContactTaken, lambda: desk.prove(desk.correct(other.email)))
    assert values(front, one) == {one.email} and values(front, other) == {other.email}
    new = f"{new_id()}@example.lu"
    desk.prove(desk.correct(new))
    assert front.one(sa.select(Contact.individual).where(Contact.value == new)) is True


def test_correction_codes_are_not_sent_without_end(front: Front) -> None:
    desk = Desk(front, front.activate(front.patient())).taken().checked()
    for _ in range(10):
        desk.act("correct_contact", kind="email", value=f"{new_id()}@example.lu")
    refused(TooManyTries, lambda: desk.act("correct_contact", kind="email", value=f"{new_id()}@example.lu"))
    assert desk.traces("helpdesk.changed")[-1] == ("refused", "too_many_tries", None)


def agent_with_account(front: Front, role: str = "agent") -> tuple[Person, Caller]:
    """Somebody who is a patient with an account, and works for the agency too."""
    who = front.activate(front.patient())
    administrator = caller("agent", role="administrator")
    front.ask("invite_agent", administrator, matricule=who.matricule, role=role)
    agent_id = front.events("account_invited.v1")[-1]["subject_id"]
    code = front.ask("issue_activation_code", context(), "notifications", letter_id=new_id(), subject_kind="agent",
                     subject_id=agent_id)["code"]  # fmt: skip
    front.activate(who, "agent", code=code)
    account_id = front.one(sa.select(Contact.account_id).where(Contact.value == who.email))
    return who, caller("agent", role=role, account_id=account_id)


@pytest.mark.parametrize(
    ("method", "what"),
    [("send_letter", {"purpose": "recovery"}), ("correct_contact", {"kind": "email", "value": "evil@example.lu"})],
)
def test_no_agent_opens_a_way_into_an_agents_account_or_their_own_by_its_patient_side(
    front: Front, method: str, what: dict[str, str]
) -> None:
    who, as_agent = agent_with_account(front, "administrator")
    mere = Desk(front, who).taken().checked()
    refused(NotAllowed, lambda: mere.act(method, **what))
    own = Desk(front, who, as_agent).taken().checked()
    refused(NotAllowed, lambda: own.act(method, **what))
    colleague = Desk(front, who, caller("agent", role="administrator")).taken().checked()
    assert colleague.act(method, **what)["state"] == "taken"


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "value"), [("email", "zoe@example.lu"), ("mobile", "+352621123456")])
def test_the_reply_address_is_told_that_there_is_an_answer(front: Front, kind: str, value: str) -> None:
    desk = Desk(front, front.person(), reply_kind=kind, reply_value=value, language="pt").taken()
    desk.act("answer_request", text="Un secret que le courriel ne dit pas")
    notice = notices(front)[-1]
    assert (notice.occasion, notice.language, notice.object_id) == ("helpdesk_answered", "pt", desk.request_id)
    assert notice.recipients == [{"kind": kind, "value": value}]


def test_an_answer_that_is_to_go_by_letter_tells_nobody(front: Front) -> None:
    before = len(notices(front))
    desk = Desk(front, front.person(), reply_kind="letter", reply_value="4, Rue des Tests, L-1427").taken()
    desk.act("answer_request", text="Voir lettre")
    assert len(notices(front)) == before and desk.follow()["answer"] == "Voir lettre"


def test_a_repeated_answer_is_told_once_and_a_later_one_replaces_it(front: Front) -> None:
    desk = Desk(front, front.person()).taken()
    before = len(notices(front))
    agent = replace(desk.agent, context=context(idempotency_key=new_id()))
    assert desk.act("answer_request", agent, text="Oui") == desk.act("answer_request", agent, text="Oui")
    assert len(notices(front)) == before + 1
    desk.act("answer_request", text="Non, pardon")
    assert desk.follow()["answer"] == "Non, pardon" and len(notices(front)) == before + 2


@pytest.mark.parametrize("text", ["", "  ", "x" * 4001, None])
def test_an_empty_answer_is_none(front: Front, text: Any) -> None:
    desk = Desk(front, front.person()).taken()
    refused(InvalidInput, lambda: desk.act("answer_request", text=text))
    assert desk.row().state == "taken"


# --- forgetting, and what nobody learns -------------------------------------------------------------------------------


def test_a_year_after_closing_a_request_says_nothing_about_a_person_any_more(front: Front) -> None:
    old, young, running = (Desk(front, front.patient()).taken().checked() for _ in range(3))
    for desk, age in ((old, 366), (young, 364)):
        desk.act("answer_request", text="Voilà.")
        desk.act("close_request")
        front.change(sa.update(HelpdeskRequest).where(HelpdeskRequest.request_id == desk.request_id)
                     .values(closed_at=now() - timedelta(days=age)))  # fmt: skip
    front.house.identity.sweep()
    row = old.row()
    assert [row.name, row.reply_kind, row.reply_value, row.message, row.answer] == [None] * 5
    assert (row.state, row.checked_by, row.subject_id) == ("closed", old.agent.account_id, old.who.patient_id)
    assert old.follow()["answer"] is None
    for desk in (young, running):
        assert desk.row().name == "Zoé Weber" and desk.row().reply_value == desk.who.email


def test_no_event_of_the_helpdesk_holds_a_word_that_was_said_an_address_a_matricule_or_a_secret(front: Front) -> None:
    who = front.activate(front.patient())
    desk = Desk(front, who, message="Mon médecin s'appelle Bruch").taken().checked()
    new = f"{new_id()}@example.lu"
    code = desk.correct(new)
    desk.prove(code)
    desk.act("send_letter", purpose="recovery")
    desk.act("answer_request", text="Réponse confidentielle")
    desk.act("close_request")
    with pytest.raises(LogInRefused):
        front.challenge(who, "pas le bon mot de passe")
    text = json.dumps(front.house.events("identity"), ensure_ascii=False)
    for secret in ("Bruch", "Weber", "confidentielle", who.matricule, who.email, new, code,
                   desk.opened["tracking_token"], desk.opened["reference"]):  # fmt: skip
        assert secret not in text


def test_tracking_tokens_follow_from_the_id_and_identitys_key_alone(front: Front) -> None:
    desk = Desk(front, front.person())
    assert KEY.tracking_token(desk.request_id) == desk.opened["tracking_token"]
    assert len(desk.opened["tracking_token"]) == 43
    with front.sessions.transaction() as session:
        stored = session.execute(sa.text("select string_agg(t::text, '') from helpdesk_requests t")).scalar()
    assert desk.opened["tracking_token"] not in str(stored)
