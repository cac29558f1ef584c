"""Subscriptions of foreign systems: who manages them, what they choose, and that they hear what they may see alone."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, outbox, rfc3339
from services.directory.contract import ProfessionalUpdated
from services.documents.contract import (
    DocumentBlocked,
    DocumentCorrected,
    DocumentDispensed,
    DocumentReleased,
    DocumentRemoved,
    DocumentRestricted,
    DocumentVersioned,
    DocumentWithheld,
)
from services.dossier.contract import (
    RISK_WORDINGS,
    CircleMemberRemoved,
    RecordsMerged,
    RecordStateChanged,
    RecordsUnmerged,
)
from services.dossier.models import Mandate
from services.dossier.models import Record as DossierRecord
from services.identity.contract import ClientStateChanged
from services.notifications import rules_subscriptions as systems
from services.notifications.contract import (
    DOCUMENT_BLOCKED,
    DOCUMENT_CONFIDENTIALITY_CHANGED,
    DOCUMENT_DEPOSITED,
    DOCUMENT_DISPENSED,
    DOCUMENT_NO_LONGER_AVAILABLE,
    DOCUMENT_RELEASED,
    DOCUMENT_VERSIONED,
    FOREIGN_EVENT_TYPES,
    RECORD_CLOSED,
    RECORD_OPENED,
    SubscriptionNotFound,
    TooManySubscriptions,
    WebhookRefused,
)
from services.notifications.models_deliveries import Delivery
from services.notifications.models_subscriptions import Document, Subscription, ToldDocument
from services.notifications.store_subscriptions import active_credential
from services.refusals import InvalidInput, NotAllowed, Unavailable
from services.tokens import Caller
from tests.builders import caller, context
from tests.services.test_notifications import AGENT, Office, a_deposit, drain, house, levelled, office

__all__ = ["house", "office"]
RISK = {"risk_accepted": True, "risk_version": next(iter(RISK_WORDINGS))}
LOST = DOCUMENT_NO_LONGER_AVAILABLE


def software(establishment_id: str, client_id: str | None = None) -> Caller:
    """An organisation's software with a token of its own, for nobody in person."""
    client_id = client_id or new_id()
    return caller("machine", account_id=client_id, client_id=client_id, establishment_id=establishment_id,
                  scope="system/Subscription.cruds", purpose=None)  # fmt: skip


def subscribe(office: Office, who: Caller, **wish: Any) -> dict[str, Any]:
    wished = {"event_types": [DOCUMENT_DEPOSITED], **wish}
    made: dict[str, Any] = office.house.ask("notifications", "create_subscription", who, **wished)
    return made


def read(office: Office, who: Caller, given: dict[str, Any]) -> dict[str, Any]:
    asked = {"subscription_id": given["subscription_id"]}
    shown: dict[str, Any] = office.house.ask("notifications", "read_subscription", who, **asked)
    return shown


