"""Stays over a real database: admission and hospital emergency, whom they serve, how they go on and how they end."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.dossier import models
from services.dossier.contract import RESPONSIBILITY_CONDITIONS, RESPONSIBILITY_WORDINGS, RESULT_CONSENT_WORDINGS
from services.refusals import InvalidInput, KeyReused
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code

DAY = timedelta(days=1)
CONSENT = next(iter(RESULT_CONSENT_WORDINGS))


def at_hospital(house: DossierHouse, profession: str = "nurse") -> tuple[Caller, Caller]:
    """Somebody who works at a hospital, and its software acting for them."""
    who = house.professional(profession)
    return who, house.software(who)


def register(house: DossierHouse, who: Caller, record_id: str, kind: str = "admission", reference: str = "S-1") -> Any:
    return house.dossier.register_stay(who, record_id=record_id, kind=kind, reference=reference)


def moments(stay: dict[str, Any]) -> tuple[timedelta, timedelta]:
    """How long a stay reads and lets deposit, from its start."""
    start, *ends = (datetime.fromisoformat(stay[name]) for name in ("starts_at", "read_until", "deposit_until"))
    return ends[0] - start, ends[1] - start


def rules(house: DossierHouse, who: Caller, record_id: str) -> list[str]:
    return [clause.rule for clause in house.scope(who, record_id).clauses]


# --- registering ------------------------------------------------------------------------------------------------------


def test_an_admission_serves_all_who_work_there_by_name_and_nobody_else(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    clerk, software = at_hospital(house)
    doctor, elsewhere = house.colleague(clerk), house.professional()
    gone = replace(house.professional(), establishment_id=clerk.establishment_id)
    stay = register(house, software, record_id)
    assert (stay["kind"], stay["reference"], stay["ended_at"]) == ("admission", "S-1", None)
    assert moments(stay) == (45 * DAY, 60 * DAY)
    assert house.events("record_first_accessed_by.v1") == [], "a registration is no access"
    for who in (doctor, clerk):
        assert house.dossier.read_record(who, record_id=record_id)["ground"] == "admission"
        assert house.dossier.read_record(who, record_id=record_id)["access_until"] == stay["read_until"]
    told = house.events("record_first_accessed_by.v1")
    assert [one["professional_id"] for one in told] == [doctor.professional_id, clerk.professional_id]
    assert {one["patient_id"] for one in told} == {holder.patient_id}
    for who in (elsewhere, gone):
        assert refusal_code(house.dossier.read_record(who, record_id=record_id)) == "record_not_found"
    at_their_other_workplace = replace(doctor, establishment_id=new_id())
    assert rules(house, at_their_other_workplace, record_id) == []


def test_an_admission_leaves_one_trace_and_one_event_that_names_the_establishment(house: DossierHouse) -> None:
    _, record_id = house.holder()
    clerk, software = at_hospital(house)
    stay = register(house, software, record_id)
    [trace] = house.traces("mandate.opened")
    assert (trace["outcome"], trace["ground"], trace["rule"]) == ("allowed", "admission", "admission/stay")
    assert (trace["object_id"], trace["record_id"], trace["purpose"]) == (stay["mandate_id"], record_id, "TREAT")
    assert (trace["account_id"], trace["professional_id"]) == (software.client_id, clerk.professional_id)
    [event] = house.events("mandate_opened.v1")
    assert event == {
        "record_id": record_id, "mandate_id": stay["mandate_id"], "professional_id": None, "kind": "admission",
        "establishment_id": clerk.establishment_id,
    }  # fmt: skip


def test_a_registration_in_an_emergency_department_reads_for_24_hours(house: DossierHouse) -> None:
    _, record_id = house.holder()
    nurse, software = at_hospital(house)
    stay = register(house, software, record_id, "hospital_emergency")
    assert moments(stay) == (DAY, 16 * DAY)
    assert rules(house, nurse, record_id) == ["hospital_emergency/24h"]
    house.age_mandates(record_id, DAY)
    assert rules(house, nurse, record_id) == ["hospital_emergency/deposit-only"]
    house.age_mandates(record_id, 15 * DAY)
    assert rules(house, nurse, record_id) == []


def test_after_45_days_an_admission_deposits_only_and_after_60_it_is_over(house: DossierHouse) -> None:
    _, record_id = house.holder()
    doctor, software = at_hospital(house, "physician")
    register(house, software, record_id)
    [clause] = house.scope(doctor, record_id).clauses
    assert clause.read and clause.levels == ("standard",)
    house.age_mandates(record_id, 45 * DAY)
    [clause] = house.scope(doctor, record_id).clauses
    assert (clause.rule, clause.read) == ("admission/deposit-only", ()) and "care_reports" in clause.deposit
    house.age_mandates(record_id, 15 * DAY)
    assert house.scope(doctor, record_id).clauses == ()


def test_the_same_registration_again_is_the_same_stay(house: DossierHouse) -> None:
    _, record_id = house.holder()
    clerk, software = at_hospital(house)
    other_house = at_hospital(house)[1]
    first = register(house, software, record_id)
    assert register(house, house.software(house.colleague(clerk)), record_id) == first
    assert len(house.events("mandate_opened.v1")) == 1 and len(house.traces("mandate.opened")) == 2
    others = [
        register(house, software, record_id, reference="S-2"),
        register(house, software, record_id, "hospital_emergency"),
        register(house, other_house, record_id),
        register(house, software, house.holder()[1]),
    ]
    assert len({first["mandate_id"], *(one["mandate_id"] for one in others)}) == 5


def test_registered_at_once_by_several_it_is_one_stay(house: DossierHouse) -> None:
    _, record_id = house.holder()
    clerk, _ = at_hospital(house)
    stations = [house.software(clerk) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda station: register(house, station, record_id)["mandate_id"], stations))
    assert len(set(made)) == len(house.rows(models.Mandate)) == len(house.events("mandate_opened.v1")) == 1


def test_one_key_gets_one_answer(house: DossierHouse) -> None:
    _, record_id = house.holder()
    software = replace(at_hospital(house)[1], context=builders.context(idempotency_key="k"))
    first = register(house, software, record_id)
    assert register(house, software, record_id) == first and len(house.traces("mandate.opened")) == 1
    with pytest.raises(KeyReused):
        register(house, software, record_id, reference="S-2")


def test_a_record_that_is_unknown_closed_or_not_yet_open_is_one_refusal(house: DossierHouse) -> None:
    _, software = at_hospital(house)
    _, early = house.holder(activate=False)
    _, closed = house.holder()
    _, deleted = house.holder()
    house.set_state(closed, "closed")
    house.set_state(deleted, "deleted")
    seen, said = [], []
    for record_id in (new_id(), "no id", early, closed, deleted):
        with house.statements() as statements:
            seen.append(json.dumps(register(house, software, record_id).to_wire()))
        said.append(len(statements))
    assert set(seen) == {'{"code": "record_not_found", "detail": {}}'}
    assert len(set(said)) == 1, "and the same work"
    assert [trace["outcome"] for trace in house.traces("mandate.opened")] == ["refused"] * 5
    assert house.rows(models.Mandate) == []


def test_a_licence_that_is_not_valid_registers_nobody(house: DossierHouse) -> None:
    _, record_id = house.holder()
    suspended = house.software(house.professional("nurse", licence="suspended"))
    assert refusal_code(register(house, suspended, record_id)) == "record_not_found"


@pytest.mark.parametrize("capacity", ["patient", "agent", "machine"])
def test_nobody_but_a_professional_at_an_establishment_registers(house: DossierHouse, capacity: str) -> None:
    _, record_id = house.holder()
    assert refusal_code(register(house, builders.caller(capacity), record_id)) == "not_allowed"
    self_employed = replace(house.professional(), establishment_id=None, client_id=new_id())
    assert refusal_code(register(house, self_employed, record_id)) == "not_allowed"
    assert [trace["reason"] for trace in house.traces("mandate.opened")] == ["not_allowed"] * 2


def test_a_person_registers_where_there_is_an_emergency_service_and_nowhere_else(house: DossierHouse) -> None:
    _, record_id = house.holder()
    nurse = house.professional("nurse")
    for kind in ("admission", "hospital_emergency"):
        assert refusal_code(register(house, nurse, record_id, kind)) == "not_allowed"
    house.colleague(nurse, emergency=True)
    for kind in ("admission", "hospital_emergency"):
        assert register(house, nurse, record_id, kind)["kind"] == kind
    assert refusal_code(register(house, house.professional("nurse"), record_id)) == "not_allowed"


@pytest.mark.parametrize("changes", [{"kind": "order"}, {"kind": "presence"}, {"reference": "Jane Doe"}])
def test_what_is_no_stay_is_not_registered(house: DossierHouse, changes: dict[str, str]) -> None:
    _, record_id = house.holder()
    with pytest.raises(InvalidInput):
        house.dossier.register_stay(
            at_hospital(house)[1], record_id=record_id, **{"kind": "admission", "reference": "S-1"} | changes
        )


def test_whoever_is_barred_registers_for_the_house_and_stays_barred(house: DossierHouse) -> None:
    _, record_id = house.holder()
    barred, software = at_hospital(house)
    colleague = house.colleague(barred)
    house.block(record_id, barred)
    stay = register(house, software, record_id)
    assert stay["kind"] == "admission" and rules(house, colleague, record_id) == ["admission/stay"]
    assert rules(house, barred, record_id) == []
    for refused in (
        house.dossier.read_record(barred, record_id=record_id),
        house.dossier.list_mandates(barred, record_id=record_id),
    ):
        assert refusal_code(refused) == "record_not_found"


def test_a_blocklist_entry_made_during_a_stay_ends_it_for_that_one_alone(house: DossierHouse) -> None:
    _, record_id = house.holder()
    nurse, software = at_hospital(house)
    colleague = house.colleague(nurse)
    register(house, software, record_id)
    assert rules(house, nurse, record_id) and rules(house, colleague, record_id)
    house.block(record_id, nurse)
    assert rules(house, nurse, record_id) == [] and rules(house, colleague, record_id)


# --- how it goes on ---------------------------------------------------------------------------------------------------


def test_a_discharge_ends_reading_at_once_and_leaves_15_days_of_depositing(house: DossierHouse) -> None:
    _, record_id = house.holder()
    doctor, software = at_hospital(house, "physician")
    stay = register(house, software, record_id)
    asked = {"record_id": record_id, "mandate_id": stay["mandate_id"]}
    left = house.dossier.discharge_patient(software, **asked)
    assert left["closes_at"] == left["read_until"]
    closed = datetime.fromisoformat(left["closes_at"])
    assert datetime.fromisoformat(left["deposit_until"]) - closed == 15 * DAY
    [clause] = house.scope(doctor, record_id).clauses
    assert (clause.rule, clause.read) == ("admission/deposit-only", ())
    assert house.dossier.discharge_patient(software, **asked) == left, "the first one stands"
    assert [trace["outcome"] for trace in house.traces("mandate.closed")] == ["allowed"] * 2
    assert refusal_code(house.dossier.prolong_stay(software, **asked, days=5)) == "stay_over"


def test_a_stay_that_goes_on_is_prolonged_by_30_days_in_all(house: DossierHouse) -> None:
    _, record_id = house.holder()
    doctor, software = at_hospital(house, "physician")
    stay = register(house, software, record_id)
    asked = {"record_id": record_id, "mandate_id": stay["mandate_id"]}
    house.age_mandates(record_id, 50 * DAY)
    assert rules(house, doctor, record_id) == ["admission/deposit-only"]
    assert moments(house.dossier.prolong_stay(software, **asked, days=10)) == (55 * DAY, 70 * DAY)
    assert rules(house, doctor, record_id) == ["admission/stay"]
    for _ in range(2):
        assert moments(house.dossier.prolong_stay(software, **asked, days=30)) == (75 * DAY, 90 * DAY)
    with pytest.raises(InvalidInput):
        house.dossier.prolong_stay(software, **asked, days=31)
    house.age_mandates(record_id, 40 * DAY)
    assert refusal_code(house.dossier.prolong_stay(software, **asked, days=30)) == "stay_over"
    assert {trace["outcome"] for trace in house.traces("mandate.prolonged")} == {"allowed", "refused"}


def test_a_registration_in_an_emergency_department_is_not_prolonged(house: DossierHouse) -> None:
    _, record_id = house.holder()
    _, software = at_hospital(house)
    stay = register(house, software, record_id, "hospital_emergency")
    asked = {"record_id": record_id, "mandate_id": stay["mandate_id"]}
    assert refusal_code(house.dossier.prolong_stay(software, **asked, days=1)) == "stay_over"
    consent = {"patient_consented": True, "wording_version": CONSENT}
    assert refusal_code(house.dossier.await_result(software, **asked, **consent)) == "stay_over"


def test_no_mandate_but_an_admission_is_prolonged(house: DossierHouse) -> None:
    _, record_id = house.holder()
    pharmacist = house.professional("pharmacist")
    software = house.software(pharmacist)
    taken = {
        "reason": "Renouvellement", "conditions_accepted": list(RESPONSIBILITY_CONDITIONS),
        "wording_version": max(RESPONSIBILITY_WORDINGS),
    }  # fmt: skip
    others = {
        "presence": house.enter(pharmacist, record_id, house.code(record_id)),
        "order": house.dossier.register_order(software, record_id=record_id, reference="LAB-1"),
        "responsibility": house.dossier.open_responsibility_access(pharmacist, record_id=record_id, **taken),
    }
    for kind, made in others.items():
        assert made["kind"] == kind
        asked = {"record_id": record_id, "mandate_id": made["mandate_id"]}
        assert refusal_code(house.dossier.prolong_stay(software, **asked, days=1)) == "mandate_not_found", kind
    admitted = register(house, software, record_id)
    prolonged = house.dossier.prolong_stay(software, record_id=record_id, mandate_id=admitted["mandate_id"], days=1)
    assert moments(prolonged) == (46 * DAY, 61 * DAY)


def test_with_the_patient_s_consent_a_result_comes_later_until_it_is_validated(house: DossierHouse) -> None:
    _, record_id = house.holder()
    doctor, software = at_hospital(house, "physician")
    stay = register(house, software, record_id)
    asked = {"record_id": record_id, "mandate_id": stay["mandate_id"]}
    house.dossier.discharge_patient(software, **asked)
    with pytest.raises(InvalidInput):
        house.dossier.await_result(software, **asked, patient_consented=False, wording_version=CONSENT)
    consent = {"patient_consented": True, "wording_version": CONSENT}
    awaiting = house.dossier.await_result(software, **asked, **consent)
    assert awaiting["consent_at"] and house.dossier.await_result(software, **asked, **consent) == awaiting
    assert [trace["purpose"] for trace in house.traces("mandate.prolonged")] == [CONSENT] * 2
    house.age_mandates(record_id, 30 * DAY)
    assert rules(house, doctor, record_id) == ["admission/deposit-only"], "no reading, whatever comes later"
    house.dossier.settle_result(software, **asked)
    assert rules(house, doctor, record_id) == ["admission/deposit-only"]
    house.age_mandates(record_id, 15 * DAY)
    assert rules(house, doctor, record_id) == []


def test_after_a_result_that_came_during_the_stay_a_discharge_leaves_15_days_and_no_more(house: DossierHouse) -> None:
    _, record_id = house.holder()
    software = at_hospital(house, "physician")[1]
    asked = {"record_id": record_id, "mandate_id": register(house, software, record_id)["mandate_id"]}
    house.dossier.await_result(software, **asked, patient_consented=True, wording_version=CONSENT)
    house.dossier.settle_result(software, **asked)
    left = moments(house.dossier.discharge_patient(software, **asked))
    assert left[1] - left[0] == 15 * DAY and left[0] < DAY


def test_without_consent_nothing_comes_after_the_15_days(house: DossierHouse) -> None:
    _, record_id = house.holder()
    doctor, software = at_hospital(house, "physician")
    stay = register(house, software, record_id)
    asked = {"record_id": record_id, "mandate_id": stay["mandate_id"]}
    left = house.dossier.discharge_patient(software, **asked)
    assert house.dossier.settle_result(software, **asked) == left
    house.age_mandates(record_id, 15 * DAY)
    assert rules(house, doctor, record_id) == []


def test_nobody_changes_a_stay_but_the_establishment_it_is_of(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    clerk, software = at_hospital(house)
    stay = register(house, software, record_id)
    foreign = at_hospital(house)[1]
    _, closed = house.holder()
    in_closed = register(house, software, closed)
    house.set_state(closed, "closed")
    presence = house.enter(clerk, record_id, house.code(record_id))
    tries = [
        (foreign, record_id, stay["mandate_id"]),
        (software, new_id(), stay["mandate_id"]),
        (software, record_id, new_id()),
        (software, record_id, presence["mandate_id"]),
        (software, closed, in_closed["mandate_id"]),
    ]
    for who, record, mandate_id in tries:
        answer = house.dossier.discharge_patient(who, record_id=record, mandate_id=mandate_id)
        assert json.dumps(answer.to_wire()) == '{"code": "mandate_not_found", "detail": {}}'
    for who in (holder, house.agent, builders.caller("machine")):
        answer = house.dossier.discharge_patient(who, record_id=record_id, mandate_id=stay["mandate_id"])
        assert refusal_code(answer) == "not_allowed"
    assert len(house.traces("mandate.closed")) == len(tries) + 3
    assert rules(house, clerk, record_id) == ["presence/24h", "admission/stay"]


# --- how it ends ------------------------------------------------------------------------------------------------------


def test_the_holder_sees_a_stay_and_ends_it_for_all_whom_it_serves(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    clerk, software = at_hospital(house)
    doctor = house.colleague(clerk)
    stay = register(house, software, record_id)
    [shown] = house.dossier.list_mandates(holder, record_id=record_id)["mandates"]
    assert (shown["professional_id"], shown["establishment_id"]) == (None, clerk.establishment_id)
    assert (shown["reference"], shown["kind"]) == ("S-1", "admission")
    assert rules(house, doctor, record_id)
    house.dossier.end_mandate(holder, record_id=record_id, mandate_id=stay["mandate_id"])
    assert rules(house, doctor, record_id) == rules(house, clerk, record_id) == []
    [event] = house.events("mandate_ended.v1")
    assert (event["professional_id"], event["establishment_id"]) == (None, clerk.establishment_id)
    again = register(house, software, record_id)
    assert again["mandate_id"] == stay["mandate_id"] and again["ended_at"], "registered again, it stays ended"
    asked = {"record_id": record_id, "mandate_id": stay["mandate_id"]}
    assert refusal_code(house.dossier.prolong_stay(software, **asked, days=5)) == "stay_over"
    assert house.dossier.discharge_patient(software, **asked)["closes_at"] is None
    assert rules(house, doctor, record_id) == []


def test_the_holder_ends_everything_at_once(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    clerk, software = at_hospital(house)
    visitor = house.professional()
    house.enter(visitor, record_id, house.code(record_id))
    register(house, software, record_id)
    over = register(house, software, record_id, reference="S-2")
    house.dossier.end_mandate(holder, record_id=record_id, mandate_id=over["mandate_id"])
    _, untouched = house.holder()
    register(house, software, untouched)
    for who in (clerk, visitor, house.professional(), house.agent, builders.caller("patient")):
        assert refusal_code(house.dossier.end_mandates(who, record_id=record_id)) == "record_not_found"
    assert house.dossier.end_mandates(holder, record_id=record_id)["count"] == 2
    assert rules(house, clerk, record_id) == rules(house, visitor, record_id) == []
    assert rules(house, clerk, untouched) == ["admission/stay"]
    assert len(house.events("mandate_ended.v1")) == 3
    assert house.dossier.end_mandates(holder, record_id=record_id)["count"] == 0
    assert [trace["count"] for trace in house.traces("mandate.ended")][-2:] == [2, 0]
    mine = {mandate.ended_by for mandate in house.rows(models.Mandate) if mandate.ended_at is not None}
    assert mine == {holder.account_id}


def test_a_professional_lists_their_own_mandates_and_their_house_s(house: DossierHouse) -> None:
    _, record_id = house.holder()
    clerk, software = at_hospital(house)
    _, elsewhere = at_hospital(house)
    visitor, colleague = house.colleague(clerk), house.colleague(clerk)
    code = house.code(record_id)
    own = house.enter(visitor, record_id, code)
    house.enter(colleague, record_id, code)
    stay = register(house, software, record_id)
    register(house, elsewhere, record_id)
    listed = house.dossier.list_mandates(visitor, record_id=record_id)["mandates"]
    assert [one["mandate_id"] for one in listed] == [stay["mandate_id"], own["mandate_id"]]


def test_the_end_that_time_brings_is_told_once_and_moves_with_the_stay(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    _, software = at_hospital(house)
    kept, prolonged, ended = (register(house, software, record_id, reference=f"S-{n}") for n in range(3))
    house.dossier.prolong_stay(software, record_id=record_id, mandate_id=prolonged["mandate_id"], days=30)
    house.dossier.end_mandate(holder, record_id=record_id, mandate_id=ended["mandate_id"])
    due(house, now() + 59 * DAY)
    assert told(house) == [ended["mandate_id"]]
    due(house, now() + 61 * DAY)
    assert told(house) == [ended["mandate_id"], kept["mandate_id"]]
    due(house, now() + 91 * DAY)
    due(house, now() + 400 * DAY)
    assert told(house) == [ended["mandate_id"], kept["mandate_id"], prolonged["mandate_id"]]


def test_a_deadline_that_comes_too_early_is_put_where_it_belongs(house: DossierHouse) -> None:
    _, record_id = house.holder()
    _, software = at_hospital(house)
    stay = register(house, software, record_id)
    with house.sessions.transaction() as session:
        session.execute(sa.update(models.Model.metadata.tables["deadlines"]).values(due_at=now() - DAY))
    due(house, now())
    assert told(house) == []
    due(house, now() + 61 * DAY)
    assert told(house) == [stay["mandate_id"]]


def due(house: DossierHouse, at: datetime) -> None:
    while house.dossier._do_due(at):
        pass


def told(house: DossierHouse) -> list[str]:
    return [event["mandate_id"] for event in house.events("mandate_ended.v1")]
