"""Statistics over real databases: each thing counted once whatever comes twice or late, and for agents alone."""

from __future__ import annotations

import csv
import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.audit import counted, recount, store_statistics
from services.audit.contract import AccessTraced, traced
from services.bus import Received, fresh_context
from services.db import new_id, now, outbox, rfc3339
from services.documents.contract import DocumentCorrected, DocumentDeposited, DocumentRemoved
from services.dossier.contract import RecordOpened, RecordStateChanged
from services.identity.contract import AccountActivated
from services.refusals import InsufficientScope, InvalidInput, NotAllowed
from tests.builders import House, any_matricule, birth_date, caller
from tests.services.audit_log import Log

AGENT = caller("agent")
TABLE = files("deploy.bench").joinpath("statistics_2015_2017.csv")
# The slide names months but for the last six columns, which are days: a month is read at its end.
DAYS = ("2015-10-31", "2016-01-31", "2016-04-30", "2016-07-31", "2016-10-31", "2017-01-31", "2017-02-28",
        "2017-04-12", "2017-04-24", "2017-05-05", "2017-05-15", "2017-05-31", "2017-06-30")  # fmt: skip
ENTRIES_DAY = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def log(database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    made = Log(database("audit"), Path(tmp_path_factory.mktemp("witness")))
    yield made
    made.close()


@pytest.fixture(scope="module")
def built(database: Callable[[str], str], log: Log) -> Iterator[House]:
    house = House(
        lambda name: log.url if name == "audit" else database(name), services=("directory", "dossier", "audit")
    )
    yield house
    house.close()


@pytest.fixture
def house(built: House) -> House:
    """It with nothing counted; the entries stay, and those from before are counted as over."""
    built.deliver()
    tables = "statistic_subjects, statistic_counts, coverage_counts, coverage_days"
    sql(built, f"truncate {tables}")
    for service in ("directory", "dossier"):
        sql(built, f"truncate {'patients' if service == 'directory' else 'records'} cascade", service=service)
    sql(built, "update statistic_progress set position = (select coalesce(max(position) + 1, 0) from leaves)")
    return built


def sql(house: House, statement: str, service: str = "audit", **values: Any) -> list[Any]:
    with house.sessions[service].transaction() as session:
        done = session.execute(sa.text(statement), values)
        return list(done) if done.returns_rows else []  # type: ignore[attr-defined]


def received(data: Any, source: str, time: str | None = None, number: int | None = None) -> Received:
    time = rfc3339(now()) if time is None else time
    return Received(new_id(), source, data.type, time, None, number, data, fresh_context())


HANDLERS: dict[type, tuple[str, str, bool]] = {
    DocumentDeposited: ("on_document_deposited", "documents", False),
    DocumentCorrected: ("on_document_corrected", "documents", False),
    DocumentRemoved: ("on_document_removed", "documents", False),
    RecordOpened: ("on_record_opened", "dossier", True),
    RecordStateChanged: ("on_record_state_changed", "dossier", True),
    AccountActivated: ("on_account_activated", "identity", False),
}


def tell(house: House, data: Any, time: str | None = None, number: int | None = None) -> None:
    """Hands an event to the real handler, in a transaction of its own as the inbox does."""
    name, source, together = HANDLERS[type(data)]
    event = received(data, source, time, number)
    with house.sessions["audit"].transaction() as session:
        getattr(house.audit, name)(session, [event] if together else event)


def deposit(document_type: str, day: str, document_id: str | None = None) -> DocumentDeposited:
    return DocumentDeposited(
        record_id=new_id(), document_id=document_id or new_id(), version_id=new_id(), document_type=document_type,
        category="care_reports", level="standard", author_id=None, media_type="application/pdf", size=1,
        deposited_at=f"{day}T10:00:00.000000Z",
    )  # fmt: skip


def correction(of: DocumentDeposited, number: int, document_type: str, day: str) -> DocumentCorrected:
    at = f"{day}T11:00:00.000000Z"
    return DocumentCorrected(of.record_id, of.document_id, number, document_type, "imaging", "imaging", at)


def removal(of: DocumentDeposited, day: str) -> DocumentRemoved:
    return DocumentRemoved(of.record_id, of.document_id, "request", f"{day}T12:00:00.000000Z")


def standing(house: House, measure: str, *dates: str) -> dict[str, list[int]]:
    answer = house.ask("audit", "standing", AGENT, measure=measure, dates=list(dates))
    assert answer["columns"] == list(dates) and answer["measure"] == measure
    rows = {row["key"]: row["counts"] for row in answer["rows"]}
    assert answer["totals"] == ([sum(column) for column in zip(*rows.values(), strict=True)] or [0] * len(dates))
    return rows


def added(house: House, measure: str, since: str, until: str) -> dict[str, list[int]]:
    answer = house.ask("audit", "added", AGENT, measure=measure, since=since, until=until)
    return {row["key"]: row["counts"] for row in answer["rows"]}


def all_counts(house: House) -> set[tuple[Any, ...]]:
    rows = sql(house, "select measure, day, key, came, moved_in, moved_out, went from statistic_counts")
    return {tuple(row) for row in rows if any(row[3:])}


# --- documents --------------------------------------------------------------------------------------------------------


def table_of_seed_002() -> dict[str, list[int]]:
    rows = list(csv.reader(TABLE.read_text(encoding="utf-8").splitlines()))[1:]
    return {slug: [int(number) for number in numbers] for slug, *numbers in rows}


def test_the_thirteen_dates_give_the_very_table_whatever_comes_late_or_twice(house: House) -> None:
    expected = table_of_seed_002()
    totals = expected.pop("total")
    assert len(expected) == 27 and totals[-1] == 32824
    chance = random.Random(2017)
    told: list[DocumentDeposited] = []
    for slug, numbers in expected.items():
        for place, (before, number) in enumerate(itertools.pairwise((0, *numbers))):
            first = date.fromisoformat(DAYS[place - 1]) + timedelta(days=1) if place else date(2015, 6, 1)
            span = (date.fromisoformat(DAYS[place]) - first).days
            told += [deposit(slug, (first + timedelta(days=chance.randint(0, span))).isoformat())
                     for _ in range(number - before)]  # fmt: skip
    told += chance.sample(told, 3000)
    chance.shuffle(told)
    for some in range(0, len(told), 1000):
        with house.sessions["audit"].transaction() as session:
            counted.count_deposits(session, told[some : some + 1000])
    assert standing(house, "documents", *DAYS) == expected
    answer = house.ask("audit", "standing", AGENT, measure="documents", dates=list(DAYS))
    assert answer["totals"] == totals
    assert standing(house, "documents", *reversed(DAYS))["imaging"] == list(reversed(expected["imaging"]))
    assert standing(house, "documents", "2015-05-31") == {}
    months = added(house, "documents", "2015-06", "2017-06")
    assert {slug: sum(numbers) for slug, numbers in months.items()} == {
        slug: numbers[-1] for slug, numbers in expected.items()
    }
    assert months["imaging"][-1] == 1596 - 1232


def test_a_document_counts_under_the_type_of_the_day_until_it_is_removed(house: House) -> None:
    one = deposit("medical_report", "2016-01-10")
    for each in (one, correction(one, 2, "imaging", "2016-02-10"), removal(one, "2016-03-10")):
        tell(house, each)
    dates = ("2016-01-09", "2016-01-10", "2016-02-09", "2016-02-10", "2016-03-09", "2016-03-10", "2030-01-01")
    assert standing(house, "documents", *dates) == {
        "medical_report": [0, 1, 1, 0, 0, 0, 0], "imaging": [0, 0, 0, 1, 1, 0, 0],
    }  # fmt: skip
    assert added(house, "documents", "2016-01", "2016-03") == {"medical_report": [1, 0, 0]}  # what moved did not come


def test_every_order_of_the_same_events_gives_the_same_counts(house: House) -> None:
    seen = []
    for order in itertools.permutations(range(4)):
        sql(house, "truncate statistic_subjects, statistic_counts")
        one = deposit("medical_report", "2016-01-10")
        events = [one, correction(one, 2, "imaging", "2016-02-10"), correction(one, 3, "surgery", "2016-02-20"),
                  removal(one, "2016-03-10")]  # fmt: skip
        for place in (*order, *order):
            tell(house, events[place])
        seen.append(all_counts(house))
    expected = {
        ("documents", date(2016, 1, 10), "medical_report", 1, 0, 0, 0),
        ("documents", date(2016, 2, 10), "medical_report", 0, 0, 1, 0),
        ("documents", date(2016, 2, 10), "imaging", 0, 1, 0, 0),
        ("documents", date(2016, 2, 20), "imaging", 0, 0, 1, 0),
        ("documents", date(2016, 2, 20), "surgery", 0, 1, 0, 0),
        ("documents", date(2016, 3, 10), "surgery", 0, 0, 0, 1),
    }
    assert len(seen) == 24 and all(counts == expected for counts in seen)


def test_many_workers_with_the_same_days_and_documents_count_each_once(house: House) -> None:
    told = [deposit("imaging", f"2016-01-{10 + number % 3}") for number in range(60)]
    events = [each for one in told for each in (one, correction(one, 2, "medical_report", "2016-02-01"))] * 2
    random.Random(5).shuffle(events)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: tell(house, each), events))
    assert standing(house, "documents", "2016-01-31", "2016-02-01") == {
        "imaging": [60, 0], "medical_report": [0, 60],
    }  # fmt: skip


