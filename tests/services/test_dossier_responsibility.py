"""Access on one's own responsibility over a real database: for which professions, what it opens, how often."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, outbox
from services.dossier.contract import PROFESSIONS, DocumentFacts
from services.dossier.models import Mandate
from services.dossier.models_desk import AccessTry, Review
from services.dossier.rules import grant_of_reading
from services.dossier.tables import tables_at
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import refusal_code
from tests.services.own_access_house import CONDITIONS, REASON, RISK, WORDING, OwnAccessHouse

HOUSE = OwnAccessHouse


PRESCRIPTION = DocumentFacts("prescriptions", "drug_treatment", "prescription", "standard", new_id())
DISPENSATION = DocumentFacts("dispensation", "drug_dispensation", "dispensations", "standard", new_id())


def reads(house: OwnAccessHouse, who: Caller, record_id: str, document: DocumentFacts) -> bool:
    return grant_of_reading(house.scope(who, record_id), document) is not None


# --- opening ------------------------------------------------------------------------------------------------


def test_a_pharmacist_reads_standard_prescriptions_and_dispensations_for_24_hours_and_nothing_else(
    house: OwnAccessHouse,
) -> None:
    _, record_id = house.holder()
    pharmacist = house.professional("pharmacist")
    opened = house.engage(pharmacist, record_id)
    begun = datetime.fromisoformat(opened["starts_at"])
    assert datetime.fromisoformat(opened["read_until"]) - begun == timedelta(hours=24)
    assert reads(house, pharmacist, record_id, PRESCRIPTION)
    assert reads(house, pharmacist, record_id, DISPENSATION)
    for document in (
        replace(PRESCRIPTION, level="confidential"), replace(PRESCRIPTION, level="private"),
        DocumentFacts("laboratory", "laboratory_results", "laboratory", "standard", new_id()),
        DocumentFacts("allergies", "recognised_allergies", "medical_data", "standard", new_id()),
    ):  # fmt: skip
        assert not reads(house, pharmacist, record_id, document)
    assert house.dossier.read_record(pharmacist, record_id=record_id)["may_deposit"] == []
    house.age_mandates(record_id, timedelta(hours=24))
    assert house.scope(pharmacist, record_id).clauses == ()


def test_the_holder_is_told_and_the_access_is_put_up_for_review(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    pharmacist = house.professional("pharmacist")
    opened = house.engage(pharmacist, record_id)
    who = {"record_id": record_id, "patient_id": holder.patient_id, "professional_id": pharmacist.professional_id}
    at = opened["starts_at"]
    assert house.events("responsibility_access_opened.v1") == [{**who, "mandate_id": opened["mandate_id"], "at": at}]
    assert house.events("record_first_accessed_by.v1") == [{**who, "ground": "responsibility", "at": at, "first": True}]
    [review] = house.rows(Review)
    assert (review.kind, review.state, review.mandate_id) == ("responsibility", "waiting", opened["mandate_id"])
    mandate = house.mandate(opened["mandate_id"])
    assert (mandate.reason, mandate.reason_category, mandate.wording_version) == (REASON, None, WORDING)
    [trace] = house.traces("responsibility.opened")
    assert (trace["ground"], trace["rule"], trace["purpose"]) == ("responsibility", "responsibility/24h", WORDING)
    with house.sessions.transaction() as session:
        assert REASON not in "".join(session.scalars(sa.select(outbox.c.envelope)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"reason": " "}, {"pointer": "/reason", "message": "required"}),
        ({"reason": "x" * 1001}, {"pointer": "/reason", "message": "too_long"}),
        *(
            ({"conditions_accepted": [each for each in CONDITIONS if each != left]},
             {"pointer": "/conditions_accepted", "message": "must_be_accepted"})
            for left in CONDITIONS
        ),
        ({"conditions_accepted": [*CONDITIONS, "whatever"]}, {"pointer": "/conditions_accepted", "message": "unknown"}),
        ({"conditions_accepted": None}, {"pointer": "/conditions_accepted", "message": "list"}),
        ({"conditions_accepted": " ".join(CONDITIONS)}, {"pointer": "/conditions_accepted", "message": "list"}),
        ({"wording_version": "responsibility-1999-1"}, {"pointer": "/wording_version", "message": "unknown"}),
    ],
)  # fmt: skip
def test_each_of_the_three_conditions_and_a_reason_are_needed(
    house: OwnAccessHouse, changes: dict[str, Any], error: dict[str, str]
) -> None:
    _, record_id = house.holder()
    with pytest.raises(InvalidInput) as refused:
        house.engage(house.professional("pharmacist"), record_id, **changes)
    assert refused.value.detail["errors"] == [error]
    assert house.rows(Mandate) == []


@pytest.mark.parametrize("profession", PROFESSIONS)
def test_only_professions_that_dispense_may_ask(house: OwnAccessHouse, profession: str) -> None:
    _, record_id = house.holder()
    dispenses = tables_at(now()).matrix["dispensation", profession] == "rw"
    answer = house.engage(house.professional(profession), record_id)
    if dispenses:
        assert answer["kind"] == "responsibility"
    else:
        assert refusal_code(answer) == "not_allowed"
    assert dispenses is (profession == "pharmacist"), "as Annex 1 stands today"


def test_nobody_but_professionals_may_ask(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    for who in (holder, house.agent, house.officer()):
        assert refusal_code(house.engage(who, record_id)) == "not_allowed"
    assert house.rows(AccessTry) == []


def test_asked_again_or_by_many_at_once_the_access_that_runs_is_given(house: OwnAccessHouse) -> None:
    _, record_id = house.holder()
    pharmacist = house.professional("pharmacist")
    start = threading.Barrier(4)

    def ask() -> str:
        start.wait()
        return str(house.engage(pharmacist, record_id)["mandate_id"])

    with ThreadPoolExecutor(4) as pool:
        given = {future.result() for future in [pool.submit(ask) for _ in range(4)]}
    assert given == {house.engage(pharmacist, record_id)["mandate_id"]}
    assert len(house.rows(Mandate)) == len(house.events("responsibility_access_opened.v1")) == 1


def test_a_request_repeated_under_its_key_gets_its_first_answer(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    pharmacist = replace(house.professional("pharmacist"), context=builders.context(idempotency_key=new_id()))
    first = house.engage(pharmacist, record_id)
    house.dossier.end_mandate(holder, record_id=record_id, mandate_id=first["mandate_id"])
    assert house.engage(pharmacist, record_id) == first
    assert len(house.rows(Mandate)) == 1


# --- refusals -----------------------------------------------------------------------------------------------


def test_refused_unknown_closed_blocked_and_unlicensed_are_one_refusal(house: OwnAccessHouse) -> None:
    refusing_holder, refusing = house.holder()
    house.set(refusing_holder, refusing, "responsibility", "refused")
    _, not_yet_open = house.holder(activate=False)
    _, closed = house.holder()
    house.set_state(closed, "closed")
    _, record_id = house.holder()
    blocked, suspended = house.professional("pharmacist"), house.professional("pharmacist", licence="suspended")
    house.block(record_id, blocked)
    another = house.professional("pharmacist")
    tries = [
        (another, refusing), (another, not_yet_open), (another, closed), (another, new_id()), (another, "no id"),
        (blocked, record_id), (suspended, record_id), (builders.caller("professional", profession="pharmacist"),
                                                       record_id),
    ]  # fmt: skip
    for who, where in tries:
        assert house.engage(who, where).to_wire() == {"code": "responsibility_refused", "detail": {}}
    assert house.rows(Mandate) == house.rows(Review) == []
    assert house.engage(house.professional("pharmacist"), record_id)["kind"] == "responsibility"


def test_a_holder_who_refuses_this_way_ends_what_it_gives_at_once(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    pharmacist = house.professional("pharmacist")
    house.engage(pharmacist, record_id)
    assert reads(house, pharmacist, record_id, PRESCRIPTION)
    house.set(holder, record_id, "responsibility", "refused")
    assert not reads(house, pharmacist, record_id, PRESCRIPTION)
    house.set(holder, record_id, "responsibility", "allowed")
    assert reads(house, pharmacist, record_id, PRESCRIPTION)


def test_the_setting_of_one_way_leaves_the_other(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.set(holder, record_id, "emergency", "refused", **RISK)
    assert house.engage(house.professional("pharmacist"), record_id)["kind"] == "responsibility"
    house.set(holder, record_id, "emergency", "normal")
    house.set(holder, record_id, "responsibility", "refused")
    assert house.break_glass(house.of_emergency(), record_id)["kind"] == "emergency"


# --- how often ----------------------------------------------------------------------------------------------


def test_it_is_meant_for_few_patients_a_day_opened_ones_count(house: OwnAccessHouse) -> None:
    pharmacist = house.professional("pharmacist")
    records = [house.holder()[1] for _ in range(31)]
    answers = [house.engage(pharmacist, record_id) for record_id in records]
    assert {answer["kind"] for answer in answers[:30]} == {"responsibility"}
    assert refusal_code(answers[30]) == "too_many_tries"
    house.age_tries(timedelta(hours=25))
    assert house.engage(pharmacist, records[30])["kind"] == "responsibility"


def test_refused_tries_on_one_record_slow_down_whether_it_exists_or_not(house: OwnAccessHouse) -> None:
    holder, record_id = house.holder()
    house.set(holder, record_id, "responsibility", "refused")
    pharmacist = house.professional("pharmacist")
    for where in (record_id, new_id()):
        answers = [refusal_code(house.engage(pharmacist, where)) for _ in range(4)]
        assert answers == ["responsibility_refused"] * 3 + ["too_many_tries"]
