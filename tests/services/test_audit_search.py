"""The privacy officer's search over a real log: by each of its words, page by page, and who may not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.audit.contract import SEARCH_DAYS
from services.db import new_id, now
from services.refusals import InvalidInput
from services.tokens import Caller
from tests.builders import House, caller
from tests.services.oversight_house import officer, refusal_code
from tests.services.test_audit import AGENT, tell, traced

NOON = datetime(2026, 3, 10, 11, tzinfo=UTC)
DAYS = {"since": "2026-03-01", "until": "2026-03-31"}


@pytest.fixture(scope="module")
def house(database: Callable[[str], str]) -> Iterator[House]:
    made = House(database, services=("directory", "dossier", "audit"))
    yield made
    made.close()


def came(house: House, who: Caller, at: datetime = NOON, **facts: Any) -> str:
    trace = traced(who, facts.pop("action", "document.opened"), at=at, **({"ground": "circle"} | facts))
    tell(house, trace)
    return trace.trace_id


def found(house: House, **asked: Any) -> list[str]:
    """What a search finds on all of its pages."""
    ids: list[str] = []
    cursor = None
    while True:
        page = house.audit.search_entries(officer(), **(DAYS | asked), cursor=cursor)
        ids += [entry["entry_id"] for entry in page["entries"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return ids


def test_entries_are_found_by_each_word_and_by_all_of_them_together(house: House) -> None:
    record_id, who, patient = new_id(), caller("professional"), caller("patient")
    one = came(house, who, record_id=record_id)
    came(house, caller("professional"), record_id=new_id())
    mine = came(house, patient, record_id=record_id, ground="holder", action="log.read")
    later = NOON + timedelta(seconds=1)  # of one moment the order is any
    tried = came(house, who, later, outcome="refused", reason="record_not_found", ground=None, record_id=new_id())
    assert found(house, professional_id=who.professional_id) == [tried, one]
    assert found(house, account_id=who.account_id) == [tried, one]
    assert found(house, establishment_id=who.establishment_id) == [tried, one]
    assert found(house, patient_id=patient.patient_id) == [mine]
    assert sorted(found(house, record_id=record_id)) == sorted([one, mine])
    assert found(house, record_id=record_id, action="log.read") == [mine]
    assert found(house, record_id=record_id, ground="circle") == [one]
    assert found(house, professional_id=who.professional_id, outcome="refused") == [tried]
    assert found(house, professional_id=who.professional_id, record_id=new_id()) == []


def test_the_days_are_those_of_luxembourg_and_both_are_in(house: House) -> None:
    who = caller("professional")
    hours = [datetime(2026, 3, 4, 22, 59, 59, 999999, tzinfo=UTC), datetime(2026, 3, 4, 23, tzinfo=UTC),
             datetime(2026, 3, 5, 22, 59, 59, 999999, tzinfo=UTC), datetime(2026, 3, 5, 23, tzinfo=UTC)]  # fmt: skip
    ids = [came(house, who, at) for at in hours]
    day = {"since": "2026-03-05", "until": "2026-03-05"}
    assert found(house, **day, professional_id=who.professional_id) == [ids[2], ids[1]]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("within_record", [False, True])
def test_pages_follow_one_another_without_gap_or_double(house: House, limit: int, within_record: bool) -> None:
    who, record_id = caller("professional"), new_id()
    moments = [NOON + timedelta(hours=19 * number) for number in range(8)] + [NOON, NOON + timedelta(microseconds=1)]
    ids = {came(house, who, at, record_id=record_id): at for at in moments}
    asked = {"record_id": record_id} if within_record else {"professional_id": who.professional_id}
    seen = found(house, **asked, limit=limit)
    assert len(seen) == len(set(seen)) and set(seen) == set(ids)
    by_millisecond = [ids[each].replace(microsecond=ids[each].microsecond // 1000) for each in seen]
    assert by_millisecond == sorted(by_millisecond, reverse=True)


def test_without_a_record_a_page_looks_no_further_than_it_says_and_the_next_one_goes_on(house: House) -> None:
    who = caller("professional")
    came(house, who, datetime(2026, 3, 2, 11, tzinfo=UTC))
    first = house.audit.search_entries(officer(), **DAYS, professional_id=who.professional_id)
    assert first["entries"] == [] and first["next_cursor"] is not None
    assert len(found(house, professional_id=who.professional_id)) == 1
    near = {"since": "2026-03-01", "until": f"2026-03-{SEARCH_DAYS:02}"}
    page = house.audit.search_entries(officer(), **near, professional_id=who.professional_id)
    assert len(page["entries"]) == 1 and page["next_cursor"] is None


def test_an_officer_reads_all_of_an_entry(house: House) -> None:
    who, object_id = caller("professional"), new_id()
    came(house, who, object_id=object_id, object_type="document", count=3, purpose="TREAT")
    [entry] = house.audit.search_entries(
        officer(), since="2026-03-10", until="2026-03-10", professional_id=who.professional_id
    )["entries"]
    told = {name: entry[name] for name in ("session_id", "address", "count", "purpose", "object_id", "source")}
    assert told == {
        "session_id": who.session_id, "address": "127.0.0.1", "count": 3, "purpose": "TREAT", "object_id": object_id,
        "source": "documents",
    }  # fmt: skip
    assert "salt" not in entry and "digest" not in entry


def test_each_search_leaves_one_trace_that_names_the_record_and_whom_it_looked_for(house: House) -> None:
    house.deliver()
    me, record_id, professional_id = officer(), new_id(), new_id()
    house.audit.search_entries(me, **DAYS, record_id=record_id, professional_id=professional_id)
    house.audit.search_entries(me, **DAYS)
    told = [event["data"] for event in house.events("audit")]
    assert [(t["action"], t["record_id"], t["object_id"], t["object_type"], t["count"]) for t in told] == [
        ("log.searched", record_id, professional_id, "professional", 0),
        ("log.searched", None, None, None, told[1]["count"]),
    ]  # fmt: skip
    assert {t["account_id"] for t in told} == {me.account_id}


def test_nobody_but_a_privacy_officer_searches_and_each_try_is_traced(house: House) -> None:
    house.deliver()
    others = [AGENT, caller("agent", role="administrator"), caller("professional", role="privacy_officer"),
              caller("patient")]  # fmt: skip
    for who in others:
        assert refusal_code(house.audit.search_entries(who, **DAYS)) == "not_allowed"
    told = [event["data"] for event in house.events("audit")]
    assert [(t["action"], t["outcome"], t["reason"]) for t in told] == [
        ("log.searched", "refused", "not_allowed")
    ] * len(others)  # fmt: skip


@pytest.mark.parametrize("wrong", [
    {"since": "2026-04-01"}, {"until": "x"}, {"action": "document.eaten"}, {"ground": "mood"}, {"outcome": "maybe"},
    {"record_id": "x"}, {"limit": 0}, {"limit": 101}, {"cursor": "x"},
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(house: House, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        house.audit.search_entries(officer(), **(DAYS | wrong))


def test_no_search_can_leave_its_days_with_a_cursor_of_another_one(house: House) -> None:
    who = caller("professional")
    late = came(house, who, now())
    cursor = house.audit.search_entries(officer(), since="2026-01-01", until="2026-12-31", limit=1)
    page = house.audit.search_entries(
        officer(), since="2026-03-01", until="2026-03-02", cursor=cursor["next_cursor"],
        professional_id=who.professional_id,
    )  # fmt: skip
    assert late not in [entry["entry_id"] for entry in page["entries"]]
