"""Identity over real databases: activation by letter, one-time codes, log-in, sessions, keys; what nobody learns."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from nameko.testing.services import worker_factory

from services.db import new_id, now, plumbing, signing_keys
from services.directory.models import Professional
from services.identity import contract, rules
from services.identity.contract import (
    CONDITIONS_VERSION,
    ActivationComplete,
    ActivationNotFound,
    ActivationRefused,
    AlreadyActivated,
    ConditionsFirst,
    ContactFirst,
    ContactTaken,
    LicenceNotValid,
    LogInRefused,
    OneTimeCodeRefused,
    PasswordTooCommon,
    ProfessionalUnknown,
    RefreshRefused,
)
from services.identity.first_agent import issue_code
from services.identity.first_key import make_key_when_due
from services.identity.models import (
    Account,
    Activation,
    ActivationLetter,
    Challenge,
    Contact,
    LogInSession,
    PrivateKey,
    TriesRow,
    metadata,
)
from services.identity.ports.codes import CODE_ALPHABET, IdentityKey
from services.identity.ports.hashing import Hashing
from services.identity.service import Identity
from services.refusals import InvalidInput, KeyReused, NotAllowed, Refusal, SessionEnded, TooManyTries, Unavailable
from services.tokens import Caller, Context, Verifier
from tests.builders import House, any_matricule, caller, context

KEY = IdentityKey(bytes(range(32)))
PASSWORD = "trois grenouilles violettes"
HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
AGENT = caller("agent")
ADMINISTRATOR = caller("agent", role="administrator")


@dataclass
class Person:
    """Somebody at a keyboard of their own: a network address of theirs keeps tests out of each other's throttles."""

    matricule: str
    address: str
    email: str
    patient_id: str | None = None
    professional_id: str | None = None

    def at(self, **changes: Any) -> Context:
        return context(**({"address": self.address} | changes))


