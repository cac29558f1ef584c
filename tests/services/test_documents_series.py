"""Deposits one after the other, each into a slot that the one before brought: over real databases and a real store."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.bus import Received
from services.db import new_id, now
from services.directory.contract import PatientsMerged
from services.documents import contract, rules, service, store_slots
from services.documents.contract import (
    AuthorUnknown,
    MediaTypeNotAllowed,
    TypeNotDepositable,
    UploadEmpty,
    UploadExpired,
    UploadIncomplete,
)
from services.dossier.contract import RecordClosed, RecordNotFound, RecordsMerged
from services.refusals import InvalidInput, KeyReused, NotAllowed, Refusal
from services.tokens import Caller
from tests.builders import caller, context, pdf
from tests.conftest import Before
from tests.services.ward import Ward, at_once


class Series:
    """Somebody's deposits in a ward, and the slots they brought."""

    def __init__(self, ward: Ward, who: Caller) -> None:
        self.ward = ward
        self.who = who

    def slot(self, **said: Any) -> dict[str, Any]:
        """The slot that a deposit step by step brings, for who says which gateway process they talk to."""
        data = pdf(new_id())
        started = self.ward.prepare(self.who, **said)
        self.ward.put(started, data)
        answer = self.ward.commit(self.who, started, data, gateway_key=self.ward.gateway.public)
        slot: dict[str, Any] = answer["slot"]
        return slot

    def put(self, slot: dict[str, Any], data: bytes) -> dict[str, Any]:
        """The bytes into a slot; what `deposit` has to be told of them."""
        self.ward.put(slot, data)
        return seen(slot, data)

    def deposit(self, there: dict[str, Any], who: Caller | None = None, **changes: Any) -> Any:
        said = {"record_id": self.ward.record_id, "type": "medical_report", "title": "Suite", **there, **changes}
        return self.ward.ask("deposit", who or self.who, gateway_key=self.ward.gateway.public, **said)


def seen(slot: dict[str, Any], data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"version_id": slot["version_id"], "sha256": digest, "size": len(data), "media_type": contract.PDF}


@pytest.fixture
def series(ward: Ward) -> Series:
    return Series(ward, ward.present())


def made(ward: Ward, record_id: str | None = None) -> int:
    found = ward.sql("select count(*) from documents where record_id = :r", r=record_id or ward.record_id)
    return int(found[0][0])


def with_key(who: Caller, key: str) -> Caller:
    return replace(who, context=context(idempotency_key=key))


# --- one after the other ----------------------------------------------------------------------------------------------


def test_a_deposit_of_a_series_is_one_like_any_other_and_brings_the_next_slot(ward: Ward, series: Series) -> None:
    files, slot, ids = [pdf("a"), pdf("b", size=200_000), pdf("c")], series.slot(), []
    for data in files:
        answer = series.deposit(series.put(slot, data))
        assert answer["duplicate_of"] is None and answer["record_id"] == ward.record_id
        assert ward.sql("select 1 from attempts where version_id = :v", v=answer["version_id"]) == []
        slot, ids = answer["slot"], [*ids, answer["document_id"]]
        assert slot["version_id"] != answer["version_id"]
    ward.examine()
    assert [ward.read(ward.holder, document_id) for document_id in ids] == files
    traces = [trace for trace in ward.traces("document.created") if trace["object_id"] in ids]
    assert [trace["object_id"] for trace in traces] == ids, "one trace each"
    assert {(trace["outcome"], trace["ground"]) for trace in traces} == {("allowed", "presence")}
    rows = ward.sql(
        "select d.title, d.author_id, d.establishment_id, u.document_id = d.document_id as done, v.key_record_id"
        " from documents d join uploads u using (upload_id) join versions v on v.document_id = d.document_id"
        " where d.document_id = any (cast(:ids as uuid[]))", ids=ids,
    )  # fmt: skip
    assert {tuple(str(each) for each in row) for row in rows} == {
        ("Suite", series.who.professional_id, series.who.establishment_id, "True", ward.record_id)
    }


