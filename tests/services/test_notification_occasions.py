"""Each occasion on which people are told something reaches exactly those whom it concerns, and none of their twins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local.stack import Stack
from services.audit.contract import AlertsRaised, CaseOpened
from services.bus import Received
from services.db import new_id, now, rfc3339
from services.documents.contract import (
    DocumentBlocked,
    DocumentDeposited,
    DocumentReleased,
    DocumentRemoved,
    RemovalAsked,
)
from services.documents.contract_hidden import DocumentRestricted
from services.dossier import contract as dossier
from services.dossier.models import Record
from services.identity.contract import HelpdeskRequested
from services.identity.models import Account, Agent
from services.notifications.contract import DocumentNewsDue
from services.notifications.models_messages import Message
from services.notifications.rules_occasions import ACCOUNT, OCCASIONS
from services.refusals import NotAllowed
from services.tokens import Caller
from tests.builders import House, caller, context
from tests.services import test_record_news
from tests.services.identity_house import Person
from tests.services.news_house import AGENT, AT, SIDE, Newsroom, Ring, Told, mandate, who

KEPT_BY_OTHERS = {"thread.message"}
"""Occasions whose telling has tests of its own."""


@pytest.fixture
def post(together: House, infra: Stack, tmp_path: Path) -> Newsroom:
    """Its mailboxes are empty, and nobody has been told anything."""
    return Newsroom.fresh(together, infra, tmp_path)


def told(post: Newsroom, event_id: str) -> dict[str, set[tuple[str, str]]]:
    """Who was told of an event: with which occasion, in which role."""
    with post.house.sessions["notifications"].transaction() as session:
        found: dict[str, set[tuple[str, str]]] = {}
        for row in session.scalars(sa.select(Message).where(Message.event_id == event_id)):
            found.setdefault(row.recipient_id, set()).add((row.occasion.removeprefix("record_news."), row.role or ""))
        return found


def person_id(person: Person) -> str:
    return str(person.patient_id or person.professional_id)


# --- each event, and whom it reaches ----------------------------------------------------------------------------------


def first_access(first: bool | None) -> Told:
    return lambda ring: dossier.RecordFirstAccessedBy(
        ring.record_id, str(ring.holder.patient_id), new_id(), "circle", AT, first
    )


def into_circle(by: str | None) -> Told:
    return lambda ring: dossier.CircleMemberAdded(
        ring.record_id, str(ring.professional.professional_id), by and who(ring, by).patient_id
    )


def out_of_circle(by: str | None) -> Told:
    return lambda ring: dossier.CircleMemberRemoved(
        ring.record_id, str(ring.professional.professional_id), by and who(ring, by).patient_id
    )


def mandate_ended(kind: str, cause: str | None, by: str | None = None) -> Told:
    return lambda ring: dossier.MandateEnded(
        ring.record_id, new_id(), str(ring.professional.professional_id), kind, None, cause,
        by and who(ring, by).patient_id,
    )  # fmt: skip


def mandate_ending(kind: str, whose: bool = True) -> Told:
    return lambda ring: dossier.MandateEnding(
        ring.record_id, new_id(), str(ring.professional.professional_id) if whose else None, kind, new_id(), AT
    )


def own_mandate(kind: str) -> Told:
    return lambda ring: dossier.MandateOpened(
        ring.record_id, new_id(), str(ring.professional.professional_id), kind, new_id()
    )


def person_out(ground: str, cause: str, by: str | None = None) -> Told:
    """The ground of the first outsider ends; by: who ended it, `themself` too."""

    def made(ring: Ring) -> Any:
        gone = ring.outsiders[0].patient_id
        doer = gone if by == "themself" else by and who(ring, by).patient_id
        return dossier.GrantEnded(
            ring.record_id, str(ring.holder.patient_id), ground, new_id(), "person", None, cause, AT, gone, doer
        )

    return made


OTHERS = ("representative", "assistant")

TOLD: list[tuple[str, Told, dict[str, str]]] = [
    ("the first professional of all", first_access(True),
     {"holder": "record_first_accessed_by", **dict.fromkeys(OTHERS, "first_access")}),
    ("a first access, of which it is not known", first_access(None),
     {"holder": "record_first_accessed_by", **dict.fromkeys(OTHERS, "first_access")}),
    ("somebody new", first_access(False), dict.fromkeys(SIDE, "new_professional")),
    ("the holder trusts somebody", into_circle("holder"),
     {**dict.fromkeys(OTHERS, "circle_added"), "professional": "professional.circle_added"}),
    ("the representative trusts somebody", into_circle("representative"),
     {"holder": "circle_added", "assistant": "circle_added", "professional": "professional.circle_added"}),
    ("somebody is trusted, nobody knows by whom", into_circle(None),
     {**dict.fromkeys(SIDE, "circle_added"), "professional": "professional.circle_added"}),
    ("the holder trusts somebody no more", out_of_circle("holder"), dict.fromkeys(OTHERS, "circle_removed")),
    ("the assistant ends the trust", out_of_circle("assistant"),
     dict.fromkeys(("holder", "representative"), "circle_removed")),
    ("a stay is over", mandate_ended("admission", "time"), dict.fromkeys(SIDE, "mandate_ended")),
    ("an order ended by the holder", mandate_ended("order", "holder", "holder"),
     dict.fromkeys(OTHERS, "mandate_ended")),
    ("a stay ended by a block", mandate_ended("hospital_emergency", "blocked", "representative"),
     dict.fromkeys(("holder", "assistant"), "mandate_ended")),
    ("an order for one professional", own_mandate("order"),
     {**dict.fromkeys(SIDE, "mandate_opened"), "professional": "professional.mandate_opened"}),
    ("a stay that is going to end, of nobody in particular", mandate_ending("admission", whose=False),
     dict.fromkeys(SIDE, "mandate_ending")),
    ("an order for one professional is going to end", mandate_ending("order"),
     {**dict.fromkeys(SIDE, "mandate_ending"), "professional": "professional.mandate_ending"}),
    ("a presence mandate is going to end, which its holder opened", mandate_ending("presence"),
     {"professional": "professional.mandate_ending"}),
    ("a stay of nobody in particular", mandate("admission"), dict.fromkeys(SIDE, "mandate_opened")),
    ("an assistant let go", person_out("assistant", "holder", "holder"),
     {**dict.fromkeys(OTHERS, "assistant_ended"), "outsider": "own_access_ended"}),
    ("an assistant resigned", person_out("assistant", "resigned", "themself"), dict.fromkeys(SIDE, "grant_ended")),
    ("an assistant's time is over", person_out("assistant", "time"),
     {**dict.fromkeys(SIDE, "grant_ended"), "outsider": "own_access_ended"}),
    ("a parent of somebody of age", person_out("legal_representative", "majority"),
     {**dict.fromkeys(SIDE, "grant_ended"), "outsider": "own_access_ended"}),
    ("a guardian ended by the agency", person_out("legal_representative", "agency"),
     {**dict.fromkeys(SIDE, "grant_ended"), "outsider": "own_access_ended"}),
]  # fmt: skip

SILENT: list[tuple[str, Told]] = [
    ("a presence mandate is over, which its holder opened", mandate_ended("presence", "time")),
    ("an emergency is over, of which its own event told", mandate_ended("emergency", "professional")),
    ("a presence mandate of nobody is going to end", mandate_ending("presence", whose=False)),
    ("an access on responsibility is over", mandate_ended("responsibility", "time")),
    ("a presence mandate of one professional, their own doing", own_mandate("presence")),
    ("a person's ground that ended with the record", person_out("assistant", "closing")),
    ("a person's ground that ended with the holder", person_out("legal_representative", "death")),
]

ROLE = {"holder": "holder", "representative": "representative", "assistant": "assistant"}


@pytest.mark.parametrize(("data", "hearing"), [each[1:] for each in TOLD], ids=[each[0] for each in TOLD])
def test_an_event_is_told_to_exactly_these_in_their_roles(
    post: Newsroom, ring: Ring, data: Told, hearing: dict[str, str]
) -> None:
    happened = data(ring)
    event_id = post.happen(happened, source="dossier")
    post.happen(happened, event_id, source="dossier")
    people = {name: ring.outsiders[0] if name == "outsider" else who(ring, name) for name in hearing}
    gone = "representative" if getattr(happened, "ground", "") == "legal_representative" else "assistant"
    expected = {
        person_id(person): {(hearing[name], gone if name == "outsider" else ROLE.get(name, ""))}
        for name, person in people.items()
    }
    assert told(post, event_id) == expected
    for person in ring.everybody:
        assert len(post.received(person)) == (person in people.values()), person


@pytest.mark.parametrize("data", [each[1] for each in SILENT], ids=[each[0] for each in SILENT])
def test_what_is_told_otherwise_is_told_to_nobody(post: Newsroom, ring: Ring, data: Told) -> None:
    event_id = post.happen(data(ring), source="dossier")
    assert told(post, event_id) == {}
    assert [person for person in ring.everybody if post.received(person)] == []


def test_who_no_longer_has_an_access_is_not_led_to_the_record(post: Newsroom, ring: Ring) -> None:
    event_id = post.happen(person_out("assistant", "time")(ring), source="dossier")
    with post.house.sessions["notifications"].transaction() as session:
        rows = session.scalars(sa.select(Message).where(Message.event_id == event_id)).all()
        led = {row.recipient_id: row.record_id for row in rows}
    assert led.pop(person_id(ring.outsiders[0])) is None
    assert set(led.values()) == {ring.record_id}


def test_every_occasion_of_the_table_is_reached_by_an_event() -> None:
    reached = {
        "record_first_accessed_by" if name == "record_first_accessed_by" else f"record_news.{name}"
        for table in (TOLD, test_record_news.TOLD) for _, _, hearing in table for name in hearing.values()
    }  # fmt: skip
    reached |= {f"queue.{name}" for name in (*QUEUED, "letters")}
    reached |= {f"record_news.{name}" for name in ("document_added", "document_shown", "professional.document_added")}
    accounts = {name for name, one in OCCASIONS.items() if ACCOUNT in one.audience and name != DEPOSIT_REJECTED}
    assert reached | accounts | KEPT_BY_OTHERS == set(OCCASIONS)


DEPOSIT_REJECTED = "record_news.deposit_rejected"


# --- documents --------------------------------------------------------------------------------------------------------


@dataclass
class Care:
    """A record that is open, with those in it who care for its holder, and those who no longer do."""

    ring: Ring
    trusted: Person
    author: Person
    left: Person
    barred: Person
    stopped: Person
    stranger: Person

    @property
    def record_id(self) -> str:
        return self.ring.record_id

    @property
    def professionals(self) -> list[Person]:
        return [self.trusted, self.author, self.left, self.barred, self.stopped, self.stranger]

    @property
    def everybody(self) -> list[Person]:
        return [*self.ring.everybody, *self.professionals]


def calling(person: Person) -> Caller:
    if person.patient_id is not None:
        return caller("patient", patient_id=person.patient_id, account_id=person.account_id)
    return caller("professional", professional_id=person.professional_id, account_id=person.account_id)


@pytest.fixture(scope="module")
def care(together: House, infra: Stack) -> Care:
    post = Newsroom.of(together, infra)
    ring = post.ring()
    made = Care(ring, *(post.professional() for _ in range(6)))
    together.deliver()  # what the directory says of them
    with together.sessions["dossier"].transaction() as session:
        session.execute(sa.update(Record).where(Record.record_id == ring.record_id).values(state="active"))
    holder, asked = calling(ring.holder), {"record_id": ring.record_id}
    for person in (made.trusted, made.author, made.left, made.barred, made.stopped):
        together.ask("dossier", "add_to_circle", holder, **asked, professional_id=person.professional_id)
    together.ask("dossier", "remove_from_circle", holder, **asked, professional_id=made.left.professional_id)
    together.ask("dossier", "block_professional", holder, **asked, professional_id=made.barred.professional_id,
                 risk_accepted=True, risk_version=next(iter(dossier.RISK_WORDINGS)))  # fmt: skip
    together.ask("directory", "set_licence", AGENT, professional_id=made.stopped.professional_id,
                 licence="suspended")  # fmt: skip
    together.deliver()
    for person in made.professionals:
        wishes(post, person, channels=("email", "inbox"))
    return made


def wishes(post: Newsroom, person: Person, *, channels: tuple[str, ...], **chosen: list[str] | None) -> None:
    """Sets of which new documents somebody hears, and how."""
    post.house.ask(
        "notifications", "change_notification_settings", calling(person), version=None, quiet_hours=None, digest=None,
        occasions=[{"name": "new_documents", "channels": list(channels)}],
        new_documents={"types": None, "authors": None} | chosen,
    )  # fmt: skip


def deposited(care: Care, **changes: Any) -> DocumentDeposited:
    return DocumentDeposited(**({
        "record_id": care.record_id, "document_id": new_id(), "version_id": new_id(),
        "document_type": "medical_report", "category": "care_reports", "level": "standard",
        "author_id": care.author.professional_id, "media_type": "application/pdf", "size": 10,
        "deposited_at": rfc3339(now()), "folder": "consultations",
    } | changes))  # fmt: skip


def news(post: Newsroom, *events: Any, send: bool = True) -> list[str]:
    """Events of documents reach their handlers, and what these have people told; the events people were told of."""
    told_of = []
    for data in events:
        with post.house.sessions["notifications"].transaction() as session:
            session.execute(sa.text("delete from outbox"))
        post.happen(data, source="documents")
        for event in post.house.events("notifications"):
            if event["type"] == DocumentNewsDue.type:
                due = DocumentNewsDue(**event["data"])
                told_of.append(post.happen(due, event["id"], source="notifications"))
                post.happen(due, event["id"], source="notifications")
    return told_of


def hearers(post: Newsroom, care: Care, *event_ids: str) -> dict[str, str]:
    """By name, who was told of these events and with what."""
    heard = {person: what for event_id in event_ids for person, what in told(post, event_id).items()}
    names = {person_id(getattr(care.ring, name)): name for name in SIDE}
    names |= {person_id(getattr(care, name)): name for name in
              ("trusted", "author", "left", "barred", "stopped", "stranger")}  # fmt: skip
    return {names[person]: occasion for person, what in heard.items() for occasion, _ in what}


ADDED, SHOWN = dict.fromkeys(SIDE, "document_added"), dict.fromkeys(SIDE, "document_shown")
COLLEAGUE = {"trusted": "professional.document_added"}


def test_a_new_document_is_told_to_the_side_and_to_who_has_the_patient_in_care_but_its_author(
    post: Newsroom, care: Care
) -> None:
    [event_id] = news(post, deposited(care))
    assert hearers(post, care, event_id) == {**ADDED, **COLLEAGUE}
    for person in care.everybody:
        hearing = person in (care.ring.holder, care.ring.representative, care.ring.assistant, care.trusted)
        assert len(post.received(person)) == hearing, person


def test_news_that_are_worked_together_are_told_as_each_alone_and_dossier_is_asked_once(
    post: Newsroom, care: Care, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, private, gone = deposited(care), deposited(care, level="private"), deposited(care)
    with post.house.sessions["notifications"].transaction() as session:
        session.execute(sa.text("delete from outbox"))
    for document in (shown, private, gone, shown):
        post.happen(document, source="documents")
    post.happen(DocumentRemoved(care.record_id, gone.document_id, "request", rfc3339(now())), source="documents")
    emitted = [event for event in post.house.events("notifications") if event["type"] == DocumentNewsDue.type]
    events = [
        Received(event["id"], "notifications", event["type"], event["time"], None, None,
                 DocumentNewsDue(**event["data"]), context())
        for event in emitted
    ]  # fmt: skip
    asked: list[int] = []
    dossier = post.house.notifications.dossier
    ask = dossier.hearers_of_documents

    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(len(kwargs["documents"]))
        return ask(*args, **kwargs)

    monkeypatch.setattr(dossier, "hearers_of_documents", counted)
    for _ in range(2):  # the second time changes nothing
        with post.house.sessions["notifications"].transaction() as session:
            post.house.notifications.on_document_news_due(session, events)
    assert asked == [3, 3]
    of = {event.id: event.data.document_id for event in events}
    heard = {event_id: hearers(post, care, event_id) for event_id in of}
    for event_id, document_id in of.items():
        expected = {shown.document_id: {**ADDED, **COLLEAGUE}, private.document_id: ADDED, gone.document_id: {}}
        assert heard[event_id] == expected[document_id]


def test_what_the_holder_wrote_is_told_to_who_may_read_it(post: Newsroom, care: Care) -> None:
    own = deposited(care, author_id=None, document_type="holder_note", category="personal_expression")
    [event_id] = news(post, own)
    assert hearers(post, care, event_id).items() >= ADDED.items()


def test_a_private_document_is_told_to_no_professional(post: Newsroom, care: Care) -> None:
    [event_id] = news(post, deposited(care, level="private"))
    assert hearers(post, care, event_id) == ADDED


def test_a_document_of_a_category_they_may_not_read_is_told_to_no_professional(post: Newsroom, care: Care) -> None:
    [event_id] = news(post, deposited(care, category="access_traces", author_id=None))
    assert hearers(post, care, event_id) == ADDED


def test_a_document_hidden_from_a_professional_is_not_told_to_them(post: Newsroom, care: Care) -> None:
    document = deposited(care)
    hidden = DocumentRestricted(
        care.record_id, document.document_id, str(care.trusted.professional_id), True, rfc3339(now())
    )
    [event_id] = news(post, hidden, document)
    assert hearers(post, care, event_id) == ADDED


def test_of_a_document_blocked_from_the_first_the_side_hears_when_it_is_shown_and_not_before(
    post: Newsroom, care: Care
) -> None:
    document, at = deposited(care, hidden="blocked"), rfc3339(now())
    blocked = DocumentBlocked(care.record_id, document.document_id, at)
    [event_id] = news(post, document, blocked)
    assert hearers(post, care, event_id) == COLLEAGUE
    assert [person for person in care.ring.everybody if post.received(person)] == []
    [shown] = news(post, DocumentReleased(care.record_id, document.document_id, rfc3339(now()), at))
    assert hearers(post, care, shown) == SHOWN
    assert [len(post.received(who(care.ring, name))) for name in SIDE] == [1, 1, 1]


def test_a_document_shown_again_while_it_is_withheld_is_told_to_the_minor_alone(post: Newsroom, care: Care) -> None:
    document, at = deposited(care, hidden="blocked"), rfc3339(now())
    released = DocumentReleased(care.record_id, document.document_id, rfc3339(now()), at, "withheld")
    first, shown = news(post, document, released)
    assert hearers(post, care, first) == COLLEAGUE
    assert hearers(post, care, shown) == {"holder": "document_shown"}


def test_a_document_blocked_before_its_news_went_out_is_not_told_to_the_side(post: Newsroom, care: Care) -> None:
    document = deposited(care)
    with post.house.sessions["notifications"].transaction() as session:
        session.execute(sa.text("delete from outbox"))
    post.happen(document, source="documents")
    [event] = [each for each in post.house.events("notifications") if each["type"] == DocumentNewsDue.type]
    post.happen(DocumentBlocked(care.record_id, document.document_id, rfc3339(now())), source="documents")
    post.happen(DocumentNewsDue(**event["data"]), event["id"], source="notifications")
    assert [person for person in care.ring.everybody if post.received(person)] == []
    assert len(post.received(care.trusted)) == 1


def test_people_hear_of_the_types_and_authors_that_they_chose(post: Newsroom, care: Care) -> None:
    holder, parent = care.ring.holder, care.ring.representative
    wishes(post, holder, channels=("email",), types=["laboratory_report"])
    wishes(post, parent, channels=("email",), authors=[str(care.author.professional_id)])
    try:
        [report] = news(post, deposited(care, author_id=care.trusted.professional_id))
        assert hearers(post, care, report) == {
            "assistant": "document_added", "author": "professional.document_added"
        }  # fmt: skip
        [chosen] = news(post, deposited(care, document_type="laboratory_report", category="laboratory"))
        assert hearers(post, care, chosen).items() >= ADDED.items()
    finally:
        for person in (holder, parent):
            wishes(post, person, channels=("email", "inbox", "push"))


def test_a_professional_who_has_not_asked_to_hear_of_new_documents_hears_of_none(post: Newsroom, care: Care) -> None:
    fresh = post.professional()
    post.house.deliver()
    post.house.ask("dossier", "add_to_circle", calling(care.ring.holder), record_id=care.record_id,
                   professional_id=fresh.professional_id)  # fmt: skip
    [event_id] = news(post, deposited(care))
    assert fresh.professional_id not in told(post, event_id)
    wishes(post, fresh, channels=("email",))
    [event_id] = news(post, deposited(care))
    assert told(post, event_id)[str(fresh.professional_id)] == {("professional.document_added", "")}
    post.house.ask("dossier", "remove_from_circle", calling(care.ring.holder), record_id=care.record_id,
                   professional_id=fresh.professional_id)  # fmt: skip
    [event_id] = news(post, deposited(care))
    assert fresh.professional_id not in told(post, event_id)


def test_nothing_of_a_document_stands_in_its_notice(post: Newsroom, care: Care) -> None:
    document = deposited(care)
    news(post, document)
    for person in (care.ring.holder, care.trusted):
        [mail] = post.received(person)
        forbidden = (document.document_id, document.document_type, document.category, str(document.author_id),
                     care.record_id, "Weber", "Zoé", "Schmit", "Léa")  # fmt: skip
        assert [word for word in forbidden if word in mail.as_string()] == []


def test_nobody_but_notifications_may_ask_whom_to_tell(post: Newsroom, care: Care) -> None:
    facts = {"record_id": care.record_id, "category": "care_reports", "type": "medical_report", "folder": "",
             "level": "standard", "author_id": None, "patient_blocked": False, "withheld": False,
             "restricted": []}  # fmt: skip
    [told] = post.house.ask("dossier", "hearers_of_documents", context(), process="notifications", documents=[facts])[
        "hearers"
    ]
    assert told["holder"]
    for process in ("gateway", "documents", "audit"):
        with pytest.raises(NotAllowed):
            post.house.ask("dossier", "hearers_of_documents", context(), process=process, documents=[facts])


# --- merges -----------------------------------------------------------------------------------------------------------


def test_who_was_merged_hears_while_they_are_one_and_no_longer_when_they_are_two(post: Newsroom) -> None:
    owner, survivor = post.person(), post.person()
    record_id = post.record(survivor)
    regenerated = dossier.PresenceCodeRegenerated(record_id, str(survivor.patient_id), AT)
    merged = post.house.ask("directory", "merge_patients", AGENT, survivor_id=survivor.patient_id,
                            merged_id=owner.patient_id, reason="other")  # fmt: skip
    post.house.deliver()
    post.happen(regenerated, source="dossier")
    assert [len(post.received(each)) for each in (survivor, owner)] == [1, 0], "the account of who speaks for both"
    post.house.ask("directory", "unmerge_patients", AGENT, merge_id=merged["merge_id"])
    post.house.deliver()
    post.happen(regenerated, source="dossier")
    assert [len(post.received(each)) for each in (survivor, owner)] == [2, 0]


# --- agents: queues ---------------------------------------------------------------------------------------------------

QUEUED: dict[str, tuple[str, Callable[[str], Any]]] = {
    "cases": ("audit", lambda at: CaseOpened(new_id(), at)),
    "alerts": ("audit", lambda at: AlertsRaised(3, at)),
    "removals": ("documents", lambda at: RemovalAsked(new_id(), new_id(), at)),
    "helpdesk": ("identity", lambda at: HelpdeskRequested(new_id(), at)),
    "reviews": ("dossier", lambda at: dossier.EmergencyAccessOpened(new_id(), new_id(), new_id(), new_id(), at)),
}
OFFICERS_ALONE = {"cases", "alerts", "reviews"}


@dataclass
class Agency:
    """Whoever works for the agency, and somebody who cannot log in any more."""

    agent: Person
    administrator: Person
    officer: Person
    locked: Person


@pytest.fixture(scope="module")
def agency(together: House, infra: Stack) -> Agency:
    post = Newsroom.of(together, infra)
    made = Agency(*(post.front.member(post.front.person(), "agent") for _ in range(4)))
    roles = {"administrator": made.administrator, "privacy_officer": made.officer}
    with together.sessions["identity"].transaction() as session:
        for role, person in (*roles.items(), ("privacy_officer", made.locked)):
            name = sa.select(Account.log_in_name).where(Account.account_id == person.account_id).scalar_subquery()
            session.execute(sa.update(Agent).where(Agent.log_in_name == name).values(role=role))
        locked = sa.update(Account).where(Account.account_id == made.locked.account_id)
        session.execute(locked.values(locked_at=now()))
    return made


@pytest.mark.parametrize("queue", QUEUED)
def test_what_comes_into_a_queue_is_told_to_those_who_work_it_off_once_an_hour(
    post: Newsroom, agency: Agency, queue: str
) -> None:
    source, happened = QUEUED[queue]
    for minute in (5, 6, 59):
        post.happen(happened(f"2026-03-03T08:{minute:02d}:00.000000Z"), source=source)
    hearing = [agency.officer] if queue in OFFICERS_ALONE else [agency.agent, agency.administrator, agency.officer]
    for person in (agency.agent, agency.administrator, agency.officer, agency.locked):
        assert len(post.received(person)) == (person in hearing), person
    post.happen(happened("2026-03-03T09:00:00.000000Z"), source=source)
    assert [len(post.received(person)) for person in hearing] == [2] * len(hearing)


def test_who_asked_for_a_removal_is_not_told_that_it_waits_for_a_second(post: Newsroom, agency: Agency) -> None:
    post.happen(RemovalAsked(new_id(), str(agency.agent.account_id), AT), source="documents")
    assert [len(post.received(each)) for each in (agency.agent, agency.administrator, agency.officer)] == [0, 1, 1]


def test_late_letters_are_told_to_the_agents(post: Newsroom, agency: Agency) -> None:
    for _ in range(2):
        post.house.notifications._agents_hear_of_letters()
    post.send()
    assert [len(post.received(each)) for each in (agency.agent, agency.locked)] == [1, 0]


def test_an_agent_hears_of_a_queue_neither_whom_nor_what_it_is_about(post: Newsroom, agency: Agency) -> None:
    case = CaseOpened(new_id(), AT)
    post.happen(case, source="audit")
    [mail] = post.received(agency.officer)
    assert case.case_id not in mail.as_string()
    assert agency.officer.matricule not in mail.as_string()
