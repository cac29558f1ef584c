"""Licences over a real database: who may take one away, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from services.db import new_id
from services.directory.contract import PersonNotFound
from services.refusals import InvalidInput, KeyReused, NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import House, any_matricule, caller, context

AGENT = caller("agent")


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory",))
    yield house
    house.close()


@pytest.fixture
def professional_id(house: House) -> str:
    facts = {"matricule": any_matricule(), "family_name": "Schmit", "first_name": "Léa", "profession": "physician",
             "specialities": [], "establishment_ids": [], "language": "fr"}  # fmt: skip
    made = house.ask("directory", "register_professional", AGENT, **facts)
    return str(made["professional_id"])


def set_licence(house: House, professional_id: str, licence: str, who: Caller = AGENT) -> Any:
    return house.ask("directory", "set_licence", who, professional_id=professional_id, licence=licence)


def told(house: House, professional_id: str, kind: str) -> list[dict[str, Any]]:
    events = [event["data"] for event in house.events("directory") if event["type"] == kind]
    return [event for event in events if event.get("professional_id") == professional_id]


def traces(house: House, object_id: str) -> list[tuple[str, str | None, str | None]]:
    events = [event["data"] for event in house.events("directory") if event["type"] == "access_traced.v1"]
    mine = [one for one in events if one["action"] == "professional.changed" and one["object_id"] == object_id]
    return [(one["outcome"], one["reason"], one["purpose"]) for one in mine]


def licence_of(house: House, professional_id: str) -> str:
    facts = house.ask("directory", "capacity_facts", context(), "identity", professional_id=professional_id)
    return str(facts["licence"])


@pytest.mark.parametrize("licence", ["suspended", "withdrawn"])
def test_a_licence_taken_away_is_a_new_version_and_an_event_of_its_own(
    house: House, professional_id: str, licence: str
) -> None:
    answer = set_licence(house, professional_id, licence)
    assert answer == {"professional_id": professional_id, "licence": licence}
    assert licence_of(house, professional_id) == licence
    versions = told(house, professional_id, "professional_updated.v1")
    assert [(one["version"], one["licence"]) for one in versions] == [(1, "valid"), (2, licence)]
    [ended] = told(house, professional_id, "licence_withdrawn.v1")
    assert ended["licence"] == licence and ended["at"].endswith("Z")
    assert traces(house, professional_id) == [("allowed", None, licence)]


def test_a_licence_given_back_is_a_new_version_and_ends_nothing(house: House, professional_id: str) -> None:
    set_licence(house, professional_id, "suspended")
    set_licence(house, professional_id, "valid")
    assert licence_of(house, professional_id) == "valid"
    assert [one["version"] for one in told(house, professional_id, "professional_updated.v1")] == [1, 2, 3]
    assert len(told(house, professional_id, "licence_withdrawn.v1")) == 1


@pytest.mark.parametrize("licence", ["valid", "suspended", "withdrawn"])
def test_the_licence_somebody_has_already_is_no_change_and_still_traced(
    house: House, professional_id: str, licence: str
) -> None:
    set_licence(house, professional_id, licence)
    before = [told(house, professional_id, f"{kind}.v1") for kind in ("professional_updated", "licence_withdrawn")]
    set_licence(house, professional_id, licence)
    after = [told(house, professional_id, f"{kind}.v1") for kind in ("professional_updated", "licence_withdrawn")]
    assert after == before
    assert traces(house, professional_id) == [("allowed", None, licence)] * 2


def test_of_many_who_take_it_away_at_one_moment_one_tells(house: House, professional_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: set_licence(house, professional_id, "withdrawn"), range(8)))
    assert len(told(house, professional_id, "licence_withdrawn.v1")) == 1
    assert [one["version"] for one in told(house, professional_id, "professional_updated.v1")] == [1, 2]


def test_repeated_under_its_key_it_is_done_once(house: House, professional_id: str) -> None:
    who = replace(AGENT, context=context(idempotency_key=new_id()))
    first = set_licence(house, professional_id, "suspended", who)
    set_licence(house, professional_id, "valid")
    assert set_licence(house, professional_id, "suspended", who) == first
    assert licence_of(house, professional_id) == "valid", "the repeat of an old request changes nothing"
    with pytest.raises(KeyReused):
        set_licence(house, professional_id, "withdrawn", who)


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
def test_nobody_but_the_agency_changes_a_licence(house: House, professional_id: str, capacity: str) -> None:
    who = caller(capacity)
    with pytest.raises(NotAllowed):
        set_licence(house, professional_id, "withdrawn", who)
    assert licence_of(house, professional_id) == "valid"
    refused = [one for one in house.events("directory") if one["data"].get("account_id") == who.account_id]
    assert [one["data"]["outcome"] for one in refused] == ["refused"]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"licence": "lost"}, InvalidInput),
        ({"licence": None}, InvalidInput),
        ({"professional_id": new_id()}, PersonNotFound),
        ({"professional_id": "' or 1=1"}, PersonNotFound),
    ],
)
def test_what_is_no_licence_or_nobodys_is_refused(
    house: House, professional_id: str, changes: dict[str, Any], refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        house.ask("directory", "set_licence", AGENT,
                  **{"professional_id": professional_id, "licence": "withdrawn", **changes})  # fmt: skip
    assert licence_of(house, professional_id) == "valid"
