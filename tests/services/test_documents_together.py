"""Deposits of a series that come at the same moment: one transaction for all of them, and to each what is theirs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.bus import together
from services.db import new_id
from services.directory.contract import ProfessionalUpdated
from services.documents import series as series_module
from services.documents import store_deposits
from services.documents.contract import TypeNotDepositable, UploadExpired, UploadIncomplete
from services.documents.series import Series as SeriesRoom
from services.dossier.contract import RecordNotFound
from services.identity.contract import AccountActivated
from services.refusals import Refusal, SessionEnded
from services.tokens import Caller
from tests.builders import caller, context, pdf
from tests.services.test_documents_series import Series, made
from tests.services.ward import Ward

Ask = Callable[[], Any]


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many went together each time, however slow the machine."""
    sizes: list[int] = []
    at_once = SeriesRoom._at_once

    def note(self: Any, several: Any) -> Any:
        sizes.append(len(several))
        return at_once(self, several)

    monkeypatch.setattr(together, "LONGEST", 20.0)
    monkeypatch.setattr(SeriesRoom, "_at_once", note)
    yield sizes


def beside(*asks: Ask) -> list[Any]:
    """Has all of these gather while somebody else is at work; gives the answers, refusals among them."""
    line, answers = series_module._TOGETHER, [None] * len(asks)
    began, go = threading.Event(), threading.Event()

    def hold(_: Any) -> list[None]:
        began.set()
        assert go.wait(20)
        return [None]

    def run(number: int) -> None:
        try:
            answers[number] = asks[number]()
        except Refusal as refusal:
            answers[number] = refusal  # type: ignore[call-overload]

    threads = [threading.Thread(target=lambda: line(None, hold))]
    threads[0].start()
    assert began.wait(5)
    for number in range(len(asks)):
        threads.append(threading.Thread(target=run, args=(number,)))
        threads[-1].start()
        until = time.monotonic() + 20
        while len(line._waiting) <= number:
            assert time.monotonic() < until
            time.sleep(0.001)
    go.set()
    for thread in threads:
        thread.join()
    return answers


def asking(series: Series, there: dict[str, Any], who: Caller | None = None, **said: Any) -> Ask:
    return lambda: series.deposit(there, who or series.who, **said)


def anew(who: Caller) -> Caller:
    """The same person with another request, as the gateway marks it: with no key of their own."""
    fresh = context()
    return replace(who, context=replace(fresh, idempotency_key=fresh.request_id))