def test_many_workers_with_news_of_one_record_lose_none_of_it(house: House) -> None:
    record_id = new_id()
    events = [(RecordStateChanged(record_id, f"state {number}", "x"), number) for number in range(1, 60)]
    random.Random(6).shuffle(events)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: tell(house, each[0], "2016-01-01T08:00:00.000000Z", each[1]), events))
    assert standing(house, "records", "2016-01-01") == {"state 59": [1]}
    [(steps,)] = sql(house, "select steps from statistic_subjects")
    assert len(steps) == 59


# --- records and accounts ---------------------------------------------------------------------------------------------


def test_records_count_by_the_state_in_which_dossier_says_they_are(house: House) -> None:
    holders = [caller("patient") for _ in range(4)]
    records = [
        house.ask("dossier", "open_record", AGENT, patient_id=holder.patient_id)["record_id"] for holder in holders
    ]  # fmt: skip
    for record_id, cause in ((records[0], "agency_request"), (records[1], "death")):
        house.ask("dossier", "close_record_by_agency", AGENT, record_id=record_id, cause=cause)
    house.ask("dossier", "oppose_record", AGENT, record_id=records[2], received_by="post")
    house.deliver()
    today = counted.rules_statistics.day_of(rfc3339(now()))
    assert standing(house, "records", today) == {"closed": [2], "deleted": [1], "open": [1]}


