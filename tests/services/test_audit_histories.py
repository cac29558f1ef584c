"""The three histories of a record, each for whom it is: what is hidden from a reader is in none of them."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.audit.contract import traced
from services.bus import Received, fresh_context
from services.db import inbox, new_id, now, rfc3339
from services.documents.contract import (
    ConfidentialityChanged,
    DocumentBlocked,
    DocumentCorrected,
    DocumentDeposited,
    DocumentRestricted,
    DocumentWithheld,
    TypeNotDepositable,
)
from services.dossier.contract import RecordClosed, RecordNotFound
from services.refusals import InvalidInput
from services.settings import Settings
from services.tokens import Caller
from tests.builders import House, caller, pdf
from tests.services.test_audit import tell
from tests.services.test_documents_patient_blocks import referring_physician
from tests.services.ward import Ward

VIEWS = ("access_history", "activity_history", "chronology")


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, services=("dossier", "documents", "audit"))
    yield made
    made.close()


@pytest.fixture
def ward(house: House, bucket: Settings) -> Ward:
    made = Ward(house, bucket)
    made.sql("delete from examinations")
    house.deliver()
    return made


def page(ward: Ward, who: Caller, view: str = "access_history", **asked: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ward.house.ask("audit", view, who, record_id=ward.record_id, **asked)
    return answer


def entries(ward: Ward, who: Caller, view: str = "access_history", **asked: Any) -> list[dict[str, Any]]:
    """The whole of a history as somebody reads it, when all that happened has arrived; without the readings of it."""
    ward.house.deliver()
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = page(ward, who, view, limit=100, cursor=cursor, **asked)
        found += [entry for entry in answer["entries"] if entry["action"] != "log.read"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found


def about(ward: Ward, who: Caller, document_id: str, view: str = "access_history") -> list[str]:
    """The actions on a document that somebody reads of, oldest first."""
    return [entry["action"] for entry in reversed(entries(ward, who, view)) if entry["object_id"] == document_id]


def lines(ward: Ward, who: Caller, **asked: Any) -> list[dict[str, Any]]:
    """A whole chronology, when all that happened has arrived."""
    ward.house.deliver()
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = page(ward, who, "chronology", limit=2, cursor=cursor, **asked)
        found += answer["lines"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found


def happened(ward: Ward, at: datetime, who: Caller | None = None, action: str = "record.read", **more: Any) -> str:
    trace = traced(who or ward.holder, action, at=at, record_id=ward.record_id, **more)
    tell(ward.house, trace)
    return trace.trace_id


# --- the referring physician ------------------------------------------------------------------------------------------


def test_the_referring_physician_reads_the_whole_history_and_another_professional_their_own(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    document_id = ward.deposit(doctor)
    ward.trust(doctor)
    ward.open(ward.holder, document_id)
    found = entries(ward, referring)
    assert {"record.opened", "circle.added", "mandate.opened", "document.created"} <= {each["action"] for each in found}
    assert about(ward, referring, document_id) == ["document.created", "document.opened"]
    assert {each["professional_id"] for each in entries(ward, doctor)} == {doctor.professional_id}
    assert about(ward, doctor, document_id) == ["document.created"]


def test_what_is_restricted_from_the_referring_physician_is_in_no_history_of_theirs_until_it_is_not(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    document_id, other = ward.deposit(doctor), ward.deposit(doctor)
    ward.restrict(ward.holder, document_id, referring)
    ward.restrict(ward.holder, other, ward.present("nurse"))
    ward.open(doctor, document_id)
    assert about(ward, referring, document_id) == []
    assert about(ward, referring, document_id, "activity_history") == []
    assert document_id not in str(entries(ward, referring))
    assert about(ward, referring, other) == ["document.created", "document.restricted"]
    assert about(ward, ward.holder, document_id) == ["document.created", "document.restricted", "document.opened"]
    ward.unrestrict(ward.holder, document_id, referring)
    assert about(ward, referring, document_id) == [
        "document.created", "document.restricted", "document.opened", "document.unrestricted",
    ]  # fmt: skip


def test_lines_go_with_the_level_of_their_document_and_come_back_with_it(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    document_id = ward.deposit(doctor)
    assert about(ward, referring, document_id) == ["document.created"]
    ward.set_level(ward.holder, document_id, "private")
    assert document_id not in ward.listed(referring)
    assert about(ward, referring, document_id) == []
    ward.set_level(ward.holder, document_id, "standard")
    assert about(ward, referring, document_id)[:1] == ["document.created"]


def test_what_is_blocked_for_the_patient_the_referring_physician_goes_on_reading(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    document_id = ward.deposit(doctor)
    ward.block(doctor, document_id)
    assert about(ward, referring, document_id) == ["document.created", "document.blocked"]
    for view in ("access_history", "activity_history"):
        assert about(ward, ward.holder, document_id, view) == []
    ward.release(doctor, document_id)
    for view in ("access_history", "activity_history"):
        assert about(ward, ward.holder, document_id, view) == [
            "document.created", "document.blocked", "document.released",
        ]  # fmt: skip


def test_who_wrote_a_document_reads_all_about_it_even_where_it_is_private(ward: Ward) -> None:
    referring, nurse = referring_physician(ward), ward.present("nurse")
    document_id = ward.deposit(referring)
    ward.open(nurse, document_id)
    ward.set_level(ward.holder, document_id, "private")
    assert about(ward, referring, document_id) == ["document.created", "document.opened", "document.level_changed"]


def test_a_document_that_audit_has_not_been_told_of_is_in_nobodys_history_who_may_not_see_all(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    mine, theirs = new_id(), new_id()
    happened(ward, now(), doctor, "document.created", object_id=theirs, object_type="document")
    happened(ward, now(), referring, "document.created", object_id=mine, object_type="document")
    assert about(ward, referring, theirs) == []
    assert about(ward, referring, mine) == ["document.created"], "their own"
    assert about(ward, ward.holder, theirs) == ["document.created"]


def test_a_deposit_is_in_the_referring_physicians_history_when_it_has_passed_the_close_look(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    started, data = ward.prepare(doctor), pdf()
    ward.put(started, data)
    document_id = ward.commit(doctor, started, data)["document_id"]
    assert about(ward, referring, document_id) == []
    ward.examine()
    assert about(ward, referring, document_id) == ["document.created"]


@contextmanager
def unread(ward: Ward, news: Any) -> Iterator[None]:
    """Meanwhile this lies in audit's inbox."""
    event_id, engine = new_id(), ward.house.sessions["audit"]
    told = {
        "event_id": event_id,
        "source": "documents",
        "type": news.type,
        "envelope": json.dumps({"data": vars(news)}),
    }
    with engine.transaction() as session:
        session.execute(sa.insert(inbox).values(state="due", **told))
    yield
    with engine.transaction() as session:
        session.execute(sa.update(inbox).where(inbox.c.event_id == event_id).values(state="done"))


