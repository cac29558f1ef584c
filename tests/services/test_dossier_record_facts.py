"""What an identity sheet shows of a record: to agents and the holder, never to anybody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from services.db import new_id, now, rfc3339
from services.directory.contract import PatientsMerged
from services.refusals import NotAllowed
from tests.builders import caller
from tests.services.dossier_house import DossierHouse


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[DossierHouse]:
    made = DossierHouse(database("dossier"))
    yield made
    made.sessions.engine.dispose()


def test_the_holder_and_an_agent_see_number_state_date_and_cause(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    seen = house.dossier.record_facts(holder, patient_id=holder.patient_id)
    facts = seen["record"]
    assert (facts["record_id"], facts["state"], facts["cause"]) == (record_id, "active", "activation")
    assert facts["record_number"] > 0 and facts["since"] <= rfc3339(now())
    assert house.dossier.record_facts(house.agent, patient_id=holder.patient_id) == seen
    mine = [trace for trace in house.traces("record.searched") if trace["record_id"] == record_id]
    assert [(trace["capacity"], trace["outcome"], trace["count"]) for trace in mine] == [
        ("patient", "allowed", 1), ("agent", "allowed", 1)
    ]  # fmt: skip


def test_the_cause_is_that_of_the_last_step(house: DossierHouse) -> None:
    holder, _ = house.holder(activate=False)

    def cause() -> str:
        return str(house.dossier.record_facts(holder, patient_id=holder.patient_id)["record"]["cause"])

    assert cause() == "affiliation"
    house.activate(holder)
    assert cause() == "activation"


def test_another_patients_record_and_none_look_alike(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    house.holder()
    stranger = caller("patient")
    for patient_id in (holder.patient_id, new_id(), "x"):
        assert house.dossier.record_facts(stranger, patient_id=patient_id) == {"record": None}
    assert house.dossier.record_facts(house.agent, patient_id=new_id()) == {"record": None}
    assert not [trace for trace in house.traces("record.searched")
                if trace["record_id"] == record_id and trace["account_id"] == stranger.account_id]  # fmt: skip
    house.set_state(record_id, "deleted")
    assert house.dossier.record_facts(holder, patient_id=holder.patient_id) == {"record": None}


@pytest.mark.parametrize("capacity", ["professional", "machine"])
def test_nobody_else_is_told(house: DossierHouse, capacity: str) -> None:
    holder, _ = house.holder()
    who = house.professional() if capacity == "professional" else caller(capacity)
    assert isinstance(house.dossier.record_facts(who, patient_id=holder.patient_id), NotAllowed)
    trace = house.traces("record.searched")[-1]
    assert (trace["outcome"], trace["reason"], trace["record_id"]) == ("refused", "not_allowed", None)


def test_the_record_that_speaks_for_a_merged_patient_is_theirs(house: DossierHouse) -> None:
    survivor, record_id = house.holder()
    merged, _ = house.holder()
    assert survivor.patient_id and merged.patient_id
    house.hear("directory", PatientsMerged(
        merge_id=new_id(), survivor_id=survivor.patient_id, merged_id=merged.patient_id, at=rfc3339(now()),
    ))  # fmt: skip
    for who in (survivor, merged, house.agent):
        assert house.dossier.record_facts(who, patient_id=survivor.patient_id)["record"]["record_id"] == record_id
    assert house.dossier.record_facts(caller("patient"), patient_id=survivor.patient_id) == {"record": None}
