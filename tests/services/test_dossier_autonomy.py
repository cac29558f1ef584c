"""Autonomous minors over a real database: noted by a physician who may deposit, of a minor alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.dossier import models_desk
from tests.services.dossier_house import DossierHouse, refusal_code
from tests.services.dossier_twins import trust
from tests.services.entourage_house import Home


@pytest.fixture
def home(house: DossierHouse) -> Home:
    return Home(house)


def flag(home: Home, who: Any, minor: Any = True) -> Any:
    return home.dossier.flag_autonomous_minor(who, record_id=home.record, minor=minor)


def unflag(home: Home, who: Any) -> Any:
    return home.dossier.unflag_autonomous_minor(who, record_id=home.record)


def trusted(home: Home, profession: str) -> Any:
    who = home.house.professional(profession)
    trust(home.house, home.holder, home.record, who)
    return who


def test_a_physician_in_the_circle_notes_it_and_takes_it_back(home: Home) -> None:
    doctor = trusted(home, "physician")
    parent, _ = home.represented_by()
    assert not home.house.scope(doctor, home.record).autonomous_minor
    assert flag(home, doctor) == flag(home, doctor) == {"autonomous_minor": True}
    for who in (doctor, parent, home.holder):
        assert home.house.scope(who, home.record).autonomous_minor
    assert not home.house.scope(parent, home.record).may_see_withheld
    assert home.house.scope(home.holder, home.record).may_see_withheld
    assert len(home.house.rows(models_desk.Setting)) == 1  # twice the same is once
    assert unflag(home, doctor) == {"autonomous_minor": False}
    assert not home.house.scope(parent, home.record).autonomous_minor


@pytest.mark.parametrize("minor", [False, None, "yes"])
def test_an_adult_is_no_autonomous_minor_but_the_note_can_be_taken_back(home: Home, minor: Any) -> None:
    doctor = trusted(home, "physician")
    flag(home, doctor)
    assert refusal_code(flag(home, doctor, minor)) == "not_minor"
    assert unflag(home, doctor) == {"autonomous_minor": False}
    assert refusal_code(flag(home, doctor, minor)) == "not_minor"
    assert not home.house.scope(home.holder, home.record).autonomous_minor


@pytest.mark.parametrize("profession", ["nurse", "pharmacist", "midwife", "medical_biologist"])
def test_no_other_profession_notes_it(home: Home, profession: str) -> None:
    who = trusted(home, profession)
    assert refusal_code(flag(home, who)) == refusal_code(unflag(home, who)) == "not_allowed"


def test_neither_the_holder_side_nor_who_has_no_ground_notes_it(home: Home) -> None:
    parent, _ = home.represented_by()
    assistant, _ = home.assisted_by()
    barred = trusted(home, "physician")
    home.house.block(home.record, barred)
    for who, code in (
        (home.holder, "not_allowed"), (parent, "not_allowed"), (assistant, "not_allowed"),
        (home.house.professional(), "record_not_found"), (barred, "record_not_found"),
        (home.house.agent, "record_not_found"), (home.person(), "record_not_found"),
    ):  # fmt: skip
        assert refusal_code(flag(home, who)) == refusal_code(unflag(home, who)) == code
    assert not home.house.scope(home.holder, home.record).autonomous_minor


def test_a_ground_that_only_reads_is_not_enough_and_one_that_only_deposits_is(home: Home) -> None:
    doctor = home.house.professional()
    home.house.enter(doctor, home.record, home.house.code(home.record))
    home.house.age_mandates(home.record, timedelta(days=2))
    assert flag(home, doctor) == {"autonomous_minor": True}
    home.house.age_mandates(home.record, timedelta(days=20))
    assert refusal_code(unflag(home, doctor)) == "record_not_found"


def test_who_represents_sees_nothing_withheld_though_made_an_assistant_too_and_an_assistant_alone_does(
    home: Home,
) -> None:
    parent, representative_id = home.represented_by()
    for who in (parent, friend := home.person()):
        home.dossier.accept_invitation(who, code=home.invite(by=parent)["code"])
    assert home.grounds(parent) == ["legal_representative", "assistant"] and home.grounds(friend) == ["assistant"]
    assert not home.house.scope(parent, home.record).may_see_withheld
    assert home.house.scope(friend, home.record).may_see_withheld
    home.dossier.end_representative(home.house.agent, record_id=home.record, representative_id=representative_id)
    assert home.house.scope(parent, home.record).may_see_withheld


def test_who_represents_an_autonomous_minor_names_nobody_to_read_for_them_and_the_minor_does(home: Home) -> None:
    parent, _ = home.represented_by()
    doctor = trusted(home, "physician")
    flag(home, doctor)
    assert refusal_code(home.invite(by=parent)) == "not_allowed"
    assert "code" in home.invite(by=home.holder)
    unflag(home, doctor)
    assert "code" in home.invite(by=parent)


def test_every_answer_leaves_one_trace_with_the_ground_that_lets_deposit(home: Home) -> None:
    doctor = trusted(home, "physician")
    flag(home, doctor)
    flag(home, doctor, minor=False)
    unflag(home, doctor)
    told = [(each["outcome"], each["ground"], each["reason"], each["purpose"]) for each in home.house.traces()
            if each["action"] == "setting.changed"]  # fmt: skip
    assert told == [("allowed", "circle", None, "yes"), ("refused", None, "not_minor", None),
                    ("allowed", "circle", None, "no")]  # fmt: skip
