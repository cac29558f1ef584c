"""The dossier over a real database: opening, reading, scope, circle; who is told, what is traced, what looks alike."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.bus import keep_ended_session
from services.db import new_id, outbox, plumbing
from services.dossier import contract, models
from services.dossier.contract import DocumentFacts, RecordNotFound
from services.identity.contract import AccountActivated
from services.refusals import InvalidInput, KeyReused, NotAllowed, SessionEnded
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code

# --- opening and activating ---------------------------------------------------------------------------------


def test_the_agency_opens_a_record_and_tells_it_once(house: DossierHouse) -> None:
    patient_id = new_id()
    first = house.dossier.open_record(house.agent, patient_id=patient_id)
    again = house.dossier.open_record(house.agent, patient_id=patient_id)
    assert (first["state"], first["created"]) == ("open", True)
    assert again == {**first, "created": False}
    assert house.events("record_opened.v1") == [
        {"record_id": first["record_id"], "patient_id": patient_id, "requested_at": None}
    ]
    [change] = house.rows(models.StateChange)
    assert (change.previous, change.state, change.cause) == (None, "open", "affiliation")
    assert change.account_id == house.agent.account_id


@pytest.mark.parametrize("capacity", ["patient", "professional", "machine"])
def test_nobody_but_the_agency_opens_a_record_and_the_attempt_is_traced(house: DossierHouse, capacity: str) -> None:
    answer = house.dossier.open_record(builders.caller(capacity), patient_id=new_id())
    assert isinstance(answer, NotAllowed)
    assert house.rows(models.Record) == []
    [trace] = house.traces("record.opened")
    assert (trace["outcome"], trace["reason"]) == ("refused", "not_allowed")


def test_a_record_needs_a_patient_id(house: DossierHouse) -> None:
    with pytest.raises(InvalidInput):
        house.dossier.open_record(house.agent, patient_id="1980051712345")


def test_the_same_request_opens_once_and_the_same_key_with_another_body_is_refused(house: DossierHouse) -> None:
    agent = replace(house.agent, context=builders.context(idempotency_key="k1"))
    patient_id = new_id()
    first = house.dossier.open_record(agent, patient_id=patient_id)
    assert house.dossier.open_record(agent, patient_id=patient_id) == first
    with pytest.raises(KeyReused):
        house.dossier.open_record(agent, patient_id=new_id())


def test_an_activated_account_makes_the_record_active_once(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    house.activate(holder)
    house.activate(holder)
    assert house.events("record_state_changed.v1") == [
        {"record_id": record_id, "state": "active", "cause": "activation", "patient_id": holder.patient_id}
    ]
    changes = sorted((c.previous or "", c.state, c.cause) for c in house.rows(models.StateChange))
    assert changes == [("", "open", "affiliation"), ("open", "active", "activation")]
    assert house.dossier.my_records(holder)["records"][0]["state"] == "active"


def test_a_lapsed_record_becomes_active_too_and_a_closed_one_does_not(house: DossierHouse) -> None:
    for state, becomes in [("open_by_lapse", "active"), ("closed", "closed")]:
        holder, record_id = house.holder(activate=False)
        house.set_state(record_id, state)
        house.activate(holder)
        assert house.dossier.my_records(holder)["records"][0]["state"] == becomes


def test_an_activation_that_comes_before_its_record_is_tried_again(house: DossierHouse) -> None:
    with pytest.raises(RecordNotFound):
        house.activate(builders.caller("patient"))


def test_a_professional_s_activation_is_no_matter_of_records(house: DossierHouse) -> None:
    house.hear("identity", AccountActivated(new_id(), "professional", None, new_id()))
    assert house.rows(models.Record) == []


def test_what_the_directory_said_last_counts_in_whatever_order_it_comes(house: DossierHouse) -> None:
    doctor = house.professional(licence="withdrawn", version=3)
    house.told_of(doctor, licence="valid", version=2)
    assert [row.licence for row in house.rows(models.Professional)] == ["withdrawn"]
    house.told_of(doctor, licence="valid", version=4)
    assert [row.licence for row in house.rows(models.Professional)] == ["valid"]


# --- reading a record ---------------------------------------------------------------------------------------


def test_the_holder_reads_their_record_with_its_state(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    page = house.dossier.read_record(holder, record_id=record_id)
    assert (page["ground"], page["state"], page["patient_id"]) == ("holder", "active", holder.patient_id)
    assert page["may_read"] == list(contract.CATEGORIES)
    assert page["may_deposit"] == ["personal_expression"]
    [trace] = house.traces("record.read")
    assert (trace["outcome"], trace["ground"], trace["rule"]) == ("allowed", "holder", "holder")
    assert trace["record_id"] == record_id


def test_another_patient_gets_the_refusal_of_an_unknown_record_and_leaves_a_trace(house: DossierHouse) -> None:
    _, record_id = house.holder()
    stranger = builders.caller("patient")
    answer = house.dossier.read_record(stranger, record_id=record_id)
    unknown = house.dossier.read_record(stranger, record_id=new_id())
    assert answer.to_wire() == unknown.to_wire() == {"code": "record_not_found", "detail": {}}
    assert [trace["reason"] for trace in house.traces("record.read")] == ["record_not_found"] * 2
    assert house.traces("record.read")[0]["record_id"] == record_id


def test_agents_never_get_into_a_record(house: DossierHouse) -> None:
    _, record_id = house.holder()
    assert refusal_code(house.dossier.read_record(house.agent, record_id=record_id)) == "record_not_found"
    assert house.scope(house.agent, record_id).clauses == ()


def test_text_that_is_no_id_is_an_unknown_record(house: DossierHouse) -> None:
    holder, _ = house.holder()
    assert refusal_code(house.dossier.read_record(holder, record_id="../../etc")) == "record_not_found"
    assert house.scope(house.professional(), "1").clauses == ()


def test_the_holder_of_a_closed_record_sees_its_state_and_nothing_else(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    house.set_state(record_id, "closed")
    page = house.dossier.read_record(holder, record_id=record_id)
    assert (page["state"], page["may_read"], page["may_deposit"]) == ("closed", [], [])
    assert refusal_code(house.dossier.circle(holder, record_id=record_id)) == "record_closed"
    assert refusal_code(house.dossier.list_mandates(holder, record_id=record_id)) == "record_closed"
    assert house.scope(holder, record_id).clauses == ()


def test_a_deleted_record_is_unknown_to_its_holder(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    house.set_state(record_id, "deleted")
    assert refusal_code(house.dossier.read_record(holder, record_id=record_id)) == "record_not_found"
    assert house.dossier.my_records(holder) == {"records": []}


def test_unknown_closed_blocked_and_groundless_are_one_refusal_with_one_trace_each(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    blocked, stranger, member = house.professional(), house.professional(), house.professional()
    for doctor in (blocked, member):
        house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    house.block(record_id, blocked)
    answers = [
        house.dossier.read_record(blocked, record_id=record_id),
        house.dossier.read_record(stranger, record_id=record_id),
        house.dossier.read_record(stranger, record_id=new_id()),
    ]
    house.set_state(record_id, "closed")
    answers.append(house.dossier.read_record(member, record_id=record_id))
    assert {json.dumps(answer.to_wire()) for answer in answers} == {'{"code": "record_not_found", "detail": {}}'}
    traces = house.traces("record.read")
    assert [(t["outcome"], t["reason"], t["ground"], t["rule"]) for t in traces] == [
        ("refused", "record_not_found", None, None)
    ] * 4


def test_a_block_that_begins_tomorrow_or_has_ended_bars_nobody(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    house.block(record_id, doctor, since=timedelta(days=1))
    assert house.scope(doctor, record_id).clauses


def test_an_ended_session_reads_nothing(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    with house.sessions.transaction() as session:
        keep_ended_session(session, holder.session_id)
    with pytest.raises(SessionEnded):
        house.dossier.read_record(holder, record_id=record_id)
    with pytest.raises(SessionEnded):
        house.dossier.access_scope(holder, record_id=record_id)


def test_a_patient_lists_their_own_records_and_nobody_else_may(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    house.holder()
    [mine] = house.dossier.my_records(holder)["records"]
    assert (mine["record_id"], mine["state"]) == (record_id, "active")
    assert [trace["count"] for trace in house.traces("record.searched")] == [1]
    doctor = house.professional()
    assert isinstance(house.dossier.my_records(doctor), NotAllowed)
    told = [(trace["outcome"], trace["reason"]) for trace in house.traces("record.searched")]
    assert told == [("allowed", None), ("refused", "not_allowed")]
    assert house.traces("record.searched")[-1]["professional_id"] == doctor.professional_id


def test_a_search_says_accessible_or_not_the_same_for_blocked_closed_and_missing(house: DossierHouse) -> None:
    active, active_id = house.holder()
    opened, opened_id = house.holder(activate=False)
    closed, closed_id = house.holder()
    house.set_state(closed_id, "closed")
    missing = new_id()
    asked = [active.patient_id, opened.patient_id, closed.patient_id, missing]
    doctor = house.professional()
    house.block(active_id, doctor)
    found = house.dossier.accessible_records(doctor, patient_ids=asked)["records"]
    accessible = found.pop(active.patient_id)
    assert (accessible["record_id"], accessible["accessible"]) == (active_id, True)
    assert len(found) == 3 and len({json.dumps(each) for each in found.values()}) == 1, "they look alike"
    assert (found[missing]["record_id"], found[missing]["accessible"]) == (None, False)
    for_agents = house.dossier.accessible_records(house.agent, patient_ids=asked)["records"]
    told = for_agents[opened.patient_id]
    assert (told["record_id"], told["accessible"]) == (opened_id, False)
    assert house.traces("record.searched") == []  # the directory's search was the request
    assert isinstance(house.dossier.accessible_records(active, patient_ids=asked), NotAllowed)
    [trace] = house.traces("record.searched")
    assert (trace["outcome"], trace["reason"], trace["patient_id"]) == ("refused", "not_allowed", active.patient_id)
    with pytest.raises(InvalidInput):
        house.dossier.accessible_records(doctor, patient_ids=["x"])


# --- access scope -------------------------------------------------------------------------------------------


def test_a_scope_writes_no_trace_and_asks_the_database_once(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    house.scope(doctor, record_id)
    before = len(house.traces())
    for caller in (doctor, holder, house.professional()):
        with house.statements() as seen:
            house.scope(caller, record_id)
        assert len(seen) == 1, seen  # the look at the session and the situation
    assert len(house.traces()) == before


def test_a_scope_names_ground_rule_and_levels(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    nurse = house.professional("nurse")
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=nurse.professional_id)
    found = house.scope(nurse, record_id)
    assert (found.record_id, found.patient_id, found.state) == (record_id, holder.patient_id, "active")
    assert (found.author_id, found.holder_side, found.may_see_blocked) == (nurse.professional_id, False, True)
    [clause] = found.clauses
    assert (clause.ground, clause.rule, clause.levels) == ("circle", "circle", ("standard", "confidential"))
    assert "certificates" in clause.read
    assert "certificates" not in clause.deposit


def test_the_first_scope_of_a_professional_is_told_to_the_holder_and_the_second_is_not(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    assert house.events("record_first_accessed_by.v1") == []
    house.scope(doctor, record_id)
    house.scope(doctor, record_id)
    house.dossier.read_record(doctor, record_id=record_id)
    [told] = house.events("record_first_accessed_by.v1")
    assert (told["record_id"], told["patient_id"]) == (record_id, holder.patient_id)
    assert (told["professional_id"], told["ground"]) == (doctor.professional_id, "circle")


def test_authorship_and_refusals_are_no_first_access(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    house.scope(house.professional(), record_id)
    house.scope(holder, record_id)
    assert house.events("record_first_accessed_by.v1") == []


def test_first_accesses_at_the_same_moment_are_told_once(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: house.scope(doctor, record_id), range(24)))
    assert len(house.events("record_first_accessed_by.v1")) == 1


def test_a_licence_that_is_suspended_ends_access_and_a_restored_one_brings_it_back(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    assert house.scope(doctor, record_id).clauses
    house.told_of(doctor, licence="suspended", version=2)
    assert house.scope(doctor, record_id).clauses == ()
    house.told_of(doctor, licence="valid", version=3)
    assert house.scope(doctor, record_id).clauses


# --- circle of trust ----------------------------------------------------------------------------------------


def test_the_holder_adds_and_removes_and_the_ground_comes_and_goes_with_the_answer(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    added = house.dossier.add_to_circle(
        holder, record_id=record_id, professional_id=doctor.professional_id, comment="ma cardiologue"
    )
    assert added["created"]
    assert house.scope(doctor, record_id).clauses
    house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    assert house.scope(doctor, record_id).clauses == ()
    data = {"record_id": record_id, "professional_id": doctor.professional_id, "by": holder.patient_id}
    assert house.events("circle_member_added.v1") == house.events("circle_member_removed.v1") == [data]
    assert [t["action"] for t in house.traces() if t["action"].startswith("circle")] == [
        "circle.added",
        "circle.removed",
    ]


def test_adding_again_keeps_the_member_and_takes_the_new_comment(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    first = house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    again = house.dossier.add_to_circle(
        holder, record_id=record_id, professional_id=doctor.professional_id, comment="le matin"
    )
    assert (again["created"], again["since"], again["comment"]) == (False, first["since"], "le matin")
    assert len(house.events("circle_member_added.v1")) == 1


def test_a_membership_that_ended_stays_in_the_history(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    for _ in range(2):
        house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
        house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    assert [row.until is not None for row in house.rows(models.CircleMember)] == [True, True]


def test_members_see_the_circle_without_the_holder_s_comments(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.dossier.add_to_circle(
        holder, record_id=record_id, professional_id=doctor.professional_id, comment="trop cher"
    )
    assert house.dossier.circle(holder, record_id=record_id)["members"][0]["comment"] == "trop cher"
    [member] = house.dossier.circle(doctor, record_id=record_id)["members"]
    assert (member["professional_id"], member["comment"]) == (doctor.professional_id, None)
    assert refusal_code(house.dossier.circle(house.professional(), record_id=record_id)) == "record_not_found"


def test_nobody_but_the_holder_changes_the_circle(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    for caller in (doctor, house.professional(), builders.caller("patient"), house.agent):
        for change in (house.dossier.add_to_circle, house.dossier.remove_from_circle):
            answer = change(caller, record_id=record_id, professional_id=doctor.professional_id)
            assert refusal_code(answer) == "record_not_found"
    assert len(house.dossier.circle(holder, record_id=record_id)["members"]) == 1
    assert len([t for t in house.traces() if t["outcome"] == "refused"]) == 8


def test_a_professional_unknown_to_the_directory_cannot_be_added_or_removed(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    for professional_id in (new_id(), "nobody"):
        answer = house.dossier.add_to_circle(holder, record_id=record_id, professional_id=professional_id)
        assert refusal_code(answer) == "professional_not_found"
        answer = house.dossier.remove_from_circle(holder, record_id=record_id, professional_id=professional_id)
        assert refusal_code(answer) == "circle_member_not_found"


def test_a_comment_has_a_bound_and_never_leaves_in_events_or_traces(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    with pytest.raises(InvalidInput):
        house.dossier.add_to_circle(
            holder, record_id=record_id, professional_id=doctor.professional_id, comment="x" * 501
        )
    house.dossier.add_to_circle(
        holder, record_id=record_id, professional_id=doctor.professional_id, comment="secret-comment"
    )
    with house.sessions.transaction() as session:
        assert not [e for e in session.scalars(sa.select(outbox.c.envelope)) if "secret-comment" in e]


# --- what notifications asks --------------------------------------------------------------------------------


def ask_readers(house: DossierHouse, workplaces: list[str | None], record_id: str, **facts: Any) -> bool:
    document = DocumentFacts("care_reports", "medical_report", "medical_data", "standard").to_wire()
    given = {"record_id": record_id} | document | facts
    context = builders.context("notifications")
    answer = house.dossier.readable_at(context, establishment_ids=workplaces, documents=[given])
    return bool(answer["readable"][0])


def test_an_establishment_hears_of_what_one_of_its_professionals_may_read(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor, colleague = house.professional(), house.professional()
    assert not ask_readers(house, [doctor.establishment_id], record_id)
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    assert ask_readers(house, [doctor.establishment_id], record_id)
    assert ask_readers(house, [colleague.establishment_id, doctor.establishment_id], record_id)
    assert ask_readers(house, [doctor.establishment_id], record_id, level="confidential")
    assert not ask_readers(house, [doctor.establishment_id], record_id, level="private")
    assert not ask_readers(house, [colleague.establishment_id], record_id)
    assert not ask_readers(house, [], record_id)
    assert not ask_readers(house, [doctor.establishment_id], new_id())


def test_an_establishment_hears_nothing_past_matrix_block_licence_state_or_time(house: DossierHouse) -> None:
    _, record_id = house.holder()
    code, pharmacist = house.code(record_id), house.professional("pharmacist")
    house.enter(pharmacist, record_id, code)
    workplace = [pharmacist.establishment_id]
    assert ask_readers(house, workplace, record_id)
    assert not ask_readers(house, workplace, record_id, category="summaries")
    house.told_of(pharmacist, licence="suspended", version=2)
    assert not ask_readers(house, workplace, record_id)
    house.told_of(pharmacist, version=3)
    house.set_state(record_id, "closed")
    assert not ask_readers(house, workplace, record_id)
    house.set_state(record_id, "active")
    assert ask_readers(house, workplace, record_id)
    house.age_mandates(record_id, timedelta(hours=24))
    assert not ask_readers(house, workplace, record_id), "deposit-only reads nothing"
    doctor = house.professional()
    house.enter(doctor, record_id, code)
    assert ask_readers(house, [doctor.establishment_id], record_id)
    house.block(record_id, doctor)
    assert not ask_readers(house, [doctor.establishment_id], record_id)


def test_an_author_s_establishment_hears_of_their_own_private_document(house: DossierHouse) -> None:
    _, record_id = house.holder()
    author, other = house.professional(), house.professional()
    facts = {"level": "private", "author_id": author.professional_id}
    assert ask_readers(house, [author.establishment_id], record_id, **facts)
    assert not ask_readers(house, [other.establishment_id], record_id, **facts)


def test_notifications_learns_whose_record_it_is(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    context = builders.context("notifications")
    assert house.dossier.record_patient(context, record_id=record_id) == {"patient_id": holder.patient_id}
    with pytest.raises(RecordNotFound):
        house.dossier.record_patient(context, record_id=new_id())


# --- the tables ---------------------------------------------------------------------------------------------


def test_migrations_and_models_say_the_same(house: DossierHouse) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with house.sessions.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), models.metadata)
    own = [difference for difference in found if getattr(difference[1], "name", None) not in plumbing.tables]
    own = [d for d in own if not (d[0] == "remove_index" and d[1].table.name in plumbing.tables)]
    assert [d for d in own if getattr(d[1], "name", "") != "alembic_version"] == []
