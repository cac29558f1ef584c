"""Audit over real databases, with the real dossier beside it: kept once, never changed, read by whom it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from services.audit.contract import AccessTraced, traced
from services.audit.models import EntryRow, metadata
from services.audit.models_log import Leaf
from services.bus import Received, fresh_context, keep_ended_session
from services.db import new_id, now, plumbing, rfc3339
from services.dossier.contract import RecordClosed, RecordNotFound
from services.identity.contract import AccountActivated
from services.refusals import InvalidInput, SessionEnded
from services.tokens import Caller
from services.words import say_now
from tests.builders import House, any_matricule, caller, context

AGENT = caller("agent")


@pytest.fixture(scope="module")
def built(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, services=("directory", "dossier", "audit"))
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    """One house for all: entries stay for ever, so each test looks at records and traces of its own."""
    built.deliver()
    return built


def received(data: Any, source: str) -> Received:
    return Received(
        id=new_id(), source=source, type=data.type, time=rfc3339(now()), subject=None, number=None, data=data,
        context=fresh_context(),
    )  # fmt: skip


def tell(house: House, trace: AccessTraced, source: str = "documents") -> None:
    with house.sessions["audit"].transaction() as session:
        house.audit.on_access_traced(session, [received(trace, source)])


def open_record(house: House) -> tuple[Caller, str]:
    """A holder and their active record."""
    patient = caller("patient")
    record_id = house.ask("dossier", "open_record", AGENT, patient_id=patient.patient_id)["record_id"]
    activated = AccountActivated(
        account_id=patient.account_id, subject_kind="patient", patient_id=patient.patient_id, professional_id=None
    )
    with house.sessions["dossier"].transaction() as session:
        house.dossier.on_account_activated(session, received(activated, "identity"))
    house.deliver()
    return patient, str(record_id)


def doctor(house: House, profession: str = "physician") -> Caller:
    given = {"family_name": "Schmit", "first_name": "Léa", "profession": profession, "language": "fr"}
    answer = house.ask("directory", "register_professional", AGENT, matricule=any_matricule(), **given)
    house.deliver()
    return caller("professional", professional_id=answer["professional_id"], profession=profession)


def in_circle(house: House, patient: Caller, record_id: str) -> Caller:
    who = doctor(house)
    house.ask("dossier", "add_to_circle", patient, record_id=record_id, professional_id=who.professional_id)
    house.deliver()
    return who


def history(house: House, who: Caller, record_id: str, **given: Any) -> dict[str, Any]:
    answer: dict[str, Any] = house.ask("audit", "access_history", who, record_id=record_id, **given)
    return answer


def entries(house: House, who: Caller, record_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = history(house, who, record_id, limit=100)["entries"]
    return found


def kept(house: House, trace: AccessTraced) -> list[EntryRow]:
    with house.sessions["audit"].transaction() as session:
        return list(session.scalars(sa.select(EntryRow).where(EntryRow.trace_id == trace.trace_id)))


def readings(house: House) -> list[dict[str, Any]]:
    """The traces of reading the history that wait in audit's own outbox."""
    return [event["data"] for event in house.events("audit")]


# --- keeping ----------------------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_of_the_models(house: House) -> None:
    def ours(_thing: Any, name: str | None, kind: str, reflected: bool, _other: Any) -> bool:
        part = str(name).startswith("entries_")  # of the one table of entries, a year each
        return not (kind == "table" and reflected and (part or name in {*plumbing.tables, "alembic_version"}))

    assert metadata.tables["leaves"] is Leaf.__table__
    with house.sessions["audit"].engine.connect() as connection:
        found = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(found, metadata) == []


def test_every_field_of_a_trace_is_kept_with_its_emitter(house: House) -> None:
    who = caller("professional")
    trace = traced(
        who, "document.opened", at=now(), record_id=new_id(), object_id=new_id(), object_type="document",
        ground="circle", rule="circle/physician", outcome="refused", reason="document_not_found", purpose="care",
        count=3,
    )  # fmt: skip
    before = now()
    tell(house, trace, "documents")
    [row] = kept(house, trace)
    expected = asdict(trace)
    at = expected.pop("at")
    assert expected.pop("redelivered") is None
    assert {name: getattr(row, name) for name in expected} == expected
    assert (rfc3339(row.at), row.source) == (at, "documents")
    assert before <= row.received_at <= now()


def test_a_trace_that_comes_again_changes_nothing(house: House) -> None:
    record_id = new_id()
    trace = traced(caller("professional"), "record.read", at=now(), record_id=record_id)
    tell(house, trace)
    for _ in range(3):
        tell(house, trace, "dossier")
    assert [row.source for row in kept(house, trace)] == ["documents"]


