"""The life of a record on the whole platform: closed, reopened, opposed, and what the service's own timer does."""

from __future__ import annotations

from typing import Any

import requests
import sqlalchemy as sa

from deploy.agency import any_matricule, newcomer, open_record
from deploy.visitors import Visitor, wait_for
from tests.system.conftest import Village


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


def let_fall_due(village: Village, record_id: str, kind: str) -> None:
    """The clock of this one deadline has come to its end."""
    engine = sa.create_engine(village.platform.stack.layout.database_url("dossier"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        moved = connection.execute(
            sa.text("update deadlines set due_at = now() where kind = :kind and subject_id = :record_id"),
            {"kind": kind, "record_id": record_id},
        )
        assert moved.rowcount == 1


def state(village: Village, record_id: str) -> Any:
    answer = village.agent.raw("GET", f"/records/{record_id}/state")
    return answer.json()["state"] if answer.status_code == 200 else answer.status_code


def stranger_with_record(village: Village) -> tuple[Visitor, str]:
    """Somebody whose letter is printed and who has done nothing with it."""
    who = village.remember(newcomer(village.town, "stranger to their record"))
    open_record(village.agent, who)
    letter = village.town.letter(who.name)
    who.ids["presence_code"] = letter.presence_code
    who.secrets |= {letter.presence_code, letter.activation_code}
    return who, letter.activation_code


def test_a_closed_record_is_unreadable_at_once_and_reopened_as_it_was(village: Village) -> None:
    agent, doctor, patient = village.agent, village.professional("doctor of a closed record"), village.patient()
    record = f"/records/{patient.ids['record_id']}"
    village.mandate(doctor, patient, expect=201)
    assert problem(patient.raw("POST", f"{record}/closing", json={"confirmed": False}))[1] == "invalid_input"
    assert problem(doctor.raw("POST", f"{record}/closing", json={"confirmed": True})) == (404, "record_not_found")
    closed = patient.ask("POST", f"{record}/closing", json={"confirmed": True})
    assert closed["state"] == "closed" and closed["deleted_on"]

    for path in (record, f"{record}/state", f"{record}/documents"):
        assert problem(doctor.raw("GET", path)) == (404, "record_not_found"), path
    assert problem(patient.raw("GET", f"{record}/circle")) == (409, "record_closed")
    shown = patient.ask("GET", f"{record}/state")
    assert (shown["state"], shown["cause"], shown["deleted_on"]) == ("closed", "holder_request", closed["deleted_on"])
    assert [line["by"] for line in shown["history"]] == ["holder", "holder", "agency"]

    assert patient.ask("POST", f"{record}/reopening")["state"] == "active"
    assert doctor.ask("GET", record)["ground"] == "presence"
    desk = f"/agency{record}/closing"
    assert problem(patient.raw("POST", desk, json={"cause": "death"})) == (403, "not_allowed")
    agent.ask("POST", desk, json={"cause": "death"})
    assert problem(patient.raw("POST", f"{record}/reopening")) == (403, "not_allowed")
    refused = agent.raw("POST", f"/agency{record}/opposition", json={"received_by": "post"})
    assert problem(refused) == (409, "not_in_this_state") and refused.json()["state"] == "closed"


def test_the_services_own_timer_lapses_a_record_and_deletes_a_closed_one(village: Village) -> None:
    agent, doctor = village.agent, village.professional("doctor of a lapsed record")
    who, _ = stranger_with_record(village)
    record_id = who.ids["record_id"]
    assert agent.ask("GET", f"/records/{record_id}/state")["lapses_on"]
    village.mandate(doctor, who, expect=403)
    let_fall_due(village, record_id, "lapse")
    wait_for(lambda: state(village, record_id) == "open_by_lapse" or None, "the lapse")
    [last, *_] = agent.ask("GET", f"/records/{record_id}/state")["history"]
    assert (last["cause"], last["by"]) == ("lapse", "platform")
    village.mandate(doctor, who, expect=201)

    agent.ask("POST", f"/agency/records/{record_id}/closing", json={"cause": "agency_request"})
    assert problem(doctor.raw("GET", f"/records/{record_id}")) == (404, "record_not_found")
    let_fall_due(village, record_id, "deletion")
    wait_for(lambda: state(village, record_id) == 404 or None, "the deletion")
    assert agent.ask("GET", f"/agency/patients/{who.ids['patient_id']}")["record"] is None


def test_an_opposition_with_the_letters_code_deletes_the_record_and_nobody_learns_from_a_wrong_one(
    village: Village,
) -> None:
    who, code = stranger_with_record(village)
    holder = village.patient()
    told = []
    for matricule, wrong in ((who.matricule, "P7KQ-4MXT-9RWB"), (any_matricule(), code), (holder.matricule, code)):
        answer = who.raw("POST", "/oppositions", json={"matricule": matricule, "activation_code": wrong})
        told.append({**answer.json(), "request_id": None})
    assert told[0] == told[1] == told[2] and told[0]["type"] == "urn:dsp:problem:activation_refused"
    assert state(village, who.ids["record_id"]) == "open"

    body = {"matricule": who.matricule, "activation_code": code}
    received = who.ask("POST", "/oppositions", json=body, expect=202)
    assert who.ask("POST", "/oppositions", json=body, expect=202) == received
    wait_for(lambda: state(village, who.ids["record_id"]) == 404 or None, "the deletion")
    assert problem(who.raw("POST", "/activations", json=body)) == (403, "activation_refused")
    assert state(village, holder.ids["record_id"]) == "active", "its twin"
