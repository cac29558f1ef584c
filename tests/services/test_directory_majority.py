"""Whether somebody is a minor, as directory tells it: to agents with the day, to professionals yes or no alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.directory.contract import PersonNotFound
from services.directory.models import Patient, Professional
from services.refusals import NotAllowed
from services.tokens import Caller
from tests.builders import House, any_matricule, caller

AGENT = caller("agent")
HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, services=("directory",))
    yield made
    made.close()


def born(house: House, birth_date: str) -> str:
    given = {"matricule": None, "birth_name": "Weber", "first_names": "Zoé", "sex": "F", "birth_date": birth_date,
             "language": "lb", "address": HOME}  # fmt: skip
    return str(house.ask("directory", "register_patient", AGENT, **given)["patient_id"])


def doctor(house: House, licence: str = "valid") -> Caller:
    made = house.ask(
        "directory", "register_professional", AGENT, matricule=any_matricule(), family_name="Schmit",
        first_name="Léa", profession="physician", specialities=[], establishment_ids=[], language="fr",
    )  # fmt: skip
    whose = made["professional_id"]
    with house.sessions["directory"].transaction() as session:
        session.execute(
            sa.update(Professional).values(licence=licence).where(Professional.professional_id == whose)
        )  # fmt: skip
    return caller("professional", professional_id=whose)


def majority(house: House, who: Caller, patient_id: str) -> Any:
    return house.ask("directory", "majority_of", who, patient_id=patient_id)


def test_an_agent_learns_when_somebody_comes_of_age(house: House) -> None:
    child, grown = born(house, f"{now().year - 5}-05-17"), born(house, "1980-05-17")
    assert majority(house, AGENT, child) == {
        "minor": True, "majority_at": f"{now().year + 13}-05-16T22:00:00.000000Z",
    }  # fmt: skip
    assert majority(house, AGENT, grown) == {"minor": False, "majority_at": "1998-05-16T22:00:00.000000Z"}


def test_a_professional_learns_yes_or_no(house: House) -> None:
    who = doctor(house)
    for year, minor in ((now().year - 5, True), (1980, False)):
        assert majority(house, who, born(house, f"{year}-05-17")) == {"minor": minor, "majority_at": None}


def test_nobody_else_learns_anything(house: House) -> None:
    patient_id = born(house, "1980-05-17")
    suspended = doctor(house, licence="suspended")
    unknown = caller("professional")
    for who in (caller("patient", patient_id=patient_id), suspended, unknown, caller("machine")):
        with pytest.raises(NotAllowed):
            majority(house, who, patient_id)


def test_who_was_merged_has_the_majority_of_who_speaks_for_them(house: House) -> None:
    child, twin = born(house, f"{now().year - 5}-05-17"), born(house, "1980-05-17")
    with house.sessions["directory"].transaction() as session:
        session.execute(sa.update(Patient).where(Patient.patient_id == twin).values(merged_into=child))
    assert majority(house, AGENT, twin)["minor"] is True


@pytest.mark.parametrize("wrong", [new_id(), "x", ""])
def test_who_is_not_known_is_not_known(house: House, wrong: str) -> None:
    with pytest.raises(PersonNotFound):
        majority(house, AGENT, wrong)


def test_every_answer_leaves_one_trace_without_a_date(house: House) -> None:
    patient_id = born(house, "1980-05-17")
    house.deliver()
    majority(house, AGENT, patient_id)
    [trace] = [event["data"] for event in house.events("directory") if event["type"] == "access_traced.v1"]
    assert (trace["action"], trace["object_id"], trace["purpose"]) == ("patient.read", patient_id, "majority")
    assert "1980-05" not in str(trace) and "1998-05" not in str(trace)  # a year alone, an identifier may hold by chance
