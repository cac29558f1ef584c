"""A request for a record on the whole platform: a stranger's form, an agent, a letter that is printed, a log-in."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from deploy.agency import birth_date, newcomer
from deploy.visitors import Visitor, wait_for
from tests.system.conftest import Village

CHECK = {"document": "identity_card", "agent_name": "Anne Contrôle"}


def form(who: Visitor, version: str, **changes: Any) -> dict[str, Any]:
    return {
        "matricule": who.matricule, "birth_name": who.ids["family"], "first_names": who.ids["first"], "sex": "F",
        "birth_date": birth_date(who.matricule), "language": "fr", "email": who.email,
        "address": {"line": "12, rue des Tilleuls", "postal_code": "1234", "locality": "Luxembourg", "country": "LU"},
        "statement": {"version": version, "accepted": True}, "signed_on": date.today().isoformat(),
        "signed_at": "Luxembourg", **changes,
    }  # fmt: skip


@pytest.fixture
def stranger(village: Village) -> Visitor:
    return village.remember(newcomer(village.town, "stranger"))


@pytest.fixture(scope="module")
def version(village: Village) -> str:
    shown = Visitor(village.town, "x", "", "").ask("GET", "/record-requests/statement?language=de")
    assert shown["language"] == "de" and any("30 Tagen" in paragraph for paragraph in shown["text"])
    return str(shown["version"])


def test_a_stranger_asks_an_agent_checks_and_accepts_and_the_letter_lets_them_in(
    village: Village, stranger: Visitor, version: str
) -> None:
    agent, doctor = village.agent, village.professional("doctor a")
    made = stranger.ask("POST", "/record-requests", expect=201, json=form(stranger, version))
    stranger.secrets.add(made["tracking_token"])
    one, desk = f"/record-requests/{made['request_id']}", f"/agency/record-requests/{made['request_id']}"
    mine = {"Tracking-Token": made["tracking_token"]}
    assert stranger.ask("GET", one, headers=mine)["state"] == "received"
    unknown = "/record-requests/00000000-0000-7000-8000-000000000000"
    refused = [
        stranger.ask("GET", path, expect=404, headers={"Tracking-Token": token})
        for path, token in ((one, "x" * 43), (unknown, made["tracking_token"]))
    ]
    assert {answer["type"] for answer in refused} == {"urn:dsp:problem:opening_not_found"}

    listed = agent.ask("GET", "/agency/record-requests?limit=100")["requests"]
    assert made["request_id"] in {line["request_id"] for line in listed}
    doctor.ask("GET", desk, expect=403)
    doctor.ask("POST", f"{desk}/identity-check", expect=403, json=CHECK)
    assert agent.ask("GET", desk)["birth_name"] == stranger.name
    assert agent.ask("POST", f"{desk}/acceptance", expect=409)["type"] == "urn:dsp:problem:opening_check_due"
    agent.ask("POST", f"{desk}/identity-check", json=CHECK)
    accepted = agent.ask("POST", f"{desk}/acceptance")
    assert (accepted["state"], accepted["affiliated"]) == ("accepted", None)
    agent.ask("POST", f"{desk}/refusal", expect=409, json={"reason": "other"})
    stranger.ask("DELETE", one, expect=409, headers=mine)
    assert stranger.ask("GET", one, headers=mine)["state"] == "accepted"

    letter = village.town.letter(stranger.name)
    stranger.secrets.add(letter.presence_code)
    stranger.activate(letter.activation_code)
    stranger.log_in()
    [record] = stranger.ask("GET", "/records")["records"]
    wait_for(lambda: village.state(stranger, record["record_id"]) == "active" or None, "the active record")

    def printed() -> list[dict[str, Any]] | None:
        letters = agent.ask("GET", "/agency/letters?state=printed&limit=100")["letters"]
        return letters if "record_opened" in {one["occasion"] for one in letters} else None

    assert not any(one["overdue"] for one in wait_for(printed, "the letter among those that were printed"))
    doctor.ask("GET", "/agency/letters", expect=403)


def test_a_paper_form_without_a_matricule_becomes_a_record_too(
    village: Village, stranger: Visitor, version: str
) -> None:
    given = form(stranger, version, matricule=None)
    made = village.agent.ask("POST", "/agency/record-requests", expect=201, json=given)
    desk = f"/agency/record-requests/{made['request_id']}"
    village.agent.ask("POST", f"{desk}/identity-check", json={**CHECK, "document": "social_security_card"})
    assert village.agent.ask("POST", f"{desk}/acceptance")["patient_id"]
    assert village.town.letter(stranger.name).presence_code


def test_what_is_withdrawn_is_gone_and_what_is_wrong_is_not_taken(
    village: Village, stranger: Visitor, version: str
) -> None:
    made = stranger.ask("POST", "/record-requests", expect=201, json=form(stranger, version))
    one, mine = f"/record-requests/{made['request_id']}", {"Tracking-Token": made["tracking_token"]}
    stranger.ask("DELETE", one, expect=404, headers={"Tracking-Token": "x" * 43})
    stranger.ask("DELETE", one, expect=204, headers=mine)
    sheet = village.agent.ask("GET", f"/agency{one}")
    assert (sheet["state"], sheet["birth_name"], sheet["email"], sheet["address"]) == ("withdrawn", None, None, None)
    child = (date.today() - timedelta(days=17 * 365)).isoformat()
    wrong = village.agent.raw("POST", "/record-requests", headers={"Accept-Language": "en", "Authorization": ""},
                              json=form(stranger, version, matricule=None, birth_date=child))  # fmt: skip
    assert wrong.status_code == 422
    [error] = wrong.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/birth_date", "minor") and "of age" in error["message"]
