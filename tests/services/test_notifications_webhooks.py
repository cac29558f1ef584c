"""Webhooks over a real https server: asked first, signed, in order, tried for a day, and nobody else's trouble."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from services.notifications import rules_sending
from services.notifications.contract import DOCUMENT_DEPOSITED, WebhookRefused
from services.notifications.models_deliveries import Delivery, Outlet
from services.notifications.models_subscriptions import Subscription
from services.notifications.ports.signing import ALGORITHM
from services.notifications.rules_sending import WEBHOOK_PATIENCE
from services.notifications.sending import LEASE
from tests.builders import context
from tests.services import test_notifications as notices
from tests.services.https_receiver import ALLOWED, Came, Receiver, Reply
from tests.services.test_notifications import AGENT, Office, a_deposit, drain
from tests.services.test_notifications_deliveries import age, ask, health, killed_at, long_waits, put

house, office = notices.house, notices.office  # its fixtures
__all__ = ["long_waits"]
SEED = base64.b64encode(bytes(range(32))).decode()
OLDER = base64.b64encode(bytes(range(1, 33))).decode()


@pytest.fixture
def receiver(office: Office, tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    office.settings = replace(
        office.settings, outward_allowed=ALLOWED, outward_ca_file=str(made.certificate),
        webhook_key=f"{SEED}, {OLDER}",
    )  # fmt: skip
    office.go_out(office.settings)
    yield made
    made.close()


def hook(office: Office, receiver: Receiver, establishment_id: str | None = None) -> dict[str, Any]:
    given: dict[str, Any] = ask(
        office, "create_subscription", establishment_id=establishment_id or office.establishment(),
        event_types=[DOCUMENT_DEPOSITED], webhook=receiver.url,
    )  # fmt: skip
    receiver.came.clear()
    return given


def send(office: Office) -> None:
    while office.service._send_webhook():
        pass


def again(office: Office) -> None:
    """The wait after a failure is over."""
    age(office, Outlet.retry_at, timedelta(days=1))
    send(office)


def events(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(came.body) for came in receiver.posts]


def verified(office: Office, came: Came, body: bytes | None = None) -> dict[str, Any]:
    """What the signature says of itself, once it fits the body."""
    keys = office.house.ask("notifications", "subscription_keys", context())
    header, middle, signature = came.headers["jws-signature"].split(".")
    assert middle == ""
    payload = base64.urlsafe_b64encode(came.body if body is None else body).rstrip(b"=").decode()
    registry = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)
    read = jws.deserialize_compact(f"{header}.{payload}.{signature}", KeySet.import_key_set(keys), registry=registry)
    return dict(read.protected)


def test_whoever_answers_is_asked_first_and_there_is_no_credential(office: Office, receiver: Receiver) -> None:
    asked = {"establishment_id": office.establishment(), "event_types": [DOCUMENT_DEPOSITED], "webhook": receiver.url}
    given = ask(office, "create_subscription", **asked)
    [came] = receiver.came
    assert (came.method, came.path, came.headers["webhook-request-origin"]) == ("OPTIONS", "/events?of=us", "localhost")
    assert {name for name, value in given.items() if value is not None} == {"subscription_id"}
    shown = ask(office, "read_subscription", subscription_id=given["subscription_id"])
    assert (shown["way"], shown["webhook"], shown["queue"]) == ("webhook", receiver.url, None)


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://example.lu/", "url"), ("https://a..lu/", "url"), ("https://10.0.0.1/", "address"),
        ("https://localhost:1/", "unreachable"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_sent_to_makes_no_subscription(
    office: Office, receiver: Receiver, url: str, cause: str
) -> None:
    asked = {"establishment_id": office.establishment(), "event_types": [DOCUMENT_DEPOSITED], "webhook": url}
    with pytest.raises(WebhookRefused) as refused:
        ask(office, "create_subscription", **asked)
    assert refused.value.detail == {"cause": cause} and office.rows(Subscription) == []
    assert [trace["reason"] for trace in office.traces("subscription.created")] == ["webhook_refused"]


def test_who_does_not_agree_is_never_sent_to(office: Office, receiver: Receiver) -> None:
    receiver.agrees = False
    with pytest.raises(WebhookRefused) as refused:
        hook(office, receiver)
    assert refused.value.detail == {"cause": "not_allowed"} and receiver.posts == []


def test_without_a_key_nothing_goes_to_webhooks(office: Office, receiver: Receiver) -> None:
    office.go_out(replace(office.settings, webhook_key=""))
    with pytest.raises(WebhookRefused) as refused:
        hook(office, receiver)
    assert refused.value.detail == {"cause": "not_offered"} and receiver.came == []


def test_an_event_arrives_numbered_and_signed_for_its_subscription(office: Office, receiver: Receiver) -> None:
    record_id, near = office.record_with_reader()
    given = hook(office, receiver, near)
    told = [put(office, record_id) for _ in range(3)]
    send(office)
    assert [(event["id"], event["sequence"]) for event in events(receiver)] == list(zip(told, "123", strict=True))
    came = receiver.posts[0]
    assert came.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    said = verified(office, came)
    assert said["alg"] == ALGORITHM and said["aud"] == given["subscription_id"] and isinstance(said["iat"], int)
    with pytest.raises(BadSignatureError):
        verified(office, came, came.body.replace(b'"1"', b'"2"'))


def test_the_keys_are_public_halves_the_one_in_use_first(office: Office, receiver: Receiver) -> None:
    keys = office.house.ask("notifications", "subscription_keys", context())["keys"]
    assert len(keys) == 2 and all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in keys)
    record_id, near = office.record_with_reader()
    hook(office, receiver, near)
    put(office, record_id)
    send(office)
    assert verified(office, receiver.posts[0])["kid"] == keys[0]["kid"]


@pytest.mark.parametrize(
    ("reply", "cause"),
    [(Reply(500), "http_500"), (Reply(404), "http_404"), (Reply(307, {"Location": "https://localhost/"}), "http_307"),
     (Reply(raw=lambda handler: None), "unreachable")],
)  # fmt: skip
def test_what_is_not_taken_is_tried_again_in_order(
    office: Office, receiver: Receiver, reply: Reply, cause: str
) -> None:
    record_id, near = office.record_with_reader()
    given = hook(office, receiver, near)
    receiver.replies = [Reply(), reply, reply]
    told = [put(office, record_id) for _ in range(3)]
    send(office)
    assert health(office, given) == ("lagging", cause)
    assert [event["id"] for event in events(receiver)] == told[:2]
    send(office)
    assert len(receiver.posts) == 2  # not before its time
    again(office)
    assert health(office, given) == ("lagging", cause)
    again(office)
    assert health(office, given) == ("active", None)
    assert [event["sequence"] for event in events(receiver)] == ["1", "2", "2", "2", "3"]
    assert len({came.body for came in receiver.posts}) == 3  # the same each time


def test_a_receiver_that_asks_for_time_gets_it(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_sending, "FIRST_WAIT", timedelta(0))
    record_id, near = office.record_with_reader()
    hook(office, receiver, near)
    receiver.replies = [Reply(429, {"Retry-After": "300"})]
    put(office, record_id)
    send(office)
    [outlet] = office.rows(Outlet)
    age(office, Outlet.retry_at, timedelta(seconds=280))
    send(office)
    assert outlet.retry_at is not None and len(receiver.posts) == 1
    again(office)
    assert len(receiver.posts) == 2


def test_after_a_day_it_is_parked_until_it_agrees_again(office: Office, receiver: Receiver) -> None:
    record_id, near = office.record_with_reader()
    given = hook(office, receiver, near)
    receiver.reply = Reply(503)
    told = [put(office, record_id), put(office, record_id)]
    send(office)
    age(office, Outlet.since, WEBHOOK_PATIENCE - timedelta(minutes=5))
    again(office)
    assert health(office, given) == ("lagging", "http_503")
    age(office, Outlet.since, timedelta(minutes=5))
    again(office)
    assert health(office, given) == ("parked", "http_503")
    receiver.reply, receiver.came = Reply(), []
    again(office)
    assert receiver.came == []
    receiver.agrees = False
    with pytest.raises(WebhookRefused):
        ask(office, "resume_subscription", subscription_id=given["subscription_id"])
    assert health(office, given) == ("parked", "http_503")
    receiver.agrees = True
    assert ask(office, "resume_subscription", subscription_id=given["subscription_id"])["waiting"] == 2
    send(office)
    assert [event["id"] for event in events(receiver)] == told and health(office, given) == ("active", None)


def test_one_that_says_it_is_gone_is_parked_at_once(office: Office, receiver: Receiver) -> None:
    record_id, near = office.record_with_reader()
    given = hook(office, receiver, near)
    receiver.reply = Reply(410)
    put(office, record_id)
    send(office)
    assert health(office, given) == ("parked", "http_410") and len(receiver.posts) == 1


def test_a_dead_webhook_harms_nobody(office: Office, receiver: Receiver) -> None:
    record_id, near = office.record_with_reader()
    dead = hook(office, receiver, near)
    with office.house.sessions["notifications"].transaction() as session:
        session.execute(sa.update(Outlet).values(url="https://localhost:1/"))
    well, queue = hook(office, receiver, near), office.subscribe(near)
    told = [office.happen("documents", a_deposit(record_id)) for _ in range(3)]
    send(office)
    assert [event["id"] for event in events(receiver)] == told
    assert [json.loads(body)["id"] for body, _ in drain(queue)] == told
    assert health(office, dead) == ("lagging", "unreachable") and health(office, well) == ("active", None)


def test_killed_at_any_line_each_event_arrives_under_its_one_number(office: Office, receiver: Receiver) -> None:
    record_id, near = office.record_with_reader()
    hook(office, receiver, near)
    told, step = [], 1
    while True:
        told.append(put(office, record_id))
        if not killed_at(step, lambda: send(office)):
            break
        office.go_out(office.settings)
        age(office, Outlet.leased_until, LEASE)  # the dead process' hold on it ends by itself
        send(office)
        step += 11
    assert step > 80
    by_number = {int(event["sequence"]): event["id"] for event in events(receiver)}
    assert [by_number[number] for number in range(1, len(told) + 1)] == told
    assert {(int(event["sequence"]), event["id"]) for event in events(receiver)} == set(by_number.items())
    assert {row.state for row in office.rows(Delivery)} == {"published"}


def test_while_one_process_speaks_to_a_webhook_no_other_does(office: Office, receiver: Receiver) -> None:
    record_id, near = office.record_with_reader()
    hook(office, receiver, near)
    told = [put(office, record_id), put(office, record_id)]
    seen = []

    def in_between(handler: Any) -> None:
        seen.append(office.service._send_webhook())
        handler.send_response(204)
        handler.end_headers()

    receiver.replies = [Reply(raw=in_between)]
    send(office)
    assert seen == [False] and [event["id"] for event in events(receiver)] == told


def test_a_test_event_says_what_became_of_it(office: Office, receiver: Receiver) -> None:
    given = hook(office, receiver)
    told = ask(office, "test_subscription", subscription_id=given["subscription_id"])
    assert (told["delivered"], told["cause"]) == (True, None)
    [event] = events(receiver)
    assert event["type"] == "lu.dsp.subscription.tested.v1" and "sequence" not in event
    assert verified(office, receiver.posts[0])["aud"] == given["subscription_id"]
    receiver.reply = Reply(401)
    assert ask(office, "test_subscription", subscription_id=given["subscription_id"])["cause"] == "http_401"
    assert health(office, given) == ("active", None)


def test_an_ended_webhook_is_not_sent_to(office: Office, receiver: Receiver) -> None:
    record_id, near = office.record_with_reader()
    given = hook(office, receiver, near)
    put(office, record_id)
    office.house.ask("notifications", "end_subscription", AGENT, subscription_id=given["subscription_id"])
    send(office)
    assert receiver.posts == []
