"""Who registers software and who attests it: managers, clients and their keys, states, the public list."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.software import Software
from services.db import new_id
from services.identity.contract import ProfessionalUnknown
from services.identity.contract_machines import (
    CLIENT_STATES,
    SCOPES,
    ClientUnknown,
    ManagerUnknown,
    OrganisationUnknown,
    StateOutOfOrder,
)
from services.identity.models_machines import ClientState, SoftwareClient
from services.refusals import InvalidInput, KeyReused, NotAllowed
from services.tokens import Caller
from tests.builders import caller, context
from tests.services.identity_house import AGENT, Front, refused


@dataclass
class Organisation:
    """An establishment, somebody who works there, and what it registers."""

    front: Front
    establishment_id: str
    colleague: Caller

    def name_manager(self, who: Caller = AGENT, professional_id: str | None = None) -> Any:
        named = professional_id or self.colleague.professional_id
        return self.front.ask("name_manager", who, establishment_id=self.establishment_id, professional_id=named)

    def end_manager(self, who: Caller = AGENT) -> Any:
        return self.front.ask("end_manager", who, establishment_id=self.establishment_id,
                              professional_id=self.colleague.professional_id)  # fmt: skip

    def register(self, who: Caller = AGENT, **changes: Any) -> Any:
        given = {"establishment_id": self.establishment_id, "name": "Praxis", "version": "4.2", "vendor": "Parc",
                 "scopes": list(SCOPES), "jwks": Software().jwks}  # fmt: skip
        return self.front.ask("register_client", who, **(given | changes))

    def clients(self, who: Caller = AGENT) -> Any:
        return self.front.ask("list_clients", who, establishment_id=self.establishment_id)["clients"]

    def replace_keys(self, client_id: str, who: Caller = AGENT, jwks: Any = None) -> Any:
        return self.front.ask("replace_client_keys", who, establishment_id=self.establishment_id, client_id=client_id,
                              jwks=jwks or Software().jwks)  # fmt: skip

    def change(self, client_id: str, state: str, who: Caller = AGENT) -> Any:
        return self.front.ask("change_client_state", who, client_id=client_id, state=state)

    def traces(self, who: Caller, action: str) -> list[str]:
        mine = [one for one in self.front.events("access_traced.v1") if one["action"] == action]
        return [one["outcome"] for one in mine if one["account_id"] == who.account_id]


@pytest.fixture
def organisation(front: Front) -> Organisation:
    person = front.professional()
    facts = front.house.ask(
        "directory", "capacity_facts", context(), "identity", professional_id=person.professional_id
    )
    place = facts["establishment_ids"][0]
    return Organisation(
        front, place, caller("professional", professional_id=person.professional_id, establishment_id=place)
    )


@pytest.fixture
def manager(organisation: Organisation) -> Caller:
    organisation.name_manager()
    return organisation.colleague


def strangers(organisation: Organisation) -> dict[str, Caller]:
    """Everybody who must not keep this organisation's software."""
    colleague = organisation.colleague
    return {
        "a patient": caller("patient"),
        "a patient who says they work there": caller("patient", establishment_id=organisation.establishment_id),
        "another professional who works there": caller("professional", establishment_id=organisation.establishment_id),
        "its manager, logged in elsewhere": replace(colleague, establishment_id=new_id()),
        "its manager, logged in nowhere": replace(colleague, establishment_id=None),
        "its manager, as a patient": replace(colleague, capacity="patient"),
        "software": caller("machine", establishment_id=organisation.establishment_id),
    }


# --- managers ---------------------------------------------------------------------------------------------------------


def test_the_agency_names_a_manager_who_registers_from_then_on(organisation: Organisation) -> None:
    refused(NotAllowed, lambda: organisation.register(organisation.colleague))
    for _ in range(2):
        named = organisation.name_manager()
        assert named == {"establishment_id": organisation.establishment_id,
                         "professional_id": organisation.colleague.professional_id}  # fmt: skip
    assert organisation.register(organisation.colleague)["state"] == "requested"
    assert organisation.traces(organisation.colleague, "software.registered") == ["refused", "allowed"]


def test_a_charge_taken_back_ends_with_the_answer_and_can_be_given_again(
    organisation: Organisation, manager: Caller
) -> None:
    client_id = organisation.register(manager)["client_id"]
    assert organisation.end_manager() == {}
    for attempt in (organisation.register, organisation.clients):
        refused(NotAllowed, lambda attempt=attempt: attempt(manager))  # type: ignore[misc]
    refused(ManagerUnknown, organisation.end_manager)
    organisation.name_manager()
    assert [client["client_id"] for client in organisation.clients(manager)] == [client_id], "what they made stays"


