"""That a mandate is going to end is told some days before: once of each end it has, and never of one ended before."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import now
from services.dossier import mandates, models, tables
from services.tokens import Caller
from tests.services.dossier_house import DossierHouse
from tests.services.dossier_twins import Pair

DAY = timedelta(days=1)


@pytest.fixture
def software(house: DossierHouse) -> Caller:
    return house.software(house.professional("nurse"))


def admit(house: DossierHouse, software: Caller, record_id: str, kind: str = "admission") -> dict[str, str]:
    stay = house.dossier.register_stay(software, record_id=record_id, kind=kind, reference="S-1")
    return {"record_id": record_id, "mandate_id": stay["mandate_id"]}


def warned(house: DossierHouse, after: timedelta = timedelta(0)) -> list[str]:
    """The mandates of whose end was told in a sweep so long from now, by all sweeps so far."""
    house.dossier._warn_of_ends(now() + after)
    return [event["mandate_id"] for event in house.events("mandate_ending.v1")]


def test_the_end_of_a_stay_is_told_a_week_before_and_no_sooner(house: DossierHouse, software: Caller) -> None:
    _, record_id = house.holder()
    stay = admit(house, software, record_id)
    assert warned(house, 53 * DAY - timedelta(minutes=1)) == []
    assert warned(house, 53 * DAY) == [stay["mandate_id"]]
    [event] = house.events("mandate_ending.v1")
    [row] = house.rows(models.Mandate)
    assert datetime.fromisoformat(event.pop("ends_at")) == row.deposit_until
    assert event == {
        "record_id": record_id, "mandate_id": stay["mandate_id"], "professional_id": None, "kind": "admission",
        "establishment_id": software.establishment_id,
    }  # fmt: skip


def test_it_is_told_once_however_often_it_is_looked_for(house: DossierHouse, software: Caller) -> None:
    _, record_id = house.holder()
    stay = admit(house, software, record_id)
    for days in (53, 54, 59, 60, 70):
        assert warned(house, days * DAY) == [stay["mandate_id"]], days


def test_what_is_over_when_nobody_looked_in_time_is_not_announced(house: DossierHouse, software: Caller) -> None:
    _, record_id = house.holder()
    admit(house, software, record_id)
    assert warned(house, 60 * DAY + timedelta(seconds=1)) == []


def test_a_prolonged_stay_is_told_of_again_before_its_new_end(house: DossierHouse, software: Caller) -> None:
    _, record_id = house.holder()
    stay = admit(house, software, record_id)
    assert len(warned(house, 55 * DAY)) == 1
    house.dossier.prolong_stay(software, **stay, days=20)
    assert len(warned(house, 59 * DAY)) == 1, "its end is far again"
    assert warned(house, 74 * DAY) == [stay["mandate_id"]] * 2
    told = [event["ends_at"] for event in house.events("mandate_ending.v1")]
    assert datetime.fromisoformat(told[1]) - datetime.fromisoformat(told[0]) == 20 * DAY


def test_one_prolonged_before_it_was_told_is_told_of_its_new_end_alone(house: DossierHouse, software: Caller) -> None:
    _, record_id = house.holder()
    stay = admit(house, software, record_id)
    house.dossier.prolong_stay(software, **stay, days=20)
    assert warned(house, 55 * DAY) == []
    assert warned(house, 74 * DAY) == [stay["mandate_id"]]


def test_of_one_that_its_holder_ended_nothing_is_told_and_of_its_twin_it_is(
    house: DossierHouse, software: Caller
) -> None:
    holder, record_id = house.holder()
    _, other = house.holder()
    house.dossier.end_mandate(holder, **admit(house, software, record_id))
    running = admit(house, software, other)
    assert warned(house, 55 * DAY) == [running["mandate_id"]]


@pytest.mark.parametrize("days", [1, 14])
def test_a_stay_that_ends_soon_after_it_began_is_not_worth_a_word(
    house: DossierHouse, software: Caller, days: int
) -> None:
    """Discharged after so many days it lasts 15 more; one of 15 days or more is told of."""
    _, record_id = house.holder()
    stay = admit(house, software, record_id)
    house.age_mandates(record_id, days * DAY)
    house.dossier.discharge_patient(software, **stay)
    assert warned(house, 10 * DAY) == []
    _, longer = house.holder()
    other = admit(house, software, longer)
    house.age_mandates(longer, 16 * DAY)
    house.dossier.discharge_patient(software, **other)
    assert warned(house, 10 * DAY) == [other["mandate_id"]]


def test_short_kinds_are_announced_to_nobody_and_an_order_is(house: DossierHouse, software: Caller) -> None:
    _, record_id = house.holder()
    house.enter(house.professional(), record_id, house.code(record_id))
    admit(house, software, record_id, "hospital_emergency")
    order = house.dossier.register_order(software, record_id=record_id, reference="L-1")
    for days in (0, 1, 9, 14, 15, 350):
        assert warned(house, days * DAY) == [], days
    assert warned(house, 351 * DAY) == [order["mandate_id"]]


@pytest.mark.parametrize("state", ["closed", "deleted", "requested"])
def test_in_a_record_that_opens_to_nobody_nothing_is_announced_until_it_does_again(
    house: DossierHouse, software: Caller, state: str
) -> None:
    _, record_id = house.holder()
    stay = admit(house, software, record_id)
    house.set_state(record_id, state)
    assert warned(house, 54 * DAY) == []
    house.set_state(record_id, "active")
    assert warned(house, 56 * DAY) == [stay["mandate_id"]]


def test_killed_before_the_commit_it_is_told_by_the_next_and_once(
    house: DossierHouse, software: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [admit(house, software, house.holder()[1])["mandate_id"] for _ in range(3)]
    emit, told = mandates.emit, 0

    def dies(*args: Any) -> Any:
        nonlocal told
        told += 1
        if told == 3:
            raise KeyboardInterrupt
        return emit(*args)

    monkeypatch.setattr(mandates, "emit", dies)
    with pytest.raises(KeyboardInterrupt):
        house.dossier._warn_of_ends(now() + 54 * DAY)
    assert house.events("mandate_ending.v1") == []
    monkeypatch.setattr(mandates, "emit", emit)
    assert sorted(warned(house, 54 * DAY)) == sorted(several)


def test_replicas_that_look_at_once_tell_each_end_once(
    house: DossierHouse, software: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mandates, "WARNED_AT_ONCE", 3)
    several = [admit(house, software, house.holder()[1])["mandate_id"] for _ in range(10)]
    at = now() + 54 * DAY
    with ThreadPoolExecutor(4) as replicas:
        counts = list(replicas.map(lambda _: house.dossier._warn_of_ends(at), range(4)))
    assert sum(counts) + house.dossier._warn_of_ends(at) == 10
    assert sorted(event["mandate_id"] for event in house.events("mandate_ending.v1")) == sorted(several)


def test_one_that_is_being_changed_is_left_for_later_and_holds_up_no_other(
    house: DossierHouse, software: Caller
) -> None:
    held, free = (admit(house, software, house.holder()[1]) for _ in range(2))
    with house.sessions.transaction() as session:
        session.execute(
            sa.select(models.Record.record_id).where(models.Record.record_id == held["record_id"])
            .with_for_update(key_share=True)
        )  # fmt: skip
        assert warned(house, 54 * DAY) == [free["mandate_id"]]
    assert warned(house, 54 * DAY) == [free["mandate_id"], held["mandate_id"]]


def test_many_are_noted_with_one_statement_for_each_batch(house: DossierHouse, software: Caller) -> None:
    for _ in range(5):
        admit(house, software, house.holder()[1])
    with house.statements() as seen:
        house.dossier._warn_of_ends(now() + 54 * DAY)
    assert len([one for one in seen if "warned_of" in one]) == 1


# --- records that were merged -----------------------------------------------------------------------------------------


def test_a_stay_that_came_along_is_told_where_it_is_by_how_long_it_lasts_in_all(
    house: DossierHouse, software: Caller
) -> None:
    pair = Pair(house)
    stay = admit(house, software, pair.other)
    house.age_mandates(pair.other, 40 * DAY)
    pair.merge()
    told = warned(house, 14 * DAY)
    assert len(told) == 1 and told != [stay["mandate_id"]]
    assert house.events("mandate_ending.v1")[0]["record_id"] == pair.record


def test_what_was_told_before_the_merge_is_not_told_again_after_it(house: DossierHouse, software: Caller) -> None:
    pair = Pair(house)
    stay = admit(house, software, pair.other)
    assert warned(house, 54 * DAY) == [stay["mandate_id"]]
    pair.merge()
    assert warned(house, 55 * DAY) == [stay["mandate_id"]]


# --- the table --------------------------------------------------------------------------------------------------------


def test_the_table_says_of_which_kinds_and_how_long_before(house: DossierHouse) -> None:
    found = {one.kind: (one.before, one.lives) for one in tables.tables_at(now()).mandate_warnings}
    assert found == {"admission": (7 * DAY, 30 * DAY), "order": (14 * DAY, 90 * DAY)}


@pytest.mark.parametrize(
    "rows", ["flying,7,30", "admission,0,30", "admission,-1,30", "admission,30,30", "admission,7,30\nadmission,5,30"]
)
def test_a_table_that_warns_of_nothing_there_is_stops_the_process(tmp_path: Path, rows: str) -> None:
    folder = tmp_path / "2026-2"
    shutil.copytree(Path(tables.__file__).parent / "versions" / "2026-1", folder)
    assert len(tables.load(folder, "2026-2").mandate_warnings) == 2
    (folder / "mandate_warnings.csv").write_text("kind,days_before,lives_days\n" + rows + "\n")
    with pytest.raises(ValueError, match="mandate_warnings"):
        tables.load(folder, "2026-2")