def test_it_asks_half_of_what_one_step_by_step_asks(ward: Ward, series: Series) -> None:
    slot, data = series.slot(), pdf("words")
    with ward.counted() as by_steps, ward.counted("dossier") as rights_by_steps:
        series.slot()
    there = {**series.put(slot, data), "store_version": stored(ward, slot)}
    with ward.counted() as at_once_, ward.counted("dossier") as rights_at_once:
        series.deposit(there)
    assert len(at_once_) <= len(by_steps) / 2 + 1 and len(rights_at_once) * 2 == len(rights_by_steps)


def stored(ward: Ward, slot: dict[str, Any]) -> str:
    there = ward.house.documents.blobs.stored(slot["version_id"])
    assert there is not None and there.version is not None
    return str(there.version)


def test_who_names_no_gateway_gets_no_slot(ward: Ward, series: Series) -> None:
    data = pdf("once")
    started = ward.prepare(series.who)
    ward.put(started, data)
    assert "slot" not in ward.commit(series.who, started, data)
    assert ward.sql("select 1 from attempts where account_id = :a", a=series.who.account_id) == []


def test_a_slot_takes_a_document_of_another_record_and_of_one_that_had_none(ward: Ward, series: Series) -> None:
    other = caller("patient")
    record_id = ward.new_record(other)
    holder = Series(ward, ward.holder)
    slot = holder.slot(type="holder_expression")
    with pytest.raises(RecordNotFound):
        holder.deposit(holder.put(slot, pdf()), record_id=record_id, type="holder_expression")
    assert made(ward, record_id) == 0 and not ward.sql("select 1 from record_keys where record_id = :r", r=record_id)
    # the fund deposits everywhere; the first time in this record
    fund = Series(ward, caller("patient", account_id=other.account_id, patient_id=other.patient_id))
    ward.sql(
        "update attempts set account_id = :to where version_id = :slot", to=other.account_id,
        slot=(late := holder.slot(type="holder_expression"))["version_id"],
    )  # fmt: skip
    data = pdf("first")
    answer = fund.deposit(fund.put(late, data), record_id=record_id, type="holder_expression")
    ward.examine()
    assert ward.read(other, answer["document_id"]) == data and answer["slot"]["version_id"]


# --- what is refused --------------------------------------------------------------------------------------------------

CONTENT = [
    ({"media_type": contract.DICOM + "x"}, MediaTypeNotAllowed), ({"size": 0}, UploadEmpty),
    ({"size": 5}, UploadIncomplete), ({"type": "drug_dispensation"}, TypeNotDepositable),
    ({"record_id": new_id()}, RecordNotFound), ({"record_id": "x"}, RecordNotFound),
    ({"author": new_id()}, NotAllowed),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "refusal"), CONTENT)
def test_what_is_refused_of_any_deposit_is_refused_of_one_in_a_slot_and_the_sweeper_has_it(
    ward: Ward, series: Series, changes: dict[str, Any], refusal: type[Refusal]
) -> None:
    slot = series.slot()
    there, before = series.put(slot, pdf()), made(ward)
    with pytest.raises(refusal):
        series.deposit(there, **changes)
    assert made(ward) == before
    [reason] = [trace["reason"] for trace in ward.traces() if trace["outcome"] == "refused"]
    assert reason == refusal.code
    swept(ward, slot)


def swept(ward: Ward, slot: dict[str, Any]) -> None:
    """Nothing is left of a slot that came to nothing, a day later."""
    ward.sql("update attempts set started_at = started_at - interval '25 hours' where version_id = :v",
             v=slot["version_id"])  # fmt: skip
    assert ward.house.documents.blobs.stored(slot["version_id"]) is not None
    ward.house.documents.sweep_orphans()
    assert ward.sql("select 1 from attempts where version_id = :v", v=slot["version_id"]) == []
    assert ward.house.documents.blobs.stored(slot["version_id"]) is None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"title": ""}, "/title"), ({"type": "no_such"}, "/type"), ({"sha256": "x"}, "/sha256"),
        ({"version_id": "x"}, "/version_id"), ({"store_version": ""}, "/store_version"), ({"size": -1}, "/size"),
    ],
)  # fmt: skip
def test_wrong_words_about_it_are_pointed_at(
    ward: Ward, series: Series, changes: dict[str, Any], pointer: str
) -> None:
    there = series.put(series.slot(), pdf())
    with pytest.raises(InvalidInput) as wrong:
        series.deposit(there, **changes)
    assert [error["pointer"] for error in wrong.value.detail["errors"]] == [pointer] and made(ward) == 1
    assert series.deposit(there)["document_id"], "said rightly it counts"


