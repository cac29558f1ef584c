"""The timeline: documents, risk factors, states and mandates in one order of time, and nothing that is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from services.db import new_id
from services.documents.contract import CDA
from services.dossier.contract import RecordClosed, RecordNotFound
from services.refusals import InvalidInput
from services.tokens import Caller
from tests.builders import caller
from tests.cda_documents import PROBLEMS, cda, problem, section
from tests.services.ward import Ward

ASTHMA = cda(section(PROBLEMS, problem("J45", "Asthme", "20190811"), problem("I10", "Hypertension")))


def read(ward: Ward, who: Caller, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ward.ask("timeline", who, record_id=ward.record_id, **asked)["items"]
    return found


def told(items: list[dict[str, Any]]) -> list[str]:
    """What each line is about."""
    return [_told(item) for item in items]


def designate(ward: Ward, who: Caller) -> None:
    """Makes somebody the record's referring physician since yesterday."""
    ward.dossier_sql(
        "insert into referring_physicians (designation_id, record_id, professional_id, proposed_by, proposed_at,"
        " effective_at) values (:id, :record, :who, 'health_fund', now() - interval '1 day', now() - interval '1 day')",
        id=new_id(), record=ward.record_id, who=who.professional_id,
    )  # fmt: skip


def _told(item: dict[str, Any]) -> str:
    if item["entry"]:
        return str(item["entry"]["display"])
    if item["document"]:
        return f"{item['kind']} {item['document']['title']}"
    if item["state"]:
        return str(item["state"]["state"])
    return f"{item['mandate']['kind']} {item['mandate']['step']}"


def test_everything_stands_in_one_order_of_time_newest_first(ward: Ward) -> None:
    doctor = ward.present()
    ward.deposit(doctor, title="Ancien", act_date="2015-02-03")
    ward.deposit(doctor, title="Récent")
    ward.deposit(doctor, ASTHMA, CDA, type="patient_summary", title="Synthèse", act_date="2021-05-06")
    ward.deposit(doctor, title="Tabac", type="individual_risk_factors", act_date="2018-01-02")
    items = read(ward, ward.holder)
    assert told(items) == [
        "document Récent", "presence opened", "active", "open", "Hypertension", "document Synthèse", "Asthme",
        "risk_factor Tabac", "document Ancien",
    ]  # fmt: skip
    assert [item["at"] for item in items] == sorted((item["at"] for item in items), reverse=True)
    by_name = dict(zip(told(items), items, strict=True))
    assert by_name["Asthme"]["kind"] == "risk_factor" and by_name["Asthme"]["day_only"] is True
    assert by_name["Asthme"]["at"] == "2019-08-11T00:00:00.000000Z"
    assert by_name["Asthme"]["document"]["title"] == "Synthèse" and by_name["Asthme"]["entry"]["code"] == "J45"
    assert by_name["document Récent"]["day_only"] is False
    assert by_name["active"]["state"] == {
        "state": "active", "previous": "open", "cause": "activation", "by": "holder",
    }  # fmt: skip
    assert by_name["presence opened"]["mandate"]["professional_id"] == doctor.professional_id


def test_pages_show_every_line_once_and_go_on_in_the_same_order(ward: Ward) -> None:
    doctor = ward.present()
    ward.present("nurse")
    for day in ("2015-02-03", "2015-02-03", "2021-05-06"):
        ward.deposit(doctor, ASTHMA, CDA, type="patient_summary", title=day, act_date=day)
    ward.end_mandates()
    whole = read(ward, ward.holder, limit=100)
    assert len(whole) == 3 + 6 + 2 + 4
    for limit in (1, 2, 5):
        found, cursor = [], None
        while True:
            page = ward.ask("timeline", ward.holder, record_id=ward.record_id, limit=limit, cursor=cursor)
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
            assert len(page["items"]) == limit
        assert found == whole


