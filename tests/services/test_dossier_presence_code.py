"""The holder makes a new presence code: told once, the old one void, mandates untouched, kept nowhere."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import eventlet
import pytest
import sqlalchemy as sa

from deploy.local.supervise import wait_until
from services.db import new_id, now
from services.dossier import models, presence_code, store, store_presence
from services.refusals import RequestInFlight
from services.tokens import Caller
from tests import builders
from tests.services.dossier_house import DossierHouse, refusal_code


def make(house: DossierHouse, who: Caller, record_id: str) -> Any:
    return house.dossier.regenerate_presence_code(who, record_id=record_id)


def test_a_new_code_opens_and_the_old_one_opens_nothing_any_more(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    old = house.code(record_id)
    running = house.enter(house.professional(), record_id, old)
    made = make(house, holder, record_id)
    assert len(made["code"]) == presence_code.LENGTH and set(made["code"]) <= set(presence_code.ALPHABET)
    assert refusal_code(house.enter(house.professional(), record_id, old)) == "presence_code_refused"
    assert house.enter(house.professional(), record_id, made["code"])["kind"] == "presence"
    listed = house.dossier.list_mandates(holder, record_id=record_id)["mandates"]
    assert {each["mandate_id"] for each in listed if each["ended_at"] is None} >= {running["mandate_id"]}


def test_a_letter_printed_again_never_voids_the_newer_code(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    letter = new_id()
    house.code(record_id, letter)
    made = make(house, holder, record_id)
    late = house.code(record_id, letter)
    assert refusal_code(house.enter(house.professional(), record_id, late)) == "presence_code_refused"
    assert house.enter(house.professional(), record_id, made["code"])["kind"] == "presence"


def test_making_one_is_told_by_event_and_traced_once(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    made = make(house, holder, record_id)
    [event] = house.events("presence_code_regenerated.v1")
    assert event == {"record_id": record_id, "patient_id": holder.patient_id, "at": made["issued_at"]}
    [trace] = house.traces("presence_code.regenerated")
    assert (trace["outcome"], trace["ground"], trace["record_id"]) == ("allowed", "holder", record_id)


def test_a_code_is_read_never_and_since_when_there_is_one_always(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    assert house.dossier.presence_code(holder, record_id=record_id) == {"issued_at": None}
    made = make(house, holder, record_id)
    assert house.dossier.presence_code(holder, record_id=record_id) == {"issued_at": made["issued_at"]}
    assert len(house.traces("presence_code.read")) == 2


def test_the_same_key_again_answers_when_it_was_made_and_not_which(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    holder = replace(holder, context=builders.context(idempotency_key="card"))
    made = make(house, holder, record_id)
    assert make(house, holder, record_id) == {"code": None, "issued_at": made["issued_at"]}
    assert len(house.rows(models.PresenceCode)) == len(house.events("presence_code_regenerated.v1")) == 1
    assert house.enter(house.professional(), record_id, made["code"])["kind"] == "presence"


def test_a_code_stands_nowhere_but_in_the_answer(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    code = make(house, replace(holder, context=builders.context(idempotency_key="card")), record_id)["code"]
    [kept] = house.rows(models.PresenceCode)
    assert kept.hash.startswith("$argon2id$")
    with house.sessions.transaction() as session:
        for table in [*models.metadata.tables, "outbox", "requests"]:
            text = f"select coalesce(string_agg(t::text, ' '), '') from {table} t"
            assert code not in session.execute(sa.text(text)).scalar_one(), table


def test_requests_under_one_key_at_once_make_one_code(house: DossierHouse) -> None:
    holder, record_id = house.holder()
    holder = replace(holder, context=builders.context(idempotency_key="card"))

    def ask(_: int) -> Any:
        try:
            return make(house, holder, record_id)["code"]
        except RequestInFlight:
            return None

    codes = list(eventlet.GreenPool().imap(ask, range(4)))
    assert len([code for code in codes if code]) == len(house.rows(models.PresenceCode)) == 1


def test_of_two_made_at_the_same_time_the_one_told_last_is_the_code(
    house: DossierHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, record_id = house.holder()
    monkeypatch.setattr(house.dossier, "_hashed", lambda work, *args: work(*args))  # no loop runs in this thread
    made: list[Any] = []
    with house.sessions.transaction() as first:
        store.lock_record(first, record_id)
        thread = threading.Thread(target=lambda: made.append(make(house, holder, record_id)))
        thread.start()
        assert wait_until(lambda: somebody_waits(house), 30)
        store_presence.insert_presence_code(first, record_id, presence_code.hash_of("AAAAAAAA"), now())
    thread.join()
    assert refusal_code(house.enter(house.professional(), record_id, "AAAAAAAA")) == "presence_code_refused"
    assert house.enter(house.professional(), record_id, made[0]["code"])["kind"] == "presence"


def somebody_waits(house: DossierHouse) -> bool:
    with house.sessions.transaction() as session:
        return bool(session.scalar(sa.text(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )))  # fmt: skip


def test_a_legal_representative_makes_one_and_an_assistant_does_not(house: DossierHouse) -> None:
    _, record_id = house.holder()
    parent, helper = builders.caller("patient"), builders.caller("patient")
    at = now() - timedelta(days=1)
    with house.sessions.transaction() as session:
        session.execute(sa.insert(models.Model.metadata.tables["representatives"]).values(
            representative_id=new_id(), record_id=record_id, patient_id=parent.patient_id, kind="guardian", proof="x",
            since=at, until_cause="time", recorded_by=new_id(),
        ))  # fmt: skip
        session.execute(sa.insert(models.Model.metadata.tables["assistants"]).values(
            assistant_id=new_id(), record_id=record_id, patient_id=helper.patient_id, name="x", invited_by=new_id(),
            invited_at=at, code_until=at, accepted_at=at,
        ))  # fmt: skip
    assert make(house, parent, record_id)["code"]
    assert house.traces("presence_code.regenerated")[0]["ground"] == "legal_representative"
    assert refusal_code(make(house, helper, record_id)) == "not_allowed"
    assert refusal_code(house.dossier.presence_code(helper, record_id=record_id)) == "not_allowed"
    assert len(house.rows(models.PresenceCode)) == 1


def test_nobody_else_makes_one_and_a_refusal_costs_no_hash(
    house: DossierHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, record_id = house.holder()
    doctor = house.professional()
    house.enter(doctor, record_id, house.code(record_id))
    before = [row.code_id for row in house.rows(models.PresenceCode)]
    drawn: list[int] = []
    draw = presence_code.draw
    monkeypatch.setattr(presence_code, "draw", lambda: drawn.append(1) or draw())
    for who in (doctor, house.agent, builders.caller("patient")):
        assert refusal_code(make(house, who, record_id)) == "record_not_found"
        assert refusal_code(house.dossier.presence_code(who, record_id=record_id)) == "record_not_found"
    house.set_state(record_id, "closed")
    assert refusal_code(make(house, holder, record_id)) == "record_closed"
    assert drawn == [] and [row.code_id for row in house.rows(models.PresenceCode)] == before
    assert [trace["outcome"] for trace in house.traces("presence_code.regenerated")] == ["refused"] * 4
