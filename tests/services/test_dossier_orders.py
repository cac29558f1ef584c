"""Orders over a real database: deposit-only, until some days after the validation, and the holder may oppose."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from services.db import new_id
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code

DAY = timedelta(days=1)


def order(house: DossierHouse, who: Caller, record_id: str, reference: str = "LAB-1") -> Any:
    return house.dossier.register_order(house.software(who), record_id=record_id, reference=reference)


def test_an_order_lets_the_laboratory_deposit_results_and_read_nothing_but_its_own(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    biologist = house.professional("medical_biologist")
    made = order(house, biologist, record_id)
    assert (made["kind"], made["reference"], made["closes_at"]) == ("order", "LAB-1", None)
    scope = house.scope(biologist, record_id)
    [clause] = scope.clauses
    assert (clause.ground, clause.rule, clause.read) == ("order", "order/deposit-only", ())
    assert clause.deposit == ("laboratory",)
    assert scope.author_id == biologist.professional_id, "reads their own"
    [told] = house.events("record_first_accessed_by.v1")
    assert (told["professional_id"], told["patient_id"]) == (biologist.professional_id, holder.patient_id)
    assert house.scope(house.professional("medical_biologist"), record_id).clauses == ()


def test_who_deposits_nothing_by_the_matrix_gets_nothing_from_an_order(house: DossierHouse) -> None:
    _, record_id = house.holder()
    technician = house.professional("laboratory_technician")
    made = order(house, technician, record_id)
    assert made["kind"] == "order", "the order is the laboratory's"
    assert house.scope(technician, record_id).clauses == ()
    assert refusal_code(house.dossier.read_record(technician, record_id=record_id)) == "record_not_found"
    assert house.scope(house.colleague(technician, "medical_biologist"), record_id).clauses


def test_results_come_until_15_days_after_the_validation(house: DossierHouse) -> None:
    _, record_id = house.holder()
    biologist = house.professional("medical_biologist")
    made = order(house, biologist, record_id)
    house.age_mandates(record_id, 100 * DAY)
    assert house.scope(biologist, record_id).clauses
    asked = {"record_id": record_id, "order_id": made["mandate_id"]}
    validated = house.dossier.validate_order(biologist, **asked)
    assert house.dossier.validate_order(biologist, **asked) == validated, "the first validation stands"
    lasts = datetime.fromisoformat(validated["deposit_until"]) - datetime.fromisoformat(validated["closes_at"])
    assert lasts == 15 * DAY
    house.age_mandates(record_id, 14 * DAY)
    assert house.scope(biologist, record_id).clauses
    house.age_mandates(record_id, DAY)
    assert house.scope(biologist, record_id).clauses == ()
    assert [trace["rule"] for trace in house.traces("mandate.closed")] == ["order/deposit-only"] * 2


def test_the_holder_opposes_and_nothing_comes_under_the_order_any_more(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    biologist = house.professional("medical_biologist")
    made, other = order(house, biologist, record_id), order(house, biologist, record_id, "LAB-2")
    end = {"record_id": record_id, "mandate_id": other["mandate_id"]}
    assert refusal_code(house.dossier.end_mandate(biologist, **end)) == "record_not_found"
    house.dossier.end_mandate(holder, **end)
    assert house.scope(biologist, record_id).clauses, "the other one goes on"
    house.dossier.end_mandate(holder, record_id=record_id, mandate_id=made["mandate_id"])
    assert house.scope(biologist, record_id).clauses == ()
    again = order(house, biologist, record_id)
    assert (again["mandate_id"], again["ended_at"] is None) == (made["mandate_id"], False)
    house.dossier.validate_order(biologist, record_id=record_id, order_id=made["mandate_id"])
    assert house.scope(biologist, record_id).clauses == ()


def test_the_holder_lists_every_order_and_a_laboratory_its_own(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    one, two = house.professional("medical_biologist"), house.professional("medical_biologist")
    first, second = order(house, one, record_id), order(house, two, record_id)
    house.enter(one, record_id, house.code(record_id))
    listed = house.dossier.list_orders(holder, record_id=record_id)["orders"]
    assert [each["mandate_id"] for each in listed] == [second["mandate_id"], first["mandate_id"]]
    [own] = house.dossier.list_orders(one, record_id=record_id)["orders"]
    assert (own["mandate_id"], own["establishment_id"]) == (first["mandate_id"], one.establishment_id)
    for stranger in (house.professional("medical_biologist"), builders.caller("patient"), house.agent):
        assert refusal_code(house.dossier.list_orders(stranger, record_id=record_id)) == "record_not_found"
    house.block(record_id, one)
    assert refusal_code(house.dossier.list_orders(one, record_id=record_id)) == "record_not_found"


def test_an_order_on_a_record_that_is_unknown_or_closed_is_one_refusal(house: DossierHouse) -> None:
    _, closed = house.holder()
    house.set_state(closed, "closed")
    biologist = house.professional("medical_biologist")
    answers = [order(house, biologist, record_id).to_wire() for record_id in (closed, new_id())]
    assert answers == [{"code": "record_not_found", "detail": {}}] * 2
    refused = house.dossier.validate_order(biologist, record_id=closed, order_id=new_id())
    assert refusal_code(refused) == "mandate_not_found"


def test_a_stay_is_no_order(house: DossierHouse) -> None:
    _, record_id = house.holder()
    nurse = house.professional("nurse")
    stay = house.dossier.register_stay(
        house.software(nurse), record_id=record_id, kind="admission", reference="LAB-1"
    )  # fmt: skip
    refused = house.dossier.validate_order(nurse, record_id=record_id, order_id=stay["mandate_id"])
    assert refusal_code(refused) == "mandate_not_found"
    made = order(house, nurse, record_id)
    assert made["mandate_id"] != stay["mandate_id"]
    discharge = house.dossier.discharge_patient(nurse, record_id=record_id, mandate_id=made["mandate_id"])
    assert refusal_code(discharge) == "mandate_not_found"