def heard(given: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(type, data) of everything in a subscriber's queue."""
    events = [json.loads(body) for body, _ in drain(given)]
    return [(event["type"], event["data"]) for event in events]


def carry(office: Office) -> None:
    """Everything that dossier told reaches notifications, which looks again at what is due, and sends."""
    with office.house.sessions["dossier"].transaction() as session:
        rows = session.execute(sa.delete(outbox).returning(outbox.c.seq, outbox.c.envelope)).all()
    for row in sorted(rows):
        office.house._handle(
            "notifications", office.house.sessions["notifications"], "dossier", json.loads(row.envelope)
        )
    look(office)


def look(office: Office) -> None:
    office.service._look_again_at_due()
    office.send()


def dossier_forgets(office: Office) -> None:
    """Nothing that dossier told so far will arrive."""
    with office.house.sessions["dossier"].transaction() as session:
        session.execute(sa.delete(outbox))


def later(office: Office, by: timedelta) -> None:
    """As if what was told had been told so much earlier."""
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(sa.update(ToldDocument).values(ask_at=ToldDocument.ask_at - by))


# --- who manages what -------------------------------------------------------------------------------------------------


def test_software_subscribes_for_the_organisation_it_works_for(office: Office) -> None:
    near = office.establishment()
    machine = software(near)
    given = subscribe(office, machine, document_types=["medical_report"], categories=["care_reports", "imaging"])
    shown = read(office, machine, given)
    assert (shown["establishment_id"], shown["client_id"]) == (near, machine.client_id)
    assert (shown["event_types"], shown["document_types"]) == ([DOCUMENT_DEPOSITED], ["medical_report"])
    assert (shown["categories"], shown["state"], shown["way"]) == (["care_reports", "imaging"], "active", "queue")
    assert given["password"] not in json.dumps(shown)
    assert office.depth(given["queue"]) == 0
    assert [trace["outcome"] for trace in office.traces("subscription.read")] == ["allowed"]
    same = subscribe(office, machine, establishment_id=near)
    assert read(office, machine, same)["establishment_id"] == near


@pytest.mark.parametrize("there", [True, False])
def test_software_cannot_subscribe_for_another_organisation_nor_learn_whether_it_exists(
    office: Office, there: bool
) -> None:
    other = office.establishment() if there else new_id()
    with pytest.raises(InvalidInput) as refused:
        subscribe(office, software(office.establishment()), establishment_id=other)
    assert refused.value.detail["errors"] == [{"pointer": "/establishment_id", "message": "unknown"}]
    assert office.rows(Subscription) == []


def test_an_agent_names_the_establishment(office: Office) -> None:
    with pytest.raises(InvalidInput) as refused:
        subscribe(office, AGENT)
    assert refused.value.detail["errors"] == [{"pointer": "/establishment_id", "message": "required"}]


@pytest.mark.parametrize("whose", ["another organisation's", "another software's", "the agency's", "none"])
@pytest.mark.parametrize("method", ["read_subscription", "change_subscription", "end_subscription"])
def test_what_is_another_s_is_not_there(office: Office, method: str, whose: str) -> None:
    near = office.establishment()
    machine = software(near)
    subscription_id = {
        "another organisation's": lambda: subscribe(office, software(office.establishment()))["subscription_id"],
        "another software's": lambda: subscribe(office, software(near))["subscription_id"],
        "the agency's": lambda: office.subscribe(near)["subscription_id"],
        "none": new_id,
    }[whose]()
    more = {"categories": ["imaging"]} if method == "change_subscription" else {}
    with pytest.raises(SubscriptionNotFound):
        office.house.ask("notifications", method, machine, subscription_id=subscription_id, **more)
    assert office.house.ask("notifications", "list_subscriptions", machine)["subscriptions"] == []
    assert all(row.state == "active" and row.categories == [] for row in office.rows(Subscription))
    action = {"read": "read", "change": "changed", "end": "ended"}[method.split("_")[0]]
    [trace] = office.traces(f"subscription.{action}")
    assert (trace["outcome"], trace["reason"]) == ("refused", "subscription_not_found")


def test_software_lists_reads_changes_and_ends_its_own(office: Office) -> None:
    machine = software(office.establishment())
    subscribe(office, software(office.establishment()))
    given = subscribe(office, machine)
    listed = office.house.ask("notifications", "list_subscriptions", machine)["subscriptions"]
    assert [one["subscription_id"] for one in listed] == [given["subscription_id"]]
    asked = {"subscription_id": given["subscription_id"]}
    changed = office.house.ask(
        "notifications", "change_subscription", machine, event_types=[DOCUMENT_VERSIONED, DOCUMENT_DEPOSITED], **asked
    )
    assert changed == read(office, machine, given)
    assert changed["event_types"] == [DOCUMENT_DEPOSITED, DOCUMENT_VERSIONED]
    office.house.ask("notifications", "end_subscription", machine, **asked)
    assert read(office, machine, given)["state"] == "ended"
    with pytest.raises(SubscriptionNotFound):
        office.house.ask("notifications", "change_subscription", machine, categories=[], **asked)


def test_a_professional_in_person_has_no_subscriptions_and_their_software_has_its_own(office: Office) -> None:
    near = office.establishment()
    person = caller("professional", establishment_id=near)
    with pytest.raises(NotAllowed):
        subscribe(office, person)
    machine = software(near)
    on_behalf = replace(person, client_id=machine.client_id, account_id=machine.account_id, scope=machine.scope)
    given = subscribe(office, machine)
    assert read(office, on_behalf, given)["subscription_id"] == given["subscription_id"]


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"event_types": []}, "/event_types"),
        ({"event_types": ["document_deposited.v1"]}, "/event_types/0"),
        ({"document_types": ["medical_report", "Méd; drop"]}, "/document_types/1"),
        ({"document_types": "medical_report"}, "/document_types"),
        ({"categories": ["secrets"]}, "/categories/0"),
        ({"categories": ["imaging"] * 101}, "/categories"),
    ],
)
@pytest.mark.parametrize("change", [False, True])
def test_a_wish_that_cannot_be_had_is_refused_where_it_stands(
    office: Office, wish: dict[str, Any], pointer: str, change: bool
) -> None:
    machine = software(office.establishment())
    given = subscribe(office, machine) if change else None
    with pytest.raises(InvalidInput) as refused:
        if given is None:
            subscribe(office, machine, **wish)
        else:
            asked = {"subscription_id": given["subscription_id"], **wish}
            office.house.ask("notifications", "change_subscription", machine, **asked)
    assert [error["pointer"] for error in refused.value.detail["errors"]] == [pointer]


