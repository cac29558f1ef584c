"""Identity as its tests meet it: people at keyboards of their own, the postman, the mail carrier, the house's door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, signing_keys
from services.identity.contract import CONDITIONS_VERSION
from services.identity.first_key import make_key_when_due
from services.identity.models import Account, Activation, Agent, Capacity, Contact
from services.identity.ports.codes import IdentityKey
from services.identity.ports.hashing import Hashing
from services.refusals import Refusal
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
    account_id: str | None = None

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

    def letter(self, who: Person, kind: str = "patient", letter_id: str | None = None, **purpose: str) -> str:
        subject_id = who.patient_id if kind == "patient" else who.professional_id
        issued = self.ask("issue_activation_code", context(), "notifications", letter_id=letter_id or new_id(),
                          subject_kind=kind, subject_id=subject_id, **purpose)  # fmt: skip
        return str(issued["code"])

    def begin(self, who: Person, code: str, **flow: str) -> dict[str, str]:
        """Begins where one begins with a letter: patients, agents, recovery."""
        begun = self.ask("start_activation", who.at(), matricule=who.matricule, activation_code=code, **flow)
        return run_of(begun)

    def begin_professional(self, who: Person, code: str | None = None) -> dict[str, str]:
        """A professional's first three steps: conditions, LuxTrust, the letter."""
        run = run_of(self.ask("start_professional_activation", who.at(), version=CONDITIONS_VERSION, language="fr"))
        self.show_luxtrust(run)
        self.show_letter(run, who, code or self.letter(who, "professional"))
        return run

    def show_luxtrust(self, run: dict[str, str], subject: bytes | None = None) -> None:
        """What is noted when LuxTrust has answered for somebody; the journey itself has tests of its own."""
        chosen = sa.update(Activation).where(Activation.activation_id == run["activation_id"])
        self.change(chosen.values(luxtrust_subject=subject or new_id().encode(), luxtrust_product="LuxTrust Card"))

    def show_letter(self, run: dict[str, str], who: Person, code: str, matricule: str | None = None) -> Any:
        return self.ask("enter_letter_code", who.at(), **run, matricule=matricule or who.matricule,
                        activation_code=code)  # fmt: skip

    def accept(self, run: dict[str, str]) -> Any:
        return self.ask("accept_conditions", context(), **run, version=CONDITIONS_VERSION, language="fr")

    def confirm(self, run: dict[str, str]) -> Any:
        return self.ask("confirm_person", context(), **run, correct=True)

    def mail(self, challenge_id: str) -> dict[str, Any]:
        return dict(self.ask("one_time_code", context(), "notifications", challenge_id=challenge_id))

    def add_contact(self, run: dict[str, str], value: str, kind: str = "email") -> str:
        return str(self.ask("add_contact", context(), **run, kind=kind, value=value)["challenge_id"])

    def prove(self, run: dict[str, str], value: str, kind: str = "email") -> Any:
        code = self.mail(self.add_contact(run, value, kind))["code"]
        return self.ask("prove_contact", context(), **run, code=code)

    def choose(self, run: dict[str, str], password: str = PASSWORD) -> Any:
        return self.ask("set_password", context(), **run, password=password)

    def walk(self, run: dict[str, str], who: Person, until: str | None = None) -> Any:
        """Takes step after step, as `next` says, up to the one named or to the end; how far it is then."""
        steps = {"personal_data": self.confirm, "conditions": self.accept, "luxtrust": self.show_luxtrust,
                 "contact": lambda run: self.prove(run, who.email), "password": self.choose}  # fmt: skip
        while (state := self.ask("activation_state", context(), **run))["next"] not in (None, until):
            steps[state["next"]](run)
        return state

    def activate(self, who: Person, kind: str = "patient", code: str | None = None) -> Person:
        begin = self.begin_professional if kind == "professional" else self.begin
        assert self.walk(begin(who, code or self.letter(who, kind)), who)["complete"]
        return who

    def member(
        self, who: Person, kind: str = "patient", *, accepted: str | None = CONDITIONS_VERSION,
        subject: str | None = None,
    ) -> Person:  # fmt: skip
        """The person with an account in this capacity, as an activation leaves it behind, without walking through one.

        accepted: the version of the conditions. A second capacity joins the account that is there.
        """
        name, at = KEY.log_in_name(who.matricule), now()
        subject = subject or (who.professional_id if kind == "professional" else who.patient_id) or new_id()
        with self.sessions.transaction() as session:
            account_id = session.scalar(sa.select(Account.account_id).where(Account.log_in_name == name))
            who.account_id = account_id or new_id()
            if account_id is None:
                session.add(Account(
                    account_id=who.account_id, log_in_name=name, password_hash=_password_hash(),
                    password_changed_at=at, language="fr", created_at=at,
                ))  # fmt: skip
                session.flush()
                session.add(_proved(who.account_id, "email", who.email))
            session.add(Capacity(
                account_id=who.account_id, kind=kind, subject_id=subject, conditions_version=accepted,
                conditions_language=accepted and "fr", conditions_accepted_at=at if accepted else None,
                activated_at=at,
            ))  # fmt: skip
            if kind == "agent":
                session.add(Agent(agent_id=subject, log_in_name=name, role="agent", created_at=at))
        return who

    def mobile(self, who: Person, number: str = "+352621123456") -> str:
        """A proved mobile number for the person's account."""
        with self.sessions.transaction() as session:
            session.add(_proved(str(who.account_id), "mobile", number))
        return number

    def challenge(self, who: Person, password: str = PASSWORD, channel: str = "email") -> str:
        started = self.ask("start_log_in", who.at(), matricule=who.matricule, password=password, channel=channel)
        return str(started["challenge_id"])

    def session(self, who: Person, **choice: Any) -> Caller:
        """The person, logged in."""
        return self.caller_of(self.log_in(who, **choice)["access_token"])

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


def run_of(begun: dict[str, Any]) -> dict[str, str]:
    """What every further step of an activation is asked with."""
    return {"activation_id": begun["activation_id"], "activation_token": begun["activation_token"]}


def identity_house(database: Callable[[str], str], *services: str) -> House:
    """identity and directory (and others) joined in one process, with identity's key and a signing key made."""
    house = House(database, services=("identity", "directory", *services))
    house.identity.key = KEY
    house.identity.hashing = Hashing()  # tests' threads are no greenlets: nothing to take off an event loop
    with house.sessions["identity"].transaction() as session:
        assert make_key_when_due(session, KEY, now())
    return house


def _proved(account_id: str, kind: str, value: str) -> Contact:
    at = now()
    return Contact(contact_id=new_id(), account_id=account_id, kind=kind, value=value, added_at=at, proved_at=at)


@cache
def _password_hash() -> str:
    return Hashing().hash(PASSWORD)


def refused(kind: type[Refusal], call: Callable[[], Any]) -> Any:
    with pytest.raises(kind) as refusal:
        call()
    assert type(refusal.value) is kind
    return refusal.value


def trace_left(front: Front, call: Callable[[], Any]) -> dict[str, Any]:
    """The one trace that a call leaves, whatever its answer."""
    before = {trace["trace_id"] for trace in front.events("access_traced.v1")}
    try:
        call()
    except Refusal as refusal:
        answered: tuple[str, str | None] = ("refused", refusal.code)
    else:
        answered = ("allowed", None)
    [trace] = [trace for trace in front.events("access_traced.v1") if trace["trace_id"] not in before]
    assert (trace["outcome"], trace["reason"]) == answered
    return trace


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
