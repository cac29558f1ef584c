"""The grants of two records that turned out to be one person's: what comes along, what goes back, what stays ended."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from deploy.local.supervise import wait_until
from services.bus import Received
from services.db import new_id, now
from services.directory.contract import PatientsMerged
from services.dossier import contract, models, store_circle, store_mandates
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.dossier_twins import Pair, circle, grounds, trust


@pytest.fixture
def pair(house: DossierHouse) -> Pair:
    return Pair(house)


# --- what comes along -------------------------------------------------------------------------------------------------


def test_circle_mandates_and_first_accesses_come_along_and_go_back(house: DossierHouse, pair: Pair) -> None:
    friend, visitor = house.professional(), house.professional()
    trust(house, pair.twin, pair.other, friend, "mon médecin")
    house.enter(visitor, pair.other, house.code(pair.other))
    house.scope(friend, pair.other)
    before = len(house.events("record_first_accessed_by.v1"))
    pair.merge()
    assert grounds(house, friend, pair.record) == ["circle"] and grounds(house, visitor, pair.record) == ["presence"]
    assert len(house.events("record_first_accessed_by.v1")) == before  # told already
    [member] = house.dossier.circle(pair.holder, record_id=pair.record)["members"]
    assert member["comment"] == "mon médecin"
    pair.unmerge()
    assert grounds(house, friend, pair.record) == grounds(house, visitor, pair.record) == []
    assert grounds(house, friend, pair.other) == ["circle"] and grounds(house, visitor, pair.other) == ["presence"]
    assert circle(house, pair.holder, pair.record) == set()
    trust(house, pair.holder, pair.record, friend)
    house.scope(friend, pair.record)
    assert len(house.events("record_first_accessed_by.v1")) == before + 1  # of this holder nobody was told yet


def test_whoever_is_barred_in_either_is_barred(house: DossierHouse, pair: Pair) -> None:
    of_one, of_other = house.professional(), house.professional()
    for holder, record_id in ((pair.holder, pair.record), (pair.twin, pair.other)):
        for doctor in (of_one, of_other):
            trust(house, holder, record_id, doctor)
    house.block(pair.record, of_one)
    house.block(pair.other, of_other)
    pair.merge()
    assert grounds(house, of_one, pair.record) == grounds(house, of_other, pair.record) == []
    pair.unmerge()
    assert grounds(house, of_one, pair.record) == [] and grounds(house, of_other, pair.record) == ["circle"]
    assert grounds(house, of_one, pair.other) == ["circle"] and grounds(house, of_other, pair.other) == []


def test_what_was_granted_after_the_merge_stays_with_the_survivor(house: DossierHouse, pair: Pair) -> None:
    friend, visitor = house.professional(), house.professional()
    pair.merge()
    trust(house, pair.twin, pair.record, friend)
    house.enter(visitor, pair.record, house.code(pair.record))
    pair.unmerge()
    assert grounds(house, friend, pair.record) == ["circle"] and grounds(house, visitor, pair.record) == ["presence"]
    assert grounds(house, friend, pair.other) == grounds(house, visitor, pair.other) == []


def test_what_the_holder_ended_meanwhile_is_ended_on_both_sides(house: DossierHouse, pair: Pair) -> None:
    friend, kept, visitor = (house.professional() for _ in range(3))
    for doctor in (friend, kept):
        trust(house, pair.twin, pair.other, doctor)
    trust(house, pair.holder, pair.record, friend)
    house.enter(visitor, pair.other, house.code(pair.other))
    pair.merge()
    house.dossier.remove_from_circle(pair.holder, record_id=pair.record, professional_id=friend.professional_id)
    [mandate] = house.dossier.list_mandates(pair.holder, record_id=pair.record)["mandates"]
    house.dossier.end_mandate(pair.holder, record_id=pair.record, mandate_id=mandate["mandate_id"])
    pair.unmerge()
    assert grounds(house, friend, pair.other) == grounds(house, visitor, pair.other) == []
    assert grounds(house, friend, pair.record) == grounds(house, visitor, pair.record) == []
    assert grounds(house, kept, pair.other) == ["circle"]


def test_whoever_was_barred_meanwhile_is_barred_on_both_sides_and_a_lifted_block_comes_back(
    house: DossierHouse, pair: Pair
) -> None:
    barred, forgiven = house.professional(), house.professional()
    for doctor in (barred, forgiven):
        trust(house, pair.twin, pair.other, doctor)
    house.block(pair.other, forgiven)
    pair.merge()
    house.block(pair.record, barred, since=timedelta(0))
    with house.sessions.transaction() as session:
        session.execute(
            sa.update(models.Block)
            .where(models.Block.professional_id == forgiven.professional_id, models.Block.record_id == pair.record)
            .values(until=now())
        )
    assert grounds(house, barred, pair.record) == [] and grounds(house, forgiven, pair.record) == ["circle"]
    pair.unmerge()
    assert grounds(house, barred, pair.other) == grounds(house, forgiven, pair.other) == []


def test_a_grant_that_ran_out_or_was_ended_before_comes_not_along(house: DossierHouse, pair: Pair) -> None:
    removed, late = house.professional(), house.professional()
    trust(house, pair.twin, pair.other, removed)
    house.dossier.remove_from_circle(pair.twin, record_id=pair.other, professional_id=removed.professional_id)
    house.enter(late, pair.other, house.code(pair.other))
    house.age_mandates(pair.other, timedelta(days=16))
    pair.merge()
    assert house.dossier.list_mandates(pair.holder, record_id=pair.record)["mandates"] == []
    assert circle(house, pair.holder, pair.record) == set()


def test_an_establishment_hears_of_a_document_by_its_ground_in_the_surviving_record(
    house: DossierHouse, pair: Pair
) -> None:
    doctor = house.professional()
    trust(house, pair.holder, pair.record, doctor)

    def hears(record_id: str) -> bool:
        document = contract.DocumentFacts("care_reports", "medical_report", "medical_data", "standard")
        facts = {"record_id": record_id, **document.to_wire()}
        answer = house.dossier.readable_at(
            builders.context("notifications"), establishment_ids=[doctor.establishment_id], documents=[facts]
        )
        return bool(answer["readable"][0])

    assert hears(pair.record) and not hears(pair.other)
    pair.merge()
    assert hears(pair.record) and hears(pair.other)
    pair.unmerge()
    assert hears(pair.record) and not hears(pair.other)
    house.set_state(pair.other, "closed")
    pair.merge_id = new_id()
    pair.merge()
    assert hears(pair.record) and not hears(pair.other)  # what was closed came not along


def test_a_merge_waits_for_what_the_holder_is_just_ending_and_does_not_bring_it_along(
    house: DossierHouse, pair: Pair
) -> None:
    friend, visitor = house.professional(), house.professional()
    trust(house, pair.twin, pair.other, friend)
    mandate_id = house.enter(visitor, pair.other, house.code(pair.other))["mandate_id"]
    with house.sessions.transaction() as ending:
        assert store_circle.end_member(ending, pair.other, str(friend.professional_id), now())
        assert store_mandates.end_mandate(ending, pair.other, mandate_id, now())
        thread = threading.Thread(target=pair.merge)
        thread.start()
        assert wait_until(lambda: somebody_waits(house), 30)
    thread.join()
    assert grounds(house, friend, pair.record) == grounds(house, visitor, pair.record) == []
    assert len(house.events("records_merged.v1")) == 1


def somebody_waits(house: DossierHouse) -> bool:
    with house.sessions.transaction() as session:
        return bool(session.scalar(sa.text(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )))  # fmt: skip


def test_what_comes_too_late_to_be_ended_before_the_merge_is_not_said_to_be_ended(
    house: DossierHouse, pair: Pair
) -> None:
    friend, visitor = house.professional(), house.professional()
    trust(house, pair.twin, pair.other, friend)
    mandate_id = house.enter(visitor, pair.other, house.code(pair.other))["mandate_id"]
    pair.merge()
    with house.sessions.transaction() as late:  # whose rights were asked before the merge
        assert not store_circle.end_member(late, pair.other, str(friend.professional_id), now())
        assert not store_mandates.end_mandate(late, pair.other, mandate_id, now())
    answer = house.dossier.remove_from_circle(pair.twin, record_id=pair.other, professional_id=friend.professional_id)
    assert refusal_code(answer) == contract.RecordClosed.code
    assert grounds(house, friend, pair.record) == ["circle"] and grounds(house, visitor, pair.record) == ["presence"]


def test_what_the_holder_ends_while_a_merge_is_under_way_is_not_said_to_be_ended(
    house: DossierHouse, pair: Pair
) -> None:
    visitor = house.professional()
    mandate_id = house.enter(visitor, pair.other, house.code(pair.other))["mandate_id"]
    answers: list[object] = []

    def end() -> None:
        answers.append(house.dossier.end_mandate(pair.twin, record_id=pair.other, mandate_id=mandate_id))

    house.scope(pair.twin, pair.other)  # that they came today is noted: they wait for nothing but the merge
    with house.sessions.transaction() as merging:
        event = Received(new_id(), "directory", PatientsMerged.type, "", None, None, pair.news(), builders.context())
        house.dossier.on_patients_merged(merging, event)
        thread = threading.Thread(target=end)
        thread.start()
        assert wait_until(lambda: somebody_waits(house) or bool(answers), 30)
    thread.join()
    assert [refusal_code(answer) for answer in answers] == [contract.RecordClosed.code]
    assert grounds(house, visitor, pair.record) == ["presence"] and house.events("mandate_ended.v1") == []