def test_nobody_opens_queues_without_end(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "MOST_OF_AN_OWNER", 2)
    machine = software(office.establishment())
    first = subscribe(office, machine)
    subscribe(office, machine)
    with pytest.raises(TooManySubscriptions):
        subscribe(office, machine)
    subscribe(office, software(str(machine.establishment_id)))
    office.house.ask("notifications", "end_subscription", machine, subscription_id=first["subscription_id"])
    subscribe(office, machine)


def test_a_change_repeated_under_its_key_is_made_once(office: Office) -> None:
    machine = software(office.establishment())
    given = subscribe(office, machine)
    asked = {"subscription_id": given["subscription_id"], "categories": ["imaging"]}
    again = replace(machine, context=context(idempotency_key="k" * 20))
    first = office.house.ask("notifications", "change_subscription", again, **asked)
    office.house.ask("notifications", "change_subscription", machine, **{**asked, "categories": []})
    assert office.house.ask("notifications", "change_subscription", again, **asked) == first
    assert read(office, machine, given)["categories"] == []


def test_a_webhook_that_answers_to_nobody_gets_no_subscription(office: Office) -> None:
    machine = software(office.establishment())
    office.go_out(replace(office.settings, webhook_key=b64encode(bytes(range(32))).decode()))
    with pytest.raises(WebhookRefused) as refused:
        subscribe(office, machine, webhook="https://127.0.0.1:9/events")
    assert refused.value.detail["cause"] == "address"
    assert office.rows(Subscription) == []
    [trace] = office.traces("subscription.created")
    assert (trace["outcome"], trace["reason"]) == ("refused", "webhook_refused")


# --- suspended software -----------------------------------------------------------------------------------------------


def state_of(machine: Caller, state: str, at: datetime) -> ClientStateChanged:
    return ClientStateChanged(str(machine.client_id), str(machine.establishment_id), state, rfc3339(at))


def test_suspended_software_is_locked_out_at_once_and_hears_later_what_happened_meanwhile(office: Office) -> None:
    record_id, near = office.record_with_reader()
    machine, other = software(near), software(near)
    given, beside = subscribe(office, machine), subscribe(office, other)
    office.happen("identity", state_of(machine, "suspended", now()))
    with office.house.sessions["notifications"].transaction() as session:
        assert active_credential(session, given["username"]) is None
        assert active_credential(session, beside["username"]) is not None
    office.service.clear_queues()
    assert office.depth(given["queue"]) is None
    office.happen("documents", a_deposit(record_id))
    assert office.depth(beside["queue"]) == 1 and office.depth(given["queue"]) is None
    assert read(office, AGENT, given)["state"] == "suspended"
    office.happen("identity", state_of(machine, "in_production", now() + timedelta(seconds=1)))
    office.send()
    assert [event_type for event_type, _ in heard(given)] == [DOCUMENT_DEPOSITED]


