"""Deliveries through the API: tried out, played again, resumed; webhooks asked first; keys for everybody to check."""

from __future__ import annotations

import json
from typing import Any

import pika
import requests

from deploy.agency import establishment
from tests.builders import pdf
from tests.system.conftest import Village

DEPOSITED = "lu.dsp.document.deposited.v1"


def taken(given: dict[str, Any]) -> dict[str, Any]:
    """The next event in a subscriber's queue."""
    login = pika.PlainCredentials(given["username"], given["password"])
    address = pika.ConnectionParameters(given["host"], given["port"], given["vhost"], login)
    with pika.BlockingConnection(address) as connection:
        channel = connection.channel()
        for method, _properties, body in channel.consume(given["queue"], inactivity_timeout=60):
            assert method is not None, "no event came"
            channel.basic_ack(method.delivery_tag)
            channel.cancel()
            event: dict[str, Any] = json.loads(body)
            return event
    raise AssertionError("the queue is gone")


def test_a_subscription_is_tried_out_played_again_and_resumed(village: Village) -> None:
    agent = village.agent
    place = establishment(agent, "Clinique des Essais", "hospital")
    doctor, patient = village.professional("replayed doctor", "physician", place), village.patient()
    given = agent.ask("POST", "/subscriptions", json={"establishment_id": place, "event_types": [DEPOSITED]})
    path = f"/subscriptions/{given['subscription_id']}"

    tried = agent.ask("POST", f"{path}/test")
    assert tried["delivered"] is True and tried["cause"] is None
    assert taken(given)["type"] == "lu.dsp.subscription.tested.v1"

    village.mandate(doctor, patient)
    doctor.deposit(patient.ids["record_id"], pdf("Suivi"), type="medical_report", title="Suivi")
    event = taken(given)
    assert (event["type"], event["sequence"]) == (DEPOSITED, "1")
    replayed = agent.ask("POST", f"{path}/replay", json={"from_sequence": 1})
    assert (replayed["events"], replayed["first_sequence"], replayed["last_sequence"]) == (1, 1, 1)
    assert taken(given) == event
    assert agent.raw("POST", f"{path}/replay", json={}).status_code == 422
    assert agent.ask("POST", f"{path}/resume") == {
        "subscription_id": given["subscription_id"], "delivery": "active", "waiting": 0,
    }  # fmt: skip
    for action in ("test", "resume"):
        assert patient.raw("POST", f"{path}/{action}").status_code == 403


def test_a_subscription_hears_of_what_the_chosen_house_deposited_and_every_reader_sees_where(village: Village) -> None:
    agent, patient = village.agent, village.patient()
    near, far = (establishment(agent, name, "laboratory") for name in ("Laboratoire Proche", "Laboratoire Lointain"))
    here = village.professional("doctor of here", "physician", near)
    there = village.professional("doctor of there", "physician", far)
    for doctor in (here, there):
        village.mandate(doctor, patient)
    wish = {"establishment_id": near, "event_types": [DEPOSITED]}
    refused = agent.raw("POST", "/subscriptions", json={**wish, "establishments": [far, patient.ids["record_id"]]})
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/establishments/1"]
    given = agent.ask("POST", "/subscriptions", json={**wish, "establishments": [far]})
    path = f"/subscriptions/{given['subscription_id']}"
    assert agent.ask("GET", path)["establishments"] == [far]

    def deposit(doctor: Any) -> str:
        made = doctor.deposit(patient.ids["record_id"], pdf("Suivi"), type="medical_report", title="Suivi")
        return str(made["document_id"])

    unheard, told = deposit(here), deposit(there)
    event = taken(given)
    assert (event["data"]["document_id"], event["data"]["establishment_id"]) == (told, far)
    assert event["sequence"] == "1", "what was deposited before it elsewhere has no number here"
    assert agent.ask("PATCH", path, json={"establishments": []})["establishments"] == []
    third = deposit(here)
    event = taken(given)
    assert (event["data"]["document_id"], event["data"]["establishment_id"], event["sequence"]) == (third, near, "2")

    shown = {one["document_id"]: (one["establishment_id"], one["establishment_name"]) for one in
             patient.ask("GET", f"/records/{patient.ids['record_id']}/documents")["documents"]}  # fmt: skip
    of_near, of_far = (near, "Laboratoire Proche"), (far, "Laboratoire Lointain")
    assert shown == {unheard: of_near, told: of_far, third: of_near}
    [version] = here.ask("GET", f"/documents/{told}/versions")["versions"]
    assert (version["establishment_id"], version["establishment_name"]) == of_far
    assert here.ask("GET", f"/documents/{told}")["establishment_name"] == "Laboratoire Lointain"


def test_a_webhook_that_leads_inside_is_refused_and_the_keys_are_everybodys(village: Village) -> None:
    place = establishment(village.agent, "Clinique du Crochet", "hospital")
    wish = {"establishment_id": place, "event_types": [DEPOSITED], "webhook": "https://127.0.0.1:8443/"}
    answer = village.agent.raw("POST", "/subscriptions", json=wish)
    assert answer.status_code == 422 and answer.json()["type"].endswith("webhook_refused")
    assert answer.json()["cause"] == "address"
    keys = requests.get(f"{village.town.url}/api/v1/subscriptions/jwks", timeout=60).json()["keys"]
    assert [(key["kty"], key["crv"], key["use"], key["alg"]) for key in keys] == [("OKP", "Ed25519", "sig", "Ed25519")]