class Front:
    """The house seen from its front door, with the postman and the mail carrier beside it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.sessions = house.sessions["identity"]
        self._count = 0

    def ask(self, method: str, who: Any, process: str = "gateway", **kwargs: Any) -> Any:
        return self.house.ask("identity", method, who, process=process, **kwargs)

    def person(self) -> Person:
        self._count += 1
        return Person(any_matricule(), f"198.51.{self._count // 250}.{self._count % 250}", f"p.{new_id()}@example.lu")

    def patient(self, who: Person | None = None) -> Person:
        who = who or self.person()
        sheet = {"matricule": who.matricule, "birth_name": "Weber", "first_names": "Zoé", "sex": "F",
                 "birth_date": "1980-05-17", "language": "lb", "address": HOME}  # fmt: skip
        who.patient_id = self.house.ask("directory", "register_patient", AGENT, **sheet)["patient_id"]
        return who

    def establishment(self) -> str:
        made = self.house.ask("directory", "register_establishment", AGENT, name="Cabinet", kind="practice")
        return str(made["establishment_id"])

    def professional(self, who: Person | None = None, places: int = 1) -> Person:
        who = who or self.person()
        facts = {"matricule": who.matricule, "family_name": "Schmit", "first_name": "Léa", "profession": "physician",
                 "specialities": [], "establishment_ids": [self.establishment() for _ in range(places)],
                 "language": "fr"}  # fmt: skip
        who.professional_id = self.house.ask("directory", "register_professional", AGENT, **facts)["professional_id"]
        return who

    def letter(self, who: Person, kind: str = "patient", letter_id: str | None = None) -> str:
        subject_id = who.patient_id if kind == "patient" else who.professional_id
        issued = self.ask("issue_activation_code", context(), "notifications", letter_id=letter_id or new_id(),
                          subject_kind=kind, subject_id=subject_id)  # fmt: skip
        return str(issued["code"])

    def begin(self, who: Person, code: str) -> dict[str, str]:
        begun = self.ask("start_activation", who.at(), matricule=who.matricule, activation_code=code)
        return {"activation_id": begun["activation_id"], "activation_token": begun["activation_token"]}

    def accept(self, run: dict[str, str]) -> Any:
        return self.ask("accept_conditions", context(), **run, version=CONDITIONS_VERSION, language="fr")

    def mail(self, challenge_id: str) -> dict[str, Any]:
        return dict(self.ask("one_time_code", context(), "notifications", challenge_id=challenge_id))

    def add_contact(self, run: dict[str, str], email: str) -> str:
        return str(self.ask("add_contact", context(), **run, kind="email", value=email)["challenge_id"])

    def prove(self, run: dict[str, str], email: str) -> Any:
        code = self.mail(self.add_contact(run, email))["code"]
        return self.ask("prove_contact", context(), **run, code=code)

    def activate(self, who: Person, kind: str = "patient", code: str | None = None) -> Person:
        run = self.begin(who, code or self.letter(who, kind))
        if not self.accept(run)["complete"]:
            self.prove(run, who.email)
            self.ask("set_password", context(), **run, password=PASSWORD)
        return who

    def challenge(self, who: Person, password: str = PASSWORD) -> str:
        started = self.ask("start_log_in", who.at(), matricule=who.matricule, password=password)
        return str(started["challenge_id"])

    def log_in(self, who: Person, **choice: Any) -> dict[str, Any]:
        challenge_id = self.challenge(who)
        code = self.mail(challenge_id)["code"]
        return dict(self.ask("confirm_log_in", who.at(), challenge_id=challenge_id, code=code, **choice))

    def caller_of(self, token: str) -> Caller:
        def find(kid: str) -> Any:
            with self.sessions.transaction() as session:
                return session.scalar(sa.select(signing_keys.c.jwk).where(signing_keys.c.kid == kid))

        return Verifier(find).caller(context(token=token))

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.house.events("identity") if event["type"] == kind]

    def traces(self, address: str, action: str, reason: str | None = None) -> list[dict[str, Any]]:
        found = [e for e in self.events("access_traced.v1") if e["address"] == address and e["action"] == action]
        return [trace for trace in found if reason is None or trace["reason"] == reason]

    def change(self, statement: Any) -> None:
        with self.sessions.transaction() as session:
            session.execute(statement)

    def one(self, query: Any) -> Any:
        with self.sessions.transaction() as session:
            return session.scalar(query)


@pytest.fixture(scope="module")
def front(database: Callable[[str], str]) -> Iterator[Front]:
    house = House(database, services=("identity", "directory"))
    house.identity.key = KEY
    house.identity.hashing = Hashing()  # tests' threads are no greenlets: nothing to take off an event loop
    with house.sessions["identity"].transaction() as session:
        assert make_key_when_due(session, KEY, now())
    yield Front(house)
    house.close()


def refused(kind: type[Refusal], call: Callable[[], Any]) -> Any:
    with pytest.raises(kind) as refusal:
        call()
    assert type(refusal.value) is kind
    return refusal.value


def counting(front: Front, call: Callable[[], Any]) -> int:
    """How many hashes' worth of work a call does."""
    done: list[Any] = []

    def run(work: Callable[..., Any], *args: Any) -> Any:
        done.append(work)
        return work(*args)

    usual, front.house.identity.hashing = front.house.identity.hashing, Hashing(run)
    try:
        call()
    except Refusal:
        pass
    finally:
        front.house.identity.hashing = usual
    return len(done)


# --- activation -------------------------------------------------------------------------------------------------------


def test_a_patient_activates_step_by_step(front: Front) -> None:
    who = front.patient()
    begun = front.ask("start_activation", who.at(), matricule=who.matricule, activation_code=front.letter(who))
    assert begun["subject_kind"] == "patient" and begun["next"] == "conditions" and not begun["complete"]
    run = {name: begun[name] for name in ("activation_id", "activation_token")}
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
    assert done["steps"] == {"conditions": "done", "contact": "done", "password": "done"}
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
    refused(ConditionsFirst, lambda: front.add_contact(run, who.email))
    refused(ConditionsFirst, lambda: front.ask("prove_contact", context(), **run, code="6wqxU4"))
    refused(ConditionsFirst, lambda: front.ask("set_password", context(), **run, password=PASSWORD))
    front.accept(run)
    refused(ContactFirst, lambda: front.ask("prove_contact", context(), **run, code="6wqxU4"))
    front.add_contact(run, who.email)
    refused(ContactFirst, lambda: front.ask("set_password", context(), **run, password=PASSWORD))
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
    front.accept(first)
    front.prove(first, "somebody.else@example.lu")
    second = front.begin(who, code)
    refused(ActivationNotFound, lambda: front.ask("activation_state", context(), **first))
    assert front.ask("activation_state", context(), **second)["next"] == "conditions"
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
    front.accept(mine), front.accept(theirs)
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
    front.accept(run)
    for _ in range(10):
        front.add_contact(run, who.email)
    again = front.begin(who, code)
    front.accept(again)
    assert refused(TooManyTries, lambda: front.add_contact(again, who.email)).detail["retry_after"] > 0