def test_an_older_word_on_a_software_that_comes_late_changes_nothing(office: Office) -> None:
    machine = software(office.establishment())
    given = subscribe(office, machine)
    at = now()
    office.happen("identity", state_of(machine, "suspended", at))
    office.happen("identity", state_of(machine, "in_production", at - timedelta(seconds=1)))
    assert read(office, AGENT, given)["state"] == "suspended"


# --- what is chosen ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "hears"),
    [
        ({}, True),
        ({"document_types": ["medical_report"]}, True),
        ({"document_types": ["laboratory_report"]}, False),
        ({"categories": ["care_reports", "imaging"]}, True),
        ({"categories": ["imaging"]}, False),
        ({"document_types": ["medical_report"], "categories": ["imaging"]}, False),
        ({"event_types": [DOCUMENT_VERSIONED]}, False),
    ],
)
def test_a_subscription_hears_of_what_it_chose_alone(office: Office, wish: dict[str, Any], hears: bool) -> None:
    record_id, near = office.record_with_reader()
    given = subscribe(office, software(near), **wish)
    office.happen("documents", a_deposit(record_id))
    assert len(heard(given)) == hears


def test_what_is_chosen_anew_counts_from_then_on(office: Office) -> None:
    record_id, near = office.record_with_reader()
    machine = software(near)
    given = subscribe(office, machine, categories=["imaging"])
    office.happen("documents", a_deposit(record_id))
    asked = {"subscription_id": given["subscription_id"]}
    office.house.ask("notifications", "change_subscription", machine, categories=[], **asked)
    deposit = a_deposit(record_id)
    office.happen("documents", deposit)
    assert [data["document_id"] for _, data in heard(given)] == [deposit.document_id]


