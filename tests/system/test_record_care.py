"""Professionals around a holder on the whole platform: circle with an end, blocklist, referring physician."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import requests

from deploy.visitors import Visitor, wait_for
from services.dossier.contract import RISK_WORDINGS
from tests.system.conftest import Village

RISK = {"risk_accepted": True, "risk_version": next(iter(RISK_WORDINGS))}
SOON, LATE = timedelta(seconds=5), timedelta(days=1)


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


def body(answer: requests.Response) -> dict[str, Any]:
    """What an answer says, without what belongs to the request alone."""
    return {name: value for name, value in answer.json().items() if name not in ("request_id", "instance")}


def id_of(person: Visitor) -> str:
    return str(person.ids["professional_id"])


def test_a_member_of_the_circle_comes_in_until_the_end_the_holder_set(village: Village) -> None:
    doctor, patient = village.professional("doctor of the circle"), village.patient()
    record = f"/records/{patient.ids['record_id']}"
    entry = f"{record}/circle/{id_of(doctor)}"
    wrong = patient.raw("PUT", entry, json={"until": "2020-01-01T00:00:00Z"})
    assert problem(wrong) == (422, "invalid_input") and wrong.json()["errors"][0]["code"] == "past"
    until = (datetime.now(UTC) + LATE).isoformat()
    patient.ask("PUT", entry, json={"comment": "pour l'opération", "until": until}, expect=204)
    [member] = patient.ask("GET", f"{record}/circle")["members"]
    assert datetime.fromisoformat(member["until"]) == datetime.fromisoformat(until)
    assert (member["professional_id"], member["profession"]) == (id_of(doctor), "physician") and member["name"]
    assert doctor.ask("GET", record)["ground"] == "circle"
    patient.ask("PUT", entry, json={"until": (datetime.now(UTC) + SOON).isoformat()}, expect=204)
    wait_for(lambda: doctor.raw("GET", record).status_code == 404 or None, "the end that was foreseen")
    assert patient.ask("GET", f"{record}/circle")["members"] == []
    patient.ask("PUT", entry, json={}, expect=204)
    assert doctor.ask("GET", record)["access_until"] is None


def test_a_barred_professional_learns_nothing_and_nothing_comes_back(village: Village) -> None:
    doctor, patient = village.professional("doctor who is barred"), village.patient()
    stranger = village.professional("any nurse", "nurse")
    record = f"/records/{patient.ids['record_id']}"
    block, entry = f"{record}/blocklist/{id_of(doctor)}", f"{record}/circle/{id_of(doctor)}"
    patient.ask("PUT", entry, json={}, expect=204)
    assert doctor.ask("GET", record)["ground"] == "circle"
    assert problem(patient.raw("PUT", block, json={**RISK, "risk_accepted": False})) == (422, "invalid_input")
    patient.ask("PUT", block, json=RISK, expect=204)
    [barred] = patient.ask("GET", f"{record}/blocklist")["blocked"]
    assert barred["professional_id"] == id_of(doctor) and barred["name"]
    assert problem(patient.raw("PUT", entry, json={})) == (409, "professional_blocked")
    for path in (record, f"{record}/circle", f"{record}/blocklist", f"{record}/referring-physician"):
        refused, none = doctor.raw("GET", path), stranger.raw("GET", path)
        assert (refused.status_code, body(refused)) == (none.status_code, body(none)) and none.status_code == 404
    right = village.mandate(doctor, patient, expect=403)
    wrong = village.mandate(stranger, patient, "AAAAAAAA", expect=403)
    assert {**right, "request_id": ""} == {**wrong, "request_id": ""}
    patient.ask("DELETE", block, expect=204)
    assert problem(patient.raw("DELETE", block)) == (404, "block_not_found")
    assert doctor.raw("GET", record).status_code == 404


def test_a_referring_physician_is_signed_by_both_notified_and_told_by_the_health_fund(village: Village) -> None:
    agent, patient = village.agent, village.patient()
    doctor, other = village.professional("doctor who is referred to"), village.professional("doctor of the list")
    record = f"/records/{patient.ids['record_id']}"
    path = f"{record}/referring-physician"
    assert problem(doctor.raw("POST", path, json={})) == (404, "record_not_found")
    proposed = patient.ask("POST", path, json={"professional_id": id_of(doctor)}, expect=201)
    one = f"{path}/{proposed['designation_id']}"
    assert proposed["state"] == "proposed" and proposed["name"]
    assert problem(doctor.raw("POST", f"{one}/notice")) == (409, "designation_not_signed")
    assert doctor.ask("GET", path)["designations"][0]["designation_id"] == proposed["designation_id"]
    doctor.ask("POST", f"{one}/signature")
    assert problem(patient.raw("POST", f"{one}/notice")) == (403, "not_allowed")
    notified = doctor.ask("POST", f"{one}/notice")
    effective = datetime.fromisoformat(notified["effective_at"]).astimezone(ZoneInfo("Europe/Luxembourg"))
    assert (notified["state"], effective.day, effective.hour) == ("notified", 1, 0)
    assert doctor.raw("GET", record).status_code == 404, "not before the 1st"

    today = datetime.now(ZoneInfo("Europe/Luxembourg")).date()
    lines = [
        {"record_id": patient.ids["record_id"], "professional_id": id_of(other),
         "effective_on": today.replace(day=1).isoformat()},
        {"record_id": patient.ids["record_id"], "professional_id": id_of(other), "effective_on": "2026-01-02"},
    ]  # fmt: skip
    feed = "/agency/referring-physicians/feed"
    assert problem(doctor.raw("POST", feed, json={"lines": lines})) == (403, "not_allowed")
    answers = agent.ask("POST", feed, json={"lines": lines})["lines"]
    assert [(each["outcome"], each["reason"]) for each in answers] == [
        ("added", None), ("refused", "not_first_of_month"),
    ]  # fmt: skip
    assert agent.ask("POST", feed, json={"lines": lines[:1]})["lines"][0]["outcome"] == "unchanged"
    assert other.ask("GET", record)["ground"] == "referring_physician"
    seen = patient.ask("GET", path)
    assert seen["current"]["professional_id"] == id_of(other) and seen["current"]["name"]
    assert {each["state"] for each in seen["designations"]} == {"effective", "notified"}
    actions = {"referring.proposed", "referring.signed", "referring.notified"}
    village.history(patient, lambda entries: actions <= {entry["action"] for entry in entries})
