"""The export of a record: what is in it, who may have it, one trace, and that it ends with the right to it."""

from __future__ import annotations

from typing import Any

import pytest

from services import sealing
from services.db import new_id
from services.documents import contract_ends
from services.documents.contract import ExportOver
from services.dossier.contract import RecordClosed, RecordNotFound
from services.refusals import InvalidInput, NotAllowed
from services.tokens import Caller
from tests.builders import caller, context, pdf
from tests.services.ward import HTTP, Ward


def begun(ward: Ward, who: Caller) -> Any:
    return ward.ask("begin_export", who, record_id=ward.record_id)


def piece(ward: Ward, method: str, export_id: str, **asked: Any) -> Any:
    """What the gateway asks under the export's id, without anybody's token."""
    return ward.house.ask("documents", method, context(), export_id=export_id, **asked)


def listed(ward: Ward, export_id: str) -> list[str]:
    found, cursor = [], None
    while True:
        page = piece(ward, "export_page", export_id, cursor=cursor)
        found += [each["document_id"] for each in page["documents"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def version_of(ward: Ward, export_id: str) -> str:
    return str(piece(ward, "export_page", export_id)["documents"][0]["versions"][0]["version_id"])


def opened(ward: Ward, export_id: str, version_id: str) -> bytes | None:
    told = piece(ward, "export_file", export_id, version_id=version_id, gateway_key=ward.gateway.public)
    if told is None:
        return None
    key = ward.gateway.receive(told["sealed_key"], told["content_id"].encode())
    sealed, total = HTTP.request("GET", told["get_url"]).data, sealing.segments_of(told["size"])
    return b"".join(sealing.open_sealed([sealed], key, told["content_id"], total_segments=total))


def died(ward: Ward) -> None:
    ward.house.ask(
        "dossier", "close_record_by_agency", caller("agent"), record_id=ward.record_id, cause="death"
    )  # fmt: skip


def test_all_versions_are_in_it_with_one_trace_and_their_bytes(ward: Ward) -> None:
    doctor, first, second = ward.present(), pdf("eins"), pdf("zwei")
    document_id = ward.deposit(doctor, first)
    said = {"document_id": document_id, "version": None, "gateway_key": ward.gateway.public}
    started = ward.ask("prepare_version", doctor, **said)
    ward.put(started, second)
    ward.commit(doctor, started, second)
    ward.examine()
    own = ward.deposit(ward.holder, type="holder_expression")
    made = begun(ward, ward.holder)
    assert (made["documents"], made["files"], made["history"]) == (2, 3, True)
    page = piece(ward, "export_page", made["export_id"])
    assert [each["document_id"] for each in page["documents"]] == [document_id, own]
    versions = page["documents"][0]["versions"]
    assert [(each["number"], each["current"]) for each in versions] == [(1, False), (2, True)]
    read = [opened(ward, made["export_id"], each["version_id"]) for each in versions]
    assert read == [first, second]
    [trace] = ward.traces("record.exported")
    assert (trace["count"], trace["ground"], trace["record_id"]) == (3, "holder", ward.record_id)
    assert ward.traces("document.opened") == []


def test_what_is_hidden_from_the_holder_side_is_nowhere_in_it(ward: Ward) -> None:
    doctor = ward.present()
    shown, blocked = ward.deposit(doctor), ward.deposit(doctor)
    private = ward.deposit(doctor)
    ward.set_level(ward.holder, private, "private")
    ward.block(doctor, blocked)
    started = ward.prepare(ward.holder, type="holder_expression")
    ward.put(started, pdf())
    ward.commit(ward.holder, started, pdf())  # nobody has looked at it yet
    made = begun(ward, ward.holder)
    assert set(listed(ward, made["export_id"])) == {shown, private} and made["documents"] == 2
    [row] = ward.sql("select cast(current_version_id as text) from documents where document_id = :id", id=blocked)
    assert opened(ward, made["export_id"], row[0]) is None
    ward.release(doctor, blocked)
    assert set(listed(ward, begun(ward, ward.holder)["export_id"])) == {shown, private, blocked}


def test_an_autonomous_minors_document_is_not_in_the_export_of_a_representative(ward: Ward) -> None:
    doctor, parent = ward.present(), ward.representative()
    shown, withheld = ward.deposit(doctor), ward.deposit(doctor)
    ward.sql("update documents set withheld_at = now() where document_id = :id", id=withheld)
    made = begun(ward, parent)
    assert listed(ward, made["export_id"]) == [shown] and ward.traces("record.exported")[0]["count"] == 1
    assert len(listed(ward, begun(ward, ward.holder)["export_id"])) == 2


def test_nobody_else_exports_a_record(ward: Ward) -> None:
    ward.deposit(ward.present())
    for who, refusal in (
        (ward.assistant(), NotAllowed), (caller("agent"), NotAllowed), (ward.present(), RecordNotFound),
        (caller("patient"), RecordNotFound), (caller("agent", role="privacy_officer"), RecordNotFound),
    ):  # fmt: skip
        with pytest.raises(refusal):
            begun(ward, who)
    assert {trace["outcome"] for trace in ward.traces("record.exported")} == {"refused"}
    with pytest.raises(RecordNotFound):
        ward.ask("begin_export", ward.holder, record_id=new_id())


def test_a_closed_record_is_exported_by_nobody_and_after_a_death_by_an_officer(ward: Ward) -> None:
    doctor = ward.present()
    shown, blocked = ward.deposit(doctor), ward.deposit(doctor)
    ward.block(doctor, blocked)
    officer = caller("agent", role="privacy_officer")
    ward.house.ask("dossier", "close_record", ward.holder, record_id=ward.record_id, confirmed=True)
    with pytest.raises(RecordClosed):
        begun(ward, ward.holder)
    with pytest.raises(RecordNotFound):
        begun(ward, officer)
    died(ward)
    made = begun(ward, officer)
    assert listed(ward, made["export_id"]) == [shown] and made["history"] is False
    trace = ward.traces("record.exported")[-1]
    assert (trace["capacity"], trace["rule"], trace["account_id"]) == ("agent", "relatives", officer.account_id)
    with pytest.raises(RecordClosed):
        begun(ward, ward.holder)
    with pytest.raises(NotAllowed):
        begun(ward, caller("agent"))


def test_a_right_that_ends_ends_the_export(ward: Ward) -> None:
    ward.deposit(ward.present())
    parent = ward.representative()
    made = begun(ward, parent)
    version_id = version_of(ward, made["export_id"])
    assert opened(ward, made["export_id"], version_id)
    ward.dossier_sql("update representatives set ended_at = now() where patient_id = :id", id=parent.patient_id)
    for method, asked in (("export_page", {}), ("export_file", {"version_id": version_id, "gateway_key": "x"})):
        with pytest.raises(RecordNotFound):
            piece(ward, method, made["export_id"], **asked)


def test_an_ended_session_and_a_day_end_the_export(ward: Ward) -> None:
    ward.deposit(ward.present())
    first, second = begun(ward, ward.holder), begun(ward, caller("patient", patient_id=ward.holder.patient_id))
    ward.sql("insert into ended_sessions (session_id, ended_at) values (:id, now())", id=ward.holder.session_id)
    with pytest.raises(ExportOver):
        piece(ward, "export_page", first["export_id"])
    assert listed(ward, second["export_id"])
    ward.sql("update exports set begun_at = now() - interval '25 hours'")
    for export_id in (second["export_id"], new_id(), "x"):
        with pytest.raises(ExportOver):
            piece(ward, "export_page", export_id)


def test_the_pieces_are_given_to_the_gateway_alone_and_to_its_key(ward: Ward) -> None:
    ward.deposit(ward.present())
    export_id = begun(ward, ward.holder)["export_id"]
    with pytest.raises(NotAllowed):
        ward.house.ask("documents", "export_page", context(), process="notifications", export_id=export_id)
    with pytest.raises(InvalidInput):
        piece(ward, "export_file", export_id, version_id=version_of(ward, export_id), gateway_key="x")


def test_a_long_record_comes_in_pages(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_ends, "EXPORT_PAGE", 2)
    doctor = ward.present()
    documents = [ward.deposit(doctor, pdf(str(number))) for number in range(5)]
    assert listed(ward, begun(ward, ward.holder)["export_id"]) == documents