def test_only_somebody_who_works_there_becomes_its_manager(organisation: Organisation, front: Front) -> None:
    for somebody in (str(front.professional().professional_id), new_id()):
        refused(ProfessionalUnknown, lambda somebody=somebody: organisation.name_manager(AGENT, somebody))  # type: ignore[misc]
    refused(InvalidInput, lambda: organisation.name_manager(AGENT, "x"))
    assert organisation.name_manager()


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
def test_nobody_but_the_agency_names_or_ends_managers(organisation: Organisation, capacity: str) -> None:
    who = caller(capacity)
    refused(NotAllowed, lambda: organisation.name_manager(who))
    refused(NotAllowed, lambda: organisation.end_manager(who))
    assert organisation.traces(who, "organisation.changed") == ["refused"] * 2


# --- clients ----------------------------------------------------------------------------------------------------------


def test_a_manager_registers_a_client_which_waits_for_the_agency(organisation: Organisation, manager: Caller) -> None:
    software = Software()
    made = organisation.register(manager, jwks=software.jwks, scopes=[SCOPES[1], SCOPES[0]])
    assert made["state"] == "requested" and made["scopes"] == [SCOPES[0], SCOPES[1]]
    assert made["key_ids"] == [software.key.kid] and made["establishment_id"] == organisation.establishment_id
    assert organisation.clients(manager) == organisation.clients(AGENT) == [made]


@pytest.mark.parametrize("who", ["a patient", "a patient who says they work there",
                                 "another professional who works there", "its manager, logged in elsewhere",
                                 "its manager, logged in nowhere", "its manager, as a patient",
                                 "software"])  # fmt: skip
def test_a_stranger_neither_registers_nor_sees_nor_changes_anything(
    organisation: Organisation, manager: Caller, who: str
) -> None:
    client_id = organisation.register(manager)["client_id"]
    stranger = strangers(organisation)[who]
    for attempt in (
        lambda: organisation.register(stranger),
        lambda: organisation.clients(stranger),
        lambda: organisation.replace_keys(client_id, stranger),
        lambda: organisation.change(client_id, "tested", stranger),
        lambda: organisation.front.ask("clients_in_state", stranger),
    ):
        refused(NotAllowed, attempt)
    assert len(organisation.clients(manager)) == 1 and organisation.clients(manager)[0]["state"] == "requested"


def test_an_organisation_nobody_knows_has_no_software(organisation: Organisation) -> None:
    for attempt in (organisation.register, lambda **more: organisation.front.ask("list_clients", AGENT, **more)):
        refused(OrganisationUnknown, lambda attempt=attempt: attempt(establishment_id=new_id()))  # type: ignore[misc]


def test_a_client_of_another_organisation_is_unknown(organisation: Organisation, manager: Caller, front: Front) -> None:
    foreign = organisation.front.ask(
        "register_client", AGENT, establishment_id=front.establishment(), name="a", version="1", vendor="b",
        scopes=[SCOPES[0]], jwks=Software().jwks,
    )  # fmt: skip
    for client_id in (foreign["client_id"], new_id()):
        refused(ClientUnknown, lambda client_id=client_id: organisation.replace_keys(client_id, manager))  # type: ignore[misc]
    refused(InvalidInput, lambda: organisation.replace_keys("x", manager))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""}, {"version": "x" * 81}, {"vendor": None}, {"scopes": []}, {"scopes": ["system/*.cruds"]},
        {"jwks": {"keys": []}}, {"jwks": None}, {"establishment_id": "x"},
    ],
)  # fmt: skip
def test_what_cannot_be_registered_is_named_and_leaves_nothing(
    organisation: Organisation, manager: Caller, changes: dict[str, Any]
) -> None:
    refused(InvalidInput, lambda: organisation.register(manager, **changes))
    assert organisation.clients(manager) == []


def test_a_private_key_is_refused_and_kept_nowhere(organisation: Organisation, manager: Caller) -> None:
    client_id = organisation.register(manager)["client_id"]
    private = {name: str(value) for name, value in Software().key.as_dict(private=True).items()}
    for attempt in (
        lambda: organisation.register(manager, jwks={"keys": [private]}),
        lambda: organisation.replace_keys(client_id, manager, {"keys": [private]}),
    ):
        error = refused(InvalidInput, attempt)
        assert error.detail["errors"][0]["message"] == "jwk_private" and private["d"] not in str(error.detail)
    assert private["d"] not in json.dumps(organisation.front.house.events("identity"))


