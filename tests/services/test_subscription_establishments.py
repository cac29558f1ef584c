"""Foreign systems hear of what was deposited in the establishments they chose: what they may see, and less of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import sessionmaker

from services.db import new_id, now, rfc3339
from services.documents.contract import DocumentDeposited, DocumentDispensed, DocumentVersioned
from services.notifications import store_subscriptions
from services.notifications.contract import (
    DOCUMENT_DEPOSITED,
    DOCUMENT_NO_LONGER_AVAILABLE,
    DOCUMENT_VERSIONED,
    FOREIGN_EVENT_TYPES,
    RECORD_CLOSED,
)
from services.notifications.models_subscriptions import Document, Subscription, ToldDocument
from services.notifications.rules_subscriptions import KnownDocument
from services.refusals import InvalidInput
from tests.conftest import Before
from tests.services.test_notifications import AGENT, Office, a_deposit, house, levelled, office
from tests.services.test_subscriptions import Ward, heard, look, read, software, subscribe

__all__ = ["house", "office"]
LOST = DOCUMENT_NO_LONGER_AVAILABLE


class Town:
    """A record, a house whose physician reads it, and two more houses; documents are deposited in each of them."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.record_id, self.near = office.record_with_reader()
        self.here, self.there = office.establishment(), office.establishment()
        self.machine = software(self.near)

    def deposited(self, establishment_id: str | None) -> DocumentDeposited:
        deposit = a_deposit(self.record_id, establishment_id=establishment_id)
        self.office.happen("documents", deposit)
        return deposit

    def versioned(self, of: DocumentDeposited) -> None:
        self.office.happen("documents", DocumentVersioned(
            self.record_id, of.document_id, new_id(), 2, of.document_type, of.category, "standard", None,
            "application/pdf", 10, None, rfc3339(now()),
        ))  # fmt: skip

    def change(self, given: dict[str, Any], **wish: Any) -> Any:
        asked = {"subscription_id": given["subscription_id"], **wish}
        return self.office.house.ask("notifications", "change_subscription", self.machine, **asked)


@pytest.fixture
def town(office: Office) -> Town:
    return Town(office)


def documents(given: dict[str, Any]) -> list[str]:
    return [data["document_id"] for _, data in heard(given)]


# --- what is heard ----------------------------------------------------------------------------------------------------


def test_who_chose_houses_hears_of_what_was_deposited_there_and_of_nothing_else(town: Town) -> None:
    near, here, there = town.near, town.here, town.there
    wishes: dict[str, list[str] | None] = {
        "all": None, "all as well": [], "here": [here], "both": [here, there], "their own": [near],
    }  # fmt: skip
    given = {name: subscribe(town.office, town.machine, establishments=wish) for name, wish in wishes.items()}
    deposits = {place: town.deposited(place).document_id for place in (near, here, there, None)}
    everything = list(deposits.values())
    assert {name: documents(one) for name, one in given.items()} == {
        "all": everything, "all as well": everything, "here": [deposits[here]],
        "both": [deposits[here], deposits[there]], "their own": [deposits[near]],
    }  # fmt: skip


def test_a_house_that_was_chosen_is_no_right_to_what_was_deposited_there(town: Town) -> None:
    elsewhere = software(town.office.establishment())
    chosen = subscribe(town.office, elsewhere, establishments=[town.here])
    own = subscribe(town.office, software(town.here), establishments=[town.here])
    reading = subscribe(town.office, town.machine, establishments=[town.here])
    deposit = town.deposited(town.here)
    assert documents(chosen) == documents(own) == []  # nobody there reads this record
    assert documents(reading) == [deposit.document_id]


@pytest.mark.parametrize(("wish", "hears"), [({}, True), ({"categories": ["imaging"]}, False),
                                             ({"document_types": ["laboratory_report"]}, False),
                                             ({"event_types": [DOCUMENT_VERSIONED]}, False)])  # fmt: skip
def test_all_that_was_chosen_must_be_so(town: Town, wish: dict[str, Any], hears: bool) -> None:
    given = subscribe(town.office, town.machine, establishments=[town.here], **wish)
    town.deposited(town.here)
    assert len(heard(given)) == hears


