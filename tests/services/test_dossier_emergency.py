"""Emergency access over a real database: who opens it, what it gives, who is told, what ends it, what it hides."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, outbox
from services.dossier import own_access
from services.dossier.contract import DocumentFacts
from services.dossier.models import Mandate, Record
from services.dossier.models_desk import AccessTry, Review
from services.dossier.rules import grant_of_reading
from services.refusals import InvalidInput, KeyReused
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import refusal_code
from tests.services.own_access_house import REASON, OwnAccessHouse

HOUSE = OwnAccessHouse


def reads(house: OwnAccessHouse, who: Caller, record_id: str, level: str = "standard") -> bool:
    document = DocumentFacts("care_reports", "medical_report", "medical_data", level, new_id())
    return grant_of_reading(house.scope(who, record_id), document) is not None


# --- opening ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profession", ["physician", "nurse"])
def test_a_physician_or_nurse_of_an_emergency_service_reads_for_24_hours_and_deposits_nothing(
    house: OwnAccessHouse, profession: str
) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency(profession)
    opened = house.break_glass(doctor, record_id)
    begun = datetime.fromisoformat(opened["starts_at"])
    assert datetime.fromisoformat(opened["read_until"]) - begun == timedelta(hours=24)
    page = house.dossier.read_record(doctor, record_id=record_id)
    assert (page["ground"], page["access_until"], page["may_deposit"]) == ("emergency", opened["read_until"], [])
    assert "care_reports" in page["may_read"]
    house.age_mandates(record_id, timedelta(hours=24))
    assert house.scope(doctor, record_id).clauses == (), "nothing is left of it, deposits neither"


def test_it_is_told_at_once_first_access_included_and_put_up_for_review(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.of_emergency()
    opened = house.break_glass(doctor, record_id)
    who = {"record_id": record_id, "patient_id": holder.patient_id, "professional_id": doctor.professional_id}
    at = opened["starts_at"]
    assert house.events("emergency_access_opened.v1") == [{**who, "mandate_id": opened["mandate_id"], "at": at}]
    assert house.events("record_first_accessed_by.v1") == [{**who, "ground": "emergency", "at": at, "first": True}]
    [review] = house.rows(Review)
    assert (review.mandate_id, review.kind, review.state) == (opened["mandate_id"], "emergency", "waiting")
    assert (review.professional_id, review.establishment_id) == (doctor.professional_id, doctor.establishment_id)


def test_whoever_came_before_is_no_first_access_but_an_emergency_all_the_same(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    house.enter(doctor, record_id, house.code(record_id))
    house.dossier.read_record(doctor, record_id=record_id)
    house.break_glass(doctor, record_id)
    assert len(house.events("record_first_accessed_by.v1")) == 1
    assert len(house.events("emergency_access_opened.v1")) == 1


def test_the_reason_is_kept_with_the_mandate_and_stands_in_no_event_and_no_trace(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    opened = house.break_glass(doctor, record_id, reason=f"  {REASON}  ")
    mandate = house.mandate(opened["mandate_id"])
    assert (mandate.reason_category, mandate.reason) == ("unable_to_consent", REASON)
    assert mandate.opened_by == doctor.account_id
    [trace] = house.traces("emergency.opened")
    assert (trace["outcome"], trace["ground"], trace["rule"]) == ("allowed", "emergency", "emergency/24h")
    assert (trace["object_id"], trace["purpose"]) == (opened["mandate_id"], "unable_to_consent")
    with house.sessions.transaction() as session:
        assert REASON not in "".join(session.scalars(sa.select(outbox.c.envelope)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"reason": ""}, {"pointer": "/reason", "message": "required"}),
        ({"reason": " \n"}, {"pointer": "/reason", "message": "required"}),
        ({"reason": None}, {"pointer": "/reason", "message": "required"}),
        ({"reason": "x" * 1001}, {"pointer": "/reason", "message": "too_long"}),
        ({"reason_category": "curiosity"}, {"pointer": "/reason_category", "message": "choice"}),
        ({"reason_category": None}, {"pointer": "/reason_category", "message": "choice"}),
    ],
)
def test_no_glass_is_broken_without_a_category_and_words(
    house: OwnAccessHouse, changes: dict[str, Any], error: dict[str, str]
) -> None:
    _, record_id = house.holder()
    with pytest.raises(InvalidInput) as refused:
        house.break_glass(house.of_emergency(), record_id, **changes)
    assert refused.value.detail["errors"] == [error]
    assert house.rows(Mandate) == []


def test_asked_again_the_session_that_runs_is_given_and_told_once(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    first = house.break_glass(doctor, record_id)
    assert house.break_glass(doctor, record_id, reason="encore") == first
    assert len(house.events("emergency_access_opened.v1")) == len(house.rows(Review)) == 1
    assert [trace["object_id"] for trace in house.traces("emergency.opened")] == [first["mandate_id"]] * 2
    house.age_mandates(record_id, timedelta(hours=24))
    assert house.break_glass(doctor, record_id)["mandate_id"] != first["mandate_id"], "another day is another session"
    assert len(house.rows(Review)) == 2


def test_of_many_who_ask_at_one_moment_each_gets_the_one_session(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    start = threading.Barrier(6)

    def ask() -> str:
        start.wait()
        return str(house.break_glass(doctor, record_id)["mandate_id"])

    with ThreadPoolExecutor(6) as pool:
        given = {future.result() for future in [pool.submit(ask) for _ in range(6)]}
    assert len(given) == len(house.rows(Mandate)) == len(house.rows(Review)) == 1
    assert len(house.events("emergency_access_opened.v1")) == 1


def test_a_request_repeated_under_its_key_gets_its_first_answer(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = replace(house.of_emergency(), context=builders.context(idempotency_key=new_id()))
    first = house.break_glass(doctor, record_id)
    house.dossier.end_emergency_session(doctor, record_id=record_id)
    assert house.break_glass(doctor, record_id) == first
    assert len(house.rows(Mandate)) == 1, "it opened nothing anew"
    with pytest.raises(KeyReused):
        house.break_glass(doctor, record_id, reason="un autre motif")


# --- who may ask --------------------------------------------------------------------------------------------


def test_who_is_no_physician_or_nurse_or_not_attached_where_they_logged_in_is_told_so(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    elsewhere, nowhere = house.professional(), builders.caller("professional")
    house.announce(elsewhere, version=2, attached=[new_id()])
    askers = [
        house.of_emergency("pharmacist"), house.of_emergency("midwife"), house.professional(), elsewhere, nowhere,
        replace(house.of_emergency(), establishment_id=new_id()), house.agent, house.officer(),
        builders.caller("patient"),
    ]  # fmt: skip
    for asker in askers:
        assert refusal_code(house.break_glass(asker, record_id)) == "not_allowed"
        assert refusal_code(house.break_glass(asker, new_id())) == "not_allowed", "it tells nothing of the record"
    assert house.rows(Mandate) == house.rows(AccessTry) == []
    assert {trace["reason"] for trace in house.traces("emergency.opened")} == {"not_allowed"}


def test_an_attachment_that_ended_opens_nothing_more_and_an_older_word_changes_nothing(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    house.announce(doctor, version=3, attached=[])
    house.announce(doctor, version=2)
    assert refusal_code(house.break_glass(doctor, record_id)) == "not_allowed"
    house.announce(doctor, version=4)
    assert house.break_glass(doctor, record_id)["kind"] == "emergency"


# --- one refusal --------------------------------------------------------------------------------------------


def test_every_reason_that_lies_in_the_record_is_one_refusal_after_the_same_work(house: OwnAccessHouse) -> None:
    refusing_holder, refusing = house.holder()
    house.refuse_emergency(refusing_holder, refusing)
    _, not_yet_open = house.holder(activate=False)
    _, closed = house.holder()
    house.set_state(closed, "closed")
    _, record_id = house.holder()
    blocked, suspended = house.of_emergency(), house.of_emergency(licence="suspended")
    house.block(record_id, blocked)
    another = house.of_emergency()
    pretends = replace(house.of_emergency("nurse"), profession="physician")
    tries = [
        (another, refusing), (another, not_yet_open), (another, closed), (another, new_id()), (another, "no id"),
        (blocked, record_id), (suspended, record_id), (pretends, record_id),
    ]  # fmt: skip
    seen = []
    for who, where in tries:
        with house.statements() as said:
            answer = house.break_glass(who, where)
        assert answer.to_wire() == {"code": "emergency_refused", "detail": {}}
        seen.append([statement.partition("(")[0][:60] for statement in said if "prepare" not in statement])
    assert all(each == seen[0] for each in seen), "no reason does other work than the rest"
    assert house.rows(Mandate) == house.rows(Review) == []
    assert house.events("emergency_access_opened.v1") == house.events("record_first_accessed_by.v1") == []
    assert house.break_glass(house.of_emergency(), record_id)["kind"] == "emergency", "the forbidden twins' twin"


def test_refused_tries_slow_down_and_what_opens_forgives_those_of_its_record(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.refuse_emergency(holder, record_id)
    doctor = house.of_emergency()
    answers = [house.break_glass(doctor, record_id) for _ in range(4)]
    assert [refusal_code(answer) for answer in answers] == ["emergency_refused"] * 3 + ["too_many_tries"]
    assert 0 < answers[3].detail["retry_after"] <= 60
    house.set(holder, record_id, "emergency", "normal")
    assert refusal_code(house.break_glass(doctor, record_id)) == "too_many_tries", "the wait is the caller's own"
    assert house.break_glass(house.of_emergency(), record_id)["kind"] == "emergency", "others do not wait"
    house.age_tries(timedelta(minutes=5))
    assert house.break_glass(doctor, record_id)["kind"] == "emergency"
    house.refuse_emergency(holder, record_id)
    assert refusal_code(house.break_glass(doctor, record_id)) == "emergency_refused"


def test_an_unknown_record_slows_down_like_a_known_one_and_many_records_do_too(house: OwnAccessHouse) -> None:
    doctor, unknown = house.of_emergency(), new_id()
    answers = [refusal_code(house.break_glass(doctor, unknown)) for _ in range(4)]
    assert answers == ["emergency_refused"] * 3 + ["too_many_tries"]
    other = house.of_emergency()
    answers = [refusal_code(house.break_glass(other, new_id())) for _ in range(11)]
    assert answers == ["emergency_refused"] * 10 + ["too_many_tries"]


def test_whoever_opens_many_sessions_in_a_busy_night_is_not_slowed_down(house: OwnAccessHouse) -> None:
    doctor = house.of_emergency()
    for _ in range(14):
        _, record_id = house.holder()
        assert house.break_glass(doctor, record_id)["kind"] == "emergency"


def test_a_try_is_forgotten_when_it_counts_no_more_and_not_before(house: OwnAccessHouse) -> None:
    doctor = house.of_emergency()
    house.break_glass(doctor, new_id())
    house.age_tries(own_access.counted(now()) - timedelta(minutes=1))
    house.dossier.sweep()
    assert len(house.rows(AccessTry)) == 1
    house.age_tries(timedelta(minutes=2))
    house.dossier.sweep()
    assert house.rows(AccessTry) == []
    assert len(house.traces("emergency.opened")) == 1, "what happened stays in the history"


# --- what it gives, and the holder's setting ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "levels"), [("normal", ["standard"]), ("with_confidential", ["standard", "confidential"])]
)
def test_confidential_documents_are_read_only_where_the_setting_lets_and_private_ones_never(
    house: OwnAccessHouse, setting: str, levels: list[str]
) -> None:
    holder, record_id = house.holder()
    house.set(holder, record_id, "emergency", setting)
    doctor = house.of_emergency()
    house.break_glass(doctor, record_id)
    read = [level for level in ("standard", "confidential", "private") if reads(house, doctor, record_id, level)]
    assert read == levels
    [trace] = house.traces("emergency.opened")
    assert trace["rule"] == {"normal": "emergency/24h", "with_confidential": "emergency/24h-confidential"}[setting]


def test_a_setting_changed_meanwhile_holds_for_the_session_that_runs(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.of_emergency()
    house.break_glass(doctor, record_id)
    assert not reads(house, doctor, record_id, "confidential")
    house.set(holder, record_id, "emergency", "with_confidential")
    assert reads(house, doctor, record_id, "confidential")
    house.refuse_emergency(holder, record_id)
    assert not reads(house, doctor, record_id)
    assert refusal_code(house.dossier.read_record(doctor, record_id=record_id)) == "record_not_found"
    assert refusal_code(house.break_glass(doctor, record_id)) == "emergency_refused", "asked again, neither"


def test_refusing_leaves_a_hospital_emergency_mandate_untouched(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    doctor, at = house.professional(), now()
    with house.sessions.transaction() as session:
        session.add(
            Mandate(
                mandate_id=new_id(), record_id=record_id, establishment_id=doctor.establishment_id,
                kind="hospital_emergency", wording_version="x", starts_at=at, read_until=at + timedelta(hours=24),
                deposit_until=at + timedelta(days=16),
            )
        )  # fmt: skip
    house.refuse_emergency(holder, record_id)
    assert reads(house, doctor, record_id)
    assert house.scope(doctor, record_id).clauses[0].ground == "hospital_emergency"


def test_a_block_ends_what_the_session_gives_at_once(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    house.break_glass(doctor, record_id)
    house.block(record_id, doctor)
    assert not reads(house, doctor, record_id)


# --- back to normal access ----------------------------------------------------------------------------------


def test_normal_access_ends_the_session_at_once_and_leaves_other_grounds(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    doctor = house.of_emergency()
    house.enter(doctor, record_id, house.code(record_id))
    opened = house.break_glass(doctor, record_id)
    ended = house.dossier.end_emergency_session(doctor, record_id=record_id)
    assert ended["mandate_id"] == opened["mandate_id"]
    assert [clause.ground for clause in house.scope(doctor, record_id).clauses] == ["presence"]
    mandate = house.mandate(opened["mandate_id"])
    assert (mandate.ended_at is not None, mandate.ended_by) == (True, doctor.account_id)
    [trace] = house.traces("emergency.ended")
    assert (trace["outcome"], trace["object_id"], trace["ground"]) == ("allowed", opened["mandate_id"], "emergency")
    [told] = house.events("mandate_ended.v1")
    assert (told["mandate_id"], told["kind"]) == (opened["mandate_id"], "emergency")


def test_nobody_ends_a_session_that_is_not_theirs_or_does_not_run(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    doctor, colleague = house.of_emergency(), house.of_emergency()
    house.break_glass(doctor, record_id)
    for who, where in ((colleague, record_id), (holder, record_id), (house.agent, record_id), (doctor, new_id())):
        answer = house.dossier.end_emergency_session(who, record_id=where)
        assert answer.to_wire() == {"code": "mandate_not_found", "detail": {}}
    assert reads(house, doctor, record_id)
    house.dossier.end_emergency_session(doctor, record_id=record_id)
    again = house.dossier.end_emergency_session(doctor, record_id=record_id)
    assert refusal_code(again) == "mandate_not_found"
    assert len(house.traces("emergency.ended")) == 6


def test_the_holder_ends_it_as_every_mandate(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.of_emergency()
    opened = house.break_glass(doctor, record_id)
    house.dossier.end_mandate(holder, record_id=record_id, mandate_id=opened["mandate_id"])
    assert house.scope(doctor, record_id).clauses == ()


# --- what the holder side sees ------------------------------------------------------------------------------


def test_the_holder_side_sees_what_was_stated_and_the_professional_page_does_not_repeat_it(
    house: OwnAccessHouse,
) -> None:
    holder, record_id = house.holder()
    assistant, doctor = house.assistant(record_id), house.of_emergency()
    house.enter(doctor, record_id, house.code(record_id))
    house.break_glass(doctor, record_id)
    for who in (holder, assistant):
        shown = {each["kind"]: each for each in house.dossier.list_mandates(who, record_id=record_id)["mandates"]}
        assert (shown["emergency"]["reason_category"], shown["emergency"]["reason"]) == ("unable_to_consent", REASON)
        assert shown["emergency"]["review"] == {"verdict": "waiting", "settled_at": None}
        assert shown["presence"]["reason"] is shown["presence"]["review"] is None
    own = house.dossier.list_mandates(doctor, record_id=record_id)["mandates"]
    assert {each["review"] for each in own} == {None}, "no professional is told what the officer thinks"
    assert REASON not in json.dumps(own)


def test_a_copy_of_the_session_in_the_surviving_record_shows_the_same_reason_and_review(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    other, surviving = house.holder()
    doctor = house.of_emergency()
    opened = house.break_glass(doctor, record_id)
    with house.sessions.transaction() as session:
        [mandate] = session.execute(sa.select(Mandate.__table__)).mappings()
        copied_from = opened["mandate_id"]
        for copy in (new_id(), new_id()):  # a copy, and a copy of that copy
            moved = {"mandate_id": copy, "record_id": surviving, "copied_from": copied_from}
            session.execute(sa.insert(Mandate).values({**mandate, **moved}))
            copied_from = copy
    shown = house.dossier.list_mandates(other, record_id=surviving)["mandates"]
    assert [each["reason"] for each in shown] == [REASON] * 2
    assert [each["review"]["verdict"] for each in shown] == ["waiting"] * 2
    assert len(house.dossier.list_mandates(holder, record_id=record_id)["mandates"]) == 1
    assert len(house.rows(Record)) == 2