def test_a_slot_is_of_one_person_in_one_capacity_for_one_file_and_a_day(ward: Ward, series: Series) -> None:
    stranger = Series(ward, ward.present())
    there = series.put(series.slot(), pdf("mine"))
    with pytest.raises(UploadExpired):
        stranger.deposit(there)
    as_patient = replace(series.who, capacity="patient", patient_id=ward.holder.patient_id, professional_id=None)
    with pytest.raises(UploadExpired):
        series.deposit(there, as_patient, type="holder_expression")
    with pytest.raises(UploadExpired):
        series.deposit({**there, "version_id": new_id()}, store_version="v")
    with pytest.raises(UploadIncomplete):
        series.deposit({**there, "version_id": new_id()})
    assert made(ward) == 1 and series.deposit(there)["document_id"]
    with pytest.raises(UploadExpired):
        series.deposit(there, with_key(series.who, new_id()))
    late = series.put(series.slot(), pdf("late"))
    ward.sql("update attempts set started_at = started_at - interval '25 hours' where version_id = :v",
             v=late["version_id"])  # fmt: skip
    with pytest.raises(UploadExpired):
        series.deposit(late)
    assert made(ward) == 3


def test_rights_that_went_since_the_slot_was_given_are_missed(ward: Ward, series: Series) -> None:
    there = series.put(series.slot(), pdf())
    ward.end_mandates()
    with pytest.raises(RecordNotFound):
        series.deposit(there)
    assert made(ward) == 1


def test_software_has_slots_of_its_own_and_names_an_author_each_time(ward: Ward) -> None:
    doctor, client = ward.present(), new_id()
    software = Series(ward, caller(
        "machine", account_id=client, client_id=client, establishment_id=doctor.establishment_id,
        scope="system/DocumentReference.c",
    ))  # fmt: skip
    slot = software.slot(author=doctor.professional_id)
    there = software.put(slot, pdf("analysis"))
    with pytest.raises(AuthorUnknown):
        software.deposit(there, author=new_id())
    with pytest.raises(UploadExpired):
        Series(ward, doctor).deposit(there)
    answer = software.deposit(there, author=doctor.professional_id)
    again = software.deposit(software.put(answer["slot"], pdf("more")), author=doctor.professional_id)
    ward.examine()
    item = ward.ask("read_document", doctor, document_id=again["document_id"])
    assert item["author_id"] == doctor.professional_id


# --- once -------------------------------------------------------------------------------------------------------------


def test_a_message_that_comes_twice_deposits_once_and_says_the_same(ward: Ward, series: Series) -> None:
    there, who = series.put(series.slot(), pdf("twice")), with_key(series.who, new_id())
    first, second = series.deposit(there, who), series.deposit(there, who)
    assert {**first, "slot": None} == {**second, "slot": None} and "slot" not in second
    assert made(ward) == 2


def test_the_same_message_many_times_at_once_deposits_once(ward: Ward, series: Series) -> None:
    there, who = series.put(series.slot(), pdf("at once")), with_key(series.who, new_id())
    answers = at_once(6, lambda _: series.deposit(there, who))
    ids = {answer["document_id"] for answer in answers if not isinstance(answer, Refusal)}
    assert len(ids) == 1 and made(ward) == 2
    assert {answer.code for answer in answers if isinstance(answer, Refusal)} <= {"request_in_flight"}