def told(ward: Ward) -> dict[str, list[dict[str, Any]]]:
    """The traces of deposits by the request that they are of."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in ward.house.events("documents"):
        if event["type"] == "access_traced.v1" and event["data"]["action"] == "document.created":
            found.setdefault(event["request_id"], []).append(event["data"])
    return found


def test_deposits_at_the_same_moment_are_one_transaction_and_each_one_s_own(ward: Ward, groups: list[int]) -> None:
    people = [Series(ward, ward.present()), Series(ward, ward.present("pharmacist"))]
    twin = caller("patient")
    other = ward.new_record(twin)
    mine = Series(ward, twin)
    said = {"record_id": other, "type": "holder_expression"}
    slots = [(people[0], {}), (people[0], {}), (mine, said), (people[1], {"type": "drug_dispensation"}), (mine, said)]
    filled = []
    for number, (each, about) in enumerate(slots):
        data = pdf(f"file {number}")
        filled.append((each, data, each.put(each.slot(**about), data), anew(each.who), about))
    before = made(ward), made(ward, other)
    answers = beside(*(asking(each, there, who, title=f"Pièce {number}", **about)
                       for number, (each, _, there, who, about) in enumerate(filled)))  # fmt: skip
    assert groups == [5]
    assert (made(ward), made(ward, other)) == (before[0] + 3, before[1] + 2)
    traces = told(ward)
    for number, (answer, (each, _, there, who, about)) in enumerate(zip(answers, filled, strict=True)):
        assert answer["version_id"] == there["version_id"] and answer["duplicate_of"] is None
        assert answer["record_id"] == about.get("record_id", ward.record_id)
        [trace] = traces[who.context.request_id]
        assert trace["object_id"] == answer["document_id"] and trace["outcome"] == "allowed"
        assert (trace["account_id"], trace["record_id"]) == (who.account_id, answer["record_id"])
        [row] = ward.sql("select title, account_id, capacity, author_id, current_version_id from documents"
                         " where document_id = :d", d=answer["document_id"])  # fmt: skip
        assert row.title == f"Pièce {number}" and str(row.account_id) == who.account_id
        assert row.capacity == who.capacity and (str(row.author_id) == who.professional_id) is (each is not mine)
    assert len({answer["slot"]["version_id"] for answer in answers}) == 5
    ward.examine()
    readers = [ward.holder, ward.holder, twin, ward.holder, twin]
    for reader, answer, (_, data, *_rest) in zip(readers, answers, filled, strict=True):
        assert ward.read(reader, answer["document_id"]) == data
    for (each, _, _, who, about), answer in zip(filled, answers, strict=True):  # each one's slot is their own
        again = each.deposit(each.put(answer["slot"], pdf("next")), anew(who), **about)
        assert again["document_id"] != answer["document_id"]


def test_one_person_s_are_asked_about_once_and_written_in_as_many_words_as_one(ward: Ward, groups: list[int]) -> None:
    doctor = Series(ward, ward.present())
    alone = doctor.put(doctor.slot(), pdf("alone"))
    filled = [doctor.put(doctor.slot(), pdf(str(number))) for number in range(6)]
    with ward.counted() as of_one, ward.counted("dossier") as rights_of_one:
        doctor.deposit(alone, anew(doctor.who))
    with ward.counted() as of_six, ward.counted("dossier") as rights_of_six:
        beside(*(asking(doctor, there, anew(doctor.who)) for there in filled))
    assert groups == [1, 6]
    looks = 6  # what the store holds is asked by each in the words of the store, not of the database
    assert len(rights_of_six) == len(rights_of_one) and len(of_six) == len(of_one) <= looks


def test_rights_are_asked_after_the_last_of_them_came(
    ward: Ward, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = Series(ward, ward.present())
    filled = [doctor.put(doctor.slot(), pdf(str(number))) for number in range(2)]
    asked: list[str] = []
    depositor, in_store = SeriesRoom._depositor, SeriesRoom._in_store
    monkeypatch.setattr(SeriesRoom, "_depositor", lambda *args: asked.append("rights") or depositor(*args))
    monkeypatch.setattr(SeriesRoom, "_in_store", lambda *args: asked.append("came") or in_store(*args))
    beside(*(asking(doctor, there) for there in filled))
    assert asked == ["came", "came", "rights"] and groups == [2]


# --- to each what is theirs -------------------------------------------------------------------------------------------


def test_what_is_refused_among_others_is_refused_alone(ward: Ward, groups: list[int]) -> None:
    doctor, stranger = Series(ward, ward.present()), Series(ward, ward.professional())
    slots = [doctor.put(doctor.slot(), pdf(str(number))) for number in range(6)]
    who = [anew(doctor.who) for _ in range(6)]
    changes: list[dict[str, Any]] = [
        {}, {"type": "drug_dispensation"}, {"record_id": "nowhere"}, {"size": 0}, {"size": 5}, {}
    ]  # fmt: skip
    asks = [asking(doctor, there, one, **change) for there, one, change in zip(slots, who, changes, strict=True)]
    theirs = anew(stranger.who)
    before = made(ward)
    answers = beside(*asks, asking(stranger, slots[0], theirs))
    refused = [getattr(answer, "code", None) for answer in answers]
    assert refused == [None, "type_not_depositable", "record_not_found", "upload_empty", "upload_incomplete", None,
                       "record_not_found"]  # fmt: skip
    assert groups == [7] and made(ward) == before + 2
    traces = told(ward)
    for one, code in zip([*who, theirs], refused, strict=True):
        [trace] = traces[one.context.request_id]
        assert (trace["outcome"], trace["reason"]) == (("refused", code) if code else ("allowed", None))
        assert trace["account_id"] == one.account_id


def test_somebody_else_s_slot_is_nobody_s_also_among_theirs(ward: Ward, groups: list[int]) -> None:
    mine, other = Series(ward, ward.present()), Series(ward, ward.present())
    there, stolen = mine.put(mine.slot(), pdf("mine")), other.put(other.slot(), pdf("theirs"))
    answers = beside(asking(mine, there, anew(mine.who)), asking(mine, stolen, anew(mine.who)))
    assert groups == [2] and answers[0]["document_id"] and isinstance(answers[1], UploadExpired)
    assert other.deposit(stolen)["document_id"], "it is still its owner's"


def test_who_logged_out_is_refused_and_nobody_beside_them(ward: Ward, groups: list[int]) -> None:
    staying, leaving = Series(ward, ward.present()), Series(ward, ward.present())
    filled = [each.put(each.slot(), pdf(str(n))) for n, each in enumerate((staying, leaving, staying))]
    ward.sql("insert into ended_sessions values (:s, now())", s=leaving.who.session_id)
    before = made(ward)
    answers = beside(
        asking(staying, filled[0], anew(staying.who)), asking(leaving, filled[1], anew(leaving.who)),
        asking(staying, filled[2], anew(staying.who)),
    )  # fmt: skip
    assert isinstance(answers[1], SessionEnded) and made(ward) == before + 2
    assert sorted(groups) == [1, 1, 1, 3], "each alone, once it was clear that not all may speak"
    assert [len(traces) for traces in told(ward).values()].count(1) >= 2


def test_an_opposition_of_the_holder_stands_against_whom_it_names(ward: Ward, groups: list[int]) -> None:
    welcome, opposed = Series(ward, ward.present()), Series(ward, ward.present())
    filled = [each.put(each.slot(), pdf(str(number))) for number, each in enumerate((welcome, opposed))]
    ward.ask("wish_deposit", ward.holder, record_id=ward.record_id, kind="opposed",
             professional_id=opposed.who.professional_id)  # fmt: skip
    answers = beside(asking(welcome, filled[0]), asking(opposed, filled[1]))
    assert groups == [2] and answers[0]["document_id"] and isinstance(answers[1], TypeNotDepositable)
    [wish] = ward.ask("list_wishes", ward.holder, record_id=ward.record_id)["wishes"]
    assert wish["tries"] == 1


def test_the_same_bytes_are_pointed_out_to_who_may_see_the_first_alone(ward: Ward, groups: list[int]) -> None:
    mine, other = Series(ward, ward.present()), Series(ward, ward.present())
    data = pdf("the same")
    filled = [each.put(each.slot(), data) for each in (mine, other, mine)]
    first, hidden, second = beside(asking(mine, filled[0]), asking(other, filled[1]), asking(mine, filled[2]))
    assert groups == [3] and first["duplicate_of"] is None
    assert second["duplicate_of"] == first["document_id"]
    assert hidden["duplicate_of"] is None, "what is not checked yet is its depositor's alone"


def test_a_visit_of_many_deposits_is_one(ward: Ward, groups: list[int]) -> None:
    doctor = Series(ward, ward.present())
    filled = [doctor.put(doctor.slot(), pdf(str(number))) for number in range(3)]
    ward.sql("update visits set last_at = last_at - interval '2 hours', since = null where account_id = :a",
             a=doctor.who.account_id)  # fmt: skip
    [[before]] = ward.sql("select last_at from visits where account_id = :a", a=doctor.who.account_id)
    beside(*(asking(doctor, there, anew(doctor.who)) for there in filled))
    [visit] = ward.sql("select since, last_at from visits where account_id = :a", a=doctor.who.account_id)
    assert groups == [3] and visit.since == before and visit.last_at > before


def test_a_first_document_of_a_record_goes_step_by_step_and_nobody_beside_it(ward: Ward, groups: list[int]) -> None:
    twin = caller("patient")
    other, mine, doctor = ward.new_record(twin), Series(ward, twin), Series(ward, ward.present())
    late = Series(ward, ward.holder).slot(type="holder_expression")
    ward.sql("update attempts set account_id = :to where version_id = :slot", to=twin.account_id,
             slot=late["version_id"])  # fmt: skip
    plain, first = doctor.put(doctor.slot(), pdf("plain")), mine.put(late, pdf("first"))
    answers = beside(
        asking(doctor, plain, anew(doctor.who)),
        asking(mine, first, anew(twin), record_id=other, type="holder_expression"),
    )  # fmt: skip
    assert groups == [2] and all(answer["slot"]["version_id"] for answer in answers)
    assert made(ward, other) == 1 and {len(traces) for traces in told(ward).values()} == {1}


def test_a_record_that_leads_elsewhere_goes_step_by_step_and_what_has_a_key_of_its_sender_s_alone(
    ward: Ward, groups: list[int]
) -> None:
    doctor, data = Series(ward, ward.present()), pdf("keyed")
    keyed = replace(doctor.who, context=context(idempotency_key="mine"))
    plain = doctor.put(doctor.slot(), pdf("plain"))
    there = doctor.put(doctor.slot(), data)
    other = ward.new_record(caller("patient"))
    ward.sql("insert into record_moves values (:r, :to, :m, 1)", r=ward.record_id, to=other, m=new_id())
    answers = beside(asking(doctor, plain))
    assert answers[0]["document_id"] and groups == [1], "a record that leads elsewhere as far as is known here"
    told_once, again = doctor.deposit(there, keyed), doctor.deposit(there, keyed)
    assert groups == [1, 1, 1] and told_once["document_id"] == again["document_id"]


# --- once -------------------------------------------------------------------------------------------------------------


def test_one_slot_twice_in_one_breath_is_one_document(ward: Ward, groups: list[int]) -> None:
    doctor = Series(ward, ward.present())
    there, beside_it = (doctor.put(doctor.slot(), pdf(name)) for name in ("twice", "other"))
    who, before = anew(doctor.who), made(ward)
    first, second, other = beside(asking(doctor, there, who), asking(doctor, there, who), asking(doctor, beside_it))
    assert first["document_id"] == second["document_id"] and first["upload_id"] == second["upload_id"]
    assert other["document_id"] not in (None, first["document_id"]) and made(ward) == before + 2
    assert len(told(ward)[who.context.request_id]) == 1, "and one trace"


def test_a_message_that_comes_again_after_its_work_was_done_is_told_what_became_of_it(ward: Ward) -> None:
    doctor = Series(ward, ward.present())
    there, who, before = doctor.put(doctor.slot(), pdf("again")), anew(doctor.who), made(ward)
    first = doctor.deposit(there, who)
    second = doctor.deposit(there, who)
    assert "slot" not in second and second == {name: first[name] for name in second}
    assert made(ward) == before + 1 and len(told(ward)[who.context.request_id]) == 1
    with pytest.raises(UploadExpired):
        Series(ward, ward.present()).deposit(there)
    with pytest.raises(UploadExpired):
        doctor.deposit(there, replace(who, context=context(idempotency_key="another")))
    ward.end_mandates()
    with pytest.raises(RecordNotFound):
        doctor.deposit(there, who)


def test_a_used_slot_is_of_the_record_it_was_used_for(ward: Ward) -> None:
    twin = caller("patient")
    other = ward.new_record(twin)
    ward.tell("on_account_activated", "identity", AccountActivated(new_id(), "patient", twin.patient_id, None))
    mine = Series(ward, twin)
    there = mine.put(mine.slot(record_id=other, type="holder_expression"), pdf("used"))
    first = mine.deposit(there, record_id=other, type="holder_expression")
    assert first["record_id"] == other
    ward.dossier_sql(
        "insert into representatives (representative_id, record_id, patient_id, kind, proof, since, until_cause,"
        " recorded_by) values (:id, :record, :patient, 'parent', 'birth_certificate', now() - interval '1 day',"
        " 'majority', :agent)", id=new_id(), record=ward.record_id, patient=twin.patient_id, agent=new_id(),
    )  # fmt: skip
    before = made(ward)
    with pytest.raises(UploadExpired):
        mine.deposit(there, type="holder_expression")
    assert made(ward) == before and "slot" not in mine.deposit(there, record_id=other, type="holder_expression")


def test_what_software_did_for_one_author_is_no_answer_for_another(ward: Ward) -> None:
    doctors, client = [ward.present(), ward.present()], new_id()
    software = Series(ward, caller(
        "machine", account_id=client, client_id=client, establishment_id=doctors[0].establishment_id,
        scope="system/DocumentReference.c",
    ))  # fmt: skip
    first, second = (each.professional_id or "" for each in doctors)
    for each in (first, second):
        works_there = ProfessionalUpdated(each, "physician", "valid", [software.who.establishment_id or ""], 2)
        ward.tell("on_professional_updated", "directory", works_there)
    there = software.put(software.slot(author=first), pdf("analysis"))
    told_first = software.deposit(there, author=first)
    with pytest.raises(UploadExpired):
        software.deposit(there, author=second)
    assert software.deposit(there, author=first)["document_id"] == told_first["document_id"]


def test_what_breaks_in_the_middle_leaves_nothing_and_each_is_done_anew_alone(
    ward: Ward, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = Series(ward, ward.present())
    filled = [doctor.put(doctor.slot(), pdf(str(number))) for number in range(3)]
    who, before, add = [anew(doctor.who) for _ in range(3)], made(ward), store_deposits.add_documents
    broken: list[int] = []

    def fail(session: Any, *rows: Any) -> None:
        add(session, *rows)
        if groups[-1] == 3 and len(broken) < 2:
            broken.append(1)
            if len(broken) == 2:
                raise RuntimeError("the second of three")

    monkeypatch.setattr(store_deposits, "add_documents", fail)
    answers = beside(*(asking(doctor, there, one) for there, one in zip(filled, who, strict=True)))
    assert sorted(groups) == [1, 1, 1, 3] and len({answer["document_id"] for answer in answers}) == 3
    assert made(ward) == before + 3
    assert [len(told(ward)[one.context.request_id]) for one in who] == [1, 1, 1]


def test_what_the_store_does_not_have_is_refused_beside_what_it_has(ward: Ward, groups: list[int]) -> None:
    doctor = Series(ward, ward.present())
    there, empty = doctor.put(doctor.slot(), pdf("there")), doctor.slot()
    nothing = {**there, "version_id": empty["version_id"]}
    answers = beside(asking(doctor, there, anew(doctor.who)), asking(doctor, nothing, anew(doctor.who)))
    assert groups == [2] and answers[0]["document_id"] and isinstance(answers[1], UploadIncomplete)
