"""Sheets that may be one person's, over a real database: found when written, found after a load, told apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import Sessions, new_id, now, plumbing
from services.directory import duplicates_scan, store_duplicates
from services.directory.contract import DuplicateNotFound
from services.directory.models import Patient, PossibleDuplicate, metadata
from services.refusals import InvalidInput, NotAllowed
from services.tokens import Caller
from tests.builders import House, any_matricule, caller, context

HOME = {"line": "4, Rue des Tests", "postal_code": "1427", "locality": "Luxembourg", "country": "LU"}
AGENT = caller("agent")
NEARLY = {"birth_name": "Veber"}
STRANGER = {"birth_name": "Thill", "first_names": "Marc", "birth_date": "1953-11-28", "sex": "M"}


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory",))
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    """The house as it was on its first day."""
    with built.sessions["directory"].transaction() as session:
        for table in (*reversed(metadata.sorted_tables), *plumbing.sorted_tables):
            session.execute(table.delete())
    return built


def sessions(house: House) -> Sessions:
    return house.sessions["directory"]


def register(house: House, **changes: Any) -> str:
    sheet = {
        "matricule": any_matricule(), "birth_name": "Weber", "usual_name": None, "first_names": "Zoé Anne", "sex": "F",
        "birth_date": "1980-05-17", "language": "lb", "address": HOME, **changes,
    }  # fmt: skip
    return str(house.ask("directory", "register_patient", AGENT, **sheet)["patient_id"])


def loaded(house: House, **changes: Any) -> str:
    """A sheet as a load leaves it: nobody has looked for others of its kind."""
    patient_id = register(house, **changes)
    forget = sa.delete(PossibleDuplicate).where(
        sa.or_(PossibleDuplicate.one_id == patient_id, PossibleDuplicate.other_id == patient_id)
    )
    execute(house, forget)
    return patient_id


def execute(house: House, *statements: Any) -> None:
    with sessions(house).transaction() as session:
        for statement in statements:
            session.execute(statement)


def look(house: House, patient_id: str) -> None:
    """What registering and changing a sheet do at their end."""
    with sessions(house).transaction() as session:
        house.directory._look_for_duplicates(session, patient_id)


def noted(house: House) -> dict[tuple[str, str], tuple[int, str | None]]:
    with sessions(house).transaction() as session:
        pairs = session.scalars(sa.select(PossibleDuplicate)).all()
    return {(pair.one_id, pair.other_id): (pair.rate, pair.settled) for pair in pairs}


def pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def change(house: House, patient_id: str, **values: Any) -> None:
    execute(house, sa.update(Patient).where(Patient.patient_id == patient_id).values(**values))


def listed(house: House, who: Caller = AGENT, **page: Any) -> Any:
    return house.ask("directory", "possible_duplicates", who, **page)


def settle(house: House, one: str, other: str, who: Caller = AGENT, settled: str = "distinct") -> Any:
    return house.ask("directory", "settle_duplicate", who, one_id=one, other_id=other, settled=settled)


def traces(house: House, action: str) -> list[dict[str, Any]]:
    told = [event["data"] for event in house.events("directory") if event["type"] == "access_traced.v1"]
    return [trace for trace in told if trace["action"] == action]


# --- found when written -----------------------------------------------------------------------------------------------


def test_a_second_sheet_of_a_person_is_noted_beside_the_first_and_a_stranger_is_not(house: House) -> None:
    first, stranger, second = loaded(house), loaded(house, **STRANGER), loaded(house, **NEARLY)
    look(house, second)
    look(house, stranger)
    [(found, (rate, settled))] = noted(house).items()
    assert found == pair(first, second) and 78 <= rate < 100 and settled is None


def test_a_twin_is_not_noted(house: House) -> None:
    loaded(house)
    look(house, loaded(house, first_names="Lena"))
    assert noted(house) == {}


def test_looking_again_notes_nothing_twice(house: House) -> None:
    first, second = loaded(house), loaded(house, **NEARLY)
    for patient_id in (second, second, first):
        look(house, patient_id)
    assert set(noted(house)) == {pair(first, second)}


def test_a_pair_that_grows_more_alike_is_noted_so_and_one_no_longer_alike_goes(house: House) -> None:
    first, second = loaded(house), loaded(house, **NEARLY)
    look(house, second)
    before = noted(house)[pair(first, second)][0]
    change(house, second, birth_name="Weber")
    look(house, second)
    assert noted(house)[pair(first, second)][0] > before
    change(house, second, **{**STRANGER, "birth_date": "1953-11-28", "keys": []})
    look(house, second)
    assert noted(house) == {}


def test_a_pair_told_apart_stays_so_however_alike(house: House) -> None:
    first, second = loaded(house), loaded(house, **NEARLY)
    look(house, second)
    settle(house, first, second)
    before = noted(house)
    change(house, second, birth_name="Weber")
    look(house, second)
    assert noted(house) == before
    change(house, second, birth_name="Thill")
    look(house, second)
    assert noted(house) == before


def test_a_sheet_that_was_merged_is_beside_nobody(house: House) -> None:
    first, second, survivor = loaded(house), loaded(house, **NEARLY), loaded(house, **STRANGER)
    change(house, first, merged_into=survivor)
    look(house, second)
    look(house, first)
    assert noted(house) == {}


# --- found after a load -----------------------------------------------------------------------------------------------


def scan(house: House, at_once: int = 3) -> tuple[int, int]:
    batches = list(duplicates_scan.scan(sessions(house), at_once))
    return sum(sheets for sheets, _ in batches), sum(found for _, found in batches)


def waiting(house: House) -> int:
    with sessions(house).transaction() as session:
        return store_duplicates.uncompared(session)


def a_crowd(house: House) -> tuple[list[str], set[tuple[str, str]]]:
    born = {"Weber": "1980-05-17", "Thill": "1953-11-28", "Klein": "1999-02-03", "Kieffer": "1931-08-30",
            "Wagner": "2011-12-14"}  # fmt: skip
    firsts = [loaded(house, birth_name=name, birth_date=day) for name, day in born.items()]
    seconds = [loaded(house, birth_name=f"{name[0]}{name}", birth_date=day) for name, day in born.items()]
    return firsts + seconds, {pair(*both) for both in zip(firsts, seconds, strict=True)}


def test_the_scan_compares_each_waiting_sheet_once_and_finds_each_pair(house: House) -> None:
    everyone, pairs = a_crowd(house)
    assert waiting(house) == len(everyone) == 10
    assert scan(house) == (10, 5)
    assert set(noted(house)) == pairs
    assert waiting(house) == 0 and scan(house) == (0, 0)


def test_the_scan_finds_a_waiting_sheet_beside_one_compared_long_ago(house: House) -> None:
    earlier = loaded(house)
    later = loaded(house, **NEARLY)
    change(house, later, compared_at=now())
    assert scan(house) == (1, 1)
    assert set(noted(house)) == {pair(earlier, later)}


def test_the_scan_leaves_what_an_agent_has_said(house: House) -> None:
    first, second = loaded(house), loaded(house, **NEARLY)
    look(house, second)
    settle(house, first, second)
    before = noted(house)
    assert scan(house) == (2, 0)
    assert noted(house) == before


def test_a_scan_that_dies_leaves_whole_batches_and_goes_on_where_it_stopped(house: House) -> None:
    _, pairs = a_crowd(house)
    batches = duplicates_scan.scan(sessions(house), 4)
    assert next(batches)[0] == 4
    batches.close()
    assert waiting(house) == 6
    assert scan(house)[0] == 6
    assert set(noted(house)) == pairs


def test_a_scan_takes_nothing_that_another_holds_and_comes_back_for_it(house: House) -> None:
    everyone, pairs = a_crowd(house)
    with sessions(house).transaction() as session:
        held = store_duplicates.claim_uncompared(session, 4, None)
        with sessions(house).transaction() as other:
            free = store_duplicates.claim_uncompared(other, 10, None)
        taken = {sheet.patient_id for sheet in held}, {sheet.patient_id for sheet in free}
    assert taken[0] | taken[1] == set(everyone) and not taken[0] & taken[1]
    with ThreadPoolExecutor(2) as crew:
        done = [scanned.result() for scanned in [crew.submit(scan, house, 2) for _ in range(2)]]
    assert sum(sheets for sheets, _ in done) == 10
    assert set(noted(house)) == pairs


# --- looked at --------------------------------------------------------------------------------------------------------


def test_an_agent_sees_the_most_alike_first_page_by_page(house: House) -> None:
    sheets = [loaded(house, **STRANGER) for _ in range(6)]
    pairs = [pair(one, other) for one, other in zip(sheets[::2], sheets[1::2], strict=True)]
    rates = (81, 95, 81)
    execute(house, *(
        sa.insert(PossibleDuplicate).values(one_id=one, other_id=other, rate=rate, found_at=now())
        for (one, other), rate in zip(pairs, rates, strict=True)
    ))  # fmt: skip
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = listed(house, limit=1, cursor=cursor)
        seen += [(each["one"]["patient_id"], each["other"]["patient_id"]) for each in page["duplicates"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert seen == [pairs[1], *sorted([pairs[0], pairs[2]], reverse=True)] and pages == 3
    assert [trace["count"] for trace in traces(house, "duplicate.searched")] == [1, 1, 1]


def test_a_pair_shows_who_both_sheets_are_about(house: House) -> None:
    number = any_matricule()
    first, second = loaded(house, matricule=number), loaded(house, **NEARLY)
    look(house, second)
    [found] = listed(house)["duplicates"]
    one = next(found[side] for side in ("one", "other") if found[side]["patient_id"] == first)
    assert one == {
        "patient_id": first, "version": 1, "matricule": number, "birth_name": "Weber", "usual_name": None,
        "first_names": "Zoé Anne", "sex": "F", "birth_date": "1980-05-17", "birth_date_evidence": "unknown",
        "birth_place": None, "birth_country": None,
    }  # fmt: skip
    assert {found[side]["birth_name"] for side in ("one", "other")} == {"Weber", "Veber"}


def test_a_settled_pair_and_one_of_a_merged_sheet_are_not_listed(house: House) -> None:
    first, second, third = loaded(house), loaded(house, **NEARLY), loaded(house, birth_name="Wever")
    look(house, second)
    look(house, third)
    assert len(listed(house)["duplicates"]) == 3
    settle(house, first, second)
    assert len(listed(house)["duplicates"]) == 2
    change(house, third, merged_into=first)
    assert listed(house)["duplicates"] == []


@pytest.mark.parametrize("page", [{"limit": 0}, {"limit": 101}, {"cursor": "x"}, {"cursor": "WzgwXQ"}, {"cursor": 3}])
def test_a_page_out_of_bounds_and_a_cursor_of_others_are_refused(house: House, page: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        listed(house, **page)


def test_an_agent_tells_two_apart_once_in_either_order(house: House) -> None:
    first, second = loaded(house), loaded(house, **NEARLY)
    look(house, second)
    smaller, larger = pair(first, second)
    answer = settle(house, larger, smaller)
    assert answer == {"one_id": smaller, "other_id": larger, "settled": "distinct"}
    with sessions(house).transaction() as session:
        kept = session.scalars(sa.select(PossibleDuplicate)).one()
    assert (kept.settled, kept.settled_by) == ("distinct", AGENT.account_id) and kept.settled_at is not None
    other_agent = caller("agent")
    assert settle(house, smaller, larger, other_agent) == answer, "what is said already may be said again"
    with sessions(house).transaction() as session:
        assert session.scalars(sa.select(PossibleDuplicate)).one().settled_by == AGENT.account_id
    assert [trace["object_id"] for trace in traces(house, "duplicate.settled")] == [smaller, smaller]


def test_the_same_request_settles_once(house: House) -> None:
    first, second = loaded(house), loaded(house, **NEARLY)
    look(house, second)
    who = replace(AGENT, context=context(idempotency_key="k1"))
    assert settle(house, first, second, who) == settle(house, second, first, who)
    assert len(traces(house, "duplicate.settled")) == 1


def test_a_pair_nobody_noted_and_one_that_was_merged_cannot_be_told_apart(house: House) -> None:
    first, second, stranger = loaded(house), loaded(house, **NEARLY), loaded(house, **STRANGER)
    look(house, second)
    execute(house, sa.update(PossibleDuplicate).values(settled="merged", settled_at=now(), settled_by=new_id()))
    for other in (second, stranger, new_id()):
        with pytest.raises(DuplicateNotFound):
            settle(house, first, other)
    told = [(trace["outcome"], trace["reason"]) for trace in traces(house, "duplicate.settled")]
    assert told == [("refused", "duplicate_not_found")] * 3
    assert [settled for _, settled in noted(house).values()] == ["merged"]


@pytest.mark.parametrize(
    ("one", "other", "settled"),
    [
        ("x", new_id(), "distinct"),
        (new_id(), None, "distinct"),
        (new_id(), new_id(), "merged"),
        (AGENT.account_id,) * 3,
    ],
)
def test_a_settlement_that_makes_no_sense_is_refused(house: House, one: Any, other: Any, settled: str) -> None:
    with pytest.raises(InvalidInput):
        settle(house, one, other, settled=settled)


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
def test_nobody_but_agents_sees_or_settles_pairs(house: House, capacity: str) -> None:
    first, second = loaded(house), loaded(house, **NEARLY)
    look(house, second)
    with pytest.raises(NotAllowed):
        listed(house, caller(capacity))
    with pytest.raises(NotAllowed):
        settle(house, first, second, caller(capacity))
    assert [settled for _, settled in noted(house).values()] == [None]
    for action in ("duplicate.searched", "duplicate.settled"):
        assert [trace["reason"] for trace in traces(house, action)] == ["not_allowed"]
    assert "Weber" not in json.dumps(house.events("directory"))
