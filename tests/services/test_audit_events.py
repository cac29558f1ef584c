"""The access history as FHIR AuditEvents over real databases: the same lines for the same readers, and found by what
they say."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from services.audit.contract import EntryNotFound, traced
from services.bus import Received, fresh_context
from services.db import new_id, now, rfc3339
from services.directory.contract import PatientsMerged
from services.dossier.contract import RecordClosed, RecordNotFound
from services.refusals import InvalidInput
from services.settings import Settings
from services.tokens import Caller
from tests.builders import House, caller
from tests.services.ward import Ward

BASE = "https://dsp.example"


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


def search(ward: Ward, who: Caller, *, limit: int = 100, patient_id: str | None = None, **asked: Any) -> list[Any]:
    """The resources that a search finds, page by page."""
    found: list[Any] = []
    cursor = None
    whose = patient_id or ward.holder.patient_id
    while True:
        page = ward.house.ask(
            "audit", "audit_events", who, base=BASE, patient_id=whose, limit=limit, cursor=cursor, asked=asked
        )
        found += [event["resource"] for event in page["events"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def read(ward: Ward, who: Caller, entry_id: str) -> Any:
    return ward.house.ask("audit", "audit_event", who, base=BASE, entry_id=entry_id)["resource"]


def history(ward: Ward, who: Caller) -> list[str]:
    """The ids of the same lines in the access history; this reading is not in it yet."""
    page = ward.house.ask("audit", "access_history", who, record_id=ward.record_id, limit=100)
    assert page["next_cursor"] is None
    return [entry["entry_id"] for entry in page["entries"]]


def ids(found: list[Any]) -> list[str]:
    return [event["id"] for event in found]


def traces(ward: Ward) -> list[dict[str, Any]]:
    return [event["data"] for event in ward.house.events("audit")]


def busy(ward: Ward) -> tuple[Caller, Caller]:
    """A record in which somebody did something of each kind; a physician and a nurse who came."""
    doctor, nurse = ward.present(), ward.present("nurse")
    document_id = ward.deposit(doctor)
    ward.open(nurse, document_id)
    ward.listed(nurse)
    ward.set_level(doctor, document_id, "confidential")
    with pytest.raises(Exception, match="not_found"):
        ward.ask("read_document", ward.professional(), document_id=document_id)
    ward.house.deliver()
    return doctor, nurse


# --- who reads what ---------------------------------------------------------------------------------------------------


def test_every_reader_finds_the_very_lines_of_their_access_history_as_valid_resources(ward: Ward) -> None:
    doctor, nurse = busy(ward)
    blocked = ward.deposit(doctor)
    ward.block(doctor, blocked)
    ward.open(nurse, blocked)
    ward.house.deliver()
    lengths = []
    for who in (ward.holder, ward.representative(), ward.assistant(), doctor, nurse):
        expected = history(ward, who)
        found = search(ward, who, limit=3)
        assert ids(found) == expected
        assert blocked not in str(found) or who in (doctor, nurse)
        for event in found:
            AuditEvent.model_validate(event)
            assert {"reference": f"Patient/{ward.holder.patient_id}"} in [each["what"] for each in event["entity"]
                                                                          if "what" in each]  # fmt: skip
        lengths.append(len(found))
    assert len(set(lengths)) >= 3, "they do not all read the same"


def test_a_holder_need_not_say_whose_record_and_a_professional_has_to(ward: Ward) -> None:
    doctor, _ = busy(ward)
    page = ward.house.ask("audit", "audit_events", ward.holder, base=BASE)
    assert [event["resource"]["id"] for event in page["events"]] == history(ward, ward.holder)
    with pytest.raises(InvalidInput) as refused:
        ward.house.ask("audit", "audit_events", doctor, base=BASE)
    assert refused.value.detail["errors"] == [{"pointer": "/patient", "message": "required"}]


def test_nobody_else_finds_anything_and_each_try_is_traced_like_a_reading_of_the_history(ward: Ward) -> None:
    busy(ward)
    strangers = [ward.professional(), caller("patient"), caller("agent"), caller("machine")]
    for who in strangers:
        with pytest.raises(RecordNotFound):
            search(ward, who)
    found = traces(ward)
    assert [trace["account_id"] for trace in found] == [who.account_id for who in strangers]
    assert {(t["action"], t["outcome"], t["reason"], t["record_id"]) for t in found} == {
        ("log.read", "refused", "record_not_found", ward.record_id)
    }


def test_a_patient_nobody_knows_is_refused_like_one_of_others(ward: Ward) -> None:
    for patient_id in (new_id(), "nobody", ""):
        with pytest.raises(RecordNotFound) as refused:
            search(ward, ward.professional(), patient_id=patient_id or "x")
        assert refused.value.detail == {}


def test_a_closed_record_is_closed_here_too(ward: Ward) -> None:
    doctor, _ = busy(ward)
    one = ids(search(ward, ward.holder))[0]
    ward.set_in_record(state="closed")
    for who, refusal, of_one in ((ward.holder, RecordClosed, RecordClosed), (doctor, RecordNotFound, EntryNotFound)):
        with pytest.raises(refusal):
            search(ward, who)
        with pytest.raises(of_one):
            read(ward, who, one)


def test_each_search_and_each_reading_leaves_one_trace_with_its_ground(ward: Ward) -> None:
    doctor, _ = busy(ward)
    found = search(ward, ward.holder)
    [trace] = traces(ward)
    assert (trace["action"], trace["ground"], trace["count"]) == ("log.read", "holder", len(found))
    assert (trace["record_id"], trace["object_type"]) == (ward.record_id, "access_history")
    ward.house.deliver()
    read(ward, doctor, search(ward, doctor)[-1]["id"])
    both = traces(ward)
    assert [(t["action"], t["ground"], t["outcome"]) for t in both] == [("log.read", "presence", "allowed")] * 2
    assert both[1]["object_id"] is not None


# --- one event --------------------------------------------------------------------------------------------------------


def test_an_event_is_read_by_its_id_as_it_was_found(ward: Ward) -> None:
    doctor, nurse = busy(ward)
    for who in (ward.holder, doctor, nurse):
        for event in search(ward, who):
            assert read(ward, who, event["id"]) == event


def test_an_event_that_is_hidden_foreign_or_unknown_is_not_found(ward: Ward) -> None:
    doctor, nurse = busy(ward)
    blocked = ward.deposit(doctor)
    ward.block(doctor, blocked)
    ward.house.deliver()
    hidden = ids([event for event in search(ward, doctor) if blocked in str(event)])
    of_doctor = ids(search(ward, doctor))[-1]
    account = traced(caller("patient"), "account.read", at=now())
    hear(ward, account)
    assert hidden
    for who, entry_id in ((ward.holder, hidden[0]), (nurse, of_doctor), (caller("patient"), of_doctor),
                          (ward.holder, new_id()), (ward.holder, "x"), (ward.holder, account.trace_id)):  # fmt: skip
        with pytest.raises(EntryNotFound) as refused:
            read(ward, who, entry_id)
        assert refused.value.detail == {}
    ward.release(doctor, blocked)
    ward.house.deliver()
    assert read(ward, ward.holder, hidden[0])["id"] == hidden[0]


def test_a_try_on_a_hidden_event_leaves_the_line_that_one_on_an_unknown_event_leaves(ward: Ward) -> None:
    doctor, _ = busy(ward)
    blocked = ward.deposit(doctor)
    ward.block(doctor, blocked)
    ward.house.deliver()
    hidden = next(event["id"] for event in search(ward, doctor) if blocked in str(event))
    ward.house.deliver()
    for entry_id in (hidden, new_id()):
        with pytest.raises(EntryNotFound):
            read(ward, ward.holder, entry_id)
    tries = traces(ward)
    assert [trace["record_id"] for trace in tries] == [None, None]
    assert {(trace["outcome"], trace["reason"]) for trace in tries} == {("refused", "entry_not_found")}
    ward.house.deliver()
    with pytest.raises(EntryNotFound):
        read(ward, caller("patient"), hidden)
    assert [trace["record_id"] for trace in traces(ward)] == [ward.record_id], "its holder is told of a stranger's try"


def test_an_event_of_a_merged_record_is_read_with_the_record_it_leads_to(ward: Ward) -> None:
    twin = caller("patient")
    other = ward.new_record(twin)
    trace = traced(None, "record.read", at=now(), record_id=other)
    hear(ward, trace)
    with pytest.raises(EntryNotFound):
        read(ward, ward.holder, trace.trace_id)
    merged = PatientsMerged(new_id(), ward.holder.patient_id or "", twin.patient_id or "", rfc3339(now()))
    ward.tell("on_patients_merged", "directory", merged)
    ward.house.deliver()
    assert read(ward, ward.holder, trace.trace_id)["id"] == trace.trace_id
    assert trace.trace_id in ids(search(ward, ward.holder, patient_id=twin.patient_id))


def hear(ward: Ward, *told: Any) -> None:
    for trace in told:
        event = Received(new_id(), "documents", trace.type, rfc3339(now()), None, None, trace, fresh_context())
        with ward.house.sessions["audit"].transaction() as session:
            ward.house.audit.on_access_traced(session, [event])


# --- what is found ----------------------------------------------------------------------------------------------------


def said_of(event: Any, kind: str) -> set[str]:
    return {agent["who"].get("reference", "").partition("/")[2] for agent in event["agent"]
            if agent["who"].get("reference", "").startswith(kind)}  # fmt: skip


def test_a_search_finds_what_says_what_is_asked_for_and_nothing_else(ward: Ward) -> None:
    doctor, nurse = busy(ward)
    hear(ward, *(
        traced(doctor, "removal.asked", at=now() + timedelta(seconds=n), record_id=ward.record_id, object_id=new_id(),
               outcome="refused", reason=reason)
        for n, reason in enumerate(("removal_under_way", "not_allowed"))
    ))  # fmt: skip
    everything = search(ward, ward.holder)
    times = sorted(event["recorded"] for event in everything)
    middle = times[len(times) // 2]
    document_id = next(each["what"]["reference"].partition("/")[2] for event in everything for each in event["entity"]
                       if each.get("what", {}).get("reference", "").startswith("DocumentReference"))  # fmt: skip
    asked: list[tuple[dict[str, Any], Callable[[Any], bool]]] = [
        ({"professional_id": doctor.professional_id}, lambda e: doctor.professional_id in said_of(e, "Practitioner")),
        ({"person_id": ward.holder.patient_id}, lambda e: ward.holder.patient_id in said_of(e, "Patient")),
        ({"establishment_id": nurse.establishment_id}, lambda e: nurse.establishment_id in said_of(e, "Organization")),
        ({"agent_id": nurse.professional_id}, lambda e: nurse.professional_id in said_of(e, "Practitioner")),
        ({"agent_id": nurse.establishment_id}, lambda e: nurse.establishment_id in said_of(e, "Organization")),
        ({"since": middle}, lambda e: e["recorded"] >= middle),
        ({"before": middle}, lambda e: e["recorded"] < middle),
        ({"actions": ["R"]}, lambda e: e["action"] == "R"),
        ({"actions": ["C", "U"]}, lambda e: e["action"] in "CU"),
        ({"outcomes": ["0"]}, lambda e: e["outcome"] == "0"),
        ({"outcomes": ["4"]}, lambda e: e["outcome"] == "4"),
        ({"outcomes": ["8"]}, lambda e: e["outcome"] == "8"),
        ({"types": [[None, "110113"]]}, lambda e: e["type"]["code"] == "110113"),
        ({"subtypes": [["urn:dsp:action", "document.opened"]]}, lambda e: "document.opened" in str(e["subtype"])),
    ]
    sizes = set()
    for (one, holds), (two, holds_too) in itertools.product(asked, asked):
        expected = [e for e in everything if holds(e) and holds_too(e)]
        if one.keys() & two.keys() and one != two:
            continue
        assert ids(search(ward, ward.holder, **one, **({} if one == two else two))) == ids(expected), (one, two)
        sizes.add(len(expected))
    assert len(sizes) > 4 and max(sizes) < len(everything)
    about = search(ward, ward.holder, object_id=document_id)
    assert about and all(document_id in str(event) for event in about)
    assert len(about) == sum(document_id in str(event["entity"]) for event in everything)


def test_an_empty_search_is_the_whole_history_and_one_for_nothing_finds_nothing(ward: Ward) -> None:
    busy(ward)
    everything = ids(search(ward, ward.holder))
    assert ids(search(ward, ward.holder, types=[["urn:dsp:none", "x"]])) == []
    assert set(everything) <= set(ids(search(ward, ward.holder, actions=["C", "R", "U", "D", "E"])))


@pytest.mark.parametrize("asked", [
    {"professional_id": "x"}, {"since": "2026"}, {"since": "2026-11-21T10:00:00"}, {"types": []}, {"types": [["a"]]},
    {"types": [[1, "a"]]}, {"subtypes": "a"}, {"actions": ["X"]}, {"actions": [None]}, {"outcomes": ["1"]},
    {"types": [[None, "a"]] * 21},
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(ward: Ward, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        search(ward, ward.holder, **asked)


@pytest.mark.parametrize("base", ["", "dsp", "ftp://x", "https://" + "x" * 300, 7])
def test_events_are_told_under_a_public_address(ward: Ward, base: Any) -> None:
    with pytest.raises(InvalidInput):
        ward.house.ask("audit", "audit_events", ward.holder, base=base)
