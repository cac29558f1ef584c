"""A professional's lists: exactly the records whose scope lets them in, page by page, in one statement."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.db import new_id, now
from services.dossier import models, models_entourage
from services.dossier.contract import GROUNDS, PROFESSIONS, STATES
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, emptied, refusal_code

DAY = timedelta(days=1)


def mine(house: DossierHouse, who: Caller, **page: Any) -> list[str]:
    return [line["record_id"] for line in house.dossier.my_patients(who, **page)["patients"]]


def latest(house: DossierHouse, who: Caller, **page: Any) -> list[str]:
    return [line["record_id"] for line in house.dossier.latest_records(who, **page)["patients"]]


def trust(house: DossierHouse, holder: Caller, record_id: str, who: Caller) -> None:
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=who.professional_id)


# --- what stands in them ----------------------------------------------------------------------------------------------


def test_my_patients_are_those_of_my_own_grounds_and_of_my_house(house: DossierHouse) -> None:
    doctor = house.professional()
    holder, trusted = house.holder()
    _, visited = house.holder()
    _, admitted = house.holder()
    house.holder()
    trust(house, holder, trusted, doctor)
    mandate = house.enter(doctor, visited, house.code(visited))
    software = house.software(doctor)
    stay = house.dossier.register_stay(software, record_id=admitted, kind="admission", reference="S-1")
    answer = house.dossier.my_patients(doctor)
    assert [(line["record_id"], line["ground"], line["until"]) for line in answer["patients"]] == [
        (admitted, "admission", stay["read_until"]),
        (visited, "presence", mandate["read_until"]),
        (trusted, "circle", None),
    ]
    assert answer["patients"][2]["patient_id"] == holder.patient_id and answer["next_cursor"] is None
    assert mine(house, house.colleague(doctor)) == [admitted]
    assert mine(house, house.professional()) == []


def test_an_ended_ground_a_block_and_a_closed_record_are_the_same_absence(house: DossierHouse) -> None:
    doctor = house.professional()
    people = [house.holder() for _ in range(4)]
    for holder, record_id in people:
        trust(house, holder, record_id, doctor)
        house.dossier.read_record(doctor, record_id=record_id)
    kept, ended, barred, closed = (record_id for _, record_id in people)
    assert len(mine(house, doctor)) == len(latest(house, doctor)) == 4
    house.dossier.remove_from_circle(people[1][0], record_id=ended, professional_id=doctor.professional_id)
    house.block(barred, doctor)
    house.set_state(closed, "closed")
    assert mine(house, doctor) == latest(house, doctor) == [kept]


@pytest.mark.parametrize("by", ["record", "documents"])
def test_the_latest_records_are_those_one_came_to_last_where_a_ground_still_lets_in(
    house: DossierHouse, by: str
) -> None:
    def come(record_id: str) -> None:
        house.scope(doctor, record_id) if by == "documents" else house.dossier.read_record(doctor, record_id=record_id)

    doctor = house.professional()
    people = [house.holder() for _ in range(3)]
    for holder, record_id in people:
        trust(house, holder, record_id, doctor)
    one, two, _unseen = (record_id for _, record_id in people)
    for record_id in (one, two):
        come(record_id)
    assert latest(house, doctor) == [two, one]
    with house.sessions.transaction() as session:
        session.execute(sa.update(models.FirstAccess).values(last_at=models.FirstAccess.last_at - DAY))
    come(one)
    assert latest(house, doctor) == [one, two]
    assert latest(house, house.professional()) == []


def test_to_be_listed_is_no_access_and_leaves_one_trace(house: DossierHouse) -> None:
    doctor = house.professional()
    holder, record_id = house.holder()
    trust(house, holder, record_id, doctor)
    assert mine(house, doctor) == [record_id] and latest(house, doctor) == []
    assert house.events("record_first_accessed_by.v1") == []
    traces = house.traces("patient.listed")
    assert [(trace["count"], trace["record_id"], trace["outcome"]) for trace in traces] == [
        (1, None, "allowed"), (0, None, "allowed"),
    ]  # fmt: skip


@pytest.mark.parametrize("capacity", ["patient", "agent", "machine"])
def test_nobody_but_a_professional_has_such_lists(house: DossierHouse, capacity: str) -> None:
    who = builders.caller(capacity)
    assert refusal_code(house.dossier.my_patients(who)) == "not_allowed"
    assert refusal_code(house.dossier.latest_records(who)) == "not_allowed"


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my_patients", "latest_records"])
def test_page_by_page_every_record_comes_once_in_one_order(house: DossierHouse, name: str) -> None:
    doctor = house.professional()
    for _ in range(7):
        holder, record_id = house.holder()
        trust(house, holder, record_id, doctor)
        house.dossier.read_record(doctor, record_id=record_id)
    same = now()
    with house.sessions.transaction() as session:  # several at one moment: the place between two is still one
        session.execute(sa.update(models.CircleMember).values(since=same))
        session.execute(sa.update(models.FirstAccess).values(last_at=same))
    ask = getattr(house.dossier, name)
    whole = [line["record_id"] for line in ask(doctor)["patients"]]
    seen: list[str] = []
    cursor = None
    while True:
        page = ask(doctor, limit=3, cursor=cursor)
        seen += [line["record_id"] for line in page["patients"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["patients"]) == 3
    assert seen == whole and len(set(seen)) == 7


@pytest.mark.parametrize("page", [{"limit": 0}, {"limit": 101}, {"limit": True}, {"cursor": "x"}, {"cursor": "W10"}])
def test_a_page_that_is_none_is_refused(house: DossierHouse, page: dict[str, Any]) -> None:
    for ask in (house.dossier.my_patients, house.dossier.latest_records):
        with pytest.raises(InvalidInput):
            ask(house.professional(), **page)


def test_a_list_is_one_statement_however_long(house: DossierHouse) -> None:
    doctor = house.professional()
    said = []
    for many in (1, 12):
        for _ in range(many):
            holder, record_id = house.holder()
            trust(house, holder, record_id, doctor)
        with house.statements() as statements:
            mine(house, doctor)
        said.append(len(statements))
    assert said == [2, 2], "the question, and the trace with the commit"


# --- the same decision ------------------------------------------------------------------------------------------------

_MOMENTS = (-400, -70, -46, -20, -3, -0.5)
_ENDS = (-1, -0.01, 0.5, 20, None)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_a_list_holds_exactly_the_records_whose_scope_lets_in(built: DossierHouse, seed: int) -> None:
    """Random situations, many records at once: the list says what `access_scope` and `read_record` say of each."""
    chance = random.Random(seed)
    emptied(built)
    profession = chance.choice([each for each in PROFESSIONS if each != "referring_physician"])
    licence = chance.choices(["valid", "suspended", "withdrawn"], [8, 1, 1])[0]
    who = built.professional(profession, licence=licence)
    patients = _records(built, who, chance, now())
    expected = {}
    for record_id in patients:
        scope = built.scope(who, record_id)
        if scope.clauses:
            expected[record_id] = scope.clauses[0].ground
    listed = built.dossier.my_patients(who, limit=100)["patients"]
    assert {line["record_id"]: line["ground"] for line in listed} == expected
    assert all(line["patient_id"] == patients[line["record_id"]] for line in listed)
    # Each was asked for just now, so each was come to.
    assert set(latest(built, who, limit=100)) == set(expected)


def _records(house: DossierHouse, who: Caller, chance: random.Random, at: datetime) -> dict[str, str]:
    rows: dict[Any, list[dict[str, Any]]] = {
        model: []
        for model in (
            models.Record, models.CircleMember, models.Mandate, models_entourage.ReferringPhysician, models.Block,
        )
    }  # fmt: skip

    def moment(choices: tuple[float | None, ...]) -> datetime | None:
        chosen = chance.choice(choices)
        return None if chosen is None else at + chosen * DAY

    for _ in range(40):
        record_id = new_id()
        rows[models.Record].append({
            "record_id": record_id, "patient_id": new_id(), "since": at - 500 * DAY,
            "state": chance.choices(STATES, [1, 1, 5, 8, 2, 1])[0],
            "emergency": chance.choice(("refused", "normal", "with_confidential")),
            "responsibility": chance.choice(("allowed", "refused")),
        })  # fmt: skip
        if chance.random() < 0.3:
            rows[models.CircleMember].append({
                "member_id": new_id(), "record_id": record_id, "professional_id": who.professional_id,
                "since": at + chance.choice((-9, 1)) * DAY, "ends_at": moment(_ENDS),
                "until": chance.choice((None, None, at - DAY)),
            })  # fmt: skip
        for _ in range(chance.choice((0, 0, 1, 1, 3))):
            starts = at + chance.choice((*_MOMENTS, 1)) * DAY
            reads = starts + chance.choice((0, 1, 45)) * DAY
            whose = chance.random()
            rows[models.Mandate].append({
                "mandate_id": new_id(), "record_id": record_id,
                "kind": chance.choice(GROUNDS[GROUNDS.index("presence"):]), "wording_version": "",
                "professional_id": who.professional_id if whose < 0.5 else None,
                "establishment_id": who.establishment_id if whose < 0.9 else new_id(),
                "starts_at": starts, "read_until": reads, "deposit_until": reads + chance.choice((0, 15)) * DAY,
                "ended_at": chance.choice((None, None, None, at - 0.1 * DAY)),
            })  # fmt: skip
        if chance.random() < 0.2:
            effective = at + chance.choice((-30, 5)) * DAY
            rows[models_entourage.ReferringPhysician].append({
                "designation_id": new_id(), "record_id": record_id, "professional_id": who.professional_id,
                "proposed_by": "holder", "proposed_at": effective, "holder_signed_at": effective,
                "physician_signed_at": effective, "effective_at": chance.choice((effective, effective, None)),
                "ends_at": moment(_ENDS), "ended_at": chance.choice((None, None, at - DAY)),
            })  # fmt: skip
        if chance.random() < 0.2:
            rows[models.Block].append({
                "block_id": new_id(), "record_id": record_id, "professional_id": who.professional_id,
                "since": at + chance.choice((-2, 1)) * DAY, "until": chance.choice((None, at - DAY, at + DAY)),
            })  # fmt: skip
    with house.sessions.transaction() as session:
        for model, made in rows.items():
            if made:
                session.execute(sa.insert(model), made)
    return {row["record_id"]: row["patient_id"] for row in rows[models.Record]}