def test_one_slot_for_two_deposits_at_once_becomes_one_of_them(ward: Ward, series: Series) -> None:
    there = series.put(series.slot(), pdf("one"))
    answers = at_once(4, lambda _: series.deposit(there, with_key(series.who, new_id())))
    assert [isinstance(answer, UploadExpired) for answer in answers].count(False) == 1 and made(ward) == 2


@pytest.mark.parametrize("first", ["slot", "steps", "prepared"])
def test_a_repeat_is_the_same_document_whichever_way_each_goes(ward: Ward, series: Series, first: str) -> None:
    slot, other, data = series.slot(), series.slot(), pdf("repeat")
    who, before = with_key(series.who, new_id()), made(ward)

    def by_steps(*, commit: bool = True) -> Any:
        started = ward.prepare(who, title="Suite")
        ward.put(started, data)
        return ward.commit(who, started, data) if commit else started

    if first == "slot":
        told, again = series.deposit(series.put(slot, data), who), by_steps()
    elif first == "steps":
        told, again = by_steps(), series.deposit(series.put(slot, data), who)
    else:
        started = by_steps(commit=False)  # its sender was gone before the commit, and comes back
        told = series.deposit(series.put(slot, data), who)
        again = ward.commit(who, started, data)
        assert told["upload_id"] == started["upload_id"]
    assert again["document_id"] == told["document_id"] and made(ward) == before + 1
    with pytest.raises(KeyReused):
        series.deposit(series.put(other, pdf("other bytes")), who)
    with pytest.raises(KeyReused):
        series.deposit(series.put(series.slot(), data), who, title="Autre titre")
    ward.examine()
    assert ward.read(ward.holder, told["document_id"]) == data


# --- records that move meanwhile --------------------------------------------------------------------------------------


@pytest.fixture
def merged(ward: Ward) -> Iterator[tuple[Series, str, RecordsMerged]]:
    """The holder of another record, which turns out to be the ward's, with its first document; and the news."""
    twin = caller("patient")
    other = ward.new_record(twin)
    holder = Series(ward, twin)
    yield holder, other, RecordsMerged(new_id(), ward.record_id, other, "", 1)
    ward.house.deliver()


def hear(ward: Ward, news: RecordsMerged) -> None:
    event = Received(new_id(), "dossier", news.type, "", None, None, news, context("dossier"))
    with ward.house.sessions["documents"].transaction() as session:
        ward.house.documents.on_records_merged(session, event)


def test_a_merge_waits_for_who_deposits_and_takes_their_document_along(
    ward: Ward, merged: tuple[Series, str, RecordsMerged]
) -> None:
    holder, other, news = merged
    slot, said = holder.slot(record_id=other, type="holder_expression"), {"type": "holder_expression"}
    there, heard, hold = holder.put(slot, pdf("between")), threading.Event(), ward.house.documents._own_key

    def hear_meanwhile(*args: Any) -> Any:
        thread.start()
        assert not heard.wait(0.5), "it did not wait"
        return hold(*args)

    thread = threading.Thread(target=lambda: (hear(ward, news), heard.set()))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ward.house.documents, "_own_key", hear_meanwhile)
        answer = holder.deposit(there, record_id=other, **said)
    thread.join()
    [[lies]] = ward.sql("select record_id from documents where document_id = :d", d=answer["document_id"])
    assert heard.is_set() and str(lies) == ward.record_id


