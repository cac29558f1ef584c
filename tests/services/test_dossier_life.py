"""The life of a record over a real database: each step beside its forbidden twin, and time moved by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now, rfc3339
from services.directory.contract import PatientsMerged, PatientsUnmerged, RecordOpeningsDue
from services.dossier import contract, models, scheduling, store_deadlines
from services.dossier.models_desk import Deadline
from services.dossier.models_entourage import Assistant, ReferringPhysician, Representative
from services.identity.contract import RecordOpposed
from services.refusals import InvalidInput
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code

DAY = timedelta(days=1)
MOMENT = timedelta(milliseconds=1)
YEAR = timedelta(days=366)


def pass_time(house: DossierHouse, until: datetime) -> int:
    """The clock stands at a moment: how many steps were taken."""
    taken = 0
    while house.dossier._do_due(until):
        taken += 1
    return taken


def due(house: DossierHouse, record_id: str) -> dict[str, datetime]:
    return {row.kind: row.due_at for row in house.rows(Deadline) if row.record_id == record_id}


def state(house: DossierHouse, record_id: str) -> str:
    [found] = [row for row in house.rows(models.Record) if row.record_id == record_id]
    return str(found.state)


def steps(house: DossierHouse, record_id: str) -> list[tuple[str | None, str, str, str]]:
    """(previous, state, cause, by) of each step, the oldest first."""
    lines = sorted((row for row in house.rows(models.StateChange) if row.record_id == record_id), key=lambda r: r.at)
    return [(line.previous, line.state, line.cause, line.capacity) for line in lines]


def close(house: DossierHouse, caller: Caller, record_id: str) -> Any:
    return house.dossier.close_record(caller, record_id=record_id, confirmed=True)


def die(house: DossierHouse, record_id: str, cause: str = "death") -> Any:
    return house.dossier.close_record_by_agency(house.agent, record_id=record_id, cause=cause)


def oppose(house: DossierHouse, holder: Caller, at: datetime | None = None) -> None:
    """An opposition that identity has checked."""
    house.hear("identity", RecordOpposed(str(holder.patient_id), rfc3339(at or now())))


def representative(house: DossierHouse, record_id: str, kind: str = "parent") -> Caller:
    """Somebody who acts as the holder."""
    caller = builders.caller("patient")
    with house.sessions.transaction() as session:
        session.add(Representative(
            representative_id=new_id(), record_id=record_id, patient_id=caller.patient_id, kind=kind, proof="x",
            until_cause="ended", since=now() - DAY, recorded_by=new_id(),
        ))  # fmt: skip
    return caller


def assistant(house: DossierHouse, record_id: str) -> Caller:
    """Somebody who was invited to read along."""
    caller = builders.caller("patient")
    with house.sessions.transaction() as session:
        session.add(Assistant(
            assistant_id=new_id(), record_id=record_id, patient_id=caller.patient_id, name="x", invited_by=new_id(),
            invited_at=now() - DAY, code_until=now(), accepted_at=now() - DAY,
        ))  # fmt: skip
    return caller


def referring_physician(house: DossierHouse, record_id: str) -> Caller:
    caller = house.professional()
    with house.sessions.transaction() as session:
        session.add(ReferringPhysician(
            designation_id=new_id(), record_id=record_id, professional_id=caller.professional_id,
            proposed_by="holder", proposed_at=now() - 9 * DAY, holder_signed_at=now() - 9 * DAY,
            physician_signed_at=now() - 9 * DAY, notified_at=now() - 9 * DAY, effective_at=now() - 5 * DAY,
        ))  # fmt: skip
    return caller


def trusted(house: DossierHouse, holder: Caller, record_id: str) -> Caller:
    doctor = house.professional()
    house.dossier.add_to_circle(holder, record_id=record_id, professional_id=doctor.professional_id)
    return doctor


def last_seen(house: DossierHouse, record_id: str, on: date) -> None:
    """Moves a record's past: it began long ago, and somebody was let in last on that day."""
    record, change = models.Record, models.StateChange
    with house.sessions.transaction() as session:
        session.execute(sa.update(record).where(record.record_id == record_id).values(last_access_on=on))
        session.execute(sa.update(change).where(change.record_id == record_id).values(at=change.at - 30 * YEAR))


# --- lapse ------------------------------------------------------------------------------------------------------------


