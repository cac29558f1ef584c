"""Queries on the devices that are woken when there is news."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from services.notifications.models_inbox import Device, WokenDevice
from services.notifications.models_messages import Message
from services.notifications.store_inbox import same_person

_KIND = sa.bindparam("kind", type_=sa.Text)
_PERSON = sa.bindparam("person", type_=sa.Text)
_THEIRS = sa.and_(Device.recipient_kind == _KIND, Device.recipient_id.in_(same_person(_KIND, _PERSON)))


def keep_device(session: Session, **row: Any) -> tuple[str, datetime]:
    """Adds a device, or gives one that is known by its endpoint to whoever registers it now: its id, and since when."""
    told = insert(Device).values(**row)
    taken = {name: getattr(told.excluded, name)
             for name in ("recipient_kind", "recipient_id", "endpoint", "public_key", "auth", "name")}  # fmt: skip
    kept = session.execute(
        told.on_conflict_do_update(index_elements=["endpoint_digest"], set_=taken | {"failures": 0, "retry_at": None})
        .returning(Device.device_id, Device.created_at)
    ).one()  # fmt: skip
    return kept.device_id, kept.created_at


def devices_of(session: Session, kind: str, person_id: str) -> list[Any]:
    """The devices of one person, the oldest first; of a patient also those of whoever they were merged with."""
    query = sa.select(
        Device.device_id, Device.endpoint, Device.endpoint_digest, Device.public_key, Device.auth, Device.name,
        Device.created_at, Device.failures, Device.retry_at,
    ).where(_THEIRS).order_by(Device.device_id)  # fmt: skip
    return list(session.execute(query, {"kind": kind, "person": person_id}))


def lock_devices(session: Session, kind: str, person_id: str) -> None:
    """Lets nobody else add a device of this person before the end of the transaction: there is a most of them."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"{kind} {person_id}", 0))))


def drop_device(session: Session, kind: str, person_id: str, device_id: str) -> bool:
    """Takes a device away; False where this person has none of this id."""
    query = sa.delete(Device).where(Device.device_id == device_id, _THEIRS).execution_options(synchronize_session=False)
    done = session.execute(query, {"kind": kind, "person": person_id})
    return int(done.rowcount) == 1  # type: ignore[attr-defined]


def forget_endpoint(session: Session, device_id: str, endpoint_digest: bytes) -> None:
    """Takes away a device whose endpoint is no more."""
    session.execute(
        sa.delete(Device).where(Device.device_id == device_id, Device.endpoint_digest == endpoint_digest)
    )  # fmt: skip


def note_reached(session: Session, device_id: str) -> None:
    """Notes that a device could be reached again."""
    session.execute(sa.update(Device).where(Device.device_id == device_id).values(failures=0, retry_at=None))


def note_silent(session: Session, device_id: str, failures: int, retry_at: datetime) -> None:
    """Notes how often in a row a device could not be reached, and when to try again."""
    session.execute(sa.update(Device).where(Device.device_id == device_id).values(failures=failures, retry_at=retry_at))


def notice_of(session: Session, message_id: str) -> str | None:
    """The notice in the inbox that tells of the same as this message does; None where there is none."""
    push = aliased(Message)
    query = (
        sa.select(Message.message_id)
        .join(push, sa.and_(push.event_id == Message.event_id, push.recipient_id == Message.recipient_id))
        .where(push.message_id == message_id, Message.channel == "inbox")
    )
    found: str | None = session.scalar(query)
    return found


def woken(session: Session, message_id: str) -> set[str]:
    """The devices that were woken for a message already."""
    return set(session.scalars(sa.select(WokenDevice.device_id).where(WokenDevice.message_id == message_id)))


def note_woken(session: Session, message_id: str, device_ids: Collection[str]) -> None:
    """Notes that these were woken, while others still wait."""
    if device_ids:
        rows = [{"message_id": message_id, "device_id": device_id} for device_id in device_ids]
        session.execute(insert(WokenDevice).values(rows).on_conflict_do_nothing())


def forget_woken(session: Session, message_id: str) -> None:
    """Drops what is of no use once all devices of a message's reader are woken."""
    session.execute(sa.delete(WokenDevice).where(WokenDevice.message_id == message_id))