def test_one_password_among_many_at_one_moment_makes_one_account(front: Front) -> None:
    who = front.patient()
    run = front.begin(who, front.letter(who))
    front.accept(run)
    front.prove(run, who.email)

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


# --- capacities, professionals, the agency ----------------------------------------------------------------------------


def test_a_patient_who_is_a_professional_too_has_one_account_and_keeps_the_password(front: Front) -> None:
    who = front.activate(front.professional(front.patient(), places=2))
    run = front.begin(who, front.letter(who, "professional"))
    done = front.accept(run)
    assert done["complete"] and done["steps"] == {"conditions": "done", "contact": "kept", "password": "kept"}
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
    run = front.begin(second, front.letter(second, "professional"))
    front.accept(run)
    for taken in (doctor.email, doctor.email.upper(), family):
        refused(ContactTaken, lambda taken=taken: front.prove(run, taken))  # type: ignore[misc]
        assert front.ask("activation_state", context(), **run)["next"] == "contact"
    assert front.prove(run, second.email)["next"] == "password"


def test_two_professionals_who_prove_one_address_at_one_moment_do_not_both_have_it(front: Front) -> None:
    people = [front.professional() for _ in range(4)]
    runs = [front.begin(one, front.letter(one, "professional")) for one in people]
    codes = []
    for run in runs:
        front.accept(run)
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


# --- log-in -----------------------------------------------------------------------------------------------------------


def test_a_person_logs_in_with_password_and_code(front: Front) -> None:
    who = front.activate(front.patient())
    given = front.log_in(who)
    assert given["token_type"] == "Bearer" and given["expires_in"] == 600 and given["capacity"] == "patient"
    me = front.caller_of(given["access_token"])
    assert (me.account_id, me.session_id, me.patient_id) == (given["account_id"], given["session_id"], who.patient_id)
    assert me.expires_at - time.time() == pytest.approx(600, abs=5)
    opened = front.traces(who.address, "session.opened")
    assert [trace["outcome"] for trace in opened] == ["allowed"]
    assert (opened[0]["patient_id"], opened[0]["session_id"]) == (who.patient_id, me.session_id)


def test_wrong_passwords_and_unknown_people_are_refused_alike_at_the_price_of_one_hash(front: Front) -> None:
    known = front.activate(front.patient())
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


def test_six_wrong_passwords_leave_six_tries_and_six_traces_and_a_stranger_locks_nobody_out(front: Front) -> None:
    who, stranger = front.activate(front.patient()), front.person()
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
    who = front.activate(front.patient())
    for _ in range(10):
        front.challenge(who)
    refused(TooManyTries, lambda: front.challenge(who))


@pytest.mark.parametrize("rivals", [100])
def test_of_a_hundred_submissions_of_one_code_exactly_one_is_accepted(front: Front, rivals: int) -> None:
    who = front.activate(front.patient())
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
    who = front.activate(front.patient())
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
    one, other, newcomer = front.activate(front.patient()), front.activate(front.patient()), front.patient()
    run = front.begin(newcomer, front.letter(newcomer))
    front.accept(run)
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
    doctor = front.activate(front.professional(), "professional")
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


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_refresh_gives_new_tokens_of_the_same_session(front: Front) -> None:
    who = front.activate(front.patient())
    given = front.log_in(who, stay_connected=True)
    for _ in range(3):
        fresh = front.ask("refresh", who.at(), refresh_token=given["refresh_token"])
        assert fresh["refresh_token"] != given["refresh_token"] and fresh["session_id"] == given["session_id"]
        assert front.caller_of(fresh["access_token"]).patient_id == who.patient_id
        given = fresh


