"""Devices that are woken when there is news: registering them, and waking those of one person."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from services.audit.contract import traced
from services.bus import emit, rpc
from services.db import new_id, now, once, remember, rfc3339
from services.identity.contract import DeviceNotFound, TooManyDevices
from services.notifications import rules, rules_inbox, store_devices
from services.notifications.contract_inbox import DEVICES_MOST, PushDevice, PushDevices, PushNotAvailable
from services.notifications.desk import Desk, person_of
from services.notifications.ports.outward import OutwardRefused
from services.notifications.ports.push import PushGone, PushRefused, is_public_key
from services.refusals import InvalidInput, Refusal, Unavailable
from services.tokens import Caller


class Devices(Desk):
    """The entrypoints of devices, and what wakes them."""

    @rpc
    def list_devices(self, caller: Caller) -> PushDevices:
        """The devices that are woken for the caller in this capacity, and the key with which a browser subscribes."""
        kind, person_id = person_of(caller)
        with self.db.transaction(caller) as session:
            known = store_devices.devices_of(session, kind, person_id)
            emit(session, traced(caller, "device.searched", at=now(), count=len(known)))
        push = self.outside.push
        return {
            "devices": [{"device_id": one.device_id, "name": one.name, "created_at": rfc3339(one.created_at)}
                        for one in known],
            "public_key": urlsafe_b64encode(push.public_key).rstrip(b"=").decode() if push else None,
        }  # fmt: skip

    @rpc
    def add_device(
        self, caller: Caller, *, endpoint: str, public_key: str, auth: str, name: str | None = None
    ) -> PushDevice | Refusal:
        """Has a device woken from now on when there is news for the caller in this capacity.

        endpoint, public_key (`p256dh`), auth: a browser's subscription (Push API). A device that somebody registered
        before is of the caller alone from now on; the same one again is the same device.

        Refuses: PushNotAvailable, TooManyDevices, InvalidInput (an address or a key that cannot be used: the address
        has to lead to the public internet), Unavailable (its name cannot be resolved now). [RFC 8030, RFC 8291]
        """
        push = self.outside.push
        if push is None:
            return self._no_device(caller, PushNotAvailable())
        point, secret = rules_inbox.decoded(public_key), rules_inbox.decoded(auth)
        errors = rules_inbox.wrong_keys(point if point and is_public_key(point) else None, secret)
        if not errors:
            errors = _wrong_endpoint(push.check, endpoint)
        if errors:
            raise InvalidInput(errors=errors)
        (kind, person_id), at, digest = person_of(caller), now(), sha256(endpoint.encode()).digest()
        given = {"endpoint": digest.hex(), "public_key": public_key, "auth": sha256(auth.encode()).hexdigest(),
                 "name": name}  # fmt: skip
        with self.db.transaction(caller) as session:
            if answered := once(session, caller, "add_device", given):
                return answered  # type: ignore[no-any-return]
            store_devices.lock_devices(session, kind, person_id)
            known = store_devices.devices_of(session, kind, person_id)
            if len(known) >= DEVICES_MOST and all(bytes(one.endpoint_digest) != digest for one in known):
                refusal = TooManyDevices(maximum=DEVICES_MOST)
                emit(session, traced(caller, "device.added", at=at, outcome="refused", reason=refusal.code))
                return refusal
            device_id, since = store_devices.keep_device(
                session, device_id=new_id(), recipient_kind=kind, recipient_id=person_id, endpoint=endpoint,
                endpoint_digest=digest, public_key=point, auth=secret, name=name, created_at=at,
            )  # fmt: skip
            emit(session, traced(caller, "device.added", at=at, object_id=device_id, object_type="device"))
            answer = {"device_id": device_id, "name": name, "created_at": rfc3339(since)}
            return remember(session, caller, "add_device", given, answer)  # type: ignore[no-any-return]

    @rpc
    def remove_device(self, caller: Caller, *, device_id: str) -> dict[str, Any] | Refusal:
        """Has a device woken no more. Refuses: DeviceNotFound, the same for another's and none at all."""
        kind, person_id = person_of(caller)
        with self.db.transaction(caller) as session:
            if not rules.is_id(device_id) or not store_devices.drop_device(session, kind, person_id, device_id):
                refusal = DeviceNotFound()
                emit(session, traced(caller, "device.removed", at=now(), outcome="refused", reason=refusal.code))
                return refusal
            emit(session, traced(caller, "device.removed", at=now(), object_id=device_id, object_type="device"))
        return {}

    def _no_device(self, caller: Caller, refusal: Refusal) -> Refusal:
        with self.db.transaction(caller) as session:
            emit(session, traced(caller, "device.added", at=now(), outcome="refused", reason=refusal.code))
        return refusal

    # --- waking -------------------------------------------------------------------------------------------------------

    def _wake(
        self, reader: tuple[str, str], message_id: str, *, expires_at: datetime | None, urgent: bool = False
    ) -> str:
        """Wakes all devices of one person for one message, each once; in transactions of its own.

        reader: kind and id, as a message names whom it is for. Gives what became of it: `sent`, or `no_channel` where
        no device is left: one that is gone is forgotten.
        Raises OSError where a device could not be woken for now; the others are not woken again at the next try. A
        device that keeps silent takes nobody's time: it is left alone ever longer, and forgotten in the end.
        """
        with self.db.transaction() as session:
            known = store_devices.devices_of(session, *reader)
            before = store_devices.woken(session, message_id)
            notice_id = store_devices.notice_of(session, message_id)
        fates = {
            one.device_id: self._ring_at(one, message_id, notice_id, expires_at, urgent)
            for one in known if one.device_id not in before
        }  # fmt: skip
        taken, away = _those(fates, TAKEN), _those(fates, AWAY)
        with self.db.transaction() as session:
            for one in known:
                _note(session, one, fates.get(one.device_id), now())
            if away:
                store_devices.note_woken(session, message_id, taken)
            elif before:
                store_devices.forget_woken(session, message_id)
        if away:
            raise OSError("a device could not be woken")
        return "sent" if taken or before else "no_channel"

    def _ring_at(
        self, device: Any, message_id: str, notice_id: str | None, expires_at: datetime | None, urgent: bool
    ) -> str:
        """Wakes one device; what became of it. One that keeps silent is left alone for a while."""
        push, at = self.outside.push, now()
        if push is None:
            return REFUSED
        if device.retry_at is not None and device.retry_at > at:
            return AWAY
        try:
            push.send(message_id, notice_id, to=device, at=at, expires_at=expires_at, urgent=urgent)
        except PushGone:
            return GONE
        except PushRefused:
            return REFUSED
        except OSError:
            return AWAY if device.failures < rules_inbox.DEVICE_TRIES else GONE
        return TAKEN


TAKEN, REFUSED, AWAY, GONE = "taken", "refused", "away", "gone"


def _those(fates: dict[str, str], fate: str) -> list[str]:
    return [device_id for device_id, told in fates.items() if told == fate]


def _note(session: Session, device: Any, fate: str | None, at: datetime) -> None:
    """Writes down what is known of a device now; one that is no more is forgotten."""
    if fate == GONE:
        store_devices.forget_endpoint(session, device.device_id, bytes(device.endpoint_digest))
    elif fate == TAKEN and device.failures:
        store_devices.note_reached(session, device.device_id)
    elif fate == AWAY and (device.retry_at is None or device.retry_at <= at):
        store_devices.note_silent(
            session, device.device_id, device.failures + 1, at + rules_inbox.wait_for_device(device.failures)
        )  # fmt: skip


def _wrong_endpoint(check: Callable[[str], None], endpoint: str) -> list[dict[str, str]]:
    try:
        check(endpoint)
    except OutwardRefused:
        return [{"pointer": "/endpoint", "message": "push_endpoint"}]
    except OSError:
        raise Unavailable(service="notifications") from None
    return []
