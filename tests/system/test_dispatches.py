"""What leaves the platform for people, on the whole of it: nothing is lost, and agents see how it went."""

from __future__ import annotations

import hashlib
from typing import Any

import requests

from deploy.agency import newcomer, open_record
from deploy.visitors import Visitor, wait_for
from tests.system.conftest import Village
from tests.system.test_record_news import times_told, told


def sent_to(village: Village, who: Visitor) -> list[dict[str, Any]]:
    found = village.agent.ask("GET", f"/agency/messages?patient_id={who.ids['patient_id']}")["messages"]
    return [one for one in found if one["channel"] == "email"]


def test_a_mailbox_that_is_away_and_a_service_that_is_killed_delay_a_message_and_lose_it_not(village: Village) -> None:
    patient, platform = village.patient(), village.platform
    before = {one["message_id"] for one in sent_to(village, patient)}
    platform.stop("mailbox")
    try:
        made = patient.ask("POST", f"/records/{patient.ids['record_id']}/presence-code")
        patient.secrets.add(made["code"])

        def tried() -> dict[str, Any] | None:
            new = [one for one in sent_to(village, patient) if one["message_id"] not in before]
            return new[0] if new and new[0]["attempts"] else None

        waiting = wait_for(tried, "the first try")
        assert (waiting["state"], waiting["cause"], waiting["about"]) == ("queued", "away", "record")
        platform.kill("notifications")
    finally:
        platform.start("mailbox")
    told(village, patient, "nouveau code de présence")
    platform.wait_ready()

    def sent() -> dict[str, Any] | None:
        [now] = village.agent.ask("GET", f"/agency/messages?message_id={waiting['message_id']}")["messages"]
        return now if now["state"] == "sent" else None

    assert [step["state"] for step in wait_for(sent, "the state of the message")["history"]] == ["queued", "sent"]
    assert times_told(village, patient, "nouveau code de présence") == 1


def test_the_print_shop_gets_a_manifest_and_leaves_no_codes_behind(village: Village) -> None:
    doctor, person = village.professional("doctor of the post"), village.remember(newcomer(village.town, "addressee"))
    open_record(village.agent, person)
    letter = village.town.letter(person.name)
    person.secrets |= {letter.activation_code, letter.presence_code}
    doctor.ask("POST", "/agency/letter-batches", json={}, expect=403)
    batch = village.agent.ask("POST", "/agency/letter-batches", json={}, expect=201)
    folder = village.platform.letters
    files = [folder / line["file"] for line in batch["letters"]]
    for line, file in zip(batch["letters"], files, strict=True):
        assert hashlib.sha256(file.read_bytes()).hexdigest() == line["sha256"]
    path = f"/agency/letter-batches/{batch['batch_id']}"
    assert village.agent.ask("GET", path) == batch
    assert village.agent.ask("POST", f"{path}/confirmation")["state"] == "confirmed"
    wait_for(lambda: not [file for file in files if file.exists()] or None, "the end of the files")
    assert not list(folder.glob(f"{batch['batch_id']}*"))
    lost = batch["letters"][-1]  # the one due last
    again = village.agent.ask("POST", f"/agency/letters/{lost['letter_id']}/reprint")
    assert again["state"] == "waiting"
    anew = village.town.letter(person.name)
    person.secrets |= {anew.activation_code, anew.presence_code}
    assert anew.activation_code != letter.activation_code and anew.presence_code != letter.presence_code
    person.activate(anew.activation_code)
    village.agent.ask("POST", f"/agency/letters/{lost['letter_id']}/reprint", expect=409)


def test_a_receipt_without_the_providers_token_says_nothing_about_any_message(village: Village) -> None:
    receipt = {"client_reference": "01890a5d-ac96-774b-bcce-b302099a8057.0123456789ab.sms", "status": "delivered"}
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic x"}, {"Authorization": "Bearer"}):
        answer = requests.post(f"{village.town.url}/api/v1/sms-receipts", json=receipt, headers=headers, timeout=30)
        assert answer.status_code == 404 and answer.json()["type"] == "urn:dsp:problem:receipt_not_taken"
    about = receipt["client_reference"][:36]
    village.professional("doctor of the post").ask("GET", f"/agency/messages?message_id={about}", expect=403)
