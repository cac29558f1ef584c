"""documents takes several files at once, typed notes and copies: over real databases, dossier and object store."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import Sessions, new_id
from services.documents import contract, store_deposits
from services.documents.contract import (
    AuthorUnknown,
    MediaTypeNotAllowed,
    TypeNotDepositable,
    UploadExpired,
    UploadIncomplete,
    UploadNotFound,
    UploadTooLarge,
)
from services.dossier.contract import AccessScope, Clause, RecordNotFound
from services.refusals import InvalidInput, KeyReused, NotAllowed
from services.tokens import Caller
from tests.builders import caller, context, pdf
from tests.services.ward import Ward, at_once

REPORT = {"type": "medical_report", "title": "Compte rendu"}


def with_key(who: Caller, key: str) -> Caller:
    return replace(who, context=context(idempotency_key=key))


def prepare(ward: Ward, who: Caller, *documents: dict[str, Any]) -> list[str]:
    answer = ward.ask("prepare_submission", who, record_id=ward.record_id, documents=list(documents))
    return list(answer["upload_ids"])


def put(ward: Ward, who: Caller, upload_id: str, data: bytes, media_type: str = contract.PDF) -> dict[str, Any]:
    started = ward.ask("start_upload", who, upload_id=upload_id, gateway_key=ward.gateway.public)
    ward.put(started, data)
    return {
        "upload_id": upload_id, "version_id": started["version_id"], "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data), "media_type": media_type,
    }  # fmt: skip


def submit(ward: Ward, who: Caller, files: list[bytes], **metadata: Any) -> Any:
    ids = prepare(ward, who, *({**REPORT, **metadata} for _ in files))
    puts = [put(ward, who, upload_id, data) for upload_id, data in zip(ids, files, strict=True)]
    return ward.ask("commit_submission", who, puts=puts)


def documents(ward: Ward) -> int:
    return int(ward.sql("select count(*) from documents where record_id = :r", r=ward.record_id)[0][0])


# --- several at once --------------------------------------------------------------------------------------------------


def test_several_files_become_documents_of_one_submission_each_with_its_trace(ward: Ward) -> None:
    doctor, files = ward.present(), [pdf("a"), pdf("b"), pdf("c", size=200_000)]
    answer = submit(ward, doctor, files)
    ids = [each["document_id"] for each in answer["documents"]]
    assert len(set(ids)) == 3
    [submission] = {
        str(row.submission_id)
        for row in ward.sql("select submission_id from documents where record_id = :r", r=ward.record_id)
    }
    assert submission == answer["submission_id"]
    assert sorted(trace["object_id"] for trace in ward.traces("document.created")) == sorted(ids)
    assert len(ward.traces()) == 3
    ward.examine()
    assert [ward.read(ward.holder, document_id) for document_id in ids] == files


def test_the_answer_keeps_the_order_of_the_files(ward: Ward) -> None:
    doctor = ward.present()
    ids = prepare(ward, doctor, *({**REPORT, "title": f"Titre {number}"} for number in range(5)))
    puts = [put(ward, doctor, upload_id, pdf(str(number))) for number, upload_id in enumerate(ids)]
    answer = ward.ask("commit_submission", doctor, puts=list(reversed(puts)))
    titles = [
        ward.ask("read_document", doctor, document_id=each["document_id"])["title"] for each in answer["documents"]
    ]
    assert titles == [f"Titre {number}" for number in (4, 3, 2, 1, 0)]


def test_a_type_that_is_not_allowed_among_several_refuses_all(ward: Ward) -> None:
    pharmacist = ward.present("pharmacist")
    with pytest.raises(TypeNotDepositable):
        prepare(
            ward, pharmacist, {"type": "drug_dispensation", "title": "x"}, {"type": "laboratory_results", "title": "x"}
        )
    assert prepare(ward, pharmacist, {"type": "drug_dispensation", "title": "x"})
    [trace] = ward.traces()
    assert (trace["outcome"], trace["reason"]) == ("refused", "type_not_depositable")


def test_one_file_that_is_refused_leaves_none_and_all_of_them_to_the_sweeper(ward: Ward) -> None:
    doctor = ward.present()
    ids = prepare(ward, doctor, REPORT, REPORT)
    puts = [put(ward, doctor, upload_id, pdf(upload_id)) for upload_id in ids]
    wrong = [puts[0], {**puts[1], "media_type": contract.DICOM + "x"}]
    with pytest.raises(MediaTypeNotAllowed):
        ward.ask("commit_submission", doctor, puts=wrong)
    with pytest.raises(UploadIncomplete):
        ward.ask("commit_submission", doctor, puts=[puts[0], {**puts[1], "size": 1}])
    with pytest.raises(UploadExpired):
        never = put(ward, doctor, prepare(ward, doctor, REPORT)[0], pdf("other"))
        ward.ask("commit_submission", doctor, puts=[puts[0], {**puts[1], "version_id": never["version_id"],
                                                              "size": never["size"]}])  # fmt: skip
    assert documents(ward) == 0
    tries = {str(row.version_id) for row in ward.sql("select version_id from attempts")}
    assert {each["version_id"] for each in puts} <= tries, "what is not taken stays within the sweeper's reach"
    ward.sql("update attempts set started_at = started_at - interval '25 hours'")
    ward.house.documents.sweep_orphans()
    assert ward.sql("select 1 from attempts where upload_id = any (cast(:ids as uuid[]))", ids=ids) == []
    assert all(ward.house.documents.blobs.stored(each["version_id"]) is None for each in puts)


def test_a_try_counts_for_its_own_upload_alone(ward: Ward) -> None:
    doctor = ward.present()
    ids, files = prepare(ward, doctor, REPORT, REPORT), [pdf("a", size=9_000), pdf("b", size=9_000)]
    puts = [put(ward, doctor, upload_id, data) for upload_id, data in zip(ids, files, strict=True)]
    exchanged = [{**one, "upload_id": other["upload_id"]} for one, other in zip(puts, reversed(puts), strict=True)]
    with pytest.raises(UploadExpired):
        ward.ask("commit_submission", doctor, puts=exchanged)
    assert documents(ward) == 0
    made = ward.ask("commit_submission", doctor, puts=puts)["documents"]
    ward.examine()
    assert [ward.read(ward.holder, each["document_id"]) for each in made] == files
    assert ward.sql("select 1 from attempts where upload_id = any (cast(:ids as uuid[]))", ids=ids) == []


def test_rights_that_went_between_are_missed_at_the_commit(ward: Ward) -> None:
    doctor = ward.present()
    ids = prepare(ward, doctor, REPORT, REPORT)
    puts = [put(ward, doctor, upload_id, pdf()) for upload_id in ids]
    ward.end_mandates()
    with pytest.raises(RecordNotFound):
        ward.ask("commit_submission", doctor, puts=puts)
    assert documents(ward) == 0 and ward.traces("document.created")[-1]["outcome"] == "refused"


def test_the_same_key_is_the_same_submission_and_its_commit_the_same_documents(ward: Ward) -> None:
    doctor = with_key(ward.present(), "k-1")
    first = prepare(ward, doctor, REPORT, REPORT)
    assert prepare(ward, doctor, REPORT, REPORT) == first
    with pytest.raises(KeyReused):
        prepare(ward, doctor, REPORT)
    files = [pdf("a"), pdf("b")]
    puts = [put(ward, doctor, upload_id, data) for upload_id, data in zip(first, files, strict=True)]
    answer = ward.ask("commit_submission", doctor, puts=puts)
    again = [put(ward, doctor, upload_id, data) for upload_id, data in zip(first, files, strict=True)]
    assert ward.ask("commit_submission", doctor, puts=again) == answer
    other = [again[0], put(ward, doctor, first[1], pdf("c"))]
    with pytest.raises(KeyReused):
        ward.ask("commit_submission", doctor, puts=other)
    assert documents(ward) == 2
    assert len([each for each in ward.traces("document.created") if each["outcome"] == "allowed"]) == 2


def test_two_commits_of_a_submission_at_once_deposit_once(ward: Ward) -> None:
    doctor = ward.present()
    ids = prepare(ward, doctor, REPORT, REPORT, REPORT)
    puts = [put(ward, doctor, upload_id, pdf(upload_id)) for upload_id in ids]
    first, second = at_once(2, lambda _: ward.ask("commit_submission", doctor, puts=puts))
    assert first == second and documents(ward) == 3


def test_a_stranger_commits_nobody_elses_submission(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    puts = [put(ward, doctor, upload_id, pdf()) for upload_id in prepare(ward, doctor, REPORT, REPORT)]
    with pytest.raises(UploadNotFound):
        ward.ask("commit_submission", other, puts=puts)
    mixed = [puts[0], put(ward, other, prepare(ward, other, REPORT)[0], pdf())]
    with pytest.raises(UploadNotFound):
        ward.ask("commit_submission", doctor, puts=mixed)
    assert documents(ward) == 0


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ([], "/documents"), ([REPORT] * 21, "/documents"), (["x"], "/documents/0"), ([REPORT, {}], "/documents/1/type"),
        ([REPORT, {**REPORT, "title": ""}], "/documents/1/title"), ([{**REPORT, "size": 3}], "/documents/0"),
        ([REPORT, {**REPORT, "author": new_id()}], "/documents"),
    ],
)  # fmt: skip
def test_wrong_words_about_one_of_several_are_pointed_at(ward: Ward, said: Any, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ward.ask("prepare_submission", ward.present(), record_id=ward.record_id, documents=said)
    assert refused.value.detail["errors"][0]["pointer"] == pointer


def test_a_person_names_no_other_author(ward: Ward) -> None:
    doctor, other = ward.present(), ward.present()
    with pytest.raises(NotAllowed):
        ward.prepare(doctor, author=other.professional_id)
    assert ward.prepare(doctor, author=doctor.professional_id)
    with pytest.raises(NotAllowed):
        ward.prepare(ward.holder, type="holder_expression", author=doctor.professional_id)


# --- a typed note -----------------------------------------------------------------------------------------------------


def note(ward: Ward, who: Caller) -> Any:
    said = {"title": "Ce qui compte", "language": "fr", "gateway_key": ward.gateway.public}
    return ward.ask("prepare_note", who, record_id=ward.record_id, **said)


def test_what_the_holder_types_becomes_a_text_of_their_expression_space(ward: Ward) -> None:
    started, text = note(ward, ward.holder), "Parlez-moi lëtzebuergesch.\n".encode()
    ward.put(started, text)
    document_id = ward.commit(ward.holder, started, text, media_type=contract.TEXT)["document_id"]
    ward.examine()
    item = ward.ask("read_document", ward.holder, document_id=document_id)
    assert (item["type"], item["title"], item["language"]) == ("holder_expression", "Ce qui compte", "fr")
    assert item["holder_authored"] is True and ward.read(ward.holder, document_id) == text


def test_a_representative_and_an_assistant_write_notes(ward: Ward) -> None:
    assert note(ward, ward.representative())["upload_id"] and note(ward, ward.assistant())["upload_id"]


@pytest.mark.parametrize("profession", ["physician", "nurse", "pharmacist", "social_worker"])
def test_no_professional_writes_a_note_of_the_holder(ward: Ward, profession: str) -> None:
    with pytest.raises(TypeNotDepositable):
        note(ward, ward.present(profession))
    with pytest.raises(RecordNotFound):
        note(ward, ward.professional(profession))
    with pytest.raises(RecordNotFound):
        note(ward, caller("agent"))
    assert {trace["outcome"] for trace in ward.traces()} == {"refused"}


# --- copies -----------------------------------------------------------------------------------------------------------


def deposit(ward: Ward, who: Caller, data: bytes, **said: Any) -> Any:
    started = ward.prepare(who, **said)
    ward.put(started, data)
    answer = ward.commit(who, started, data, media_type=said.get("media_type", contract.PDF))
    ward.examine()
    return answer


def test_the_same_bytes_again_are_pointed_out_to_who_may_read_them(ward: Ward) -> None:
    doctor, data = ward.present(), pdf("twice")
    first = deposit(ward, doctor, data)
    assert first["duplicate_of"] is None
    assert deposit(ward, ward.present(), data)["duplicate_of"] == first["document_id"]
    assert deposit(ward, doctor, pdf("once"))["duplicate_of"] is None
    answer = submit(ward, doctor, [pdf("pair"), pdf("pair"), data])
    pair, again, third = answer["documents"]
    assert pair["duplicate_of"] is None and again["duplicate_of"] == pair["document_id"]
    assert third["duplicate_of"] == first["document_id"]


def copy_often(ward: Ward, document_id: str) -> None:
    """Has a document more versions of its bytes than are looked at before what lies in a record is."""
    ward.sql(
        "insert into versions (version_id, document_id, number, content_id, wrapped_key, key_record_id, media_type,"
        " size, sha256, account_id, created_at) select gen_random_uuid(), document_id, 1 + extra, gen_random_uuid(),"
        " wrapped_key, key_record_id, media_type, size, sha256, account_id, created_at"
        " from versions, generate_series(1, :more) as extra where document_id = :document_id",
        more=store_deposits.SELDOM + 10, document_id=document_id,
    )  # fmt: skip


@pytest.mark.parametrize("often", [False, True])
@pytest.mark.parametrize("hiding", ["level", "restriction", "matrix", "block"])
def test_the_same_bytes_are_not_pointed_out_to_who_may_not_read_them(ward: Ward, hiding: str, often: bool) -> None:
    author, data = ward.present(), pdf(f"hidden {often}")
    who, said = ward.present(), {}
    if hiding == "block":
        document_id = deposit(ward, author, data)["document_id"]
        ward.block(author, document_id)
        who, said = ward.holder, {"type": "holder_expression"}
    elif hiding == "matrix":
        who, said = ward.present("pharmacist"), {"type": "drug_dispensation"}
        document_id = deposit(ward, author, data, type="imaging")["document_id"]
        assert document_id not in ward.listed(who)
    else:
        document_id = deposit(ward, author, data)["document_id"]
        if hiding == "level":
            ward.set_level(ward.holder, document_id, "private")
        else:
            ward.restrict(ward.holder, document_id, who)
    if often:
        copy_often(ward, document_id)
    with ward.counted() as of_a_copy:
        hidden = deposit(ward, who, data, **said)
    with ward.counted() as of_another:
        fresh = deposit(ward, who, pdf("fresh"), **said)
    assert hidden["duplicate_of"] is None and set(hidden) == set(fresh)
    assert of_a_copy == of_another, "not one word more to the database"
    assert deposit(ward, author, data)["duplicate_of"] == document_id


def test_the_same_bytes_are_sought_by_themselves_and_not_among_all_that_the_record_has(ward: Ward) -> None:
    url = ward.house.sessions["documents"].engine.url.render_as_string(hide_password=False)
    sessions, said = Sessions(url), []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        said.append((statement, parameters))

    sa.event.listen(sessions.engine, "before_cursor_execute", note)
    clause = Clause("circle", "standard", ("imaging",), (), None, ("standard",))
    everything = AccessScope("", None, None, True, True, None, (clause,))
    with sessions.reading() as session:
        assert store_deposits.same_bytes(session, everything, ward.record_id, [bytes(32)]) == {}
    [(statement, parameters)] = said
    prepared, _, executed = statement.rpartition("; execute ")
    with sessions.engine.connect() as connection:
        connection.exec_driver_sql(f"deallocate all; set enable_seqscan = off; {prepared.replace('%', '%%')}")
        plan = " ".join(connection.exec_driver_sql(f"explain execute {executed}", parameters).scalars())
    sessions.engine.dispose()
    assert "ix_versions_sha256" in plan, plan
    assert re.search(r"uq_versions_number (on versions )?.*document_id = beside.document_id", plan), plan
    assert re.search(r"Nested Loop  \([^)]*\)\s+->  Append", plan), "each that is found is looked at, and no other"


@pytest.mark.parametrize("often", [False, True])
def test_the_same_bytes_in_other_records_are_no_copy_however_many_have_them(ward: Ward, often: bool) -> None:
    data = pdf(f"elsewhere {often}")
    first = deposit(ward, ward.present(), data)
    if often:
        copy_often(ward, first["document_id"])
    other = Ward(ward.house, ward.settings)
    who = other.present()
    mine = deposit(other, who, data)
    assert mine["duplicate_of"] is None
    assert deposit(other, who, data)["duplicate_of"] == mine["document_id"]
    assert deposit(ward, ward.present(), data)["duplicate_of"] == first["document_id"]


def test_a_rare_copy_is_pointed_out_beside_one_of_many(ward: Ward) -> None:
    doctor, leaflet, letter = ward.present(), pdf("leaflet"), pdf("letter")
    of_many, rare = (deposit(ward, doctor, data)["document_id"] for data in (leaflet, letter))
    copy_often(ward, of_many)
    with_both = deposit(ward, doctor, pdf("third"))["document_id"]
    copy_often(ward, with_both)
    answer = submit(ward, doctor, [letter, pdf("fresh"), leaflet, pdf("third")])
    assert [one["duplicate_of"] for one in answer["documents"]] == [rare, None, of_many, with_both]


def test_a_repeat_points_out_what_the_first_answer_did(ward: Ward) -> None:
    doctor, data = ward.present(), pdf("again")
    first = deposit(ward, doctor, data)
    started = ward.prepare(doctor)
    ward.put(started, data)
    answer = ward.commit(doctor, started, data)
    assert answer["duplicate_of"] == first["document_id"]
    ward.set_level(ward.holder, first["document_id"], "private")
    assert ward.commit(doctor, started, data) == answer


# --- how big ----------------------------------------------------------------------------------------------------------


def test_each_kind_has_its_own_bound_and_the_types_tell_it(ward: Ward) -> None:
    doctor = ward.present()
    types = {each["slug"]: each for each in ward.ask("depositable_types", doctor, record_id=ward.record_id)["types"]}
    sizes = types["medical_report"]["max_sizes"]
    assert sizes[contract.PDF] == 100 * contract.MIB and sizes[contract.TEXT] == 10 * contract.MIB
    assert sizes[contract.DICOM] == ward.settings.upload_max_bytes and set(sizes) == set(
        types["medical_report"]["media_types"]
    )
    started = ward.prepare(doctor)
    ward.put(started, pdf())
    with pytest.raises(UploadTooLarge) as refused:
        ward.commit(doctor, started, pdf(), size=10 * contract.MIB + 1, media_type=contract.TEXT)
    assert refused.value.detail == {"max_size": 10 * contract.MIB, "media_type": contract.TEXT}


# --- software without a person ----------------------------------------------------------------------------------------


def machine(establishment_id: str | None) -> Caller:
    client = new_id()
    return caller("machine", account_id=client, client_id=client, establishment_id=establishment_id,
                  scope="system/DocumentReference.c")  # fmt: skip


def test_software_deposits_for_an_author_who_works_there(ward: Ward) -> None:
    doctor = ward.present()
    software, data = machine(doctor.establishment_id), pdf()
    started = ward.prepare(software, author=doctor.professional_id)
    ward.put(started, data)
    document_id = ward.commit(software, started, data)["document_id"]
    ward.examine()
    item = ward.ask("read_document", doctor, document_id=document_id)
    assert item["author_id"] == doctor.professional_id and item["holder_authored"] is False
    [trace] = ward.traces("document.created")
    assert trace["account_id"] == software.client_id and trace["professional_id"] == doctor.professional_id
    assert (trace["ground"], trace["capacity"]) == ("presence", "professional")


def test_software_of_another_house_and_an_author_without_a_right_are_refused(ward: Ward) -> None:
    doctor, stranger, pharmacist = ward.present(), ward.professional(), ward.present("pharmacist")
    for who, author in (
        (machine(new_id()), doctor),
        (machine(None), doctor),
        (machine(stranger.establishment_id), doctor),
    ):
        with pytest.raises(AuthorUnknown):
            ward.prepare(who, author=author.professional_id)
    with pytest.raises(AuthorUnknown):
        ward.prepare(machine(doctor.establishment_id), author=new_id())
    with pytest.raises(RecordNotFound):
        ward.prepare(machine(stranger.establishment_id), author=stranger.professional_id)
    with pytest.raises(TypeNotDepositable):
        ward.prepare(machine(pharmacist.establishment_id), author=pharmacist.professional_id)
    assert documents(ward) == 0 and {trace["outcome"] for trace in ward.traces()} == {"refused"}


def test_an_author_who_lost_the_right_or_the_place_meanwhile_is_missed_at_the_commit(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    software = machine(doctor.establishment_id)
    started = ward.prepare(software, author=doctor.professional_id)
    ward.put(started, data)
    ward.dossier_sql(
        "update professionals set establishment_ids = '{}' where professional_id = :id", id=doctor.professional_id
    )
    with pytest.raises(AuthorUnknown):
        ward.commit(software, started, data)
    assert documents(ward) == 0


def test_the_author_does_not_commit_what_the_software_prepared_nor_the_other_way_round(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    software = machine(doctor.establishment_id)
    theirs = ward.prepare(software, author=doctor.professional_id)
    with pytest.raises(UploadNotFound):
        ward.commit(doctor, theirs, data)
    with pytest.raises(UploadNotFound):
        ward.commit(software, ward.prepare(doctor), data)


def test_nothing_private_stands_in_traces_and_events_of_deposits(ward: Ward) -> None:
    doctor = ward.present()
    submit(ward, doctor, [pdf("a"), pdf("b")], title="Sérologie confidentielle")
    note(ward, ward.holder)
    told = json.dumps(ward.house.events("documents"), ensure_ascii=False)
    assert "rologie" not in told and "Ce qui compte" not in told
