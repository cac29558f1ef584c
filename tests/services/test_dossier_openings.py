"""Records opened by the hundred, as directory says they are due: once each, with their history, in few words."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import sqlalchemy as sa

from services.db import new_id, now, outbox, rfc3339
from services.directory.contract import OPENING_CAUSES, RecordOpeningsDue
from services.dossier import models, rules
from services.dossier.tables import tables_at
from tests import builders
from tests.services.dossier_house import DossierHouse

REQUESTED = rfc3339(now() - timedelta(days=2))


def due(house: DossierHouse, patient_ids: list[str], cause: str = "affiliation") -> None:
    house.hear("directory", RecordOpeningsDue(cause, patient_ids, REQUESTED))


def test_every_cause_of_directory_begins_a_history_that_the_life_cycle_has() -> None:
    assert set(rules.OPENING_STEPS) == set(OPENING_CAUSES)
    for steps in rules.OPENING_STEPS.values():
        before = None
        for previous, state, cause in steps:
            assert previous == before and rules.may_become(tables_at(now()), previous, state, cause)
            before = state
        assert before == "open"


def test_affiliated_patients_get_a_record_each_with_history_event_and_trace(house: DossierHouse) -> None:
    patient_ids = [new_id() for _ in range(3)]
    due(house, patient_ids)
    records = house.rows(models.Record)
    assert {record.patient_id for record in records} == set(patient_ids)
    assert {record.state for record in records} == {"open"}
    assert {(line.record_id, line.previous, line.state, line.cause) for line in house.rows(models.StateChange)} == {
        (record.record_id, None, "open", "affiliation") for record in records
    }
    told = {(one["record_id"], one["patient_id"], one["requested_at"]) for one in house.events("record_opened.v1")}
    assert told == {(record.record_id, record.patient_id, REQUESTED) for record in records}
    traces = house.traces("record.opened")
    assert {trace["record_id"] for trace in traces} == {record.record_id for record in records}
    assert {(trace["account_id"], trace["outcome"]) for trace in traces} == {(None, "allowed")}


def test_a_voluntary_request_stands_in_the_history_with_its_own_time(house: DossierHouse) -> None:
    due(house, [new_id()], "voluntary_request")
    first, second = sorted(house.rows(models.StateChange), key=lambda line: line.at)
    assert (first.previous, first.state, first.cause) == (None, "requested", "voluntary_request")
    assert (second.previous, second.state, second.cause) == ("requested", "open", "identity_checked")
    assert first.at == datetime.fromisoformat(REQUESTED) and second.at > first.at
    assert first.account_id is second.account_id is None


def test_each_records_events_are_numbered_as_if_they_had_been_told_one_by_one(house: DossierHouse) -> None:
    holder = builders.caller("patient")
    due(house, [new_id(), holder.patient_id or "", new_id()])
    house.activate(holder)
    with house.sessions.transaction() as session:
        envelopes = [json.loads(each) for each in session.scalars(sa.select(outbox.c.envelope).order_by(outbox.c.seq))]
    numbers: dict[str, list[int]] = {}
    for envelope in envelopes:
        if envelope["subject"] is not None:
            numbers.setdefault(envelope["subject"], []).append(envelope["number"])
    assert sorted(numbers.values()) == [[1], [1], [1, 2]]


def test_what_is_delivered_twice_changes_nothing_the_second_time(house: DossierHouse) -> None:
    patient_ids = [new_id() for _ in range(3)]
    due(house, patient_ids)
    before = (len(house.rows(models.StateChange)), len(house.events("record_opened.v1")))
    due(house, patient_ids)
    due(house, [*patient_ids, patient_ids[0]])
    assert (len(house.rows(models.StateChange)), len(house.events("record_opened.v1"))) == before
    assert len(house.rows(models.Record)) == 3


def test_who_has_a_record_keeps_it_and_who_had_one_gets_a_new_one(house: DossierHouse) -> None:
    kept, gone, new = new_id(), new_id(), new_id()
    first = house.dossier.open_record(house.agent, patient_id=kept)["record_id"]
    deleted = house.dossier.open_record(house.agent, patient_id=gone)["record_id"]
    house.set_state(deleted, "deleted")
    due(house, [kept, gone, new])
    by_patient: dict[str, list[str]] = {}
    for record in house.rows(models.Record):
        by_patient.setdefault(record.patient_id, []).append(record.record_id)
    assert by_patient[kept] == [first]
    assert len(by_patient[gone]) == 2 and len(by_patient[new]) == 1


def test_agents_and_feeds_that_open_the_same_records_at_once_open_each_once(house: DossierHouse) -> None:
    patient_ids = [new_id() for _ in range(20)]

    def go(number: int) -> None:
        if number % 3:
            due(house, patient_ids if number % 2 else patient_ids[::-1])
        else:
            for patient_id in patient_ids[number::-1]:
                house.dossier.open_record(house.agent, patient_id=patient_id)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(go, range(12)))
    records = house.rows(models.Record)
    assert sorted(record.patient_id for record in records) == sorted(patient_ids)
    assert len(house.events("record_opened.v1")) == len(house.rows(models.StateChange)) == 20


def test_five_hundred_records_cost_as_few_words_as_one(house: DossierHouse) -> None:
    def words(patient_ids: list[str]) -> int:
        with house.statements() as said:
            due(house, patient_ids, "voluntary_request")
        return len(said)

    assert words([new_id()]) == words([new_id() for _ in range(500)]) <= 7
    assert len(house.rows(models.Record)) == 501
