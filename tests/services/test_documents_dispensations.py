"""Dispensing: never more than is left, by nobody who may not, once however often it is asked, and nothing half."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from services import settings
from services.db import new_id
from services.documents import dispensations
from services.documents.contract import (
    CopyNotGenuine,
    DispensationCancelled,
    DispensationFinal,
    DispensationNotFound,
    DocumentDispensed,
    DocumentNotFound,
    NotAPrescription,
    PrescriptionCancelled,
    PrescriptionDispensed,
    PrescriptionExpired,
    QuantityNotLeft,
)
from services.documents.rules_prescriptions import CODE_LETTERS, WRONG_CODES
from services.dossier.contract import PROFESSIONS
from services.refusals import InvalidInput, KeyReused, NotAllowed, Refusal, TooManyTries
from services.tokens import Caller
from tests.builders import House, caller, context
from tests.services.pharmacy import (
    WORDING,
    dispense,
    left,
    on_responsibility,
    prescribed,
    prescribed_in_cda,
    take_back,
)
from tests.services.replica import Replica, replicas
from tests.services.ward import Ward


@pytest.fixture
def pharmacist(ward: Ward) -> Caller:
    return ward.present("pharmacist")


@pytest.fixture
def document_id(ward: Ward) -> str:
    """Three boxes of one medicine, and stockings."""
    return prescribed(ward, ward.present())


def traced(ward: Ward, action: str) -> list[tuple[str, str | None]]:
    return [(trace["outcome"], trace["reason"]) for trace in ward.traces(action)]


# --- how much ---------------------------------------------------------------------------------------------------------


def test_a_part_is_given_then_the_rest_and_then_nothing_is_left(
    ward: Ward, pharmacist: Caller, document_id: str
) -> None:
    first = dispense(ward, pharmacist, document_id, (1, "1.5"))
    assert (first["dispensation_state"], [line["left"] for line in first["lines"]]) == ("partial", ["1.5", None])
    second = dispense(ward, ward.present("pharmacist"), document_id)
    assert (second["dispensation_state"], [line["left"] for line in second["lines"]]) == ("dispensed", ["0", None])
    assert all(line["complete"] for line in second["lines"])
    with pytest.raises(PrescriptionDispensed):
        dispense(ward, pharmacist, document_id)
    given = ward.ask("read_prescription", ward.holder, document_id=document_id)["dispensations"]
    assert [each["lines"] for each in given] == [
        [{"number": 1, "quantity": "1.5"}],
        [{"number": 1, "quantity": "1.5"}, {"number": 2, "quantity": None}],
    ]
    assert "verification_code" not in str(given)


def test_more_than_is_left_is_refused_and_nothing_of_it_is_given(
    ward: Ward, pharmacist: Caller, document_id: str
) -> None:
    dispense(ward, pharmacist, document_id, (1, "2"))
    for lines in (((1, "2"), (2, None)), ((1, "1.001"),)):
        with pytest.raises(QuantityNotLeft) as refused:
            dispense(ward, pharmacist, document_id, *lines)
        assert refused.value.detail == {"lines": [1]}
    assert left(ward, pharmacist, document_id) == ("partial", ["1", None])
    dispense(ward, pharmacist, document_id, (1, "1"), (2, None))
    assert left(ward, pharmacist, document_id)[0] == "dispensed"


def test_a_line_without_a_number_is_given_whole_once(ward: Ward, pharmacist: Caller, document_id: str) -> None:
    dispense(ward, pharmacist, document_id, (2, None))
    assert left(ward, pharmacist, document_id) == ("partial", ["3", None])
    with pytest.raises(QuantityNotLeft):
        dispense(ward, pharmacist, document_id, (2, None))
    for lines in (((2, "1"),), ((9, None),)):
        with pytest.raises(InvalidInput):
            dispense(ward, pharmacist, document_id, *lines)


def test_the_database_itself_lets_nobody_pass_a_line(ward: Ward, document_id: str) -> None:
    for given in (4, -1):
        with pytest.raises(sa.exc.IntegrityError):
            ward.sql("update prescription_lines set given = :g where document_id = :d and number = 1",
                     g=given, d=document_id)  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        {"risk_accepted": False}, {"risk_version": "x"}, {"whole": False}, {"whole": True, "lines": [{"number": 1}]},
        {"whole": False, "lines": []}, {"whole": False, "lines": [{"number": 1, "quantity": "-1"}]},
    ],
)  # fmt: skip
def test_what_is_no_order_or_not_accepted_is_refused(
    ward: Ward, pharmacist: Caller, document_id: str, said: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        dispense(ward, pharmacist, document_id, **said)
    assert left(ward, pharmacist, document_id)[0] == "open" and not ward.traces("dispensation.created")


# --- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profession", [each for each in PROFESSIONS if each != "referring_physician"])
def test_only_professions_that_dispense_do(ward: Ward, document_id: str, profession: str) -> None:
    who = ward.present(profession)
    if profession == "pharmacist":
        assert dispense(ward, who, document_id)["dispensation_state"] == "dispensed"
        return
    refused: tuple[type[Refusal], ...] = (NotAllowed, DocumentNotFound)  # found by those whose cell lets them read it
    with pytest.raises(refused):
        dispense(ward, who, document_id)
    assert left(ward, ward.holder, document_id)[0] == "open"


def test_the_holder_does_not_dispense_and_a_pharmacist_not_without_a_ground(ward: Ward, document_id: str) -> None:
    with pytest.raises(NotAllowed):
        dispense(ward, ward.holder, document_id)
    for who in (ward.professional("pharmacist"), caller("patient"), caller("agent")):
        with pytest.raises(DocumentNotFound):
            dispense(ward, who, document_id)
    assert {reason for outcome, reason in traced(ward, "dispensation.created") if outcome == "refused"} == {
        "not_allowed", "document_not_found",
    }  # fmt: skip


def test_a_hidden_prescription_is_dispensed_by_nobody_whom_it_is_hidden_from(
    ward: Ward, pharmacist: Caller, document_id: str
) -> None:
    ward.restrict(ward.holder, document_id, pharmacist)
    with pytest.raises(DocumentNotFound):
        dispense(ward, pharmacist, document_id)
    ward.unrestrict(ward.holder, document_id, pharmacist)
    ward.set_level(ward.holder, document_id, "confidential")
    with pytest.raises(DocumentNotFound):
        dispense(ward, pharmacist, document_id)
    ward.trust(pharmacist)
    assert dispense(ward, pharmacist, document_id)["dispensation_state"] == "dispensed"


def test_who_wrote_it_does_not_dispense_by_authorship_alone(ward: Ward) -> None:
    pharmacist = ward.present("pharmacist")
    document_id = prescribed(ward, pharmacist)
    ward.set_level(ward.holder, document_id, "private")
    with pytest.raises(NotAllowed):
        dispense(ward, pharmacist, document_id)


def test_on_their_own_responsibility_a_pharmacist_dispenses_and_a_refusal_by_the_holder_ends_that(
    ward: Ward, document_id: str
) -> None:
    pharmacist = on_responsibility(ward)
    dispense(ward, pharmacist, document_id, (1, "1"))
    [trace] = ward.traces("dispensation.created")
    assert (trace["ground"], trace["rule"], trace["object_id"]) == (
        "responsibility", "responsibility/24h", document_id,
    )  # fmt: skip
    ward.set_in_record(responsibility="refused")
    with pytest.raises(DocumentNotFound):
        dispense(ward, pharmacist, document_id, (1, "1"))


def test_what_is_over_or_no_prescription_is_refused_each_with_its_own_problem(ward: Ward, pharmacist: Caller) -> None:
    doctor = ward.present()
    expired = prescribed(ward, doctor, valid_until="2026-01-31")
    with pytest.raises(PrescriptionExpired) as refused:
        dispense(ward, pharmacist, expired)
    assert refused.value.detail == {"valid_until": "2026-01-31"}
    cancelled = prescribed(ward, doctor)
    ward.ask("cancel_prescription", doctor, document_id=cancelled, reason="Erreur")
    with pytest.raises(PrescriptionCancelled):
        dispense(ward, pharmacist, cancelled)
    with pytest.raises(NotAPrescription):
        dispense(ward, pharmacist, ward.deposit(doctor))
    assert traced(ward, "dispensation.created") == [
        ("refused", "prescription_expired"), ("refused", "prescription_cancelled"), ("refused", "not_a_prescription"),
    ]  # fmt: skip


# --- once -------------------------------------------------------------------------------------------------------------


def test_one_key_dispenses_once_with_one_trace_and_one_event(ward: Ward, pharmacist: Caller, document_id: str) -> None:
    again = replace(pharmacist, context=context(idempotency_key="k1"))
    first = dispense(ward, again, document_id, (1, "1"))
    assert dispense(ward, again, document_id, (1, "1")) == first
    with pytest.raises(KeyReused):
        dispense(ward, again, document_id, (1, "2"))
    assert left(ward, pharmacist, document_id) == ("partial", ["2", None])
    assert traced(ward, "dispensation.created") == [("allowed", None)]
    [event] = ward.events(DocumentDispensed)
    assert event == {
        "record_id": ward.record_id, "document_id": document_id, "dispensation_id": first["dispensation_id"],
        "state": "partial", "cancelled": False, "at": first["at"], "hidden": None,
    }  # fmt: skip
    assert first["dispensation_id"] not in str(ward.traces()) and "Amoxicilline" not in str(ward.traces())


def urls_of(house: House) -> dict[str, str]:
    return {
        name: house.sessions[name].engine.url.render_as_string(hide_password=False) for name in ("dossier", "documents")
    }


def asked(document_id: str, *lines: tuple[int, str]) -> dict[str, Any]:
    told = [{"number": number, "quantity": quantity} for number, quantity in lines]
    said = {"lines": told} if lines else {"whole": True}
    return {"document_id": document_id, "risk_accepted": True, "risk_version": WORDING, **said}


def test_two_pharmacies_at_once_never_give_more_than_is_left(ward: Ward, care_house: House) -> None:
    doctor = ward.present()
    pharmacies = [ward.present("pharmacist") for _ in range(2)]
    wholes = [prescribed(ward, doctor) for _ in range(4)]
    parts = [
        prescribed(ward, doctor, {"text": "Amoxicilline", "quantity": "5"}, {"text": "Pommade", "quantity": "5"})
        for _ in range(2)
    ]
    with replicas(urls_of(care_house), 2) as counters:
        together = threading.Barrier(2)
        told: dict[str, list[Any]] = {document_id: [] for document_id in (*wholes, *parts)}

        def work(counter: Replica, who: Caller) -> None:
            for document_id in wholes:
                together.wait()
                counter.ask("documents", "dispense", who, **asked(document_id))
                told[document_id].append(counter.answer())
            for document_id in parts:
                for lines in (((1, "2"),), ((1, "2"), (2, "3")), ((2, "2"),), ((1, "1"),)):
                    together.wait()
                    counter.ask("documents", "dispense", who, **asked(document_id, *lines))
                    told[document_id].append(counter.answer())

        crew = [threading.Thread(target=work, args=pair) for pair in zip(counters, pharmacies, strict=True)]
        for each in crew:
            each.start()
        for each in crew:
            each.join()
    for document_id in wholes:
        codes = [getattr(answer, "code", "given") for answer in told[document_id]]
        assert sorted(codes) == ["given", "prescription_dispensed"], codes
    for document_id in parts:
        answers = told[document_id]
        refused = {answer.code for answer in answers if isinstance(answer, Refusal)}
        assert len(answers) == 8 and refused <= {"quantity_not_left", "prescription_dispensed"} and refused
        _agrees(ward, document_id)
    dispensed = [trace["object_id"] for trace in ward.traces("dispensation.created") if trace["outcome"] == "allowed"]
    assert sorted(dispensed) == sorted(
        document_id for document_id, answers in told.items() for each in answers if not isinstance(each, Refusal)
    )
    assert len(ward.events(DocumentDispensed)) == len(dispensed)


def _agrees(ward: Ward, document_id: str) -> None:
    """What the lines say was given is the sum of what the dispensations gave, and never passes what was prescribed."""
    for number, quantity, given in ward.sql(
        "select number, quantity, given from prescription_lines where document_id = :d", d=document_id
    ):
        [(total,)] = ward.sql(
            "select coalesce(sum(quantity), 0) from dispensed_lines join dispensations using (dispensation_id)"
            " where document_id = :d and number = :n and cancelled_at is null", d=document_id, n=number,
        )  # fmt: skip
        assert total == given <= quantity


@pytest.mark.parametrize("table", ["dispensed_lines", "outbox"])
def test_killed_in_the_middle_all_was_given_or_nothing_and_asked_again_it_is_given_once(
    ward: Ward, care_house: House, pharmacist: Caller, document_id: str, table: str
) -> None:
    again = replace(pharmacist, context=context(idempotency_key="k1"))
    waiting = f"select pid from pg_locks where relation = '{table}'::regclass and not granted"
    with replicas(urls_of(care_house), 1) as [counter], care_house.sessions["documents"].transaction() as holding:
        holding.execute(sa.text(f"lock table {table} in share mode"))
        counter.ask("documents", "dispense", again, **asked(document_id))
        _until(lambda: ward.sql(waiting))
        [(pid,)] = ward.sql(waiting)
        counter.kill()
    _until(lambda: not ward.sql("select 1 from pg_stat_activity where pid = :pid", pid=pid))
    done = len(ward.sql("select 1 from dispensations where document_id = :d", d=document_id))
    # the last statement takes the commit along: whoever dies while it waits may be done all the same
    assert done == 0 or table == "outbox"
    assert left(ward, pharmacist, document_id) == (("dispensed", ["0", None]) if done else ("open", ["3", None]))
    assert len(ward.events(DocumentDispensed)) == len(ward.traces("dispensation.created")) == done
    assert dispense(ward, again, document_id)["dispensation_state"] == "dispensed"
    assert len(ward.sql("select 1 from dispensations where document_id = :d", d=document_id)) == 1
    assert len(ward.events(DocumentDispensed)) == 1 and traced(ward, "dispensation.created") == [("allowed", None)]


def _until(holds: Callable[[], Any]) -> None:
    waiting = threading.Event()
    for _ in range(600):
        if holds():
            return
        waiting.wait(0.05)
    raise AssertionError("it never came to that")


# --- taking back ------------------------------------------------------------------------------------------------------


def test_the_same_pharmacy_takes_back_and_so_much_is_left_again(
    ward: Ward, pharmacist: Caller, document_id: str
) -> None:
    kept = dispense(ward, pharmacist, document_id, (1, "1"))
    given = dispense(ward, pharmacist, document_id)
    colleague = replace(ward.present("pharmacist"), establishment_id=pharmacist.establishment_id)
    back = take_back(ward, colleague, given["dispensation_id"])
    assert (back["dispensation_state"], [line["left"] for line in back["lines"]]) == ("partial", ["2", None])
    assert back["cancelled_at"] is not None and not back["lines"][1]["complete"]
    with pytest.raises(DispensationCancelled):
        take_back(ward, pharmacist, given["dispensation_id"])
    take_back(ward, pharmacist, kept["dispensation_id"])
    assert left(ward, ward.holder, document_id) == ("open", ["3", None])
    assert [(event["state"], event["cancelled"]) for event in ward.events(DocumentDispensed)] == [
        ("partial", False), ("dispensed", False), ("partial", True), ("open", True),
    ]  # fmt: skip
    shown = ward.ask("read_prescription", ward.holder, document_id=document_id)["dispensations"]
    assert all(each["cancelled_at"] for each in shown)
    assert dispense(ward, pharmacist, document_id)["dispensation_state"] == "dispensed"


def test_another_pharmacy_a_physician_and_the_holder_take_nothing_back(
    ward: Ward, pharmacist: Caller, document_id: str
) -> None:
    given = dispense(ward, pharmacist, document_id)["dispensation_id"]
    for who in (ward.present("pharmacist"), ward.present(), ward.holder):
        with pytest.raises(NotAllowed):
            take_back(ward, who, given)
    for who, which in ((ward.professional("pharmacist"), given), (pharmacist, new_id()), (pharmacist, "x")):
        with pytest.raises(DispensationNotFound):
            take_back(ward, who, which)
    with pytest.raises(InvalidInput):
        take_back(ward, pharmacist, given, reason="")
    assert left(ward, ward.holder, document_id)[0] == "dispensed"


def test_after_a_day_nothing_is_taken_back_and_the_setting_says_how_long(
    ward: Ward, pharmacist: Caller, document_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = dispense(ward, pharmacist, document_id)["dispensation_id"]
    ward.sql("update dispensations set at = at - interval '25 hours' where dispensation_id = :d", d=given)
    with pytest.raises(DispensationFinal) as refused:
        take_back(ward, pharmacist, given)
    assert refused.value.detail == {"hours": 24}
    chosen = replace(settings.load(), dispensation_cancel_hours=26)
    monkeypatch.setattr(dispensations, "load", lambda: chosen)
    assert take_back(ward, pharmacist, given)["dispensation_state"] == "open"


def test_taken_back_of_a_cancelled_prescription_it_stays_cancelled(ward: Ward, pharmacist: Caller) -> None:
    doctor = ward.present()
    document_id = prescribed(ward, doctor)
    given = dispense(ward, pharmacist, document_id, (1, "1"))
    ward.ask("cancel_prescription", doctor, document_id=document_id, reason="Erreur")
    assert take_back(ward, pharmacist, given["dispensation_id"])["dispensation_state"] == "cancelled"
    assert left(ward, ward.holder, document_id) == ("cancelled", ["3", None])


def test_one_key_takes_back_once(ward: Ward, pharmacist: Caller, document_id: str) -> None:
    given = dispense(ward, pharmacist, document_id)["dispensation_id"]
    again = replace(pharmacist, context=context(idempotency_key="k2"))
    assert take_back(ward, again, given) == take_back(ward, again, given)
    assert traced(ward, "dispensation.cancelled") == [("allowed", None)]


# --- certified copies -------------------------------------------------------------------------------------------------


def copy_of(ward: Ward, who: Caller, dispensation_id: str) -> Any:
    return ward.ask("read_copy", who, dispensation_id=dispensation_id)


def test_a_copy_says_what_was_given_and_what_is_left(ward: Ward, pharmacist: Caller) -> None:
    doctor = ward.present()
    document_id = prescribed(ward, doctor, valid_until="2027-01-31")
    given = dispense(ward, pharmacist, document_id, (1, "1"))["dispensation_id"]
    copy = copy_of(ward, pharmacist, given)
    assert (copy["patient_id"], copy["author_id"]) == (ward.holder.patient_id, doctor.professional_id)
    assert (copy["establishment_id"], copy["valid_until"]) == (pharmacist.establishment_id, "2027-01-31")
    assert copy["dispensed"] == [{"number": 1, "quantity": "1"}]
    assert [(line["quantity"], line["left"]) for line in copy["lines"]] == [("3", "2"), (None, None)]
    assert len(copy["verification_code"]) == CODE_LETTERS
    assert copy_of(ward, ward.holder, given)["verification_code"] == copy["verification_code"]
    assert [trace["object_id"] for trace in ward.traces("dispensation.copied")] == [document_id] * 2
    assert copy["verification_code"] not in str(ward.traces())


def test_there_is_no_copy_for_who_does_not_see_it_nor_of_what_was_taken_back(
    ward: Ward, pharmacist: Caller, document_id: str
) -> None:
    given = dispense(ward, pharmacist, document_id, (1, "1"))["dispensation_id"]
    ward.restrict(ward.holder, document_id, other := ward.present("pharmacist"))
    for who, which in ((other, given), (ward.professional("pharmacist"), given), (pharmacist, new_id())):
        with pytest.raises(DispensationNotFound):
            copy_of(ward, who, which)
    take_back(ward, pharmacist, given)
    with pytest.raises(DispensationCancelled):
        copy_of(ward, pharmacist, given)


def test_with_the_paper_in_hand_any_pharmacist_learns_what_is_left_and_nothing_of_the_patient(
    ward: Ward, pharmacist: Caller, document_id: str
) -> None:
    given = dispense(ward, pharmacist, document_id, (1, "1"))["dispensation_id"]
    code = copy_of(ward, pharmacist, given)["verification_code"]
    stranger = ward.professional("pharmacist")
    told = ward.ask("verify_copy", stranger, code=f"{code[:6]} {code[6:].lower()}")
    assert (told["dispensation_state"], told["cancelled"]) == ("partial", False)
    assert told["dispensed"] == [{"number": 1, "quantity": "1"}] and told["lines"][0]["left"] == "2"
    for secret in (ward.record_id, document_id, ward.holder.patient_id, pharmacist.professional_id, given):
        assert str(secret) not in str(told)
    [trace] = ward.traces("dispensation.verified")
    assert (trace["record_id"], trace["object_id"], trace["outcome"]) == (ward.record_id, document_id, "allowed")
    dispense(ward, pharmacist, document_id, (1, "2"))
    take_back(ward, pharmacist, given)
    later = ward.ask("verify_copy", stranger, code=code)
    assert later["cancelled"] and later["lines"][0]["left"] == "1"


def test_who_does_not_dispense_verifies_nothing(ward: Ward, pharmacist: Caller, document_id: str) -> None:
    given = dispense(ward, pharmacist, document_id, (1, "1"))["dispensation_id"]
    code = copy_of(ward, pharmacist, given)["verification_code"]
    unlicensed = caller("professional", profession="pharmacist")
    for who in (ward.present(), ward.present("nurse"), ward.holder, caller("agent"), unlicensed):
        with pytest.raises(NotAllowed):
            ward.ask("verify_copy", who, code=code)
    assert {trace["record_id"] for trace in ward.traces("dispensation.verified")} == {None}


def test_codes_are_not_guessed_however_patient_somebody_is(ward: Ward, pharmacist: Caller, document_id: str) -> None:
    given = dispense(ward, pharmacist, document_id, (1, "1"))["dispensation_id"]
    code = copy_of(ward, pharmacist, given)["verification_code"]
    for number in range(WRONG_CODES):
        with pytest.raises(CopyNotGenuine):
            ward.ask("verify_copy", pharmacist, code="x" if number % 2 else "A" * CODE_LETTERS)
    with pytest.raises(TooManyTries) as refused:
        ward.ask("verify_copy", pharmacist, code=code)
    assert refused.value.detail["retry_after"] > 0
    assert ward.ask("verify_copy", ward.professional("pharmacist"), code=code)
    ward.sql("update verification_tries set at = at - interval '61 minutes'")
    assert ward.ask("verify_copy", pharmacist, code=code)
    ward.house.documents.sweep_orphans()
    assert ward.sql("select 1 from verification_tries") == []


def test_every_dispensation_has_a_code_of_its_own(ward: Ward, pharmacist: Caller) -> None:
    document_id = prescribed(ward, ward.present(), {"text": "Amoxicilline", "quantity": "40"})
    codes = set()
    for _ in range(40):
        given = dispense(ward, pharmacist, document_id, (1, "1"))["dispensation_id"]
        codes.add(ward.sql("select verification_code from dispensations where dispensation_id = :d", d=given)[0][0])
    assert len(codes) == 40


# --- what the holder side must not learn ------------------------------------------------------------------------------


def test_a_dispensation_of_a_prescription_hidden_from_the_patient_says_so_in_its_event(
    ward: Ward, pharmacist: Caller
) -> None:
    doctor = ward.present()
    document_id = prescribed(ward, doctor)
    ward.block(doctor, document_id)
    dispense(ward, pharmacist, document_id, (1, "1"))
    ward.release(doctor, document_id)
    dispense(ward, pharmacist, document_id, (1, "1"))
    assert [event["hidden"] for event in ward.events(DocumentDispensed)] == ["blocked", None]
    assert {trace["object_type"] for trace in ward.traces("dispensation.created")} == {"document"}


def test_a_cda_prescription_is_dispensed_line_by_line_with_its_renewals(ward: Ward, pharmacist: Caller) -> None:
    document_id = prescribed_in_cda(ward, ward.present())
    assert left(ward, pharmacist, document_id) == ("open", ["3"])
    dispense(ward, pharmacist, document_id, (1, "0.5"))
    [(given,)] = ward.sql("select given from prescription_lines where document_id = :d", d=document_id)
    assert given == Decimal("0.5")
