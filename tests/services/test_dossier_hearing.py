"""Whom a document may be told of: of those who may read it the holder side, and who has its patient in their care."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now
from services.dossier.contract import DocumentFacts
from tests import builders
from tests.services.dossier_house import RISK, DossierHouse
from tests.services.record_world import World
from tests.services.test_dossier_readers import documents_of, holder_of

REPORT = DocumentFacts("care_reports", "medical_report", "consultations", "standard")


@pytest.fixture(scope="module")
def country(database: Callable[[str], str]) -> Iterator[tuple[DossierHouse, World]]:
    house, world = DossierHouse(database("dossier")), World(random.Random(11), records=10, professionals=40, persons=16)
    for row in world.rows["records"]:
        row["state"] = world.draw.choice(("active", "active", "open_by_lapse"))
    for row, change in zip(world.rows["records"], world.rows["state_changes"], strict=True):
        change["state"] = row["state"]
    with house.sessions.transaction() as session:
        world.fill_dossier(session)
    yield house, world
    house.sessions.engine.dispose()


def hearers(house: DossierHouse, record_id: str, document: DocumentFacts) -> dict[str, Any]:
    facts = document.to_wire() | {"record_id": record_id}
    return hearers_of(house, facts)[0]


def hearers_of(house: DossierHouse, *documents: dict[str, Any]) -> list[dict[str, Any]]:
    asking = builders.context(process="notifications")
    return list(house.dossier.hearers_of_documents(asking, documents=list(documents))["hearers"])


def test_of_everybody_who_may_read_it_those_hear_whose_ground_lasts_and_never_its_author(
    country: tuple[DossierHouse, World],
) -> None:
    house, world = country
    met: dict[str, int] = dict.fromkeys(("holder", "representatives", "assistants", "professionals", "author"), 0)
    for record_id in world.record_ids:
        for document in documents_of(world):
            answer = house.dossier.readers_of_document(
                holder_of(world, record_id), record_id=record_id, facts=document.to_wire()
            )
            read = {each["patient_id"] or each["professional_id"]: each["ground"] for each in answer["readers"]}
            told = hearers(house, record_id, document)
            assert told["record_id"] == record_id
            assert [told["holder"]] == ([who for who, by in read.items() if by == "holder"] or [None])
            for role, grounds in (("representatives", {"legal_representative"}), ("assistants", {"assistant"}),
                                  ("professionals", {"circle", "referring_physician"})):  # fmt: skip
                expected = {who for who, by in read.items() if by in grounds} - {document.author_id}
                assert set(told[role]) == expected and len(told[role]) == len(expected), role
                met[role] += len(expected)
            met["holder"] += told["holder"] is not None
            met["author"] += document.author_id in read
    assert all(met.values()), met


def test_asked_about_many_at_once_each_is_answered_as_if_asked_about_alone(
    country: tuple[DossierHouse, World],
) -> None:
    house, world = country
    documents = [
        document.to_wire() | {"record_id": record_id}
        for record_id in (*world.record_ids[:4], new_id()) for document in documents_of(world)
    ]  # fmt: skip
    world.draw.shuffle(documents)
    together = hearers_of(house, *documents)
    assert together == [hearers_of(house, document)[0] for document in documents]
    assert len({str(told) for told in together}) > 5
    assert hearers_of(house) == []


@pytest.fixture
def house(country: tuple[DossierHouse, World]) -> DossierHouse:
    return country[0]


def test_an_unknown_record_has_nobody_to_tell(house: DossierHouse) -> None:
    for unknown in (new_id(), "no id"):
        told = hearers(house, unknown, REPORT)
        assert not any(told[role] for role in ("holder", "representatives", "assistants", "professionals"))


def test_who_left_the_circle_or_came_for_a_day_alone_hears_nothing(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    stays, left, visitor, barred, over = (house.professional() for _ in range(5))
    for who in (stays, left, barred, over):
        house.dossier.add_to_circle(holder, record_id=record_id, professional_id=who.professional_id)
    house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=left.professional_id)
    house.block(record_id, barred)
    house.told_of(over, licence="suspended", version=2)
    house.enter(visitor, record_id, house.code(record_id))
    assert hearers(house, record_id, REPORT)["professionals"] == [stays.professional_id]
    assert hearers(house, record_id, replace(REPORT, author_id=stays.professional_id))["professionals"] == []
    assert hearers(house, record_id, replace(REPORT, level="private"))["professionals"] == []
    hidden = replace(REPORT, restricted=(stays.professional_id or "",))
    assert hearers(house, record_id, hidden)["professionals"] == []


def test_of_a_document_hidden_from_the_patient_its_professionals_alone_hear(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    physician = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=physician.professional_id)
    told = hearers(house, record_id, replace(REPORT, patient_blocked=True))
    assert (told["holder"], told["professionals"]) == (None, [physician.professional_id])


# --- what an event says for who is told of it -------------------------------------------------------------------------


def told(house: DossierHouse, kind: str, record_id: str) -> list[dict[str, Any]]:
    return [each for each in house.events(kind) if each["record_id"] == record_id]


def test_the_first_access_of_all_is_told_from_that_of_somebody_new(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    first, second = house.professional(), house.professional()
    for who in (first, second, first):
        house.dossier.add_to_circle(holder, record_id=record_id, professional_id=who.professional_id)
        house.dossier.read_record(who, record_id=record_id)
    came = [(each["professional_id"], each["first"]) for each in told(house, "record_first_accessed_by.v1", record_id)]
    assert came == [(first.professional_id, True), (second.professional_id, False)]


def test_who_changed_the_circle_is_named_to_those_who_tell_of_it(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    trusted, barred = house.professional(), house.professional()
    for who in (trusted, barred):
        house.dossier.add_to_circle(holder, record_id=record_id, professional_id=who.professional_id)
    house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=trusted.professional_id)
    house.dossier.block_professional(holder, record_id=record_id, professional_id=barred.professional_id, **RISK)
    for kind in ("circle_member_added.v1", "circle_member_removed.v1"):
        assert [each["by"] for each in told(house, kind, record_id)] == [holder.patient_id] * 2


def test_a_mandate_s_end_says_whether_its_holder_a_block_or_time_ended_it(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    one, other, barred, late = (house.professional() for _ in range(4))
    code = house.code(record_id)
    opened = {who: house.enter(who, record_id, code)["mandate_id"] for who in (one, other, barred)}
    house.dossier.end_mandate(holder, record_id=record_id, mandate_id=opened[one])
    house.dossier.block_professional(holder, record_id=record_id, professional_id=barred.professional_id, **RISK)
    house.dossier.end_mandates(holder, record_id=record_id)
    house.enter(late, record_id, code)
    house.age_mandates(record_id, timedelta(days=40))
    while house.dossier._do_due(now() + timedelta(days=60)):
        pass
    ended = {
        each["professional_id"]: (each["cause"], each["by"]) for each in told(house, "mandate_ended.v1", record_id)
    }
    assert ended == {
        one.professional_id: ("holder", holder.patient_id), barred.professional_id: ("blocked", holder.patient_id),
        other.professional_id: ("holder", holder.patient_id), late.professional_id: ("time", None),
    }  # fmt: skip
