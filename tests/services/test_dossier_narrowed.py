"""dossier says when less of a record is open to somebody, for those who told them of what is in it; never to whom."""

from __future__ import annotations

from typing import Any

import pytest

from services.db import new_id
from services.directory.contract import ProfessionalUpdated
from services.tokens import Caller
from tests.services.dossier_house import RISK, DossierHouse


def narrowed(house: DossierHouse) -> list[str]:
    return [told["record_id"] for told in house.events("access_narrowed.v1")]


def test_a_block_is_told_as_less_access_once_and_names_nobody(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    for _ in range(2):
        house.dossier.block_professional(
            holder, record_id=record_id, professional_id=doctor.professional_id, **RISK
        )  # fmt: skip
    [told] = [each for each in house.events("access_narrowed.v1") if each["record_id"] == record_id]
    assert set(told) == {"record_id", "at"}
    house.dossier.unblock_professional(holder, record_id=record_id, professional_id=doctor.professional_id)
    assert narrowed(house).count(record_id) == 1


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("emergency", "refused", 1), ("responsibility", "refused", 1), ("default_level", "confidential", 0)],
)
def test_a_setting_on_which_a_ground_depends_is_told_of_as_it_changes_and_no_other(
    house: DossierHouse, name: str, value: str, told: int
) -> None:
    holder, record_id = house.holder()
    for _ in range(2):
        answer: Any = house.dossier.change_setting(holder, record_id=record_id, name=name, value=value, **RISK)
        assert not hasattr(answer, "code"), answer
    assert narrowed(house).count(record_id) == told


def said_of(house: DossierHouse, who: Caller, version: int, **changes: Any) -> None:
    facts = {"profession": "physician", "licence": "valid", "establishment_ids": [who.establishment_id or ""]} | changes
    house.hear("directory", ProfessionalUpdated(who.professional_id or "", version=version, **facts))


def practice_changes(house: DossierHouse, who: Caller) -> int:
    told = house.events("practice_changed.v1")
    return [each["professional_id"] for each in told].count(who.professional_id)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, 0),
        ({"licence": "suspended"}, 1),
        ({"licence": "withdrawn"}, 1),
        ({"profession": "nurse"}, 1),
        ({"establishment_ids": []}, 1),
        ({"establishment_ids": [new_id()]}, 1),
    ],
)
def test_a_professional_who_can_do_less_than_before_is_told_of(
    house: DossierHouse, changes: dict[str, Any], told: int
) -> None:
    doctor = house.professional()
    said_of(house, doctor, 2, **changes)
    assert practice_changes(house, doctor) == told
    said_of(house, doctor, 2, **changes)
    assert practice_changes(house, doctor) == told


def test_a_further_workplace_a_licence_that_comes_back_and_an_old_version_are_no_less(house: DossierHouse) -> None:
    doctor = house.professional()
    said_of(house, doctor, 2, establishment_ids=[doctor.establishment_id, new_id()])
    assert practice_changes(house, doctor) == 0
    said_of(house, doctor, 3, licence="suspended")
    said_of(house, doctor, 4)
    assert practice_changes(house, doctor) == 1
    said_of(house, doctor, 1, establishment_ids=[])
    assert practice_changes(house, doctor) == 1
