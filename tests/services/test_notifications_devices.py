"""Devices that are woken: a real push service over TLS, and a browser that reads what came by RFC 8291."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from services.db import new_id, now
from services.identity.contract import DeviceNotFound, TooManyDevices
from services.notifications import rules_inbox
from services.notifications.contract import DEVICES_MOST, PushNotAvailable
from services.notifications.desk import Outside
from services.notifications.models_inbox import Device, WokenDevice
from services.notifications.models_messages import Message
from services.notifications.ports.push import encrypted, key_of
from services.refusals import InvalidInput
from services.settings import Settings
from services.tokens import Caller
from tests.builders import House, caller
from tests.services.https_receiver import ALLOWED, Receiver, Reply
from tests.services.inbox_house import InboxHouse, of, patient

VAPID = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
CONTACT = "mailto:push@example.lu"


def b64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Browser:
    """What a browser's Push API makes: an address at its push service, and keys that only it has."""

    endpoint: str
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    auth: bytes = b"0123456789abcdef"

    @property
    def point(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def subscription(self) -> dict[str, Any]:
        return {"endpoint": self.endpoint, "public_key": b64(self.point), "auth": b64(self.auth), "name": "Phone"}

    def read(self, body: bytes) -> bytes:
        """What came, as a browser reads it (RFC 8188 and RFC 8291). Raises InvalidTag for what is not for it."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        theirs, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        shared = self.key.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(SECP256R1(), theirs))
        secret = derive(shared, self.auth, b"WebPush: info\0" + self.point + theirs, 32)
        key = derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
        nonce = derive(secret, salt, b"Content-Encoding: nonce\0", 12)
        text = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert text.endswith(b"\x02"), "the last record"
        return text[:-1]


def derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)


class Lobby(InboxHouse):
    """The house with its way out to push services."""

    def __init__(self, house: House, receiver: Receiver) -> None:
        super().__init__(house)
        self.receiver = receiver
        self.settings = Settings(
            vapid_key=VAPID, vapid_contact=CONTACT, outward_allowed=ALLOWED,
            outward_ca_file=str(receiver.certificate), letters_folder="/nowhere",
        )  # fmt: skip
        house.notifications.outside = Outside.of(self.settings)

    def browser(self) -> Browser:
        return Browser(f"https://localhost:{self.receiver.port}/push/{new_id()}")

    def registered(self, who: Caller, browser: Browser | None = None) -> Browser:
        browser = browser or self.browser()
        self.ask("add_device", who, **browser.subscription)
        return browser

    def wake(self, who: Caller, message_id: str | None = None, **given: Any) -> str:
        message_id = message_id or new_id()
        return str(self.service._wake(of(who), message_id, **{"expires_at": None} | given))

    def devices(self, who: Caller) -> list[str]:
        return [one["device_id"] for one in self.ask("list_devices", who)["devices"]]

    def later(self) -> None:
        """As if the time in which a silent device is left alone were over."""
        with self.sessions.transaction() as session:
            session.execute(sa.update(Device).where(Device.retry_at.is_not(None)).values(retry_at=now()))

    def state(self, message_id: str) -> tuple[str, str | None]:
        with self.sessions.transaction() as session:
            row = session.scalars(sa.select(Message).where(Message.message_id == message_id)).one()
            return row.state, row.cause


@pytest.fixture(scope="module")
def together(database: Callable[[str], str]) -> Iterator[House]:
    house = House(database, ("notifications",))
    yield house
    house.close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.close()


@pytest.fixture
def lobby(together: House, receiver: Receiver) -> Lobby:
    made = Lobby(together, receiver)
    made.actions()
    return made


# --- the words on the wire --------------------------------------------------------------------------------------------


def test_a_message_is_the_one_of_the_standards_example() -> None:
    """RFC 8291, 5 and appendix A."""
    ours = derive_private_key(int.from_bytes(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), SECP256R1())
    device = raw("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
    made = encrypted(
        b"When I grow up, I want to be a watermelon", device, raw("BTBZMqHH6r4Tts7J_aSIgg"), ours=ours,
        salt=raw("DGv6ra1nlYgDCS1FRnbzlw"),
    )  # fmt: skip
    assert b64(made) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3"
        "jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_a_device_reads_that_there_is_news_and_nobody_else_can(lobby: Lobby) -> None:
    me, message_id = patient(), new_id()
    browser = lobby.registered(me)
    assert lobby.wake(me, message_id) == "sent"
    [came] = lobby.receiver.came
    assert json.loads(browser.read(came.body)) == {"type": "news", "notification_id": None}
    assert came.path == browser.endpoint.partition(str(lobby.receiver.port))[2]
    for other in (Browser(browser.endpoint), Browser(browser.endpoint, browser.key, b"fedcba9876543210")):
        with pytest.raises(InvalidTag):
            other.read(came.body)
    assert message_id.encode() not in came.body


def test_the_push_service_knows_us_by_a_token_for_it_alone(lobby: Lobby) -> None:
    me, message_id = patient(), new_id()
    lobby.registered(me)
    lobby.wake(me, message_id, expires_at=now() + timedelta(hours=1), urgent=True)
    [came] = lobby.receiver.came
    kind, _, rest = came.headers["authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    public = lobby.ask("list_devices", me)["public_key"]
    assert kind == "vapid" and parts["k"] == public
    point = key_of(VAPID).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(parts["t"], ECKey.import_key(point), algorithms=["ES256"]).claims
    assert claims["aud"] == f"https://localhost:{lobby.receiver.port}" and claims["sub"] == CONTACT
    assert 0 < claims["exp"] - now().timestamp() <= 24 * 3600
    assert 3500 < int(came.headers["ttl"]) <= 3600 and came.headers["urgency"] == "high"
    assert came.headers["content-encoding"] == "aes128gcm"
    assert UUID(bytes=raw(came.headers["topic"])) == UUID(message_id)


# --- registering ------------------------------------------------------------------------------------------------------


def test_a_subscription_registered_twice_is_one_device_and_is_woken_once(lobby: Lobby) -> None:
    me = patient()
    browser = lobby.browser()
    first = lobby.ask("add_device", me, **browser.subscription)
    again = lobby.ask("add_device", me, **browser.subscription)
    assert again == first and lobby.devices(me) == [first["device_id"]]
    lobby.wake(me)
    assert len(lobby.receiver.came) == 1


def test_whoever_uses_a_browser_next_is_woken_by_it_and_who_was_before_is_not(lobby: Lobby) -> None:
    before, after = patient(), patient()
    browser = lobby.registered(before)
    lobby.registered(after, browser)
    assert lobby.devices(before) == [] and len(lobby.devices(after)) == 1
    assert lobby.wake(before) == "no_channel" and not lobby.receiver.came
    assert lobby.wake(after) == "sent"


def test_a_device_of_a_patient_is_not_woken_for_the_professional_they_are_too(lobby: Lobby) -> None:
    account = new_id()
    ill, doctor = patient(account_id=account), caller("professional", account_id=account)
    lobby.registered(ill)
    assert lobby.devices(doctor) == [] and lobby.wake(doctor) == "no_channel"
    with pytest.raises(DeviceNotFound):
        lobby.ask("remove_device", doctor, device_id=lobby.devices(ill)[0])


def test_a_removed_device_is_woken_no_more_and_only_its_owner_removes_it(lobby: Lobby) -> None:
    me, stranger = patient(), patient()
    lobby.registered(me)
    [device_id] = lobby.devices(me)
    for who, which in ((stranger, device_id), (me, new_id()), (me, "no id")):
        with pytest.raises(DeviceNotFound):
            lobby.ask("remove_device", who, device_id=which)
    lobby.ask("remove_device", me, device_id=device_id)
    assert lobby.devices(me) == [] and lobby.wake(me) == "no_channel"


def test_a_person_has_a_bounded_number_of_devices_and_may_renew_one_of_them(lobby: Lobby) -> None:
    me = patient()
    browsers = [lobby.registered(me) for _ in range(DEVICES_MOST)]
    with pytest.raises(TooManyDevices) as refused:
        lobby.registered(me)
    assert refused.value.detail == {"maximum": DEVICES_MOST}
    lobby.registered(me, Browser(browsers[0].endpoint))
    assert len(lobby.devices(me)) == DEVICES_MOST


@pytest.mark.parametrize(
    "endpoint",
    ["https://10.0.0.1/push", "https://[fd00::1]/push", "https://169.254.169.254/latest", "http://localhost/push",
     "https://192.168.1.1:8443/", "ftp://example.lu/", "https://user@example.lu/", "no address", "https://a..lu/"],
)  # fmt: skip
def test_an_address_inside_is_refused_and_nobody_speaks_to_it(lobby: Lobby, endpoint: str) -> None:
    me = patient()
    with pytest.raises(InvalidInput) as refused:
        lobby.ask("add_device", me, **lobby.browser().subscription | {"endpoint": endpoint})
    assert refused.value.detail["errors"] == [{"pointer": "/endpoint", "message": "push_endpoint"}]
    assert lobby.devices(me) == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [({"public_key": b64(b"\x04" + b"\x01" * 64)}, "/public_key"), ({"public_key": ""}, "/public_key"),
     ({"public_key": "é"}, "/public_key"), ({"auth": b64(b"short")}, "/auth"), ({"auth": "A"}, "/auth"),
     ({"auth": "*" * 22}, "/auth")],
)  # fmt: skip
def test_a_key_that_cannot_be_written_to_is_named(lobby: Lobby, changes: dict[str, str], pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        lobby.ask("add_device", patient(), **lobby.browser().subscription | changes)
    assert [error["pointer"] for error in refused.value.detail["errors"]] == [pointer]


def test_no_answer_shows_the_address_of_a_device_and_each_leaves_one_trace(lobby: Lobby) -> None:
    me = patient()
    browser = lobby.registered(me)
    listed = lobby.ask("list_devices", me)
    assert browser.endpoint not in json.dumps(listed) and b64(browser.auth) not in json.dumps(listed)
    lobby.ask("remove_device", me, device_id=listed["devices"][0]["device_id"])
    with pytest.raises(DeviceNotFound):
        lobby.ask("remove_device", me, device_id=listed["devices"][0]["device_id"])
    assert lobby.actions() == [
        ("device.added", "allowed"), ("device.searched", "allowed"), ("device.removed", "allowed"),
        ("device.removed", "refused"),
    ]  # fmt: skip


def test_the_repeat_of_a_registration_under_one_key_gets_the_first_answer(lobby: Lobby) -> None:
    me = patient()
    me = replace(me, context=replace(me.context, idempotency_key="k"))
    browser = lobby.browser()
    first = lobby.ask("add_device", me, **browser.subscription)
    lobby.ask("remove_device", me, device_id=first["device_id"])
    assert lobby.ask("add_device", me, **browser.subscription) == first
    assert lobby.devices(me) == []
    with lobby.sessions.transaction() as session:
        kept = session.execute(sa.text("select response::text from requests")).scalars().all()
    assert kept and not [one for one in kept if "push/" in one or b64(browser.auth) in one]


def test_without_a_key_nobody_is_woken_and_no_device_is_taken(lobby: Lobby) -> None:
    me = patient()
    lobby.registered(me)
    lobby.service.outside = Outside.of(replace(lobby.settings, vapid_key=""))
    with pytest.raises(PushNotAvailable):
        lobby.registered(me)
    assert lobby.ask("list_devices", me)["public_key"] is None
    assert lobby.wake(me) == "no_channel"


# --- what becomes of it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_a_device_whose_address_is_no_more_is_forgotten(lobby: Lobby, status: int) -> None:
    me = patient()
    lobby.registered(me)
    lobby.receiver.reply = Reply(status)
    assert lobby.wake(me) == "no_channel"
    assert lobby.devices(me) == []


@pytest.mark.parametrize("status", [400, 413])
def test_what_a_push_service_will_never_take_is_not_sent_again_and_the_device_stays(lobby: Lobby, status: int) -> None:
    me = patient()
    lobby.registered(me)
    lobby.receiver.reply = Reply(status)
    assert lobby.wake(me) == "no_channel"
    assert len(lobby.devices(me)) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 401, 302])
def test_what_cannot_be_taken_now_is_sent_later_and_once(lobby: Lobby, status: int) -> None:
    me, message_id = patient(), new_id()
    browser = lobby.registered(me)
    lobby.receiver.reply = Reply(status, {"Location": "/elsewhere"})
    with pytest.raises(OSError):
        lobby.wake(me, message_id)
    assert len(lobby.receiver.came) == 1, "no redirect is followed"
    lobby.receiver.reply = Reply(201)
    with pytest.raises(OSError):
        lobby.wake(me, message_id)
    assert len(lobby.receiver.came) == 1, "a silent device is left alone for a while"
    lobby.later()
    assert lobby.wake(me, message_id) == "sent"
    assert json.loads(browser.read(lobby.receiver.came[-1].body))["type"] == "news"
    assert [raw(one.headers["topic"]) for one in lobby.receiver.came] == [UUID(message_id).bytes] * 2
    assert lobby.wake(me) == "sent", "it is well again"


def test_of_two_devices_the_one_that_was_woken_is_not_woken_again_with_the_other(lobby: Lobby) -> None:
    me, message_id = patient(), new_id()
    there = lobby.registered(me)
    away = lobby.registered(me, Browser(f"https://localhost:1/push/{new_id()}"))
    with pytest.raises(OSError):
        lobby.wake(me, message_id)
    assert len(lobby.receiver.came) == 1
    lobby.registered(me, Browser(away.endpoint))
    lobby.later()
    with pytest.raises(OSError):
        lobby.wake(me, message_id)
    assert len(lobby.receiver.came) == 1
    assert json.loads(there.read(lobby.receiver.came[0].body))["type"] == "news"
    with lobby.sessions.transaction() as session:
        session.execute(sa.update(Device).where(Device.retry_at.is_not(None)).values(
            retry_at=now(), failures=rules_inbox.DEVICE_TRIES))  # fmt: skip
    assert lobby.wake(me, message_id) == "sent"
    assert len(lobby.receiver.came) == 1 and len(lobby.devices(me)) == 1, "never reached, it is forgotten in the end"
    with lobby.sessions.transaction() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(WokenDevice)) == 0


def test_who_was_merged_is_woken_on_the_devices_of_either(lobby: Lobby) -> None:
    survivor, merged = patient(), patient()
    lobby.registered(merged)
    assert lobby.wake(survivor) == "no_channel"
    lobby.merge(str(survivor.patient_id), str(merged.patient_id))
    assert lobby.wake(survivor) == "sent" and len(lobby.devices(survivor)) == 1


# --- with the senders -------------------------------------------------------------------------------------------------


def test_what_is_put_down_for_somebody_with_a_device_wakes_it_and_for_others_nothing_is_put_down(
    lobby: Lobby,
) -> None:
    me, without, merged = patient(), patient(), patient()
    lobby.registered(me)
    lobby.merge(str(merged.patient_id), str(me.patient_id))
    message_id = lobby.told(of(me), channel="push")
    other = lobby.told(of(merged), channel="push")
    assert lobby.told(of(without), channel="push") == "None"
    while lobby.service._send_next("push"):
        pass
    assert [UUID(bytes=raw(one.headers["topic"])) for one in lobby.receiver.came] == [UUID(message_id), UUID(other)]
    assert lobby.state(message_id) == ("sent", None)


def test_a_device_is_told_where_in_the_inbox_the_news_stands(lobby: Lobby) -> None:
    me, event_id = patient(), new_id()
    browser = lobby.registered(me)
    notice_id, push_id = lobby.told(of(me)), lobby.told(of(me), channel="push")
    lobby.told(of(me))
    with lobby.sessions.transaction() as session:
        both = Message.message_id.in_((notice_id, push_id))
        session.execute(sa.update(Message).where(both).values(event_id=event_id))
    while lobby.service._send_next("push"):
        pass
    [came] = lobby.receiver.came
    assert json.loads(browser.read(came.body)) == {"type": "news", "notification_id": notice_id}
    assert lobby.page(me)[1] == notice_id


def test_a_device_is_not_woken_for_what_its_owner_may_not_hear_of(lobby: Lobby) -> None:
    me, document_id = patient(), new_id()
    lobby.registered(me)
    message_id = lobby.told(of(me), channel="push", document_id=document_id)
    lobby.hide(document_id, "blocked")
    while lobby.service._send_next("push"):
        pass
    assert lobby.receiver.came == [] and lobby.state(message_id) == ("failed", "hidden")


def test_one_persons_silent_device_keeps_nobody_elses_waiting(lobby: Lobby) -> None:
    silent, well = patient(), patient()
    lobby.registered(silent, Browser(f"https://localhost:1/push/{new_id()}"))
    lobby.registered(well)
    first, second = lobby.told(of(silent), channel="push"), lobby.told(of(well), channel="push")
    while lobby.service._send_next("push"):
        pass
    assert lobby.state(first)[0] == "queued" and lobby.state(second) == ("sent", None)
