"""Capacities over real databases: one account for all of them, individual addresses, invitations by the agency."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from services.db import new_id
from services.identity.contract import (
    ActivationComplete,
    ActivationRefused,
    AlreadyActivated,
    ContactTaken,
    OneTimeCodeRefused,
    ProfessionalUnknown,
)
from services.identity.first_agent import issue_code
from services.refusals import InvalidInput, KeyReused, NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import any_matricule, caller, context
from tests.services.identity_house import (
    ADMINISTRATOR,
    AGENT,
    KEY,
    Front,
    refused,
)


def test_a_patient_who_is_a_professional_too_has_one_account_and_keeps_the_password(front: Front) -> None:
    who = front.activate(front.professional(front.patient(), places=2))
    run = front.begin_professional(who)
    done = front.confirm(run)
    kept = {shown["step"]: shown["state"] for shown in done["steps"]}
    assert done["complete"] and kept["contact"] == kept["password"] == "kept"
    refused(ActivationComplete, lambda: front.ask("set_password", context(), **run, password="quatre autres mots ici"))
    challenge_id = front.challenge(who)
    code = front.mail(challenge_id)["code"]

    def confirm(**choice: Any) -> Any:
        return front.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=code, **choice)

    for choice in ({}, {"capacity": "agent"}, {"capacity": "king"}):
        wrong = refused(InvalidInput, lambda choice=choice: confirm(**choice))  # type: ignore[misc]
        assert wrong.detail["errors"] == [{"pointer": "/capacity", "message": "choose"}]
    refused(InvalidInput, lambda: confirm(capacity="professional", establishment_id=new_id()))
    facts = front.house.ask("directory", "capacity_facts", context(), "identity", patient_id=None,
                            professional_id=who.professional_id)  # fmt: skip
    second = facts["establishment_ids"][1]
    as_professional = front.caller_of(confirm(capacity="professional", establishment_id=second)["access_token"])
    assert as_professional.capacity == "professional" and as_professional.professional_id == who.professional_id
    assert as_professional.patient_id is None and as_professional.establishment_id == second
    assert as_professional.profession == "physician"
    as_patient = front.caller_of(front.log_in(who, capacity="patient")["access_token"])
    assert (as_patient.patient_id, as_patient.professional_id) == (who.patient_id, None)
    assert as_patient.account_id == as_professional.account_id


def test_the_choice_of_capacity_tells_nothing_to_who_has_no_right_code(front: Front) -> None:
    who = front.activate(front.patient())
    challenge_id = front.challenge(who)
    for capacity in ("patient", "professional", "king", None):
        refused(OneTimeCodeRefused, lambda capacity=capacity: front.ask(  # type: ignore[misc]
            "confirm_log_in", who.at(), challenge_id=challenge_id, code="wrong1", capacity=capacity))  # fmt: skip


def test_a_professionals_address_is_individual_and_a_patients_need_not_be(front: Front) -> None:
    family = "family@example.lu"
    for patient in (front.patient(), front.patient()):
        patient.email = family
        front.activate(patient)
    doctor = front.activate(front.professional(), "professional")
    second = front.professional()
    run = front.begin_professional(second)
    front.confirm(run)
    for taken in (doctor.email, doctor.email.upper(), family):
        refused(ContactTaken, lambda taken=taken: front.prove(run, taken))  # type: ignore[misc]
        assert front.ask("activation_state", context(), **run)["next"] == "contact"
    assert front.prove(run, second.email)["next"] == "password"


def test_two_professionals_who_prove_one_address_at_one_moment_do_not_both_have_it(front: Front) -> None:
    people = [front.professional() for _ in range(4)]
    runs = [front.begin_professional(one) for one in people]
    codes = []
    for run in runs:
        front.confirm(run)
        codes.append(front.mail(front.add_contact(run, "cabinet@example.lu"))["code"])

    def prove(at: int) -> str:
        try:
            front.ask("prove_contact", context(), **runs[at], code=codes[at])
        except Refusal as refusal:
            return refusal.code
        return "proved"

    with ThreadPoolExecutor(4) as pool:
        assert Counter(pool.map(prove, range(4))) == {"proved": 1, "contact_taken": 3}


def test_the_first_administrator_comes_in_by_command_and_invites_the_next_agent(front: Front) -> None:
    boss = front.person()
    with pytest.raises(InvalidInput):
        issue_code(front.sessions, KEY, boss.matricule[:-1] + str((int(boss.matricule[-1]) + 1) % 10), "administrator")
    void = issue_code(front.sessions, KEY, boss.matricule, "administrator")
    code = issue_code(front.sessions, KEY, boss.matricule, "administrator")
    refused(ActivationRefused, lambda: front.begin(boss, void))
    front.activate(boss, "agent", code)
    administrator = front.caller_of(front.log_in(boss)["access_token"])
    assert (administrator.capacity, administrator.role) == ("agent", "administrator")

    clerk = front.person()
    front.ask("invite_agent", administrator, matricule=clerk.matricule, role="agent")
    invited = front.events("account_invited.v1")[-1]
    assert invited["subject_kind"] == "agent"
    issued = front.ask("issue_activation_code", context(), "notifications", letter_id=new_id(), subject_kind="agent",
                       subject_id=invited["subject_id"])  # fmt: skip
    front.activate(clerk, "agent", issued["code"])
    agent = front.caller_of(front.log_in(clerk)["access_token"])
    assert (agent.capacity, agent.role, agent.patient_id, agent.professional_id) == ("agent", "agent", None, None)
    refused(NotAllowed, lambda: front.ask("invite_agent", agent, matricule=front.person().matricule, role="agent"))
    refused(AlreadyActivated, lambda: front.ask("invite_agent", administrator, matricule=clerk.matricule, role="agent"))


@pytest.mark.parametrize(
    "who", [caller("patient"), caller("professional"), caller("machine")], ids=lambda c: c.capacity
)
def test_nobody_but_the_agency_invites(front: Front, who: Caller) -> None:
    doctor = front.professional()
    refused(NotAllowed, lambda: front.ask("invite_professional", who, professional_id=doctor.professional_id))
    refused(NotAllowed, lambda: front.ask("invite_agent", who, matricule=any_matricule(), role="agent"))
    traces = [trace for trace in front.events("access_traced.v1") if trace["account_id"] == who.account_id]
    assert [trace["reason"] for trace in traces] == ["not_allowed"] * 2
    assert front.ask("invite_professional", AGENT, professional_id=doctor.professional_id)["invitation_id"]


def test_an_agent_who_is_no_administrator_invites_no_agents(front: Front) -> None:
    refused(NotAllowed, lambda: front.ask("invite_agent", AGENT, matricule=any_matricule(), role="agent"))
    assert front.ask("invite_agent", ADMINISTRATOR, matricule=any_matricule(), role="agent")["invitation_id"]
    refused(InvalidInput, lambda: front.ask("invite_agent", ADMINISTRATOR, matricule="1893120105733", role="agent"))
    refused(InvalidInput, lambda: front.ask("invite_agent", ADMINISTRATOR, matricule=any_matricule(), role="king"))


def test_an_invitation_names_a_professional_of_the_directory_who_has_no_account_yet(front: Front) -> None:
    refused(ProfessionalUnknown, lambda: front.ask("invite_professional", AGENT, professional_id=new_id()))
    refused(InvalidInput, lambda: front.ask("invite_professional", AGENT, professional_id="x"))
    doctor = front.activate(front.professional(), "professional")
    refused(AlreadyActivated, lambda: front.ask("invite_professional", AGENT, professional_id=doctor.professional_id))


def test_an_invitation_repeated_under_its_key_sends_one_letter(front: Front) -> None:
    doctor = front.professional()
    again = replace(AGENT, context=context(idempotency_key=new_id()))
    first = front.ask("invite_professional", again, professional_id=doctor.professional_id)
    assert front.ask("invite_professional", again, professional_id=doctor.professional_id) == first
    sent = [e for e in front.events("account_invited.v1") if e["subject_id"] == doctor.professional_id]
    assert [event["invitation_id"] for event in sent] == [first["invitation_id"]]
    other = front.professional()
    refused(KeyReused, lambda: front.ask("invite_professional", again, professional_id=other.professional_id))