def test_a_records_steps_count_in_dossiers_order_whatever_comes_first(house: House) -> None:
    record_id, patient_id = new_id(), new_id()
    steps = [
        (RecordOpened(record_id, patient_id), "2016-01-10T08:00:00.000000Z", 1),
        (RecordStateChanged(record_id, "active", "activation", patient_id), "2016-02-10T08:00:00.000000Z", 4),
        (RecordStateChanged(record_id, "closed", "holder_request", patient_id), "2016-03-10T08:00:00.000000Z", 11),
    ]
    for data, time, number in (*reversed(steps), *steps):
        tell(house, data, time, number)
    assert standing(house, "records", "2016-01-10", "2016-02-10", "2016-03-10") == {
        "active": [0, 1, 0], "closed": [0, 0, 1], "open": [1, 0, 0],
    }  # fmt: skip


def test_a_person_with_two_capacities_has_an_account_in_each_and_one_told_twice_has_one(house: House) -> None:
    account_id = new_id()
    patient = AccountActivated(account_id, "patient", new_id(), None)
    professional = AccountActivated(account_id, "professional", None, new_id())
    for each in (patient, professional, patient):
        tell(house, each, "2016-01-10T08:00:00.000000Z")
    assert standing(house, "accounts", "2016-01-10") == {"patient": [1], "professional": [1]}


# --- entries ----------------------------------------------------------------------------------------------------------


def access(day: datetime = ENTRIES_DAY, action: str = "document.opened", **facts: Any) -> AccessTraced:
    given: dict[str, Any] = {"record_id": new_id(), "capacity": "professional", "profession": "physician"}
    return traced(facts.pop("who", None), action, at=day, **(given | facts))


