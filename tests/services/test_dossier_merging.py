"""Records of patients who turned out to be one person: which one stays, what comes along, and the way back."""

from __future__ import annotations

import itertools
import re
import threading
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.directory.contract import PatientsMerged, PatientsUnmerged
from services.dossier import models
from services.identity.contract import AccountActivated
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.dossier_twins import AT, Pair, circle, grounds, merged, states, trust


@pytest.fixture
def pair(house: DossierHouse) -> Pair:
    return Pair(house)


# --- who holds what ---------------------------------------------------------------------------------------------------


def test_both_tokens_hold_the_surviving_record_and_neither_the_merged_one(house: DossierHouse, pair: Pair) -> None:
    pair.merge()
    for holder in (pair.holder, pair.twin):
        [mine] = house.dossier.my_records(holder)["records"]
        assert (mine["record_id"], mine["state"]) == (pair.record, "active")
        assert house.dossier.read_record(holder, record_id=pair.record)["ground"] == "holder"
        shown = house.dossier.read_record(holder, record_id=pair.other)
        assert (shown["state"], shown["may_read"], shown["may_deposit"]) == ("closed", [], [])
        assert shown["merged_into"] == pair.record
    assert states(house, pair.record, pair.other) == [
        ("active", None, pair.holder.patient_id), ("closed", pair.record, pair.holder.patient_id)
    ]  # fmt: skip


def test_a_stranger_holds_nothing_of_two_merged_patients(house: DossierHouse, pair: Pair) -> None:
    stranger, _ = house.holder()
    pair.merge()
    for record_id in (pair.record, pair.other):
        assert refusal_code(house.dossier.read_record(stranger, record_id=record_id)) == "record_not_found"


def test_agents_and_professionals_are_led_to_the_survivor_by_either_patient(house: DossierHouse, pair: Pair) -> None:
    doctor = house.professional()
    pair.merge()
    asked = [pair.holder.patient_id or "", pair.twin.patient_id or ""]
    opened = [house.dossier.open_record(house.agent, patient_id=each) for each in asked]
    assert [(each["record_id"], each["created"]) for each in opened] == [(pair.record, False)] * 2
    for who in (house.agent, doctor):
        found = house.dossier.accessible_records(who, patient_ids=asked)["records"]
        assert found[asked[0]]["record_id"] == pair.record


def test_the_merged_record_is_unreadable_to_a_professional_and_refuses_the_code_of_either(
    house: DossierHouse, pair: Pair
) -> None:
    doctor, codes = house.professional(), [house.code(pair.record), house.code(pair.other)]
    trust(house, pair.twin, pair.other, doctor)
    assert grounds(house, doctor, pair.other) == ["circle"]
    pair.merge()
    assert refusal_code(house.dossier.read_record(doctor, record_id=pair.other)) == "record_not_found"
    assert [refusal_code(house.enter(doctor, pair.other, code)) for code in codes] == ["presence_code_refused"] * 2
    stranger = house.professional()
    assert refusal_code(house.enter(stranger, pair.record, codes[1])) == "presence_code_refused"
    assert house.enter(house.professional(), pair.record, codes[0])["kind"] == "presence"


def test_a_decision_about_a_merged_holder_still_asks_the_database_once(house: DossierHouse, pair: Pair) -> None:
    pair.merge()
    for holder in (pair.holder, pair.twin):
        house.scope(holder, pair.record)  # the first of a day is noted
        with house.statements() as seen:
            house.scope(holder, pair.record)
        [situation] = [each for each in seen if "own_patient_id" in each]
        assert not [each for each in seen if " from " in each and each is not situation]


def test_a_holder_s_record_is_found_by_indexes_alone(house: DossierHouse, pair: Pair) -> None:
    pair.merge()
    with house.statements() as seen:
        house.dossier.my_records(pair.twin)
    [query] = [each for each in seen if "join records" in each]
    given = {"patient_id": "gen_random_uuid()", "at": "now()"}
    plan_of = re.sub(r"%\((\w+)\)s", lambda one: given.get(one[1], "'{active}'"), f"explain {query.split('; ')[-1]}")
    with house.sessions.transaction() as session:
        session.execute(sa.text("set local enable_seqscan = off"))
        plan = " ".join(session.scalars(sa.text(plan_of)))
    for index in ("uq_records_patient", "uq_patient_merges", "ix_representatives_patient", "ix_assistants_patient"):
        assert index in plan
    assert "Seq Scan" not in plan


