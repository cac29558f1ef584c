"""Documents of two records that turned out to be one person's: found in one place, read as before, and put back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.bus import Received
from services.db import new_id
from services.directory.contract import PatientsMerged, PatientsUnmerged
from services.documents import models
from services.documents.contract import DocumentDeposited, UploadNotFound
from services.documents.contract_prescriptions import PrescriptionCancelled
from services.dossier.contract import RecordClosed, RecordNotFound, RecordsMerged, RecordsUnmerged
from services.refusals import Refusal
from services.tokens import Caller
from tests.builders import caller, context, newest_revision, pdf
from tests.conftest import Before
from tests.services.pharmacy import dispense, prescribed, take_back
from tests.services.test_documents import ours
from tests.services.ward import Ward, at_once

AT = "2026-11-21T09:30:00.000000Z"


class Twins:
    """The ward's record and a second one, of a patient who turns out to be the same person."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.twin = caller("patient")
        self.other = ward.new_record(self.twin)
        self.news = (new_id(), ward.holder.patient_id or "", self.twin.patient_id or "", AT)

    def in_other(self, who: Caller | None = None, data: bytes | None = None, **changes: Any) -> str:
        """A document of the holder's in the other record."""
        said = {"type": "holder_expression", **changes}
        return self.ward.deposit(who or self.twin, data, record_id=self.other, **said)

    def merge(self) -> None:
        self.ward.tell("on_patients_merged", "directory", PatientsMerged(*self.news))
        self.ward.house.deliver()

    def unmerge(self) -> None:
        self.ward.tell("on_patients_unmerged", "directory", PatientsUnmerged(*self.news))
        self.ward.house.deliver()

    def listed(self, who: Caller, record_id: str) -> set[str]:
        found = self.ward.ask("list_documents", who, record_id=record_id)["documents"]
        assert all(item["record_id"] == record_id for item in found)
        return {item["document_id"] for item in found}


@pytest.fixture
def twins(ward: Ward) -> Iterator[Twins]:
    yield Twins(ward)
    ward.house.deliver()


def hear(ward: Ward, news: RecordsMerged | RecordsUnmerged) -> None:
    handler = "on_records_merged" if isinstance(news, RecordsMerged) else "on_records_unmerged"
    event = Received(new_id(), "dossier", news.type, AT, None, None, news, context("dossier"))
    with ward.house.sessions["documents"].transaction() as session:
        getattr(ward.house.documents, handler)(session, event)


# --- found in one place -----------------------------------------------------------------------------------------------


def test_both_holders_read_the_documents_of_both_records_in_the_surviving_one(ward: Ward, twins: Twins) -> None:
    data = [pdf("one"), pdf("two")]
    ids = [ward.deposit(ward.holder, data[0], type="holder_expression"), twins.in_other(data=data[1])]
    twins.merge()
    for holder in (ward.holder, twins.twin):
        assert twins.listed(holder, ward.record_id) == set(ids)
        assert [ward.read(holder, document_id) for document_id in ids] == data
        with pytest.raises(RecordClosed):
            twins.listed(holder, twins.other)


def test_an_unmerge_puts_back_what_came_and_leaves_what_was_deposited_since(ward: Ward, twins: Twins) -> None:
    mine, theirs = ward.deposit(ward.holder, type="holder_expression"), twins.in_other(data=pdf("theirs"))
    twins.merge()
    since = ward.deposit(twins.twin, pdf("since"), type="holder_expression")
    twins.unmerge()
    assert twins.listed(ward.holder, ward.record_id) == {mine, since}
    assert twins.listed(twins.twin, twins.other) == {theirs}
    assert ward.read(twins.twin, theirs) == pdf("theirs") and ward.read(ward.holder, since) == pdf("since")
    with pytest.raises(RecordNotFound):
        twins.listed(twins.twin, ward.record_id)


def test_a_professional_reads_what_their_ground_in_the_surviving_record_reaches_and_nothing_by_the_merged_id(
    ward: Ward, twins: Twins
) -> None:
    doctor = ward.present()
    document_id = twins.in_other(type="holder_expression")
    with pytest.raises(Refusal):
        ward.read(doctor, document_id)
    twins.merge()
    assert document_id in twins.listed(doctor, ward.record_id)
    with pytest.raises(RecordNotFound):
        twins.listed(doctor, twins.other)
    with pytest.raises(RecordNotFound):
        ward.prepare(doctor, record_id=twins.other)
    ward.set_level(ward.holder, document_id, "private")
    assert document_id not in twins.listed(doctor, ward.record_id)


