"""Who may read this document, and what does Dr X see: the decision turned round, over everybody of a random country."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.db import new_id, now
from services.dossier import rules, rules_decisions, store
from services.dossier.contract import AccessScope, DocumentFacts
from services.dossier.rules import Facts
from services.dossier.tables import tables_at
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.record_world import TYPES, World


@pytest.fixture(scope="module")
def country(database: Callable[[str], str]) -> Iterator[tuple[DossierHouse, World]]:
    house, world = DossierHouse(database("dossier")), World(random.Random(5), records=12, professionals=40, persons=16)
    for row in world.rows["records"]:  # the ones their holder may ask about
        row["state"] = world.draw.choice(("active", "active", "open_by_lapse", "open"))
    for row, change in zip(world.rows["records"], world.rows["state_changes"], strict=True):
        change["state"] = row["state"]
    with house.sessions.transaction() as session:
        world.fill_dossier(session)
    yield house, world
    house.sessions.engine.dispose()


def documents_of(world: World) -> Iterator[DocumentFacts]:
    for _ in range(12):
        kind, author = world.draw.choice(TYPES), world.draw.choice(world.professionals)
        yield DocumentFacts(
            category=kind["category"], type=kind["slug"], folder=kind["folder"],
            level=world.draw.choice(("standard", "confidential", "private")), author_id=author.professional_id,
            patient_blocked=world.draw.random() < 0.2, withheld=world.draw.random() < 0.2,
            restricted=tuple(str(each.professional_id) for each in world.draw.sample(world.professionals, 6)),
        )  # fmt: skip


def holder_of(world: World, record_id: str) -> Caller:
    [row] = [row for row in world.rows["records"] if row["record_id"] == record_id]
    return next(each for each in world.persons if each.patient_id == row["patient_id"])


def situations(house: DossierHouse, world: World, record_id: str) -> dict[str, list[Facts]]:
    """The situation of everybody as they would ask themselves, professionals at every workplace there is."""
    at = now()
    with house.sessions.transaction() as session:
        theirs = {
            str(who.professional_id): [
                store.situation(session, replace(who, establishment_id=place), record_id, at)
                for place in (*world.establishments, new_id())
            ]
            for who in world.professionals
        }
        return theirs | {
            str(who.patient_id): [store.situation(session, who, record_id, at)] for who in world.persons
        }  # fmt: skip


def may_read(facts: Facts, document: DocumentFacts) -> bool:
    at = now()
    return rules_decisions.decide(tables_at(at), facts, document, "read", at).allowed


def test_the_readers_of_a_document_are_exactly_those_whom_a_decision_lets_read(
    country: tuple[DossierHouse, World],
) -> None:
    house, world = country
    found = 0
    for record_id in world.record_ids:
        everybody, holder = situations(house, world, record_id), holder_of(world, record_id)
        for document in documents_of(world):
            answer = house.dossier.readers_of_document(holder, record_id=record_id, facts=document.to_wire())
            told = [reader["professional_id"] or reader["patient_id"] for reader in answer["readers"]]
            right = {who for who, there in everybody.items() if any(may_read(facts, document) for facts in there)}
            assert sorted(told) == sorted(right)
            found += len(right)
    assert found > 500


def test_the_record_as_dr_x_sees_it_is_what_dr_x_sees_at_one_workplace_or_another(
    country: tuple[DossierHouse, World],
) -> None:
    house, world = country
    for record_id in world.record_ids:
        everybody, holder = situations(house, world, record_id), holder_of(world, record_id)
        shown = list(documents_of(world))
        for who in world.professionals:
            wire = house.dossier.scope_of(holder, record_id=record_id, professional_id=who.professional_id)
            seen = [one for one in shown if rules.grant_of_reading(AccessScope.from_wire(wire), one)]
            there = everybody[str(who.professional_id)]
            assert seen == [one for one in shown if any(may_read(facts, one) for facts in there)]


def test_nobody_but_the_holder_side_learns_who_reads_or_what_another_sees(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    document = DocumentFacts("history", "family_history", "medical_data", "standard").to_wire()
    asked: list[tuple[str, dict[str, Any]]] = [
        ("readers_of_document", {"facts": document}),
        ("scope_of", {"professional_id": doctor.professional_id}),
    ]
    for method, given in asked:
        assert not hasattr(getattr(house.dossier, method)(holder, record_id=record_id, **given), "code")
        for stranger in (doctor, builders.caller("patient"), house.agent):
            answer = getattr(house.dossier, method)(stranger, record_id=record_id, **given)
            assert refusal_code(answer) == "record_not_found"
        house.set_state(record_id, "closed")
        assert refusal_code(getattr(house.dossier, method)(holder, record_id=record_id, **given)) == "record_closed"
        house.set_state(record_id, "active")
