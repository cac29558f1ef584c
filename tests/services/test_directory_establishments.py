"""Establishments over a real database: found, read, changed, and closed with all who work there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.directory.contract import EstablishmentClosed, EstablishmentNotFound
from services.directory.models import Workplace
from services.refusals import InvalidInput, Refusal
from tests.builders import House, caller, context
from tests.services.care_house import AGENT, ESCH, HOME, Care

PATIENT = caller("patient")


@pytest.fixture(scope="module")
def care(database: Callable[[str], str]) -> Iterator[Care]:
    house = House(database, services=("directory",))
    yield Care(house)
    house.close()


def names(care: Care, query: str, **narrowed: Any) -> list[str]:
    page = care.ask("search_establishments", PATIENT, query=query, **narrowed)
    return [each["name"] for each in page["organisations"]]


# --- finding and reading ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed(care: Care) -> None:
    care.establishment("Maison Kneipp", address=ESCH)
    care.establishment("Zentrum Kneipp", "hospital", address=HOME)
    care.establishment("Bei der Müllewee", "pharmacy", address=HOME)
    care.establishment("Kneipp's Labo", "laboratory")


@pytest.mark.parametrize(
    ("query", "narrowed", "expected"),
    [
        ("kneipp", {}, ["Kneipp's Labo", "Maison Kneipp", "Zentrum Kneipp"]),
        ("KNEI", {"kind": "hospital"}, ["Zentrum Kneipp"]),
        ("kneipp spidol", {}, ["Zentrum Kneipp"]),
        ("Krankenhaus kneipp", {}, ["Zentrum Kneipp"]),
        ("kneipp hôpital", {}, ["Zentrum Kneipp"]),
        ("apdikt", {}, ["Bei der Müllewee"]),
        ("muelle", {}, ["Bei der Müllewee"]),
        ("farmacia mull", {}, ["Bei der Müllewee"]),
        ("kneipp esch", {}, ["Maison Kneipp"]),
        ("kneipp", {"locality": "ESCH SUR ALZETTE"}, ["Maison Kneipp"]),
        ("kneipp", {"locality": "Esch"}, []),
        ("neipp", {}, []),
    ],
)
def test_establishments_are_found_by_name_kind_and_place(
    care: Care, listed: None, query: str, narrowed: dict[str, Any], expected: list[str]
) -> None:
    assert names(care, query, **narrowed) == expected


def test_pages_of_establishments_follow_one_another(care: Care) -> None:
    made = [care.establishment(f"Seiten {letter}") for letter in "AABCD"]
    seen: list[str] = []
    cursor = None
    while True:
        page = care.ask("search_establishments", query="seiten", limit=2, cursor=cursor)
        seen += [each["establishment_id"] for each in page["organisations"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen[:2]) == sorted(made[:2]) and seen[2:] == made[2:]


@pytest.mark.parametrize("given", [{"query": "ab"}, {"query": "kneipp", "kind": "shop"}, {"query": "abc", "limit": 0}])
def test_what_is_no_search_lists_nothing(care: Care, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        care.ask("search_establishments", PATIENT, **given)


def test_anybody_reads_an_establishment_and_it_is_traced(care: Care) -> None:
    place = care.establishment("Cabinet Lisant", address=HOME)
    seen = care.ask("read_establishment", PATIENT, establishment_id=place)
    assert seen == {
        "establishment_id": place, "name": "Cabinet Lisant", "kind": "practice", "address": HOME, "closed_at": None,
    }  # fmt: skip
    assert care.traces("establishment.read", place) == [("allowed", None, None)]
    nobody = new_id()
    with pytest.raises(EstablishmentNotFound):
        care.ask("read_establishment", PATIENT, establishment_id=nobody)
    assert care.traces("establishment.read", nobody) == [("refused", "establishment_not_found", None)]


@pytest.mark.parametrize("address", [{}, {**HOME, "country": "Luxembourg"}, {**HOME, "line": ""}, "Luxembourg"])
def test_an_address_is_whole_or_there_is_none(care: Care, address: Any) -> None:
    with pytest.raises(InvalidInput):
        care.establishment("Cabinet", address=address)
    assert care.ask("read_establishment", establishment_id=care.establishment(address=None))["address"] is None


# --- changing ---------------------------------------------------------------------------------------------------------


def test_a_change_of_name_or_address_is_found_at_once(care: Care) -> None:
    place = care.establishment("Cabinet Vorher", address=HOME)
    seen = care.ask("change_establishment", establishment_id=place, changes={"name": "Cabinet Nachher"})
    assert (seen["name"], seen["address"]) == ("Cabinet Nachher", HOME)
    assert (names(care, "vorher"), names(care, "nachher", locality="luxembourg")) == ([], ["Cabinet Nachher"])
    seen = care.ask("change_establishment", establishment_id=place, changes={"address": None})
    assert seen == care.ask("read_establishment", establishment_id=place)
    assert (seen["name"], seen["address"], names(care, "nachher", locality="luxembourg")) == (
        "Cabinet Nachher",
        None,
        [],
    )
    assert care.traces("establishment.changed", place) == [("allowed", None, None)] * 2


@pytest.mark.parametrize("changes", [{}, {"kind": "hospital"}, {"name": ""}, {"name": None}, {"closed_at": None}])
def test_nothing_else_of_it_is_changed(care: Care, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        care.ask("change_establishment", establishment_id=care.establishment(), changes=changes)


# --- closing ----------------------------------------------------------------------------------------------------------


def test_closing_ends_the_work_of_all_and_tells_each_once(care: Care) -> None:
    place, other = care.establishment("Clinique Endend", "hospital"), care.establishment()
    here = [care.professional(establishment_ids=[place, other]) for _ in range(5)]
    gone = care.professional(establishment_ids=[place])
    care.ask("end_work", professional_id=gone, establishment_id=place)
    elsewhere = care.professional(establishment_ids=[other])
    closed = care.ask("close_establishment", establishment_id=place)
    assert closed["closed_at"].endswith("Z")
    for whose in here:
        assert [(one["version"], one["establishment_ids"]) for one in care.told(whose)] == [
            (1, sorted([place, other])), (2, [other]),
        ]  # fmt: skip
    assert (len(care.told(gone)), len(care.told(elsewhere))) == (2, 1)
    assert care.ask("close_establishment", establishment_id=place) == closed, "closed once, and not anew"
    assert len(care.told(here[0])) == 2
    assert names(care, "endend") == []
    assert care.ask("read_establishment", PATIENT, establishment_id=place) == closed
    assert care.ask("professionals_at", PATIENT, establishment_id=place)["professionals"] == []
    with pytest.raises(EstablishmentClosed):
        care.ask("change_establishment", establishment_id=place, changes={"name": "Offen"})


def test_closing_takes_as_many_statements_for_many_as_for_one(care: Care) -> None:
    counts = []
    engine = care.house.sessions["directory"].engine
    for many in (1, 12):
        place = care.establishment("Maison", "care_network")
        for _ in range(many):
            care.professional(establishment_ids=[place])
        said: list[str] = []
        listen = lambda _c, _k, statement, *_, into=said: into.append(statement)  # noqa: E731
        sa.event.listen(engine, "before_cursor_execute", listen)
        care.ask("close_establishment", establishment_id=place)
        sa.event.remove(engine, "before_cursor_execute", listen)
        # each event takes the next number of its own subject
        counts.append(len([each for each in said if "outbox_subjects" not in each]))
    assert counts[0] == counts[1]


def test_nobody_is_left_working_in_a_place_that_closes_meanwhile(care: Care) -> None:
    for _ in range(3):
        place = care.establishment()
        people = [care.professional() for _ in range(6)]

        def begin(whose: str, there: str = place) -> None:
            try:
                care.ask("start_work", professional_id=whose, establishment_id=there)
            except EstablishmentClosed:
                pass

        with ThreadPoolExecutor(7) as pool:
            waiting = [pool.submit(begin, whose) for whose in people[:3]]
            waiting.append(pool.submit(care.ask, "close_establishment", establishment_id=place))
            waiting += [pool.submit(begin, whose) for whose in people[3:]]
            for each in waiting:
                each.result()
        with care.house.sessions["directory"].transaction() as session:
            left = sa.select(Workplace).where(Workplace.establishment_id == place, Workplace.until.is_(None))
            assert session.scalars(left).all() == []
        for whose in people:
            told = care.told(whose)
            assert [one["version"] for one in told] == list(range(1, len(told) + 1))
            assert told[-1]["establishment_ids"] == []


def test_two_places_that_share_their_people_close_at_one_moment(care: Care) -> None:
    for _ in range(3):
        places = [care.establishment() for _ in range(2)]
        people = [care.professional(establishment_ids=places) for _ in range(6)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda place: care.ask("close_establishment", establishment_id=place), places))
        for whose in people:
            assert [one["version"] for one in care.told(whose)] == [1, 2, 3]
            assert care.told(whose)[-1]["establishment_ids"] == []


def test_closing_repeated_under_its_key_gives_the_first_answer(care: Care) -> None:
    place = care.establishment()
    who = replace(AGENT, context=context(idempotency_key=f"close-{time.time_ns()}"))
    first = care.ask("close_establishment", who, establishment_id=place)
    assert care.ask("close_establishment", who, establishment_id=place) == first
    with pytest.raises(Refusal) as reused:
        care.ask("close_establishment", who, establishment_id=care.establishment())
    assert reused.value.code == "idempotency_key_reused"
