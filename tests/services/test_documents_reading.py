"""documents answers readers: lists, single documents, openings and levels, with hidden never told from unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from services.db import new_id, rfc3339
from services.documents import contract
from services.documents.contract import DocumentNotFound
from services.dossier.contract import RecordNotFound
from services.refusals import InvalidInput, NotAllowed
from services.tokens import Caller
from tests.builders import caller, pdf
from tests.services.ward import HTTP, Ward, at_once

# --- reading ----------------------------------------------------------------------------------------------------------


def test_hidden_unknown_and_foreign_are_one_answer_at_one_cost(ward: Ward) -> None:
    author, reader = ward.present(), ward.present()
    hidden = ward.deposit(author)
    ward.set_level(ward.holder, hidden, "private")
    neighbour = Ward(ward.house, ward.settings)
    foreign = neighbour.deposit(neighbour.present())
    seen, costs = [], []
    for document_id in (hidden, foreign, new_id(), "nonsense"):
        costs.append([])
        for call in (
            lambda: ward.ask("read_document", reader, document_id=document_id),  # noqa: B023 called at once
            lambda: ward.open(reader, document_id),  # noqa: B023
            lambda: ward.set_level(reader, document_id, "standard"),  # noqa: B023
        ):
            with ward.counted() as statements, pytest.raises(DocumentNotFound) as refused:
                call()
            seen.append(refused.value.to_wire())
            costs[-1].append(len(statements))
    assert len({json.dumps(wire) for wire in seen}) == 1
    assert all(cost == costs[0] for cost in costs)
    traces = [trace for trace in ward.traces() if trace["outcome"] == "refused"]
    assert [trace["record_id"] for trace in traces] == ([ward.record_id] * 3 + [neighbour.record_id] * 3 + [None] * 6)
    assert {trace["reason"] for trace in traces} == {"document_not_found"}
    assert {trace["action"] for trace in traces} == {"document.read", "document.opened", "document.level_changed"}
    assert "nonsense" not in json.dumps(traces)


def test_a_list_is_one_trace_that_tells_how_many(ward: Ward) -> None:
    doctor = ward.present()
    for _ in range(3):
        ward.deposit(doctor)
    assert len(ward.listed(ward.holder)) == 3
    [trace] = ward.traces("document.searched")
    assert (trace["count"], trace["ground"], trace["record_id"]) == (3, "holder", ward.record_id)
    assert trace["object_id"] is None


def test_without_a_ground_and_a_document_of_ones_own_there_is_no_record(ward: Ward) -> None:
    ward.deposit(ward.present())
    stranger = ward.professional()
    with pytest.raises(RecordNotFound):
        ward.listed(stranger)
    with pytest.raises(RecordNotFound):
        ward.ask("list_documents", stranger, record_id=new_id())
    with pytest.raises(RecordNotFound):
        ward.ask("list_documents", stranger, record_id="x")
    assert [trace["outcome"] for trace in ward.traces("document.searched")] == ["refused"] * 3


def test_another_patient_has_no_ground(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    with pytest.raises(RecordNotFound):
        ward.listed(caller("patient"))
    with pytest.raises(DocumentNotFound):
        ward.read(caller("patient"), document_id)


def test_an_author_keeps_their_documents_when_the_ground_has_ended(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    own, _ = ward.deposit(author), ward.deposit(other)
    ward.end_mandates()
    assert ward.listed(author) == [own]
    assert ward.read(author, own) == pdf()
    assert ward.traces("document.opened")[-1]["ground"] == "author"
    with pytest.raises(NotAllowed):
        ward.set_level(author, own, "private")


def test_a_list_comes_in_pages_newest_first(ward: Ward) -> None:
    doctor = ward.present()
    deposited = [ward.deposit(doctor) for _ in range(7)]
    ward.sql("update documents set deposited_at = '2026-11-21' where record_id = :r", r=ward.record_id)  # ids decide
    found: list[str] = []
    cursor = None
    for _ in range(4):
        page = ward.ask("list_documents", doctor, record_id=ward.record_id, limit=2, cursor=cursor)
        found += [item["document_id"] for item in page["documents"]]
        cursor = page["next_cursor"]
    assert cursor is None and found == sorted(deposited, reverse=True)
    everything = ward.ask("list_documents", doctor, record_id=ward.record_id, limit=7)
    assert everything["next_cursor"] is None and len(everything["documents"]) == 7


@pytest.mark.parametrize("wrong", [{"cursor": "x"}, {"cursor": ""}, {"limit": 0}, {"limit": 101}, {"limit": "5"}])
def test_a_page_that_cannot_be_is_pointed_at(ward: Ward, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        ward.listed(ward.holder, **wrong)
    assert refused.value.detail["errors"][0]["pointer"] == "/" + next(iter(wrong))


def test_a_pharmacist_sees_what_the_matrix_allows_and_not_its_neighbours(ward: Ward) -> None:
    doctor = ward.present()
    report = ward.deposit(doctor)
    prescription = ward.deposit(doctor, type="drug_treatment")
    image, certificate = ward.deposit(doctor, type="imaging"), ward.deposit(doctor, type="medical_certificate")
    pharmacist = ward.present("pharmacist")
    assert set(ward.listed(pharmacist)) == {report, prescription}
    assert ward.read(pharmacist, prescription) == pdf()
    for forbidden in (image, certificate):
        with pytest.raises(DocumentNotFound):
            ward.open(pharmacist, forbidden)


# --- openings ---------------------------------------------------------------------------------------------------------


def test_a_document_is_opened_once_per_session_however_many_requests_read_it(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    for from_start in (True, False, False, True):
        ward.open(doctor, document_id, from_start=from_start)
    [trace] = ward.traces("document.opened")
    assert (trace["object_id"], trace["record_id"], trace["ground"]) == (document_id, ward.record_id, "presence")


def test_a_later_range_without_an_opening_begins_one(ward: Ward) -> None:
    doctor = ward.present()
    ward.open(doctor, ward.deposit(doctor), from_start=False)
    assert len(ward.traces("document.opened")) == 1


def test_another_session_and_another_version_are_openings_of_their_own(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.open(doctor, document_id)
    ward.open(replace(doctor, session_id=new_id()), document_id)
    ward.open(doctor, ward.deposit(doctor))
    assert len(ward.traces("document.opened")) == 3


@pytest.mark.parametrize("from_start", [True, False])
def test_after_fifteen_minutes_without_reading_it_is_another_opening(ward: Ward, from_start: bool) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.open(doctor, document_id)
    minutes_pass(ward, 15.1)
    ward.open(doctor, document_id, from_start=from_start)
    assert len(ward.traces("document.opened")) == 2


def test_to_begin_again_after_fifteen_minutes_is_another_opening(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    for expected in (1, 1, 2):
        ward.open(doctor, document_id)
        assert len(ward.traces("document.opened")) == expected
        minutes_pass(ward, 8)


def test_to_read_on_is_the_same_opening_however_long_it_takes(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.open(doctor, document_id)
    for _ in range(5):
        minutes_pass(ward, 14)
        ward.open(doctor, document_id, from_start=False)
    assert len(ward.traces("document.opened")) == 1


def test_after_a_day_reading_on_is_another_opening(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.open(doctor, document_id)
    ward.sql("update opens set opened_at = opened_at - interval '25 hours'")
    ward.house.documents.sweep_orphans()
    ward.open(doctor, document_id, from_start=False)
    assert len(ward.traces("document.opened")) == 2


def minutes_pass(ward: Ward, minutes: float) -> None:
    ward.sql("update opens set opened_at = opened_at - :m * interval '1 minute',"
             " read_at = read_at - :m * interval '1 minute'", m=minutes)  # fmt: skip


def test_simultaneous_requests_of_a_session_are_one_opening(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    answers = at_once(8, lambda number: ward.open(doctor, document_id, from_start=number % 2 == 0))
    assert {answer["document_id"] for answer in answers} == {document_id}
    assert len(ward.traces("document.opened")) == 1


def test_a_version_is_opened_by_its_own_document_only(ward: Ward) -> None:
    doctor = ward.present()
    one, other = ward.deposit(doctor), ward.deposit(doctor)
    version_id = ward.open(doctor, one)["version_id"]
    assert ward.open(doctor, one, version_id=version_id)["version_id"] == version_id
    for wrong in (ward.open(doctor, other)["version_id"], new_id(), "x"):
        with pytest.raises(DocumentNotFound):
            ward.open(doctor, one, version_id=wrong)


def test_an_opened_file_has_a_name_without_its_title(ward: Ward) -> None:
    opened = ward.open(ward.holder, ward.deposit(ward.present(), title="Dépistage"))
    assert opened["filename"].startswith("medical_report-20") and opened["filename"].endswith(".pdf")
    assert "X-Amz-Expires=60" in opened["get_url"] and opened["media_type"] == contract.PDF


def test_the_bytes_that_were_committed_are_the_ones_served(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    started = ward.prepare(doctor)
    ward.put(started, data)
    document_id = ward.commit(doctor, started, data)["document_id"]
    HTTP.request("PUT", started["put_url"], body=b"written over later")
    assert ward.read(doctor, document_id) == data


# --- levels -----------------------------------------------------------------------------------------------------------


def test_levels_and_the_circle_decide_who_finds_a_document(ward: Ward) -> None:
    author, other = ward.present(), ward.present()
    document_id = ward.deposit(author)
    assert ward.listed(other) == [document_id] and ward.read(other, document_id) == pdf()

    ward.set_level(ward.holder, document_id, "confidential")
    hidden_from(ward, other, document_id)
    found_by(ward, author, document_id)
    ward.trust(other)
    found_by(ward, other, document_id)

    ward.set_level(ward.holder, document_id, "private")
    hidden_from(ward, other, document_id)
    found_by(ward, author, document_id)
    found_by(ward, ward.holder, document_id)

    changes = ward.events(contract.ConfidentialityChanged)
    assert [(change["previous"], change["level"]) for change in changes] == [
        ("standard", "confidential"), ("confidential", "private"),
    ]  # fmt: skip


def hidden_from(ward: Ward, who: Caller, document_id: str) -> None:
    assert document_id not in ward.listed(who)
    with pytest.raises(DocumentNotFound):
        ward.ask("read_document", who, document_id=document_id)
    with pytest.raises(DocumentNotFound):
        ward.open(who, document_id)
    with pytest.raises(DocumentNotFound):
        ward.set_level(who, document_id, "standard")


def found_by(ward: Ward, who: Caller, document_id: str) -> None:
    assert document_id in ward.listed(who)
    assert ward.ask("read_document", who, document_id=document_id)["document_id"] == document_id
    assert ward.read(who, document_id) == pdf()


def test_every_level_a_document_had_stays_in_its_history(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    ward.set_level(doctor, document_id, "confidential")
    ward.set_level(ward.holder, document_id, "private")
    rows = ward.sql(
        "select level, account_id::text, risk_accepted, valid_from, valid_to from levels where document_id = :d"
        " order by valid_from", d=document_id,
    )  # fmt: skip
    assert [row[:3] for row in rows] == [
        ("standard", doctor.account_id, False),
        ("confidential", doctor.account_id, True),
        ("private", ward.holder.account_id, True),
    ]
    assert [row.valid_to for row in rows] == [rows[1].valid_from, rows[2].valid_from, None]
    change = ward.events(contract.ConfidentialityChanged)[-1]
    assert change["changed_at"] == rfc3339(rows[2].valid_from)


def test_a_level_that_stands_already_is_not_an_event(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    assert ward.set_level(ward.holder, document_id, "standard") == {"document_id": document_id, "level": "standard"}
    assert ward.events(contract.ConfidentialityChanged) == []
    assert len(ward.traces("document.level_changed")) == 1


def test_the_risk_has_to_be_accepted(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    with pytest.raises(InvalidInput) as refused:
        ward.set_level(ward.holder, document_id, "secret", risk_accepted=False)
    assert [error["pointer"] for error in refused.value.detail["errors"]] == ["/level", "/risk_accepted"]


def test_a_professional_who_deposits_in_the_category_changes_a_level(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    nurse = ward.present("nurse")
    assert ward.set_level(nurse, document_id, "confidential")["level"] == "confidential"
    hidden_from(ward, nurse, document_id)


def test_a_professional_who_only_reads_the_category_changes_no_level(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    with pytest.raises(NotAllowed):
        ward.set_level(ward.present("pharmacist"), document_id, "confidential")
    [trace] = ward.traces("document.level_changed")
    assert (trace["outcome"], trace["reason"], trace["record_id"]) == ("refused", "not_allowed", ward.record_id)


def test_simultaneous_changes_of_level_come_one_after_the_other(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    at_once(6, lambda number: ward.set_level(ward.holder, document_id, contract.LEVELS[number % 3]))
    changes = ward.events(contract.ConfidentialityChanged)
    level = "standard"
    for change in changes:
        assert change["previous"] == level != change["level"]
        level = change["level"]
    [[current]] = ward.sql("select level from levels where document_id = :d and valid_to is null", d=document_id)
    assert current == level == ward.ask("read_document", ward.holder, document_id=document_id)["level"]