def test_a_trace_that_comes_many_times_at_once_is_one_entry(house: House) -> None:
    trace = traced(None, "record.read", at=now())
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: tell(house, trace), range(18)))
    assert len(kept(house, trace)) == 1


def reading(who: Caller, redelivered: bool, seconds: float = 0, **about: Any) -> AccessTraced:
    """The trace of a request of `who`, so long after now, that was handed out before or was not."""
    asked = replace(who, context=replace(who.context, redelivered=redelivered))
    about = {"action": "document.read", "record_id": PLACE, "object_id": THING} | about
    return traced(asked, about.pop("action"), at=now() + timedelta(seconds=seconds), **about)


PLACE, THING = new_id(), new_id()


@pytest.mark.parametrize("together", [True, False])
def test_what_a_redelivered_request_does_again_is_one_entry(house: House, together: bool) -> None:
    who = caller("professional")
    first, again, once_more = reading(who, False), reading(who, True, 2), reading(who, True, 4)
    with house.sessions["audit"].transaction() as session:
        house.audit.on_access_traced(
            session, [received(one, "documents") for one in ([again, first, once_more] if together else [first])]
        )
    for one in (again, once_more, again):
        tell(house, one)
    assert [len(kept(house, one)) for one in (first, again, once_more)] == [1, 0, 0]


def test_what_is_done_is_told_and_not_that_it_could_not_be_done_again(house: House) -> None:
    who = caller("professional")
    first = reading(who, False, object_type="document")
    again = reading(who, True, 1, outcome="refused", reason="document_not_found")
    refused, done = reading(AGENT, False, outcome="refused", reason="document_not_found"), reading(AGENT, True, 1)
    for one in (first, again, refused, done):
        tell(house, one)
    assert [len(kept(house, one)) for one in (first, again, refused, done)] == [1, 0, 1, 1]


def test_what_a_redelivered_request_does_again_waits_for_whoever_is_keeping_the_first(house: House) -> None:
    who = caller("professional")
    first, again = reading(who, False), reading(who, True, 1)
    with ThreadPoolExecutor(1) as pool:
        with house.sessions["audit"].transaction() as session:
            house.audit.on_access_traced(session, [received(first, "documents")])
            say_now(session)
            telling = pool.submit(tell, house, again)
            with pytest.raises(TimeoutError):
                telling.result(0.5)
        telling.result(10)
    assert [len(kept(house, one)) for one in (first, again)] == [1, 0]


def test_what_nobody_did_before_a_request_was_redelivered_is_an_entry(house: House) -> None:
    who = caller("professional")
    trace, once_more = reading(who, True), reading(who, True, 1)
    for one in (trace, trace, once_more):
        tell(house, one)
    assert [len(kept(house, one)) for one in (trace, once_more)] == [1, 0]


@pytest.mark.parametrize(
    "differs",
    [
        {"object_id": new_id()}, {"object_id": None}, {"record_id": new_id()}, {"action": "document.shown"},
        {"account_id": new_id()},
        {"professional_id": new_id()}, {"session_id": new_id()}, {"object_type": "version"},
    ],
)  # fmt: skip
def test_what_a_redelivered_request_does_beside_what_was_done_is_an_entry_of_its_own(
    house: House, differs: dict[str, Any]
) -> None:
    who = caller("professional")
    first, beside = reading(who, False), reading(who, True, 1, **differs)
    tell(house, first)
    tell(house, beside)
    assert (len(kept(house, first)), len(kept(house, beside))) == (1, 1)


def test_only_a_redelivered_request_of_the_same_service_is_taken_for_what_was_done(house: House) -> None:
    who = caller("professional")
    first, second, another, of_another_service, late = (
        reading(who, False), reading(who, False), reading(replace(who, context=context()), True),
        reading(who, True), reading(who, True, 3600),
    )  # fmt: skip
    for one in (first, second, another):
        tell(house, one)
    tell(house, of_another_service, "directory")
    tell(house, late)
    assert all(len(kept(house, one)) == 1 for one in (first, second, another, of_another_service, late))


def test_an_impossible_id_somebody_asked_for_does_not_lose_the_entry(house: House) -> None:
    trace = traced(None, "record.read", at=now(), record_id="x' or 1=1", outcome="refused", reason="record_not_found")
    tell(house, trace)
    [row] = kept(house, trace)
    assert (row.record_id, row.reason) == (None, "record_not_found")


