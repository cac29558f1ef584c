"""Who could see it then: a record's past told from its periods, against what was decided at each moment.

The clock is an argument: changes are written at moments of the past through the queries the service writes them with,
and after each of them, and between them, everybody's decision is kept. At the end the past must give the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from services.db import new_id, rfc3339
from services.dossier import (
    rules,
    rules_decisions,
    store,
    store_blocklist,
    store_circle,
    store_history,
    store_mandates,
    store_professionals,
    store_representatives,
    store_settings,
)
from services.dossier.contract import AccessScope, DocumentFacts
from services.dossier.rules import Facts
from services.dossier.tables import tables_at
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
PLACES = [new_id(), new_id()]
MANDATES = ("presence", "admission", "responsibility", "emergency")


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[DossierHouse]:
    made = DossierHouse(database("dossier"))
    yield made
    made.sessions.engine.dispose()


class Past:
    """A record and the people around it, whose every change is made at a moment of its own."""

    def __init__(self, house: DossierHouse, seed: int) -> None:
        self.house, self.draw, self.at = house, random.Random(seed), START
        self.doctors = [builders.caller("professional", establishment_id=PLACES[n % 2]) for n in range(4)]
        self.relatives = [builders.caller("patient") for _ in range(2)]
        self.ward = builders.caller("patient")  # of a curator's name: who acts only together with the holder
        self.curator: str | None = None
        self.holder = builders.caller("patient")
        self.versions = dict.fromkeys(self.doctors, 0)
        with house.sessions.transaction() as session:
            self.record_id = str(store.insert_record(session, str(self.holder.patient_id), "open", START))
            self._state(session, None, "open")
            for doctor in self.doctors:
                self._told(session, doctor, str(doctor.profession), "valid")
        self.state = "open"

    def wait(self) -> None:
        """Some time passes, and with it what has an end."""
        self.at += timedelta(minutes=self.draw.randint(1, 500))

    def step(self) -> None:
        """Something changes."""
        changes = (self._live, self._trust, self._trust, self._mistrust, self._bar, self._admit, self._mandate,
                   self._end, self._set, self._report, self._represent, self._sit)  # fmt: skip
        with self.house.sessions.transaction() as session:
            self.draw.choice(changes)(session)

    # the changes

    def _state(self, session: Session, previous: str | None, state: str) -> None:
        store.insert_state_change(
            session, self.record_id, previous=previous, state=state, cause="activation", account_id=None, at=self.at
        )

    def _live(self, session: Session) -> None:
        becomes = self.draw.choice((*["active"] * 8, "closed", "open_by_lapse"))
        store.change_state(session, self.record_id, becomes, self.at)
        self._state(session, self.state, becomes)
        self.state = becomes

    def _trust(self, session: Session) -> None:
        ends = self.draw.choice((None, self.at + timedelta(days=1)))
        store_circle.put_member(session, self.record_id, self._doctor_id(), None, ends, self.at)

    def _mistrust(self, session: Session) -> None:
        store_circle.end_member(session, self.record_id, self._doctor_id(), self.at)

    def _bar(self, session: Session) -> None:
        doctor_id = self._doctor_id()
        if not store_blocklist.is_barred(session, self.record_id, doctor_id, self.at):
            store_blocklist.insert_block(session, self.record_id, doctor_id, new_id(), "x", self.at)

    def _admit(self, session: Session) -> None:
        store_blocklist.end_block(session, self.record_id, self._doctor_id(), self.at)

    def _mandate(self, session: Session) -> None:
        kind, here = self.draw.choice(MANDATES), self.draw.random() < 0.3
        row = tables_at(self.at).mandate_kinds[kind]
        store_mandates.insert_mandate(session, {
            "record_id": self.record_id, "kind": kind, "wording_version": "x",
            "professional_id": None if here else self._doctor_id(),
            "establishment_id": self.draw.choice(PLACES) if here else None, "starts_at": self.at,
            "read_until": self.at + row.reads, "deposit_until": self.at + row.deposits,
        })  # fmt: skip

    def _end(self, session: Session) -> None:
        for mandate in store_mandates.mandates(session, self.record_id)[:2]:
            store_mandates.end_mandate(session, self.record_id, mandate.mandate_id, self.at)

    def _set(self, session: Session) -> None:
        name, value = self.draw.choice((
            ("emergency", "refused"), ("emergency", "normal"), ("emergency", "with_confidential"),
            ("responsibility", "refused"), ("responsibility", "allowed"),
        ))  # fmt: skip
        store_settings.put(session, self.record_id, name, value, account_id=new_id(), at=self.at)

    def _report(self, session: Session) -> None:
        doctor = self.draw.choice(self.doctors)
        profession = self.draw.choice(("physician", "nurse", "pharmacist"))
        self._told(session, doctor, profession, self.draw.choice(("valid", "valid", "suspended")))

    def _told(self, session: Session, doctor: Caller, profession: str, licence: str) -> None:
        self.versions[doctor] += 1
        store_professionals.upsert_professional(
            session,
            {"professional_id": doctor.professional_id, "profession": profession, "licence": licence,
             "establishment_ids": [doctor.establishment_id], "version": self.versions[doctor],
             "emergency_establishment_ids": []},
            self.at,
        )  # fmt: skip

    def _represent(self, session: Session) -> None:
        store_representatives.insert(session, {
            "record_id": self.record_id, "patient_id": self.draw.choice(self.relatives).patient_id, "kind": "guardian",
            "proof": "x", "since": self.at, "until": self.at + timedelta(days=2), "until_cause": "term",
            "recorded_by": new_id(),
        })  # fmt: skip

    def _sit(self, session: Session) -> None:
        """A curator is recorded the first time; from then on a sitting begins, or the one that runs is over."""
        if self.curator is None:
            self.curator = store_representatives.insert(session, {
                "record_id": self.record_id, "patient_id": self.ward.patient_id, "kind": "curator", "proof": "x",
                "since": self.at, "until": None, "until_cause": "time", "recorded_by": new_id(),
            })  # fmt: skip
        lasts = self.draw.choice((timedelta(0), timedelta(hours=5), timedelta(hours=24)))
        store_representatives.let_act(session, self.curator, self.at, self.at + lasts)

    def _doctor_id(self) -> str:
        return str(self.draw.choice(self.doctors).professional_id)

    # what was decided

    def scopes(self, at: datetime) -> dict[str, AccessScope]:
        """What everybody may do at this moment, as they would be answered."""
        found: dict[str, AccessScope] = {}
        with self.house.sessions.transaction() as session:
            for doctor in self.doctors:
                known = store.situation(session, doctor, self.record_id, at)
                asked = replace(known, claimed_profession=known.profession)
                found[str(doctor.professional_id)] = self._plain(rules.scope(tables_at(at), asked, at))
            for person in (self.holder, self.ward, *self.relatives):
                found[str(person.patient_id)] = self._plain(self._of_person(session, person, at))
        return found

    def _of_person(self, session: Session, person: Caller, at: datetime) -> AccessScope:
        return rules.scope(tables_at(at), store.situation(session, person, self.record_id, at), at)

    def told(self, at: datetime) -> dict[str, AccessScope]:
        """The same, told afterwards."""
        found: dict[str, AccessScope] = {}
        with self.house.sessions.transaction() as session:
            for doctor in self.doctors:
                known = store_history.situation_of(
                    session, self.record_id, str(doctor.professional_id), at, past=True,
                    establishment_id=doctor.establishment_id,
                )  # fmt: skip
                found[str(doctor.professional_id)] = self._plain(rules.scope(tables_at(at), known, at))
            persons = {facts.own_patient_id: facts for facts in store_history.persons_of(
                session, self.record_id, at, past=True)}  # fmt: skip
            holder = persons[self.holder.patient_id]
            for person in (self.holder, self.ward, *self.relatives):
                nobody = replace(holder, own_patient_id=person.patient_id, grants=())
                facts: Facts = persons.get(person.patient_id, nobody)
                found[str(person.patient_id)] = self._plain(rules.scope(tables_at(at), facts, at))
        return found

    @staticmethod
    def _plain(scope: AccessScope) -> AccessScope:
        return replace(scope, default_levels={})  # of what was deposited; no question of who sees


@pytest.mark.parametrize("seed", range(4))
def test_the_past_gives_at_every_moment_what_was_decided_at_that_moment(house: DossierHouse, seed: int) -> None:
    past = Past(house, seed)
    decided: dict[datetime, dict[str, AccessScope]] = {}
    for _ in range(60):
        past.wait()  # what time alone ends lies between two changes
        decided[past.at] = past.scopes(past.at)
        past.wait()
        past.step()
        decided[past.at] = past.scopes(past.at)
    let_in = 0
    for moment, scopes in decided.items():
        assert past.told(moment) == scopes, moment
        let_in += sum(bool(scope.clauses) for scope in scopes.values() if not scope.holder_side)
    assert let_in > 30, "professionals were let in, and not always"


def test_the_past_is_told_in_one_statement(house: DossierHouse) -> None:
    past = Past(house, 7)
    past.told(past.at)
    with house.sessions.transaction() as session, house.statements() as seen:
        store_history.situation_of(session, past.record_id, past._doctor_id(), past.at, past=True)
    assert len([statement for statement in seen if "commit" not in statement]) == 1


def test_the_holder_is_told_who_could_see_it_on_a_day_and_why(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    document = DocumentFacts("history", "family_history", "medical_data", "standard").to_wire()
    asked = {"record_id": record_id, "who": {"professional_id": doctor.professional_id}, "action": "read"}
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    inside = rfc3339(datetime.now(UTC))
    house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    now_told = house.dossier.explain(holder, document=document, **asked)
    assert (now_told["allowed"], now_told["step"], now_told["rule"]) == (False, "ground", "ground/ended")
    then_told = house.dossier.explain(holder, document=document, moment=inside, **asked)
    assert (then_told["allowed"], then_told["rule"]) == (True, "circle")
    told = house.dossier.readers_of_document(holder, record_id=record_id, facts=document, at=inside)
    assert {reader["professional_id"] for reader in told["readers"]} == {None, doctor.professional_id}
    told = house.dossier.readers_of_document(holder, record_id=record_id, facts=document)
    assert [reader["patient_id"] for reader in told["readers"]] == [holder.patient_id]


def test_before_a_record_was_opened_nobody_could_see_it(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    document = DocumentFacts("history", "family_history", "medical_data", "standard").to_wire()
    told = house.dossier.readers_of_document(holder, record_id=record_id, facts=document, at="2019-12-31T00:00:00Z")
    assert told == {"readers": []}


def test_the_past_of_a_record_is_nobody_else_s_to_ask(house: DossierHouse) -> None:
    _, record_id = house.holder()
    asked = {"record_id": record_id, "document": {"category": "history", "level": "standard"}, "action": "read"}
    answer = house.dossier.explain(house.professional(), who="me", moment="2026-03-03T12:00:00Z", **asked)
    assert refusal_code(answer) == "record_not_found"


def test_a_decision_of_the_present_rests_on_what_is_known_now(house: DossierHouse) -> None:
    past = Past(house, 11)
    for _ in range(25):
        past.wait()
        past.step()
    at = past.at
    with house.sessions.transaction() as session:
        for doctor in past.doctors:
            asked = (session, past.record_id, str(doctor.professional_id), at)
            here = doctor.establishment_id
            known = store_history.situation_of(*asked, past=False, establishment_id=here)
            then = store_history.situation_of(*asked, past=True, establishment_id=here)
            document = DocumentFacts("history", "family_history", "medical_data", "standard")
            for facts in (known, then):
                decision = rules_decisions.decide(tables_at(at), facts, document, "read", at)
                mine = store.situation(session, doctor, past.record_id, at)
                right = rules.scope(tables_at(at), replace(mine, claimed_profession=mine.profession), at)
                assert decision.allowed is (rules.grant_of_reading(right, document) is not None)