def test_each_thing_that_befalls_a_document_is_told_in_its_own_words(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = subscribe(office, software(near), event_types=list(FOREIGN_EVENT_TYPES))
    deposit, at = a_deposit(record_id), rfc3339(now())
    office.happen("documents", deposit)
    office.happen("documents", levelled(deposit, "confidential"))
    second = DocumentVersioned(record_id, deposit.document_id, new_id(), 2, deposit.document_type, deposit.category,
                               "standard", None, "application/pdf", 10, None, at)  # fmt: skip
    office.happen("documents", second)
    office.happen("documents", DocumentBlocked(record_id, deposit.document_id, at))
    office.happen("documents", DocumentReleased(record_id, deposit.document_id, at, at))
    given_out = DocumentDispensed(record_id, deposit.document_id, new_id(), "partial", False, at)
    office.happen("documents", given_out)
    told = heard(given)
    assert [event_type for event_type, _ in told] == [
        DOCUMENT_DEPOSITED, DOCUMENT_CONFIDENTIALITY_CHANGED, DOCUMENT_VERSIONED, DOCUMENT_BLOCKED, DOCUMENT_RELEASED,
        DOCUMENT_DISPENSED,
    ]  # fmt: skip
    known = {"record_id": record_id, "document_id": deposit.document_id, "version_id": second.version_id,
             "type": "medical_report", "category": "care_reports", "level": "confidential"}  # fmt: skip
    assert told[2][1] == {**known, "number": 2, "versioned_at": at}
    assert told[5][1] == {**known, "state": "partial", "dispensed_at": at}


def test_a_withheld_document_is_nothing_to_a_professional_s_system(office: Office) -> None:
    record_id, near = office.record_with_reader()
    given = subscribe(office, software(near), event_types=list(FOREIGN_EVENT_TYPES))
    deposit, at = a_deposit(record_id), rfc3339(now())
    office.happen("documents", deposit)
    office.happen("documents", DocumentWithheld(record_id, deposit.document_id, True, at, at))
    look(office)
    assert [event_type for event_type, _ in heard(given)] == [DOCUMENT_DEPOSITED]


def test_who_reads_certain_folders_only_hears_of_documents_in_those(office: Office) -> None:
    record_id, _ = office.active_record()
    near = office.establishment()
    doctor = caller("professional", establishment_id=near)
    office.tell_dossier("directory", ProfessionalUpdated(doctor.professional_id or "", "physician", "valid", [near], 1))
    at = now()
    with office.house.sessions["dossier"].transaction() as session:
        session.execute(sa.insert(Mandate).values(
            mandate_id=new_id(), record_id=record_id, professional_id=doctor.professional_id, kind="responsibility",
            wording_version="x", starts_at=at - timedelta(hours=1), read_until=at + timedelta(hours=1),
            deposit_until=at + timedelta(hours=1),
        ))  # fmt: skip
        session.execute(sa.update(DossierRecord).where(DossierRecord.record_id == record_id)
                        .values(responsibility="allowed"))  # fmt: skip
    given = subscribe(office, software(near))
    here = a_deposit(record_id, document_type="drug_prescription", category="prescriptions", folder="prescription")
    office.happen("documents", here)
    office.happen("documents", replace(here, document_id=new_id(), folder="medical_data"))
    assert [data["document_id"] for _, data in heard(given)] == [here.document_id]


# --- records ----------------------------------------------------------------------------------------------------------


def test_a_record_s_closing_and_reopening_are_told_to_those_who_have_a_ground_in_it(office: Office) -> None:
    record_id, holder = office.active_record()
    near, far = office.establishment(), office.establishment()
    office.reader(near, record_id, holder)
    wish = {"event_types": [RECORD_OPENED, RECORD_CLOSED]}
    hearing, deaf, wordless = (
        subscribe(office, software(near), **wish), subscribe(office, software(far), **wish),
        subscribe(office, software(near)),
    )  # fmt: skip
    dossier_forgets(office)
    for state, named in (("closed", "closed_at"), ("active", "opened_at")):
        event_type = RECORD_CLOSED if state == "closed" else RECORD_OPENED
        with office.house.sessions["dossier"].transaction() as session:
            session.execute(sa.update(DossierRecord).where(DossierRecord.record_id == record_id).values(state=state))
        cause = "holder_request" if state == "closed" else "reopening"
        office.happen("dossier", RecordStateChanged(record_id, state, cause, holder.patient_id))
        [(told, data)] = heard(hearing)
        assert told == event_type and set(data) == {"record_id", named} and data["record_id"] == record_id
    assert heard(deaf) == [] and heard(wordless) == []


@pytest.mark.parametrize(
    ("state", "cause"), [("closed", "merged"), ("requested", "unmerged"), ("deleted", "opposition")]
)
def test_what_is_no_news_of_a_record_s_own_is_not_told(office: Office, state: str, cause: str) -> None:
    assert systems.record_event(new_id(), new_id(), state, cause, rfc3339(now())) is None


# --- what is lost -----------------------------------------------------------------------------------------------------


class Ward:
    """A record, a physician in its circle, their system, and one deposit that it heard of."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.record_id, self.holder = office.active_record()
        self.near = office.establishment()
        self.doctor = office.reader(self.near, self.record_id, self.holder)
        self.given = subscribe(office, software(self.near))
        self.deposit = a_deposit(self.record_id, folder="medical_data")
        office.happen("documents", self.deposit)
        dossier_forgets(office)
        assert [event_type for event_type, _ in heard(self.given)] == [DOCUMENT_DEPOSITED]

    def ask(self, method: str, **kwargs: Any) -> Any:
        return self.office.house.ask("dossier", method, self.holder, record_id=self.record_id, **kwargs)

    def told_of_doctor(self, version: int = 2, **facts: Any) -> None:
        told: dict[str, Any] = {
            "professional_id": self.doctor.professional_id, "profession": "physician", "licence": "valid",
            "establishment_ids": [self.near], "version": version, **facts,
        }  # fmt: skip
        self.office.tell_dossier("directory", ProfessionalUpdated(**told))

    def set_state(self, state: str) -> None:
        with self.office.house.sessions["dossier"].transaction() as session:
            session.execute(
                sa.update(DossierRecord).where(DossierRecord.record_id == self.record_id).values(state=state)
            )
        changed = RecordStateChanged(self.record_id, state, "holder_request", self.holder.patient_id)
        self.office.happen("dossier", changed)

    def document(self, kind: type[Any], *more: Any) -> None:
        self.office.happen("documents", kind(self.record_id, self.deposit.document_id, *more))

    def corrected(self, document_type: str, category: str, number: int = 2) -> None:
        at = rfc3339(now())
        self.document(DocumentCorrected, number, document_type, category, "medical_data", at)

    def restricted(self, hidden: bool) -> None:
        self.document(DocumentRestricted, self.doctor.professional_id, hidden, rfc3339(now()))


CAUSES: dict[str, Any] = {
    "left the circle": lambda ward: ward.ask("remove_from_circle", professional_id=ward.doctor.professional_id),
    "barred": lambda ward: ward.ask("block_professional", professional_id=ward.doctor.professional_id, **RISK),
    "licence": lambda ward: ward.told_of_doctor(licence="suspended"),
    "workplace": lambda ward: ward.told_of_doctor(establishment_ids=[]),
    "profession": lambda ward: ward.told_of_doctor(profession="homeopath"),
    "closed": lambda ward: ward.set_state("closed"),
    "level": lambda ward: ward.office.happen("documents", levelled(ward.deposit, "private")),
    "hidden": lambda ward: ward.restricted(True),
    "removed": lambda ward: ward.document(DocumentRemoved, "request", rfc3339(now())),
    "corrected": lambda ward: ward.corrected("holder_expression", "access_traces"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_document_lost_for_any_cause_is_told_once_and_in_the_same_words(office: Office, cause: str) -> None:
    ward = Ward(office)
    CAUSES[cause](ward)
    carry(office)
    [(event_type, data)] = heard(ward.given)
    assert event_type == LOST and set(data) == {"record_id", "document_id", "at"}
    assert (data["record_id"], data["document_id"]) == (ward.record_id, ward.deposit.document_id)
    later(office, timedelta(days=2))
    carry(office)
    assert heard(ward.given) == [] and office.rows(ToldDocument) == []


@pytest.mark.parametrize("cause", ["licence", "workplace", "profession", "removed"])
def test_nothing_is_lost_while_a_colleague_still_reads_it_except_what_is_gone(office: Office, cause: str) -> None:
    ward = Ward(office)
    office.reader(ward.near, ward.record_id, ward.holder)
    CAUSES[cause](ward)
    carry(office)
    assert [event_type for event_type, _ in heard(ward.given)] == ([LOST] if cause == "removed" else [])


def test_barred_from_what_serves_the_whole_house_its_only_reader_loses_it(office: Office) -> None:
    record_id, holder = office.active_record()
    near, at = office.establishment(), now()
    doctor = caller("professional", establishment_id=near)
    office.tell_dossier("directory", ProfessionalUpdated(doctor.professional_id or "", "physician", "valid", [near], 1))
    with office.house.sessions["dossier"].transaction() as session:
        session.execute(sa.insert(Mandate).values(
            mandate_id=new_id(), record_id=record_id, establishment_id=near, kind="admission", wording_version="x",
            starts_at=at - timedelta(hours=1), read_until=at + timedelta(hours=1),
            deposit_until=at + timedelta(hours=1),
        ))  # fmt: skip
    given = subscribe(office, software(near))
    office.happen("documents", a_deposit(record_id))
    barred = {"record_id": record_id, "professional_id": doctor.professional_id, **RISK}
    dossier_forgets(office)
    office.house.ask("dossier", "block_professional", holder, **barred)
    carry(office)
    assert [event_type for event_type, _ in heard(given)] == [DOCUMENT_DEPOSITED, LOST]


def test_what_nobody_told_us_of_is_found_out_within_a_day(office: Office) -> None:
    ward = Ward(office)
    CAUSES["left the circle"](ward)
    dossier_forgets(office)
    later(office, systems.LOOK_TWICE)
    look(office)
    [(event_type, _)] = heard(ward.given)
    assert event_type == LOST


def test_what_is_still_read_is_looked_at_again_in_a_day_and_nothing_is_told(office: Office) -> None:
    ward = Ward(office)
    later(office, systems.LOOK_TWICE)
    look(office)
    [row] = office.rows(ToldDocument)
    assert row.through_id == ward.doctor.professional_id
    assert timedelta() < systems.LOOK_AGAIN - (row.ask_at - now()) < timedelta(minutes=5)
    assert heard(ward.given) == []


def test_a_mandate_that_runs_out_by_the_clock_ends_what_was_read_under_it(office: Office) -> None:
    record_id, _ = office.active_record()
    near = office.establishment()
    at, mandate_id = now(), new_id()
    nurse = caller("professional", profession="nurse", establishment_id=near)
    office.tell_dossier("directory", ProfessionalUpdated(nurse.professional_id or "", "physician", "valid", [near], 1))
    with office.house.sessions["dossier"].transaction() as session:
        session.execute(sa.insert(Mandate).values(
            mandate_id=mandate_id, record_id=record_id, establishment_id=near, kind="admission", wording_version="x",
            starts_at=at - timedelta(hours=1), read_until=at + timedelta(minutes=30),
            deposit_until=at + timedelta(hours=1),
        ))  # fmt: skip
    given = subscribe(office, software(near))
    office.happen("documents", a_deposit(record_id))
    later(office, systems.LOOK_TWICE)
    look(office)
    [row] = office.rows(ToldDocument)
    assert row.ask_at == at + timedelta(minutes=30)
    with office.house.sessions["dossier"].transaction() as session:
        ended = {"read_until": at - timedelta(minutes=1)}
        session.execute(sa.update(Mandate).where(Mandate.mandate_id == mandate_id).values(**ended))
    later(office, timedelta(minutes=31))
    look(office)
    assert [event_type for event_type, _ in heard(given)] == [DOCUMENT_DEPOSITED, LOST]


def test_what_comes_back_is_told_again_when_something_happens_and_lost_again_under_another_id(office: Office) -> None:
    ward = Ward(office)
    ward.restricted(True)
    look(office)
    [first] = [row for row in office.rows(Delivery) if row.type == LOST]
    ward.restricted(False)
    look(office)
    assert [event_type for event_type, _ in heard(ward.given)] == [LOST]
    office.happen("documents", replace(ward.deposit), new_id())
    ward.restricted(True)
    look(office)
    assert [event_type for event_type, _ in heard(ward.given)] == [DOCUMENT_DEPOSITED, LOST]
    assert len({row.event_id for row in office.rows(Delivery) if row.type == LOST}) == 2
    assert first.event_id in {row.event_id for row in office.rows(Delivery)}


def test_who_never_heard_of_a_document_does_not_hear_that_it_is_lost(office: Office) -> None:
    ward = Ward(office)
    unheard = a_deposit(ward.record_id)
    with office.house.sessions["notifications"].transaction() as session:
        office._handle(session, "documents", unheard, new_id())  # put down, and not sent
    CAUSES["left the circle"](ward)
    carry(office)
    assert [data["document_id"] for _, data in heard(ward.given)] == [ward.deposit.document_id]
    assert {row.state for row in office.rows(Delivery) if row.document_id == unheard.document_id} == {"withheld"}


def test_what_was_told_so_long_ago_that_nothing_of_it_is_left_here_is_lost_like_all_else(office: Office) -> None:
    ward = Ward(office)
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(sa.delete(Delivery))
    CAUSES["left the circle"](ward)
    carry(office)
    assert [event_type for event_type, _ in heard(ward.given)] == [LOST]


def test_killed_while_looking_nothing_is_told_and_it_is_due_still(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = Ward(office)
    ward.restricted(True)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("services.notifications.store_told.keep_looked", die)
    with pytest.raises(KeyboardInterrupt):
        look(office)
    monkeypatch.undo()
    assert heard(ward.given) == [] and len(office.rows(ToldDocument)) == 1
    look(office)
    assert [event_type for event_type, _ in heard(ward.given)] == [LOST]


def test_with_dossier_away_everything_stays_due(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    ward = Ward(office)
    ward.restricted(True)

    class Away:
        def __getattr__(self, _method: str) -> Any:
            raise Unavailable(service="dossier")

    with monkeypatch.context() as patched:
        patched.setattr(office.service, "dossier", Away())
        office.service._look_again_at_due()
    assert len(office.rows(ToldDocument)) == 1
    look(office)
    assert [event_type for event_type, _ in heard(ward.given)] == [LOST]


def test_the_end_of_a_subscription_ends_its_losses(office: Office) -> None:
    ward = Ward(office)
    subscription_id = ward.given["subscription_id"]
    office.house.ask("notifications", "end_subscription", AGENT, subscription_id=subscription_id)
    assert office.rows(ToldDocument) == []
    ward.restricted(True)
    look(office)
    assert [row for row in office.rows(Delivery) if row.type == LOST] == []


def test_of_a_removed_document_nothing_is_kept_but_that_it_is_gone_even_if_its_deposit_comes_after(
    office: Office,
) -> None:
    record_id, near = office.record_with_reader()
    given = subscribe(office, software(near))
    deposit = a_deposit(record_id)
    office.happen("documents", DocumentRemoved(record_id, deposit.document_id, "request", rfc3339(now())))
    office.happen("documents", deposit)
    office.happen("documents", levelled(deposit, "standard"))
    assert heard(given) == [] and office.rows(Document) == []


def test_what_befalls_the_record_that_another_leads_to_befalls_what_was_told_of_that_other(office: Office) -> None:
    ward = Ward(office)
    survivor = new_id()
    later_on = now() + timedelta(hours=1)

    def due() -> bool:
        [row] = office.rows(ToldDocument)
        return bool(row.ask_at <= now())

    def rest() -> None:
        with office.house.sessions["notifications"].transaction() as session:
            session.execute(sa.update(ToldDocument).values(ask_at=later_on))

    merged = RecordsMerged(new_id(), survivor, ward.record_id, new_id(), 1)
    removed = CircleMemberRemoved(survivor, new_id())
    rest()
    office.happen("dossier", removed)
    assert not due()
    office.happen("dossier", merged)
    assert due()
    rest()
    office.happen("dossier", removed)
    assert due()
    office.happen("dossier", RecordsUnmerged(merged.merge_id, survivor, ward.record_id, new_id(), 2))
    rest()
    office.happen("dossier", merged)  # late, and overtaken
    rest()
    office.happen("dossier", removed)
    assert not due()


def test_looking_again_asks_dossier_once_for_all_that_is_alike(office: Office) -> None:
    ward = Ward(office)
    for _ in range(5):
        office.happen("documents", a_deposit(ward.record_id))
    heard(ward.given)
    asked: list[int] = []
    real = office.service._readable

    def counting(who: Any, places: Any, documents: Any) -> Any:
        asked.append(len(documents))
        return real(who, places, documents)

    office.service.__dict__["_readable"] = counting
    try:
        ward.set_state("closed")
        office.service._look_again_at_due()
    finally:
        del office.service.__dict__["_readable"]
    assert [one for one in asked if one] == [6]
    office.send()
    assert [event_type for event_type, _ in heard(ward.given)] == [LOST] * 6