# --- which record stays -----------------------------------------------------------------------------------------------


def test_the_only_record_goes_to_who_speaks_for_both_and_back(house: DossierHouse) -> None:
    twin, record_id = house.holder()
    holder = builders.caller("patient")
    undoing = merged(house, holder, twin)
    assert states(house, record_id) == [("active", None, holder.patient_id)]
    assert house.scope(holder, record_id).holder_side and house.scope(twin, record_id).holder_side
    assert house.events("records_merged.v1") == []
    house.hear("directory", undoing)
    assert states(house, record_id) == [("active", None, twin.patient_id)]
    assert house.scope(twin, record_id).holder_side and not house.scope(holder, record_id).holder_side


def test_two_without_a_record_get_one_between_them(house: DossierHouse) -> None:
    holder, twin = builders.caller("patient"), builders.caller("patient")
    undoing = merged(house, holder, twin)
    opened = [house.dossier.open_record(house.agent, patient_id=each.patient_id) for each in (twin, holder)]
    assert [each["created"] for each in opened] == [True, False]
    assert opened[0]["record_id"] == opened[1]["record_id"]
    house.hear("directory", undoing)
    assert [len(house.dossier.my_records(each)["records"]) for each in (holder, twin)] == [1, 0]


def test_the_active_record_of_the_merged_patient_outlives_the_waiting_one_of_the_survivor(house: DossierHouse) -> None:
    holder, waiting = house.holder(activate=False)
    twin, active = house.holder()
    undoing = merged(house, holder, twin)
    assert states(house, waiting, active) == [
        ("closed", active, holder.patient_id),
        ("active", None, holder.patient_id),
    ]
    [event] = house.events("records_merged.v1")
    assert event == {
        "merge_id": undoing.merge_id, "record_id": active, "merged_record_id": waiting,
        "patient_id": holder.patient_id, "version": 1,
    }  # fmt: skip
    house.hear("directory", undoing)
    assert states(house, waiting, active) == [("open", None, holder.patient_id), ("active", None, twin.patient_id)]
    [event] = house.events("records_unmerged.v1")
    assert (event["merged_record_id"], event["patient_id"], event["version"]) == (waiting, holder.patient_id, 2)