def test_what_befalls_a_document_later_is_told_by_where_it_began(town: Town) -> None:
    given = subscribe(town.office, town.machine, event_types=list(FOREIGN_EVENT_TYPES), establishments=[town.here])
    theirs, others = town.deposited(town.here), town.deposited(town.there)
    for deposit in (theirs, others):
        town.versioned(deposit)
        town.office.happen("documents", levelled(deposit, "confidential"))
        dispensed = DocumentDispensed(town.record_id, deposit.document_id, new_id(), "partial", False, rfc3339(now()))
        town.office.happen("documents", dispensed)
    told = heard(given)
    assert len(told) == 4 and {data["document_id"] for _, data in told} == {theirs.document_id}
    assert {data["establishment_id"] for _, data in told} == {town.here}


def test_an_event_says_where_and_of_a_document_of_nowhere_nothing(town: Town) -> None:
    given = subscribe(town.office, town.machine)
    town.deposited(town.there)
    town.deposited(None)
    (_, there), (_, nowhere) = heard(given)
    assert there["establishment_id"] == town.there
    assert set(there) - set(nowhere) == {"establishment_id"} and set(nowhere) < set(there)


def test_what_befalls_a_record_is_told_whatever_houses_were_chosen(office: Office) -> None:
    ward = Ward(office)
    given = subscribe(office, software(ward.near), event_types=[RECORD_CLOSED], establishments=[office.establishment()])
    ward.set_state("closed")
    office.send()
    assert [event_type for event_type, _ in heard(given)] == [RECORD_CLOSED]


# --- losses -----------------------------------------------------------------------------------------------------------


def test_a_loss_reaches_who_was_told_whatever_they_chose_since_and_nobody_else(office: Office) -> None:
    ward = Ward(office)
    here, there = office.establishment(), office.establishment()
    machine = software(ward.near)
    told, untold = (subscribe(office, machine, establishments=[place]) for place in (here, there))
    deposit = a_deposit(ward.record_id, establishment_id=here, folder="medical_data")
    office.happen("documents", deposit)
    asked = {"subscription_id": told["subscription_id"], "establishments": [there]}
    office.house.ask("notifications", "change_subscription", machine, **asked)
    ward.deposit = deposit
    ward.restricted(True)
    look(office)
    assert [(kind, data["document_id"]) for kind, data in heard(told)] == [
        (DOCUMENT_DEPOSITED, deposit.document_id), (LOST, deposit.document_id)
    ]  # fmt: skip
    assert heard(untold) == []
    assert told["subscription_id"] not in {row.subscription_id for row in office.rows(ToldDocument)}


def test_a_loss_says_nothing_of_where(office: Office) -> None:
    ward = Ward(office)
    given = subscribe(office, software(ward.near))
    ward.deposit = a_deposit(ward.record_id, establishment_id=office.establishment(), folder="medical_data")
    office.happen("documents", ward.deposit)
    ward.restricted(True)
    look(office)
    [_, (kind, data)] = heard(given)
    assert kind == LOST and set(data) == {"record_id", "document_id", "at"}


# --- choosing ---------------------------------------------------------------------------------------------------------


