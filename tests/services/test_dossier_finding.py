"""What a search for patients is told of records: numbers, actions and stays, nothing finer than accessible."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.dossier import models
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse

DAY = timedelta(days=1)


def found(house: DossierHouse, who: Caller, holder: Caller) -> dict[str, Any]:
    answer = house.dossier.accessible_records(who, patient_ids=[holder.patient_id])
    return dict(answer["records"][holder.patient_id])


def number_of(house: DossierHouse, record_id: str) -> int:
    return next(row.record_number for row in house.rows(models.Record) if row.record_id == record_id)


def admit(
    house: DossierHouse, record_id: str, who: Caller, since: timedelta = -DAY, until: timedelta = DAY, **more: Any
) -> dict[str, str]:
    """A stay at the establishment of this professional, as it is shown."""
    base = datetime(2026, 1, 1, tzinfo=UTC) if more.pop("fixed", False) else datetime.now(UTC)
    row = {
        "mandate_id": new_id(), "record_id": record_id, "professional_id": None,
        "establishment_id": who.establishment_id, "kind": "admission", "wording_version": "", "starts_at": base + since,
        "read_until": base + until, "deposit_until": base + until + 15 * DAY, **more,
    }  # fmt: skip
    with house.sessions.transaction() as session:
        session.execute(sa.insert(models.Mandate).values(row))
    form = "%Y-%m-%dT%H:%M:%S.%fZ"
    return {"since": f"{base + since:{form}}", "until": f"{base + until:{form}}"}


# --- actions ----------------------------------------------------------------------------------------------------------


def test_a_professional_with_a_ground_may_read_and_one_without_may_enter_the_code(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    member, stranger = house.professional(), house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=member.professional_id)
    shown = {
        "record_id": record_id, "accessible": True, "record_number": number_of(house, record_id), "admissions": [],
    }  # fmt: skip
    assert found(house, member, holder) == {**shown, "actions": ["read_record"]}
    assert found(house, stranger, holder) == {**shown, "actions": ["enter_presence_code"]}


def test_to_be_found_is_no_first_access(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    member = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=member.professional_id)
    assert found(house, member, holder)["actions"] == ["read_record"]
    assert house.events("record_first_accessed_by.v1") == [] and house.rows(models.FirstAccess) == []


def test_a_block_looks_like_the_lack_of_a_ground(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    blocked, stranger = house.professional(), house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=blocked.professional_id)
    assert found(house, blocked, holder) != found(house, stranger, holder)
    house.block(record_id, blocked)
    assert json.dumps(found(house, blocked, holder)) == json.dumps(found(house, stranger, holder))


@pytest.mark.parametrize("state", ["requested", "open", "closed", "deleted"])
def test_a_record_that_is_not_accessible_looks_like_none_to_professionals_even_with_a_ground(
    house: DossierHouse, state: str
) -> None:
    holder, record_id = house.holder()
    member = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=member.professional_id)
    admit(house, record_id, member)
    house.set_state(record_id, state)
    assert json.dumps(found(house, member, holder)) == json.dumps(found(house, member, builders.caller("patient")))


@pytest.mark.parametrize(
    ("state", "accessible", "opens"),
    [("requested", False, False), ("open", False, False), ("open_by_lapse", True, False), ("active", True, False),
     ("closed", False, False), ("deleted", False, True)],
)  # fmt: skip
def test_an_agent_may_always_look_after_the_sheet_and_open_a_record_where_there_is_none(
    house: DossierHouse, state: str, accessible: bool, opens: bool
) -> None:
    holder, record_id = house.holder()
    number = number_of(house, record_id)
    house.set_state(record_id, state)
    told = found(house, house.agent, holder)
    assert told["actions"] == ["read_sheet", "change_sheet", "merge", *(["open_record"] if opens else [])]
    assert told["accessible"] is accessible
    assert (told["record_id"], told["record_number"]) == ((None, None) if opens else (record_id, number))


# --- stays ------------------------------------------------------------------------------------------------------------


def test_a_running_stay_at_ones_own_establishment_is_shown_once_to_those_whom_it_serves(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    nurse = house.professional("nurse")
    elsewhere = house.professional()
    stay = admit(house, record_id, nurse, fixed=True, until=9_999 * DAY)
    admit(house, record_id, nurse, fixed=True, until=9_999 * DAY)
    for served in (nurse, house.colleague(nurse), house.colleague(nurse, "pharmacist")):
        assert found(house, served, holder)["admissions"] == [stay]
        assert found(house, served, holder)["actions"] == ["read_record"]
    gone = replace(house.professional(), establishment_id=nurse.establishment_id)  # works there no more
    for unserved in (gone, elsewhere, house.agent):
        assert found(house, unserved, holder)["admissions"] == []


def test_a_stay_tells_whoever_is_barred_nothing(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    nurse = house.professional("nurse")
    admit(house, record_id, nurse)
    elsewhere = found(house, house.professional("nurse"), holder)
    assert found(house, nurse, holder) != elsewhere
    house.block(record_id, nurse)
    assert json.dumps(found(house, nurse, holder)) == json.dumps(elsewhere)


@pytest.mark.parametrize(
    "over",
    [
        {"since": DAY, "until": 2 * DAY},
        {"since": -2 * DAY, "until": -DAY},
        {"ended_at": datetime(2026, 1, 2, tzinfo=UTC)},
        {"kind": "presence"},
    ],
)
def test_a_stay_to_come_one_that_is_over_and_another_mandate_are_not(house: DossierHouse, over: dict[str, Any]) -> None:
    holder, record_id = house.holder()
    nurse = house.professional("nurse")
    admit(house, record_id, nurse, **over)
    assert found(house, nurse, holder)["admissions"] == []


def test_several_stays_and_grounds_are_one_record_each(house: DossierHouse) -> None:
    people = [house.holder() for _ in range(3)]
    nurse = house.professional("nurse")
    for holder, record_id in people:
        house.dossier.add_to_circle(holder, record_id=record_id, professional_id=nurse.professional_id)
        admit(house, record_id, nurse)
        admit(house, record_id, nurse, since=-3 * DAY)
    with house.statements() as said:
        asked = [str(holder.patient_id) for holder, _ in people]
        answer = house.dossier.accessible_records(nurse, patient_ids=[*asked, new_id()])["records"]
    assert [len(answer[each]["admissions"]) for each in asked] == [2, 2, 2]
    assert {answer[holder.patient_id]["record_id"] for holder, _ in people} == {record_id for _, record_id in people}
    assert len(said) <= 3, "once prepare with the begin, execute, commit"


def test_more_than_a_hundred_patients_are_not_asked_about_at_once(house: DossierHouse) -> None:
    with pytest.raises(InvalidInput):
        house.dossier.accessible_records(house.agent, patient_ids=[new_id()] * 101)
    assert house.dossier.accessible_records(house.agent, patient_ids=[]) == {"records": {}}
