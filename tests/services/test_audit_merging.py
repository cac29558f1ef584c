"""Histories of two records that turned out to be one person's: read as one while the merge runs; no entry changes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.audit import store
from services.audit.contract import traced
from services.audit.models import EntryRow
from services.db import new_id, now
from services.directory.contract import PatientsMerged, PatientsUnmerged
from services.dossier.contract import RecordClosed, RecordNotFound, RecordsMerged, RecordsUnmerged
from services.tokens import Caller
from tests.builders import House, caller, newest_revision
from tests.conftest import Before
from tests.services.test_audit import doctor, entries, history, in_circle, open_record, received, tell

AT = "2026-11-21T09:30:00.000000Z"


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, services=("directory", "dossier", "audit"))
    yield made
    made.close()


class Twins:
    """Two holders with a record each."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.holder, self.record = open_record(house)
        self.twin, self.other = open_record(house)
        self.news = (new_id(), self.holder.patient_id or "", self.twin.patient_id or "", AT)

    def hear(self, kind: type, handler: str) -> None:
        with self.house.sessions["dossier"].transaction() as session:
            getattr(self.house.dossier, handler)(session, received(kind(*self.news), "directory"))
        self.house.deliver()

    def merge(self) -> None:
        self.hear(PatientsMerged, "on_patients_merged")

    def unmerge(self) -> None:
        self.hear(PatientsUnmerged, "on_patients_unmerged")


@pytest.fixture
def twins(house: House) -> Twins:
    return Twins(house)


def happened(house: House, record_id: str, who: Caller | None = None, age: int = 0, **more: Any) -> str:
    """An access to a record, `age` minutes ago; its entry's id."""
    trace = traced(who or caller("professional"), "record.read", at=now() - timedelta(minutes=age),
                   record_id=record_id, **more)  # fmt: skip
    tell(house, trace)
    return trace.trace_id


def ids(found: list[dict[str, Any]]) -> set[str]:
    return {entry["entry_id"] for entry in found}


# --- one history of two -----------------------------------------------------------------------------------------------


def test_both_holders_read_both_histories_in_the_surviving_record_and_each_their_own_afterwards(
    house: House, twins: Twins
) -> None:
    mine, theirs = happened(house, twins.record), happened(house, twins.other)
    assert ids(entries(house, twins.holder, twins.record)) >= {mine}
    assert theirs not in ids(entries(house, twins.holder, twins.record))
    twins.merge()
    for holder in (twins.holder, twins.twin):
        assert ids(entries(house, holder, twins.record)) >= {mine, theirs}
        with pytest.raises(RecordClosed):
            history(house, holder, twins.other)
    since = happened(house, twins.record)
    twins.unmerge()
    assert ids(entries(house, twins.holder, twins.record)) >= {mine, since}
    assert theirs not in ids(entries(house, twins.holder, twins.record))
    found = ids(entries(house, twins.twin, twins.other))
    assert theirs in found and not found & {mine, since}
    with pytest.raises(RecordNotFound):
        history(house, twins.twin, twins.record)


def test_no_entry_changes_by_a_merge(house: House, twins: Twins) -> None:
    kept = [happened(house, twins.record), happened(house, twins.other)]

    def rows() -> list[tuple[Any, ...]]:
        with house.sessions["audit"].transaction() as session:
            columns = EntryRow.__table__.c
            found = session.execute(sa.select(*columns).where(columns.trace_id.in_(kept)).order_by(columns.trace_id))
            return [tuple(row) for row in found]

    before = rows()
    twins.merge()
    twins.unmerge()
    assert rows() == before and len(before) == 2


