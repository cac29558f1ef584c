"""Professionals over a real database: found, narrowed, paged, read by whom, changed, at work here and there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.directory.contract import EstablishmentClosed, EstablishmentNotFound, PersonNotFound
from services.refusals import ChangedMeanwhile, InvalidInput, NotAllowed
from services.tokens import Caller
from tests.builders import House, any_matricule, caller, context
from tests.services.care_house import AGENT, ESCH, HOME, Care

PATIENT = caller("patient")


@pytest.fixture(scope="module")
def care(database: Callable[[str], str]) -> Iterator[Care]:
    house = House(database, services=("directory",))
    yield Care(house)
    house.close()


@pytest.fixture
def name() -> str:
    """A family name nobody else of this file has, in letters that no profession begins with."""
    return "Zz" + "".join("ghijklmnop"[int(digit)] for digit in str(int(new_id()[-8:], 16)))


# --- searching --------------------------------------------------------------------------------------------------------


def test_who_is_found_comes_with_licence_and_each_workplace(care: Care, name: str) -> None:
    practice = care.establishment(f"A {name}", address=ESCH)
    hospital = care.establishment(f"B {name}", "hospital")
    whose = care.professional(family_name=name, establishment_ids=[hospital, practice])
    care.ask("set_licence", professional_id=whose, licence="suspended")
    [found] = care.ask("search_professionals", PATIENT, query=name)["professionals"]
    assert found == {
        "professional_id": whose, "family_name": name, "first_name": "Léa", "profession": "physician",
        "specialities": [], "licence": "suspended",
        "establishments": [
            {"establishment_id": practice, "name": f"A {name}", "kind": "practice", "locality": "Esch-sur-Alzette"},
            {"establishment_id": hospital, "name": f"B {name}", "kind": "hospital", "locality": None},
        ],
    }  # fmt: skip


def test_a_search_is_one_statement_whoever_is_found(care: Care, name: str) -> None:
    for first_name in ("Anne", "Berthe", "Claire"):
        place = care.establishment()
        care.professional(family_name=name, first_name=first_name, establishment_ids=[place])
    said: list[str] = []
    engine = care.house.sessions["directory"].engine
    listen = lambda _c, _k, statement, *_: said.append(statement)  # noqa: E731
    sa.event.listen(engine, "before_cursor_execute", listen)
    assert len(care.found(name)) == 3
    sa.event.remove(engine, "before_cursor_execute", listen)
    assert len(said) == 2, "the search with its begin, commit"


NARROWED: tuple[tuple[dict[str, Any], set[str]], ...] = (
    ({}, {"anne", "berthe", "claire"}),
    ({"profession": "nurse"}, {"berthe", "claire"}),
    ({"profession": "midwife"}, set()),
    ({"speciality": "diabetologie"}, {"berthe"}),
    ({"speciality": "Diabéto"}, set()),
    ({"speciality": "SOINS A DOMICILE"}, {"claire"}),
    ({"locality": "esch sur alzette"}, {"anne", "claire"}),
    ({"locality": "Esch"}, set()),
    ({"locality": "Luxembourg", "profession": "nurse"}, {"berthe"}),
)


@pytest.mark.parametrize(("narrowed", "expected"), NARROWED)
def test_a_search_is_narrowed(care: Care, name: str, narrowed: dict[str, Any], expected: set[str]) -> None:
    esch, town = care.establishment(address=ESCH), care.establishment(kind="hospital", address=HOME)
    given: dict[str, dict[str, Any]] = {
        "anne": {"establishment_ids": [esch]},
        "berthe": {"profession": "nurse", "specialities": ["Diabétologie"], "establishment_ids": [town]},
        "claire": {"profession": "nurse", "specialities": ["Soins à domicile"], "establishment_ids": [esch, town]},
    }
    ids = {care.professional(family_name=name, first_name=first, **more): first for first, more in given.items()}
    left = next(whose for whose, first in ids.items() if first == "claire")
    care.ask("end_work", professional_id=left, establishment_id=town)
    assert {ids[each] for each in care.found(name, **narrowed)} == expected
    at_esch = {ids[each] for each in care.found(name, **narrowed, establishment_id=esch)}
    assert at_esch == expected & {"anne", "claire"}
    assert care.found(name, **narrowed, establishment_id=new_id()) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 50])
def test_pages_follow_one_another_without_gap_or_double(care: Care, name: str, limit: int) -> None:
    """Some are found by their name, others by a speciality of that name: the first come first, each group in order."""
    made = [care.professional(family_name=name, first_name=first) for first in ("Anne", "Berthe", "Berthe", "Zoé")]
    made += [care.professional(first_name=first, specialities=[f"{name} x"]) for first in ("Anne", "Berthe", "Zoé")]
    whole = care.found(name)
    assert sorted(whole) == sorted(made) and set(whole[:4]) == set(made[:4]) and whole[4:] == made[4:]
    seen: list[str] = []
    cursor = None
    while True:
        page = care.ask("search_professionals", query=name, limit=limit, cursor=cursor)
        seen += [each["professional_id"] for each in page["professionals"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["professionals"]) == limit
    assert seen == whole


def test_a_page_goes_on_though_who_ended_the_one_before_is_found_no_more(care: Care, name: str) -> None:
    made = [care.professional(family_name=name, first_name=first) for first in ("Anne", "Berthe", "Claire")]
    page = care.ask("search_professionals", query=name, limit=2)
    care.ask("set_licence", professional_id=made[1], licence="withdrawn")
    assert care.found(name, cursor=page["next_cursor"]) == made[2:]
    assert care.found(name, cursor=new_id()) == []
    with pytest.raises(InvalidInput):
        care.found(name, cursor="2")


def test_who_left_a_place_and_who_lost_the_licence_is_not_among_those_who_work_there(care: Care) -> None:
    place = care.establishment()
    made = [care.professional(family_name=each, establishment_ids=[place]) for each in ("Ahr", "Bech", "Clees", "Dhur")]
    care.ask("end_work", professional_id=made[1], establishment_id=place)
    care.ask("set_licence", professional_id=made[2], licence="withdrawn")
    page = care.ask("professionals_at", PATIENT, establishment_id=place, limit=1)
    assert [each["professional_id"] for each in page["professionals"]] == made[:1]
    page = care.ask("professionals_at", PATIENT, establishment_id=place, limit=1, cursor=page["next_cursor"])
    assert [each["professional_id"] for each in page["professionals"]] == made[3:]
    assert page["next_cursor"] is None
    assert care.traces("establishment.read", place) == [("allowed", None, None)] * 2
    with pytest.raises(EstablishmentNotFound):
        care.ask("professionals_at", PATIENT, establishment_id=new_id())


# --- reading ----------------------------------------------------------------------------------------------------------

ANYBODY = [
    caller("patient"), caller("professional"), caller("machine", scope="system/Practitioner.rs", client_id=new_id()),
]  # fmt: skip


@pytest.mark.parametrize("who", ANYBODY, ids=lambda who: who.capacity)
def test_anybody_reads_what_is_and_an_agent_what_was(care: Care, who: Caller) -> None:
    here, there = care.establishment("Ici"), care.establishment("Là", "hospital", address=ESCH)
    whose = care.professional(establishment_ids=[here], address=HOME, specialities=["Cardiologie"])
    care.ask("start_work", professional_id=whose, establishment_id=there)
    care.ask("end_work", professional_id=whose, establishment_id=here)
    care.ask("set_licence", professional_id=whose, licence="suspended", until="2100-01-01T00:00:00+01:00")
    seen = care.ask("read_professional", who, professional_id=whose)
    assert seen["history"] is None
    assert [place["name"] for place in seen["establishments"]] == ["Là"]
    assert (seen["licence"], seen["licence_until"], seen["version"]) == ("suspended", "2099-12-31T23:00:00.000000Z", 4)
    assert seen["licence_since"].startswith("20") and seen["licence_since"].endswith("Z")
    assert (seen["language"], seen["specialities"]) == ("fr", ["Cardiologie"])
    assert "rue" not in str(seen).lower(), "an address of their own is nobody else's"
    whole = care.ask("read_professional", AGENT, professional_id=whose)
    history = whole.pop("history")
    assert whole == {name: value for name, value in seen.items() if name != "history"}
    assert history["address"] == HOME
    assert [(place["name"], place["until"] is None) for place in history["workplaces"]] == [
        ("Ici", False),
        ("Là", True),
    ]
    assert [(one["licence"], one["until"]) for one in history["licences"]] == [
        ("valid", None), ("suspended", "2099-12-31T23:00:00.000000Z"),
    ]  # fmt: skip
    assert care.traces("professional.read", whose) == [("allowed", None, None)] * 2


@pytest.mark.parametrize("who", ANYBODY, ids=lambda who: who.capacity)
def test_who_lost_the_licence_for_good_is_nobody_but_to_agents(care: Care, who: Caller) -> None:
    whose, nobody = care.professional(), new_id()
    care.ask("set_licence", professional_id=whose, licence="withdrawn")
    for asked in (whose, nobody):
        with pytest.raises(PersonNotFound) as refused:
            care.ask("read_professional", who, professional_id=asked)
        assert refused.value.detail == {}
        assert care.traces("professional.read", asked)[-1] == ("refused", "person_not_found", None)
    assert care.ask("read_professional", AGENT, professional_id=whose)["licence"] == "withdrawn"
    with pytest.raises(PersonNotFound):
        care.ask("read_professional", AGENT, professional_id=nobody)


# --- who may ----------------------------------------------------------------------------------------------------------

AGENTS_ONLY: dict[str, dict[str, Any]] = {
    "change_professional": {"changes": {"first_name": "Lea"}},
    "set_licence": {"licence": "suspended"},
    "start_work": {},
    "end_work": {},
    "change_establishment": {"changes": {"name": "Autre"}},
    "close_establishment": {},
}


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine", "agent"])
@pytest.mark.parametrize("method", AGENTS_ONLY)
def test_only_an_agent_changes_the_directory(care: Care, method: str, capacity: str) -> None:
    who, place = caller(capacity, role="agent" if capacity == "agent" else None), care.establishment()
    whose = care.professional(establishment_ids=[care.establishment()])
    ids: dict[str, Any] = {"establishment_id": place} if "establishment" in method else {"professional_id": whose}
    if method in ("start_work", "end_work"):
        ids["establishment_id"] = place
    before = care.told(whose)
    if capacity == "agent":
        care.ask(method, who, **ids, **AGENTS_ONLY[method])
        return
    with pytest.raises(NotAllowed):
        care.ask(method, who, **ids, **AGENTS_ONLY[method])
    assert care.told(whose) == before
    assert care.ask("read_establishment", establishment_id=place)["closed_at"] is None


@pytest.mark.parametrize("method", AGENTS_ONLY)
def test_what_is_not_there_is_not_changed(care: Care, method: str) -> None:
    place, refusal = care.establishment(), EstablishmentNotFound if "establishment" in method else PersonNotFound
    for nobody in (new_id(), "' or 1=1"):
        ids: dict[str, Any] = {"establishment_id": nobody} if "establishment" in method else {"professional_id": nobody}
        if method in ("start_work", "end_work"):
            ids["establishment_id"] = place
        with pytest.raises(refusal):
            care.ask(method, **ids, **AGENTS_ONLY[method])


# --- changing ---------------------------------------------------------------------------------------------------------


def test_a_change_is_a_new_version_found_at_once_and_a_repeat_is_none(care: Care, name: str) -> None:
    whose = care.professional(address=HOME)
    changes = {"family_name": name, "profession": "nurse", "specialities": ["Zzpédiatrie"], "address": None}
    answer = care.ask("change_professional", professional_id=whose, changes=changes, version=1)
    assert answer == {"professional_id": whose, "version": 2}
    assert care.ask("change_professional", professional_id=whose, changes=changes) == answer
    assert [(one["version"], one["profession"]) for one in care.told(whose)] == [(1, "physician"), (2, "nurse")]
    assert care.found(name) == care.found(f"{name} infirm") == care.found(f"{name} zzpediatrie") == [whose]
    assert care.found(name, profession="physician") == []
    assert care.ask("read_professional", professional_id=whose)["history"]["address"] is None
    care.ask("change_professional", professional_id=whose, changes={"language": "de"})
    seen = care.ask("read_professional", professional_id=whose)
    assert (seen["language"], seen["family_name"], seen["version"]) == ("de", name, 3)


def test_a_change_of_what_is_no_longer_so_is_refused(care: Care) -> None:
    whose = care.professional()
    care.ask("change_professional", professional_id=whose, changes={"first_name": "Lea-Anne"}, version=1)
    with pytest.raises(ChangedMeanwhile):
        care.ask("change_professional", professional_id=whose, changes={"first_name": "Léonie"}, version=1)
    assert care.traces("professional.changed", whose)[-1] == ("refused", "changed_meanwhile", None)
    assert care.ask("read_professional", professional_id=whose)["first_name"] == "Lea-Anne"


def test_a_professional_who_changed_the_name_is_registered_again_under_the_new_one(care: Care, name: str) -> None:
    number = any_matricule()
    whose = care.professional(matricule=number)
    care.ask("change_professional", professional_id=whose, changes={"family_name": name})
    assert care.professional(matricule=number, family_name=name) == whose


def test_changes_of_one_professional_at_once_are_told_in_order(care: Care) -> None:
    whose, places = care.professional(), [care.establishment() for _ in range(4)]
    work: list[Callable[[], Any]] = [
        *(lambda p=place: care.ask("start_work", professional_id=whose, establishment_id=p) for place in places),
        *(lambda n=n: care.ask("change_professional", professional_id=whose, changes={"first_name": f"Léa {n}"})
          for n in range(4)),
        lambda: care.ask("set_licence", professional_id=whose, licence="suspended"),
    ]  # fmt: skip
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda each: each(), work))
    told = [one["version"] for one in care.told(whose)]
    assert sorted(told) == list(range(1, 11))
    last = max(care.told(whose), key=lambda one: int(one["version"]))
    assert last["establishment_ids"] == sorted(places) and last["licence"] == "suspended"


# --- workplaces -------------------------------------------------------------------------------------------------------


def test_beginning_and_ending_work_are_told_once_however_often_they_are_said(care: Care) -> None:
    whose, place = care.professional(), care.establishment()
    both: dict[str, Any] = {"professional_id": whose, "establishment_id": place}
    for _ in range(2):
        assert care.ask("start_work", **both) == both
    for _ in range(2):
        care.ask("end_work", **both)
    care.ask("start_work", **both)
    assert [one["establishment_ids"] for one in care.told(whose)] == [[], [place], [], [place]]
    history = care.ask("read_professional", professional_id=whose)["history"]["workplaces"]
    assert [one["until"] is None for one in history] == [False, True], "what was is not overwritten"
    facts = care.house.ask("directory", "capacity_facts", context(), "identity", professional_id=whose)
    assert facts["establishment_ids"] == [place]


def test_who_is_attached_to_an_emergency_service_is_told_and_stays_so_until_it_is_said_otherwise(care: Care) -> None:
    whose, place, other = care.professional(), care.establishment(), care.establishment()
    both: dict[str, Any] = {"professional_id": whose, "establishment_id": place}
    care.ask("start_work", professional_id=whose, establishment_id=other)
    for _ in range(2):
        assert care.ask("start_work", **both, emergency=True) == both | {"emergency": True}
    care.ask("start_work", **both)
    assert [one["emergency_establishment_ids"] for one in care.told(whose)] == [[], [], [place]]
    assert care.told(whose)[-1]["establishment_ids"] == sorted([place, other])
    care.ask("start_work", **both, emergency=False)
    assert care.told(whose)[-1]["emergency_establishment_ids"] == []
    assert care.told(whose)[-1]["establishment_ids"] == sorted([place, other])
    history = care.ask("read_professional", professional_id=whose)["history"]["workplaces"]
    there = [(one["emergency"], one["until"] is None) for one in history if one["establishment_id"] == place]
    assert there == [(True, False), (False, True)], "when somebody was attached stays known"


def test_an_attachment_ends_with_the_work_and_survives_a_new_sheet_of_the_same_workplaces(care: Care) -> None:
    place, sheet = care.establishment(), {"matricule": any_matricule()}
    whose = care.professional(**sheet, establishment_ids=[place])
    both: dict[str, Any] = {"professional_id": whose, "establishment_id": place}
    care.ask("start_work", **both, emergency=True)
    assert care.professional(**sheet, establishment_ids=[place], specialities=["urgences"]) == whose
    assert care.told(whose)[-1]["emergency_establishment_ids"] == [place]
    care.ask("end_work", **both)
    assert care.told(whose)[-1]["emergency_establishment_ids"] == []
    care.ask("start_work", **both)
    assert care.told(whose)[-1]["emergency_establishment_ids"] == [], "attached anew only when it is said"


@pytest.mark.parametrize("said", ["yes", 1])
def test_an_attachment_is_yes_or_no(care: Care, said: Any) -> None:
    whose, place = care.professional(), care.establishment()
    with pytest.raises(InvalidInput) as refused:
        care.ask("start_work", professional_id=whose, establishment_id=place, emergency=said)
    assert refused.value.detail["errors"] == [{"pointer": "/emergency", "message": "boolean"}]
    assert [one["establishment_ids"] for one in care.told(whose)] == [[]]


def test_of_many_who_say_it_at_one_moment_one_tells(care: Care) -> None:
    whose, place = care.professional(), care.establishment()
    with ThreadPoolExecutor(8) as pool:
        for method in ("start_work", "end_work"):
            said = [method] * 8
            list(pool.map(lambda m: care.ask(m, professional_id=whose, establishment_id=place), said))
    assert [one["establishment_ids"] for one in care.told(whose)] == [[], [place], []]


def test_an_old_request_repeated_under_its_key_begins_nothing_anew(care: Care) -> None:
    whose, place = care.professional(), care.establishment()
    who = replace(AGENT, context=context(idempotency_key=new_id()))
    both: dict[str, Any] = {"professional_id": whose, "establishment_id": place}
    first = care.ask("start_work", who, **both)
    care.ask("end_work", **both)
    assert care.ask("start_work", who, **both) == first
    assert care.told(whose)[-1]["establishment_ids"] == []


def test_nobody_begins_to_work_where_there_is_nothing_or_nobody_any_more(care: Care) -> None:
    whose, closed = care.professional(), care.establishment()
    care.ask("close_establishment", establishment_id=closed)
    with pytest.raises(EstablishmentNotFound):
        care.ask("start_work", professional_id=whose, establishment_id=new_id())
    with pytest.raises(EstablishmentClosed):
        care.ask("start_work", professional_id=whose, establishment_id=closed)
    with pytest.raises(InvalidInput):
        care.professional(establishment_ids=[closed])
    assert len(care.told(whose)) == 1


def test_a_letter_to_a_workplace_has_its_address(care: Care) -> None:
    whose = care.professional(establishment_ids=[care.establishment("Cabinet Norbert", address=ESCH)])
    letter = care.house.ask("directory", "letter_address", context(), "notifications", professional_id=whose)
    assert letter["address_lines"] == ["Cabinet Norbert", "1, Place Norbert", "4011 Esch-sur-Alzette"]