def test_a_timeline_is_narrowed_by_kind_and_by_day(ward: Ward) -> None:
    doctor = ward.present()
    ward.deposit(doctor, ASTHMA, CDA, type="patient_summary", title="Synthèse", act_date="2021-05-06")
    assert told(read(ward, ward.holder, kinds=["document"])) == ["document Synthèse"]
    assert told(read(ward, ward.holder, kinds=["risk_factor"])) == ["Hypertension", "Asthme"]
    assert told(read(ward, ward.holder, kinds=["mandate", "state"])) == ["presence opened", "active", "open"]
    assert told(read(ward, ward.holder, since="2019-08-11", until="2021-05-05")) == ["Asthme"]
    assert told(read(ward, ward.holder, until="2019-08-11")) == ["Asthme"]
    assert told(read(ward, ward.holder, until="2019-08-10")) == []
    assert told(read(ward, ward.holder, until="2021-05-06", kinds=["document"])) == ["document Synthèse"]
    assert "active" in told(read(ward, ward.holder, since="2021-05-07"))


def test_a_professional_sees_their_own_mandates_and_no_reason_of_a_state(ward: Ward) -> None:
    doctor, nurse = ward.present(), ward.present("nurse")
    items = read(ward, doctor, kinds=["state", "mandate"])
    assert told(items) == ["presence opened", "active", "open"]
    assert items[0]["mandate"]["professional_id"] == doctor.professional_id
    assert {item["state"]["cause"] for item in items[1:]} == {None} == {item["state"]["by"] for item in items[1:]}
    assert len(read(ward, ward.holder, kinds=["mandate"])) == 2
    assert read(ward, nurse, kinds=["mandate"])[0]["mandate"]["professional_id"] == nurse.professional_id


def test_that_a_record_was_closed_for_a_time_is_told_to_its_holder_alone(ward: Ward) -> None:
    doctor = ward.present()
    ward.house.ask("dossier", "close_record", ward.holder, record_id=ward.record_id, confirmed=True)
    with pytest.raises(RecordClosed):
        read(ward, ward.holder)
    with pytest.raises(RecordNotFound):
        read(ward, doctor)
    ward.house.ask("dossier", "reopen_record", ward.holder, record_id=ward.record_id)
    assert told(read(ward, ward.holder, kinds=["state"])) == ["active", "closed", "active", "open"]
    assert told(read(ward, doctor, kinds=["state"])) == ["active", "open"]


def test_the_referring_physician_is_told_of_every_state_and_mandate(ward: Ward) -> None:
    referring, nurse = ward.professional(), ward.present("nurse")
    designate(ward, referring)
    items = read(ward, referring, kinds=["state", "mandate"])
    assert told(items) == ["presence opened", "active", "open"]
    assert items[0]["mandate"]["professional_id"] == nurse.professional_id and items[1]["state"]["by"] == "holder"


def test_an_ended_mandate_is_told_when_it_ended(ward: Ward) -> None:
    ward.present()
    ward.end_mandates()
    assert told(read(ward, ward.holder, kinds=["mandate"])) == ["presence ended", "presence opened"]