def test_houses_chosen_anew_count_from_then_on(town: Town) -> None:
    given = subscribe(town.office, town.machine, establishments=[town.here, town.here])
    assert read(town.office, town.machine, given)["establishments"] == [town.here]
    first, unheard = town.deposited(town.here), town.deposited(town.there)
    assert town.change(given, establishments=[town.there])["establishments"] == [town.there]
    late, second = town.deposited(town.here), town.deposited(town.there)
    assert documents(given) == [first.document_id, second.document_id]
    town.change(given, categories=[])
    assert read(town.office, town.machine, given)["establishments"] == [town.there]  # what is not named stays
    town.change(given, establishments=[])
    third = town.deposited(None)
    assert documents(given) == [third.document_id] and not {unheard.document_id, late.document_id} & {third.document_id}


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("by_agent", [False, True])
def test_a_house_that_there_is_not_is_refused_where_it_stands(town: Town, change: bool, by_agent: bool) -> None:
    who = AGENT if by_agent else town.machine
    place = {"establishment_id": town.near} if by_agent else {}
    given = subscribe(town.office, who, **place) if change else None

    def wish(*chosen: str) -> Any:
        if given is None:
            return subscribe(town.office, who, establishments=list(chosen), **place)
        asked = {"subscription_id": given["subscription_id"], "establishments": list(chosen)}
        return town.office.house.ask("notifications", "change_subscription", who, **asked)

    for unknown in (new_id(), "Clinique Une", ""):
        with pytest.raises(InvalidInput) as refused:
            wish(town.here, unknown, town.there)
        assert refused.value.detail["errors"] == [{"pointer": "/establishments/1", "message": "unknown"}]
    with pytest.raises(InvalidInput) as refused:
        wish(*[town.here] * 101)
    assert refused.value.detail["errors"] == [{"pointer": "/establishments", "message": "invalid"}]
    assert [row.establishments for row in town.office.rows(Subscription)] == ([[]] if change else [])
    wish(town.here, town.there)
    [row] = town.office.rows(Subscription)
    assert row.establishments == sorted([town.here, town.there])


def test_an_agent_learns_of_both_unknown_houses_at_once(office: Office) -> None:
    with pytest.raises(InvalidInput) as refused:
        subscribe(office, AGENT, establishment_id=new_id(), establishments=[new_id()])
    assert [error["pointer"] for error in refused.value.detail["errors"]] == ["/establishment_id", "/establishments/0"]


# --- older events, older rows -----------------------------------------------------------------------------------------


def test_an_event_from_before_is_of_no_house_and_one_from_later_is_read_as_far_as_it_is_known(town: Town) -> None:
    everything = subscribe(town.office, town.machine)
    chosen = subscribe(town.office, town.machine, establishments=[town.here])
    older, newer = (asdict(a_deposit(town.record_id, establishment_id=town.here)) for _ in range(2))
    del older["establishment_id"]
    newer["unheard_of"] = "x"
    for data in (older, newer):
        town.office.house._handle("notifications", town.office.house.sessions["notifications"], "documents", {
            "id": new_id(), "source": "documents", "type": DocumentDeposited.type, "time": rfc3339(now()),
            "subject": town.record_id, "number": None, "request_id": new_id(), "traceparent": "", "data": data,
        })  # fmt: skip
    town.office.send()
    assert documents(everything) == [older["document_id"], newer["document_id"]]
    assert documents(chosen) == [newer["document_id"]]
    kept = {row.document_id: row.establishment_id for row in town.office.rows(Document)}
    assert kept == {older["document_id"]: None, newer["document_id"]: town.here}


@pytest.fixture
def upgraded(database_before: Callable[[str, str], Before]) -> Callable[[], Any]:
    """Sessions on a database with a subscription and a document of the release before, brought to today's schema."""
    before = database_before("notifications", "0014")
    before.run(
        "insert into subscriptions (subscription_id, establishment_id, event_types, queue, username,"
        " password_digest, state, created_by, created_at) values (gen_random_uuid(), gen_random_uuid(),"
        f" '{{{DOCUMENT_DEPOSITED}}}', 'q', 'u', sha256('x'), 'active', gen_random_uuid(), now())",
        "insert into documents (document_id, record_id, version_id, document_type, category, level, level_at)"
        " values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 't', 'c', 'standard', now())",
    )
    before.upgrade()
    return sessionmaker(before.engine)


def test_who_subscribed_before_hears_of_every_house_and_older_documents_are_of_none(
    upgraded: Callable[[], Any],
) -> None:
    with upgraded() as session:
        [subscription], [document] = (list(session.scalars(sa.select(table))) for table in (Subscription, Document))
        assert subscription.establishments == [] and document.establishment_id is None
        for establishment_id in (None, new_id()):
            known = KnownDocument(new_id(), new_id(), new_id(), "t", "c", None, "standard",
                                  establishment_id=establishment_id)  # fmt: skip
            found = store_subscriptions.subscriptions_to(session, DOCUMENT_DEPOSITED, known)
            assert [one["subscription_id"] for one in found] == [subscription.subscription_id]
