"""What hides a document hides every line about it from the same eyes; when it ends, they are there with their dates."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.audit import store
from services.audit.contract import traced
from services.bus import Received, fresh_context
from services.db import new_id, now, rfc3339
from services.documents.contract import DocumentBlocked, DocumentReleased, DocumentWithheld
from services.settings import Settings
from services.tokens import Caller
from tests.builders import House
from tests.services.ward import Ward

Line = tuple[str, str, str | None]


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, services=("dossier", "documents", "audit"))
    yield made
    made.close()


@pytest.fixture
def ward(house: House, bucket: Settings) -> Ward:
    made = Ward(house, bucket)
    house.deliver()
    return made


def lines(ward: Ward, who: Caller) -> list[dict[str, Any]]:
    """The whole access history as somebody reads it, page by page, when all that happened has arrived."""
    ward.house.deliver()
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = ward.house.ask("audit", "access_history", who, record_id=ward.record_id, limit=3, cursor=cursor)
        found += [entry for entry in page["entries"] if entry["action"] != "log.read"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def about(ward: Ward, who: Caller, document_id: str) -> list[Line]:
    """Time, action and actor of what somebody reads about a document, oldest first."""
    return [(entry["at"], entry["action"], entry["professional_id"]) for entry in reversed(lines(ward, who))
            if entry["object_id"] == document_id]  # fmt: skip


def actions(found: list[Line]) -> list[str]:
    return [action for _, action, _ in found]


# --- blocked for the patient ------------------------------------------------------------------------------------------


def test_while_a_document_is_blocked_no_line_tells_of_it_and_then_all_do_with_their_dates(ward: Ward) -> None:
    doctor, nurse, parent = ward.present(), ward.present("nurse"), ward.representative()
    other, document_id = ward.deposit(doctor), ward.deposit(doctor)
    assert actions(about(ward, ward.holder, document_id)) == ["document.created"]
    ward.block(doctor, document_id)
    ward.ask("read_document", nurse, document_id=document_id)
    ward.open(nurse, document_id)
    ward.set_level(doctor, document_id, "confidential")
    between = now()
    for who in (ward.holder, parent, ward.assistant()):
        assert about(ward, who, document_id) == []
        assert actions(about(ward, who, other)) == ["document.created"]
        assert document_id not in str(lines(ward, who))
    ward.release(doctor, document_id)
    found = about(ward, ward.holder, document_id)
    assert actions(found) == [
        "document.created", "document.blocked", "document.read", "document.opened", "document.level_changed",
        "document.released",
    ]  # fmt: skip
    assert found == sorted(found) and all(at < rfc3339(between) for at, _, _ in found[:-1])
    assert [whom for _, _, whom in found].count(nurse.professional_id) == 2
    assert about(ward, parent, document_id) == found


def test_the_holders_own_tries_on_a_blocked_document_are_left_out_too(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.block(doctor, document_id)
    with pytest.raises(Exception, match="document_not_found"):
        ward.ask("read_document", ward.holder, document_id=document_id)
    assert about(ward, ward.holder, document_id) == []
    ward.release(doctor, document_id)
    assert actions(about(ward, ward.holder, document_id)).count("document.read") == 1


def test_a_professional_goes_on_reading_their_own_lines(ward: Ward) -> None:
    doctor, nurse = ward.present(), ward.present("nurse")
    document_id = ward.deposit(doctor)
    ward.block(doctor, document_id)
    ward.open(nurse, document_id)
    assert actions(about(ward, doctor, document_id)) == ["document.created", "document.blocked"]
    assert actions(about(ward, nurse, document_id)) == ["document.opened"]


def test_a_document_that_is_blocked_again_disappears_again(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    for _ in range(2):
        ward.block(doctor, document_id)
        assert about(ward, ward.holder, document_id) == []
        ward.release(doctor, document_id)
        assert about(ward, ward.holder, document_id) != []
    assert actions(about(ward, ward.holder, document_id)) == [
        "document.created", *["document.blocked", "document.released"] * 2,
    ]  # fmt: skip


def test_what_a_professionals_list_counted_tells_the_holder_of_no_hidden_document(ward: Ward) -> None:
    doctor = ward.present()
    for _ in range(3):
        document_id = ward.deposit(doctor)
    ward.block(doctor, document_id)
    assert len(ward.listed(doctor)) == 3 and len(ward.listed(ward.holder)) == 2
    counts = {entry["professional_id"]: entry["count"] for entry in lines(ward, ward.holder)
              if entry["action"] == "document.searched"}  # fmt: skip
    assert counts == {doctor.professional_id: None, None: 2}
    [own] = [entry["count"] for entry in lines(ward, doctor) if entry["action"] == "document.searched"]
    assert own == 3


def test_what_a_professional_counted_in_the_history_tells_the_holder_of_no_hidden_line(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.block(doctor, document_id)
    lines(ward, doctor)
    ward.house.deliver()
    page = ward.house.ask("audit", "access_history", ward.holder, record_id=ward.record_id)
    lines(ward, ward.holder)
    again = ward.house.ask("audit", "access_history", ward.holder, record_id=ward.record_id)

    def counts(entries: list[dict[str, Any]], of: str | None) -> set[int | None]:
        return {one["count"] for one in entries if one["action"] == "log.read" and one["professional_id"] == of}

    assert counts(page["entries"], doctor.professional_id) == {None}
    assert counts(again["entries"], None) >= {len(page["entries"])}, "their own"


# --- withheld from the representatives --------------------------------------------------------------------------------


def test_lines_about_a_withheld_document_are_left_out_for_the_representatives_alone(ward: Ward) -> None:
    doctor, parent = ward.present(), ward.representative()
    document_id = ward.deposit(doctor)
    ward.set_in_record(autonomous_minor="yes")
    ward.ask("withhold_document", ward.holder, document_id=document_id)
    ward.open(doctor, document_id)
    assert about(ward, parent, document_id) == []
    assert actions(about(ward, ward.holder, document_id)) == [
        "document.created",
        "document.withheld",
        "document.opened",
    ]
    ward.ask("show_document", ward.holder, document_id=document_id)
    assert actions(about(ward, parent, document_id)) == [
        "document.created", "document.withheld", "document.opened", "document.unwithheld",
    ]  # fmt: skip


def test_what_the_minor_counted_tells_a_parent_of_no_withheld_document(ward: Ward) -> None:
    doctor, parent = ward.present(), ward.representative()
    withheld, _ = ward.deposit(doctor), ward.deposit(doctor)
    ward.set_in_record(autonomous_minor="yes")
    ward.ask("withhold_document", ward.holder, document_id=withheld)
    assert (len(ward.listed(ward.holder)), len(ward.listed(parent))) == (2, 1)

    def counts(who: Caller) -> dict[str | None, int | None]:
        listed = [entry for entry in lines(ward, who) if entry["action"] == "document.searched"]
        return {entry["patient_id"]: entry["count"] for entry in listed}

    assert counts(parent) == {ward.holder.patient_id: None, parent.patient_id: 1}
    assert counts(ward.holder) == {ward.holder.patient_id: 2, parent.patient_id: 1}


# --- late, twice, in any order ----------------------------------------------------------------------------------------


def received(data: Any) -> Received:
    return Received(new_id(), "documents", data.type, rfc3339(now()), None, None, data, fresh_context())


def hear(ward: Ward, data: Any) -> None:
    handlers = {DocumentBlocked: "on_document_blocked", DocumentReleased: "on_document_released",
                DocumentWithheld: "on_document_withheld"}  # fmt: skip
    with ward.house.sessions["audit"].transaction() as session:
        getattr(ward.house.audit, handlers[type(data)])(session, received(data))


def trace(ward: Ward, action: str, document_id: str, at: Any) -> str:
    told = traced(None, action, at=at, record_id=ward.record_id, object_id=document_id, object_type="document")
    with ward.house.sessions["audit"].transaction() as session:
        store.insert_entries(session, [(told, "documents")], now())
    return told.trace_id


def shown(ward: Ward) -> set[str]:
    return {entry["entry_id"] for entry in lines(ward, ward.holder)}


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::5])
def test_news_in_any_order_and_twice_end_in_the_same_history(ward: Ward, order: tuple[int, ...]) -> None:
    document_id, start = new_id(), now() - timedelta(hours=1)
    moments = [rfc3339(start + timedelta(minutes=n)) for n in range(5)]
    news: list[Callable[[], object]] = [
        lambda: hear(ward, DocumentBlocked(ward.record_id, document_id, moments[1])),
        lambda: hear(ward, DocumentReleased(ward.record_id, document_id, moments[2], moments[1])),
        lambda: hear(ward, DocumentBlocked(ward.record_id, document_id, moments[3])),
        lambda: entries.append(trace(ward, "document.blocked", document_id, moments[1])),
        lambda: entries.append(trace(ward, "document.read", document_id, moments[0])),
    ]
    entries: list[str] = []
    for number in order:
        news[number]()
    for number in order[:3]:
        if number < 3:
            news[number]()
    assert not shown(ward) & set(entries), "it is blocked for the second time"
    hear(ward, DocumentReleased(ward.record_id, document_id, moments[4], moments[3]))
    assert shown(ward) >= set(entries) and len(entries) == 2


def test_the_line_of_a_block_that_comes_before_its_news_is_not_shown(ward: Ward) -> None:
    document_id, at = new_id(), now()
    line = trace(ward, "document.blocked", document_id, at)
    assert line not in shown(ward)
    hear(ward, DocumentBlocked(ward.record_id, document_id, rfc3339(at)))
    assert line not in shown(ward)
    hear(ward, DocumentReleased(ward.record_id, document_id, rfc3339(now()), rfc3339(at)))
    assert line in shown(ward)


OF_RECORD = "_record_id_at_trace_id_idx"  # as the database names it in each year's part


def test_the_look_for_hidden_documents_goes_by_an_index(ward: Ward) -> None:
    with ward.house.sessions["audit"].transaction() as session:
        session.execute(sa.text(
            "insert into entries (trace_id, at, received_at, source, action, outcome, record_id, object_id)"
            " select gen_random_uuid(), now() - make_interval(secs => n), now(), 'documents', 'document.read',"
            " 'allowed', :r, gen_random_uuid() from generate_series(1, 5000) n"), {"r": ward.record_id})  # fmt: skip
        session.execute(sa.text(
            "insert into hidden_documents (document_id, kind, since, until) select gen_random_uuid(), 'blocked', now(),"
            " case when n % 10 = 0 then null else now() end from generate_series(1, 5000) n"))  # fmt: skip
    with ward.house.sessions["audit"].engine.connect() as connection:
        connection.execute(sa.text("analyze entries; analyze hidden_documents"))
    statements: list[tuple[str, Any]] = []
    engine = ward.house.sessions["audit"].engine

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    with ward.house.sessions["audit"].transaction() as session:
        store.entries_of_record(
            session, ward.record_id, of_professional=None, after=None, limit=51, without=("blocked", "withheld")
        )
    sa.event.remove(engine, "before_cursor_execute", note)
    query, parameters = statements[0]
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(
            f"explain (analyze, costs off, timing off) {query.split('; ')[-1]}", parameters
        )
        lines_of_plan = [row[0] for row in plan]
    assert any(OF_RECORD in line for line in lines_of_plan), lines_of_plan
    assert not any("Seq Scan on hidden_documents" in line for line in lines_of_plan), lines_of_plan
    read = [line for line in lines_of_plan if OF_RECORD in line or "on entries" in line]
    assert not any("rows=5" in line and "rows=51" not in line for line in read), lines_of_plan
