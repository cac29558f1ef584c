"""The blocklist over a real database: what a block ends, what it leaves, and that nobody barred learns of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.dossier import models, models_entourage
from services.refusals import InvalidInput, Refusal
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import RISK, DossierHouse, refusal_code
from tests.services.dossier_twins import grounds, trust


def bar(house: DossierHouse, holder: Caller, record_id: str, who: Caller, **facts: Any) -> Any:
    asked = {"record_id": record_id, "professional_id": who.professional_id, **RISK, **facts}
    return house.dossier.block_professional(holder, **asked)


def free(house: DossierHouse, holder: Caller, record_id: str, who: Caller) -> Any:
    return house.dossier.unblock_professional(holder, record_id=record_id, professional_id=who.professional_id)


def barred(house: DossierHouse, holder: Caller, record_id: str) -> list[str]:
    return [one["professional_id"] for one in house.dossier.blocklist(holder, record_id=record_id)["blocked"]]


# --- what a block ends ------------------------------------------------------------------------------------------------


def test_a_block_ends_circle_and_own_mandates_at_once_and_unblocking_restores_nothing(house: DossierHouse) -> None:
    (holder, record_id), doctor, other = house.holder(), house.professional(), house.professional()
    code = house.code(record_id)
    for who in (doctor, other):
        trust(house, holder, record_id, who)
        house.enter(who, record_id, code)
    answer = bar(house, holder, record_id, doctor)
    assert answer["created"] and barred(house, holder, record_id) == [doctor.professional_id]
    assert grounds(house, doctor, record_id) == [] and grounds(house, other, record_id) == ["circle", "presence"]
    assert [told["professional_id"] for told in house.events("circle_member_removed.v1")] == [doctor.professional_id]
    assert [told["professional_id"] for told in house.events("mandate_ended.v1")] == [doctor.professional_id]
    free(house, holder, record_id, doctor)
    assert barred(house, holder, record_id) == [] and grounds(house, doctor, record_id) == []
    assert house.enter(doctor, record_id, code)["kind"] == "presence", "a new grant counts again"
    [row] = house.rows(models.Block)
    assert row.until is not None and (row.account_id, row.risk_version) == (holder.account_id, RISK["risk_version"])


def test_what_an_establishment_holds_stays_and_opens_nothing_to_whoever_is_barred(house: DossierHouse) -> None:
    (holder, record_id), doctor = house.holder(), house.professional()
    colleague = house.colleague(doctor)
    at = now()
    with house.sessions.transaction() as session:
        session.add(models.Mandate(
            mandate_id=new_id(), record_id=record_id, establishment_id=doctor.establishment_id, kind="admission",
            wording_version="", starts_at=at - timedelta(days=1), read_until=at + timedelta(days=9),
            deposit_until=at + timedelta(days=9),
        ))  # fmt: skip
    assert grounds(house, doctor, record_id) == grounds(house, colleague, record_id) == ["admission"]
    bar(house, holder, record_id, doctor)
    assert grounds(house, doctor, record_id) == [] and grounds(house, colleague, record_id) == ["admission"]
    assert house.events("mandate_ended.v1") == []


def test_a_referring_physician_who_is_barred_has_no_ground_and_keeps_the_designation(house: DossierHouse) -> None:
    (holder, record_id), doctor, at = house.holder(), house.professional(), now()
    with house.sessions.transaction() as session:
        session.add(models_entourage.ReferringPhysician(
            designation_id=new_id(), record_id=record_id, professional_id=doctor.professional_id, proposed_by="holder",
            proposed_at=at - timedelta(days=50), holder_signed_at=at, physician_signed_at=at, notified_at=at,
            effective_at=at - timedelta(days=9),
        ))  # fmt: skip
    assert grounds(house, doctor, record_id) == ["referring_physician"]
    bar(house, holder, record_id, doctor)
    assert grounds(house, doctor, record_id) == []
    refusal = house.dossier.referring_physician(doctor, record_id=record_id)
    assert refusal_code(refusal) == "record_not_found"
    current = house.dossier.referring_physician(holder, record_id=record_id)["current"]
    assert current["professional_id"] == doctor.professional_id
    free(house, holder, record_id, doctor)
    assert grounds(house, doctor, record_id) == ["referring_physician"], "it ends by its own rules alone"


def test_barring_somebody_twice_is_one_block_and_one_word_ends_it(house: DossierHouse) -> None:
    (holder, record_id), doctor = house.holder(), house.professional()
    first, again = bar(house, holder, record_id, doctor), bar(house, holder, record_id, doctor)
    assert (first["created"], again["created"]) == (True, False) and first["since"] == again["since"]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: bar(house, holder, record_id, doctor), range(5)))
    assert len(house.rows(models.Block)) == 1
    free(house, holder, record_id, doctor)
    assert refusal_code(free(house, holder, record_id, doctor)) == "block_not_found"
    bar(house, holder, record_id, doctor)
    assert len(house.rows(models.Block)) == 2, "what was stays"


def test_whoever_is_added_and_barred_at_the_same_moment_is_barred_and_not_in_the_circle(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctors = [house.professional() for _ in range(8)]
    asked = {"record_id": record_id}

    def both(doctor: Caller) -> None:
        with ThreadPoolExecutor(2) as pair:
            whose = {**asked, "professional_id": doctor.professional_id}
            pair.submit(house.dossier.add_to_circle, holder, **whose)
            pair.submit(bar, house, holder, record_id, doctor)

    for doctor in doctors:
        both(doctor)
    assert sorted(barred(house, holder, record_id)) == sorted(str(doctor.professional_id) for doctor in doctors)
    assert [row.member_id for row in house.rows(models.CircleMember) if row.until is None] == []


# --- who may, and what is kept of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("risk", "fault"),
    [
        ({"risk_accepted": False}, ("/risk_accepted", "must_be_accepted")),
        ({"risk_accepted": "yes"}, ("/risk_accepted", "must_be_accepted")),
        ({"risk_version": "risk-1900-1"}, ("/risk_version", "unknown")),
        ({"risk_version": None}, ("/risk_version", "unknown")),
    ],
)
def test_nobody_is_barred_before_the_risks_are_accepted(
    house: DossierHouse, risk: dict[str, Any], fault: tuple[str, str]
) -> None:
    (holder, record_id), doctor = house.holder(), house.professional()
    with pytest.raises(InvalidInput) as refused:
        bar(house, holder, record_id, doctor, **risk)
    assert refused.value.detail["errors"] == [{"pointer": fault[0], "message": fault[1]}]
    assert house.rows(models.Block) == []


def test_nobody_but_the_holder_side_reads_or_changes_a_blocklist(house: DossierHouse) -> None:
    (holder, record_id), friend, doctor = house.holder(), house.professional(), house.professional()
    trust(house, holder, record_id, friend)
    for caller in (friend, doctor, house.agent, house.holder()[0]):
        answers = [
            house.dossier.blocklist(caller, record_id=record_id),
            bar(house, caller, record_id, doctor),
            free(house, caller, record_id, doctor),
        ]
        assert {refusal_code(answer) for answer in answers} == {"record_not_found"}
    house.set_state(record_id, "closed")
    assert refusal_code(bar(house, holder, record_id, doctor)) == "record_closed"
    assert house.rows(models.Block) == []


def test_each_act_leaves_one_trace_with_ground_risk_and_outcome(house: DossierHouse) -> None:
    (holder, record_id), doctor = house.holder(), house.professional()
    unknown = builders.caller("professional")
    bar(house, holder, record_id, doctor)
    barred(house, holder, record_id)
    free(house, holder, record_id, doctor)
    assert refusal_code(bar(house, holder, record_id, unknown)) == "professional_not_found"
    told = [
        (trace["action"], trace["outcome"], trace["reason"], trace["ground"], trace["object_id"], trace["purpose"])
        for trace in house.traces() if trace["action"].startswith("blocklist.")
    ]  # fmt: skip
    assert told == [
        ("blocklist.added", "allowed", None, "holder", doctor.professional_id, RISK["risk_version"]),
        ("blocklist.read", "allowed", None, "holder", None, None),
        ("blocklist.removed", "allowed", None, "holder", doctor.professional_id, None),
        ("blocklist.added", "refused", "professional_not_found", None, unknown.professional_id, None),
    ]


# --- what the barred one learns ---------------------------------------------------------------------------------------


def test_a_barred_professional_hears_what_somebody_without_any_ground_hears(house: DossierHouse) -> None:
    (holder, record_id), doctor, stranger = house.holder(), house.professional(), house.professional()
    trust(house, holder, record_id, doctor)
    bar(house, holder, record_id, doctor)
    code = house.code(record_id)

    def heard(who: Caller, right: bool, asked: str) -> list[str]:
        d, whose = house.dossier, {"record_id": asked}
        answers: list[Any] = [
            d.read_record(who, **whose), d.circle(who, **whose), d.list_mandates(who, **whose),
            d.blocklist(who, **whose),
            d.referring_physician(who, **whose), d.propose_referring_physician(who, **whose),
            d.end_referring_physician(who, **whose, designation_id=new_id()),
            d.accessible_records(who, patient_ids=[str(holder.patient_id)]),
            house.enter(who, asked, code if right else "AAAAAAAA"),
        ]  # fmt: skip
        scope = house.scope(who, asked).to_wire() | {"record_id": "", "author_id": "", "reader_id": ""}
        shown = [answer.to_wire() if isinstance(answer, Refusal) else answer for answer in answers]
        return [json.dumps(answer, sort_keys=True) for answer in (*shown, scope)]

    assert heard(doctor, True, record_id) == heard(stranger, False, record_id)
    unknown = new_id()
    assert heard(doctor, True, record_id)[:7] == heard(stranger, False, unknown)[:7]
    assert house.events("mandate_opened.v1") == []
    with house.sessions.transaction() as session:
        outcomes = session.scalars(sa.select(models.PresenceTry.outcome).distinct()).all()
    assert outcomes == ["wrong"]