@pytest.mark.parametrize(
    "change",
    [
        "update entries set outcome = 'allowed'",
        "update entries set at = now() where false",
        "delete from entries",
        "delete from entries where false",
        "truncate entries",
        "insert into entries (trace_id, at, received_at, source, action, outcome) select trace_id, at, received_at,"
        " source, action, outcome from entries on conflict (trace_id) do update set action = 'record.read'",
    ],
)
def test_no_entry_is_ever_changed_or_removed(house: House, change: str) -> None:
    trace = traced(None, "log.read", at=now(), record_id=new_id(), outcome="refused", reason="record_not_found")
    tell(house, trace)
    with pytest.raises(DBAPIError, match="append-only"), house.sessions["audit"].transaction() as session:
        session.execute(sa.text(change))
    assert [(row.action, row.outcome) for row in kept(house, trace)] == [("log.read", "refused")]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_holder_reads_every_step_newest_first_refusals_included(house: House) -> None:
    patient, record_id = open_record(house)
    who = doctor(house)
    with pytest.raises(RecordNotFound):
        house.ask("dossier", "read_record", who, record_id=record_id)
    house.ask("dossier", "add_to_circle", patient, record_id=record_id, professional_id=who.professional_id)
    house.ask("dossier", "read_record", who, record_id=record_id)
    house.deliver()
    found = entries(house, patient, record_id)
    assert [(each["action"], each["outcome"], each["capacity"]) for each in found] == [
        ("record.read", "allowed", "professional"),
        ("circle.added", "allowed", "patient"),
        ("record.read", "refused", "professional"),
        ("record.state_changed", "allowed", None),
        ("record.opened", "allowed", "agent"),
    ]
    assert found[0]["ground"] == "circle"
    assert found[0]["professional_id"] == found[2]["professional_id"] == who.professional_id
    assert found[2]["reason"] == "record_not_found"
    assert found[1]["patient_id"] == patient.patient_id


def test_an_entry_travels_with_exactly_its_fields(house: House) -> None:
    patient, record_id = open_record(house)
    assert set(entries(house, patient, record_id)[0]) == {
        "entry_id", "at", "action", "account_id", "capacity", "professional_id", "patient_id", "profession",
        "establishment_id", "object_id", "object_type", "document_type", "ground", "rule", "outcome", "reason",
        "software", "request_id", "count",
    }  # fmt: skip


def test_a_professional_with_a_ground_reads_their_own_entries_only(house: House) -> None:
    patient, record_id = open_record(house)
    one, other = in_circle(house, patient, record_id), in_circle(house, patient, record_id)
    for who in (one, other, one):
        house.ask("dossier", "read_record", who, record_id=record_id)
    house.deliver()
    for who, times in ((one, 2), (other, 1)):
        found = entries(house, who, record_id)
        assert [each["action"] for each in found if each["action"] != "log.read"] == ["record.read"] * times
        assert {each["professional_id"] for each in found} == {who.professional_id}


def test_who_wrote_a_document_still_reads_their_own_entries_without_a_ground(house: House) -> None:
    patient, record_id = open_record(house)
    who = in_circle(house, patient, record_id)
    tell(house, traced(who, "document.created", at=now(), record_id=record_id, object_id=new_id()))
    house.ask("dossier", "remove_from_circle", patient, record_id=record_id, professional_id=who.professional_id)
    assert [each["action"] for each in entries(house, who, record_id)] == ["document.created"]
    assert readings(house)[-1]["ground"] == "author"


@pytest.mark.parametrize("trace", [
    {"action": "document.created", "outcome": "refused", "reason": "type_not_depositable"},
    {"action": "record.read", "outcome": "refused", "reason": "record_not_found"},
    {"action": "document.read"},
])  # fmt: skip
def test_tries_and_readings_make_nobody_an_author(house: House, trace: dict[str, str]) -> None:
    _, record_id = open_record(house)
    who = doctor(house)
    facts = dict(trace)
    tell(house, traced(who, facts.pop("action"), at=now(), record_id=record_id, **facts))  # type: ignore[arg-type]
    with pytest.raises(RecordNotFound):
        history(house, who, record_id)


def test_a_document_in_one_record_opens_no_other_history(house: House) -> None:
    (_, written), (_, other) = open_record(house), open_record(house)
    who = doctor(house)
    tell(house, traced(who, "document.created", at=now(), record_id=written))
    with pytest.raises(RecordNotFound):
        history(house, who, other)


