"""Passkeys over a real database, with a device in software: registration, log-in, devices; what is not believed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.db import new_id, now
from services.identity.contract import (
    AccountLocked,
    DeviceNotFound,
    LogInRefused,
    PasskeyRefused,
    ReauthenticationDue,
    TooManyDevices,
)
from services.identity.models import Account, LogInSession, TriesRow
from services.identity.models_desk import Notice
from services.identity.models_factors import Ceremony, Passkey
from services.identity.ports.webauthn import RelyingParty
from services.identity.rules_factors import PASSKEYS_AT_MOST
from services.refusals import InvalidInput, TooManyTries
from services.tokens import Caller
from tests.authenticator import Authenticator, raw, text
from tests.services.identity_house import KEY, PASSWORD, Front, Person, refused

ORIGIN = "http://localhost:8080"


@pytest.fixture(autouse=True)
def site(front: Front) -> Iterator[None]:
    front.house.identity.relying_party = RelyingParty(ORIGIN)
    yield


class Owner:
    """Somebody with an account, a device, and a session with which the device was added."""

    def __init__(self, front: Front, who: Person | None = None, device: Authenticator | None = None) -> None:
        self.front = front
        self.who = who or front.member(front.patient())
        self.caller: Caller = front.session(self.who)
        self.device = device or Authenticator(ORIGIN)

    def add(self, name: str = "Mon téléphone", **changes: Any) -> dict[str, Any]:
        begun = self.front.ask("start_passkey", self.caller)
        made = self.device.create(begun["public_key"], **changes)
        return self.keep(begun["ceremony_id"], made, name)

    def keep(self, ceremony_id: str, made: dict[str, Any], name: str = "x", caller: Caller | None = None) -> Any:
        return self.front.ask("add_passkey", caller or self.caller, ceremony_id=ceremony_id, credential=made, name=name)

    def options(self) -> dict[str, Any]:
        return dict(self.front.ask("start_passkey_log_in", self.who.at()))

    def log_in(self, begun: dict[str, Any] | None = None, shown: dict[str, Any] | None = None, **choice: Any) -> Any:
        begun = begun or self.options()
        shown = self.device.get(begun["public_key"]) if shown is None else shown
        return self.front.ask("log_in_with_passkey", self.who.at(), ceremony_id=begun["ceremony_id"],
                              credential=shown, **choice)  # fmt: skip

    def devices(self) -> list[dict[str, Any]]:
        return list(self.front.ask("list_devices", self.caller)["devices"])


@pytest.fixture
def owner(front: Front) -> Owner:
    return Owner(front)


def test_a_device_once_added_logs_its_owner_in_without_password_and_code(owner: Owner, front: Front) -> None:
    device = owner.add()
    given = owner.log_in(stay_connected=True)
    me = front.caller_of(given["access_token"])
    assert me.account_id == owner.caller.account_id and me.patient_id == owner.who.patient_id
    kept = front.one(sa.select(LogInSession).where(LogInSession.session_id == me.session_id))
    assert (kept.factors, kept.stay_connected) == ("passkey", True)
    opened = front.traces(owner.who.address, "session.opened")
    assert opened[-1]["purpose"] == "passkey" and opened[-1]["outcome"] == "allowed"
    (listed,) = owner.devices()
    assert listed["device_id"] == device["device_id"] and listed["name"] == "Mon téléphone"
    assert device["last_used_at"] is None and listed["last_used_at"] is not None


def test_a_device_that_is_shown_again_by_the_request_whose_worker_died_gives_the_same_session(
    owner: Owner, front: Front
) -> None:
    owner.add()
    begun = owner.options()
    said = {"ceremony_id": begun["ceremony_id"], "credential": owner.device.get(begun["public_key"])}
    asked = owner.who.at()
    lost = front.ask("log_in_with_passkey", asked, **said)
    again = front.ask("log_in_with_passkey", replace(asked, redelivered=True), **said)
    assert again["session_id"] == lost["session_id"] and again["refresh_token"] != lost["refresh_token"]
    for other in (asked, replace(owner.who.at(), redelivered=True)):
        refused(PasskeyRefused, lambda other=other: front.ask("log_in_with_passkey", other, **said))


def test_the_options_name_nobody_and_ask_for_the_owner_to_be_verified(owner: Owner, front: Front) -> None:
    begun = front.ask("start_passkey", owner.caller)["public_key"]
    assert begun["authenticatorSelection"] == {
        "residentKey": "required", "requireResidentKey": True, "userVerification": "required",
    }  # fmt: skip
    assert owner.caller.account_id not in json.dumps(begun) and begun["attestation"] == "none"
    asked = owner.options()["public_key"]
    assert asked["userVerification"] == "required" and not asked.get("allowCredentials")


def test_a_device_that_is_known_is_named_so_that_it_makes_no_second_key(owner: Owner) -> None:
    owner.add()
    with pytest.raises(LookupError):
        owner.add()


def test_the_owner_is_told_when_a_device_is_added_and_when_it_is_removed(owner: Owner, front: Front) -> None:
    device = owner.add()
    front.ask("remove_device", owner.caller, device_id=device["device_id"])
    about = sa.select(sa.func.array_agg(Notice.occasion)).where(Notice.object_id == device["device_id"])
    assert sorted(front.one(about)) == ["passkey_added", "passkey_removed"]
    traces = [t for t in front.events("access_traced.v1") if t["object_id"] == device["device_id"]]
    assert [t["action"] for t in traces] == ["passkey.added", "passkey.removed"]


def test_a_removed_device_opens_nothing_any_more(owner: Owner, front: Front) -> None:
    device = owner.add()
    begun = owner.options()
    assert owner.log_in()["access_token"]
    front.ask("remove_device", owner.caller, device_id=device["device_id"])
    refused(PasskeyRefused, lambda: owner.log_in(begun))
    assert owner.devices() == []


def test_a_signature_works_once_even_when_it_arrives_a_hundred_times_at_once(owner: Owner, front: Front) -> None:
    owner.add()
    begun = owner.options()
    shown = owner.device.get(begun["public_key"])

    def attempt(_: int) -> str:
        try:
            owner.log_in(begun, shown)
        except PasskeyRefused:
            return "refused"
        return "opened"

    with ThreadPoolExecutor(12) as many:
        outcomes = Counter(many.map(attempt, range(100)))
    assert outcomes == {"opened": 1, "refused": 99}


def test_a_copied_key_whose_counter_went_back_is_refused_and_traced(owner: Owner, front: Front) -> None:
    owner.add()
    owner.log_in(), owner.log_in()
    owner.device.passkeys[0].count = 0
    refused(PasskeyRefused, owner.log_in)
    assert front.traces(owner.who.address, "session.opened", "passkey_refused")
    owner.device.passkeys[0].count = 7
    assert owner.log_in()["access_token"]


def test_a_device_that_does_not_count_logs_in_again_and_again(front: Front) -> None:
    phone = Owner(front, device=Authenticator(ORIGIN, counts=False, copied=True))
    assert phone.add()["backed_up"] is True
    assert phone.log_in()["access_token"] and phone.log_in()["access_token"]


def crooked(owner: Owner) -> dict[str, Any]:
    """Everything that is wrong with a log-in, each made by somebody who has all but one thing right."""
    stranger = Owner(owner.front)
    stranger.add()
    device = owner.device

    def shown(**changes: Any) -> Any:
        begun = owner.options()
        return lambda: owner.log_in(begun, device.get(begun["public_key"], **changes))

    def changed(change: Any) -> Any:
        begun = owner.options()
        credential = deepcopy(device.get(begun["public_key"]))
        change(credential)
        return lambda: owner.log_in(begun, credential)

    def of_another_ceremony() -> Any:
        first, second = owner.options(), owner.options()
        return lambda: owner.log_in(first, device.get(second["public_key"]))

    def of_a_registration() -> Any:
        begun = owner.front.ask("start_passkey", owner.caller)
        options = {"rpId": begun["public_key"]["rp"]["id"], "challenge": begun["public_key"]["challenge"]}
        return lambda: owner.log_in({"ceremony_id": begun["ceremony_id"]}, device.get(options))

    def too_late() -> Any:
        begun = owner.options()
        chosen = sa.update(Ceremony).where(Ceremony.ceremony_id == begun["ceremony_id"])
        owner.front.change(chosen.values(expires_at=now() - timedelta(seconds=1)))
        return lambda: owner.log_in(begun)

    def with_another_signature(credential: Any) -> None:
        signature = bytearray(raw(credential["response"]["signature"]))
        signature[-1] ^= 1
        credential["response"]["signature"] = text(bytes(signature))

    def of_the_strangers_key(credential: Any) -> None:
        name = text(stranger.device.passkeys[0].credential_id)
        credential["id"] = credential["rawId"] = name

    return {
        "another site": shown(origin="http://localhost.example:8080"),
        "no PIN, fingerprint or face": shown(verified=False),
        "somebody else's handle": shown(owner=b"x" * 32),
        "another ceremony": of_another_ceremony(),
        "a registration": of_a_registration(),
        "an expired ceremony": too_late(),
        "a broken signature": changed(with_another_signature),
        "another credential": changed(of_the_strangers_key),
        "an unknown credential": changed(lambda c: c.update(id="AAAA", rawId="AAAA")),
        "no credential": changed(lambda c: c.clear()),
        "rubbish": changed(lambda c: c.update(response={"clientDataJSON": "?", "userHandle": 7})),
        "a flood": changed(lambda c: c.update(more="x" * 100_000)),
        "an unknown ceremony": lambda: owner.log_in(owner.options() | {"ceremony_id": new_id()}),
        "no ceremony": lambda: owner.log_in(owner.options() | {"ceremony_id": "x"}),
    }


def test_whatever_is_wrong_with_a_log_in_is_one_and_the_same_refusal(owner: Owner) -> None:
    owner.add()
    for what, attempt in crooked(owner).items():
        try:
            attempt()
        except PasskeyRefused as refusal:
            assert refusal.detail == {}, what
        else:
            raise AssertionError(f"{what} came in")
    owner.device.passkeys[-1].count = 100
    assert owner.log_in()["access_token"], "and the owner still comes in"


def test_a_wrong_choice_of_capacity_leaves_the_signature_good_for_another(owner: Owner) -> None:
    owner.add()
    begun = owner.options()
    shown = owner.device.get(begun["public_key"])
    refused(InvalidInput, lambda: owner.log_in(begun, shown, capacity="agent"))
    assert owner.log_in(begun, shown, capacity="patient")["capacity"] == "patient"


def test_a_strangers_wrong_passwords_never_shut_out_the_owner_with_a_passkey(owner: Owner, front: Front) -> None:
    owner.add()
    for _ in range(6):
        with pytest.raises((LogInRefused, TooManyTries)):
            front.challenge(owner.who, "wrong")
    refused(TooManyTries, lambda: front.challenge(owner.who, PASSWORD))  # from the owner's own address, even
    assert owner.log_in()["access_token"]


def test_a_locked_account_is_told_so_only_to_who_has_the_device(owner: Owner, front: Front) -> None:
    owner.add()
    lock = sa.update(Account).where(Account.account_id == owner.caller.account_id)
    front.change(lock.values(locked_at=now(), lock_cause="lost_device"))
    refused(PasskeyRefused, lambda: owner.log_in(shown=owner.device.get(owner.options()["public_key"])))
    refused(AccountLocked, owner.log_in)


def test_an_address_that_asks_without_end_has_to_wait_and_no_other_has(owner: Owner, front: Front) -> None:
    owner.add()
    flood = front.person()
    with pytest.raises(TooManyTries):
        for _ in range(200):
            front.ask("start_passkey_log_in", flood.at())
    assert owner.log_in()["access_token"]


def test_a_log_in_that_ends_well_gives_its_try_back_and_one_that_does_not_keeps_counting(
    owner: Owner, front: Front
) -> None:
    owner.add()
    key = KEY.throttle_key("passkey", owner.who.address)
    counted = sa.select(TriesRow.checked).where(TriesRow.key == key)
    for _ in range(3):
        assert owner.log_in()["access_token"]
        assert front.one(counted) == 0
    front.ask("start_passkey_log_in", owner.who.at())
    assert front.one(counted) == 1
    assert owner.log_in()["access_token"]
    assert front.one(counted) == 1


# --- registration -----------------------------------------------------------------------------------------------------


def test_only_the_session_that_began_a_registration_finishes_it_and_once(owner: Owner, front: Front) -> None:
    again, other = front.session(owner.who), Owner(front)
    begun = front.ask("start_passkey", owner.caller)
    made = owner.device.create(begun["public_key"])
    for caller in (again, other.caller):
        refused(PasskeyRefused, lambda caller=caller: owner.keep(begun["ceremony_id"], made, caller=caller))
    assert owner.keep(begun["ceremony_id"], made)["device_id"]
    refused(PasskeyRefused, lambda: owner.keep(begun["ceremony_id"], made))
    assert len(owner.devices()) == 1 and other.devices() == []


def test_a_repeat_under_the_same_key_gets_the_first_answer(owner: Owner, front: Front) -> None:
    begun = front.ask("start_passkey", owner.caller)
    made = owner.device.create(begun["public_key"])
    keyed = replace(owner.caller, context=replace(owner.caller.context, idempotency_key=new_id()))
    first = owner.keep(begun["ceremony_id"], made, caller=keyed)
    assert owner.keep(begun["ceremony_id"], made, caller=keyed) == first
    assert len(owner.devices()) == 1


def test_a_registration_that_is_not_for_us_or_not_verified_is_refused(owner: Owner, front: Front) -> None:
    for changes in ({"origin": "http://elsewhere.example"}, {"verified": False}):
        refused(PasskeyRefused, lambda changes=changes: owner.add(**changes))  # type: ignore[misc]
    begun = front.ask("start_passkey", owner.caller)
    signed = owner.device.get({"rpId": "localhost", "challenge": begun["public_key"]["challenge"]})
    refused(PasskeyRefused, lambda: owner.keep(begun["ceremony_id"], signed))
    for credential in ({}, {"id": 7}, {"response": []}):
        refused(PasskeyRefused, lambda credential=credential: owner.keep(begun["ceremony_id"], credential))
    refused(PasskeyRefused, lambda: owner.keep("x", {}))
    refused(InvalidInput, lambda: owner.keep(begun["ceremony_id"], []))  # type: ignore[arg-type]
    assert owner.devices() == []


def test_the_credential_of_one_account_is_never_added_to_another(owner: Owner, front: Front) -> None:
    owner.add()
    thief = Owner(front)
    known = owner.device.passkeys[0].credential_id
    begun = front.ask("start_passkey", thief.caller)
    made = thief.device.create(begun["public_key"])
    row = sa.update(Passkey).where(Passkey.credential_id == known)
    front.change(row.values(credential_id=thief.device.passkeys[0].credential_id))
    refused(PasskeyRefused, lambda: thief.keep(begun["ceremony_id"], made))
    assert thief.devices() == [] and len(owner.devices()) == 1


@pytest.mark.parametrize("call", ["start_passkey", "add_passkey", "remove_device"])
def test_an_old_log_in_must_be_renewed_before_devices_change(owner: Owner, front: Front, call: str) -> None:
    device = owner.add()
    begun = front.ask("start_passkey", owner.caller)
    made = Authenticator(ORIGIN).create(begun["public_key"])
    calls = {
        "start_passkey": {},
        "add_passkey": {"ceremony_id": begun["ceremony_id"], "credential": made, "name": "x"},
        "remove_device": {"device_id": device["device_id"]},
    }
    ago = sa.update(LogInSession).where(LogInSession.session_id == owner.caller.session_id)
    front.change(ago.values(authenticated_at=now() - timedelta(minutes=16)))
    refused(ReauthenticationDue, lambda: front.ask(call, owner.caller, **calls[call]))
    front.change(ago.values(authenticated_at=now() - timedelta(minutes=14)))
    front.ask(call, owner.caller, **calls[call])


def test_an_account_has_a_bounded_number_of_devices(owner: Owner, front: Front) -> None:
    begun = front.ask("start_passkey", owner.caller)
    made = owner.device.create(begun["public_key"])
    for _ in range(PASSKEYS_AT_MOST):
        owner.device = Authenticator(ORIGIN)
        owner.add()
    assert refused(TooManyDevices, owner.add).detail == {"maximum": PASSKEYS_AT_MOST}
    refused(TooManyDevices, lambda: owner.keep(begun["ceremony_id"], made))
    assert len(owner.devices()) == PASSKEYS_AT_MOST


def test_a_device_has_the_name_its_owner_gives_it(owner: Owner, front: Front) -> None:
    device = owner.add()
    renamed = front.ask("rename_device", owner.caller, device_id=device["device_id"], name="  Tablette ")
    assert renamed["name"] == "Tablette" and owner.devices() == [renamed]
    for name in ("", "   ", "x" * 65, "a\nb", 7):
        refused(InvalidInput, lambda name=name: front.ask(
            "rename_device", owner.caller, device_id=device["device_id"], name=name))  # fmt: skip


def test_nobody_reaches_the_device_of_somebody_else(owner: Owner, front: Front) -> None:
    device = owner.add()
    other = Owner(front)
    for device_id in (device["device_id"], new_id(), "x"):
        rename = {"device_id": device_id, "name": "mine"}
        refused(DeviceNotFound, lambda rename=rename: front.ask("rename_device", other.caller, **rename))
        refused(DeviceNotFound, lambda i=device_id: front.ask("remove_device", other.caller, device_id=i))
    assert [one["name"] for one in owner.devices()] == ["Mon téléphone"]
