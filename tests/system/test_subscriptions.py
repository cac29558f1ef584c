"""An organisation's software subscribes by itself, through the gateway, and hears what somebody there may read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.agency import establishment
from deploy.software import Software
from deploy.visitors import Visitor, wait_for
from services.notifications import reference_subscriber
from tests.builders import pdf
from tests.system.conftest import Village

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # joserfc's word to who signs; it has a new name
SCOPE = "system/Subscription.cruds"


def installed(village: Village, hospital: str, scopes: list[str]) -> Visitor:
    """Software of a hospital, attested and with a token of its own, for nobody in person."""
    software = Software("ES384")
    software.client_id = village.agent.ask("POST", f"/organisations/{hospital}/clients", expect=201, json={
        "name": "Archivage", "version": "1", "vendor": "Logiciels du Parc", "scopes": scopes, "jwks": software.jwks,
    })["client_id"]  # fmt: skip
    for state in ("tested", "in_production"):
        village.agent.ask("POST", f"/agency/clients/{software.client_id}/state", json={"state": state})
    found = software.discover(village.town.url)
    answer = software.post(found["token_endpoint"], found["issuer"], grant_type="client_credentials")
    assert answer.status_code == 200, answer.text
    machine = Visitor(village.town, "Archivage", "", "")
    machine.tokens = answer.json()
    return machine


def subscriber(given: dict[str, Any], folder: Path, count: int) -> subprocess.Popen[str]:
    """The reference subscriber, as an integrator runs it, until it has had so many events."""
    secret = folder / "password"
    secret.write_text(given["password"])
    command = [
        sys.executable,
        str(reference_subscriber.__file__),
        "--password-file",
        str(secret),
        "--count",
        str(count),
    ]
    for name in ("host", "port", "vhost", "queue", "username"):
        command += [f"--{name}", str(given[name])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_software_subscribes_hears_of_a_deposit_and_of_its_loss_and_others_see_nothing_of_it(
    village: Village, tmp_path: Path
) -> None:
    hospital, elsewhere = (establishment(village.agent, name, "hospital") for name in ("Clinique Une", "Clinique Deux"))
    doctor, patient = village.professional("subscribed doctor", "physician", hospital), village.patient()
    machine, other = installed(village, hospital, [SCOPE]), installed(village, elsewhere, [SCOPE])
    wish = {"event_types": ["lu.dsp.document.deposited.v1"], "categories": ["care_reports"]}
    assert machine.raw("POST", "/subscriptions", json={**wish, "establishment_id": elsewhere}).status_code == 422
    given = machine.ask("POST", "/subscriptions", json=wish, expect=201)
    path = f"/subscriptions/{given['subscription_id']}"
    assert other.raw("GET", path).status_code == other.raw("DELETE", path).status_code == 404
    assert other.ask("GET", "/subscriptions")["subscriptions"] == []
    deaf = other.ask("POST", "/subscriptions", json=wish, expect=201)

    # Whoever wrote a document reads it whatever ends: it is another's, from another house.
    author = village.professional("doctor a")
    village.mandate(author, patient)
    mandate = village.mandate(doctor, patient)
    running = subscriber(given, tmp_path, count=2)
    try:
        record_id = patient.ids["record_id"]
        title = "Titre qui ne voyage pas"
        document_id = author.deposit(record_id, pdf("Suivi"), type="medical_report", title=title)["document_id"]
        wait_for(lambda: machine.ask("GET", path)["sequence"] == 1 or None, "the deposit's number")
        patient.ask("DELETE", f"/records/{record_id}/mandates/{mandate['mandate_id']}")
        first, second = running.communicate(timeout=120)[0].splitlines()
    finally:
        running.kill()
    assert running.returncode == 0
    assert document_id in first and document_id in second and title not in first + second
    assert "lu.dsp.document.deposited.v1" in first and "lu.dsp.document.no_longer_available.v1" in second
    assert json.loads(first) and patient.name not in first + second

    changed = machine.ask("PATCH", path, json={"categories": []})
    assert changed == machine.ask("GET", path) and changed["categories"] == [] and changed["sequence"] == 2
    assert other.ask("GET", f"/subscriptions/{deaf['subscription_id']}")["sequence"] == 0
    machine.ask("DELETE", path, expect=204)
    assert machine.ask("GET", path)["state"] == "ended"


def test_without_its_scope_software_has_no_subscriptions(village: Village) -> None:
    machine = installed(village, establishment(village.agent, "Clinique Trois", "hospital"), ["system/Practitioner.rs"])
    for method, path in (("POST", "/subscriptions"), ("GET", "/subscriptions")):
        body = {"json": {"event_types": ["lu.dsp.document.deposited.v1"]}} if method == "POST" else {}
        answer = machine.raw(method, path, **body)
        assert answer.status_code == 403 and answer.json()["type"].endswith("insufficient_scope")
