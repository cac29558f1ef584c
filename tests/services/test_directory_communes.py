"""Patients by commune: by the name of their locality, by their postal code where it tells, and each person once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from services.directory.communes import places
from services.refusals import InvalidInput, NotAllowed
from tests.builders import House, any_matricule, birth_date, caller, context

AGENT = caller("agent")


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory",))
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    with built.sessions["directory"].transaction() as session:
        session.execute(sa.text("truncate patients cascade"))
    return built


def resident(house: House, locality: str, postal_code: str, country: str = "LU") -> str:
    number = any_matricule()
    sheet = house.ask(
        "directory", "register_patient", AGENT, matricule=number, birth_name="Weber", first_names="Léa", sex="F",
        birth_date=birth_date(number), language="fr",
        address={"line": "1, rue X", "postal_code": postal_code, "locality": locality, "country": country},
    )  # fmt: skip
    return str(sheet["patient_id"])


def counted(house: House, process: str = "audit", **asked: Any) -> dict[str, int]:
    answer = house.ask("directory", "patients_by_commune", context(process), process=process, **asked)
    return dict(answer["communes"])


@pytest.mark.parametrize(("locality", "postal_code", "country", "commune"), [
    ("Luxembourg", "L-1219", "LU", "Luxembourg"),  # Howald has codes of the same kind
    ("Howald", "L-1219", "LU", "Hesperange"),
    ("  soleuvre ", "L-4430", "LU", "Sanem"),
    ("Rédange (Attert)", "L-8508", "LU", "Redange-sur-Attert"),  # as nobody wrote it before, but the code tells
    ("RUMELANGE", "3720", "LU", "Rumelange"),
    ("Strasen", "L-8050", "LU", "unknown"),  # misspelt, and the code may be Bertrange's too
    ("Nirgendwo", "L-0001", "LU", "unknown"),
    ("Trier", "54290", "DE", "abroad"),
    ("Mersch", "7500", "BE", "abroad"),
])  # fmt: skip
def test_an_address_is_in_one_commune_or_in_none_that_is_known(
    house: House, locality: str, postal_code: str, country: str, commune: str
) -> None:
    patient_id = resident(house, locality, postal_code, country)
    assert counted(house) == {commune: 1} == counted(house, patient_ids=[patient_id])


def test_everybody_is_counted_or_those_who_are_asked_for_and_nobody_else(house: House) -> None:
    ids = [resident(house, "Mersch", "L-7500") for _ in range(3)] + [resident(house, "Wiltz", "L-9500")]
    assert counted(house) == {"Mersch": 3, "Wiltz": 1}
    assert counted(house, patient_ids=[ids[0], ids[3], ids[0]]) == {"Mersch": 1, "Wiltz": 1}
    assert counted(house, patient_ids=["0198c0de-0000-7000-8000-000000000001", "nobody"]) == {}
    assert counted(house, patient_ids=[]) == {}


def test_two_sheets_of_one_person_are_one_where_the_person_lives(house: House) -> None:
    survivor, merged = resident(house, "Mersch", "L-7500"), resident(house, "Wiltz", "L-9500")
    house.ask("directory", "merge_patients", AGENT, survivor_id=survivor, merged_id=merged, reason="other")
    assert counted(house) == {"Mersch": 1}
    assert counted(house, patient_ids=[merged]) == {"Mersch": 1} == counted(house, patient_ids=[merged, survivor])


@pytest.mark.parametrize("process", ["gateway", "documents", "dossier", "notifications", "identity"])
def test_audit_alone_asks(house: House, process: str) -> None:
    with pytest.raises(NotAllowed):
        counted(house, process)


def test_more_than_a_page_of_patients_is_refused(house: House) -> None:
    with pytest.raises(InvalidInput):
        counted(house, patient_ids=["x"] * 1001)


def test_the_list_names_the_hundred_communes_and_no_locality_twice() -> None:
    found = places()
    assert len({place.commune for place in found}) == 100
    assert len({place.locality for place in found}) == len(found)
    assert {place.commune.lower() for place in found} <= {place.locality for place in found}
    for place in found:
        assert place.locality == place.locality.strip().lower()
        assert (place.first_code, place.last_code) == (0, 0) or 1000 <= place.first_code <= place.last_code <= 9999