def test_pages_go_on_through_both_histories_in_the_order_of_time(house: House, twins: Twins) -> None:
    told = [happened(house, record_id, age=age) for age, record_id in
            enumerate(itertools.islice(itertools.cycle((twins.record, twins.other)), 9))]  # fmt: skip
    twins.merge()
    seen: list[str] = []
    cursor = None
    while True:
        page = history(house, twins.holder, twins.record, limit=2, cursor=cursor)
        assert len(page["entries"]) <= 2
        seen += [entry["entry_id"] for entry in page["entries"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [entry_id for entry_id in seen if entry_id in told] == told and len(set(seen)) == len(seen)


def test_a_professional_reads_their_own_entries_of_both_and_nobody_elses(house: House, twins: Twins) -> None:
    who, other = in_circle(house, twins.holder, twins.record), doctor(house)
    own = [happened(house, record_id, who) for record_id in (twins.record, twins.other)]
    foreign = happened(house, twins.other, other)
    assert own[1] not in ids(entries(house, who, twins.record))
    twins.merge()
    found = ids(entries(house, who, twins.record))
    assert found >= set(own) and foreign not in found
    with pytest.raises(RecordNotFound):
        history(house, who, twins.other)
    with pytest.raises(RecordNotFound):
        history(house, other, twins.record)


def test_an_author_in_the_merged_record_reads_their_own_entries_in_the_surviving_one(
    house: House, twins: Twins
) -> None:
    author = doctor(house)
    wrote = traced(author, "document.created", at=now(), record_id=twins.other, object_id=new_id(),
                   object_type="document")  # fmt: skip
    tell(house, wrote)
    with pytest.raises(RecordNotFound):
        history(house, author, twins.record)
    twins.merge()
    assert wrote.trace_id in ids(entries(house, author, twins.record))
    twins.unmerge()
    with pytest.raises(RecordNotFound):
        history(house, author, twins.record)


# --- late, twice, in any order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_chain_is_one_history_and_its_undone_middle_is_not_in_any_order(house: House, order: tuple[int, ...]) -> None:
    holder, a = open_record(house)
    b, c = new_id(), new_id()
    told = [happened(house, record_id) for record_id in (a, b, c)]
    news = [RecordsMerged(new_id(), b, c, "", 1), RecordsMerged(new_id(), a, b, "", 1),
            RecordsUnmerged(new_id(), b, c, "", 2)]  # fmt: skip
    for place, number in enumerate((*order, *order), 1):
        handler = "on_records_unmerged" if number == 2 else "on_records_merged"
        with house.sessions["audit"].transaction() as session:
            getattr(house.audit, handler)(session, received(news[number], "dossier"))
        if set(order[:place]) == {0, 1}:
            assert ids(entries(house, holder, a)) >= set(told)
    assert ids(entries(house, holder, a)) & set(told) == set(told[:2])


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_a_page_of_two_long_histories_is_read_by_the_index_of_each(house: House, twins: Twins) -> None:
    twins.merge()
    with house.sessions["audit"].transaction() as session:
        session.execute(sa.text(
            "insert into entries (trace_id, at, received_at, source, action, outcome, record_id)"
            " select gen_random_uuid(), now() - make_interval(secs => n), now(), 'dossier', 'record.read', 'allowed',"
            " (array[:a, :b])[1 + n % 2]::uuid from generate_series(1, 20000) n"
        ), {"a": twins.record, "b": twins.other})  # fmt: skip
    with house.sessions["audit"].engine.connect() as connection:
        connection.execute(sa.text("analyze entries"))
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    engine = house.sessions["audit"].engine
    sa.event.listen(engine, "before_cursor_execute", note)
    with house.sessions["audit"].transaction() as session:
        page = store.entries_of_record(session, twins.record, of_professional=None, after=None, limit=51)
    sa.event.remove(engine, "before_cursor_execute", note)
    assert {row.record_id for row in page} == {twins.record, twins.other}
    [(query, parameters)] = [each for each in statements if "entries" in each[0]]
    query = query.removeprefix("begin; ")
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"explain (analyze, costs off, timing off) {query}", parameters)
        lines = [line[0].strip() for line in plan]
    scans = [line for line in lines if "on entries" in line]
    assert scans and all(re.search(r"Index Scan using \w+_record_id_at_trace_id_idx on", line) for line in scans), lines
    assert all(int(rows) <= 51 for line in scans for rows in re.findall(r"rows=(\d+)", line)), lines


# --- from the first release -------------------------------------------------------------------------------------------


def test_entries_of_the_first_release_stay_as_they_are(database_before: Callable[[str, str], Before]) -> None:
    release, trace, record = database_before("audit", "0001"), new_id(), new_id()
    release.run(
        "insert into entries (trace_id, at, received_at, source, action, outcome, record_id)"
        f" values ('{trace}', now(), now(), 'dossier', 'record.read', 'allowed', '{record}')"
    )
    with release.engine.connect() as connection:
        before = connection.execute(sa.text("select * from entries")).all()
    release.upgrade()
    with release.engine.connect() as connection:
        after = connection.execute(sa.text("select * from entries")).all()
        assert [row[: len(before[0])] for row in after] == [tuple(row) for row in before]
        assert connection.execute(sa.text("select octet_length(salt) from entries")).scalars().all() == [16]
        assert str(connection.execute(sa.text("select trace_id from arrivals")).scalar_one()) == trace
        assert connection.scalar(sa.text("select count(*) from record_moves")) == 0
        assert connection.scalar(sa.text("select version_num from alembic_version")) == newest_revision("audit")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        release.run("update entries set action = 'x'")
