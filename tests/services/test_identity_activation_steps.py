"""The flows of activation over a real database: professionals, the app, wrong data, what was gathered."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.directory.models import Matricule
from services.identity.contract import (
    CONDITIONS_VERSION,
    ActivationComplete,
    ActivationNotFound,
    ActivationRefused,
    ConditionsDue,
    ContactTaken,
    LuxTrustTaken,
    OneTimeCodeRefused,
    StepOutOfOrder,
)
from services.identity.models import Account, Activation, Challenge, Contact, TriesRow
from services.identity.models_desk import HelpdeskRequest
from services.identity.models_factors import LuxTrustProduct
from services.refusals import InvalidInput, Refusal, TooManyTries
from tests.builders import context
from tests.services.identity_house import KEY, PASSWORD, Front, Person, counting, refused, run_of

CONDITIONS = {"version": CONDITIONS_VERSION, "language": "de"}
ORDER = ("conditions", "luxtrust", "code", "personal_data", "contact", "password")


def state(front: Front, run: dict[str, str]) -> dict[str, Any]:
    return dict(front.ask("activation_state", context(), **run))


def shown(told: dict[str, Any]) -> dict[str, str]:
    return {one["step"]: one["state"] for one in told["steps"]}


def professional_run(front: Front, who: Person) -> dict[str, str]:
    return run_of(front.ask("start_professional_activation", who.at(), **CONDITIONS))


# --- professionals ----------------------------------------------------------------------------------------------------


def test_a_professional_activates_in_the_order_of_the_seeds(front: Front) -> None:
    who = front.professional()
    code = front.letter(who, "professional")
    run = professional_run(front, who)
    assert (state(front, run)["flow"], tuple(shown(state(front, run)))) == ("professional", ORDER)
    takes = {
        "luxtrust": lambda: front.show_luxtrust(run),
        "code": lambda: front.show_letter(run, who, code),
        "personal_data": lambda: front.confirm(run),
        "contact": lambda: front.prove(run, who.email),
        "password": lambda: front.choose(run),
    }
    for at, step in enumerate(ORDER[1:], 1):
        told = state(front, run)
        assert told["next"] == step and list(shown(told).values()) == ["done"] * at + ["open"] * (6 - at)
        for later in ORDER[at + 1 :]:
            early = refused(StepOutOfOrder, takes[later])
            assert early.detail == {"next": step}, (step, later)
        takes[step]()
    assert state(front, run)["complete"]
    account_id = front.one(sa.select(Activation.account_id).where(Activation.activation_id == run["activation_id"]))
    linked = sa.select(LuxTrustProduct.product).where(LuxTrustProduct.account_id == account_id)
    assert front.one(linked) == "LuxTrust Card"
    assert front.one(sa.select(Account.language).where(Account.account_id == account_id)) == "de"
    assert front.caller_of(front.log_in(who)["access_token"]).professional_id == who.professional_id
    activated = [e for e in front.events("account_activated.v1") if e["professional_id"] == who.professional_id]
    assert [event["subject_kind"] for event in activated] == ["professional"]


@pytest.mark.parametrize("digits", [13, 11])
def test_a_professional_types_eleven_or_thirteen_digits(front: Front, digits: int) -> None:
    who = front.professional()
    code = front.letter(who, "professional")
    run = professional_run(front, who)
    front.show_luxtrust(run)
    assert front.show_letter(run, who, code, who.matricule[:digits])["next"] == "personal_data"
    assert front.walk(run, who)["complete"]
    assert front.log_in(who)["professional_id"] == who.professional_id, "the whole matricule is the log-in name"


def test_eleven_digits_that_begin_two_matricules_are_nobodys(front: Front) -> None:
    who = front.professional()
    code = front.letter(who, "professional")
    twin = who.matricule[:11] + f"{(int(who.matricule[11:]) + 7) % 100:02d}"
    with front.house.sessions["directory"].transaction() as session:
        theirs = {"matricule": twin, "professional_id": front.professional().professional_id}
        session.execute(sa.insert(Matricule).values(**theirs, since=now(), until=now()))
    run = professional_run(front, who)
    front.show_luxtrust(run)
    refused(ActivationRefused, lambda: front.show_letter(run, who, code, who.matricule[:11]))
    assert front.show_letter(run, who, code)["next"] == "personal_data", "all the digits tell them apart"


def test_a_letter_is_refused_alike_where_it_is_wrong_and_where_it_is_not_meant(front: Front) -> None:
    doctor = front.professional(front.patient())
    as_patient, as_doctor = front.letter(doctor), front.letter(doctor, "professional")
    other = front.letter(front.professional(), "professional")
    unknown = front.person()
    for who, code in ((doctor, as_patient), (doctor, other), (doctor, "wrong"), (unknown, as_doctor), (doctor, "")):
        for digits in (13, 11):
            run = professional_run(front, front.person())
            front.show_luxtrust(run)

            def attempt(
                run: dict[str, str] = run, who: Person = who, code: str = code, digits: int = digits
            ) -> Any:  # fmt: skip
                return front.show_letter(run, front.person(), code, who.matricule[:digits])

            assert refused(ActivationRefused, attempt).to_wire() == {"code": "activation_refused", "detail": {}}
            assert counting(front, attempt) == 1
            assert state(front, run)["next"] == "code", "the step stays open"
    refused(ActivationRefused, lambda: front.begin(doctor, as_doctor))
    assert counting(front, lambda: front.begin(replace(doctor, address=unknown.address), as_doctor)) == 1
    assert front.begin(replace(doctor, address=front.person().address), as_patient), "each where it is meant"


def test_the_letter_in_the_middle_is_slowed_like_the_one_at_the_beginning(front: Front) -> None:
    who = front.professional()
    code = front.letter(who, "professional")
    run = professional_run(front, who)
    front.show_luxtrust(run)
    for digits in (13, 11, 13, 11, 13):
        refused(ActivationRefused, lambda digits=digits: front.show_letter(run, who, "wrong", who.matricule[:digits]))  # type: ignore[misc]
    for attempt in (lambda: front.show_letter(run, who, code), lambda: front.begin(who, code)):
        assert 0 < refused(TooManyTries, attempt).detail["retry_after"] <= 30
    reasons = Counter(trace["reason"] for trace in front.traces(who.address, "account.activated"))
    assert reasons == {"activation_refused": 5, "too_many_tries": 2}
    assert front.show_letter(run, replace(who, address=front.person().address), code), "no stranger keeps them out"


def test_activations_are_not_begun_without_end_from_one_address(front: Front) -> None:
    who = front.person()
    key = KEY.throttle_key("activation_begun", who.address)
    professional_run(front, who)
    front.change(sa.update(TriesRow).where(TriesRow.key == key).values(
        checked=100, blocked_until=now() + timedelta(seconds=60)))  # fmt: skip
    assert refused(TooManyTries, lambda: professional_run(front, who)).detail["retry_after"] > 0
    assert professional_run(front, front.person())
    for wrong in ({"version": "2019-01", "language": "fr"}, {"version": CONDITIONS_VERSION, "language": "es"}):
        refused(InvalidInput, lambda wrong=wrong: front.ask("start_professional_activation", who.at(), **wrong))  # type: ignore[misc]


def test_another_letter_in_the_same_activation_forgets_what_was_gathered_for_the_first(front: Front) -> None:
    one, other = front.professional(), front.professional()
    run = front.begin_professional(one)
    front.walk(run, one, "password")
    assert front.show_letter(run, other, front.letter(other, "professional"))["next"] == "personal_data"
    assert front.one(sa.select(sa.func.count()).where(Contact.activation_id == run["activation_id"])) == 0
    assert front.walk(run, other)["complete"]
    assert front.log_in(other)["professional_id"] == other.professional_id


def test_two_activations_with_one_letter_leave_the_last_one(front: Front) -> None:
    who = front.professional()
    code = front.letter(who, "professional")
    first = front.begin_professional(who, code)
    second = front.begin_professional(who, code)
    refused(ActivationNotFound, lambda: state(front, first))
    assert front.walk(second, who)["complete"]


def test_a_luxtrust_product_that_opens_another_account_is_refused_and_its_step_is_open_again(front: Front) -> None:
    one, other = front.professional(), front.professional()
    subject = new_id().encode()
    mine, theirs = front.begin_professional(one), front.begin_professional(other)
    for run in (mine, theirs):
        front.show_luxtrust(run, subject)
    assert front.walk(mine, one)["complete"]
    front.walk(theirs, other, "password")
    refused(LuxTrustTaken, lambda: front.choose(theirs))
    told = state(front, theirs)
    assert told["next"] == "luxtrust" and not told["complete"] and shown(told)["contact"] == "done"
    front.show_luxtrust(theirs)
    assert front.choose(theirs)["complete"]


def test_of_two_who_finish_with_one_luxtrust_product_at_one_moment_one_has_it(front: Front) -> None:
    people = [front.professional() for _ in range(4)]
    subject, runs = new_id().encode(), [front.begin_professional(one) for one in people]
    for run, one in zip(runs, people, strict=True):
        front.show_luxtrust(run, subject)
        front.walk(run, one, "password")

    def finish(run: dict[str, str]) -> str:
        try:
            front.choose(run)
        except Refusal as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(4) as pool:
        assert Counter(pool.map(finish, runs)) == {"done": 1, "luxtrust_taken": 3}


def test_a_professional_who_is_a_patient_too_brings_contact_and_password_along(front: Front) -> None:
    who = front.activate(front.professional(front.patient()))
    run = front.begin_professional(who)
    assert shown(state(front, run)) | {"contact": "kept", "password": "kept"} == shown(state(front, run))
    for step in (lambda: front.choose(run), lambda: front.add_contact(run, "other@example.lu")):
        assert refused(StepOutOfOrder, step).detail == {"next": "personal_data"}
    assert front.confirm(run)["complete"]


def test_an_address_shared_with_others_is_not_brought_along_by_a_professional(front: Front) -> None:
    family = f"family.{new_id()}@example.lu"
    who = front.professional(front.patient())
    for patient in (front.patient(), who):
        patient.email = family
        front.activate(patient)
    run = front.begin_professional(who)
    front.confirm(run)
    assert state(front, run)["next"] == "contact"
    refused(ContactTaken, lambda: front.prove(run, family))
    assert front.prove(run, f"own.{new_id()}@example.lu")["complete"]


# --- personal data ----------------------------------------------------------------------------------------------------


def test_a_person_sees_their_own_data_and_no_matricule(front: Front) -> None:
    patient, doctor = front.patient(), front.professional()
    mine = front.begin(patient, front.letter(patient))
    told = front.ask("activation_person", patient.at(), **mine)
    assert (told["subject_kind"], told["birth_name"], told["first_names"], told["birth_date"], told["sex"]) == (
        "patient", "Weber", "Zoé", "1980-05-17", "F")  # fmt: skip
    theirs = front.begin_professional(doctor)
    sheet = front.ask("activation_person", doctor.at(), **theirs)
    assert (sheet["family_name"], sheet["first_name"], sheet["profession"], sheet["workplaces"]) == (
        "Schmit", "Léa", "physician", ["Cabinet"])  # fmt: skip
    assert sheet["birth_date"] is told["workplaces"] is None
    for text, who in ((json.dumps(told), patient), (json.dumps(sheet), doctor)):
        assert who.matricule not in text and who.matricule[:8] not in text
    [read] = front.traces(patient.address, "account.read")
    assert (read["patient_id"], read["object_id"]) == (patient.patient_id, mine["activation_id"])


def test_nobody_sees_personal_data_before_the_letter_or_without_the_token(front: Front) -> None:
    doctor, patient = front.professional(), front.patient()
    run = professional_run(front, doctor)
    front.show_luxtrust(run)
    refused(StepOutOfOrder, lambda: front.ask("activation_person", doctor.at(), **run))
    mine = front.begin(patient, front.letter(patient))
    refused(ActivationNotFound, lambda: front.ask("activation_person", context(), **mine | {"activation_token": "x"}))
    app = front.begin(patient, front.letter(patient), flow="app")
    refused(StepOutOfOrder, lambda: front.ask("activation_person", context(), **app))


def test_personal_data_answered_twice_under_one_key_get_the_first_answer_and_no_token_is_kept(front: Front) -> None:
    who, other = front.patient(), front.patient()
    run, theirs = front.begin(who, front.letter(who)), front.begin(other, front.letter(other))
    keyed = who.at(idempotency_key=new_id())
    doubt = {"correct": False, "message": "Je m’appelle Weber."}
    first = front.ask("confirm_person", keyed, **run, **doubt)
    assert front.ask("confirm_person", keyed, **run, **doubt) == first
    case = sa.select(HelpdeskRequest.message).where(HelpdeskRequest.request_id == first["helpdesk"]["request_id"])
    asked = front.traces(who.address, "helpdesk.requested")
    assert front.one(case) == doubt["message"] and len(asked) == 1
    kept = front.one(sa.text("select string_agg(response::text, '') from requests"))
    assert first["helpdesk"]["reference"] in kept and first["helpdesk"]["tracking_token"] not in kept
    refused(ActivationNotFound, lambda: front.ask(
        "confirm_person", keyed, **run | {"activation_token": "x"}, **doubt))  # fmt: skip
    stranger = other.at(idempotency_key=keyed.idempotency_key)
    elsewhere = front.ask("confirm_person", stranger, **theirs, **doubt)
    assert elsewhere["activation_id"] == theirs["activation_id"]
    assert elsewhere["helpdesk"]["request_id"] != first["helpdesk"]["request_id"]


def test_personal_data_confirmed_twice_under_one_key_get_the_first_answer_when_the_activation_is_over(
    front: Front,
) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    keyed = who.at(idempotency_key=new_id())
    first = front.ask("confirm_person", keyed, **run, correct=True)
    assert first["helpdesk"] is None and front.walk(run, who)["complete"]
    assert front.ask("confirm_person", keyed, **run, correct=True) == first
    refused(ActivationComplete, lambda: front.ask("confirm_person", who.at(), **run, correct=True))


def test_wrong_data_open_one_case_at_the_helpdesk_and_the_step_stays_open(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    wrong = {"correct": False, "message": "Mon prénom est Zoé-Marie.", "reply_kind": "email", "reply_value": who.email}
    told = front.ask("confirm_person", who.at(), **run, **wrong)
    assert told["next"] == "personal_data" and not told["complete"]
    case = told["helpdesk"]
    assert case["reference"] and case["tracking_token"]
    again = front.ask("confirm_person", who.at(), **run, correct=False)
    assert again["helpdesk"] == case, "the same case while it is open"
    with front.sessions.transaction() as session:
        [kept] = session.scalars(sa.select(HelpdeskRequest).where(HelpdeskRequest.subject_id == who.patient_id)).all()
    assert (kept.topic, kept.activation_id, kept.subject_kind) == ("personal_data", run["activation_id"], "patient")
    refused(StepOutOfOrder, lambda: front.accept(run))
    assert front.confirm(run) | {"helpdesk": None} == front.confirm(run), "nothing to open a case for"
    assert front.walk(run, who)["complete"]


@pytest.mark.parametrize(
    "wrong",
    [{"message": ""}, {"reply_kind": "email", "reply_value": "x"}, {"reply_kind": "email"},
     {"reply_kind": "pigeon", "reply_value": "roof"}],
)  # fmt: skip
def test_a_case_that_cannot_be_answered_is_not_opened(front: Front, wrong: dict[str, str]) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    refused(InvalidInput, lambda: front.ask("confirm_person", who.at(), **run, correct=False, **wrong))
    assert front.one(sa.select(sa.func.count()).where(HelpdeskRequest.subject_id == who.patient_id)) == 0


def test_data_said_to_be_wrong_after_all_are_to_be_confirmed_again(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    front.walk(run, who, "contact")
    assert front.ask("confirm_person", who.at(), **run, correct=False)["next"] == "personal_data"
    refused(StepOutOfOrder, lambda: front.add_contact(run, who.email))


# --- the app ----------------------------------------------------------------------------------------------------------


def test_in_the_app_the_password_comes_first_and_the_conditions_with_the_first_log_in(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who), flow="app")
    assert list(shown(state(front, run))) == ["password", "contact"]
    refused(StepOutOfOrder, lambda: front.add_contact(run, who.email))
    assert front.choose(run)["next"] == "contact"
    assert PASSWORD not in str(front.one(sa.select(Activation.password_hash).where(
        Activation.activation_id == run["activation_id"])))  # fmt: skip
    assert front.prove(run, who.email)["complete"]
    kept = front.one(sa.select(Activation.password_hash).where(Activation.activation_id == run["activation_id"]))
    assert kept is None, "the account has it now"

    def activated() -> list[dict[str, Any]]:
        return [event for event in front.events("account_activated.v1") if event["patient_id"] == who.patient_id]

    assert activated() == [], "the record does not become active before the conditions are accepted"
    refused(ConditionsDue, lambda: front.log_in(who))
    assert front.log_in(who, conditions=CONDITIONS)["patient_id"] == who.patient_id
    assert len(activated()) == 1
    assert front.log_in(who)["patient_id"] == who.patient_id and len(activated()) == 1


def test_who_has_an_account_has_nothing_left_to_do_in_the_app_but_to_accept(front: Front) -> None:
    who = front.activate(front.professional(front.patient()), "professional")
    code = front.letter(who)
    begun = front.ask("start_activation", who.at(), matricule=who.matricule, activation_code=code, flow="app")
    assert begun["complete"] and shown(begun) == {"password": "kept", "contact": "kept"}
    refused(ActivationRefused, lambda: front.begin(who, code))
    refused(ConditionsDue, lambda: front.log_in(who, capacity="patient"))
    assert front.log_in(who, capacity="patient", conditions=CONDITIONS)["patient_id"] == who.patient_id
    assert front.log_in(who, capacity="professional")["professional_id"] == who.professional_id


def test_another_password_may_be_chosen_until_all_is_done(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who), flow="app")
    front.choose(run, "quatre autres mots ici")
    front.choose(run)
    assert front.prove(run, who.email)["complete"]
    assert front.log_in(who, conditions=CONDITIONS)["access_token"]


def test_the_flow_of_the_app_is_for_patients(front: Front) -> None:
    who = front.patient()
    refused(InvalidInput, lambda: front.begin(who, front.letter(who), flow="professional"))
    code = front.letter(who)
    assert state(front, front.begin(who, code))["flow"] == "patient"
    assert state(front, front.begin(who, code, flow="app"))["flow"] == "app"


# --- contacts ---------------------------------------------------------------------------------------------------------


def test_a_mobile_number_is_proved_by_a_code_sent_to_it(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    front.walk(run, who, "contact")
    message = front.mail(front.add_contact(run, "621 123 456", "mobile"))
    assert (message["kind"], message["address"], message["purpose"]) == ("mobile", "+352621123456", "contact")
    assert front.ask("prove_contact", context(), **run, code=message["code"])["next"] == "password"
    front.choose(run)
    contacts = front.ask("contacts_of", context(), "notifications", patient_id=who.patient_id)["contacts"]
    assert contacts == [{"kind": "mobile", "value": "+352621123456"}]


def test_a_code_is_sent_again_the_same_while_it_is_good_and_a_new_one_afterwards(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    front.walk(run, who, "contact")
    refused(StepOutOfOrder, lambda: front.ask("resend_contact_code", context(), **run))
    first = front.add_contact(run, who.email)

    def resend() -> str:
        return str(front.ask("resend_contact_code", context(), **run)["challenge_id"])

    assert [resend(), resend()] == [first, first]
    requested = [e for e in front.events("one_time_code_requested.v1") if e["challenge_id"] == first]
    assert len(requested) == 3
    second = resend()
    assert second != first and front.mail(second)["address"] == who.email, "sent often enough: a new code"
    front.change(sa.update(Challenge).where(Challenge.challenge_id == second).values(expires_at=now()))
    third = resend()
    assert third not in (first, second)
    refused(OneTimeCodeRefused, lambda: front.ask("prove_contact", context(), **run, code="wrong1"))
    assert front.ask("prove_contact", context(), **run, code=front.mail(third)["code"])["next"] == "password"
    refused(StepOutOfOrder, resend)


def test_codes_are_not_sent_again_without_end(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    front.walk(run, who, "contact")
    front.add_contact(run, who.email)
    for _ in range(9):
        front.ask("resend_contact_code", context(), **run)
    refused(TooManyTries, lambda: front.ask("resend_contact_code", context(), **run))


def test_another_address_replaces_the_one_that_was_proved_until_all_is_done(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    front.walk(run, who, "password")
    front.add_contact(run, "other@example.lu")
    refused(StepOutOfOrder, lambda: front.choose(run))
    front.prove(run, who.email)
    front.choose(run)
    contacts = front.ask("contacts_of", context(), "notifications", patient_id=who.patient_id)["contacts"]
    assert contacts == [{"kind": "email", "value": who.email}]