def test_accesses_count_by_profession_and_deposits_by_software_once_they_are_sealed(house: House, log: Log) -> None:
    programme = caller("professional", profession="nurse")
    log.keep(
        access(), access(), access(profession="pharmacist"), access(capacity="patient", profession=None),
        access(ENTRIES_DAY + timedelta(days=31)), access(action="document.blocked"), access(record_id=None),
        access(outcome="refused", reason="document_not_found"),
        access(action="document.created", who=programme), access(action="document.created"),
        access(action="document.created", outcome="refused", reason="not_allowed"),
    )  # fmt: skip
    house.audit.count_entries()
    assert added(house, "accesses", "2026-03", "2026-04") == {}
    log.seal()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: house.audit.count_entries(), range(8)))
    assert added(house, "accesses", "2026-03", "2026-04") == {
        "patient": [1, 0], "pharmacist": [1, 0], "physician": [2, 1],
    }  # fmt: skip
    assert added(house, "deposits", "2026-03", "2026-03") == {"tests": [1], "unnamed": [1]}  # tests/1, as it says


def test_while_one_replica_counts_entries_another_neither_waits_nor_counts_them_too(house: House, log: Log) -> None:
    log.keep(*(access() for _ in range(5)))
    log.seal()

    def another() -> bool:
        with house.sessions["audit"].transaction() as session:
            return store_statistics.count_entries(session, 5)

    with ThreadPoolExecutor(1) as pool:
        with house.sessions["audit"].transaction() as session:
            assert store_statistics.count_entries(session, 5)
            beside = pool.submit(another)
            assert beside.result(timeout=60) is False
        assert another() is False
    assert added(house, "accesses", "2026-03", "2026-03") == {"physician": [5]}


def test_entries_are_counted_a_part_at_a_time_and_none_is_left_or_comes_twice(house: House, log: Log) -> None:
    log.keep(*(access() for _ in range(25)))
    log.seal()
    steps = []
    for _ in range(5):
        with house.sessions["audit"].transaction() as session:
            steps.append(store_statistics.count_entries(session, 10))
    assert steps == [True, True, False, False, False]
    assert added(house, "accesses", "2026-03", "2026-03") == {"physician": [25]}


# --- made again -------------------------------------------------------------------------------------------------------


def test_the_counts_can_be_made_again_from_what_they_were_made_of(house: House, log: Log) -> None:
    one = deposit("medical_report", "2016-01-10")
    for each in (one, correction(one, 2, "imaging", "2016-02-10"), deposit("imaging", "2016-02-11")):
        tell(house, each)
    tell(house, RecordOpened(new_id(), new_id()), "2016-01-10T08:00:00.000000Z", 1)
    tell(house, AccountActivated(new_id(), "patient", new_id(), None), "2016-01-10T08:00:00.000000Z")
    sql(house, "update statistic_progress set position = 0")
    log.keep(access(), access(action="document.created"))
    log.seal()
    house.audit.count_entries()
    before = all_counts(house)
    assert {measure for measure, *_ in before} == {"documents", "records", "accounts", "accesses", "deposits"}
    recount.main(house.sessions["audit"])
    assert all_counts(house) == before
    sql(house, "update statistic_counts set came = came + 7, went = 3")
    sql(house, "insert into statistic_counts (measure, day, key, came) values ('documents', '2001-01-01', 'x', 5)")
    recount.main(house.sessions["audit"])
    assert all_counts(house) == before
    house.audit.count_entries()
    assert all_counts(house) == before