def test_news_that_waits_to_be_read_hides_the_document_it_is_of(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    document_id, other = ward.deposit(doctor), ward.deposit(doctor)
    created = ["document.created"]
    assert about(ward, referring, document_id) == about(ward, referring, other) == created
    with unread(ward, ConfidentialityChanged(ward.record_id, document_id, "private", "standard", rfc3339(now()))):
        assert about(ward, referring, document_id) == []
        assert about(ward, referring, other) == about(ward, ward.holder, document_id) == created
    assert about(ward, referring, document_id) == created


def test_a_block_that_waits_to_be_read_hides_the_document_from_the_holder_side_too(ward: Ward) -> None:
    doctor, parent = ward.present(), ward.representative()
    document_id, other = ward.deposit(doctor), ward.deposit(doctor)
    with unread(ward, DocumentBlocked(ward.record_id, document_id, rfc3339(now()))):
        assert about(ward, ward.holder, document_id) == about(ward, parent, document_id) == []
        assert about(ward, ward.holder, other) == about(ward, doctor, document_id) == ["document.created"]
        assert "mandate.opened" in {each["action"] for each in entries(ward, ward.holder)}
    at = rfc3339(now())
    with unread(ward, DocumentWithheld(ward.record_id, document_id, True, at, at)):
        assert (about(ward, parent, document_id), about(ward, ward.holder, document_id)) == ([], ["document.created"])
    assert about(ward, ward.holder, document_id) == about(ward, parent, document_id) == ["document.created"]


def test_what_tells_of_documents_without_naming_one_is_the_holders_alone(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    happened(ward, now(), doctor, "document.prepared")
    pharmacist = ward.present("pharmacist")
    with pytest.raises(TypeNotDepositable):
        ward.prepare(pharmacist, type="imaging")
    happened(ward, now(), ward.holder, "deposit.opposed", object_id=new_id(), object_type="deposit_wish")
    happened(ward, now(), caller("agent"), "review.settled", object_id=new_id(), object_type="review")
    telling = {"document.prepared", "document.created", "deposit.opposed", "review.settled"}
    assert {each["action"] for each in entries(ward, ward.holder)} >= telling
    assert not {each["action"] for each in entries(ward, referring)} & telling
    happened(ward, now(), referring, "document.prepared")
    assert [each["action"] for each in entries(ward, referring)].count("document.prepared") == 1, "their own"


def test_a_refused_try_by_its_id_is_in_no_view_of_who_tried_unless_they_see_the_document(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    hidden, seen = ward.deposit(doctor), ward.deposit(doctor)
    ward.restrict(ward.holder, hidden, referring)
    refused: dict[str, Any] = {"outcome": "refused", "reason": "not_allowed", "object_type": "document"}
    for document_id in (hidden, seen):
        happened(ward, now(), referring, "document.restricted", object_id=document_id, **refused)
        happened(ward, now(), doctor, "document.restricted", object_id=document_id, **refused)
    assert about(ward, referring, hidden) == []
    assert about(ward, referring, seen) == ["document.created", "document.restricted", "document.restricted"]
    happened(ward, now(), referring, "mandate.ended", object_id=hidden, outcome="refused", reason="not_allowed",
             object_type="mandate")  # fmt: skip
    assert about(ward, referring, hidden) == []


def test_how_much_an_answer_showed_is_told_of_ones_own_alone(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    for _ in range(2):
        document_id = ward.deposit(doctor)
    ward.restrict(ward.holder, document_id, referring)
    seen = [len(ward.listed(who)) for who in (ward.holder, doctor, referring)]
    assert seen == [2, 2, 1]
    lists = [each for each in entries(ward, referring) if each["action"] == "document.searched"]
    assert {each["professional_id"]: each["count"] for each in lists} == {
        None: None, doctor.professional_id: None, referring.professional_id: 1,
    }  # fmt: skip
    assert {each["count"] for each in entries(ward, ward.holder) if each["capacity"] == "patient"
            and each["action"] == "document.searched"} == {2}  # fmt: skip


def test_the_type_of_a_document_is_told_to_who_sees_it(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.open(doctor, document_id)
    nurse = ward.present("nurse")
    ward.open(nurse, document_id)

    def types(who: Caller) -> set[str | None]:
        return {each["document_type"] for each in entries(ward, who) if each["object_id"] == document_id}

    assert types(ward.holder) == types(doctor) == types(nurse) == {"medical_report"}
    ward.set_level(ward.holder, document_id, "private")
    assert types(nurse) == {None}, "they see it no more"
    assert types(doctor) == {"medical_report"}, "its author"


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_the_lines_on_documents_are_those_on_what_the_reader_sees(ward: Ward, seed: int) -> None:
    draw = random.Random(seed)
    doctor, referring, nurse = ward.present(), referring_physician(ward), ward.present("nurse")
    documents = [ward.deposit(who) for who in (doctor, referring, nurse) for _ in range(2)]

    def level() -> str:
        document_id = draw.choice(documents)
        ward.set_level(ward.holder, document_id, draw.choice(["standard", "confidential", "private"]))
        return document_id

    def restrict() -> str:
        document_id = draw.choice(documents)
        ward.restrict(ward.holder, document_id, draw.choice([referring, nurse]))
        return document_id

    def unrestrict() -> str:
        document_id = draw.choice(documents)
        ward.unrestrict(ward.holder, document_id, draw.choice([referring, nurse]))
        return document_id

    ward.house.deliver()
    touched = {each["object_id"] for each in entries(ward, ward.holder)
               if each["professional_id"] != referring.professional_id}  # fmt: skip
    for _ in range(12):
        document_id = draw.choice([level, restrict, unrestrict])()
        touched.add(document_id)
        seen = set(ward.listed(referring))
        found = [each for each in entries(ward, referring) if each["object_type"] == "document"]
        of_others = {each["object_id"] for each in found if each["professional_id"] != referring.professional_id}
        assert of_others == seen & touched
        assert {each["object_id"] for each in found if each["document_type"]} <= seen


# --- what is told, late, twice and in any order -----------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_facts_told_in_any_order_and_twice_are_the_last_ones(ward: Ward, order: tuple[int, ...]) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    document_id, start = new_id(), now() - timedelta(hours=1)
    line = happened(ward, start, doctor, "document.created", object_id=document_id, object_type="document")
    record = ward.record_id
    news: list[Any] = [
        DocumentDeposited(record, document_id, new_id(), "medical_report", "care_reports", "private", new_id(),
                          "application/pdf", 9, rfc3339(start), None, "medical_data"),
        ConfidentialityChanged(record, document_id, "standard", "private", rfc3339(start)),
        DocumentRestricted(record, document_id, referring.professional_id or "", True, rfc3339(start)),
        DocumentRestricted(record, document_id, referring.professional_id or "", False, rfc3339(start)),
    ]  # fmt: skip
    heard: set[int] = set()
    for number in (*order, *order):
        hear(ward, news[number], start + timedelta(minutes=number))
        heard.add(number)
        shown = line in {each["entry_id"] for each in page(ward, referring)["entries"]}
        assert shown == ({0, 1} <= heard and (2 not in heard or 3 in heard)), heard


def test_another_type_takes_the_lines_to_who_may_see_that_type(ward: Ward) -> None:
    doctor, referring, start = ward.present(), referring_physician(ward), now()
    document_id = new_id()
    line = happened(ward, start, doctor, "document.created", object_id=document_id, object_type="document")
    kind = DocumentCorrected(ward.record_id, document_id, 2, "medical_report", "of_no_clause", "x", rfc3339(start))
    deposited = DocumentDeposited(ward.record_id, document_id, new_id(), "medical_report", "care_reports", "standard",
                                  new_id(), "application/pdf", 9, rfc3339(start), None, "medical_data")  # fmt: skip
    hear(ward, deposited, start)
    assert line in {each["entry_id"] for each in page(ward, referring)["entries"]}
    hear(ward, kind, start + timedelta(seconds=1))
    assert line not in {each["entry_id"] for each in page(ward, referring)["entries"]}


def test_whatever_else_is_told_of_a_document_its_lines_wait_until_others_may_see_it(ward: Ward) -> None:
    doctor, referring, start = ward.present(), referring_physician(ward), now()
    document_id, author = new_id(), doctor.professional_id
    line = happened(ward, start, doctor, "document.created", object_id=document_id, object_type="document")
    hear(ward, ConfidentialityChanged(ward.record_id, document_id, "standard", "private", rfc3339(start)), start)
    kind = DocumentCorrected(ward.record_id, document_id, 2, "medical_report", "care_reports", "x", rfc3339(start))
    hear(ward, kind, start)
    assert line not in {each["entry_id"] for each in page(ward, referring)["entries"]}
    passed = DocumentDeposited(ward.record_id, document_id, new_id(), "medical_report", "care_reports", "standard",
                               author, "application/pdf", 9, rfc3339(start), None, "medical_data")  # fmt: skip
    hear(ward, passed, start + timedelta(seconds=1))
    assert line in {each["entry_id"] for each in page(ward, referring)["entries"]}


def hear(ward: Ward, data: Any, at: datetime) -> None:
    """Audit hears news that were told at a moment."""
    handlers = {DocumentDeposited: "on_document_deposited", ConfidentialityChanged: "on_confidentiality_changed",
                DocumentRestricted: "on_document_restricted", DocumentCorrected: "on_document_corrected"}  # fmt: skip
    event = Received(new_id(), "documents", data.type, rfc3339(at), None, None, data, fresh_context())
    with ward.house.sessions["audit"].transaction() as session:
        getattr(ward.house.audit, handlers[type(data)])(session, event)


# --- narrowed ---------------------------------------------------------------------------------------------------------


def test_a_history_is_narrowed_to_what_is_asked_of_it(ward: Ward) -> None:
    doctor, nurse = ward.present(), ward.present("nurse")
    document_id = ward.deposit(doctor)
    ward.open(nurse, document_id)
    ward.house.deliver()
    whole = entries(ward, ward.holder)
    for name, asked in {
        "professional_id": nurse.professional_id, "establishment_id": nurse.establishment_id, "ground": "presence",
        "object_id": document_id, "outcome": "allowed",
    }.items():  # fmt: skip
        found = entries(ward, ward.holder, **{name: asked})
        assert found == [each for each in whole if each[name] == asked] and found, name
    grouped = entries(ward, ward.holder, group="mandates")
    assert {each["action"] for each in grouped} == {"mandate.opened", "code.issued"}
    assert entries(ward, ward.holder, outcome="refused") == []
    assert entries(ward, ward.holder, professional_id=new_id()) == []


def test_days_are_those_of_utc_and_the_last_one_is_among_them(ward: Ward) -> None:
    noon = datetime(2026, 3, 5, 12, tzinfo=UTC)
    moments = [noon + timedelta(days=n) for n in range(3)] + [datetime(2026, 3, 6, 23, 59, 59, 999999, UTC)]
    ids = [happened(ward, at) for at in moments]

    def found(**asked: str) -> set[str]:
        return {each["entry_id"] for each in entries(ward, ward.holder, **asked)} & set(ids)

    assert found(since="2026-03-06", until="2026-03-06") == {ids[1], ids[3]}
    assert found(until="2026-03-05") == {ids[0]} and found(since="2026-03-07") == {ids[2]}
    assert found(since="0001-01-01", until="9999-12-31") == set(ids)


def test_no_narrowing_shows_what_is_hidden(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    document_id = ward.deposit(doctor)
    ward.restrict(ward.holder, document_id, referring)
    for view in ("access_history", "activity_history"):
        assert entries(ward, referring, view, object_id=document_id) == []
        assert entries(ward, referring, view, object_id=new_id()) == []
    assert "document.created" not in str(lines(ward, referring, group="documents"))
    assert entries(ward, doctor, professional_id=ward.present().professional_id) == []


@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages_of_a_narrowed_history_follow_one_another_without_gap_or_double(ward: Ward, size: int) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    for _ in range(4):
        ward.restrict(ward.holder, ward.deposit(doctor), referring)
        ward.deposit(doctor)
    whole = entries(ward, referring, group="documents")
    assert len(whole) == 4
    seen: list[str] = []
    cursor = None
    while True:
        answer = page(ward, referring, limit=size, cursor=cursor, group="documents")
        seen += [each["entry_id"] for each in answer["entries"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert seen == [each["entry_id"] for each in whole]


@pytest.mark.parametrize(("asked", "pointers"), [
    ({"since": "yesterday", "until": "2026-02-30"}, ["/since", "/until"]),
    ({"professional_id": "x"}, ["/professional_id"]), ({"object_id": 7}, ["/object_id"]),
    ({"group": "everything"}, ["/group"]), ({"outcome": "maybe"}, ["/outcome"]), ({"ground": "' or 1=1"}, ["/ground"]),
])  # fmt: skip
def test_what_narrows_nothing_is_refused_and_leaves_no_trace(
    ward: Ward, asked: dict[str, Any], pointers: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        page(ward, ward.holder, **asked)
    assert [error["pointer"] for error in refused.value.detail["errors"]] == pointers
    assert ward.house.events("audit") == []


# --- the activity history ---------------------------------------------------------------------------------------------


def test_the_activity_history_has_what_changed_and_nothing_that_only_looked(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.open(doctor, document_id)
    ward.listed(ward.holder)
    ward.set_level(ward.holder, document_id, "confidential")
    ward.trust(doctor)
    with pytest.raises(TypeNotDepositable):
        ward.prepare(ward.present("pharmacist"), type="imaging")
    found = [each["action"] for each in entries(ward, ward.holder, "activity_history")]
    assert {"circle.added", "document.level_changed", "document.created", "record.opened"} <= set(found)
    assert not {"document.opened", "document.searched", "log.read"} & set(found)
    assert found.count("document.created") == 1, "the refused one is none"
    assert entries(ward, ward.holder, "activity_history", group="log") == []
    sharing = {each["action"] for each in entries(ward, ward.holder, "activity_history", group="sharing")}
    assert sharing == {"circle.added", "document.level_changed"}


# --- the chronology ---------------------------------------------------------------------------------------------------


def test_a_chronology_has_a_line_for_each_person_and_day(ward: Ward) -> None:
    doctor, nurse = ward.professional(), ward.professional("nurse")
    first, second = datetime(2026, 3, 5, 23, 59, tzinfo=UTC), datetime(2026, 3, 6, 0, 1, tzinfo=UTC)
    document = {"object_id": new_id(), "object_type": "document"}
    happened(ward, first, doctor, "document.opened", ground="circle", **document)
    for minutes, who in ((0, doctor), (1, nurse), (2, doctor)):
        happened(ward, second + timedelta(minutes=minutes), who, "document.opened", ground="presence", **document)
    happened(ward, second, doctor, "record.read", outcome="refused", reason="record_not_found")
    told = lines(ward, ward.holder, until="2026-03-06")
    assert [(each["day"], each["professional_id"]) for each in told] == [
        ("2026-03-06", doctor.professional_id), ("2026-03-06", nurse.professional_id),
        ("2026-03-05", doctor.professional_id),
    ]  # fmt: skip
    assert told[0]["did"] == [
        {"action": "document.opened", "times": 2, "refused": 0}, {"action": "record.read", "times": 1, "refused": 1},
    ]  # fmt: skip
    assert (told[0]["first_at"], told[0]["last_at"]) == (rfc3339(second), rfc3339(second + timedelta(minutes=2)))
    assert [each["grounds"] for each in told] == [["presence"], ["presence"], ["circle"]]


@pytest.mark.parametrize("limit", [1, 2, 31])
def test_pages_of_days_follow_one_another_over_days_without_anything(ward: Ward, limit: int) -> None:
    days = [datetime(2026, 1, 1, 8, tzinfo=UTC) + timedelta(days=n) for n in (0, 1, 40, 300)]
    for at in days:
        happened(ward, at)
        happened(ward, at + timedelta(hours=3))
    seen: list[str] = []
    cursor: str | None = "2026-11-01"
    while cursor is not None:
        answer = page(ward, ward.holder, "chronology", limit=limit, cursor=cursor)
        assert len({line["day"] for line in answer["lines"]}) <= limit
        seen += [line["day"] for line in answer["lines"]]
        assert all(line["did"] == [{"action": "record.read", "times": 2, "refused": 0}] for line in answer["lines"])
        cursor = answer["next_cursor"]
    assert seen == [at.date().isoformat() for at in reversed(days)]


def test_nothing_is_counted_that_the_reader_is_not_shown(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    hidden, blocked = ward.deposit(doctor), ward.deposit(doctor)
    ward.restrict(ward.holder, hidden, referring)
    ward.block(doctor, blocked)

    def deposits(who: Caller) -> list[int]:
        return [done["times"] for line in lines(ward, who) for done in line["did"]
                if done["action"] == "document.created"]  # fmt: skip

    assert (deposits(ward.holder), deposits(referring), deposits(doctor)) == ([1], [1], [2])
    assert "document.blocked" not in str(lines(ward, ward.holder)) and "document.blocked" in str(lines(ward, referring))
    ward.release(doctor, blocked)
    assert deposits(ward.holder) == [2]


def test_another_professional_reads_their_own_days_alone(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    ward.open(other, ward.deposit(doctor))
    assert {line["professional_id"] for line in lines(ward, other)} == {other.professional_id}


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 32}, {"cursor": "x"}, {"cursor": "2026-13-01"}])
def test_a_bad_page_of_days_is_refused(ward: Ward, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        page(ward, ward.holder, "chronology", **asked)


# --- each of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_each_reading_leaves_one_trace_that_names_the_view(ward: Ward, view: str) -> None:
    ward.house.deliver()
    answer = page(ward, ward.holder, view)
    [event] = ward.house.events("audit")
    trace = event["data"]
    shown = len(answer["lines" if view == "chronology" else "entries"])
    assert (trace["action"], trace["object_type"], trace["ground"], trace["count"]) == (
        "log.read",
        view,
        "holder",
        shown,
    )
    assert shown > 0 and trace["record_id"] == ward.record_id


@pytest.mark.parametrize("view", VIEWS)
def test_nobody_else_reads_any_of_them_and_each_try_leaves_its_trace(ward: Ward, view: str) -> None:
    ward.house.deliver()
    strangers = [caller("patient"), ward.professional(), caller("agent"), caller("machine")]
    for who in strangers:
        with pytest.raises(RecordNotFound):
            page(ward, who, view)
    traces = [event["data"] for event in ward.house.events("audit")]
    assert [trace["account_id"] for trace in traces] == [who.account_id for who in strangers]
    assert {(t["outcome"], t["reason"], t["object_type"]) for t in traces} == {("refused", "record_not_found", view)}


@pytest.mark.parametrize("view", VIEWS)
def test_of_a_closed_record_the_holder_hears_that_it_is_and_its_referring_physician_nothing(
    ward: Ward, view: str
) -> None:
    referring = referring_physician(ward)
    assert page(ward, referring, view)
    ward.set_in_record(state="closed")
    with pytest.raises(RecordClosed):
        page(ward, ward.holder, view)
    with pytest.raises(RecordNotFound):
        page(ward, referring, view)


@pytest.mark.parametrize("view", VIEWS)
def test_a_history_is_one_statement_whoever_reads_it(ward: Ward, view: str) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    ward.deposit(doctor)
    ward.house.deliver()
    for who in (ward.holder, doctor, referring):
        with ward.counted("audit") as statements:
            page(ward, who, view)
        assert len([each for each in statements if "entries" in each]) == 1, statements


# --- what it costs ----------------------------------------------------------------------------------------------------

OF_RECORD = re.compile(
    r"Index (?:Only )?Scan using \w+_record_id_at_trace_id_idx\w* on entries\w*.*rows=(\d+) loops=(\d+)"
)


def looked_at(ward: Ward, who: Caller, view: str, **asked: Any) -> int:
    """How many entries the database takes into its hands for a page of a history; each by the index of the record.

    In the part of the table where the test's own are: the others are all but empty, and may be read whole.
    """
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    engine = ward.house.sessions["audit"].engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        page(ward, who, view, **asked)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    [(query, parameters)] = [each for each in statements if "entries" in each[0]]
    with engine.connect() as connection:
        analyzed = "explain (analyze, costs off, timing off) " + query.split("; ")[-1]
        plan = [line[0].strip() for line in connection.exec_driver_sql(analyzed, parameters)]
    scans = [line for line in plan if " on entries_of_no_year" in line and "never executed" not in line]
    found = [OF_RECORD.search(line) for line in scans]
    assert scans and all(found), "\n".join(plan)
    return sum(int(each[1]) * int(each[2]) for each in found if each)


def test_a_page_of_a_long_history_is_read_by_the_records_index_and_no_further(ward: Ward) -> None:
    doctor, referring = ward.present(), referring_physician(ward)
    document_id = ward.deposit(doctor)
    ward.house.deliver()
    with ward.house.sessions["audit"].transaction() as session:
        session.execute(sa.text(
            "insert into entries (trace_id, at, received_at, source, action, outcome, record_id, object_id,"
            " object_type) select gen_random_uuid(), now() - make_interval(hours => n), now(), 'documents',"
            " 'document.read', 'allowed', :record, :document, 'document' from generate_series(1, 20000) n"),
            {"record": ward.record_id, "document": document_id})  # fmt: skip
    with ward.house.sessions["audit"].engine.connect() as connection:
        connection.execute(sa.text("analyze entries; analyze document_facts; analyze document_restrictions"))
    for who in (ward.holder, referring):
        assert 40 <= looked_at(ward, who, "access_history", limit=50) <= 200
        assert 72 <= looked_at(ward, who, "chronology", limit=3, cursor="2026-06-01") <= 300
