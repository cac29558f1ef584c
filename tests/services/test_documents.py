"""documents takes deposits: over real databases, the real dossier and the real object store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services import sealing
from services.db import new_id
from services.documents import contract, models
from services.documents.contract import (
    MediaTypeNotAllowed,
    TypeNotDepositable,
    UploadEmpty,
    UploadExpired,
    UploadIncomplete,
    UploadNotFound,
    UploadTooLarge,
)
from services.documents.ports.blobs import Blobs
from services.dossier.contract import RecordNotFound
from services.refusals import InvalidInput, KeyReused, Refusal, SessionEnded, Unavailable
from services.settings import Settings
from tests.builders import caller, context, pdf, png
from tests.services.ward import HTTP, Ward, at_once

DAY_AND_A_BIT = "interval '24 hours 1 minute'"


def test_the_migration_makes_what_the_models_say(ward: Ward) -> None:
    with ward.house.sessions["documents"].engine.connect() as connection:
        compared = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(compared, models.metadata) == []


def ours(_object: Any, _name: Any, kind: str, reflected: bool, other: Any) -> bool:
    """Leaves out what the plumbing keeps in the same database."""
    return not (kind == "table" and reflected and other is None)


# --- deposit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 200_000, 3 * 1024 * 1024 + 17])
def test_a_deposited_file_comes_back_byte_for_byte(ward: Ward, size: int) -> None:
    doctor, data = ward.present(), pdf(size=size)
    document_id = ward.deposit(doctor, data, title="Rapport d'écho", act_date="2026-11-20", language="fr")
    assert ward.read(ward.holder, document_id) == data
    item = ward.ask("read_document", ward.holder, document_id=document_id)
    assert item["title"] == "Rapport d'écho" and item["act_date"] == "2026-11-20" and item["language"] == "fr"
    assert (item["type"], item["category"], item["folder"]) == ("medical_report", "care_reports", "medical_data")
    assert item["author_id"] == doctor.professional_id and item["holder_authored"] is False
    assert item["level"] == "standard" and item["size"] == len(data)
    assert [version["sha256"] for version in item["versions"]] == [hashlib.sha256(data).hexdigest()]


def test_what_lies_in_the_store_is_not_the_file(ward: Ward) -> None:
    doctor, data = ward.present(), pdf("a secret sentence")
    opened = ward.open(doctor, ward.deposit(doctor, data))
    stored = HTTP.request("GET", opened["get_url"]).data
    assert len(stored) == sealing.sealed_size(len(data)) and b"secret" not in stored


def test_a_deposit_leaves_one_event_and_one_trace(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    [event] = ward.events(contract.DocumentDeposited)
    assert event["document_id"] == document_id and event["record_id"] == ward.record_id
    assert event["document_type"] == "medical_report" and event["level"] == "standard"
    assert event["author_id"] == doctor.professional_id
    [trace] = ward.traces()
    assert (trace["action"], trace["outcome"], trace["ground"]) == ("document.created", "allowed", "presence")
    assert (trace["record_id"], trace["object_id"]) == (ward.record_id, document_id)
    assert trace["professional_id"] == doctor.professional_id and trace["rule"]


def test_events_and_traces_carry_no_title(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor, title="Sérologie confidentielle")
    ward.listed(doctor)
    ward.ask("read_document", doctor, document_id=document_id)
    ward.set_level(doctor, document_id, "confidential")
    assert "rologie" not in json.dumps(ward.house.events("documents"), ensure_ascii=False)


def test_the_holder_deposits_an_expression_that_has_no_author_id(ward: Ward) -> None:
    document_id = ward.deposit(ward.holder, b"Mes souhaits", contract.TEXT, type="holder_expression")
    item = ward.ask("read_document", ward.holder, document_id=document_id)
    assert item["holder_authored"] is True and item["author_id"] is None
    assert ward.traces("document.created")[0]["ground"] == "holder"


def test_the_holder_cannot_deposit_a_medical_report(ward: Ward) -> None:
    with pytest.raises(TypeNotDepositable):
        ward.prepare(ward.holder)


def test_a_medical_biologist_deposits_a_laboratory_result(ward: Ward) -> None:
    assert ward.deposit(ward.present("medical_biologist"), type="laboratory_results")


def test_a_pharmacist_cannot_deposit_a_laboratory_result(ward: Ward) -> None:
    with pytest.raises(TypeNotDepositable):
        ward.prepare(ward.present("pharmacist"), type="laboratory_results")
    [trace] = ward.traces()
    assert (trace["action"], trace["outcome"]) == ("document.created", "refused")
    assert (trace["reason"], trace["record_id"]) == ("type_not_depositable", ward.record_id)


def test_without_a_ground_a_deposit_is_refused_as_for_an_unknown_record(ward: Ward) -> None:
    stranger = ward.professional()
    with pytest.raises(RecordNotFound) as known:
        ward.prepare(stranger)
    with pytest.raises(RecordNotFound) as unknown:
        ward.prepare(stranger, record_id=new_id())
    with pytest.raises(RecordNotFound) as senseless:
        ward.prepare(stranger, record_id="1; drop table documents")
    assert known.value.to_wire() == unknown.value.to_wire() == senseless.value.to_wire()
    assert [trace["reason"] for trace in ward.traces("document.created")] == ["record_not_found"] * 3
    assert "drop table" not in json.dumps(ward.traces())


def test_a_permission_asked_for_before_the_bytes_are_at_hand_leaves_a_trace_of_its_own(ward: Ward) -> None:
    doctor = ward.present()
    ward.ask("prepare_deposit", doctor, record_id=ward.record_id, type="medical_report", title="Compte rendu")
    [trace] = ward.traces()
    assert (trace["action"], trace["outcome"], trace["record_id"]) == ("document.prepared", "allowed", ward.record_id)
    assert trace["ground"] == "presence" and trace["rule"]


def test_an_agent_of_the_agency_deposits_nothing(ward: Ward) -> None:
    with pytest.raises(RecordNotFound):
        ward.prepare(caller("agent"))


def test_wrong_words_about_a_document_are_pointed_at(ward: Ward) -> None:
    with pytest.raises(InvalidInput) as refused:
        ward.prepare(ward.present(), type="rapport", title="")
    assert [error["pointer"] for error in refused.value.detail["errors"]] == ["/type", "/title"]


def test_a_gateway_key_that_is_none_is_refused_and_leaves_nothing(ward: Ward) -> None:
    doctor = ward.present()
    said = {"record_id": ward.record_id, "type": "medical_report", "title": "x"}
    before = ward.sql("select count(*) from uploads")
    for wrong in ("", "AAAA", "é", "not base64!"):
        with pytest.raises(InvalidInput):
            ward.ask("prepare_deposit", doctor, gateway_key=wrong, **said)
    assert ward.sql("select count(*) from uploads") == before


# --- tries and commits ------------------------------------------------------------------------------------------------


def test_every_try_has_a_name_and_a_key_of_its_own(ward: Ward) -> None:
    doctor = ward.present()
    first = ward.prepare(doctor)
    tries = [first] + [
        ward.ask("start_upload", doctor, upload_id=first["upload_id"], gateway_key=ward.gateway.public)
        for _ in range(3)
    ]
    keys = {ward.gateway.receive(each["sealed_key"], each["version_id"].encode()) for each in tries}
    assert len(keys) == len({each["version_id"] for each in tries}) == 4
    assert all(each["version_id"] in each["put_url"] for each in tries)


def test_an_upload_may_be_prepared_before_its_bytes_are_at_hand(ward: Ward) -> None:
    doctor = ward.present()
    prepared = ward.ask(
        "prepare_deposit", doctor, record_id=ward.record_id, type="imaging", title="Radio", act_date=None, language=None
    )
    assert set(prepared) == {"upload_id", "expires_at", "max_size"}
    started = ward.ask("start_upload", doctor, upload_id=prepared["upload_id"], gateway_key=ward.gateway.public)
    data = png()
    ward.put(started, data)
    assert ward.commit(doctor, {**prepared, **started}, data, media_type=contract.PNG)["document_id"]


def test_a_repeated_commit_gets_the_first_answer_and_leaves_nothing_more(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    started = ward.prepare(doctor)
    ward.put(started, data)
    first = ward.commit(doctor, started, data)
    ward.examine()
    ward.end_mandates()  # the deposit was made: a repeat only asks what became of it
    assert ward.commit(doctor, started, data) == first
    assert len(ward.events(contract.DocumentDeposited)) == len(ward.traces("document.created")) == 1


def test_a_second_try_after_the_commit_gets_the_first_answer(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    started = ward.prepare(doctor)
    ward.put(started, data)
    first = ward.commit(doctor, started, data)
    again = ward.ask("start_upload", doctor, upload_id=started["upload_id"], gateway_key=ward.gateway.public)
    ward.put(again, data)
    assert ward.commit(doctor, {**started, **again}, data) == first


def test_an_upload_that_is_a_document_takes_no_other_bytes(ward: Ward) -> None:
    doctor = ward.present()
    started = ward.prepare(doctor)
    ward.put(started, pdf())
    ward.commit(doctor, started, pdf())
    with pytest.raises(KeyReused):
        ward.commit(doctor, started, pdf("another"))


def test_of_simultaneous_commits_one_deposits_and_all_get_its_answer(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    started = ward.prepare(doctor)
    ward.put(started, data)
    answers = at_once(6, lambda _: ward.commit(doctor, started, data))
    assert answers == [answers[0]] * 6 and answers[0]["document_id"]
    assert ward.listed(doctor) == [answers[0]["document_id"]]
    ward.examine()
    assert len(ward.events(contract.DocumentDeposited)) == len(ward.traces("document.created")) == 1


def test_simultaneous_first_deposits_share_one_record_key(ward: Ward) -> None:
    doctor = ward.present()
    documents = at_once(6, lambda number: ward.deposit(doctor, pdf(str(number))))
    assert [ward.read(doctor, document_id) for document_id in documents] == [pdf(str(number)) for number in range(6)]
    [count] = ward.sql("select count(*) from record_keys where record_id = :r", r=ward.record_id)
    assert count == (1,)


def test_one_idempotency_key_is_one_upload(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    doctor = replace(doctor, context=context(idempotency_key="k-1"))
    first, second = ward.prepare(doctor), ward.prepare(doctor)
    assert first["upload_id"] == second["upload_id"] and first["version_id"] != second["version_id"]
    for started in (first, second):
        ward.put(started, data)
    assert ward.commit(doctor, first, data) == ward.commit(doctor, second, data)
    ward.examine()
    assert len(ward.events(contract.DocumentDeposited)) == 1


def test_an_idempotency_key_is_not_reused_for_other_words_or_bytes(ward: Ward) -> None:
    doctor = replace(ward.present(), context=context(idempotency_key="k-2"))
    ward.deposit(doctor)
    with pytest.raises(KeyReused):
        ward.prepare(doctor, title="Autre")
    again = ward.prepare(doctor)
    ward.put(again, pdf("another"))
    with pytest.raises(KeyReused):
        ward.commit(doctor, again, pdf("another"))


def test_neither_keys_nor_addresses_of_bytes_are_ever_stored_in_clear(ward: Ward) -> None:
    doctor = replace(ward.present(), context=context(idempotency_key="k-3"))
    started = ward.prepare(doctor)
    key = ward.gateway.receive(started["sealed_key"], started["version_id"].encode())
    [[remembered]] = ward.sql("select response from requests where key = 'k-3'")
    assert set(remembered) == {"upload_id", "expires_at", "max_size"}
    [[wrapped]] = ward.sql("select wrapped_key from attempts where version_id = :v", v=started["version_id"])
    assert key not in bytes(wrapped)


def test_an_upload_is_its_makers_alone(ward: Ward) -> None:
    maker, other = ward.present(), ward.present()
    started = ward.prepare(maker)
    ward.put(started, pdf())
    with pytest.raises(UploadNotFound) as foreign:
        ward.commit(other, started, pdf())
    with pytest.raises(UploadNotFound):
        ward.ask("start_upload", other, upload_id=started["upload_id"], gateway_key=ward.gateway.public)
    with pytest.raises(UploadNotFound) as unknown:
        ward.commit(other, {**started, "upload_id": new_id()}, pdf())
    assert foreign.value.to_wire() == unknown.value.to_wire()
    assert [trace["record_id"] for trace in ward.traces("document.created")] == [ward.record_id, ward.record_id, None]


def test_an_upload_belongs_to_the_capacity_it_was_made_in(ward: Ward) -> None:
    maker = ward.present()
    started = ward.prepare(maker)
    as_patient = replace(maker, capacity="patient", patient_id=ward.holder.patient_id, professional_id=None)
    with pytest.raises(UploadNotFound):
        ward.commit(as_patient, started, pdf())


@pytest.mark.parametrize("stored", [None, b"", b"%PDF", pdf() + b"more"])
def test_bytes_that_are_not_all_there_become_no_document(ward: Ward, stored: bytes | None) -> None:
    doctor = ward.present()
    started = ward.prepare(doctor)
    if stored is not None:
        ward.put(started, stored)
    with pytest.raises(UploadIncomplete):
        ward.commit(doctor, started, pdf())
    assert ward.listed(doctor) == [] and ward.events(contract.DocumentDeposited) == []
    [trace] = ward.traces("document.created")
    assert (trace["outcome"], trace["reason"], trace["record_id"]) == ("refused", "upload_incomplete", ward.record_id)


def test_after_an_incomplete_upload_the_next_try_succeeds(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    started = ward.prepare(doctor)
    ward.put(started, data[:10])
    with pytest.raises(UploadIncomplete):
        ward.commit(doctor, started, data)
    again = ward.ask("start_upload", doctor, upload_id=started["upload_id"], gateway_key=ward.gateway.public)
    ward.put(again, data)
    committed = ward.commit(doctor, {**started, **again}, data)
    assert ward.read(doctor, committed["document_id"]) == data


def test_a_try_of_one_upload_is_no_try_of_another(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    one, other = ward.prepare(doctor), ward.prepare(doctor)
    ward.put(other, data)
    with pytest.raises(UploadExpired):
        ward.commit(doctor, {**one, "version_id": other["version_id"]}, data)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"size": 0}, UploadEmpty),
        ({"size": 2 * 1024**3 + 1}, UploadTooLarge),
        ({"media_type": "text/html"}, MediaTypeNotAllowed),
        ({"media_type": contract.DICOM}, UploadIncomplete),
        ({"size": -1}, InvalidInput),
        ({"size": "12"}, InvalidInput),
        ({"sha256": "abc"}, InvalidInput),
        ({"version_id": "x"}, InvalidInput),
        ({"media_type": None}, InvalidInput),
    ],
)
def test_a_commit_is_refused(ward: Ward, changes: dict[str, Any], refusal: type[Refusal]) -> None:
    doctor = ward.present()
    started = ward.prepare(doctor)
    with pytest.raises(refusal):
        ward.commit(doctor, started, pdf(), **changes)
    assert len(ward.traces("document.created")) == (0 if refusal is InvalidInput else 1)


def test_rights_are_asked_again_at_the_commit(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    started = ward.prepare(doctor)
    ward.put(started, data)
    ward.end_mandates()
    with pytest.raises(RecordNotFound):
        ward.commit(doctor, started, data)
    assert ward.listed(ward.holder) == []


def test_a_dead_object_store_leaves_nothing_half_done(ward: Ward, bucket: Settings) -> None:
    doctor, data = ward.present(), pdf()
    started = ward.prepare(doctor)
    ward.put(started, data)
    ward.house.documents.blobs = Blobs.of(replace(bucket, s3_endpoint="127.0.0.1:9"))
    with pytest.raises(Unavailable):
        ward.commit(doctor, started, data)
    assert ward.events(contract.DocumentDeposited) == [] and ward.listed(doctor) == []
    ward.house.documents.blobs = Blobs.of(bucket)
    assert ward.commit(doctor, started, data)["document_id"]


def test_an_ended_session_deposits_and_reads_nothing(ward: Ward) -> None:
    doctor = ward.present()
    document_id = ward.deposit(doctor)
    started = ward.prepare(doctor)
    ward.sql("insert into ended_sessions values (:s, now())", s=doctor.session_id)
    for refused in (
        lambda: ward.prepare(doctor),
        lambda: ward.commit(doctor, started, pdf()),
        lambda: ward.listed(doctor),
        lambda: ward.ask("read_document", doctor, document_id=document_id),
        lambda: ward.open(doctor, document_id),
        lambda: ward.set_level(doctor, document_id, "private"),
    ):
        with pytest.raises(SessionEnded):
            refused()
    assert len(ward.traces()) == 1


# --- sweeping ---------------------------------------------------------------------------------------------------------


def test_what_no_commit_took_within_a_day_is_removed(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    kept, orphan, fresh = ward.deposit(doctor), ward.prepare(doctor), ward.prepare(doctor)
    for started in (orphan, fresh):
        ward.put(started, data)
    age(ward, orphan)
    ward.house.documents.sweep_orphans()
    blobs = ward.house.documents.blobs
    assert blobs.stored(orphan["version_id"]) is None and blobs.stored(fresh["version_id"]) is not None
    assert ward.sql("select 1 from attempts where version_id = :v", v=orphan["version_id"]) == []
    assert ward.read(doctor, kept) == data
    with pytest.raises(UploadExpired):
        ward.commit(doctor, {**orphan, "version_id": fresh["version_id"]}, data)
    assert ward.commit(doctor, fresh, data)["document_id"]


def age(ward: Ward, started: dict[str, Any], by: str = DAY_AND_A_BIT) -> None:
    ward.sql(f"update attempts set started_at = started_at - {by} where version_id = :v", v=started["version_id"])
    ward.sql(f"update uploads set expires_at = expires_at - {by} where upload_id = :u", u=started["upload_id"])


def test_a_commit_that_comes_too_late_takes_nothing(ward: Ward) -> None:
    doctor = ward.present()
    started = ward.prepare(doctor)
    ward.put(started, pdf())
    age(ward, started)
    with pytest.raises(UploadExpired):
        ward.commit(doctor, started, pdf())
    with pytest.raises(UploadExpired):
        ward.ask("start_upload", doctor, upload_id=started["upload_id"], gateway_key=ward.gateway.public)
    assert [trace["reason"] for trace in ward.traces()] == ["upload_expired"] * 2


def test_a_sweep_that_finds_no_store_goes_on_another_time(ward: Ward, bucket: Settings) -> None:
    started = ward.prepare(ward.present())
    ward.put(started, pdf())
    age(ward, started)
    ward.house.documents.blobs = Blobs.of(replace(bucket, s3_endpoint="127.0.0.1:9"))
    ward.house.documents.sweep_orphans()
    assert ward.sql("select condemned_at is not null from attempts where version_id = :v", v=started["version_id"])
    ward.house.documents.blobs = Blobs.of(bucket)
    ward.house.documents.sweep_orphans()
    assert ward.sql("select 1 from attempts where version_id = :v", v=started["version_id"]) == []
    assert ward.house.documents.blobs.stored(started["version_id"]) is None


def test_the_words_of_an_upload_are_forgotten_after_two_days(ward: Ward) -> None:
    doctor = ward.present()
    started = ward.prepare(doctor)
    age(ward, started, "interval '49 hours'")
    document_id = ward.deposit(doctor)
    ward.sql("update uploads set expires_at = now() - interval '25 hours' where document_id = :d", d=document_id)
    ward.house.documents.sweep_orphans()
    assert ward.sql("select 1 from uploads where record_id = :r", r=ward.record_id) == []
    assert ward.read(doctor, document_id) == pdf()
    with pytest.raises(UploadNotFound):
        ward.commit(doctor, started, pdf())