def test_a_refresh_token_used_twice_ends_the_session_for_both_holders(front: Front) -> None:
    who = front.activate(front.patient())
    stolen = front.log_in(who)
    current = front.ask("refresh", who.at(), refresh_token=stolen["refresh_token"])
    me = front.caller_of(current["access_token"])
    refused(RefreshRefused, lambda: front.ask("refresh", who.at(), refresh_token=stolen["refresh_token"]))
    refused(RefreshRefused, lambda: front.ask("refresh", who.at(), refresh_token=current["refresh_token"]))
    refused(SessionEnded, lambda: front.ask("log_out", me))
    ended = [event for event in front.events("session_ended.v1") if event["session_id"] == me.session_id]
    assert len(ended) == 1
    assert [t["purpose"] for t in front.traces(who.address, "session.ended")] == ["refresh_token_reused"]
    assert len(front.traces(who.address, "session.opened", "refresh_refused")) == 2


def test_of_many_who_present_one_refresh_token_at_most_one_gets_tokens(front: Front) -> None:
    who = front.activate(front.patient())
    given = front.log_in(who)

    def present(_: int) -> str:
        try:
            front.ask("refresh", who.at(), refresh_token=given["refresh_token"])
        except Refusal as refusal:
            return refusal.code
        return "in"

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(present, range(8)))
    assert answers == {"in": 1, "refresh_refused": 7}
    assert front.one(sa.select(LogInSession.end_cause).where(LogInSession.session_id == given["session_id"]))


@pytest.mark.parametrize("token", ["", "x", None, 7, "a" * 10_000])
def test_an_unknown_refresh_token_is_refused(front: Front, token: Any) -> None:
    refused(RefreshRefused, lambda: front.ask("refresh", context(), refresh_token=token))


def test_a_session_over_by_its_own_time_is_not_refreshed(front: Front) -> None:
    who = front.activate(front.patient())
    given = front.log_in(who)
    front.change(sa.update(LogInSession).where(LogInSession.session_id == given["session_id"]).values(expires_at=now()))
    refused(RefreshRefused, lambda: front.ask("refresh", who.at(), refresh_token=given["refresh_token"]))


def test_log_out_ends_the_session_here_at_once_and_elsewhere_by_event(front: Front) -> None:
    who = front.activate(front.patient())
    given = front.log_in(who)
    me = front.caller_of(given["access_token"])
    assert front.ask("log_out", me) == {}
    assert me.session_id in [event["session_id"] for event in front.events("session_ended.v1")]
    refused(SessionEnded, lambda: front.ask("log_out", me))
    refused(RefreshRefused, lambda: front.ask("refresh", who.at(), refresh_token=given["refresh_token"]))


def test_a_session_is_described_without_a_database() -> None:
    identity = worker_factory(Identity, db=None, directory=None)
    me = caller("professional")
    told = identity.describe_session(me)
    assert told["account_id"] == me.account_id and told["profession"] == "physician" and told["capacity"] == me.capacity
    assert told["expires_at"].endswith("Z") and set(told) == set(contract.SessionDescribed.__annotations__)


# --- who may ask ------------------------------------------------------------------------------------------------------

PUBLIC = ("start_activation", "accept_conditions", "add_contact", "prove_contact", "set_password", "activation_state",
          "start_log_in", "confirm_log_in", "refresh", "jwks")  # fmt: skip
OF_NOTIFICATIONS = ("issue_activation_code", "one_time_code", "contacts_of")


@pytest.mark.parametrize("method", PUBLIC)
@pytest.mark.parametrize("process", ["notifications", "directory", "dossier", "operator", ""])
def test_the_front_door_opens_for_the_gateway_only(front: Front, method: str, process: str) -> None:
    with pytest.raises(Refusal) as refusal:
        front.ask(method, context(), process)
    assert refusal.value.code == ("not_allowed" if process else "unauthenticated")


@pytest.mark.parametrize("method", OF_NOTIFICATIONS)
@pytest.mark.parametrize("process", ["gateway", "documents", "operator"])
def test_codes_and_addresses_are_told_to_notifications_only(front: Front, method: str, process: str) -> None:
    refused(NotAllowed, lambda: front.ask(method, context(), process))


# --- keys and secrets -------------------------------------------------------------------------------------------------


def test_the_published_keys_verify_tokens_and_hold_nothing_private(front: Front) -> None:
    keys = front.ask("jwks", context())["keys"]
    assert [sorted(key) for key in keys] == [["alg", "crv", "kid", "kty", "use", "x"]]
    assert keys[0]["alg"] == "Ed25519"
    token = front.log_in(front.activate(front.patient()))["access_token"]
    assert Verifier(lambda kid: next(key for key in keys if key["kid"] == kid)).claims(token)["cap"] == "patient"
    published = front.events("signing_key_published.v1")
    assert [event["jwk"] for event in published] == keys
    wrapped = front.one(sa.select(PrivateKey.wrapped))
    assert len(bytes(wrapped)) == 12 + 43 + 16, "nonce, key, tag: not the key itself"