def test_nobody_else_reads_a_history_and_each_try_is_traced(house: House) -> None:
    _, record_id = open_record(house)
    strangers = [caller("patient"), doctor(house), caller("professional"), AGENT, caller("machine")]
    for who in strangers:
        with pytest.raises(RecordNotFound):
            history(house, who, record_id)
    traces = readings(house)
    assert [trace["account_id"] for trace in traces] == [who.account_id for who in strangers]
    assert {(t["action"], t["outcome"], t["reason"], t["record_id"]) for t in traces} == {
        ("log.read", "refused", "record_not_found", record_id)
    }


@pytest.mark.parametrize("record_id", [new_id(), "nothing", "", 7, None])
def test_an_unknown_record_is_refused_like_a_foreign_one(house: House, record_id: Any) -> None:
    who = doctor(house)
    with pytest.raises(RecordNotFound) as refused:
        history(house, who, record_id)
    assert refused.value.detail == {}
    assert len(readings(house)) == 1


def test_a_professional_reads_nothing_of_a_closed_record_and_its_holder_hears_that_it_is_closed(house: House) -> None:
    patient, record_id = open_record(house)
    who = in_circle(house, patient, record_id)
    tell(house, traced(who, "document.created", at=now(), record_id=record_id))
    with house.sessions["dossier"].transaction() as session:
        session.execute(sa.text("update records set state = 'closed' where record_id = :id"), {"id": record_id})
    with pytest.raises(RecordNotFound):
        history(house, who, record_id)
    with pytest.raises(RecordClosed):
        history(house, patient, record_id)
    assert [trace["reason"] for trace in readings(house)] == ["record_not_found", "record_closed"]


def test_each_reading_of_the_history_leaves_one_trace_that_the_next_one_shows(house: House) -> None:
    patient, record_id = open_record(house)
    before = len(entries(house, patient, record_id))
    [trace] = readings(house)
    assert (trace["action"], trace["outcome"], trace["ground"], trace["count"]) == (
        "log.read", "allowed", "holder", before,
    )  # fmt: skip
    assert house.deliver() == 1
    found = entries(house, patient, record_id)
    assert len(found) == before + 1
    assert (found[0]["action"], found[0]["patient_id"]) == ("log.read", patient.patient_id)


def test_a_session_that_ended_reads_nothing(house: House) -> None:
    patient, record_id = open_record(house)
    with house.sessions["audit"].transaction() as session:
        keep_ended_session(session, patient.session_id)
    with pytest.raises(SessionEnded):
        history(house, patient, record_id)
    assert readings(house) == []


# --- pages ------------------------------------------------------------------------------------------------------------


def filled(house: House, record_id: str, count: int) -> list[str]:
    """Entries of a record, several of the same moment; their ids from the newest to the oldest."""
    start = datetime.fromisoformat("2027-01-01T00:00:00+00:00")
    made = [
        traced(None, "record.read", at=start + timedelta(seconds=n // 4), record_id=record_id) for n in range(count)
    ]
    for trace in made:
        tell(house, trace)
    return [trace.trace_id for trace in sorted(made, key=lambda trace: (trace.at, trace.trace_id), reverse=True)]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_pages_follow_one_another_without_gap_or_double(house: House, size: int) -> None:
    patient, record_id = open_record(house)
    opening = [each["entry_id"] for each in entries(house, patient, record_id)]
    newest_first = filled(house, record_id, 21)
    seen: list[str] = []
    cursor = None
    while True:
        page = history(house, patient, record_id, limit=size, cursor=cursor)
        assert len(page["entries"]) <= size
        seen += [each["entry_id"] for each in page["entries"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == newest_first + opening


def test_what_comes_while_paging_moves_no_page(house: House) -> None:
    patient, record_id = open_record(house)
    newest_first = filled(house, record_id, 10)
    first = history(house, patient, record_id, limit=5)
    tell(house, traced(None, "record.read", at="2027-02-01T00:00:00Z", record_id=record_id))
    second = history(house, patient, record_id, limit=5, cursor=first["next_cursor"])
    assert [each["entry_id"] for each in first["entries"] + second["entries"]] == newest_first


def test_a_cursor_shows_nobody_more_than_they_may_read(house: House) -> None:
    patient, record_id = open_record(house)
    filled(house, record_id, 4)
    cursor = history(house, patient, record_id, limit=1)["next_cursor"]
    with pytest.raises(RecordNotFound):
        history(house, doctor(house), record_id, cursor=cursor)
    assert history(house, in_circle(house, patient, record_id), record_id, cursor=cursor)["entries"] == []


@pytest.mark.parametrize("given", [{"cursor": "x"}, {"cursor": ""}, {"limit": 0}, {"limit": 101}])
def test_a_bad_cursor_or_limit_is_refused(house: House, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        history(house, caller("patient", context=context()), new_id(), **given)
