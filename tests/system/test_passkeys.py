"""Passkeys through the gateway, with a device in software."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from deploy.visitors import Visitor, wait_for
from tests.authenticator import Authenticator
from tests.system.conftest import Village


class Phone:
    """A patient's phone with a passkey for this platform."""

    def __init__(self, village: Village) -> None:
        self.who: Visitor = village.patient()
        self.device = Authenticator(village.town.url, counts=False, copied=True)
        begun = self.who.ask("POST", "/account/passkeys/options", expect=201)
        made = self.device.create(begun["public_key"])
        body = {"ceremony_id": begun["ceremony_id"], "credential": made, "name": "Mon téléphone"}
        self.added = self.who.ask("POST", "/account/passkeys", json=body, expect=201)

    def log_in(self, device: Authenticator | None = None, **signing: Any) -> Any:
        begun = self.who.ask("POST", "/sessions/passkey/options", expect=201)
        shown = (device or self.device).get(begun["public_key"], **signing)
        body = {"ceremony_id": begun["ceremony_id"], "credential": shown, "stay_connected": True}
        return self.who.raw("POST", "/sessions/passkey", json=body)


@pytest.fixture(scope="module")
def phone(village: Village) -> Phone:
    return Phone(village)


def test_a_phone_opens_the_account_by_itself(phone: Phone) -> None:
    answer = phone.log_in()
    assert answer.status_code == 201
    phone.who._keep(answer.json())
    assert phone.who.ask("GET", "/sessions/current")["capacity"] == "patient"
    (listed,) = phone.who.ask("GET", "/account/devices")["devices"]
    assert (listed["device_id"], listed["name"], listed["backed_up"]) == (
        phone.added["device_id"], "Mon téléphone", True,
    )  # fmt: skip
    assert listed["last_used_at"]


def test_what_another_site_or_another_device_signs_opens_nothing(village: Village, phone: Phone) -> None:
    for signing in ({"origin": "http://localhost.example"}, {"verified": False}, {"owner": b"x" * 32}):
        refused = phone.log_in(**signing)
        assert refused.status_code == 401, signing
        assert refused.json()["type"] == "urn:dsp:problem:passkey_refused"
    assert phone.log_in().status_code == 201


def test_a_strangers_wrong_passwords_do_not_shut_out_whoever_has_the_phone(phone: Phone) -> None:
    attempts = []
    for _ in range(7):
        body = {"matricule": phone.who.matricule, "password": "certainement pas celui-ci"}
        attempts.append(phone.who.raw("POST", "/sessions", json=body).status_code)
    assert attempts[0] == 401 and attempts[-1] == 429
    assert phone.log_in().status_code == 201


def test_the_owner_is_told_of_the_phone_and_a_removed_one_opens_nothing(village: Village) -> None:
    phone = Phone(village)

    def told(times: int) -> bool | None:
        """Activation and log-in sent a code each; what comes after them are the notices."""
        return len(village.town.mails(phone.who.email)) >= 2 + times or None

    wait_for(lambda: told(1), "the mail about the phone")
    path = f"/account/devices/{phone.added['device_id']}"
    assert phone.who.ask("PATCH", path, json={"name": "Ancien téléphone"})["name"] == "Ancien téléphone"
    phone.who.ask("DELETE", path, expect=204)
    phone.who.ask("DELETE", path, expect=404)
    assert phone.log_in().status_code == 401
    wait_for(lambda: told(2), "the mail about the removal")


def test_another_account_neither_sees_nor_removes_the_phone(village: Village, phone: Phone) -> None:
    other = village.patient()
    assert other.ask("GET", "/account/devices")["devices"] == []
    other.ask("DELETE", f"/account/devices/{phone.added['device_id']}", expect=404)
    other.ask("PATCH", f"/account/devices/{phone.added['device_id']}", json={"name": "x"}, expect=404)
    assert phone.log_in().status_code == 201


def test_both_ways_of_the_log_in_say_who_and_with_what_in_the_audit_trail(village: Village, phone: Phone) -> None:
    phone.log_in()
    url = village.platform.settings("audit").database_url.replace("+psycopg2", "")

    def purposes() -> set[str] | None:
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select distinct purpose, outcome, reason from entries"
                " where action = 'session.opened' and account_id = %s",
                (phone.who.tokens["account_id"],),
            )
            found = {f"{purpose or reason} {outcome}" for purpose, outcome, reason in cursor.fetchall()}
        return found if {"passkey allowed", "password email allowed"} <= found else None

    assert wait_for(purposes, "the traces of both log-ins")