def test_a_key_is_made_once_however_many_start_at_the_same_time(database: Callable[[str], str]) -> None:
    house = House(database, services=("identity",))

    def start(_: int) -> bool:
        with house.sessions["identity"].transaction() as session:
            return make_key_when_due(session, KEY, now())

    with ThreadPoolExecutor(4) as pool:
        assert Counter(pool.map(start, range(8))) == {True: 1, False: 7}
    later = now() + rules.KEY_SIGNS
    with house.sessions["identity"].transaction() as session:
        assert make_key_when_due(session, KEY, later - timedelta(minutes=30))
        assert not make_key_when_due(session, KEY, later - timedelta(minutes=20))
    assert len(house.events("identity")) == 2
    house.close()


def test_neither_tables_nor_events_hold_a_matricule_a_code_or_a_token(front: Front) -> None:
    who = front.patient()
    code = front.letter(who)
    run = front.begin(who, code)
    front.accept(run)
    challenge_id = front.add_contact(run, who.email)
    one_time = front.mail(challenge_id)["code"]
    front.ask("prove_contact", context(), **run, code=one_time)
    front.ask("set_password", context(), **run, password=PASSWORD)
    refused(LogInRefused, lambda: front.challenge(who, "wrong secret"))
    given = front.log_in(who)
    secrets = [who.matricule, code, code.replace("-", ""), one_time, PASSWORD, "wrong secret", run["activation_token"],
               given["access_token"], given["refresh_token"]]  # fmt: skip
    with front.sessions.transaction() as session:
        for table in (*metadata.sorted_tables, *plumbing.sorted_tables):
            text = " ".join(str(tuple(row)) for row in session.execute(sa.select(table)))
            assert not [secret for secret in secrets if secret in text], f"{table.name} holds a secret"
            # the address stands in contacts and nowhere else
            assert (who.email in text) == (table.name == "contacts"), f"{table.name} and an address"
    assert who.address not in str(front.one(sa.select(sa.func.array_agg(TriesRow.key))))
    assert who.email not in json.dumps(front.house.events("identity"))


def test_one_time_codes_are_of_their_alphabet_and_of_their_challenge() -> None:
    ids = [new_id() for _ in range(300)]
    codes = [KEY.one_time_code(one) for one in ids]
    assert all(len(code) == 6 and set(code) <= set(CODE_ALPHABET) for code in codes)
    assert not set("0Oo1lIi9gSsZz") & set(CODE_ALPHABET) and len(set(codes)) == 300
    assert all(KEY.is_one_time_code(one, code) for one, code in zip(ids, codes, strict=True))
    assert not any(KEY.is_one_time_code(one, code) for one, code in zip(ids[1:], codes, strict=False))
    assert not IdentityKey(bytes(32)).is_one_time_code(ids[0], codes[0]), "another key, other codes"


def test_a_key_of_another_length_is_no_identity_key() -> None:
    with pytest.raises(ValueError, match="identity_key"):
        IdentityKey.of_setting("")


def test_sweeping_forgets_what_is_over_and_nothing_else(front: Front) -> None:
    abandoned, running = front.patient(), front.patient()
    old, alive = (front.begin(one, front.letter(one)) for one in (abandoned, running))
    for run, one in ((old, abandoned), (alive, running)):
        front.accept(run)
        front.prove(run, one.email)
    front.change(sa.update(Activation).where(Activation.activation_id == old["activation_id"]).values(expires_at=now()))
    front.house.identity.sweep()
    counts = sa.select(sa.func.count()).where(Contact.activation_id == sa.bindparam("id"))
    with front.sessions.transaction() as session:
        assert session.scalar(counts, {"id": old["activation_id"]}) == 0
        assert session.scalar(counts, {"id": alive["activation_id"]}) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Account)) > 0
    assert front.ask("set_password", context(), **alive, password=PASSWORD)["complete"]


def test_the_migrations_make_the_tables_the_models_describe(front: Front) -> None:
    with front.sessions.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [d for d in differences if not str(d[0]).startswith("remove")] == []