def test_an_activation_after_the_merge_makes_the_surviving_record_active(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    twin, other = house.holder(activate=False)
    merged(house, holder, twin)
    house.hear("identity", AccountActivated(twin.account_id, "patient", twin.patient_id, None))
    assert [each[0] for each in states(house, record_id, other)] == ["active", "closed"]


def test_a_merge_stands_in_the_state_history_and_so_does_its_end(house: DossierHouse, pair: Pair) -> None:
    pair.merge()
    pair.unmerge()
    lines = [line for line in house.rows(models.StateChange) if line.cause in ("merged", "unmerged")]
    assert [(line.record_id, line.previous, line.state, line.cause) for line in lines] == [
        (pair.other, "active", "closed", "merged"), (pair.other, "closed", "active", "unmerged")
    ]  # fmt: skip
    told = [event for event in house.events("record_state_changed.v1") if "merged" in event["cause"]]
    assert [(event["record_id"], event["state"], event["cause"]) for event in told] == [
        (pair.other, "closed", "merged"), (pair.other, "active", "unmerged")
    ]  # fmt: skip


def by_agent(house: DossierHouse) -> list[tuple[str, str, str]]:
    """What an agent did to records, by their traces: action, record and account."""
    return [(t["action"], t["record_id"], t["account_id"]) for t in house.traces() if t["capacity"] == "agent"]


def test_both_histories_tell_who_merged_and_who_took_apart(house: DossierHouse, pair: Pair) -> None:
    before, agents = len(by_agent(house)), {PatientsMerged: new_id(), PatientsUnmerged: new_id()}
    for kind, agent in agents.items():
        for _ in range(2):  # the second time it is no news
            house.hear("directory", replace(pair.news(kind), by=agent))
    expected = [
        (action, record_id, agents[kind])
        for kind, word in ((PatientsMerged, "patient.merged"), (PatientsUnmerged, "patient.unmerged"))
        for action, record_id in (("record.state_changed", pair.other), (word, pair.record))
    ]
    assert by_agent(house)[before:] == expected


def test_a_record_that_speaks_for_another_patient_is_told_who_did_that(house: DossierHouse) -> None:
    twin, record_id = house.holder()
    before, agent = len(by_agent(house)), new_id()
    told = PatientsMerged(new_id(), str(builders.caller("patient").patient_id), str(twin.patient_id), AT, agent)
    house.hear("directory", told)
    house.hear("directory", PatientsUnmerged(told.merge_id, told.survivor_id, told.merged_id, AT, agent))
    assert by_agent(house)[before:] == [("patient.merged", record_id, agent), ("patient.unmerged", record_id, agent)]


def test_a_merge_that_was_told_before_it_named_its_author_is_traced_all_the_same(
    house: DossierHouse, pair: Pair
) -> None:
    pair.merge()
    left = [(t["action"], t["record_id"], t["account_id"]) for t in house.traces() if "merged" in t["action"]]
    assert left == [("patient.merged", pair.record, None)]


def test_what_its_holder_closed_stays_closed(house: DossierHouse, pair: Pair) -> None:
    doctor, barred = house.professional(), house.professional()
    trust(house, pair.twin, pair.other, doctor)
    house.block(pair.other, barred)
    house.set_state(pair.other, "closed")
    pair.merge()
    assert house.events("records_merged.v1") == []
    assert circle(house, pair.holder, pair.record) == set()
    refused = house.dossier.add_to_circle(pair.holder, record_id=pair.record, professional_id=barred.professional_id)
    assert refusal_code(refused) == "professional_blocked"  # the bar came along
    assert grounds(house, barred, pair.record) == []
    pair.unmerge()
    assert states(house, pair.other) == [("closed", None, pair.twin.patient_id)]


# --- late, twice, in any order ----------------------------------------------------------------------------------------


def everything(house: DossierHouse) -> list[Any]:
    """What the tables say, but for what each row is called."""
    told: list[Any] = []
    for table in (models.Record, models.Block, models.CircleMember, models.Mandate, models.FirstAccess):
        for row in house.rows(table):
            values = {column.key: getattr(row, column.key) for column in table.__table__.c}
            told.append((table.__tablename__, sorted((name, str(value)) for name, value in values.items())))
    return sorted(told)


def test_news_that_come_twice_change_nothing(house: DossierHouse, pair: Pair) -> None:
    trust(house, pair.twin, pair.other, house.professional())
    pair.merge()
    once = everything(house)
    pair.merge()
    assert everything(house) == once and len(house.events("records_merged.v1")) == 1
    pair.unmerge()
    once = everything(house)
    pair.unmerge()
    pair.merge()  # late
    assert everything(house) == once
    assert [len(house.events(f"records_{kind}.v1")) for kind in ("merged", "unmerged")] == [1, 1]


def test_an_end_that_comes_before_its_beginning_leaves_nothing_merged(house: DossierHouse, pair: Pair) -> None:
    untouched = states(house, pair.record, pair.other)
    pair.unmerge()
    pair.merge()
    assert states(house, pair.record, pair.other) == untouched
    assert house.events("records_merged.v1") == [] and house.scope(pair.twin, pair.other).holder_side


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_chain_whose_middle_is_undone_ends_in_the_same_place_in_any_order(
    house: DossierHouse, order: tuple[int, ...]
) -> None:
    (a, r_a), (b, r_b), (c, r_c) = house.holder(), house.holder(), house.holder()
    friends = [house.professional() for _ in range(3)]
    for (holder, record_id), friend in zip(((a, r_a), (b, r_b), (c, r_c)), friends, strict=True):
        trust(house, holder, record_id, friend)
    first, second = new_id(), new_id()
    news = [
        PatientsMerged(first, b.patient_id or "", c.patient_id or "", AT),
        PatientsMerged(second, a.patient_id or "", b.patient_id or "", AT),
        PatientsUnmerged(first, b.patient_id or "", c.patient_id or "", AT),
    ]
    for number in order:
        house.hear("directory", news[number])
    assert states(house, r_a, r_b, r_c) == [
        ("active", None, a.patient_id), ("closed", r_a, a.patient_id), ("active", None, c.patient_id)
    ]  # fmt: skip
    assert circle(house, a, r_a) == {friends[0].professional_id, friends[1].professional_id}
    assert circle(house, c, r_c) == {friends[2].professional_id}
    assert house.scope(b, r_a).holder_side and not house.scope(c, r_a).holder_side


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_chain_undone_at_its_end_leaves_the_two_others_together_in_any_order(
    house: DossierHouse, order: tuple[int, ...]
) -> None:
    (a, r_a), (b, r_b), (c, r_c) = house.holder(), house.holder(), house.holder()
    friend = house.professional()
    trust(house, c, r_c, friend)
    first, second = new_id(), new_id()
    news = [
        PatientsMerged(first, b.patient_id or "", c.patient_id or "", AT),
        PatientsMerged(second, a.patient_id or "", b.patient_id or "", AT),
        PatientsUnmerged(second, a.patient_id or "", b.patient_id or "", AT),
    ]
    for number in order:
        house.hear("directory", news[number])
    assert states(house, r_a, r_b, r_c) == [
        ("active", None, a.patient_id), ("active", None, b.patient_id), ("closed", r_b, b.patient_id)
    ]  # fmt: skip
    assert circle(house, a, r_a) == set() and circle(house, b, r_b) == {friend.professional_id}
    leads: dict[str, tuple[int, str | None]] = {}
    for kind, into in (("merged", True), ("unmerged", False)):
        for event in house.events(f"records_{kind}.v1"):
            known = leads.get(event["merged_record_id"], (0, None))
            leads[event["merged_record_id"]] = max(known, (event["version"], event["record_id"] if into else None))
    assert {record_id: told[1] for record_id, told in leads.items() if told[1]} == {r_c: r_b}


def test_two_who_share_a_doctor_with_a_third_keep_her_when_one_of_them_leaves(house: DossierHouse) -> None:
    (a, r_a), (b, r_b), (c, r_c) = house.holder(), house.holder(), house.holder()
    doctor = house.professional()
    for holder, record_id in ((b, r_b), (c, r_c)):
        trust(house, holder, record_id, doctor)
    first, second = merged(house, a, b), merged(house, a, c)
    house.hear("directory", first)
    assert circle(house, a, r_a) == {doctor.professional_id} == circle(house, b, r_b)
    house.hear("directory", second)
    assert circle(house, a, r_a) == set() and circle(house, c, r_c) == {doctor.professional_id}


def test_a_later_merge_frees_who_was_led_away_though_the_news_of_it_is_late(house: DossierHouse) -> None:
    (a, r_a), (b, r_b), (c, r_c) = house.holder(), house.holder(), house.holder()
    late = merged(house, a, b)
    merged(house, c, b)
    assert states(house, r_a, r_b, r_c)[0] == ("active", None, a.patient_id)
    heads = [each for each in states(house, r_b, r_c) if each[1] is None]
    assert heads == [("active", None, c.patient_id)]
    once = everything(house)
    house.hear("directory", late)
    assert everything(house) == once


def test_many_merges_of_the_same_people_at_once_wait_for_one_another(house: DossierHouse) -> None:
    people = [house.holder() for _ in range(4)]
    (first, record_id), others = people[0], people[1:]
    ready = threading.Barrier(6)

    def hear(other: Caller, merge_id: str) -> None:
        ready.wait()
        merged(house, first, other, merge_id)

    threads = [
        threading.Thread(target=hear, args=(other, merge_id))
        for (other, _), merge_id in ((each, new_id()) for each in others)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states(house, *(each for _, each in people)) == [
        ("active", None, first.patient_id), *[("closed", record_id, first.patient_id)] * 3
    ]  # fmt: skip
    assert len(house.events("records_merged.v1")) == 3
