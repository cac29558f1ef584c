"""Prescriptions: their lines read or entered, their state wherever they show, and who ends them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id
from services.documents.contract import (
    CDA,
    DocumentNotFound,
    NotAPrescription,
    PrescriptionCancelled,
    PrescriptionDispensed,
    PrescriptionGiven,
)
from services.dossier.contract import RecordClosed, RecordNotFound
from services.refusals import ChangedMeanwhile, InvalidInput, NotAllowed
from services.tokens import Caller
from tests.builders import caller, context, pdf
from tests.prescriptions import cda, device, medicine, section
from tests.services.pharmacy import (
    TWO_LINES,
    dispense,
    left,
    on_responsibility,
    prescribed,
    prescribed_in_cda,
)
from tests.services.ward import Ward


def lines(ward: Ward, who: Caller, document_id: str) -> list[tuple[Any, ...]]:
    found = ward.ask("read_prescription", who, document_id=document_id)["lines"]
    return [(each["number"], each["text"], each["quantity"], each["unit"]) for each in found]


def listed(ward: Ward, who: Caller, **asked: Any) -> dict[str, str]:
    found = ward.ask("list_prescriptions", who, record_id=ward.record_id, **asked)["prescriptions"]
    return {each["document_id"]: each["dispensation_state"] for each in found}


def change(ward: Ward, who: Caller, document_id: str, data: bytes, media_type: str = CDA) -> None:
    """A new version of a document, looked at closely."""
    started = ward.ask("prepare_version", who, document_id=document_id, version=None, gateway_key=ward.gateway.public)
    ward.put(started, data)
    ward.commit(who, started, data, media_type=media_type)
    ward.examine()


# --- lines ------------------------------------------------------------------------------------------------------------


def test_the_lines_of_a_cda_prescription_are_read_with_their_renewals_and_the_last_day(ward: Ward) -> None:
    doctor = ward.present()
    data = cda(
        section(medicine("Amoxicilline 1 g", "2", renewals=3, unit="boîte", code="J01"), medicine("Pommade", None)),
        section(device("Lit médical"), code="46264-8"),
        section(medicine("Ce que le patient prend déjà", "9"), code="10160-0"),
        until="20270131",
    )
    document_id = ward.deposit(doctor, data, CDA, type="drug_treatment", title="Ordonnance")
    assert lines(ward, ward.holder, document_id) == [
        (1, "Amoxicilline 1 g", "8", "boîte"), (2, "Pommade", None, None), (3, "Lit médical", "1", None),
    ]  # fmt: skip
    read = ward.ask("read_prescription", ward.holder, document_id=document_id)
    assert (read["valid_until"], read["dispensation_state"]) == ("2027-01-31", "open")
    assert (read["lines"][0]["code"], read["lines"][0]["system"]) == ("J01", "1.2.3")


@pytest.mark.parametrize(
    "entries",
    [
        (medicine("", "2"),),
        (medicine("Amoxicilline", "plusieurs"), medicine("Pommade", "1")),
        (medicine("A", "1"),) * 51,
    ],
)
def test_a_cda_prescription_with_a_line_that_cannot_be_read_is_one_whole(ward: Ward, entries: tuple[str, ...]) -> None:
    document_id = prescribed_in_cda(ward, ward.present(), *entries)
    assert lines(ward, ward.holder, document_id) == [(1, "Ordonnance", None, None)]


def test_the_end_of_an_act_is_not_the_last_day_of_a_prescription(ward: Ward) -> None:
    data = cda(section(medicine("Pommade", "1")), until="20260101", service="11429-1")
    document_id = ward.deposit(ward.present(), data, CDA, type="drug_treatment", title="Ordonnance")
    assert ward.ask("read_prescription", ward.holder, document_id=document_id)["valid_until"] is None


def test_lines_entered_at_the_deposit_are_those_of_a_pdf(ward: Ward) -> None:
    document_id = prescribed(ward, ward.present(), valid_until="2027-01-31")
    assert lines(ward, ward.holder, document_id) == [
        (1, "Amoxicilline 1 g", "3", "boîte"), (2, "Bas de contention", None, None),
    ]  # fmt: skip
    assert ward.ask("read_prescription", ward.holder, document_id=document_id)["valid_until"] == "2027-01-31"


def test_a_pdf_without_lines_is_one_whole(ward: Ward) -> None:
    document_id = ward.deposit(ward.present(), type="drug_treatment", title="Ordonnance du 21")
    assert lines(ward, ward.holder, document_id) == [(1, "Ordonnance du 21", None, None)]


def test_what_was_entered_outlives_its_upload_until_the_close_look(ward: Ward) -> None:
    doctor = ward.present()
    started = ward.prepare(doctor, type="drug_treatment", details={"lines": list(TWO_LINES)})
    data = pdf()
    ward.put(started, data)
    document_id = ward.commit(doctor, started, data)["document_id"]
    ward.sql("update uploads set expires_at = now() - interval '3 days' where upload_id = :u", u=started["upload_id"])
    ward.house.documents.sweep_orphans()
    ward.examine()
    assert len(lines(ward, ward.holder, document_id)) == 2
    ward.house.documents.sweep_orphans()
    assert not ward.sql("select 1 from uploads where upload_id = :u", u=started["upload_id"])


def test_lines_that_are_none_and_lines_of_another_document_are_refused(ward: Ward) -> None:
    doctor = ward.present()
    for said in (
        {"type": "drug_treatment", "details": {"lines": [{"text": "x", "quantity": "0"}]}},
        {"type": "medical_report", "details": {"lines": [{"text": "x"}]}},
        {"type": "drug_treatment", "details": {"lines": [{"text": "x"}] * 51}},
    ):
        with pytest.raises(InvalidInput) as refused:
            ward.prepare(doctor, **said)
        assert refused.value.detail["errors"][0]["pointer"].startswith("/details")


# --- new versions -----------------------------------------------------------------------------------------------------


def test_a_new_version_puts_other_lines_in_the_place_of_those_of_which_nothing_was_given(ward: Ward) -> None:
    doctor = ward.present()
    document_id = prescribed_in_cda(ward, doctor, medicine("Amoxicilline", "3"))
    change(ward, doctor, document_id, cda(section(medicine("Paracétamol", "1"), medicine("Pommade", "2"))))
    assert [line[1:3] for line in lines(ward, ward.holder, document_id)] == [("Paracétamol", "1"), ("Pommade", "2")]


def test_a_new_version_that_tells_no_lines_keeps_those_there_are(ward: Ward) -> None:
    doctor = ward.present()
    document_id = prescribed(ward, doctor)
    change(ward, doctor, document_id, pdf("Ordonnance mieux scannée"), "application/pdf")
    assert [line[1] for line in lines(ward, ward.holder, document_id)] == [line["text"] for line in TWO_LINES]


def test_a_prescription_of_which_something_was_given_is_not_changed_any_more(ward: Ward) -> None:
    doctor, pharmacist = ward.present(), ward.present("pharmacist")
    document_id = prescribed_in_cda(ward, doctor, medicine("Amoxicilline", "3"))
    given = dispense(ward, pharmacist, document_id, (1, "1"))
    with pytest.raises(PrescriptionGiven):
        change(ward, doctor, document_id, cda(section(medicine("Amoxicilline", "30"))))
    with pytest.raises(PrescriptionGiven):
        ward.ask("correct_document", doctor, document_id=document_id, version=None, changes={"type": "medical_report"})
    ward.ask("cancel_dispensation", pharmacist, dispensation_id=given["dispensation_id"], reason="Erreur")
    change(ward, doctor, document_id, cda(section(medicine("Amoxicilline", "30"))))
    assert left(ward, ward.holder, document_id) == ("open", ["30"])


def put_version(ward: Ward, doctor: Caller, document_id: str, data: bytes) -> str:
    """A new version whose close look is still to come."""
    said = {"document_id": document_id, "version": None, "gateway_key": ward.gateway.public}
    started = ward.ask("prepare_version", doctor, **said)
    ward.put(started, data)
    return str(ward.commit(doctor, started, data, media_type=CDA)["version_id"])


@pytest.mark.parametrize("given", [True, False])
def test_a_version_that_is_checked_while_something_is_given_is_rejected(ward: Ward, given: bool) -> None:
    doctor, pharmacist = ward.present(), ward.present("pharmacist")
    document_id = prescribed_in_cda(ward, doctor, medicine("Paracétamol", "3"))
    [[before]] = ward.sql("select current_version_id from documents where document_id = :d", d=document_id)
    late = put_version(ward, doctor, document_id, cda(section(medicine("Morphine", "5"))))
    if given:
        dispense(ward, pharmacist, document_id, (1, "2"))
    ward.examine()
    [[shown]] = ward.sql("select current_version_id from documents where document_id = :d", d=document_id)
    [[*became]] = ward.sql("select state, reason from versions where version_id = :v", v=late)
    rejected = [event["data"] for event in ward.house.events("documents") if event["type"] == "document_rejected.v1"]
    if given:
        assert left(ward, ward.holder, document_id) == ("partial", ["1"])
        assert (str(shown), became) == (str(before), ["rejected", "prescription_given"])
        assert [told["version_id"] for told in rejected] == [late]
    else:
        assert [line[1:3] for line in lines(ward, ward.holder, document_id)] == [("Morphine", "5")]
        assert (str(shown), became, rejected) == (late, ["available", None], [])


def test_what_is_given_is_what_was_read(ward: Ward) -> None:
    doctor, pharmacist = ward.present(), ward.present("pharmacist")
    document_id = prescribed_in_cda(ward, doctor, medicine("Paracétamol", "3"))
    read = ward.ask("read_prescription", pharmacist, document_id=document_id)["version_id"]
    change(ward, doctor, document_id, cda(section(medicine("Morphine", "5"))))
    for wanted in ([(1, "1")], []):
        with pytest.raises(ChangedMeanwhile):
            dispense(ward, pharmacist, document_id, *wanted, version_id=read)
    assert left(ward, ward.holder, document_id) == ("open", ["5"])
    read = ward.ask("read_prescription", pharmacist, document_id=document_id)["version_id"]
    dispense(ward, pharmacist, document_id, (1, "1"), version_id=read)
    assert left(ward, ward.holder, document_id) == ("partial", ["4"])


@pytest.mark.parametrize("wrong", ["x", 1, ""])
def test_a_version_that_is_no_id_is_refused(ward: Ward, wrong: Any) -> None:
    document_id = prescribed_in_cda(ward, ward.present(), medicine("Paracétamol", "3"))
    with pytest.raises(InvalidInput):
        dispense(ward, ward.present("pharmacist"), document_id, (1, "1"), version_id=wrong)


def test_who_prepares_a_version_and_who_dispenses_never_wait_for_each_other(ward: Ward) -> None:
    doctor = ward.present()
    document_id = prescribed_in_cda(ward, doctor, medicine("Paracétamol", "3"))
    said = {"document_id": document_id, "version": None, "gateway_key": ward.gateway.public}
    held = {"d": document_id}
    with ThreadPoolExecutor(1) as beside:
        with ward.house.sessions["documents"].transaction() as session:  # as who dispenses: the document first
            session.execute(sa.text("set local lock_timeout = '5s'"))
            session.execute(sa.text("select from documents where document_id = cast(:d as uuid) for update"), held)
            prepared = beside.submit(ward.ask, "prepare_version", doctor, **said)
            wait([prepared], timeout=1)  # until it waits for the document, or is done
            session.execute(
                sa.text("select from prescription_lines where document_id = cast(:d as uuid) for update"), held
            )
        assert prepared.result(timeout=30)["upload_id"]


def test_what_is_corrected_to_be_a_prescription_can_be_dispensed_and_is_none_once_it_is_something_else(
    ward: Ward,
) -> None:
    doctor, pharmacist = ward.present(), ward.present("pharmacist")
    data = cda(section(medicine("Amoxicilline", "3")))
    document_id = ward.deposit(doctor, data, CDA)

    def corrected(kind: str) -> None:
        ward.ask("correct_document", doctor, document_id=document_id, version=None, changes={"type": kind})
        ward.examine()

    corrected("drug_treatment")
    assert left(ward, pharmacist, document_id) == ("open", ["3"])
    corrected("medical_report")
    assert listed(ward, pharmacist) == {}
    [shown] = ward.ask("list_documents", pharmacist, record_id=ward.record_id)["documents"]
    assert shown["dispensation_state"] is None
    with pytest.raises(NotAPrescription):
        dispense(ward, pharmacist, document_id)
    corrected("drug_treatment")
    assert dispense(ward, pharmacist, document_id)["dispensation_state"] == "dispensed"


# --- lists ------------------------------------------------------------------------------------------------------------


def test_the_state_stands_in_every_list_of_documents_by_one_statement(ward: Ward) -> None:
    doctor, pharmacist = ward.present(), ward.present("pharmacist")
    some = [prescribed(ward, doctor) for _ in range(3)]
    other = ward.deposit(doctor)
    dispense(ward, pharmacist, some[0])
    dispense(ward, pharmacist, some[1], (1, "1"))
    with ward.counted() as statements:
        page = ward.ask("list_documents", ward.holder, record_id=ward.record_id)["documents"]
    assert {each["document_id"]: each["dispensation_state"] for each in page} == {
        some[0]: "dispensed", some[1]: "partial", some[2]: "open", other: None,
    }  # fmt: skip
    assert sum("dispensation_state" in statement for statement in statements) == 1
    assert not any("prescription_lines" in statement for statement in statements)
    assert ward.ask("read_document", pharmacist, document_id=some[1])["dispensation_state"] == "partial"
    found = ward.ask("search_documents", ward.holder, record_id=ward.record_id, query="ordonnance")["documents"]
    assert {each["document_id"]: each["dispensation_state"] for each in found}[some[0]] == "dispensed"


def test_prescriptions_are_listed_by_state_with_what_is_left(ward: Ward) -> None:
    doctor, pharmacist = ward.present(), ward.present("pharmacist")
    opened, begun, done, ended, over = (prescribed(ward, doctor) for _ in range(5))
    ward.deposit(doctor)
    ward.sql("update prescriptions set valid_until = current_date - 2 where document_id = :d", d=over)
    dispense(ward, pharmacist, begun, (1, "2"))
    dispense(ward, pharmacist, done)
    ward.ask("cancel_prescription", doctor, document_id=ended, reason="Erreur de dosage")
    states = {opened: "open", begun: "partial", done: "dispensed", ended: "cancelled", over: "expired"}
    with ward.counted() as statements:
        assert listed(ward, ward.holder) == states
    assert sum("prescription_lines" in statement for statement in statements) == 1
    for document_id, state in states.items():
        assert listed(ward, pharmacist, state=state) == {document_id: state}
    [shown] = ward.ask("list_prescriptions", pharmacist, record_id=ward.record_id, state="partial")["prescriptions"]
    assert [(each["quantity"], each["given"], each["left"]) for each in shown["lines"]] == [
        ("3", "2", "1"), (None, "0", None),
    ]  # fmt: skip
    [last] = ward.traces("prescription.searched")[-1:]
    assert (last["count"], last["record_id"], last["object_id"]) == (1, ward.record_id, None)


def test_pages_of_prescriptions_follow_one_another(ward: Ward) -> None:
    doctor = ward.present()
    all_of_them = [prescribed(ward, doctor) for _ in range(3)]
    seen, cursor = [], None
    for _ in range(3):
        page = ward.ask("list_prescriptions", ward.holder, record_id=ward.record_id, limit=1, cursor=cursor)
        seen += [each["document_id"] for each in page["prescriptions"]]
        cursor = page["next_cursor"]
    assert seen == all_of_them[::-1] and cursor is None
    for wrong in ({"limit": 0}, {"cursor": "x"}, {"state": "new"}):
        with pytest.raises(InvalidInput):
            listed(ward, ward.holder, **wrong)


def test_a_hidden_prescription_is_in_no_list_and_cannot_be_read(ward: Ward) -> None:
    doctor, pharmacist = ward.present(), ward.present("pharmacist")
    shown, hidden = prescribed(ward, doctor), prescribed(ward, doctor)
    ward.set_level(ward.holder, hidden, "confidential")
    assert set(listed(ward, pharmacist)) == {shown}
    ward.block(doctor, shown)
    assert set(listed(ward, ward.holder)) == {hidden} and set(listed(ward, pharmacist)) == {shown}
    for who, document_id in ((pharmacist, hidden), (ward.holder, shown), (pharmacist, new_id()), (pharmacist, "x")):
        with pytest.raises(DocumentNotFound):
            ward.ask("read_prescription", who, document_id=document_id)
    with pytest.raises(NotAPrescription):
        ward.ask("read_prescription", ward.holder, document_id=ward.deposit(doctor))


def test_without_a_ground_there_are_no_prescriptions(ward: Ward) -> None:
    prescribed(ward, ward.present())
    for who in (ward.professional("pharmacist"), caller("patient")):
        with pytest.raises(RecordNotFound):
            listed(ward, who)
    ward.set_in_record(state="closed")
    with pytest.raises(RecordClosed):
        listed(ward, ward.holder)


def test_on_their_own_responsibility_a_pharmacist_sees_prescriptions_and_nothing_else(ward: Ward) -> None:
    doctor = ward.present()
    document_id, other = prescribed(ward, doctor), ward.deposit(doctor)
    ward.set_level(ward.holder, confidential := prescribed(ward, doctor), "confidential")
    pharmacist = on_responsibility(ward)
    assert listed(ward, pharmacist) == {document_id: "open"} and ward.listed(pharmacist) == [document_id]
    assert ward.read(pharmacist, document_id)
    for hidden in (other, confidential):
        with pytest.raises(DocumentNotFound):
            ward.open(pharmacist, hidden)
    assert ward.ask("depositable_types", pharmacist, record_id=ward.record_id)["types"] == []
    assert dispense(ward, pharmacist, document_id)["dispensation_state"] == "dispensed"
    assert ward.traces("dispensation.created")[-1]["ground"] == "responsibility"


# --- cancelled --------------------------------------------------------------------------------------------------------


def test_who_wrote_a_prescription_cancels_it_even_when_they_only_deposit_any_more(ward: Ward) -> None:
    doctor = ward.present()
    document_id = prescribed(ward, doctor)
    ward.dossier_sql("update mandates set read_until = now() where professional_id = :p", p=doctor.professional_id)
    ward.ask("cancel_prescription", doctor, document_id=document_id, reason="Allergie signalée")
    assert left(ward, ward.holder, document_id)[0] == "cancelled"
    with pytest.raises(PrescriptionCancelled):
        dispense(ward, ward.present("pharmacist"), document_id)
    with pytest.raises(PrescriptionCancelled):
        ward.ask("cancel_prescription", doctor, document_id=document_id, reason="Encore")
    [trace, refused] = ward.traces("prescription.cancelled")
    assert (trace["object_id"], trace["outcome"], refused["outcome"]) == (document_id, "allowed", "refused")
    assert "Allergie" not in str(ward.traces())


def test_nobody_else_cancels_it_and_its_author_not_without_a_ground(ward: Ward) -> None:
    doctor, colleague, pharmacist = ward.present(), ward.present(), ward.present("pharmacist")
    document_id = prescribed(ward, doctor)
    for who in (colleague, pharmacist, ward.holder):
        with pytest.raises(NotAllowed):
            ward.ask("cancel_prescription", who, document_id=document_id, reason="x")
    with pytest.raises(DocumentNotFound):
        ward.ask("cancel_prescription", ward.professional(), document_id=document_id, reason="x")
    with pytest.raises(InvalidInput):
        ward.ask("cancel_prescription", doctor, document_id=document_id, reason=" ")
    with pytest.raises(NotAPrescription):
        ward.ask("cancel_prescription", doctor, document_id=ward.deposit(doctor), reason="x")
    dispense(ward, pharmacist, document_id)
    with pytest.raises(PrescriptionDispensed):
        ward.ask("cancel_prescription", doctor, document_id=document_id, reason="x")
    ward.end_mandates()
    with pytest.raises(NotAllowed):
        ward.ask("cancel_prescription", doctor, document_id=document_id, reason="x")


def test_cancelled_twice_under_one_key_is_cancelled_once(ward: Ward) -> None:
    from dataclasses import replace

    doctor = ward.present()
    document_id = prescribed(ward, doctor)
    again = replace(doctor, context=context(idempotency_key="k1"))
    for _ in range(2):
        assert ward.ask("cancel_prescription", again, document_id=document_id, reason="Erreur") is None
    assert len(ward.traces("prescription.cancelled")) == 1


def test_a_document_still_checked_is_no_prescription_yet(ward: Ward) -> None:
    doctor = ward.present()
    started = ward.prepare(doctor, type="drug_treatment")
    ward.put(started, data := pdf())
    document_id = ward.commit(doctor, started, data)["document_id"]
    with pytest.raises(NotAPrescription):
        ward.ask("read_prescription", doctor, document_id=document_id)
    assert listed(ward, doctor) == {}
    ward.examine()
    assert listed(ward, doctor) == {document_id: "open"}


def test_prescriptions_follow_their_documents_wherever_records_lead(ward: Ward) -> None:
    document_id = prescribed(ward, ward.present())
    other = Ward(ward.house, ward.settings)
    other.deposit(other.present())  # so that it has a key
    ward.sql("update documents set record_id = :r where document_id = :d", r=other.record_id, d=document_id)
    assert set(listed(other, other.holder)) == {document_id} and listed(ward, ward.holder) == {}
