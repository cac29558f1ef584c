"""The privacy officer on the whole platform: a holder asks about an access and is answered; a rule raises an alert."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import requests

from deploy.agency import newcomer
from deploy.visitors import Visitor, mail_text, wait_for
from services.audit.contract import ALERT_RULES
from services.dossier.contract import PRIVACY_OFFICER
from services.settings import Settings
from tests.system.conftest import Village

QUESTION = "Je ne me souviens pas de cette consultation."
ANSWER = {"verdict": "justified", "answer": "Le code de présence a été saisi au cabinet."}
SUBJECT = "Réponse à un signalement"


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


def officer(village: Village) -> Visitor:
    who = village.remember(newcomer(village.town, "privacy officer"))
    who.activate(village.platform.stack.first_agent_code(who.matricule, PRIVACY_OFFICER))
    return who.log_in("agent")


def step(who: Visitor, method: str, path: str, read: requests.Response, **body: Any) -> requests.Response:
    """One step with what was just read, as its ETag says."""
    answer = who.raw(method, path, headers={"If-Match": read.headers["ETag"]}, **body)
    assert answer.status_code == 200, answer.text
    return answer


def days() -> str:
    """Yesterday to tomorrow, so that midnight matters to nobody."""
    today = date.today()
    return f"from={today - timedelta(days=1)}&to={today + timedelta(days=1)}"


def test_a_holder_asks_about_an_access_and_reads_the_officers_answer(village: Village) -> None:
    patient, doctor, desk = village.patient(), village.professional("doctor of a case"), officer(village)
    record = f"/records/{patient.ids['record_id']}"
    village.mandate(doctor, patient)
    doctor.ask("GET", record)
    history = village.history(patient, lambda found: any(each["action"] == "record.read" for each in found))
    entry = next(each for each in history if each["action"] == "record.read")
    asked = f"{record}/access-history/{entry['entry_id']}/case"
    assert problem(doctor.raw("POST", asked, json={})) == (404, "record_not_found")
    opened = patient.ask("POST", asked, json={"comment": QUESTION}, expect=201)
    again = patient.raw("POST", asked, json={})
    assert problem(again) == (409, "case_exists") and again.json()["case_id"] == opened["case_id"]

    one = f"/agency/cases/{opened['case_id']}"
    assert problem(village.agent.raw("GET", one)) == (403, "not_allowed")
    assert opened["case_id"] in [each["case_id"] for each in desk.ask("GET", "/agency/cases?limit=100")["cases"]]
    read = desk.raw("GET", one)
    shown = read.json()
    assert (shown["comment"], shown["patient_name"] is not None) == (QUESTION, True)
    assert shown["entry"]["name"] and shown["entry"]["professional_id"] == doctor.ids["professional_id"]
    assert problem(desk.raw("POST", f"{one}/taking")) == (428, "precondition_required")
    taken = step(desk, "POST", f"{one}/taking", read)
    assert step(desk, "POST", f"{one}/answer", taken, json=ANSWER).json()["state"] == "settled"

    [told] = patient.ask("GET", f"{record}/cases")["cases"]
    assert (told["verdict"], told["answer"]) == ("justified", ANSWER["answer"])
    assert patient.ask("GET", f"{record}/cases/{opened['case_id']}") == told
    mail = village.town.mail(patient.email, lambda mail: mail if mail["Subject"] == SUBJECT else None, 0, "the answer")
    assert ANSWER["answer"] not in mail_text(mail) and doctor.name not in mail_text(mail)
    steps = {"case.opened", "case.read", "case.answered"}
    village.history(patient, lambda found: steps <= {each["action"] for each in found})


def test_wrong_codes_in_a_row_raise_an_alert_that_an_officer_settles_and_finds_in_the_entries(village: Village) -> None:
    patient, guesser, desk = village.patient(), village.professional("doctor who guesses"), officer(village)
    most = Settings.alert_failures_an_hour
    for _ in range(most + 1):
        village.mandate(guesser, patient, code="000000-wrong", expect=(403, 429))
    who = guesser.ids["professional_id"]

    def raised() -> dict[str, Any] | None:
        alerts = desk.ask("GET", "/agency/alerts?rule=repeated_failures&state=waiting&limit=100")["alerts"]
        return next((each for each in alerts if each["professional_id"] == who), None)

    alert = wait_for(raised, "the alert")
    assert alert["number"] == most + 1 and alert["name"] and alert["entry"]["outcome"] == "refused"
    one = f"/agency/alerts/{alert['alert_id']}"
    assert problem(guesser.raw("GET", one)) == (403, "not_allowed")
    taken = step(desk, "POST", f"{one}/taking", desk.raw("GET", one))
    settled = step(desk, "POST", f"{one}/verdict", taken, json={"verdict": "not_justified", "note": "Essais en série."})
    assert settled.json()["verdict"] == "not_justified"
    counted = desk.ask("GET", f"/agency/alerts/statistics?{days()}")["rules"]
    assert [each["rule"] for each in counted] == list(ALERT_RULES)
    assert next(each for each in counted if each["rule"] == "repeated_failures")["not_justified"] >= 1

    about = f"professional_id={who}&action=mandate.opened&outcome=refused"  # not the look at the alert, refused too
    found = desk.ask("GET", f"/agency/entries?{days()}&{about}&limit=100")["entries"]
    assert len(found) == most + 1 and {each["action"] for each in found} == {"mandate.opened"}
    assert problem(village.agent.raw("GET", f"/agency/entries?{days()}")) == (403, "not_allowed")
    assert problem(desk.raw("GET", "/agency/entries")) == (422, "invalid_input")
