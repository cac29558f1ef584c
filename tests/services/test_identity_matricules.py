"""A patient gets another matricule: the account's log-in name follows, whatever else is under way."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from services.bus import Received
from services.db import new_id
from services.directory.contract import PatientMatriculeChanged
from services.identity.contract import LogInRefused
from services.identity.matricules import LogInNameTaken
from services.identity.models import Account, Agent
from tests.builders import any_matricule, context
from tests.services.identity_house import AGENT, KEY, Front, Person, refused


def renumber(front: Front, who: Person, number: str | None = None) -> str:
    """The agency gives the person another matricule; the former one is handed back."""
    former, wanted = who.matricule, number or any_matricule()
    front.house.ask(
        "directory", "change_matricule", AGENT, patient_id=who.patient_id, matricule=wanted, cause="correction"
    )
    who.matricule = wanted
    return former


def hear(front: Front, who: Person) -> None:
    """identity gets the news once more, as after a delivery that was not confirmed."""
    event = Received(
        id=new_id(), source="directory", type=PatientMatriculeChanged.type, time="", subject=None, number=None,
        data=PatientMatriculeChanged(patient_id=str(who.patient_id)), context=context(),
    )  # fmt: skip
    with front.sessions.transaction() as session:
        front.house.identity.on_patient_matricule_changed(session, event)


def name_of(front: Front, account_id: str | None) -> Any:
    return front.one(sa.select(Account.log_in_name).where(Account.account_id == account_id))


def test_the_person_logs_in_with_the_new_matricule_and_with_the_former_no_more(front: Front) -> None:
    who = front.member(front.patient())
    former = renumber(front, who)
    front.house.deliver()
    assert front.session(who).account_id == who.account_id
    refused(LogInRefused, lambda: front.challenge(Person(former, who.address, who.email)))


def test_before_the_news_arrive_the_former_matricule_still_opens_the_account(front: Front) -> None:
    who = front.member(front.patient())
    former = renumber(front, who)
    assert front.session(Person(former, who.address, who.email)).account_id == who.account_id
    front.house.deliver()


def test_the_news_again_change_nothing_and_leave_no_second_trace(front: Front) -> None:
    who = front.member(front.patient())
    renumber(front, who)
    hear(front, who)
    hear(front, who)
    told = [trace for trace in front.events("access_traced.v1") if trace["object_id"] == who.account_id]
    assert [(trace["action"], trace["purpose"], trace["patient_id"]) for trace in told] == [
        ("account.changed", "matricule_changed", who.patient_id)
    ]
    assert bytes(name_of(front, who.account_id)) == KEY.log_in_name(who.matricule)
    front.house.deliver()


def test_of_two_changes_the_later_holds_whichever_news_come_first(front: Front) -> None:
    who = front.member(front.patient())
    renumber(front, who)
    renumber(front, who)
    front.house.deliver()
    assert bytes(name_of(front, who.account_id)) == KEY.log_in_name(who.matricule)


def test_a_change_back_gives_the_former_name_back(front: Front) -> None:
    who = front.member(front.patient())
    former = renumber(front, who)
    front.house.deliver()
    renumber(front, who, former)
    front.house.deliver()
    assert front.session(who).account_id == who.account_id


def test_a_professionals_capacity_and_an_agents_name_go_along(front: Front) -> None:
    who = front.member(front.patient())
    front.member(who, "agent")
    renumber(front, who)
    front.house.deliver()
    assert front.session(who, capacity="agent").capacity == "agent"
    name = KEY.log_in_name(who.matricule)
    assert front.one(sa.select(sa.func.count()).select_from(Agent).where(Agent.log_in_name == name)) == 1


def test_whoever_is_half_way_through_their_activation_logs_in_with_the_new_matricule(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    front.confirm(run)
    former = renumber(front, who)
    front.house.deliver()
    assert front.walk(run, who)["complete"]
    assert front.session(who).patient_id == who.patient_id
    refused(LogInRefused, lambda: front.challenge(Person(former, who.address, who.email)))


def test_a_letter_shown_with_the_former_matricule_makes_an_account_of_the_present_one(front: Front) -> None:
    who = front.patient()
    code = front.letter(who)
    former = renumber(front, who)
    front.house.deliver()
    run = front.begin(Person(former, who.address, who.email), code)
    assert front.walk(run, who)["complete"]
    assert front.session(who).patient_id == who.patient_id


def test_who_has_no_account_yet_is_no_trouble(front: Front) -> None:
    who = front.patient()
    renumber(front, who)
    front.house.deliver()
    assert front.activate(who)


def test_a_name_that_another_account_has_is_left_for_an_agent_to_see(front: Front) -> None:
    other, who = front.member(front.patient()), front.member(front.patient())
    before = name_of(front, who.account_id)
    free = any_matricule()
    renumber(front, who, free)
    front.change(
        sa.update(Account).where(Account.account_id == other.account_id).values(log_in_name=KEY.log_in_name(free))
    )
    with pytest.raises(LogInNameTaken):
        hear(front, who)
    assert name_of(front, who.account_id) == before
    front.change(
        sa.update(Account)
        .where(Account.account_id == other.account_id)
        .values(log_in_name=KEY.log_in_name(other.matricule))
    )
    front.house.deliver()
    assert front.session(who).account_id == who.account_id


def test_another_patients_account_keeps_its_name(front: Front) -> None:
    other, who = front.member(front.patient()), front.member(front.patient())
    renumber(front, who)
    front.house.deliver()
    assert front.session(other).account_id == other.account_id
