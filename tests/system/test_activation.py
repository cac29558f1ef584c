"""Activation over HTTP: the order of the steps, wrong data, lost letters, the app, each with its forbidden twin."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.agency import any_matricule, establishment, newcomer, open_record
from deploy.visitors import Visitor
from services.identity.contract import CONDITIONS_VERSION
from tests.system.conftest import Village

CONDITIONS = {"version": CONDITIONS_VERSION, "language": "fr"}


@pytest.fixture
def person(village: Village) -> Visitor:
    """Somebody whose letter has just arrived."""
    made = village.remember(newcomer(village.town, "patient"))
    open_record(village.agent, made)
    made.ids["code"] = village.town.letter(made.name).activation_code
    made.secrets.add(made.ids["code"])
    return made


class Run:
    """An activation as a front end holds it."""

    def __init__(self, who: Visitor, begun: dict[str, Any]) -> None:
        self.who, self.path = who, f"/activations/{begun['activation_id']}"
        self.headers = {"Activation-Token": begun["activation_token"]}
        who.secrets.add(begun["activation_token"])

    def ask(self, method: str, step: str, expect: int | None = None, **body: Any) -> Any:
        sent = {"json": body} if method == "POST" and step not in ("/luxtrust", "/contact/resend") else {}
        return self.who.ask(method, self.path + step, expect, headers=self.headers, **sent)

    def prove(self) -> Any:
        seen = len(self.who.town.mails(self.who.email))
        self.ask("POST", "/contact", kind="email", value=self.who.email)
        return self.ask("POST", "/contact/proof", code=self.who.one_time_code(seen))


def begin(who: Visitor, **flow: str) -> Run:
    letter = {"matricule": who.matricule, "activation_code": who.ids["code"]}
    return Run(who, who.ask("POST", "/activations", 201, json=letter | flow))


def test_a_front_end_is_led_from_step_to_step(person: Visitor) -> None:
    run = begin(person)
    early = run.ask("POST", "/contact", 409, kind="email", value=person.email)
    assert (early["type"], early["next"]) == ("urn:dsp:problem:step_out_of_order", "personal_data")
    assert run.ask("GET", "/person")["first_names"] == person.ids["first"]
    assert run.ask("POST", "/personal-data", correct=True)["next"] == "conditions"
    assert run.ask("POST", "/conditions", **CONDITIONS)["next"] == "contact"
    wrong = run.ask("POST", "/contact", 422, kind="mobile", value="27 12 34 56")
    assert wrong["errors"][0]["code"] == "mobile_format" and wrong["errors"][0]["message"] != "Valeur incorrecte."
    assert run.prove()["next"] == "password"
    done = run.ask("POST", "/password", password=person.password)
    assert done["complete"] and {one["state"] for one in done["steps"]} == {"done"}
    assert run.ask("POST", "/password", 409, password=person.password)["type"].endswith("activation_complete")
    assert person.log_in("patient").tokens["capacity"] == "patient"


def test_wrong_data_open_a_case_that_is_followed_by_its_token(person: Visitor) -> None:
    run = begin(person)
    case = run.ask("POST", "/personal-data", correct=False, message="Ma date de naissance est fausse.")["helpdesk"]
    person.secrets.add(case["tracking_token"])
    path, token = f"/helpdesk-requests/{case['request_id']}", {"Tracking-Token": case["tracking_token"]}
    followed = person.ask("GET", path, headers=token)
    assert (followed["reference"], followed["state"]) == (case["reference"], "open")
    assert person.ask("GET", path, 404, headers={"Tracking-Token": "x"})
    assert run.ask("GET", "")["next"] == "personal_data"


def test_in_the_app_the_conditions_come_with_the_first_log_in(village: Village, person: Visitor) -> None:
    run = begin(person, flow="app")
    assert run.ask("POST", "/password", password=person.password)["next"] == "contact"
    assert run.prove()["complete"]
    seen = len(village.town.mails(person.email))
    challenge = person.ask("POST", "/sessions", json={"matricule": person.matricule, "password": person.password})
    proof, path = {"code": person.one_time_code(seen)}, f"/sessions/{challenge['challenge_id']}/code"
    due = person.ask("POST", path, 409, json=proof)
    assert (due["type"], due["version"]) == ("urn:dsp:problem:conditions_due", CONDITIONS_VERSION)
    assert person.ask("POST", path, 201, json=proof | {"conditions": CONDITIONS})["access_token"]


def test_a_request_for_a_letter_is_answered_alike_for_everybody(village: Village, person: Visitor) -> None:
    active, nobody = village.patient(), newcomer(village.town, "nobody", any_matricule())
    before = len(list(village.town.letters_folder.glob("*.pdf")))
    answers = [
        nobody.raw("POST", "/letter-requests", json={"matricule": who.matricule, "kind": kind})
        for who in (person, active, nobody) for kind in ("patient", "professional")
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} == {202} and len({answer.content for answer in answers}) == 1
    assert len(list(village.town.letters_folder.glob("*.pdf"))) == before, "too soon, active, unknown: no letter"
    wrong = nobody.raw("POST", "/letter-requests", json={"matricule": person.matricule, "kind": "agent"})
    assert wrong.status_code == 422


def test_a_professional_begins_with_conditions_and_luxtrust_and_nowhere_else(village: Village) -> None:
    doctor = village.remember(newcomer(village.town, "docteur.pas"))
    place = establishment(village.agent, "Cabinet des Étapes", "practice")
    entered = village.agent.ask("POST", "/agency/professionals", json={
        "matricule": doctor.matricule, "family_name": doctor.ids["family"], "first_name": doctor.ids["first"],
        "profession": "physician", "specialities": [], "establishment_ids": [place], "language": "fr",
        "address": {"line": "3, place d'Armes", "postal_code": "1234", "locality": "Luxembourg", "country": "LU"},
    })  # fmt: skip
    village.agent.ask("POST", "/agency/invitations", json={"professional_id": entered["professional_id"]})
    letter = {"matricule": doctor.matricule, "activation_code": village.town.letter(doctor.name).activation_code}
    doctor.secrets.add(letter["activation_code"])
    assert doctor.ask("POST", "/activations", 403, json=letter)["type"].endswith("activation_refused")
    run = Run(doctor, doctor.ask("POST", "/activations/professional", 201, json=CONDITIONS))
    assert run.ask("POST", "/code", 409, **letter)["next"] == "luxtrust"
    assert run.ask("GET", "/person", 409)["type"].endswith("step_out_of_order")
    doctor.activate(letter["activation_code"], "professional")
    assert doctor.log_in("professional").tokens["professional_id"] == entered["professional_id"]


def test_the_conditions_are_there_to_be_read_and_kept(village: Village) -> None:
    guest = newcomer(village.town, "guest")
    told = guest.ask("GET", "/conditions/current?language=pt")
    assert told["version"] == CONDITIONS_VERSION and "Condições" in told["text"]
    assert guest.ask("GET", f"/conditions/{CONDITIONS_VERSION}.pdf").startswith(b"%PDF-")
    assert guest.ask("GET", "/conditions/1999-01", 404)["type"].endswith("not_found")
