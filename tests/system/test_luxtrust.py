"""LuxTrust through the gateway, with a browser's cookies, against the stack's own issuer."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from deploy.luxtrust_visit import LuxTrustRefused, card_of, luxtrust, way_back
from deploy.visitors import UnexpectedAnswer, Visitor, wait_for
from tests.conftest import Platform
from tests.system.conftest import Village


@pytest.fixture
def doctor(village: Village) -> Visitor:
    """A professional whose LuxTrust card was the first step of their activation."""
    return village.professional("luxtrust doctor")


def begin(who: Visitor) -> Any:
    begun = who.ask("POST", "/sessions/luxtrust", expect=201)
    who.secrets |= {begun["log_in_token"], *who.http.cookies.values()}
    return begun


def finish(who: Visitor, begun: Any, **choice: Any) -> requests.Response:
    body = {"log_in_token": begun["log_in_token"]} | choice
    return who.raw("POST", f"/sessions/luxtrust/{begun['flow_id']}", json=body)


def back_from(who: Visitor, begun: Any) -> str:
    """The address LuxTrust sends the browser to, with every secret in it noted."""
    back = way_back(who.http, begun["authorization_url"], card_of(who))
    query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
    who.secrets |= {query["code"], query["state"]}
    return back


def test_a_professional_comes_in_with_the_card_of_the_activation(village: Village, doctor: Visitor) -> None:
    begun = begin(doctor)
    assert finish(doctor, begun).json()["type"] == "urn:dsp:problem:luxtrust_pending"
    page = doctor.http.get(back_from(doctor, begun), timeout=30, allow_redirects=False)
    assert page.status_code == 200 and page.headers["Content-Language"] == "fr" and "<script" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert not doctor.http.cookies, "the cookie is gone once it has served"
    tokens = finish(doctor, begun, capacity="professional")
    assert tokens.status_code == 201
    doctor._keep(tokens.json())
    assert doctor.ask("GET", "/sessions/current")["capacity"] == "professional"
    assert finish(doctor, begun).status_code == 401, "once"
    assert doctor.http.get(back_from(doctor, begin(doctor)) + "x", timeout=120).status_code == 400


def test_another_browser_does_not_come_back_in_somebodys_place(doctor: Visitor) -> None:
    begun = begin(doctor)
    back = back_from(doctor, begun)
    with requests.Session() as elsewhere:
        refused = elsewhere.get(back, timeout=120)
    assert refused.status_code == 400 and refused.headers["Content-Type"].startswith("text/html")
    assert finish(doctor, begun).status_code == 409
    assert doctor.http.get(back, timeout=120).status_code == 200
    assert finish(doctor, begun).status_code == 201


def test_a_wrong_pin_leads_nowhere(doctor: Visitor) -> None:
    begun = begin(doctor)
    with pytest.raises(LuxTrustRefused):
        luxtrust(doctor, begun["authorization_url"], pin="0")
    assert finish(doctor, begun).status_code == 409
    luxtrust(doctor, begun["authorization_url"])
    assert finish(doctor, begun).status_code == 201


def test_a_patient_links_a_card_logs_in_with_it_is_told_and_unlinks_it(village: Village) -> None:
    patient = village.patient()
    seen = len(village.town.mails(patient.email))
    begun = patient.ask("POST", "/account/luxtrust", expect=201)
    luxtrust(patient, begun["authorization_url"])
    wait_for(lambda: len(village.town.mails(patient.email)) > seen or None, "the mail about the card")
    (product,) = patient.ask("GET", "/account")["luxtrust"]
    begun = begin(patient)
    luxtrust(patient, begun["authorization_url"])
    assert finish(patient, begun).json()["patient_id"]
    patient.ask("DELETE", f"/account/luxtrust/{product['product_id']}", expect=204)
    patient.ask("DELETE", f"/account/luxtrust/{product['product_id']}", expect=404)
    begun = begin(patient)
    luxtrust(patient, begun["authorization_url"])
    refused = finish(patient, begun)
    assert refused.status_code == 401 and refused.json()["type"] == "urn:dsp:problem:log_in_refused"


def test_the_card_of_one_account_opens_no_other(village: Village, doctor: Visitor) -> None:
    patient = village.patient()
    patient.ids |= {name: doctor.ids[name] for name in ("card", "card_pin", "card_subject")}
    begun = patient.ask("POST", "/account/luxtrust", expect=201)
    with pytest.raises(LuxTrustRefused, match="409"):
        luxtrust(patient, begun["authorization_url"])
    assert patient.ask("GET", "/account")["luxtrust"] == []


def test_a_journey_outlives_the_end_of_identity_between_return_and_finish(platform: Platform, doctor: Visitor) -> None:
    begun = begin(doctor)
    luxtrust(doctor, begun["authorization_url"])
    platform.kill("identity")
    platform.wait_ready()
    assert finish(doctor, begun).status_code == 201


@contextmanager
def hanging(platform: Platform) -> Iterator[None]:
    """LuxTrust takes connections and answers nothing."""
    leader = platform.pid("luxtrust")
    os.killpg(leader, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(leader, signal.SIGCONT)


def test_a_luxtrust_that_hangs_holds_up_its_own_visitors_only(platform: Platform, doctor: Visitor) -> None:
    begun = begin(doctor)
    back = back_from(doctor, begun)
    slowest = 0.0
    pages: list[requests.Response] = []
    with hanging(platform):
        coming = threading.Thread(target=lambda: pages.append(doctor.http.get(back, timeout=120)))
        coming.start()
        while coming.is_alive():
            at = time.monotonic()
            doctor.ask("GET", "/account/devices")
            slowest = max(slowest, time.monotonic() - at)
            time.sleep(0.05)
        coming.join()
    assert pages[0].status_code == 503 and pages[0].headers["Content-Type"].startswith("text/html")
    assert slowest < 2, f"a neighbour waited {slowest:.1f} s"
    assert finish(doctor, begun).status_code == 401, "the journey is over"
    begun = begin(doctor)
    luxtrust(doctor, begun["authorization_url"])
    assert finish(doctor, begun).status_code == 201


def test_without_luxtrust_the_password_still_opens(platform: Platform, doctor: Visitor) -> None:
    platform.stop("luxtrust")
    try:
        begun = begin(doctor)  # what the issuer says of itself is remembered
        with pytest.raises(requests.ConnectionError):
            luxtrust(doctor, begun["authorization_url"])
        doctor.log_in("professional")
        platform.restart("identity")
        platform.wait_ready()
        with pytest.raises(UnexpectedAnswer, match="503 urn:dsp:problem:unavailable"):
            begin(doctor)
    finally:
        platform.start("luxtrust")
    wait_for(lambda: doctor.raw("POST", "/sessions/luxtrust").ok or None, "LuxTrust again")


def test_no_secret_of_a_journey_is_in_any_log(platform: Platform, village: Village, doctor: Visitor) -> None:
    begun = begin(doctor)
    doctor.http.get(back_from(doctor, begun), timeout=120)
    tokens = finish(doctor, begun).json()
    secrets = doctor.secrets | {tokens["access_token"], tokens["refresh_token"], doctor.ids["card_subject"]}
    time.sleep(0.5)
    for process in ("gateway", "identity", "luxtrust", "notifications", "audit"):
        text = "\n".join(platform.log_lines(process))
        assert not [secret for secret in secrets if secret in text], process