def test_of_what_ended_long_ago_nobody_can_tell_which_it_was_and_it_counts_as_it_did(house: House) -> None:
    gone, stays = deposit("imaging", "2016-01-10"), deposit("imaging", "2016-01-10")
    deleted, closed = new_id(), new_id()
    events: list[Any] = [
        (gone,), (stays,), (removal(gone, "2016-03-10"),),
        (RecordOpened(deleted, new_id()), "2016-01-10T08:00:00.000000Z", 1),
        (RecordStateChanged(deleted, "deleted", "opposition"), "2016-03-10T08:00:00.000000Z", 2),
        (RecordOpened(closed, new_id()), "2016-01-10T08:00:00.000000Z", 1),
        (RecordStateChanged(closed, "closed", "holder_request"), "2016-03-10T08:00:00.000000Z", 2),
    ]  # fmt: skip
    for each in events:
        tell(house, *each)
    before = all_counts(house)

    def known() -> set[str]:
        return {str(row.subject_id) for row in sql(house, "select subject_id from statistic_subjects")}

    house.audit._forget_ended(datetime(2016, 4, 8, 12, tzinfo=UTC))
    assert known() == {gone.document_id, stays.document_id, deleted, closed}
    for each in events:
        tell(house, *each)
    house.audit._forget_ended(datetime(2016, 4, 9, 12, tzinfo=UTC))
    assert len(known()) == 4 and known() & {gone.document_id, stays.document_id, deleted, closed} == {
        stays.document_id, closed,
    }  # fmt: skip
    assert all_counts(house) == before
    recount.main(house.sessions["audit"])
    assert {each for each in all_counts(house) if each[0] in ("documents", "records")} == before


def test_a_day_whose_contents_were_destroyed_keeps_the_counts_it_has(house: House, log: Log) -> None:
    gone, stays = datetime(2026, 5, 5, 12, tzinfo=UTC), datetime(2026, 5, 7, 12, tzinfo=UTC)
    destroyed = access(gone)
    log.keep(destroyed, access(gone), access(stays))
    log.seal()
    house.audit.count_entries()
    log.sql("set local audit.destroys = 'contents'; delete from entries where trace_id = :id", id=destroyed.trace_id)
    sql(house, "update statistic_counts set came = 9 where measure = 'accesses' and day = '2026-05-07'")
    recount.main(house.sessions["audit"])
    assert added(house, "accesses", "2026-05", "2026-05") == {"physician": [3]}


# --- coverage ---------------------------------------------------------------------------------------------------------


def resident(house: House, locality: str, postal_code: str, *, record: bool, country: str = "LU") -> str:
    number = any_matricule()
    patient_id = house.ask(
        "directory", "register_patient", AGENT, matricule=number, birth_name="Weber", first_names="Léa", sex="F",
        birth_date=birth_date(number), language="fr",
        address={"line": "1, rue X", "postal_code": postal_code, "locality": locality, "country": country},
    )["patient_id"]  # fmt: skip
    if record:
        house.ask("dossier", "open_record", AGENT, patient_id=patient_id)
    return str(patient_id)


def cover(house: House, at: datetime) -> None:
    house.audit._count_coverage(at)


def coverage(house: House, **asked: Any) -> dict[str, Any]:
    answer: dict[str, Any] = house.ask("audit", "coverage", AGENT, **asked)
    return answer


def numbers(answer: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {each["commune"]: (each["registered"], each["covered"]) for each in answer["communes"]}


@pytest.mark.usefixtures("small_pages")
def test_who_has_a_record_is_counted_by_commune_and_small_numbers_are_not_shown(house: House) -> None:
    for place, registered, covered in (("Mersch", 12, 6), ("Wiltz", 11, 5), ("Vianden", 7, 1), ("Remich", 6, 0)):
        for number in range(registered):
            resident(house, place, "L-7500" if place == "Mersch" else "L-9500", record=number < covered)
    closed = resident(house, "Mersch", "L-7500", record=True)
    record_id = house.ask("dossier", "record_facts", AGENT, patient_id=closed)["record"]["record_id"]
    house.ask("dossier", "close_record_by_agency", AGENT, record_id=record_id, cause="agency_request")
    cover(house, datetime(2026, 3, 10, 9, tzinfo=UTC))
    answer = coverage(house)
    assert (answer["day"], answer["registered"], answer["covered"], answer["percent"]) == ("2026-03-10", 37, 12, 32.4)
    found = numbers(answer)
    assert found["Vianden"] == (None, None) and set(found) == {"Mersch", "Wiltz", "Vianden", "Remich"}
    shown = {place: told for place, told in found.items() if told != (None, None)}
    assert len(shown) < 3  # the next one went along, so that the totals do not tell
    assert shown.items() <= {"Mersch": (13, 6), "Wiltz": (11, 5), "Remich": (6, 0)}.items()
    assert coverage(house) == answer == coverage(house, day="2027-01-01")
    assert coverage(house, day="2026-03-09")["day"] is None


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.dossier.contract.HOLDERS_PAGE", 5)


@pytest.mark.usefixtures("small_pages")
def test_a_day_is_counted_once_though_it_is_broken_off_or_counted_by_several(house: House) -> None:
    for _ in range(17):
        resident(house, "Mersch", "L-7500", record=True)
    at = datetime(2026, 3, 11, 9, tzinfo=UTC)
    asked = house.audit.dossier

    class BrokenOff:
        """The real dossier, until the line to it breaks."""

        pages = 0

        def holders_of_records(self, *who: Any, **page: Any) -> Any:
            self.pages += 1
            if self.pages == 3:
                raise ConnectionError
            return asked.holders_of_records(*who, **page)

    house.audit.dossier = BrokenOff()
    with pytest.raises(ConnectionError):
        cover(house, at)
    assert coverage(house)["day"] is None
    house.audit.dossier = asked
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: cover(house, at), range(3)))
    cover(house, at)
    assert numbers(coverage(house)) == {"Mersch": (17, 17)}
    resident(house, "Mersch", "L-7500", record=True)
    cover(house, at)
    assert numbers(coverage(house)) == {"Mersch": (17, 17)}
    cover(house, at + timedelta(days=1))
    assert numbers(coverage(house)) == {"Mersch": (18, 18)}
    assert numbers(coverage(house, day="2026-03-11")) == {"Mersch": (17, 17)}
    [row] = sql(house, "select count(distinct salt) from coverage_days")
    assert row[0] == 1