def test_a_restricted_document_and_its_entries_are_absent_for_the_one_it_is_hidden_from(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    document_id = ward.deposit(author, ASTHMA, CDA, type="patient_summary", title="Synthèse")
    everything = ["document", "risk_factor"]
    assert len(read(ward, reader, kinds=everything)) == 3
    ward.restrict(ward.holder, document_id, reader)
    assert read(ward, reader, kinds=everything) == []
    assert len(read(ward, author, kinds=everything)) == 3 == len(read(ward, ward.holder, kinds=everything))
    ward.unrestrict(ward.holder, document_id, reader)
    assert len(read(ward, reader, kinds=everything)) == 3


def test_a_blocked_document_and_its_entries_are_absent_for_the_holder_side_and_come_back(ward: Ward) -> None:
    author = ward.present()
    document_id = ward.deposit(author, ASTHMA, CDA, type="patient_summary", title="Synthèse")
    ward.block(author, document_id)
    for who in (ward.holder, ward.representative(), ward.assistant()):
        assert read(ward, who, kinds=["document", "risk_factor"]) == []
    assert len(read(ward, author, kinds=["risk_factor"])) == 2
    ward.release(author, document_id)
    assert len(read(ward, ward.holder, kinds=["risk_factor"])) == 2


@pytest.mark.parametrize("level", ["confidential", "private"])
def test_a_document_above_the_readers_level_and_its_entries_are_absent(ward: Ward, level: str) -> None:
    author, reader = ward.present(), ward.present()
    document_id = ward.deposit(author, ASTHMA, CDA, type="patient_summary")
    ward.set_level(ward.holder, document_id, level)
    assert read(ward, reader, kinds=["document", "risk_factor"]) == []
    assert len(read(ward, author, kinds=["document", "risk_factor"])) == 3


def test_what_is_still_checked_or_was_rejected_stands_in_nobodys_timeline(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    for state in ("checking", "rejected"):
        ward.sql("update documents set state = :state where document_id = :id", state=state, id=document_id)
        assert read(ward, doctor, kinds=["document"]) == [] == read(ward, ward.holder, kinds=["document"])
        assert ward.listed(doctor) == [document_id]


def test_without_a_ground_there_is_no_timeline_and_an_author_keeps_what_they_wrote(ward: Ward) -> None:
    author, stranger = ward.present(), ward.professional()
    ward.deposit(author, title="Mien")
    ward.end_mandates()
    for who in (stranger, caller("patient"), caller("agent")):
        with pytest.raises(RecordNotFound):
            read(ward, who)
    with pytest.raises(RecordNotFound):
        ward.ask("timeline", author, record_id=new_id())
    assert told(read(ward, author)) == ["document Mien"]
    assert read(ward, author, kinds=["mandate", "state"]) == []


def test_a_blocked_professional_is_told_no_more_than_somebody_without_a_ground(ward: Ward) -> None:
    doctor = ward.present()
    ward.house.ask(
        "dossier", "block_professional", ward.holder, record_id=ward.record_id,
        professional_id=doctor.professional_id, risk_accepted=True, risk_version="risk-2026-1",
    )  # fmt: skip
    with pytest.raises(RecordNotFound):
        read(ward, doctor)


@pytest.mark.parametrize(
    "asked",
    [
        {"kinds": []}, {"kinds": ["other"]}, {"kinds": "document"}, {"since": "2019"}, {"until": "x"}, {"limit": 0},
        {"limit": 101}, {"cursor": "x"}, {"cursor": ""},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(ward: Ward, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read(ward, ward.holder, **asked)


def test_a_cursor_belongs_to_its_question(ward: Ward) -> None:
    ward.present()
    cursor = ward.ask("timeline", ward.holder, record_id=ward.record_id, limit=1)["next_cursor"]
    assert len(read(ward, ward.holder, cursor=cursor)) == 2
    with pytest.raises(InvalidInput):
        read(ward, ward.holder, cursor=cursor, kinds=["state"])


def test_a_look_at_the_timeline_leaves_one_trace_with_its_count_and_asks_dossier_once(ward: Ward) -> None:
    doctor = ward.present()
    ward.deposit(doctor)
    before = len(ward.traces())
    with ward.counted() as statements, ward.counted("dossier") as asked:
        read(ward, doctor)
    [trace] = ward.traces()[before:]
    assert (trace["action"], trace["count"], trace["ground"]) == ("timeline.read", 4, "presence")
    assert len(statements) == 2 and len(asked) <= 5
    with pytest.raises(RecordNotFound):
        read(ward, ward.professional())
    assert ward.traces()[-1]["outcome"] == "refused" and len(ward.traces()) == before + 2
