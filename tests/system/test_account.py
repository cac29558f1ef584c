"""The account page and the forgotten password on the whole platform: real mail, real SMS files, the real link."""

from __future__ import annotations

import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
import requests

from deploy.visitors import Visitor, mail_text, wait_for
from tests.conftest import Platform
from tests.system.conftest import Village

LINK = re.compile(r"^(https?://\S+)/password-reset#([0-9a-f-]{36})\.(\S+)$", re.MULTILINE)
SMS_CODE = re.compile(r"^DSP : (\w{6}) ")


@pytest.fixture(scope="module")
def patient(village: Village) -> Visitor:
    return village.patient()


def number(who: Visitor) -> str:
    made = f"+352621{secrets.randbelow(10**6):06d}"
    who.secrets.add(made)
    return made


def sms(platform: Platform, mobile: str, seen: int = 0) -> list[dict[str, Any]]:
    """The messages to a number in the outbox folder, oldest first, once there are more than `seen`."""

    def look() -> list[dict[str, Any]] | None:
        files = sorted((platform.state / "sms").glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        found = [message for file in files if (message := json.loads(file.read_text()))["to"] == mobile]
        return found if len(found) > seen else None

    return wait_for(look, "an SMS")


def sms_code(platform: Platform, who: Visitor, mobile: str, seen: int = 0) -> str:
    found = SMS_CODE.search(sms(platform, mobile, seen)[-1]["text"])
    assert found is not None
    who.secrets.add(found[1])
    return found[1]


def told(who: Visitor, address: str, subject: str) -> EmailMessage:
    """The mail with this subject, as soon as it has reached the address."""
    return who.town.mail(address, lambda mail: mail if mail["Subject"] == subject else None, 0, subject)


def contacts(who: Visitor) -> dict[str, str]:
    return {one["value"]: one["contact_id"] for one in who.ask("GET", "/account")["contacts"]}


def add_mobile(platform: Platform, who: Visitor) -> str:
    mobile = number(who)
    sent = who.ask("POST", "/account/contacts", json={"kind": "mobile", "value": mobile}, expect=202)
    code = sms_code(platform, who, mobile)
    who.ask("POST", f"/account/contacts/{sent['challenge_id']}/proof", json={"code": code})
    return mobile


def begin(who: Visitor, channel: str, **expect: Any) -> Any:
    body = {"matricule": who.matricule, "password": who.password, "channel": channel}
    stranger = Visitor(who.town, "x", who.matricule, "x@example.lu")
    return stranger.ask("POST", "/sessions", json=body, **expect)


def forget(who: Visitor) -> tuple[str, str]:
    """Asks for a link and opens the mail it comes in: id and token."""
    seen = len(who.town.mails(who.email))
    stranger = Visitor(who.town, "x", who.matricule, "x@example.lu")
    asked = {"matricule": who.matricule, "email": who.email}
    assert stranger.ask("POST", "/password-resets", json=asked, expect=202) == {"expires_in": 1800}

    def link(mail: EmailMessage) -> re.Match[str] | None:
        return LINK.search(mail_text(mail))

    found = who.town.mail(who.email, link, seen, "the mail with the link")
    assert found[1] == who.town.url.replace("127.0.0.1", "localhost")
    page = requests.get(f"{found[1]}/password-reset", headers={"Accept-Language": "fr"}, timeout=60)
    assert page.status_code == 200 and "Choisir un nouveau mot de passe" in page.text
    who.secrets.add(found[3])
    return found[2], found[3]


def choose(who: Visitor, link: tuple[str, str], password: str, **expect: Any) -> Any:
    stranger = Visitor(who.town, "x", who.matricule, "x@example.lu")
    who.secrets.add(password)
    return stranger.ask("POST", f"/password-resets/{link[0]}", json={"token": link[1], "password": password}, **expect)


# --- the account page -------------------------------------------------------------------------------------------------


def test_the_owner_reads_and_changes_the_account_and_nobody_else(patient: Visitor) -> None:
    page = patient.ask("GET", "/account")
    assert [one["value"] for one in page["contacts"]] == [patient.email]
    assert [one["capacity"] for one in page["capacities"]] == ["patient"] and page["devices"] == 0
    assert patient.ask("PATCH", "/account", json={"language": "de"})["language"] == "de"
    assert patient.ask("PATCH", "/account", json={"language": "fr"})["language"] == "fr"
    stranger = Visitor(patient.town, "x", patient.matricule, "x@example.lu")
    for method, path in (("GET", "/account"), ("PATCH", "/account"), ("POST", "/account/contacts"),
                         ("PUT", "/account/password")):  # fmt: skip
        assert stranger.raw(method, path, json={}).status_code == 401


def test_a_changed_address_logs_in_and_the_old_one_hears_of_it_by_mail(village: Village) -> None:
    patient = village.patient()
    old, new = patient.email, f"neu.{secrets.token_hex(6)}@example.lu"
    patient.secrets |= {old, new}
    sent = patient.ask("POST", "/account/contacts", json={"kind": "email", "value": new}, expect=202)
    patient.email = new
    code = patient.one_time_code(0)
    path = f"/account/contacts/{sent['challenge_id']}/proof"
    assert patient.ask("POST", path, json={"code": "wrong!"}, expect=403)["type"].endswith("one_time_code_refused")
    patient.ask("POST", path, json={"code": code})
    assert patient.ask("POST", path, json={"code": code}, expect=403)["type"].endswith("one_time_code_refused")
    patient.ask("DELETE", f"/account/contacts/{contacts(patient)[old]}")
    assert patient.ask("DELETE", f"/account/contacts/{contacts(patient)[new]}", expect=409)["type"].endswith("contact")
    for address in (old, new):
        told(patient, address, "Une adresse a été ajoutée à votre compte")
        mail = told(patient, address, "Une adresse a été retirée de votre compte")
        assert old not in mail_text(mail) and new not in mail_text(mail)
    patient.log_in()
    assert list(contacts(patient)) == [new]


def test_a_code_by_sms_lies_in_the_outbox_folder_and_logs_in(platform: Platform, village: Village) -> None:
    patient = village.patient()
    mobile = add_mobile(platform, patient)
    told(patient, patient.email, "Une adresse a été ajoutée à votre compte")
    seen = len(sms(platform, mobile))
    begun = begin(patient, "mobile")
    code = sms_code(platform, patient, mobile, seen)
    tokens = patient.ask("POST", f"/sessions/{begun['challenge_id']}/code", json={"code": code})
    assert tokens["capacity"] == "patient" and tokens["patient_id"]
    wrong = patient.ask("POST", f"/sessions/{begun['challenge_id']}/code", json={"code": code}, expect=403)
    assert wrong["type"] == "urn:dsp:problem:one_time_code_refused"


def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(village: Village) -> None:
    patient = village.patient()
    elsewhere = Visitor(patient.town, patient.name, patient.matricule, patient.email, patient.password).log_in()
    new = f"{patient.password} deux"
    patient.secrets.add(new)
    body = {"current_password": "falsch falsch falsch", "password": new}
    assert patient.ask("PUT", "/account/password", json=body, expect=403)["type"].endswith("password_refused")
    patient.ask("PUT", "/account/password", json=body | {"current_password": patient.password}, expect=204)
    told(patient, patient.email, "Votre mot de passe a été changé")
    wait_for(lambda: elsewhere.raw("GET", "/records").status_code == 401 or None, "the end of the other session")
    assert patient.ask("GET", "/account")
    assert begin(patient, "email", expect=401)["type"].endswith("log_in_refused")
    patient.password = new
    patient.log_in()


# --- the forgotten password -------------------------------------------------------------------------------------------


def test_a_forgotten_password_is_replaced_by_the_link_and_the_mailbox_alone_does_not_get_in(
    platform: Platform, village: Village
) -> None:
    patient = village.patient()
    mobile = add_mobile(platform, patient)
    link = forget(patient)
    wrong = choose(patient, (link[0], "x" * 43), "cinq hérissons violets", expect=403)
    assert wrong["type"] == "urn:dsp:problem:password_reset_refused"
    assert choose(patient, link, "password1234", expect=422)["type"].endswith("password_too_common")
    new = f"{patient.password} trois"
    assert choose(patient, link, new) == {"next": {"channels": ["mobile"], "mail_codes_from": None}}
    again = choose(patient, link, "six hérissons violets", expect=403)
    assert again["type"] == wrong["type"], "a link works once"
    wait_for(lambda: patient.raw("GET", "/records").status_code == 401 or None, "the end of the session")
    told(patient, patient.email, "Un nouveau mot de passe a été choisi pour votre compte")
    assert begin(patient, "email", expect=401)["type"].endswith("log_in_refused"), "the old password is worth nothing"
    patient.password = new
    barred = begin(patient, "email", expect=409)
    assert barred["type"] == "urn:dsp:problem:channel_not_available" and barred["channels"] == ["mobile"]
    seen = len(sms(platform, mobile))
    begun = begin(patient, "mobile")
    patient.tokens = {}
    patient.ask("POST", f"/sessions/{begun['challenge_id']}/code",
                json={"code": sms_code(platform, patient, mobile, seen)})  # fmt: skip
    patient.log_in()  # by mail: the other factor has lifted the bar


def test_where_mail_is_all_there_is_a_day_passes_before_it_opens_the_account(village: Village) -> None:
    patient = village.patient()
    link = forget(patient)
    patient.password = f"{patient.password} quatre"
    following = choose(patient, link, patient.password)["next"]
    assert following["channels"] == ["email"]
    left = datetime.fromisoformat(following["mail_codes_from"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=55) < left <= timedelta(hours=24)
    assert begin(patient, "email", expect=409)["type"].endswith("channel_not_available")
    assert begin(patient, "mobile", expect=409)["type"].endswith("channel_not_available")


def test_a_link_used_twice_is_refused(village: Village) -> None:
    patient = village.patient()
    link = forget(patient)
    choose(patient, link, "cinq hérissons violets")
    refused = choose(patient, link, "six hérissons violets", expect=403)
    assert refused["type"] == "urn:dsp:problem:password_reset_refused"


def test_who_has_no_account_gets_the_same_answer_and_no_mail(patient: Visitor) -> None:
    nobody = Visitor(patient.town, "x", "1990010112347", f"nobody.{secrets.token_hex(4)}@example.lu")
    for matricule, email in ((nobody.matricule, nobody.email), (patient.matricule, nobody.email)):
        asked = {"matricule": matricule, "email": email}
        assert nobody.ask("POST", "/password-resets", json=asked, expect=202) == {"expires_in": 1800}
    forget(patient)  # its mail has come: those before it would have, too
    assert patient.town.mails(nobody.email) == []
