"""Stays of two records that turned out to be one person's: which come along, and what counts on both sides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.db import now
from services.tokens import Caller
from tests.services.dossier_house import DossierHouse
from tests.services.dossier_twins import Pair, grounds

DAY = timedelta(days=1)


def at_hospital(house: DossierHouse) -> tuple[Caller, Caller]:
    """Somebody who works at a hospital, and its software acting for them."""
    who = house.professional("nurse")
    return who, house.software(who)


def register(house: DossierHouse, who: Caller, record_id: str) -> Any:
    return house.dossier.register_stay(who, record_id=record_id, kind="admission", reference="S-1")


@pytest.fixture
def pair(house: DossierHouse) -> Pair:
    return Pair(house)


def test_a_stay_comes_along_into_the_surviving_record_and_goes_back(house: DossierHouse, pair: Pair) -> None:
    nurse, software = at_hospital(house)
    stay = register(house, software, pair.other)
    pair.merge()
    assert grounds(house, nurse, pair.record) == ["admission"] and grounds(house, nurse, pair.other) == []
    there = register(house, software, pair.record)
    assert there["mandate_id"] != stay["mandate_id"] and there["deposit_until"] == stay["deposit_until"]
    assert len(house.events("mandate_opened.v1")) == 1, "the same reference is the stay that came along"
    while house.dossier._do_due(now() + 61 * DAY):
        pass
    told = [event["mandate_id"] for event in house.events("mandate_ended.v1")]
    assert told == [there["mandate_id"]], "its end is told where it is, once"
    pair.unmerge()
    assert grounds(house, nurse, pair.record) == [] and grounds(house, nurse, pair.other) == ["admission"]


def test_a_stay_registered_in_both_records_is_one(house: DossierHouse, pair: Pair) -> None:
    nurse, software = at_hospital(house)
    here = register(house, software, pair.record)
    register(house, software, pair.other)
    pair.merge()
    [only] = house.dossier.list_mandates(pair.holder, record_id=pair.record)["mandates"]
    assert only["mandate_id"] == here["mandate_id"]
    house.dossier.discharge_patient(software, record_id=pair.record, mandate_id=here["mandate_id"])
    assert [clause.read for clause in house.scope(nurse, pair.record).clauses] == [()]
    pair.unmerge()
    assert [clause.read for clause in house.scope(nurse, pair.other).clauses] == [()], "discharged on both sides"


@pytest.mark.parametrize("twice", [False, True])
def test_a_stay_that_the_holder_ended_is_ended_on_both_sides(house: DossierHouse, pair: Pair, twice: bool) -> None:
    nurse, software = at_hospital(house)
    register(house, software, pair.other)
    if twice:
        register(house, software, pair.record)
    pair.merge()
    assert house.dossier.end_mandates(pair.holder, record_id=pair.record)["count"] == 1
    pair.unmerge()
    assert grounds(house, nurse, pair.record) == grounds(house, nurse, pair.other) == []


def test_what_was_prolonged_after_the_merge_is_not_brought_back(house: DossierHouse, pair: Pair) -> None:
    _, software = at_hospital(house)
    stay = register(house, software, pair.other)
    pair.merge()
    copy = register(house, software, pair.record)
    house.dossier.prolong_stay(software, record_id=pair.record, mandate_id=copy["mandate_id"], days=30)
    pair.unmerge()
    assert register(house, software, pair.other) == stay
