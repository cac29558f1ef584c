"""The persons around a holder on the whole platform: represented, sat with, assisted, set up step by step."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import requests

from deploy.agency import matricule, newcomer, open_record
from deploy.visitors import Visitor, wait_for
from tests.builders import pdf
from tests.system.conftest import Village


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:dsp:problem:")


def child_of_eleven(village: Village) -> Visitor:
    """A minor with an active record, logged in."""
    born = date(datetime.now(UTC).year - 11, 5, 17)
    person = village.remember(newcomer(village.town, "child", matricule(born, random.SystemRandom().randrange(1000))))
    record_id = open_record(village.agent, person)
    letter = village.town.letter(person.name)
    person.ids["presence_code"] = letter.presence_code
    person.secrets.add(letter.presence_code)
    person.activate(letter.activation_code)
    person.log_in()
    wait_for(lambda: village.state(person, record_id) == "active" or None, "the active record")
    return person


def represented(village: Village, holder: Visitor, by: Visitor, kind: str, who: Visitor | None = None) -> Any:
    """An agent, or whoever tries, records a representative."""
    body = {"holder_id": holder.ids["patient_id"], "patient_id": by.ids["patient_id"], "kind": kind, "proof": "acte 1"}
    return (who or village.agent).raw("POST", f"/records/{holder.ids['record_id']}/representatives", json=body)


def test_a_parent_acts_for_a_minor_until_majority_and_a_physician_lets_the_minor_decide(village: Village) -> None:
    child, mother = child_of_eleven(village), village.patient()
    doctor = village.professional("doctor of the child")
    record = f"/records/{child.ids['record_id']}"
    assert problem(represented(village, mother, child, "parent")) == (409, "representative_refused")
    assert problem(represented(village, child, mother, "parent", who=mother)) == (403, "not_allowed")
    assert problem(mother.raw("GET", record)) == (404, "record_not_found")

    made = represented(village, child, mother, "parent")
    assert made.status_code == 201, made.text
    assert made.json()["until"].startswith(f"{datetime.now(UTC).year + 7}-05-16T22:00:00")
    own, childs = mother.ask("GET", "/records")["records"]
    assert (own["ground"], childs["ground"]) == ("holder", "legal_representative")
    assert childs["record_id"] == child.ids["record_id"]
    assert childs["patient_name"].casefold() == f"{child.ids['family']} {child.ids['first']}".casefold()
    assert mother.ask("GET", record)["ground"] == "legal_representative"
    [shown] = child.ask("GET", f"{record}/representatives")["representatives"]
    assert shown["name"] and shown["proof"] is None and shown["in_force"]

    autonomy = f"{record}/autonomous-minor"
    assert problem(doctor.raw("POST", autonomy)) == (404, "record_not_found")
    village.mandate(doctor, child, expect=201)
    doctor.ask("POST", autonomy, expect=204)
    doctor.ask("DELETE", autonomy, expect=204)
    assert problem(mother.raw("POST", autonomy))[0] == 403
    village.mandate(doctor, mother, expect=201)
    of_mother = f"/records/{mother.ids['record_id']}/autonomous-minor"
    assert problem(doctor.raw("POST", of_mother)) == (409, "not_minor")

    one = f"{record}/representatives/{made.json()['representative_id']}"
    assert problem(mother.raw("DELETE", one)) == (403, "not_allowed")
    village.agent.ask("DELETE", one, expect=204)
    assert problem(mother.raw("GET", record)) == (404, "record_not_found")


def test_the_first_letter_of_a_newborn_goes_to_the_parent_named_with_the_opening(village: Village) -> None:
    mother, born = village.patient(), datetime.now(UTC).date() - timedelta(days=20)
    number = matricule(born, random.SystemRandom().randrange(1000))
    child = village.remember(newcomer(village.town, "newborn", number))
    sheet = {
        "matricule": number, "birth_name": child.ids["family"], "first_names": child.ids["first"], "sex": "F",
        "birth_date": born.isoformat(), "language": "fr",
        "address": {"line": "1, rue Neuve", "postal_code": "1234", "locality": "Luxembourg", "country": "LU"},
        "representatives": [{"patient_id": mother.ids["patient_id"], "kind": "parent", "proof": "acte de naissance"}],
    }  # fmt: skip
    opened = village.agent.ask("POST", "/agency/openings", json=sheet, expect=201)
    letter = village.town.letter(f"Représentant légal de {child.ids['first']} {child.ids['family']}")
    child.secrets |= {letter.presence_code}
    assert mother.ids["family"].casefold() in letter.text.casefold() and "rue Neuve" not in letter.text
    assert mother.ask("GET", f"/records/{opened['record_id']}")["ground"] == "legal_representative"
    theirs = mother.ask("GET", "/records")["records"][1]
    assert (theirs["record_id"], theirs["state"]) == (opened["record_id"], "open")


def test_a_curator_acts_only_while_the_holder_lets_them(village: Village) -> None:
    holder, curator = village.patient(), village.patient()
    record = f"/records/{holder.ids['record_id']}"
    made = represented(village, holder, curator, "curator").json()
    sitting = f"{record}/representatives/{made['representative_id']}/sitting"
    assert problem(curator.raw("GET", record)) == problem(curator.raw("POST", sitting)) == (404, "record_not_found")
    until = holder.ask("POST", sitting)["together_until"]
    assert datetime.fromisoformat(until) <= datetime.now(UTC) + timedelta(hours=24)
    assert curator.ask("GET", record)["ground"] == "legal_representative"
    holder.ask("DELETE", sitting, expect=204)
    assert problem(curator.raw("GET", record)) == (404, "record_not_found")


def test_an_assistant_is_invited_accepts_once_reads_along_and_goes(village: Village) -> None:
    holder, friend, other = village.patient(), village.patient(), village.patient()
    record = f"/records/{holder.ids['record_id']}"
    key = {"Idempotency-Key": f"invite-{holder.ids['record_id']}"}
    invited = holder.ask("POST", f"{record}/assistants", json={"name": "Paul"}, headers=key, expect=201)
    again = holder.ask("POST", f"{record}/assistants", json={"name": "Paul"}, headers=key, expect=201)
    assert again["assistant_id"] == invited["assistant_id"]
    holder.secrets |= {invited["code"], again["code"]}

    def accept(who: Visitor, code: str) -> requests.Response:
        return who.raw("POST", "/assistant-invitations", json={"code": code})

    assert problem(accept(holder, invited["code"])) == (403, "invitation_refused")
    accepted = accept(friend, invited["code"].lower().replace("-", " "))
    assert accepted.status_code == 201 and accepted.json()["record_id"] == holder.ids["record_id"]
    refusals = [accept(other, code).json() for code in (invited["code"], again["code"], "AAAAA-AAAAA-AAAAA-AAAAA")]
    assert len({str(sorted((key, each[key]) for key in each if key != "request_id")) for each in refusals}) == 1

    theirs = friend.ask("GET", "/records")["records"][1]
    assert (theirs["ground"], theirs["record_id"]) == ("assistant", holder.ids["record_id"])
    assert theirs["patient_name"] and theirs["grant_id"] == invited["assistant_id"]
    assert friend.ask("GET", record)["may_deposit"] == ["personal_expression"]
    made = friend.deposit(holder.ids["record_id"], pdf("De la part de Paul"), type="holder_expression", title="Paul")
    assert made["document_id"] in {each["document_id"] for each in friend.documents(holder.ids["record_id"])}
    for type in ("advance_directives", "organ_donation_statement"):
        wish = friend.raw("POST", f"{record}/uploads", json={"type": type, "title": "Paul"})
        assert problem(wish) == (403, "type_not_depositable")
    assert problem(friend.raw("GET", f"{record}/assistants")) == (403, "not_allowed")
    assert problem(friend.raw("POST", f"{record}/assistants", json={"name": "x"})) == (403, "not_allowed")
    [listed] = holder.ask("GET", f"{record}/assistants")["assistants"]
    assert (listed["name"], listed["state"]) == ("Paul", "accepted")

    setup = f"{record}/setup"
    assert holder.ask("GET", setup)["next"] == "organ_donation"
    assert holder.ask("PUT", f"{setup}/organ_donation", json={"state": "skipped"})["next"] == "circle"
    assert problem(friend.raw("PUT", f"{setup}/organ_donation", json={"state": "done"})) == (403, "not_allowed")
    assert friend.ask("PUT", f"{setup}/circle", json={"state": "done"})["steps"][1]["by"] == "assistant"
    assert problem(holder.raw("PUT", f"{setup}/closing", json={"state": "done"})) == (404, "setup_step_not_found")
    assert problem(other.raw("GET", setup)) == (404, "record_not_found")

    friend.ask("DELETE", f"{record}/assistants/{invited['assistant_id']}", expect=204)
    assert problem(friend.raw("GET", record)) == (404, "record_not_found")
    assert [each["ground"] for each in friend.ask("GET", "/records")["records"]] == ["holder"]

    def traced(entries: list[dict[str, Any]]) -> bool:
        return {"assistant.invited", "assistant.accepted", "assistant.ended"} <= {each["action"] for each in entries}

    entries = village.history(holder, traced)
    assert {each["ground"] for each in entries if each["action"] == "assistant.accepted"} == {"assistant"}
