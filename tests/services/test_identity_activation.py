"""Activation by letter over a real database: step by step, used once, throttled, and what nobody learns."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.identity.contract import (
    ActivationComplete,
    ActivationNotFound,
    ActivationRefused,
    OneTimeCodeRefused,
    PasswordTooCommon,
    StepOutOfOrder,
)
from services.identity.models import (
    Activation,
    ActivationLetter,
    Challenge,
    Contact,
    TriesRow,
)
from services.identity.ports.codes import CODE_ALPHABET
from services.refusals import InvalidInput, Refusal, TooManyTries, Unavailable
from tests.builders import context
from tests.services.identity_house import (
    KEY,
    PASSWORD,
    Front,
    Person,
    counting,
    refused,
)


def test_a_patient_activates_step_by_step(front: Front) -> None:
    who = front.patient()
    begun = front.ask("start_activation", who.at(), matricule=who.matricule, activation_code=front.letter(who))
    assert begun["subject_kind"] == "patient" and begun["next"] == "personal_data" and not begun["complete"]
    run = {name: begun[name] for name in ("activation_id", "activation_token")}
    assert front.confirm(run)["next"] == "conditions"
    assert front.accept(run)["next"] == "contact"
    challenge_id = front.add_contact(run, who.email)
    assert front.ask("activation_state", context(), **run)["next"] == "contact_proof"
    mail = front.mail(challenge_id)
    assert (mail["address"], mail["kind"], mail["language"], mail["purpose"]) == (who.email, "email", "fr", "contact")
    assert len(mail["code"]) == 6 and set(mail["code"]) <= set(CODE_ALPHABET)
    assert front.mail(challenge_id) == mail, "a repeat sends the same code"
    assert front.ask("prove_contact", context(), **run, code=mail["code"])["next"] == "password"
    assert front.mail(challenge_id) == {"spent": True}
    done = front.ask("set_password", context(), **run, password=PASSWORD)
    assert done["complete"] and done["next"] is None
    steps = ("personal_data", "conditions", "contact", "password")
    assert done["steps"] == [{"step": step, "state": "done"} for step in steps]
    activated = [event for event in front.events("account_activated.v1") if event["patient_id"] == who.patient_id]
    assert [event["subject_kind"] for event in activated] == ["patient"]
    contacts = front.ask("contacts_of", context(), "notifications", patient_id=who.patient_id)
    assert contacts == {"contacts": [{"kind": "email", "value": who.email}], "language": "fr"}


def test_nobody_without_an_account_has_contacts(front: Front) -> None:
    for ids in ({"patient_id": front.patient().patient_id}, {"professional_id": new_id()}, {"patient_id": "x"}, {}):
        assert front.ask("contacts_of", context(), "notifications", **ids) == {"contacts": [], "language": None}


def test_a_step_before_its_turn_is_refused_and_leaves_the_order_alone(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    refused(StepOutOfOrder, lambda: front.accept(run))
    front.confirm(run)
    early = refused(StepOutOfOrder, lambda: front.add_contact(run, who.email))
    assert early.to_wire() == {"code": "step_out_of_order", "detail": {"next": "conditions"}}
    refused(StepOutOfOrder, lambda: front.ask("prove_contact", context(), **run, code="6wqxU4"))
    refused(StepOutOfOrder, lambda: front.ask("set_password", context(), **run, password=PASSWORD))
    front.accept(run)
    refused(StepOutOfOrder, lambda: front.ask("prove_contact", context(), **run, code="6wqxU4"))
    front.add_contact(run, who.email)
    refused(StepOutOfOrder, lambda: front.ask("set_password", context(), **run, password=PASSWORD))
    front.prove(run, who.email)
    refused(PasswordTooCommon, lambda: front.ask("set_password", context(), **run, password="password1234"))
    own = f"ma {who.matricule} carte"
    refused(PasswordTooCommon, lambda: front.ask("set_password", context(), **run, password=own))
    front.ask("set_password", context(), **run, password=PASSWORD)
    refused(ActivationComplete, lambda: front.ask("set_password", context(), **run, password=PASSWORD))
    refused(ActivationComplete, lambda: front.add_contact(run, who.email))


def test_an_activation_opens_with_its_own_token_only(front: Front) -> None:
    one, other = front.patient(), front.patient()
    mine, theirs = front.begin(one, front.letter(one)), front.begin(other, front.letter(other))
    for wrong in (theirs["activation_token"], "", "x", None):
        run = mine | {"activation_token": wrong}
        refused(ActivationNotFound, lambda run=run: front.accept(run))  # type: ignore[misc]
    refused(ActivationNotFound, lambda: front.accept({**mine, "activation_id": new_id()}))
    refused(ActivationNotFound, lambda: front.accept({**mine, "activation_id": "' or 1=1"}))
    front.change(
        sa.update(Activation).where(Activation.activation_id == mine["activation_id"]).values(expires_at=now())
    )
    refused(ActivationNotFound, lambda: front.accept(mine))


def test_beginning_anew_with_the_letter_voids_the_earlier_run_and_what_it_gathered(front: Front) -> None:
    who = front.patient()
    code = front.letter(who)
    first = front.begin(who, code)
    front.walk(first, who, "contact")
    front.prove(first, "somebody.else@example.lu")
    second = front.begin(who, code)
    refused(ActivationNotFound, lambda: front.ask("activation_state", context(), **first))
    assert front.ask("activation_state", context(), **second)["next"] == "personal_data"
    assert front.one(sa.select(sa.func.count()).where(Contact.activation_id == first["activation_id"])) == 0


def test_every_wrong_letter_code_is_refused_alike_at_the_price_of_one_hash(front: Front) -> None:
    activated, expired, replaced, reprinted, both = (front.patient() for _ in range(5))
    used = front.letter(activated)
    front.activate(activated, code=used)
    late = front.letter(expired)
    front.change(sa.update(ActivationLetter).where(ActivationLetter.subject_id == expired.patient_id)
                 .values(expires_at=now()))  # fmt: skip
    older, newer = front.letter(replaced), front.letter(replaced)
    letter_id = new_id()
    first_print, second_print = (front.letter(reprinted, letter_id=letter_id) for _ in range(2))
    front.letter(both)
    stranger, typo = front.person(), replace(both)
    typo.matricule = both.matricule[:12] + str((int(both.matricule[12]) + 1) % 10)
    cases = [(stranger, newer), (both, newer), (activated, used), (expired, late), (replaced, older), (typo, newer),
             (reprinted, first_print), (both, "nonsense"), (both, ""), (stranger, "X" * 500)]  # fmt: skip
    for who, code in cases:

        def attempt(who: Person = who, code: str = code) -> Any:
            return front.ask("start_activation", front.person().at(), matricule=who.matricule, activation_code=code)

        assert refused(ActivationRefused, attempt).to_wire() == {"code": "activation_refused", "detail": {}}
        assert counting(front, attempt) == 1
    assert front.begin(replaced, newer) and front.begin(reprinted, second_print), "their right twins"


def test_a_used_letter_printed_again_stays_used(front: Front) -> None:
    who, letter_id = front.patient(), new_id()
    front.activate(who, code=front.letter(who, letter_id=letter_id))
    again = front.letter(who, letter_id=letter_id)
    refused(ActivationRefused, lambda: front.begin(who, again))
    newer = front.letter(who)
    refused(ActivationRefused, lambda: front.begin(who, newer))


def test_a_letter_is_never_reissued_for_somebody_else(front: Front) -> None:
    one, other, letter_id = front.patient(), front.patient(), new_id()
    code = front.letter(one, letter_id=letter_id)
    refused(InvalidInput, lambda: front.letter(other, letter_id=letter_id))
    assert front.begin(one, code)


def test_six_wrong_letter_codes_leave_six_tries_and_six_traces_and_the_sixth_waits(front: Front) -> None:
    who = front.patient()
    code = front.letter(who)
    wrong = front.letter(front.patient())
    for _ in range(5):
        refused(ActivationRefused, lambda: front.begin(who, wrong))
    sixth = refused(TooManyTries, lambda: front.begin(who, wrong))
    assert 0 < sixth.detail["retry_after"] <= 30
    key = KEY.throttle_key("activation", KEY.log_in_name(who.matricule).hex(), who.address)
    assert front.one(sa.select(TriesRow.tries).where(TriesRow.key == key)) == 6
    traces = front.traces(who.address, "account.activated")
    assert Counter(trace["reason"] for trace in traces) == {"activation_refused": 5, "too_many_tries": 1}
    assert {trace["patient_id"] for trace in traces} == {who.patient_id}
    refused(TooManyTries, lambda: front.begin(who, code))
    assert counting(front, lambda: front.begin(who, code)) == 0, "what waits is not looked at"


def test_a_stranger_who_guesses_does_not_keep_the_owner_out(front: Front) -> None:
    who, stranger = front.patient(), front.person()
    code = front.letter(who)
    for _ in range(7):
        with pytest.raises(Refusal):
            front.begin(replace(who, address=stranger.address), "wrong")
    assert front.begin(who, code)


def test_many_guesses_at_one_moment_are_not_looked_at_more_often_than_guesses_in_a_row(front: Front) -> None:
    who = front.patient()
    front.letter(who)

    def guess(_: int) -> str:
        try:
            front.begin(who, "wrong")
        except Refusal as refusal:
            return refusal.code
        return "in"

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(guess, range(16)))
    assert answers == {"activation_refused": 5, "too_many_tries": 11}


def test_waiting_out_the_delay_lets_the_right_code_in(front: Front) -> None:
    who = front.patient()
    code = front.letter(who)
    for _ in range(6):
        with pytest.raises(Refusal):
            front.begin(who, "wrong")
    key = KEY.throttle_key("activation", KEY.log_in_name(who.matricule).hex(), who.address)
    front.change(sa.update(TriesRow).where(TriesRow.key == key).values(blocked_until=now()))
    assert front.begin(who, code)
    assert front.one(sa.select(TriesRow.tries).where(TriesRow.key == key)) is None, "forgotten once it was right"


def test_an_outage_of_the_directory_is_nobodys_wrong_try(front: Front) -> None:
    class Down:
        def person_of_matricule(self, _who: Any, **_: Any) -> Any:
            raise Unavailable(service="directory")

    who = front.patient()
    usual, front.house.identity.directory = front.house.identity.directory, Down()
    try:
        for _ in range(7):
            refused(Unavailable, lambda: front.begin(who, "wrong"))
    finally:
        front.house.identity.directory = usual
    key = KEY.throttle_key("activation", KEY.log_in_name(who.matricule).hex(), who.address)
    assert front.one(sa.select(TriesRow.tries).where(TriesRow.key == key)) is None


def test_a_contact_code_proves_its_own_address_only_and_dies_of_five_wrong_tries(front: Front) -> None:
    one, other = front.patient(), front.patient()
    mine, theirs = front.begin(one, front.letter(one)), front.begin(other, front.letter(other))
    front.walk(mine, one, "contact"), front.walk(theirs, other, "contact")
    foreign = front.mail(front.add_contact(theirs, other.email))["code"]
    earlier = front.mail(front.add_contact(mine, "old@example.lu"))["code"]
    challenge_id = front.add_contact(mine, one.email)
    code = front.mail(challenge_id)["code"]
    for wrong in (foreign, earlier, code.swapcase(), "", None):
        refused(OneTimeCodeRefused, lambda wrong=wrong: front.ask("prove_contact", context(), **mine, code=wrong))  # type: ignore[misc]
    refused(OneTimeCodeRefused, lambda: front.ask("prove_contact", context(), **mine, code=code))
    assert front.one(sa.select(Challenge.wrong_tries).where(Challenge.challenge_id == challenge_id)) == 5
    assert front.mail(challenge_id) == {"spent": True}
    assert front.prove(mine, one.email)["next"] == "password", "a new code helps"


def test_codes_to_addresses_are_not_sent_without_end(front: Front) -> None:
    who = front.patient()
    code = front.letter(who)
    run = front.begin(who, code)
    front.walk(run, who, "contact")
    for _ in range(10):
        front.add_contact(run, who.email)
    again = front.begin(who, code)
    front.walk(again, who, "contact")
    assert refused(TooManyTries, lambda: front.add_contact(again, who.email)).detail["retry_after"] > 0


def test_one_password_among_many_at_one_moment_makes_one_account(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    front.walk(run, who, "password")

    def complete(_: int) -> str:
        try:
            front.ask("set_password", context(), **run, password=PASSWORD)
        except Refusal as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(6) as pool:
        answers = Counter(pool.map(complete, range(6)))
    assert answers == {"done": 1, "activation_complete": 5}
    assert front.log_in(who)["patient_id"] == who.patient_id