def test_a_professional_barred_in_the_merged_record_finds_nothing_but_what_they_wrote(ward: Ward, twins: Twins) -> None:
    barred = ward.present()
    own = ward.deposit(barred)
    theirs = twins.in_other()
    with ward.house.sessions["dossier"].transaction() as session:
        session.execute(
            sa.text("insert into blocklist (block_id, record_id, professional_id, since) values (:b, :r, :p, now())"),
            {"b": new_id(), "r": twins.other, "p": barred.professional_id},
        )
    twins.merge()
    assert twins.listed(barred, ward.record_id) == {own}
    with pytest.raises(Refusal):
        ward.read(barred, theirs)


ACTS: dict[str, Callable[[Ward, Caller, str], Any]] = {
    "read_document": lambda ward, who, d: ward.ask("read_document", who, document_id=d),
    "open_content": lambda ward, who, d: ward.read(who, d),
    "read_history": lambda ward, who, d: ward.ask("read_history", who, document_id=d),
    "change_level": lambda ward, who, d: ward.set_level(who, d, "private"),
    "correct_document": lambda ward, who, d: ward.ask(
        "correct_document", who, document_id=d, version=None, changes={"title": "Mes souhaits"}
    ),
    "prepare_version": lambda ward, who, d: ward.ask("prepare_version", who, document_id=d, version=None),
    "readers": lambda ward, who, d: ward.ask("readers", who, document_id=d),
    "explain_document": lambda ward, who, d: ward.ask(
        "explain_document", who, document_id=d, who="me", action="read"
    ),
    "images_of": lambda ward, who, d: ward.ask("images_of", who, document_id=d),
    "list_restrictions": lambda ward, who, d: ward.ask("list_restrictions", who, document_id=d),
    "list_rectifications": lambda ward, who, d: ward.ask("list_rectifications", who, document_id=d),
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("allowed", [True, False])
def test_what_is_done_with_a_moved_document_stands_in_the_history_of_whose_it_is(
    ward: Ward, twins: Twins, act: str, allowed: bool
) -> None:
    moved, own = twins.in_other(), ward.deposit(ward.holder, type="holder_expression")
    twins.merge()
    who, before = ward.holder if allowed else caller("professional"), len(ward.traces())
    for document_id in (moved, own):
        with nullcontext() if allowed else pytest.raises(Refusal):
            ACTS[act](ward, who, document_id)
    left = [(t["object_id"], t["record_id"], t["outcome"]) for t in ward.traces()[before:]]
    outcome = "allowed" if allowed else "refused"
    assert sorted(left) == sorted([(moved, twins.other, outcome), (own, ward.record_id, outcome)])


def test_so_does_what_is_dispensed_of_a_moved_prescription(ward: Ward, twins: Twins) -> None:
    doctor, pharmacist = ward.present(), ward.present("pharmacist")
    document_id = prescribed(ward, doctor)
    twins.in_other()
    twins.merge()
    ward.sql("update documents set home_record_id = :r where document_id = :d", r=twins.other, d=document_id)
    before = len(ward.traces())
    ward.ask("read_prescription", pharmacist, document_id=document_id)
    given = dispense(ward, pharmacist, document_id, (1, "1"))
    copy = ward.ask("read_copy", pharmacist, dispensation_id=given["dispensation_id"])
    ward.ask("verify_copy", pharmacist, code=copy["verification_code"])
    take_back(ward, pharmacist, given["dispensation_id"])
    ward.ask("cancel_prescription", doctor, document_id=document_id, reason="Erreur")
    with pytest.raises(PrescriptionCancelled):
        dispense(ward, pharmacist, document_id)
    left = [(t["object_id"], t["record_id"]) for t in ward.traces()[before:]]
    assert left == [(document_id, twins.other)] * 7


def test_a_list_of_both_records_is_traced_in_the_one_that_was_asked_for(ward: Ward, twins: Twins) -> None:
    twins.in_other()
    twins.merge()
    twins.listed(twins.twin, ward.record_id)
    assert [t["record_id"] for t in ward.traces("document.searched")] == [ward.record_id]


def test_a_deposit_tells_where_it_lies_and_where_it_is_at_home(ward: Ward, twins: Twins) -> None:
    started = ward.prepare(twins.twin, record_id=twins.other, type="holder_expression")
    ward.put(started, pdf())
    twins.merge()
    ward.commit(twins.twin, started, pdf())
    ward.deposit(twins.twin, type="holder_expression")
    told = [(event["record_id"], event["home_record_id"]) for event in ward.events(DocumentDeposited)]
    assert told == [(ward.record_id, twins.other), (ward.record_id, ward.record_id)]


# --- uploads under way ------------------------------------------------------------------------------------------------


def test_an_upload_begun_before_the_merge_ends_in_the_surviving_record_and_goes_back(ward: Ward, twins: Twins) -> None:
    data = pdf("under way")
    started = ward.prepare(twins.twin, record_id=twins.other, type="holder_expression")
    ward.put(started, data)
    waiting = ward.prepare(twins.twin, record_id=twins.other, type="holder_expression")
    twins.merge()
    made = ward.commit(twins.twin, started, data)
    assert made["record_id"] == ward.record_id
    again = ward.ask("start_upload", twins.twin, upload_id=waiting["upload_id"], gateway_key=ward.gateway.public)
    ward.put(again, data)
    late = ward.commit(twins.twin, {**waiting, **again}, data)
    ward.examine()
    ids = {made["document_id"], late["document_id"]}
    assert twins.listed(ward.holder, ward.record_id) == ids
    assert all(ward.read(ward.holder, document_id) == data for document_id in ids)
    twins.unmerge()
    assert twins.listed(twins.twin, twins.other) == ids
    assert all(ward.read(twins.twin, document_id) == data for document_id in ids)


def test_a_deposit_whose_record_is_merged_while_its_rights_are_asked_is_refused_and_not_lost(
    ward: Ward, twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pdf("between")
    started = ward.prepare(twins.twin, record_id=twins.other, type="holder_expression")
    ward.put(started, data)
    inspect = ward.house.documents._inspect

    def merge_first(*args: Any) -> Any:
        monkeypatch.undo()
        twins.merge()
        return inspect(*args)

    monkeypatch.setattr(ward.house.documents, "_inspect", merge_first)
    with pytest.raises(RecordNotFound):
        ward.commit(twins.twin, started, data)
    assert ward.commit(twins.twin, started, data)["record_id"] == ward.record_id


def test_deposits_and_a_merge_at_once_lose_no_document(ward: Ward, twins: Twins) -> None:
    data = pdf("at once")
    begun = [ward.prepare(twins.twin, record_id=twins.other, type="holder_expression") for _ in range(5)]
    for started in begun:
        ward.put(started, data)
    works = [lambda started=started: ward.commit(twins.twin, started, data) for started in begun]
    at_once(6, lambda number: works[number]() if number < 5 else twins.merge())
    twins.ward.house.deliver()
    for started in begun:
        made = ward.commit(twins.twin, started, data)
        ward.examine()
        assert ward.read(ward.holder, made["document_id"]) == data
    assert len(twins.listed(ward.holder, ward.record_id)) == 5


def test_another_s_upload_stays_another_s_after_a_merge(ward: Ward, twins: Twins) -> None:
    started = ward.prepare(twins.twin, record_id=twins.other, type="holder_expression")
    twins.merge()
    with pytest.raises(UploadNotFound):
        ward.commit(ward.holder, started, pdf())


# --- late, twice, in any order ----------------------------------------------------------------------------------------


def test_news_that_come_twice_or_late_change_nothing(ward: Ward, twins: Twins) -> None:
    document_id = twins.in_other()
    merged = RecordsMerged(new_id(), ward.record_id, twins.other, "", 1)
    unmerged = RecordsUnmerged(merged.merge_id, ward.record_id, twins.other, "", 2)
    home = {document_id: twins.other}
    for news, where in ((merged, ward.record_id), (merged, ward.record_id), (unmerged, twins.other),
                        (unmerged, twins.other), (merged, twins.other)):  # fmt: skip
        hear(ward, news)
        assert lies(ward, [document_id]) == {document_id: where}
    assert lies(ward, list(home)) == home


def lies(ward: Ward, ids: list[str]) -> dict[str, str]:
    rows = ward.sql("select cast(document_id as text), cast(record_id as text) from documents"
                    " where document_id = any (cast(:ids as uuid[]))", ids=ids)  # fmt: skip
    return dict(tuple(row) for row in rows)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_chain_ends_in_the_same_place_in_any_order(ward: Ward, order: tuple[int, ...]) -> None:
    """C into B, B into A, C out of B again, then B into A's own way back and C into A: the last word on each counts."""
    holders = [caller("patient") for _ in range(3)]
    a, b, c = (ward.new_record(holder) for holder in holders)
    ids = [
        ward.deposit(holder, record_id=record_id, type="holder_expression")
        for holder, record_id in zip(holders, (a, b, c), strict=True)
    ]
    news = [
        RecordsMerged(new_id(), b, c, "", 1),
        RecordsMerged(new_id(), a, b, "", 1),
        RecordsUnmerged(new_id(), b, c, "", 2),
        RecordsMerged(new_id(), a, c, "", 3),
    ]
    for number in order:
        hear(ward, news[number])
    assert lies(ward, ids) == dict.fromkeys(ids, a)
    hear(ward, RecordsUnmerged(new_id(), a, b, "", 2))
    assert lies(ward, ids) == dict(zip(ids, (a, b, a), strict=True))


def test_ways_that_run_in_a_circle_for_a_moment_move_nothing_until_the_news_that_opens_it(ward: Ward) -> None:
    holders = [caller("patient") for _ in range(2)]
    a, b = (ward.new_record(holder) for holder in holders)
    ids = [
        ward.deposit(holder, record_id=record_id, type="holder_expression")
        for holder, record_id in zip(holders, (a, b), strict=True)
    ]
    hear(ward, RecordsMerged(new_id(), a, b, "", 1))
    hear(ward, RecordsMerged(new_id(), b, a, "", 1))
    assert lies(ward, ids) == dict.fromkeys(ids, a)
    hear(ward, RecordsUnmerged(new_id(), a, b, "", 2))
    assert lies(ward, ids) == dict.fromkeys(ids, b)


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_a_page_is_read_by_its_index_as_before(ward: Ward, twins: Twins) -> None:
    for _ in range(3):
        twins.in_other()
    twins.merge()
    with ward.counted() as statements:
        twins.listed(ward.holder, ward.record_id)
    [page] = [statement for statement in statements if "ORDER BY documents.deposited_at" in statement]
    assert "record_moves" not in page and "home_record_id" not in page
    # for so few rows it may take whatever it likes: asked is whether the index can
    plan = ward.sql(
        "set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off;"
        " explain select 1 from documents where record_id = :r order by deposited_at desc, document_id desc limit 51",
        r=ward.record_id,
    )
    assert any("ix_documents_page" in line[0] for line in plan) and not any("Sort" in line[0] for line in plan)


# --- from the first release -------------------------------------------------------------------------------------------


@pytest.fixture
def upgraded(database_before: Callable[[str, str], Before]) -> Iterator[Callable[[str], Any]]:
    """A first release's database with a document and an upload under way, brought to today's schema: what it answers.

    In the end its tables are those of the models.
    """
    before = database_before("documents", "0001")
    record, document, version, done, open_, attempt, account = (new_id() for _ in range(7))
    before.run(
        f"insert into record_keys values ('{record}', '\\x01', now())",
        "insert into documents (document_id, record_id, type, category, folder, title, author_kind, level,"
        f" current_version_id, deposited_at, upload_id) values ('{document}', '{record}', 't', 'c', 'f', 'x',"
        f" 'holder', 'standard', '{version}', now(), '{done}')",
        "insert into versions (version_id, document_id, number, wrapped_key, media_type, size, sha256, account_id,"
        f" created_at) values ('{version}', '{document}', 1, '\\x02', 'm', 1, sha256('x'), '{account}', now())",
        *(
            "insert into uploads (upload_id, record_id, account_id, capacity, type, title, prepared_at, expires_at,"
            f" document_id) values ('{upload}', '{record}', '{account}', 'patient', 't', 'x', now(), now(), {of})"
            for upload, of in ((done, f"'{document}'"), (open_, "null"))
        ),
        "insert into attempts (version_id, upload_id, wrapped_key, started_at)"
        f" values ('{attempt}', '{open_}', '\\x03', now())",
    )
    before.upgrade()

    def ask(query: str) -> Any:
        with before.engine.connect() as connection:
            return connection.scalar(sa.text(query))

    yield ask
    with before.engine.connect() as connection:
        compared = MigrationContext.configure(connection, opts={"include_object": ours})
        assert compare_metadata(compared, models.metadata) == []


def test_documents_and_uploads_of_the_first_release_are_at_home_where_they_are(upgraded: Callable[[str], Any]) -> None:
    assert upgraded("select version_num from alembic_version") == newest_revision("documents")
    for table, column in (("documents", "home_record_id"), ("uploads", "home_record_id"),
                          ("versions", "key_record_id"), ("attempts", "key_record_id")):  # fmt: skip
        missing = f"select count(*) from {table} where {column} is distinct from (select record_id from record_keys)"
        assert upgraded(missing) == 0 < upgraded(f"select count(*) from {table}"), table