# --- who reads --------------------------------------------------------------------------------------------------------

READINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("standing", "documents", {"measure": "documents", "dates": ["2017-06-30"]}),
    ("standing", "records", {"measure": "records", "dates": ["2017-06-30"]}),
    ("added", "accesses", {"measure": "accesses", "since": "2017-01", "until": "2017-06"}),
    ("coverage", "coverage", {}),
]


def traces(house: House) -> list[dict[str, Any]]:
    told = [event["data"] for event in house.events("audit") if event["type"] == "access_traced.v1"]
    with house.sessions["audit"].transaction() as session:
        session.execute(sa.delete(outbox))
    return told


@pytest.mark.parametrize(("method", "about", "asked"), READINGS)
@pytest.mark.parametrize("role", ["agent", "administrator", "privacy_officer"])
def test_an_agent_reads_statistics_and_leaves_a_trace(
    house: House, role: str, method: str, about: str, asked: dict[str, Any]
) -> None:
    traces(house)
    house.ask("audit", method, caller("agent", role=role), **asked)
    [trace] = traces(house)
    assert (trace["action"], trace["object_type"], trace["outcome"]) == ("statistics.read", about, "allowed")
    assert trace["record_id"] is None and trace["count"] == 0


@pytest.mark.parametrize(("method", "about", "asked"), READINGS)
@pytest.mark.parametrize("capacity", ["patient", "professional"])
def test_nobody_else_reads_any_and_the_try_leaves_a_trace(
    house: House, capacity: str, method: str, about: str, asked: dict[str, Any]
) -> None:
    traces(house)
    with pytest.raises(NotAllowed):
        house.ask("audit", method, caller(capacity), **asked)
    [trace] = traces(house)
    assert (trace["action"], trace["object_type"], trace["outcome"]) == ("statistics.read", about, "refused")
    assert trace["reason"] == "not_allowed"


@pytest.mark.parametrize(("method", "about", "asked"), READINGS)
def test_software_is_not_let_in(house: House, method: str, about: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InsufficientScope):
        house.ask("audit", method, caller("agent", scope="system/Patient.rs", client_id=new_id()), **asked)


@pytest.mark.parametrize(("method", "asked"), [
    ("standing", {"measure": "accesses", "dates": ["2017-06-30"]}), ("standing", {"measure": "records", "dates": []}),
    ("added", {"measure": "records", "since": "2017-01", "until": "2017-02"}),
    ("added", {"measure": "accesses", "since": "2017-02", "until": "2017-01"}), ("coverage", {"day": "yesterday"}),
])  # fmt: skip
def test_what_cannot_be_counted_is_refused(house: House, method: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        house.ask("audit", method, AGENT, **asked)
