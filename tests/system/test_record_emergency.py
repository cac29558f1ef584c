"""Access on a professional's own word on the whole platform: opened, told, reviewed, refused; settings over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import requests

from deploy.agency import establishment, newcomer
from deploy.visitors import Visitor, wait_for
from services.db import day_of
from services.dossier.contract import PRIVACY_OFFICER, RESPONSIBILITY_CONDITIONS, RESPONSIBILITY_WORDINGS, RISK_WORDINGS
from tests.system.conftest import Village

RISK = {"risk_accepted": True, "risk_version": max(RISK_WORDINGS)}
STATED = {"reason_category": "unable_to_consent", "reason": "Amenée par l'ambulance, seule."}
TAKEN = {
    "reason": "Traitement à renouveler sans ordonnance sur papier.",
    "conditions_accepted": list(RESPONSIBILITY_CONDITIONS),
    "wording_version": max(RESPONSIBILITY_WORDINGS),
}


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


def officer(village: Village) -> Visitor:
    who = village.remember(newcomer(village.town, "privacy officer"))
    who.activate(village.platform.stack.first_agent_code(who.matricule, PRIVACY_OFFICER))
    return who.log_in("agent")


def break_glass(who: Visitor, record: str, **changes: Any) -> requests.Response:
    return who.raw("POST", f"{record}/emergency-sessions", json=STATED | changes)


def attached(village: Village, name: str) -> Visitor:
    """A physician of a hospital, attached to its emergency service from now on, as the agency noted it."""
    hospital = establishment(village.agent, f"Hôpital de {name}", "hospital")
    doctor = village.professional(name, establishment_id=hospital)
    desk = f"/agency/professionals/{doctor.ids['professional_id']}/workplaces"
    noted = village.agent.ask("POST", desk, json={"establishment_id": hospital, "emergency": True}, expect=201)
    assert noted["emergency"] is True
    return doctor


def test_an_emergency_is_opened_read_under_reviewed_and_seen_by_the_holder(village: Village) -> None:
    patient, doctor = village.patient(), attached(village, "doctor of an emergency service")
    desk, colleague = officer(village), officer(village)
    record = f"/records/{patient.ids['record_id']}"
    assert problem(break_glass(village.professional("doctor without a service"), record)) == (403, "not_allowed")
    assert problem(break_glass(doctor, record, reason=""))[1] == "invalid_input"

    def opens() -> dict[str, Any] | None:
        answer = break_glass(doctor, record)
        return answer.json() if answer.status_code == 201 else None

    opened = wait_for(opens, "the attachment to reach the records")
    assert break_glass(doctor, record).json() == opened
    assert doctor.ask("GET", record)["ground"] == "emergency"
    [shown] = patient.ask("GET", f"{record}/mandates")["mandates"]
    assert (shown["reason"], shown["reason_category"]) == (STATED["reason"], STATED["reason_category"])
    assert shown["name"] and shown["review"] == {"verdict": "waiting", "settled_at": None}

    assert problem(village.agent.raw("GET", "/agency/reviews")) == (403, "not_allowed")
    queue = desk.ask("GET", "/agency/reviews?state=waiting&kind=emergency&limit=100")["reviews"]
    [review] = [each for each in queue if each["mandate_id"] == opened["mandate_id"]]
    assert review["name"] and review["reason"] == STATED["reason"]
    one = f"/agency/reviews/{review['review_id']}"
    read = desk.raw("GET", one)
    tag = {"If-Match": read.headers["ETag"]}
    assert problem(desk.raw("POST", f"{one}/taking")) == (428, "precondition_required")
    taken = desk.raw("POST", f"{one}/taking", headers=tag)
    assert taken.status_code == 200 and taken.headers["ETag"] != tag["If-Match"]
    assert problem(colleague.raw("POST", f"{one}/taking", headers=tag)) == (412, "changed_meanwhile")
    verdict = {"verdict": "justified", "note": "Passage confirmé."}
    now = {"If-Match": taken.headers["ETag"]}
    assert problem(colleague.raw("POST", f"{one}/verdict", json=verdict, headers=now)) == (409, "review_taken")
    assert desk.raw("POST", f"{one}/verdict", json=verdict, headers=now).json()["verdict"] == "justified"
    [shown] = patient.ask("GET", f"{record}/mandates")["mandates"]
    assert shown["review"]["verdict"] == "justified" and shown["review"]["settled_at"]

    day = day_of(datetime.fromisoformat(opened["starts_at"]))
    counted = desk.ask("GET", f"/agency/reviews/statistics?from={day}&to={day}&limit=100")["professionals"]
    [mine] = [each for each in counted if each["professional_id"] == doctor.ids["professional_id"]]
    assert (mine["normal"], mine["emergency"]["opened"], mine["emergency"]["justified"]) == (0, 1, 1)
    page = desk.raw("GET", f"/agency/reviews/statistics?from={day}&to={day}&limit=1")
    if page.json()["next_cursor"]:
        assert f"from={day}&to={day}" in page.headers["Link"], "the next page asks about the same days"

    doctor.ask("DELETE", f"{record}/emergency-sessions/current", expect=204)
    assert problem(doctor.raw("GET", record)) == (404, "record_not_found")
    assert problem(doctor.raw("DELETE", f"{record}/emergency-sessions/current")) == (404, "mandate_not_found")
    actions = {"emergency.opened", "emergency.ended", "review.taken", "review.settled"}
    village.history(patient, lambda entries: actions <= {entry["action"] for entry in entries})


def test_what_the_holder_refuses_is_refused_as_if_there_were_no_record(village: Village) -> None:
    patient, doctor = village.patient(), attached(village, "doctor who is refused")
    pharmacist = village.professional("pharmacist on their own responsibility", "pharmacist")
    record = f"/records/{patient.ids['record_id']}"
    assert problem(patient.raw("PUT", f"{record}/settings/emergency", json={"value": "refused"}))[1] == "invalid_input"
    patient.ask("PUT", f"{record}/settings/emergency", json={"value": "refused"} | RISK)
    assert pharmacist.ask("POST", f"{record}/responsibility-access", json=TAKEN, expect=201)["kind"] == "responsibility"
    patient.ask("PUT", f"{record}/settings/responsibility", json={"value": "refused"})
    assert problem(pharmacist.raw("GET", record)) == (404, "record_not_found"), "at once"

    elsewhere = f"/records/{village.patient().ids['record_id']}"
    wait_for(lambda: break_glass(doctor, elsewhere).status_code == 201 or None, "the attachment to reach the records")
    bodies = []
    for where in (record, f"/records/{doctor.ids['professional_id']}"):
        answer = break_glass(doctor, where)
        bodies.append({**answer.json(), "request_id": None, "instance": None})
        assert problem(answer) == (403, "emergency_refused")
    assert bodies[0] == bodies[1]
    refused = pharmacist.raw("POST", f"{record}/responsibility-access", json=TAKEN)
    assert problem(refused) == (403, "responsibility_refused")


def test_settings_and_declarations_over_http(village: Village) -> None:
    patient, doctor = village.patient(), village.professional("doctor who asks about organs")
    record = f"/records/{patient.ids['record_id']}"
    folder = {"value": "private", "folder": "imaging"}
    assert patient.ask("PUT", f"{record}/settings/default_level", json=folder)["folder"] == "imaging"
    assert problem(patient.raw("PUT", f"{record}/settings/colour", json={"value": "red"}))[1] == "invalid_input"
    shown = {(each["name"], each["folder"]): each for each in patient.ask("GET", f"{record}/settings")["settings"]}
    assert shown["default_level", "imaging"]["value"] == "private"
    assert shown["emergency", None]["since"] is None
    history = patient.ask("GET", f"{record}/settings/default_level/history?folder=imaging")["history"]
    assert [word["value"] for word in history] == ["private"]

    said = {"value": "donor", "declared_on": "2026-03-01", "note": "Sauf les cornées."}
    declared = patient.ask("PUT", f"{record}/organ-donation", json=said)
    patient.ask("PUT", f"{record}/end-of-life", json={"value": "statement_made", "declared_on": "2026-03-02"})
    assert problem(doctor.raw("GET", f"{record}/organ-donation")) == (404, "record_not_found")
    village.mandate(doctor, patient, expect=201)
    assert doctor.ask("GET", f"{record}/organ-donation") == declared == {**said, "since": declared["since"]}
    assert doctor.ask("GET", f"{record}/end-of-life")["value"] == "statement_made"
    assert problem(doctor.raw("PUT", f"{record}/organ-donation", json=said)) == (404, "record_not_found")
    assert problem(doctor.raw("GET", f"{record}/settings")) == (404, "record_not_found")