def test_a_record_nobody_activates_is_open_by_lapse_thirty_days_after_its_letter(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    house.code(record_id)
    lapses_at = due(house, record_id)["lapse"]
    assert timedelta(0) <= now() + 30 * DAY - lapses_at < DAY
    assert pass_time(house, lapses_at - MOMENT) == 0 and state(house, record_id) == "open"
    assert pass_time(house, lapses_at) == 1 and state(house, record_id) == "open_by_lapse"
    assert steps(house, record_id)[-1] == ("open", "open_by_lapse", "lapse", "platform")
    told = house.events("record_state_changed.v1")[-1]
    assert told == {"record_id": record_id, "state": "open_by_lapse", "cause": "lapse", "patient_id": holder.patient_id}
    [trace] = house.traces("record.state_changed")
    assert (trace["record_id"], trace["account_id"], trace["outcome"]) == (record_id, None, "allowed")
    assert pass_time(house, lapses_at) == 0 and len(steps(house, record_id)) == 2


def test_professionals_get_in_after_the_lapse_and_not_before(house: DossierHouse) -> None:
    _, record_id = house.holder(activate=False)
    code, doctor = house.code(record_id), house.professional()
    assert refusal_code(house.enter(doctor, record_id, code)) == "presence_code_refused"
    pass_time(house, now() + 31 * DAY)
    assert house.enter(house.professional(), record_id, code)["kind"] == "presence"


def test_who_activates_in_time_or_later_has_an_active_record_that_lapses_no_more(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    house.code(record_id)
    house.activate(holder)
    assert "lapse" not in due(house, record_id)
    late, lapsed = house.holder(activate=False)
    house.code(lapsed)
    pass_time(house, now() + 31 * DAY)
    house.activate(late)
    assert state(house, record_id) == state(house, lapsed) == "active"
    assert pass_time(house, now() + 60 * DAY) == 0


def test_a_letter_printed_again_or_sent_anew_starts_the_thirty_days_no_second_time(house: DossierHouse) -> None:
    _, record_id = house.holder(activate=False)
    letter_id = new_id()
    house.code(record_id, letter_id)
    first = due(house, record_id)["lapse"]
    house.code(record_id, letter_id)
    house.code(record_id)
    assert due(house, record_id)["lapse"] == first


def test_a_record_whose_letter_is_not_printed_does_not_lapse_nor_does_an_active_one(house: DossierHouse) -> None:
    _, unprinted = house.holder(activate=False)
    _, active = house.holder()
    house.code(active)
    assert set(due(house, unprinted)) == set(due(house, active)) == {"inactivity"}
    assert pass_time(house, now() + 60 * DAY) == 0


# --- ten years without access -----------------------------------------------------------------------------------------


def test_every_record_opened_one_by_one_or_by_the_hundred_has_its_years_counted(house: DossierHouse) -> None:
    house.holder(activate=False)
    house.hear("directory", RecordOpeningsDue("affiliation", [new_id() for _ in range(3)], rfc3339(now())))
    records = {row.record_id for row in house.rows(models.Record)}
    assert len(records) == 4
    for record_id in records:
        assert abs(due(house, record_id)["inactivity"] - now().replace(year=now().year + 10)) < 2 * DAY


def test_a_record_nobody_came_to_for_ten_years_is_closed(house: DossierHouse) -> None:
    _, record_id = house.holder(activate=False)
    closes_at = due(house, record_id)["inactivity"]
    assert pass_time(house, closes_at - MOMENT) == 0
    assert pass_time(house, closes_at) == 1
    assert steps(house, record_id)[-1] == ("open", "closed", "ten_years_without_access", "platform")
    assert house.events("record_state_changed.v1")[-1]["cause"] == "ten_years_without_access"
    assert set(due(house, record_id)) == {"deletion"}


@pytest.mark.parametrize("who", ["holder", "doctor"])
def test_a_record_that_somebody_came_to_meanwhile_is_looked_at_again_later(house: DossierHouse, who: str) -> None:
    holder, record_id = house.holder()
    caller = holder if who == "holder" else trusted(house, holder, record_id)
    last_seen(house, record_id, date.today() - 10 * YEAR)
    house.scope(caller, record_id)
    assert pass_time(house, now()) == 0, "its day has not come"
    with house.sessions.transaction() as session:
        store_deadlines.put(session, "inactivity", record_id, record_id, now())
    assert pass_time(house, now()) == 1 and state(house, record_id) == "active"
    again = due(house, record_id)["inactivity"]
    today = datetime.now(UTC).date()
    assert again == datetime(today.year + 10, today.month, today.day, tzinfo=UTC) + DAY
    assert pass_time(house, again) == 1 and state(house, record_id) == "closed"


def test_asking_in_vain_keeps_no_record_open(house: DossierHouse) -> None:
    _, record_id = house.holder()
    last_seen(house, record_id, date.today() - 11 * YEAR)
    stranger = house.professional()
    assert refusal_code(house.dossier.read_record(stranger, record_id=record_id)) == "record_not_found"
    with house.sessions.transaction() as session:
        store_deadlines.put(session, "inactivity", record_id, record_id, now())
    assert pass_time(house, now()) == 1 and state(house, record_id) == "closed"


# --- closing ----------------------------------------------------------------------------------------------------------


def test_the_holder_closes_and_from_the_answer_on_nobody_reads_or_deposits(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor, friend = trusted(house, holder, record_id), assistant(house, record_id)
    assert house.scope(doctor, record_id).clauses and house.scope(friend, record_id).clauses
    answer = close(house, holder, record_id)
    assert (answer["state"], answer["record_id"]) == ("closed", record_id)
    assert answer["deleted_on"] == due(house, record_id)["deletion"].date().isoformat()
    for caller in (holder, doctor, friend):
        assert house.scope(caller, record_id).clauses == ()
    assert refusal_code(house.dossier.read_record(doctor, record_id=record_id)) == "record_not_found"
    assert house.scope(doctor, record_id).author_id == contract.NOBODY, "not even what they wrote"
    assert house.dossier.read_record(holder, record_id=record_id)["state"] == "closed"
    assert refusal_code(house.dossier.circle(holder, record_id=record_id)) == "record_closed"
    assert steps(house, record_id)[-1] == ("active", "closed", "holder_request", "holder")
    [trace] = house.traces("record.closed")
    assert (trace["ground"], trace["rule"], trace["purpose"]) == ("holder", "holder", "holder_request")


def test_a_legal_representative_closes_and_a_curator_alone_an_assistant_or_a_stranger_do_not(
    house: DossierHouse,
) -> None:
    holder, record_id = house.holder()
    doctor = trusted(house, holder, record_id)
    for caller, refusal in (
        (assistant(house, record_id), "not_allowed"),
        (representative(house, record_id, "curator"), "record_not_found"),
        (builders.caller("patient"), "record_not_found"),
        (doctor, "record_not_found"),
        (house.agent, "record_not_found"),
    ):
        assert refusal_code(close(house, caller, record_id)) == refusal
    assert state(house, record_id) == "active"
    assert {trace["reason"] for trace in house.traces("record.closed")} == {"not_allowed", "record_not_found"}
    assert close(house, representative(house, record_id), record_id)["state"] == "closed"
    assert steps(house, record_id)[-1] == ("active", "closed", "holder_request", "legal_representative")


@pytest.mark.parametrize("confirmed", [False, None, "true", 1])
def test_a_closing_needs_an_explicit_word(house: DossierHouse, confirmed: Any) -> None:
    holder, record_id = house.holder()
    with pytest.raises(InvalidInput) as refusal:
        house.dossier.close_record(holder, record_id=record_id, confirmed=confirmed)
    assert refusal.value.detail["errors"] == [{"pointer": "/confirmed", "message": "must_be_accepted"}]
    assert state(house, record_id) == "active"


def test_a_closing_sent_twice_closes_once(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    keyed = replace(holder, context=builders.context(idempotency_key="k1"))
    assert close(house, keyed, record_id) == close(house, keyed, record_id)
    assert refusal_code(close(house, holder, record_id)) == "record_closed"
    assert [step[2] for step in steps(house, record_id)].count("holder_request") == 1


@pytest.mark.parametrize("before", ["open", "open_by_lapse", "active"])
@pytest.mark.parametrize("cause", contract.CLOSING_CAUSES)
def test_the_agency_closes_on_request_and_on_death(house: DossierHouse, cause: str, before: str) -> None:
    _, record_id = house.holder(activate=False)
    house.set_state(record_id, before)
    assert die(house, record_id, cause)["state"] == "closed"
    assert steps(house, record_id)[-1] == (before, "closed", cause, "agency")
    [trace] = house.traces("record.closed")
    assert (trace["capacity"], trace["ground"], trace["purpose"]) == ("agent", None, cause)


def test_nobody_but_an_agent_closes_for_the_agency_and_only_for_its_causes(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    for caller in (holder, house.professional()):
        answer = house.dossier.close_record_by_agency(caller, record_id=record_id, cause="death")
        assert refusal_code(answer) == "not_allowed"
    with pytest.raises(InvalidInput):
        die(house, record_id, "holder_request")
    assert refusal_code(die(house, new_id())) == "record_not_found"
    assert state(house, record_id) == "active"
    die(house, record_id, "agency_request")
    assert refusal_code(die(house, record_id, "agency_request")) == "not_in_this_state"


def test_closing_ends_the_referring_physician_on_the_first_of_the_next_month_and_a_death_at_once(
    house: DossierHouse,
) -> None:
    for cause, ends in (("agency_request", "next_month"), ("death", "now")):
        _, record_id = house.holder()
        referring_physician(house, record_id)
        die(house, record_id, cause)
        [row] = [row for row in house.rows(ReferringPhysician) if row.record_id == record_id]
        if ends == "now":
            assert row.ends_at <= now()
        else:
            assert row.ends_at > now() and row.ends_at.astimezone(UTC).date() > datetime.now(UTC).date()
        assert row.end_cause == ("death" if cause == "death" else "closing")


# --- reopening --------------------------------------------------------------------------------------------------------


def test_a_holder_reopens_within_ten_years_and_grants_that_still_run_hold_again(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    trusted_doctor, barred, passing = trusted(house, holder, record_id), house.professional(), house.professional()
    house.enter(passing, record_id, house.code(record_id))
    house.block(record_id, barred)
    close(house, holder, record_id)
    house.age_mandates(record_id, 20 * DAY)
    answer = house.dossier.reopen_record(holder, record_id=record_id)
    assert (answer["state"], answer["deleted_on"]) == ("active", None)
    assert [clause.ground for clause in house.scope(trusted_doctor, record_id).clauses] == ["circle"]
    assert house.scope(passing, record_id).clauses == (), "what ran out meanwhile stays over"
    assert house.scope(barred, record_id).clauses == ()
    assert steps(house, record_id)[-1] == ("closed", "active", "reopening", "holder")
    assert "inactivity" in due(house, record_id) and "deletion" not in due(house, record_id)
    [trace] = house.traces("record.reopened")
    assert (trace["ground"], trace["rule"]) == ("holder", "holder/state")


def test_only_the_holder_side_reopens_and_only_what_is_closed(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor, friend, parent = trusted(house, holder, record_id), assistant(house, record_id), None
    assert refusal_code(house.dossier.reopen_record(holder, record_id=record_id)) == "not_in_this_state"
    assert refusal_code(house.dossier.reopen_record(friend, record_id=record_id)) == "not_allowed"
    parent = representative(house, record_id)
    close(house, holder, record_id)
    for caller, refusal in (
        (friend, "record_not_found"),
        (doctor, "record_not_found"),
        (builders.caller("patient"), "record_not_found"),
        (house.agent, "not_allowed"),
    ):
        assert refusal_code(house.dossier.reopen_record(caller, record_id=record_id)) == refusal
    assert state(house, record_id) == "closed"
    assert house.dossier.reopen_record(parent, record_id=record_id)["state"] == "active"
    assert steps(house, record_id)[-1][3] == "legal_representative"


@pytest.mark.parametrize("cause", ["holder_request", "agency_request", "ten_years_without_access"])
def test_whatever_closed_it_but_a_death_the_holder_reopens(house: DossierHouse, cause: str) -> None:
    holder, record_id = house.holder()
    if cause == "holder_request":
        close(house, holder, record_id)
    elif cause == "agency_request":
        die(house, record_id, cause)
    else:
        last_seen(house, record_id, date.today() - 11 * YEAR)
        pass_time(house, now() + 11 * YEAR)
    assert steps(house, record_id)[-1][2] == cause
    assert house.dossier.reopen_record(holder, record_id=record_id)["state"] == "active"


def test_after_a_death_nobody_but_the_agency_reopens(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    parent, friend = representative(house, record_id), assistant(house, record_id)
    die(house, record_id)
    for caller, refusal in ((holder, "not_allowed"), (parent, "not_allowed"), (friend, "record_not_found")):
        assert refusal_code(house.dossier.reopen_record(caller, record_id=record_id)) == refusal
    assert house.dossier.reopen_record(house.agent, record_id=record_id)["state"] == "active"
    assert steps(house, record_id)[-1] == ("closed", "active", "reopening", "agency")


def test_a_death_after_the_closing_is_noted_and_keeps_the_day_of_deletion(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    closed = close(house, holder, record_id)
    deleted_at = due(house, record_id)["deletion"]
    assert die(house, record_id)["since"] == closed["since"]
    assert due(house, record_id)["deletion"] == deleted_at
    assert refusal_code(house.dossier.reopen_record(holder, record_id=record_id)) == "not_allowed"
    assert house.dossier.reopen_record(house.agent, record_id=record_id)["state"] == "closed"
    assert steps(house, record_id)[-1] == ("closed", "closed", "death_withdrawn", "agency")
    assert house.dossier.reopen_record(holder, record_id=record_id)["state"] == "active"


def test_a_death_is_noted_once_and_again_only_after_it_was_withdrawn(house: DossierHouse) -> None:
    _, record_id = house.holder()
    die(house, record_id)
    assert refusal_code(die(house, record_id)) == "not_in_this_state"
    assert house.dossier.reopen_record(house.agent, record_id=record_id)["state"] == "active"
    assert die(house, record_id)["state"] == "closed"


def test_ten_years_after_the_closing_there_is_nothing_to_reopen_even_before_the_step_is_taken(
    house: DossierHouse,
) -> None:
    holder, record_id = house.holder()
    close(house, holder, record_id)
    with house.sessions.transaction() as session:
        session.execute(sa.update(models.Record).values(since=now() - 11 * YEAR))
    assert refusal_code(house.dossier.reopen_record(holder, record_id=record_id)) == "not_in_this_state"


# --- opposition -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["requested", "open"])
def test_an_opposition_deletes_a_record_before_it_is_active(house: DossierHouse, before: str) -> None:
    holder, record_id = house.holder(activate=False)
    house.set_state(record_id, before)
    house.code(record_id)
    oppose(house, holder)
    oppose(house, holder)
    assert state(house, record_id) == "deleted" and due(house, record_id) == {}
    assert steps(house, record_id)[1:] == [(before, "deleted", "opposition", "holder")]
    assert house.dossier.my_records(holder)["records"] == []


def test_an_opposition_leaves_an_active_and_a_closed_record_alone(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    oppose(house, holder)
    assert state(house, record_id) == "active"
    close(house, holder, record_id)
    oppose(house, holder)
    assert state(house, record_id) == "closed" and len(steps(house, record_id)) == 3


def test_an_opposition_that_comes_after_the_lapse_closes_and_the_holder_may_come_back(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    house.set_state(record_id, "open_by_lapse")
    oppose(house, holder)
    assert steps(house, record_id)[-1] == ("open_by_lapse", "closed", "holder_request", "holder")
    assert house.dossier.reopen_record(holder, record_id=record_id)["state"] == "active"


def test_a_late_word_of_an_opposition_deletes_no_record_opened_after_it(house: DossierHouse) -> None:
    before = now()
    holder, record_id = house.holder(activate=False)
    oppose(house, holder, before)
    assert state(house, record_id) == "open"
    oppose(house, builders.caller("patient"))


def test_an_agent_records_an_opposition_and_nobody_else(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    for caller in (holder, house.professional()):
        answer = house.dossier.oppose_record(caller, record_id=record_id, received_by="post")
        assert refusal_code(answer) == "not_allowed"
    with pytest.raises(InvalidInput):
        house.dossier.oppose_record(house.agent, record_id=record_id, received_by="online")
    assert state(house, record_id) == "open"
    answer = house.dossier.oppose_record(house.agent, record_id=record_id, received_by="helpdesk")
    assert (answer["state"], answer["deleted_on"]) == ("deleted", None)
    assert steps(house, record_id)[-1] == ("open", "deleted", "opposition", "agency")
    trace = house.traces("record.opposed")[-1]
    assert (trace["purpose"], trace["capacity"], trace["record_id"]) == ("helpdesk", "agent", record_id)
    again = house.dossier.oppose_record(house.agent, record_id=record_id, received_by="post")
    assert refusal_code(again) == "record_not_found"


@pytest.mark.parametrize("before", ["open_by_lapse", "active", "closed"])
def test_an_agent_records_no_opposition_to_a_record_that_was_used(house: DossierHouse, before: str) -> None:
    _, record_id = house.holder()
    house.set_state(record_id, before)
    answer = house.dossier.oppose_record(house.agent, record_id=record_id, received_by="post")
    assert refusal_code(answer) == "not_in_this_state" and answer.detail == {"state": before}
    assert state(house, record_id) == before


def test_an_activation_that_crosses_an_opposition_revives_nothing(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    oppose(house, holder)
    house.activate(holder)
    assert state(house, record_id) == "deleted"


# --- deletion ---------------------------------------------------------------------------------------------------------


def test_ten_years_after_the_closing_the_record_is_deleted_and_unknown_to_everybody(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor, parent = trusted(house, holder, record_id), representative(house, record_id)
    close(house, holder, record_id)
    deleted_at = due(house, record_id)["deletion"]
    assert pass_time(house, deleted_at - MOMENT) == 0
    assert pass_time(house, deleted_at) >= 1 and state(house, record_id) == "deleted"
    assert steps(house, record_id)[-1] == ("closed", "deleted", "ten_years_closed", "platform")
    for caller in (holder, doctor, parent, house.agent):
        for method in ("read_record", "record_state", "reopen_record"):
            answer = getattr(house.dossier, method)(caller, record_id=record_id)
            assert refusal_code(answer) == "record_not_found", method
        assert refusal_code(close(house, caller, record_id)) == "record_not_found"
        assert house.scope(caller, record_id).clauses == ()
    assert refusal_code(die(house, record_id)) == "record_not_found"
    assert house.dossier.my_records(holder)["records"] == []
    issued = house.dossier.issue_presence_code(
        builders.context("notifications"), letter_id=new_id(), record_id=record_id
    )
    assert refusal_code(issued) == "record_not_found"
    assert due(house, record_id) == {}


def test_who_had_a_record_may_get_a_new_one(house: DossierHouse) -> None:
    holder, first = house.holder(activate=False)
    oppose(house, holder)
    second = house.dossier.open_record(house.agent, patient_id=holder.patient_id)
    assert second["created"] and second["record_id"] != first
    assert [record["record_id"] for record in house.dossier.my_records(holder)["records"]] == [second["record_id"]]
    house.activate(holder)
    assert (state(house, first), state(house, second["record_id"])) == ("deleted", "active")


# --- merged records ---------------------------------------------------------------------------------------------------


def merge(house: DossierHouse, survivor: Caller, merged: Caller) -> PatientsMerged:
    told = PatientsMerged(new_id(), str(survivor.patient_id), str(merged.patient_id), rfc3339(now()))
    house.hear("directory", told)
    return told


def unmerge(house: DossierHouse, told: PatientsMerged) -> None:
    house.hear("directory", PatientsUnmerged(told.merge_id, told.survivor_id, told.merged_id, rfc3339(now())))


def test_the_steps_of_a_merged_record_wait_and_are_there_again_after_it_is_restored(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    twin, other = house.holder(activate=False)
    house.code(other)
    told = merge(house, holder, twin)
    after = now() + 31 * DAY
    assert pass_time(house, after) == 0 and state(house, other) == "closed"
    unmerge(house, told)
    assert state(house, other) == "open"
    assert pass_time(house, after) == 1 and state(house, other) == "open_by_lapse"
    assert state(house, record_id) == "active"


def test_a_record_restored_after_years_is_not_closed_for_the_years_it_was_merged(house: DossierHouse) -> None:
    holder, _ = house.holder()
    twin, other = house.holder()
    told = merge(house, holder, twin)
    last_seen(house, other, date.today() - 15 * YEAR)
    unmerge(house, told)
    with house.sessions.transaction() as session:
        store_deadlines.put(session, "inactivity", other, other, now())
    assert pass_time(house, now()) == 1
    assert state(house, other) == "active" and due(house, other)["inactivity"] > now() + 9 * YEAR


def test_nobody_closes_reopens_or_opposes_a_merged_record(house: DossierHouse) -> None:
    holder, _ = house.holder(activate=False)
    twin, other = house.holder(activate=False)
    merge(house, holder, twin)
    assert refusal_code(die(house, other)) == "not_in_this_state"
    assert refusal_code(house.dossier.reopen_record(holder, record_id=other)) == "not_in_this_state"
    opposed = house.dossier.oppose_record(house.agent, record_id=other, received_by="post")
    assert refusal_code(opposed) == "not_in_this_state"
    shown = house.dossier.record_state(house.agent, record_id=other)
    assert (shown["state"], shown["cause"], shown["deleted_on"]) == ("closed", "merged", None)


def test_a_deletion_takes_along_what_was_merged_in_and_spares_what_the_holder_had_closed(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    twin, other = house.holder(activate=False)
    third, closed = house.holder()
    close(house, third, closed)
    merge(house, holder, twin)
    merge(house, holder, third)
    oppose(house, twin)
    assert [state(house, each) for each in (record_id, other, closed)] == ["deleted", "deleted", "closed"]
    told = {event["record_id"] for event in house.events("record_state_changed.v1") if event["state"] == "deleted"}
    assert told == {record_id, other}


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_holder_sees_the_state_its_history_and_what_time_will_do(house: DossierHouse) -> None:
    holder, record_id = house.holder(activate=False)
    house.code(record_id)
    shown = house.dossier.record_state(holder, record_id=record_id)
    assert (shown["state"], shown["cause"]) == ("open", "affiliation")
    assert shown["lapses_on"] == due(house, record_id)["lapse"].date().isoformat()
    house.activate(holder)
    shown = house.dossier.record_state(holder, record_id=record_id)
    assert shown["lapses_on"] is None and shown["deleted_on"] is None
    assert shown["closes_on"].startswith(str(datetime.now(UTC).year + 10))
    close(house, holder, record_id)
    shown = house.dossier.record_state(holder, record_id=record_id)
    assert (shown["closes_on"], shown["state"], shown["cause"]) == (None, "closed", "holder_request")
    assert shown["deleted_on"] == due(house, record_id)["deletion"].date().isoformat()
    lines = [(line["previous"], line["state"], line["cause"], line["by"]) for line in shown["history"]]
    assert lines == [
        ("active", "closed", "holder_request", "holder"),
        ("open", "active", "activation", "holder"),
        (None, "open", "affiliation", "agency"),
    ]
    assert holder.account_id not in str(shown) and house.agent.account_id not in str(shown)
    trace = house.traces("state.searched")[-1]
    assert (trace["ground"], trace["rule"], trace["count"]) == ("holder", "holder/state", 3)


def test_representatives_assistants_agents_and_the_referring_physician_see_the_state(house: DossierHouse) -> None:
    _, record_id = house.holder()
    for caller, ground in (
        (representative(house, record_id), "legal_representative"),
        (assistant(house, record_id), "assistant"),
        (referring_physician(house, record_id), "referring_physician"),
        (house.agent, None),
    ):
        assert house.dossier.record_state(caller, record_id=record_id)["state"] == "active"
        assert house.traces("state.searched")[-1]["ground"] == ground


def test_other_professionals_and_strangers_find_no_record_to_see_a_state_of(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    doctor = trusted(house, holder, record_id)
    for caller in (doctor, house.professional(), builders.caller("patient")):
        answer = house.dossier.record_state(caller, record_id=record_id)
        unknown = house.dossier.record_state(caller, record_id=new_id())
        assert answer.to_wire() == unknown.to_wire() == {"code": "record_not_found", "detail": {}}
    assert {trace["reason"] for trace in house.traces("state.searched")} == {"record_not_found"}


def test_of_a_closed_record_its_representative_sees_the_state_and_its_assistant_and_physician_nothing(
    house: DossierHouse,
) -> None:
    holder, record_id = house.holder()
    parent, friend, physician = (
        make(house, record_id) for make in (representative, assistant, referring_physician)
    )  # fmt: skip
    close(house, holder, record_id)
    assert house.dossier.record_state(parent, record_id=record_id)["state"] == "closed"
    trace = house.traces("state.searched")[-1]
    assert (trace["ground"], trace["rule"]) == ("legal_representative", "legal_representative/state")
    for caller in (friend, physician):
        assert refusal_code(house.dossier.record_state(caller, record_id=record_id)) == "record_not_found"


# --- the scheduler ----------------------------------------------------------------------------------------------------


def printed(house: DossierHouse, count: int) -> list[str]:
    """Open records whose letters are printed: they lapse together."""
    records = [house.holder(activate=False)[1] for _ in range(count)]
    for record_id in records:
        with house.sessions.transaction() as session:
            store_deadlines.put(session, "lapse", record_id, record_id, now() + 30 * DAY)
    return records


def test_replicas_that_come_at_once_take_every_step_exactly_once(house: DossierHouse) -> None:
    records = printed(house, 12)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: pass_time(house, now() + 31 * DAY), range(4)))
    pass_time(house, now() + 31 * DAY)
    assert sum(taken) == 12
    assert {state(house, record_id) for record_id in records} == {"open_by_lapse"}
    assert all([step[2] for step in steps(house, record_id)] == ["affiliation", "lapse"] for record_id in records)
    assert len(house.traces("record.state_changed")) == 12


def test_a_step_that_one_replica_has_taken_is_out_of_the_reach_of_another(house: DossierHouse) -> None:
    [record_id] = printed(house, 1)
    after = now() + 31 * DAY
    with house.sessions.transaction() as session:
        assert store_deadlines.claim(session, after) is not None
        assert house.dossier._do_due(after) is False
        store_deadlines.put(session, "lapse", record_id, record_id, after)
    assert pass_time(house, after) == 1


def test_a_step_waits_for_a_later_round_while_somebody_changes_its_record(house: DossierHouse) -> None:
    busy, free = printed(house, 2)
    after = now() + 31 * DAY
    with house.sessions.transaction() as session:
        session.execute(sa.select(models.Record).where(models.Record.record_id == busy).with_for_update())
        assert pass_time(house, after) == 1
        assert state(house, free) == "open_by_lapse"
    assert pass_time(house, after) == 1 and state(house, busy) == "open_by_lapse"


def test_a_process_killed_within_a_step_leaves_it_to_be_taken(
    house: DossierHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    [record_id] = printed(house, 1)

    def killed(session: Any, *args: Any) -> None:
        usual(session, *args)
        session.execute(sa.text("select pg_terminate_backend(pg_backend_pid())"))

    usual = scheduling.STEPS["lapse"]
    monkeypatch.setitem(scheduling.STEPS, "lapse", killed)  # type: ignore[arg-type]
    with pytest.raises(sa.exc.SQLAlchemyError):
        house.dossier._do_due(now() + 31 * DAY)
    assert state(house, record_id) == "open" and house.events("record_state_changed.v1") == []
    monkeypatch.undo()
    assert pass_time(house, now() + 31 * DAY) == 1 and state(house, record_id) == "open_by_lapse"


def test_a_step_that_fails_is_put_off_leaves_nothing_behind_and_holds_up_no_other(
    house: DossierHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = printed(house, 2)
    usual, after = scheduling.STEPS["lapse"], now() + 31 * DAY

    def step(session: Any, found: Any, at: datetime) -> None:
        usual(session, found, at)
        if found.subject_id == broken:
            session.execute(sa.text("select 1 / 0"))

    monkeypatch.setitem(scheduling.STEPS, "lapse", step)  # type: ignore[arg-type]
    assert pass_time(house, after) == 2
    assert (state(house, broken), state(house, sound)) == ("open", "open_by_lapse")
    assert [event["record_id"] for event in house.events("record_state_changed.v1")] == [sound]
    assert due(house, broken)["lapse"] == after + scheduling.PUT_OFF
    monkeypatch.undo()
    assert pass_time(house, after) == 0
    assert pass_time(house, after + scheduling.PUT_OFF) == 1 and state(house, broken) == "open_by_lapse"


def test_a_deadline_of_a_kind_that_nobody_knows_any_more_holds_up_no_other(house: DossierHouse) -> None:
    [record_id] = printed(house, 1)
    with house.sessions.transaction() as session:
        store_deadlines.put(session, "of_a_later_release", record_id, record_id, now())
    assert pass_time(house, now() + 31 * DAY) == 2 and state(house, record_id) == "open_by_lapse"


def test_a_deadline_that_comes_late_or_twice_finds_nothing_to_do(house: DossierHouse) -> None:
    _, active = house.holder()
    holder, closed = house.holder()
    close(house, holder, closed)
    with house.sessions.transaction() as session:
        for record_id in (active, closed):
            for kind in ("lapse", "deletion") if record_id == active else ("lapse", "inactivity"):
                store_deadlines.put(session, kind, record_id, record_id, now())
    before = len(house.rows(models.StateChange))
    assert pass_time(house, now()) == 4
    assert (state(house, active), state(house, closed)) == ("active", "closed")
    assert len(house.rows(models.StateChange)) == before


def test_a_closing_and_the_scheduler_at_the_same_moment_both_come_through(house: DossierHouse) -> None:
    made = [house.holder() for _ in range(8)]
    with house.sessions.transaction() as session:
        for _, record_id in made:
            store_deadlines.put(session, "inactivity", record_id, record_id, now())

    def go(number: int) -> Any:
        if number % 2:
            return pass_time(house, now())
        holder, record_id = made[number // 2]
        return close(house, holder, record_id)["state"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(go, range(16)))
    assert answers[::2] == ["closed"] * 8
    assert all(due(house, record_id).keys() >= {"deletion"} for _, record_id in made)
    pass_time(house, now() + DAY)
    assert {state(house, record_id) for _, record_id in made} == {"closed"}