def test_a_point_beside_the_curve_is_no_key(organisation: Organisation, manager: Caller) -> None:
    [key] = Software("ES384").jwks["keys"]
    beside = {"keys": [key | {"y": key["x"]}]}
    refused(InvalidInput, lambda: organisation.register(manager, jwks=beside))
    assert organisation.register(manager, jwks={"keys": [key]})


def test_a_registration_repeated_under_its_key_makes_one_client(organisation: Organisation, manager: Caller) -> None:
    who, jwks = replace(manager, context=context(idempotency_key=new_id())), Software().jwks
    assert organisation.register(who, jwks=jwks) == organisation.register(who, jwks=jwks)
    refused(KeyReused, lambda: organisation.register(who, jwks=jwks, name="Other"))
    assert len(organisation.clients(manager)) == 1


# --- attestation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", CLIENT_STATES)
@pytest.mark.parametrize("after", CLIENT_STATES)
def test_the_agency_moves_a_client_on_its_way_and_no_other(organisation: Organisation, before: str, after: str) -> None:
    allowed = {("requested", "tested"), ("tested", "in_production"), ("tested", "suspended"),
               ("in_production", "suspended"), ("suspended", "in_production")}  # fmt: skip
    client_id = organisation.register()["client_id"]
    organisation.front.change(
        sa.update(SoftwareClient).where(SoftwareClient.client_id == client_id).values(state=before)
    )
    if (before, after) in allowed or before == after:
        assert organisation.change(client_id, after)["state"] == after
    else:
        assert refused(StateOutOfOrder, lambda: organisation.change(client_id, after)).detail == {"state": before}
    noted = sa.select(sa.func.count()).where(ClientState.client_id == client_id)
    assert organisation.front.one(noted) == (2 if (before, after) in allowed else 1)


def test_of_many_who_move_it_at_one_moment_one_is_noted(organisation: Organisation) -> None:
    client_id = organisation.register()["client_id"]
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda _: organisation.change(client_id, "tested")["state"], range(8)))
    assert states == ["tested"] * 8
    assert organisation.front.one(sa.select(sa.func.count()).where(ClientState.client_id == client_id)) == 2


def test_what_nobody_registered_or_what_is_no_state_is_refused(organisation: Organisation) -> None:
    client_id = organisation.register()["client_id"]
    refused(ClientUnknown, lambda: organisation.change(new_id(), "tested"))
    refused(InvalidInput, lambda: organisation.change(client_id, "approved"))
    refused(InvalidInput, lambda: organisation.change("x", "tested"))


def test_the_agency_sees_page_by_page_what_waits_for_it(organisation: Organisation) -> None:
    mine = [organisation.register(name=f"n{number}")["client_id"] for number in range(5)]
    organisation.change(mine[4], "tested")
    seen: list[str] = []
    cursor = None
    while True:
        page = organisation.front.ask("clients_in_state", AGENT, state="requested", limit=2, cursor=cursor)
        assert len(page["clients"]) <= 2
        seen += [client["client_id"] for client in page["clients"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert [one for one in seen if one in mine] == mine[:4] and len(seen) == len(set(seen))
    for wrong in ({"limit": 0}, {"limit": 101}, {"limit": True}, {"cursor": "x"}, {"state": "all"}):
        refused(InvalidInput, lambda wrong=wrong: organisation.front.ask("clients_in_state", AGENT, **wrong))  # type: ignore[misc]


def test_everybody_sees_attested_software_and_nobody_what_is_only_asked_for(
    organisation: Organisation, front: Front
) -> None:
    name = f"Praxis {new_id()}"
    first, second = (organisation.register(name=name)["client_id"] for _ in range(2))
    elsewhere = organisation.register(name=name, establishment_id=front.establishment())["client_id"]

    def listed() -> list[tuple[str, int]]:
        found = front.ask("list_software", context())["software"]
        return [(line["state"], line["establishments"]) for line in found if line["name"] == name]

    assert listed() == []
    organisation.change(first, "tested")
    organisation.change(second, "tested")
    assert listed() == [("tested", 1)], "two clients of one organisation"
    organisation.change(elsewhere, "tested")
    assert listed() == [("tested", 2)]
    organisation.change(elsewhere, "suspended")
    assert listed() == [("suspended", 1), ("tested", 1)]
