"""A merge that was a mistake and is undone: nobody reads what was the other's, and nobody loses what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.db import new_id
from services.dossier.contract import MANDATE_EVENT
from services.tokens import Caller
from tests.services.dossier_house import refusal_code
from tests.services.dossier_twins import Pair, circle, grounds, states, trust
from tests.services.entourage_house import Home
from tests.services.own_access_house import RISK, OwnAccessHouse
from tests.services.test_dossier_blocklist import bar
from tests.services.test_dossier_life import close, die, oppose
from tests.services.test_dossier_openings import due
from tests.services.test_dossier_referring_merging import refer

SECRET = "Sauf les cornées"


@pytest.fixture
def house(database: Callable[[str], str]) -> Iterator[OwnAccessHouse]:
    made = OwnAccessHouse(database("dossier"))
    yield made
    made.sessions.engine.dispose()


@pytest.fixture
def pair(house: OwnAccessHouse) -> Pair:
    return Pair(house)


def merge_again(pair: Pair) -> None:
    pair.merge_id = new_id()
    pair.merge()


def lists(house: OwnAccessHouse, holder: Caller, record_id: str) -> dict[str, list[Any]]:
    """Everything that a holder may look through of who was let in and what was said."""
    asked, dossier = {"record_id": record_id}, house.dossier
    told = dossier.timeline_facts(holder, **asked, kinds=[MANDATE_EVENT], most=50)
    return {
        "mandates": dossier.list_mandates(holder, **asked)["mandates"],
        "assistants": dossier.assistants(holder, **asked)["assistants"],
        "representatives": dossier.representatives(holder, **asked)["representatives"],
        "members": dossier.circle(holder, **asked)["members"],
        "barred": dossier.blocklist(holder, **asked)["blocked"],
        "designations": dossier.referring_physician(holder, **asked)["designations"],
        "words": dossier.setting_history(holder, **asked, name="organ_donation")["history"],
        "timeline": told["events"],
    }  # fmt: skip


# --- nobody reads what was the other's --------------------------------------------------------------------------------


@pytest.mark.parametrize("ended_meanwhile", [False, True])
def test_what_a_merge_brought_along_is_on_no_list_once_it_is_undone(
    house: OwnAccessHouse, pair: Pair, ended_meanwhile: bool
) -> None:
    home, doctor, visitor = Home(house), house.of_emergency(), house.professional()
    home.holder, home.record = pair.twin, pair.other
    home.represented_by()
    home.assisted_by(name="Maman")
    house.break_glass(doctor, pair.other)
    house.enter(visitor, pair.other, house.code(pair.other))
    trust(house, pair.twin, pair.other, visitor, "mon médecin")
    refer(house, pair.other, house.professional())
    bar(house, pair.twin, pair.other, house.professional())
    said = {"name": "organ_donation", "value": "donor", "declared_on": "2026-03-01", "note": SECRET}
    house.dossier.declare(pair.twin, record_id=pair.other, **said)
    theirs = lists(house, pair.twin, pair.other)
    assert all(theirs.values()), theirs
    pair.merge()
    along = lists(house, pair.holder, pair.record)
    assert all(along.values()), along
    if ended_meanwhile:
        for mandate in along["mandates"]:
            house.dossier.end_mandate(pair.holder, record_id=pair.record, mandate_id=mandate["mandate_id"])
    pair.unmerge()
    assert not any(lists(house, pair.holder, pair.record).values())
    back = lists(house, pair.twin, pair.other)
    assert {name: len(found) for name, found in back.items() if name != "timeline"} == {
        name: len(found) for name, found in theirs.items() if name != "timeline"
    }
    merge_again(pair)
    again = lists(house, pair.holder, pair.record)
    kept = {"mandates", "timeline"} if ended_meanwhile else set()
    assert {name for name, found in again.items() if found} == set(along) - kept
    pair.unmerge()
    assert not any(lists(house, pair.holder, pair.record).values())


def test_whoever_is_barred_in_one_is_barred_each_time_the_two_are_one(house: OwnAccessHouse, pair: Pair) -> None:
    doctor = house.professional()
    trust(house, pair.holder, pair.record, doctor)
    bar(house, pair.twin, pair.other, doctor)
    for _ in range(2):
        merge_again(pair)
        assert grounds(house, doctor, pair.record) == []
        pair.unmerge()
        assert grounds(house, doctor, pair.record) == ["circle"]


# --- nobody loses what they said --------------------------------------------------------------------------------------


def test_a_professional_whom_both_barred_stays_barred(house: OwnAccessHouse, pair: Pair) -> None:
    doctor = house.professional()
    bar(house, pair.twin, pair.other, doctor)
    pair.merge()
    assert bar(house, pair.holder, pair.record, doctor)["created"] is False
    assert bar(house, pair.holder, pair.record, doctor)["created"] is False
    assert len(lists(house, pair.holder, pair.record)["barred"]) == 1
    pair.unmerge()
    for holder, record_id in ((pair.holder, pair.record), (pair.twin, pair.other)):
        [barred] = lists(house, holder, record_id)["barred"]
        assert barred["professional_id"] == doctor.professional_id


def test_a_block_that_both_said_is_lifted_at_once(house: OwnAccessHouse, pair: Pair) -> None:
    doctor = house.professional()
    bar(house, pair.twin, pair.other, doctor)
    pair.merge()
    bar(house, pair.holder, pair.record, doctor)
    house.dossier.unblock_professional(
        pair.holder, record_id=pair.record, professional_id=doctor.professional_id
    )
    assert lists(house, pair.holder, pair.record)["barred"] == []


def test_a_setting_that_both_said_stays(house: OwnAccessHouse, pair: Pair) -> None:
    house.set(pair.twin, pair.other, "emergency", "refused", **RISK)
    pair.merge()
    house.set(pair.holder, pair.record, "emergency", "refused", **RISK)
    pair.unmerge()
    for holder, record_id in ((pair.holder, pair.record), (pair.twin, pair.other)):
        shown = house.dossier.settings(holder, record_id=record_id)["settings"]
        assert [each["value"] for each in shown if each["name"] == "emergency"] == ["refused"]


def test_a_setting_that_one_said_goes_back_with_them(house: OwnAccessHouse, pair: Pair) -> None:
    house.set(pair.twin, pair.other, "emergency", "refused", **RISK)
    pair.merge()
    pair.unmerge()
    shown = house.dossier.settings(pair.holder, record_id=pair.record)["settings"]
    assert [each["value"] for each in shown if each["name"] == "emergency"] == ["normal"]


def test_whom_both_trust_stays_in_both_circles(house: OwnAccessHouse, pair: Pair) -> None:
    doctor, theirs = house.professional(), house.professional()
    for who in (doctor, theirs):
        trust(house, pair.twin, pair.other, who, "le médecin de l'autre")
    pair.merge()
    trust(house, pair.holder, pair.record, doctor, "le mien")
    pair.unmerge()
    assert circle(house, pair.holder, pair.record) == {doctor.professional_id}
    assert circle(house, pair.twin, pair.other) == {doctor.professional_id, theirs.professional_id}
    [member] = lists(house, pair.holder, pair.record)["members"]
    assert member["comment"] == "le mien"


def test_the_code_of_the_survivor_opens_the_survivor_s_record_for_its_own_time(
    house: OwnAccessHouse, pair: Pair
) -> None:
    visitor, theirs = house.professional(), house.professional()
    for who in (visitor, theirs):
        house.enter(who, pair.other, house.code(pair.other))
    pair.merge()
    opened = [house.enter(visitor, pair.record, house.code(pair.record)) for _ in range(2)]
    assert opened[0]["mandate_id"] == opened[1]["mandate_id"]
    pair.unmerge()
    assert grounds(house, visitor, pair.record) == grounds(house, visitor, pair.other) == ["presence"]
    assert grounds(house, theirs, pair.record) == []


def test_each_emergency_has_its_own_reason_and_its_own_review(house: OwnAccessHouse, pair: Pair) -> None:
    doctor = house.of_emergency()
    house.break_glass(doctor, pair.other, reason="Chez l'autre")
    pair.merge()
    house.break_glass(doctor, pair.record, reason="Chez le survivant")
    pair.unmerge()
    for holder, record_id, reason in (
        (pair.holder, pair.record, "Chez le survivant"), (pair.twin, pair.other, "Chez l'autre"),
    ):  # fmt: skip
        [mandate] = lists(house, holder, record_id)["mandates"]
        assert reason in str(mandate)


# --- a door that was shut ---------------------------------------------------------------------------------------------


def test_a_record_that_the_holder_closed_meanwhile_is_closed_on_both_sides(house: OwnAccessHouse, pair: Pair) -> None:
    doctor = house.professional()
    trust(house, pair.twin, pair.other, doctor)
    pair.merge()
    assert close(house, pair.holder, pair.record)["state"] == "closed"
    pair.unmerge()
    assert [each[0] for each in states(house, pair.record, pair.other)] == ["closed", "closed"]
    assert grounds(house, doctor, pair.other) == []
    for holder, record_id in ((pair.holder, pair.record), (pair.twin, pair.other)):
        life = house.dossier.reopen_record(holder, record_id=record_id)
        assert life["state"] == "active"
    assert grounds(house, doctor, pair.other) == ["circle"]


def test_a_death_of_one_is_not_the_other_s(house: OwnAccessHouse, pair: Pair) -> None:
    pair.merge()
    die(house, pair.record)
    pair.unmerge()
    assert [each[0] for each in states(house, pair.record, pair.other)] == ["closed", "active"]


def test_a_record_that_was_closed_and_opened_again_meanwhile_is_open_on_both_sides(
    house: OwnAccessHouse, pair: Pair
) -> None:
    pair.merge()
    close(house, pair.holder, pair.record)
    house.dossier.reopen_record(pair.holder, record_id=pair.record)
    pair.unmerge()
    assert [each[0] for each in states(house, pair.record, pair.other)] == ["active", "active"]


# --- who opposed ------------------------------------------------------------------------------------------------------


def test_whoever_opposed_gets_no_record_by_affiliation_and_one_by_asking(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder(activate=False)
    other, _ = house.holder(activate=False)
    oppose(house, holder)
    assert states(house, record_id)[0][0] == "deleted"
    due(house, [str(holder.patient_id), str(other.patient_id)])
    assert house.dossier.my_records(holder)["records"] == []
    due(house, [str(holder.patient_id)], "voluntary_request")
    [record] = house.dossier.my_records(holder)["records"]
    assert record["record_id"] != record_id


def test_a_record_that_time_deleted_may_be_followed_by_another(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.set_state(record_id, "deleted")
    due(house, [str(holder.patient_id)])
    assert len(house.dossier.my_records(holder)["records"]) == 1
    assert refusal_code(house.dossier.read_record(holder, record_id=record_id)) == "record_not_found"
