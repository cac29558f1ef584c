"""At which workplaces somebody may read, or has a ground: the bulk answer against one decision after another."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.db import new_id, now, rfc3339
from services.dossier import models, rules, rules_decisions, store
from services.dossier.contract import DocumentFacts
from services.dossier.tables import tables_at
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse
from tests.services.record_world import TYPES, World

REPORT = DocumentFacts("care_reports", "medical_report", "medical_data", "standard")


@pytest.fixture(scope="module")
def places(database: Callable[[str], str]) -> Iterator[DossierHouse]:
    made = DossierHouse(database("dossier"))
    yield made
    made.sessions.engine.dispose()


def readable(house: DossierHouse, establishments: list[str | None], *documents: dict[str, Any]) -> list[dict[str, Any]]:
    asked = {"establishment_ids": establishments, "documents": list(documents)}
    answer: list[dict[str, Any]] = house.dossier.readable_at(builders.context("notifications"), **asked)["readable"]
    return answer


def asked_of(record_id: str, document: DocumentFacts = REPORT, **changes: Any) -> dict[str, Any]:
    return {"record_id": record_id, **replace(document, **changes).to_wire()}


class Thin(World):
    """A country where few have anything of their own in a record, so that what serves a whole house decides."""

    def _grant(self, record_id: str, professional_id: str) -> None:
        if self._one_in(5):
            super()._grant(record_id, professional_id)


def random_documents(world: World) -> Iterator[DocumentFacts]:
    for _ in range(6):
        kind, author = world.draw.choice(TYPES), world.draw.choice(world.professionals)
        yield DocumentFacts(
            category=kind["category"], type=kind["slug"], folder=kind["folder"],
            level=world.draw.choice(("standard", "standard", "confidential", "private")),
            author_id=world.draw.choice((author.professional_id, None)),
            restricted=tuple(sorted(str(each.professional_id) for each in world.draw.sample(world.professionals, 5))),
        )  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), thin=st.booleans())
def test_a_workplace_reads_exactly_what_one_of_those_who_work_there_is_let_read(
    places: DossierHouse, seed: int, thin: bool
) -> None:
    world = (Thin if thin else World)(random.Random(seed), records=4, professionals=24, persons=5)
    with places.sessions.transaction() as session:
        world.fill_dossier(session)
    at = now()
    work_at = {row["professional_id"]: row["establishment_ids"] for row in world.rows["professionals"]}
    asked = [(record_id, one) for record_id in world.record_ids for one in random_documents(world)]
    answers = readable(places, [*world.establishments], *(asked_of(record_id, one) for record_id, one in asked))
    situations: dict[tuple[str, str, str], rules.Facts] = {}
    with places.sessions.transaction() as session:
        for who in world.professionals:
            for place in work_at.get(str(who.professional_id), ()):
                for record_id in world.record_ids:
                    there = replace(who, establishment_id=place)
                    situations[str(who.professional_id), place, record_id] = store.situation(
                        session, there, record_id, at
                    )
    for (record_id, document), told in zip(asked, answers, strict=True):
        right: dict[str, set[str]] = {}
        for (professional_id, place, of_record), facts in situations.items():
            if of_record == record_id and rules_decisions.decide(tables_at(at), facts, document, "read", at).allowed:
                right.setdefault(place, set()).add(professional_id)
        assert set(told) == set(right)
        for place, through in told.items():
            assert through["professional_id"] in right[place]
    grounded = {
        (record_id, place)
        for (_, place, record_id), facts in situations.items()
        if rules.scope(tables_at(at), facts, at).clauses
    }
    for row in world.rows["records"]:
        if row["state"] != "closed":
            there = places.dossier.grounded_at(
                builders.context("notifications"), establishment_ids=world.establishments, record_id=row["record_id"]
            )["establishment_ids"]
            assert set(there) == {place for record_id, place in grounded if record_id == row["record_id"]}


def stay(house: DossierHouse, record_id: str, establishment_id: str | None, kind: str = "admission") -> str:
    mandate_id, at = new_id(), now()
    with house.sessions.transaction() as session:
        session.execute(sa.insert(models.Mandate).values(
            mandate_id=mandate_id, record_id=record_id, establishment_id=establishment_id, kind=kind,
            wording_version="x", starts_at=at - timedelta(hours=1), read_until=at + timedelta(hours=1),
            deposit_until=at + timedelta(hours=2),
        ))  # fmt: skip
    return mandate_id


def at_two_places(house: DossierHouse) -> tuple[Caller, str, str]:
    """A physician who works at two establishments."""
    doctor = house.professional()
    here, there = str(doctor.establishment_id), new_id()
    with house.sessions.transaction() as session:
        session.execute(
            sa.update(models.Professional).where(models.Professional.professional_id == doctor.professional_id)
            .values(establishment_ids=[here, there])
        )  # fmt: skip
    return doctor, here, there


def test_what_serves_one_house_is_read_by_nobody_in_another_where_they_work_too(house: DossierHouse) -> None:
    _, record_id = house.holder()
    _, here, there = at_two_places(house)
    stay(house, record_id, here)
    [told] = readable(house, [here, there], asked_of(record_id))
    assert set(told) == {here}


def test_what_somebody_holds_themself_is_read_wherever_they_work(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor, here, there = at_two_places(house)
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    [told] = readable(house, [here, there, new_id()], asked_of(record_id))
    assert {place: one["professional_id"] for place, one in told.items()} == dict.fromkeys(
        (here, there), doctor.professional_id
    )


def test_of_those_whom_a_house_serves_the_one_from_whom_it_is_hidden_speaks_for_nobody_else(
    house: DossierHouse,
) -> None:
    _, record_id = house.holder()
    one = house.professional()
    stay(house, record_id, one.establishment_id)
    place = [one.establishment_id]
    hidden = asked_of(record_id, restricted=(str(one.professional_id),))
    assert [bool(told) for told in readable(house, place, hidden, asked_of(record_id))] == [False, True]
    other = house.colleague(one)
    told = readable(house, place, hidden, asked_of(record_id))
    assert told[0][str(one.establishment_id)]["professional_id"] == other.professional_id
    both = asked_of(record_id, restricted=(str(one.professional_id), str(other.professional_id)))
    assert [bool(told) for told in readable(house, place, both, asked_of(record_id))] == [False, True]


def test_it_is_told_until_when_the_clock_alone_lets_it_be_read(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    place = str(doctor.establishment_id)
    house.enter(doctor, record_id, house.code(record_id))
    with house.sessions.transaction() as session:
        ends = session.scalar(sa.select(models.Mandate.read_until).where(models.Mandate.record_id == record_id))
    [told] = readable(house, [place], asked_of(record_id))
    assert ends is not None and told[place]["until"] == rfc3339(ends)
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    [told] = readable(house, [place], asked_of(record_id))
    assert told[place]["until"] is None


def test_of_two_readers_the_one_who_reads_longest_is_told(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    colleague = house.colleague(doctor)
    house.enter(doctor, record_id, house.code(record_id))
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=colleague.professional_id)
    [told] = readable(house, [doctor.establishment_id], asked_of(record_id))
    assert told[str(doctor.establishment_id)] == {"professional_id": colleague.professional_id, "until": None}


def test_a_closed_records_ground_is_told_as_if_it_were_open_and_its_documents_are_not(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor, stranger = house.professional(), house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    house.set_state(record_id, "closed")
    both = [doctor.establishment_id, stranger.establishment_id]
    context = builders.context("notifications")
    told = house.dossier.grounded_at(context, establishment_ids=both, record_id=record_id)
    assert told == {"establishment_ids": [doctor.establishment_id]}
    assert readable(house, both, asked_of(record_id)) == [{}]


def test_many_documents_and_houses_are_one_statement(house: DossierHouse) -> None:
    asked = []
    houses: list[str | None] = []
    for _ in range(4):
        holder, record_id = house.holder()
        doctor = house.professional()
        house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
        houses.append(doctor.establishment_id)
        asked += [asked_of(record_id, author_id=new_id()) for _ in range(5)]
    statements: list[str] = []
    engine = house.sessions.engine

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    told = readable(house, houses, *asked)
    sa.event.remove(engine, "before_cursor_execute", note)
    assert [set(one) for one in told] == [{place} for place in houses for _ in range(5)]
    assert len([each for each in statements if each != "commit"]) == 1


def test_nobody_but_notifications_asks_either(house: DossierHouse) -> None:
    for method in ("readable_at", "grounded_at"):
        [entry] = getattr(house.dossier, method).nameko_entrypoints
        assert (entry.processes, entry.user) == (("notifications",), False)