def test_a_deposit_whose_record_is_merged_while_its_rights_are_asked_is_refused(
    ward: Ward, merged: tuple[Series, str, RecordsMerged], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, other, _ = merged
    data = pdf("between")
    there = holder.put(holder.slot(record_id=other, type="holder_expression"), data)
    in_store = ward.house.documents._in_store

    def merge_first(*args: Any) -> Any:
        monkeypatch.undo()
        ward.tell("on_patients_merged", "directory", PatientsMerged(
            new_id(), ward.holder.patient_id or "", holder.who.patient_id or "", "2026-11-21T09:30:00.000000Z"
        ))  # fmt: skip
        ward.house.deliver()
        return in_store(*args)

    monkeypatch.setattr(ward.house.documents, "_in_store", merge_first)
    with pytest.raises(RecordClosed):
        holder.deposit(there, record_id=other, type="holder_expression")
    assert made(ward) == 1 and made(ward, other) == 0, "only the first, which the merge took along"
    assert holder.deposit(holder.put(holder.slot(type="holder_expression"), data), type="holder_expression")


def test_a_record_that_leads_elsewhere_as_far_as_is_known_here_is_deposited_in_step_by_step(
    ward: Ward, series: Series
) -> None:
    slot, other = series.slot(), ward.new_record(caller("patient"))
    asked = [store_slots.Slot(record_id, slot["version_id"], series.who.account_id, series.who.capacity)
             for record_id in (ward.record_id, other)]  # fmt: skip
    for leads in (False, True):
        if leads:
            ward.sql("insert into record_moves values (:r, :to, :m, 1)", r=ward.record_id, to=new_id(), m=new_id())
        with ward.house.sessions["documents"].transaction() as session:
            ready = store_slots.ready_with(session, asked, now() - rules.UPLOAD_LIFETIME)
        assert [each.stays for each in ready] == [not leads, True]
    data = pdf("unmerged")
    answer = series.deposit(series.put(slot, data))
    ward.examine()
    assert ward.read(series.who, answer["document_id"]) == data


def test_a_record_that_was_deleted_meanwhile_is_deposited_in_no_more(ward: Ward, series: Series) -> None:
    there = series.put(series.slot(), pdf("too late"))
    ward.sql("update record_keys set deleted_at = now() where record_id = :r", r=ward.record_id)
    ward.set_in_record(state="deleted")
    with pytest.raises(RecordNotFound):
        series.deposit(there)
    assert made(ward) == 1


def test_a_sweep_takes_all_slots_that_nobody_used_however_many(
    ward: Ward, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SWEEP_BATCH", 2)
    slots = [series.slot() for _ in range(5)]
    kept = series.slot()
    unused = [slot["version_id"] for slot in slots]
    ward.sql("update attempts set started_at = started_at - interval '25 hours'"
             " where version_id = any (cast(:unused as uuid[]))", unused=unused)  # fmt: skip
    ward.house.documents.sweep_orphans()
    left = {str(row.version_id) for row in ward.sql("select version_id from attempts where account_id = :a",
                                                    a=series.who.account_id)}  # fmt: skip
    assert left == {kept["version_id"]}


# --- from the release before ------------------------------------------------------------------------------------------


def test_a_try_under_way_before_slots_existed_is_one_of_its_upload(
    database_before: Callable[[str, str], Before],
) -> None:
    before = database_before("documents", "0010")
    record, upload, attempt, account = (new_id() for _ in range(4))
    before.run(
        f"insert into record_keys (record_id, wrapped_key, created_at) values ('{record}', '\\x01', now())",
        "insert into uploads (upload_id, record_id, home_record_id, account_id, capacity, type, title, prepared_at,"
        f" expires_at) values ('{upload}', '{record}', '{record}', '{account}', 'patient', 't', 'x', now(), now())",
        "insert into attempts (version_id, upload_id, wrapped_key, key_record_id, started_at)"
        f" values ('{attempt}', '{upload}', '\\x03', '{record}', now())",
    )
    before.upgrade()
    with before.engine.connect() as connection:
        row = connection.execute(sa.text("select upload_id, key_record_id, account_id, capacity from attempts")).one()
        assert [str(each) for each in row] == [upload, record, "None", "None"]
    for wrong in (
        f"update attempts set account_id = '{account}', capacity = 'patient'",
        "update attempts set upload_id = null", "update attempts set key_record_id = null",
        "update attempts set capacity = 'patient'",
        f"update attempts set upload_id = null, key_record_id = null, account_id = '{account}'",
    ):  # fmt: skip
        with pytest.raises(sa.exc.IntegrityError):
            before.run(wrong)
