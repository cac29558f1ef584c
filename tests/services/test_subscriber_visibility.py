"""A random course of grants, professionals and documents: what subscribers know is what somebody there may read.

The reference is dossier's own decision for one professional after another, at their workplace; nothing of it is in
notifications. Documents' events are made here, dossier's are its own.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.bus import Received
from services.db import new_id, now, outbox, rfc3339
from services.directory.contract import ProfessionalUpdated
from services.documents.contract import (
    ConfidentialityChanged,
    DocumentBlocked,
    DocumentCorrected,
    DocumentRemoved,
    DocumentRestricted,
)
from services.dossier import models, rules_decisions, store
from services.dossier.contract import (
    DECLARATION_WORDINGS,
    LEVELS,
    RISK_WORDINGS,
    DocumentFacts,
    MandateEnded,
    RecordStateChanged,
)
from services.dossier.tables import tables_at
from services.identity.contract import AccountActivated
from services.notifications import contract, store_deliveries, store_subscriptions
from services.notifications.contract import DOCUMENT_NO_LONGER_AVAILABLE, FOREIGN_EVENT_TYPES
from services.notifications.models_deliveries import Delivery
from services.notifications.rules_sending import FRESH, HELD
from services.notifications.sending import EACH
from services.refusals import Refusal
from services.tokens import Caller
from tests.builders import House, caller, context
from tests.services.test_notifications import AGENT, a_deposit

RISK = {"risk_accepted": True, "risk_version": next(iter(RISK_WORDINGS))}
DECLARED = {"declaration_accepted": True, "wording_version": next(iter(DECLARATION_WORDINGS))}
KINDS = (
    ("medical_report", "care_reports", "medical_data"),
    ("laboratory_report", "laboratory", "medical_data"),
    ("drug_prescription", "prescriptions", "prescription"),
    ("family_history", "history", "medical_data"),
)
PEOPLE = 4


class World:
    """One record, two establishments with a subscription each, and four professionals who work at one or both."""

    def __init__(self, house: House) -> None:
        self.house, self.service = house, house.notifications
        self.sessions = house.sessions["notifications"]
        self.holder = caller("patient")
        opened = house.ask("dossier", "open_record", AGENT, patient_id=self.holder.patient_id)
        self.record_id = str(opened["record_id"])
        self.tell("dossier", "identity", AccountActivated(new_id(), "patient", self.holder.patient_id, None))
        self.code = house.ask(
            "dossier", "issue_presence_code", context(), process="notifications", letter_id=new_id(),
            record_id=self.record_id,
        )["code"]  # fmt: skip
        self.places = [new_id(), new_id()]
        self.work_at = [[self.places[0]], [self.places[1]], list(self.places), [self.places[0]]]
        professions = ("physician", "nurse", "pharmacist", "physician")
        self.people = [caller("professional", profession=each) for each in professions]
        self.licences = ["valid"] * PEOPLE
        self.versions = [0] * PEOPLE
        for whose in range(PEOPLE):
            self.say_of(whose)
        self.documents: dict[str, DocumentFacts] = {}
        self.wordings = 1
        self.subscriptions = {place: self.subscribe(place) for place in self.places}
        self.carry()

    # what there is

    def subscribe(self, establishment_id: str) -> str:
        subscription_id, at = new_id(), now()
        with self.sessions.transaction() as session:
            store_subscriptions.add_subscription(
                session, subscription_id=subscription_id, establishment_id=establishment_id,
                event_types=list(FOREIGN_EVENT_TYPES), queue=new_id(), username=new_id(), password_digest=bytes(32),
                created_by=new_id(), created_at=at,
            )  # fmt: skip
            store_subscriptions.activate_subscription(session, subscription_id)
        return subscription_id

    def say_of(self, whose: int) -> None:
        self.versions[whose] += 1
        who = self.people[whose]
        self.tell("dossier", "directory", ProfessionalUpdated(
            str(who.professional_id), str(who.profession), self.licences[whose], self.work_at[whose],
            self.versions[whose],
        ))  # fmt: skip

    # what happens

    def tell(self, service: str, source: str, data: Any) -> None:
        handlers = importlib.import_module(f"services.{service}.contract").SUBSCRIPTIONS
        event = Received(new_id(), source, data.type, rfc3339(now()), None, None, data, context(source))
        with self.house.sessions[service].transaction() as session:
            getattr(getattr(self.house, service), handlers[source, data.type])(session, event)

    def ask(self, method: str, who: Caller | None = None, **kwargs: Any) -> None:
        try:
            self.house.ask("dossier", method, who or self.holder, record_id=self.record_id, **kwargs)
        except Refusal:
            pass  # what could not be done has changed nothing

    def step(self, what: str, whose: int, which: int) -> None:
        """One thing happens; of it, everybody hears."""
        who = str(self.people[whose].professional_id)
        document = sorted(self.documents)[which % len(self.documents)] if self.documents else None
        if what in ("join", "leave", "bar", "unbar", "enter"):
            self.about_person(what, whose, who)
        elif what in ("suspend", "practise", "move", "stay", "discharge", "close", "reopen"):
            self.about_place(what, whose, which)
        elif what == "deposit":
            self.deposit(which, who)
        elif document is not None:
            self.about_document(what, document, who, which)
        self.carry()

    def about_person(self, what: str, whose: int, who: str) -> None:
        if what == "enter":
            there = replace(self.people[whose], establishment_id=(self.work_at[whose] or [new_id()])[0])
            self.ask("open_mandate", there, presence_code=self.code, **DECLARED)
        else:
            method = {"join": "add_to_circle", "leave": "remove_from_circle", "bar": "block_professional",
                      "unbar": "unblock_professional"}[what]  # fmt: skip
            self.ask(method, professional_id=who, **(RISK if what == "bar" else {}))

    def about_place(self, what: str, whose: int, which: int) -> None:
        at, place = now(), self.places[which % 2]
        if what in ("suspend", "practise"):
            self.licences[whose] = "valid" if what == "practise" else "suspended"
            self.say_of(whose)
        elif what == "move":
            self.work_at[whose] = [[], [self.places[0]], [self.places[1]], list(self.places)][which % 4]
            self.say_of(whose)
        elif what in ("close", "reopen"):
            state = "closed" if what == "close" else "active"
            with self.house.sessions["dossier"].transaction() as session:
                session.execute(
                    sa.update(models.Record).where(models.Record.record_id == self.record_id).values(state=state)
                )
            changed = RecordStateChanged(self.record_id, state, "reopening", self.holder.patient_id)
            self.tell("notifications", "dossier", changed)
        else:
            self.stay(place, what == "stay", at)

    def stay(self, place: str, begins: bool, at: Any) -> None:
        with self.house.sessions["dossier"].transaction() as session:
            if begins:
                session.execute(sa.insert(models.Mandate).values(
                    mandate_id=new_id(), record_id=self.record_id, establishment_id=place, kind="admission",
                    wording_version="x", starts_at=at - timedelta(hours=1), read_until=at + timedelta(hours=1),
                    deposit_until=at + timedelta(hours=1),
                ))  # fmt: skip
                return
            there = (models.Mandate.record_id == self.record_id) & (models.Mandate.establishment_id == place)
            session.execute(sa.update(models.Mandate).where(there).values(ended_at=at))
        self.tell("notifications", "dossier", MandateEnded(self.record_id, new_id(), None, "admission", place))

    def deposit(self, which: int, who: str) -> None:
        kind, category, folder = KINDS[which % len(KINDS)]
        level, author = LEVELS[which % 3], who if which % 2 else None
        told = a_deposit(self.record_id, author, document_type=kind, category=category, folder=folder, level=level)
        self.documents[told.document_id] = DocumentFacts(category, kind, folder, level, author)
        self.tell("notifications", "documents", told)

    def about_document(self, what: str, document_id: str, who: str, which: int) -> None:
        facts, at = self.documents[document_id], rfc3339(now())
        told: Any
        if what == "level":
            facts = replace(facts, level=LEVELS[which % 3])
            told = ConfidentialityChanged(self.record_id, document_id, facts.level, "standard", at)
        elif what in ("hide", "show"):
            others = tuple(one for one in facts.restricted if one != who)
            facts = replace(facts, restricted=(*others, who) if what == "hide" else others)
            told = DocumentRestricted(self.record_id, document_id, who, what == "hide", at)
        elif what == "correct":
            kind, category, folder = KINDS[which % len(KINDS)]
            facts = replace(facts, type=kind, category=category, folder=folder)
            self.wordings += 1
            told = DocumentCorrected(self.record_id, document_id, self.wordings, kind, category, folder, at)
        elif what == "block":
            told = DocumentBlocked(self.record_id, document_id, at)
        else:
            del self.documents[document_id]
            self.tell("notifications", "documents", DocumentRemoved(self.record_id, document_id, "request", at))
            return
        self.documents[document_id] = facts
        self.tell("notifications", "documents", told)

    def carry(self) -> None:
        """What dossier told of rights reaches notifications, which looks again, and gives out its numbers."""
        with self.house.sessions["dossier"].transaction() as session:
            rows = session.execute(sa.delete(outbox).returning(outbox.c.seq, outbox.c.envelope)).all()
        for row in sorted(rows):
            envelope = json.loads(row.envelope)
            handler = contract.SUBSCRIPTIONS.get(("dossier", envelope["type"]))
            if handler in RIGHTS:
                self.handle(handler, envelope)
        self.service._look_again_at_due()
        while self.taken_at_once():
            pass

    def taken_at_once(self) -> bool:
        """A round of the sender, of which each queue takes all there is; True when there may be more to do."""
        with self.sessions.transaction() as session:
            at = now()
            numbered, dues = store_deliveries.number_and_claim_queued(
                session, at, fresh_since=at - FRESH, held_since=at - HELD, each=EACH
            )
            store_deliveries.publish(session, [due.delivery_id for due in dues], at)
        return bool(dues) or (numbered.stale > 0 and self.service._ask_anew("queue"))

    def handle(self, handler: str, envelope: dict[str, Any]) -> None:
        method = getattr(self.service, handler)
        [entry] = method.nameko_entrypoints
        event = entry.event(envelope)
        with self.sessions.transaction() as session:
            method(session, event)

    # what is so

    def may_read(self, place: str) -> set[str]:
        """The documents that somebody who works there is let read there now."""
        at = now()
        there = [replace(who, establishment_id=place)
                 for who, places in zip(self.people, self.work_at, strict=True) if place in places]  # fmt: skip
        with self.house.sessions["dossier"].transaction() as session:
            facts = [store.situation(session, who, self.record_id, at) for who in there]
        return {
            document_id for document_id, document in self.documents.items()
            if any(rules_decisions.decide(tables_at(at), each, document, "read", at).allowed for each in facts)
        }  # fmt: skip

    def got(self, place: str) -> list[tuple[str, str]]:
        """(type, document) of all that the subscription of a place got, in the order of its numbers."""
        with self.sessions.transaction() as session:
            rows = session.execute(
                sa.select(Delivery.type, Delivery.document_id)
                .where(Delivery.subscription_id == self.subscriptions[place], Delivery.sequence.is_not(None),
                       Delivery.document_id.is_not(None)).order_by(Delivery.sequence)
            ).all()  # fmt: skip
        return [(row.type, row.document_id) for row in rows]

    def end(self) -> None:
        with self.sessions.transaction() as session:
            for subscription_id in self.subscriptions.values():
                store_subscriptions.end_subscription(session, subscription_id, now())


RIGHTS = {
    "on_access_narrowed", "on_mandate_ended", "on_circle_member_removed", "on_practice_changed",
    "on_licence_stops_grants", "on_grant_ended",
}  # fmt: skip
STEPS = (
    "join", "join", "leave", "bar", "unbar", "enter", "suspend", "practise", "move", "stay", "discharge", "close",
    "reopen", "deposit", "deposit", "deposit", "level", "hide", "show", "correct", "block", "remove",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, services=("identity", "directory", "dossier", "notifications"))
    yield made
    made.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    course=st.lists(
        st.tuples(st.sampled_from(STEPS), st.integers(0, PEOPLE - 1), st.integers(0, 11)), min_size=4, max_size=14
    )
)
def test_what_a_subscriber_knows_of_is_what_somebody_there_may_read(house: House, course: list[Any]) -> None:
    world = World(house)
    known: dict[str, set[str]] = {place: set() for place in world.places}
    seen = dict.fromkeys(world.places, 0)
    try:
        # Somebody reads, and there is something to read: without that most courses would be about nothing.
        for what, whose, which in (("join", 0, 0), ("join", 2, 0), ("deposit", 1, 3), *course):
            before = set(world.documents)
            world.step(what, whose, which)
            for place in world.places:
                readable, got = world.may_read(place), world.got(place)
                for event_type, document_id in got[seen[place] :]:
                    if event_type == DOCUMENT_NO_LONGER_AVAILABLE:
                        assert document_id in known[place], "lost what was never told of, or twice"
                        known[place].discard(document_id)
                    else:
                        assert document_id in readable, "told of what nobody there may read"
                        known[place].add(document_id)
                seen[place] = len(got)
                assert known[place] <= readable, "still known, and read by nobody there any more"
                assert (set(world.documents) - before) & readable <= known[place], "a deposit was kept from its readers"
    finally:
        world.end()


def test_the_world_of_the_test_above_has_readers_losses_and_returns(house: House) -> None:
    world = World(house)
    here = world.places[0]
    for what, whose, which in (("join", 0, 0), ("deposit", 1, 3), ("leave", 0, 0), ("join", 0, 0), ("level", 0, 0)):
        world.step(what, whose, which)
    assert [event_type.split(".")[3] for event_type, _ in world.got(here)] == [
        "deposited", "no_longer_available", "confidentiality_changed",
    ]  # fmt: skip
    world.end()
