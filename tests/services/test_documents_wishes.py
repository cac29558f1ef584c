"""A holder opposes deposits during care, or asks for one: refused without telling why, tracked, met by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.db import new_id, now
from services.documents import contract
from services.documents.contract import (
    DepositOpposed,
    DepositRequested,
    DepositWishChanged,
    TypeNotDepositable,
    WishNotFound,
)
from services.dossier.contract import MandateNotFound, ProfessionalNotFound, RecordClosed, RecordNotFound
from services.refusals import InvalidInput, NotAllowed
from services.tokens import Caller
from tests.builders import caller, context, pdf
from tests.services.ward import Ward


def wish(ward: Ward, who: Caller, kind: str = "opposed", **whom: Any) -> Any:
    return ward.ask("wish_deposit", who, record_id=ward.record_id, kind=kind, **whom)


def listed(ward: Ward, who: Caller) -> Any:
    return ward.ask("list_wishes", who, record_id=ward.record_id)["wishes"]


# --- opposing ---------------------------------------------------------------------------------------------------------


def test_a_professional_who_was_opposed_deposits_nothing_and_hears_what_everybody_without_a_right_hears(
    ward: Ward,
) -> None:
    doctor, other = ward.present(), ward.present()
    made = wish(ward, ward.holder, professional_id=doctor.professional_id)
    with pytest.raises(TypeNotDepositable) as opposed:
        ward.prepare(doctor)
    with pytest.raises(TypeNotDepositable) as unlawful:
        ward.prepare(ward.present("pharmacist"))
    assert opposed.value.to_wire() == unlawful.value.to_wire()
    first, second = (trace for trace in ward.traces("document.created"))
    same = ("action", "outcome", "reason", "object_id", "object_type", "purpose", "rule", "ground")
    assert [first.get(name) for name in same] == [second.get(name) for name in same]
    assert ward.deposit(other), "nobody else is meant"
    [shown] = listed(ward, ward.holder)
    assert shown["tries"] == 1 and shown["wish_id"] == made["wish_id"], "tried once, and nothing of what it was"
    assert listed(ward, doctor) == [], "whom it is against does not hear of it"
    [event] = ward.events(DepositOpposed)
    assert event["professional_id"] == doctor.professional_id and event["record_id"] == ward.record_id


def test_an_opposition_against_one_type_leaves_the_others(ward: Ward) -> None:
    doctor = ward.present()
    wish(ward, ward.holder, professional_id=doctor.professional_id, type="imaging")
    with pytest.raises(TypeNotDepositable):
        ward.prepare(doctor, type="imaging")
    assert ward.deposit(doctor, type="medical_report")


def test_an_opposition_between_the_bytes_and_the_commit_counts(ward: Ward) -> None:
    doctor, data = ward.present(), pdf()
    started = ward.prepare(doctor)
    ward.put(started, data)
    made = wish(ward, ward.holder, establishment_id=doctor.establishment_id)
    with pytest.raises(TypeNotDepositable):
        ward.commit(doctor, started, data)
    ward.ask("withdraw_wish", ward.holder, wish_id=made["wish_id"])
    assert ward.commit(doctor, started, data)["document_id"]


def test_a_mandate_that_was_opposed_gives_no_deposits_but_another_ground_does(ward: Ward) -> None:
    doctor = ward.present()
    [mandate] = ward.house.ask("dossier", "list_mandates", ward.holder, record_id=ward.record_id)["mandates"]
    made = wish(ward, ward.holder, mandate_id=mandate["mandate_id"])
    assert made["mandate_id"] == mandate["mandate_id"] and made["professional_id"] == doctor.professional_id
    before = ward.deposit(ward.present())
    with pytest.raises(TypeNotDepositable):
        ward.prepare(doctor)
    assert before in ward.listed(doctor), "it still reads"
    ward.trust(doctor)
    ward.deposit(doctor)
    assert ward.traces("document.created")[-1]["ground"] == "circle"


def test_an_order_that_was_opposed_is_ended_and_another_one_is_not(ward: Ward) -> None:
    biologist = ward.professional("medical_biologist")
    orders = []
    for reference in ("A-1", "A-2"):
        client = new_id()
        software = replace(biologist, account_id=client, client_id=client, scope="system/ServiceRequest.cu")
        said = {"record_id": ward.record_id, "reference": reference}
        orders.append(ward.house.ask("dossier", "register_order", software, **said))
    wish(ward, ward.holder, mandate_id=orders[0]["mandate_id"])
    assert ward.deposit(biologist, type="laboratory_results"), "the other order runs"
    wish(ward, ward.holder, mandate_id=orders[1]["mandate_id"])
    with pytest.raises(RecordNotFound):
        ward.prepare(biologist, type="laboratory_results")


def test_the_holder_side_is_never_opposed_by_its_own_wishes(ward: Ward) -> None:
    wish(ward, ward.holder, establishment_id=new_id())
    assert ward.deposit(ward.holder, b"Mes mots", contract.TEXT, type="holder_expression")


# --- asking -----------------------------------------------------------------------------------------------------------


def test_a_deposit_that_was_asked_for_is_tracked_by_both_and_met_by_itself(ward: Ward) -> None:
    doctor = ward.present()
    made = wish(ward, ward.holder, "requested", professional_id=doctor.professional_id, type="imaging")
    assert made["outcome"] is None and made["due_at"][:10] == (now() + timedelta(days=15)).date().isoformat()
    [theirs] = listed(ward, doctor)
    [mine] = ward.ask("wishes_for_me", doctor)["wishes"]
    assert theirs == mine == {**made, "tries": None}
    ward.deposit(doctor, type="medical_report")
    ward.deposit(ward.present(), type="imaging")
    assert listed(ward, ward.holder)[0]["outcome"] is None, "another type, another author"
    document_id = ward.deposit(doctor, type="imaging")
    [met] = listed(ward, ward.holder)
    assert (met["outcome"], met["document_id"]) == ("met", document_id) and met["ended_at"]
    [event] = ward.events(DepositWishChanged)
    assert (event["outcome"], event["professional_id"]) == ("met", doctor.professional_id)
    assert [event["wish_id"] for event in ward.events(DepositRequested)] == [made["wish_id"]]


def test_a_request_is_met_once_a_deposit(ward: Ward) -> None:
    doctor = ward.present()
    for _ in range(2):
        wish(ward, ward.holder, "requested", professional_id=doctor.professional_id)
    ward.deposit(doctor)
    assert sorted(str(each["outcome"]) for each in listed(ward, ward.holder)) == ["None", "met"]
    ward.deposit(doctor)
    assert {each["outcome"] for each in listed(ward, ward.holder)} == {"met"}


def test_what_met_a_request_and_is_hidden_from_the_holder_looks_as_if_nothing_had(ward: Ward) -> None:
    doctor = ward.present()
    wish(ward, ward.holder, "requested", professional_id=doctor.professional_id)
    ward.block(doctor, ward.deposit(doctor))
    [shown] = listed(ward, ward.holder)
    assert (shown["outcome"], shown["document_id"], shown["ended_at"]) == (None, None, None)
    assert listed(ward, doctor)[0]["outcome"] == "met"


def test_a_request_whose_day_has_come_is_told_once_and_may_still_be_met(ward: Ward) -> None:
    doctor = ward.present()
    wish(ward, ward.holder, "requested", professional_id=doctor.professional_id)
    ward.house.documents._look_after_wishes(now() + timedelta(days=14, hours=23))
    assert ward.events(DepositWishChanged) == []
    for _ in range(2):
        ward.house.documents._look_after_wishes(now() + timedelta(days=15, minutes=1))
    assert [event["outcome"] for event in ward.events(DepositWishChanged)] == ["overdue"]
    assert listed(ward, ward.holder)[0]["outcome"] == "overdue"
    ward.deposit(doctor)
    assert listed(ward, ward.holder)[0]["outcome"] == "met"


def test_a_wish_that_was_withdrawn_stays_so_and_is_met_by_nothing(ward: Ward) -> None:
    doctor = ward.present()
    made = wish(ward, ward.holder, "requested", professional_id=doctor.professional_id)
    for _ in range(2):
        assert ward.ask("withdraw_wish", ward.holder, wish_id=made["wish_id"]) == {"wish_id": made["wish_id"]}
    ward.deposit(doctor)
    assert listed(ward, ward.holder)[0]["outcome"] == "withdrawn"
    assert [event["outcome"] for event in ward.events(DepositWishChanged)] == ["withdrawn"]


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["holder", "representative", "assistant"])
def test_the_holder_side_wishes(ward: Ward, side: str) -> None:
    who = ward.holder if side == "holder" else getattr(ward, side)()
    doctor = ward.present()
    made = wish(ward, who, professional_id=doctor.professional_id)
    assert ward.ask("withdraw_wish", who, wish_id=made["wish_id"])
    traces = [trace["action"] for trace in ward.traces() if trace["action"].startswith("deposit.")]
    assert traces == ["deposit.opposed", "deposit.wish_ended"]


def test_nobody_else_wishes_lists_or_withdraws(ward: Ward) -> None:
    doctor, stranger = ward.present(), caller("patient")
    made = wish(ward, ward.holder, professional_id=doctor.professional_id)
    for who in (doctor, stranger, caller("agent"), ward.professional()):
        with pytest.raises(RecordNotFound):
            wish(ward, who, professional_id=doctor.professional_id)
        with pytest.raises(WishNotFound):
            ward.ask("withdraw_wish", who, wish_id=made["wish_id"])
    for who in (stranger, caller("agent"), ward.professional()):
        with pytest.raises(RecordNotFound):
            listed(ward, who)
    for who in (ward.holder, caller("agent")):
        with pytest.raises(NotAllowed):
            ward.ask("wishes_for_me", who)
    with pytest.raises(WishNotFound):
        ward.ask("withdraw_wish", ward.holder, wish_id=new_id())


def test_a_closed_record_takes_no_wishes(ward: Ward) -> None:
    doctor = ward.present()
    ward.set_in_record(state="closed")
    with pytest.raises(RecordClosed):
        wish(ward, ward.holder, professional_id=doctor.professional_id)


@pytest.mark.parametrize(
    ("whom", "refused"),
    [
        ({}, InvalidInput), ({"professional_id": "x"}, InvalidInput), ({"mandate_id": new_id()}, MandateNotFound),
        ({"professional_id": new_id()}, ProfessionalNotFound),
        ({"professional_id": new_id(), "establishment_id": new_id()}, InvalidInput),
        ({"kind": "requested", "establishment_id": new_id()}, InvalidInput),
        ({"kind": "x", "professional_id": new_id()}, InvalidInput),
        ({"professional_id": new_id(), "type": "x"}, InvalidInput),
    ],
)  # fmt: skip
def test_a_wish_about_nobody_is_refused(ward: Ward, whom: dict[str, Any], refused: type[Exception]) -> None:
    with pytest.raises(refused):
        wish(ward, ward.holder, **{"kind": "opposed", **whom})


def test_the_same_key_is_the_same_wish(ward: Ward) -> None:
    doctor = ward.present()
    who = replace(ward.holder, context=context(idempotency_key="k"))
    first = wish(ward, who, professional_id=doctor.professional_id)
    assert wish(ward, who, professional_id=doctor.professional_id) == first
    assert len(listed(ward, ward.holder)) == len(ward.events(DepositOpposed)) == 1
