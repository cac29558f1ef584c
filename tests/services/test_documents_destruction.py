"""A deleted record: its documents end, its key is destroyed, and nothing opens what is left anywhere."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from services import sealing
from services.bus import Received
from services.db import new_id, now
from services.documents.contract import BytesDestroyed, DocumentRemoved
from services.documents.ports.blobs import Blobs
from services.documents.ports.keys import Keys
from services.dossier.contract import RecordStateChanged
from services.refusals import Refusal
from services.sealing import BytesTampered
from tests.builders import caller, context, pdf
from tests.services.test_documents_merging import Twins
from tests.services.ward import Ward


@pytest.fixture(autouse=True)
def nothing_else_ends(ward: Ward) -> None:
    """What other tests of the house left to be destroyed is not waited for."""
    ward.sql("delete from condemned")
    ward.sql("update removals set state = 'refused' where state in ('asked', 'approved')")


def deleted(ward: Ward, record_id: str, cause: str = "opposition") -> None:
    """dossier tells that a record was deleted."""
    told = RecordStateChanged(record_id, "deleted", cause)
    event = Received(
        new_id(), "dossier", told.type, "2026-11-21T00:00:00.000000Z", None, None, told, context("dossier")
    )
    with ward.house.sessions["documents"].transaction() as session:
        ward.house.documents.on_record_state_changed(session, event)


def key_of(ward: Ward, record_id: str) -> Any:
    [row] = ward.sql(
        "select wrapped_key, destroyed_at, deleted_at from record_keys where record_id = :id", id=record_id
    )
    return row


def test_all_its_documents_end_and_its_key_with_them(ward: Ward) -> None:
    doctor = ward.present()
    documents = [ward.deposit(doctor), ward.deposit(doctor, pdf("zwei"))]
    deleted(ward, ward.record_id)
    rows = ward.sql("select state, title from documents where record_id = :id", id=ward.record_id)
    assert {(row.state, row.title) for row in rows} == {("removed", "")}
    key = key_of(ward, ward.record_id)
    assert key.wrapped_key is None and key.destroyed_at and key.deleted_at
    assert {(e["document_id"], e["cause"]) for e in ward.events(DocumentRemoved)} == {
        (document_id, "record_deleted") for document_id in documents
    }
    assert len(ward.traces("record.destroyed")) == 1
    ward.house.documents._destroy_condemned(now())
    assert {each["document_id"] for each in ward.events(BytesDestroyed)} == set(documents)
    for document_id in documents:
        with pytest.raises(Refusal):
            ward.read(ward.holder, document_id)


def test_nothing_opens_even_with_the_master_key_the_bytes_and_a_copy_of_the_database(ward: Ward) -> None:
    document_id = ward.deposit(ward.present(), pdf("geheim"))
    looks = "select cast(content_id as text), size, wrapped_key from versions where document_id = :id"
    [before] = ward.sql(looks, id=document_id)  # even the data key's row of an old copy
    blobs, keys = ward.house.documents.blobs, Keys.of(ward.settings)
    sealed = b"".join(blobs.read(before.content_id, None))
    old = ward.sql("select wrapped_key from record_keys where record_id = :id", id=ward.record_id)[0].wrapped_key
    data_key = keys.data_key(ward.record_id, bytes(old), before.content_id, bytes(before.wrapped_key))
    total = sealing.segments_of(before.size)
    assert b"".join(sealing.open_sealed([sealed], data_key, before.content_id, total_segments=total)) == pdf("geheim")

    deleted(ward, ward.record_id)
    [after] = ward.sql(looks, id=document_id)
    everything = [
        bytes(row[0]) for row in ward.sql("select wrapped_key from record_keys where wrapped_key is not null")
    ]
    everything += [b"", bytes(after.wrapped_key), bytes(before.wrapped_key)]
    for wrapped in everything:  # whatever is left, taken for the record's key
        with pytest.raises(BytesTampered):
            keys.data_key(ward.record_id, wrapped, before.content_id, bytes(before.wrapped_key))
        with pytest.raises(BytesTampered):
            keys.data_key(ward.record_id, bytes(old), before.content_id, bytes(after.wrapped_key))
    assert bytes(old) not in everything


def test_another_record_stays_whole(ward: Ward) -> None:
    data, other = pdf("bleibt"), caller("patient")
    record_id = ward.new_record(other)
    stays = ward.deposit(other, data, record_id=record_id, type="holder_expression")
    ward.deposit(ward.present())
    deleted(ward, ward.record_id)
    ward.house.documents._destroy_condemned(now())
    assert ward.read(other, stays) == data and key_of(ward, record_id).wrapped_key


def test_the_news_twice_changes_nothing_more(ward: Ward) -> None:
    ward.deposit(ward.present())
    deleted(ward, ward.record_id)
    first = key_of(ward, ward.record_id)
    deleted(ward, ward.record_id)
    assert key_of(ward, ward.record_id) == first
    assert len(ward.events(DocumentRemoved)) == 1 == len(ward.traces("record.destroyed"))


def test_another_state_of_a_record_ends_nothing(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    told = RecordStateChanged(ward.record_id, "closed", "holder")
    event = Received(
        new_id(), "dossier", told.type, "2026-11-21T00:00:00.000000Z", None, None, told, context("dossier")
    )
    with ward.house.sessions["documents"].transaction() as session:
        ward.house.documents.on_record_state_changed(session, event)
    assert ward.listed(ward.holder) == [document_id] and key_of(ward, ward.record_id).wrapped_key


def test_bytes_on_their_way_into_it_are_refused_and_a_new_deposit_too(ward: Ward) -> None:
    doctor = ward.present()
    started = ward.prepare(doctor)
    ward.put(started, pdf())
    deleted(ward, ward.record_id)  # dossier lets them in still: its own word is on the way
    with pytest.raises(Refusal):
        ward.commit(doctor, started, pdf())
    with pytest.raises(Refusal):
        ward.prepare(doctor)
    assert ward.sql("select 1 from documents where record_id = :id", id=ward.record_id) == []


def test_a_record_deleted_before_its_first_deposit_gets_no_key_any_more(ward: Ward) -> None:
    deleted(ward, ward.record_id)
    assert key_of(ward, ward.record_id).wrapped_key is None
    with pytest.raises(Refusal):
        ward.prepare(ward.present())


def test_what_came_in_by_a_hairs_breadth_ends_all_the_same(ward: Ward) -> None:
    document_id = ward.deposit(ward.present())
    ward.sql("update record_keys set deleted_at = now() where record_id = :id", id=ward.record_id)
    ward.house.documents._end_deleted(now())
    assert ward.sql("select state from documents where document_id = :id", id=document_id)[0].state == "removed"
    assert key_of(ward, ward.record_id).wrapped_key is None


def test_what_readers_kept_of_it_goes_too(ward: Ward) -> None:
    ward.deposit(ward.present())
    ward.ask("create_binder", ward.holder, record_id=ward.record_id, name="Cœur")
    deleted(ward, ward.record_id)
    assert ward.sql("select 1 from binders where record_id = :id", id=ward.record_id) == []


# --- merged records ---------------------------------------------------------------------------------------------------


@pytest.fixture
def twins(ward: Ward) -> Twins:
    made = Twins(ward)
    ward.house.deliver()
    return made


def test_the_key_of_a_merged_record_lives_while_its_documents_do(twins: Twins) -> None:
    ward, data = twins.ward, pdf("vom anderen")
    document_id = twins.in_other(data=data)
    twins.merge()
    deleted(ward, twins.other)
    assert key_of(ward, twins.other).wrapped_key and ward.read(ward.holder, document_id) == data
    deleted(ward, ward.record_id)
    assert key_of(ward, twins.other).wrapped_key is None is key_of(ward, ward.record_id).wrapped_key
    [row] = ward.sql("select state from documents where document_id = :id", id=document_id)
    assert row.state == "removed"


def test_two_merged_records_are_deleted_in_either_order(twins: Twins) -> None:
    ward = twins.ward
    document_id = twins.in_other()
    twins.merge()
    deleted(ward, ward.record_id)
    assert ward.sql("select state from documents where document_id = :id", id=document_id)[0].state == "removed"
    assert key_of(ward, twins.other).wrapped_key, "it was not deleted"
    deleted(ward, twins.other)
    assert key_of(ward, twins.other).wrapped_key is None


def test_a_store_that_does_not_answer_holds_up_no_key(ward: Ward) -> None:
    ward.deposit(ward.present())
    blobs, nowhere = ward.house.documents.blobs, Blobs.of(ward.settings)
    nowhere._bucket = "no-such-bucket"
    deleted(ward, ward.record_id)
    assert key_of(ward, ward.record_id).wrapped_key is None
    ward.house.documents.blobs = nowhere
    with contextlib.suppress(Refusal):
        ward.house.documents._destroy_condemned(now())
    assert ward.events(BytesDestroyed) == []
    ward.house.documents.blobs = blobs
    ward.house.documents._destroy_condemned(now())
    assert len(ward.events(BytesDestroyed)) == 1
