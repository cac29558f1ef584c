"""The tables of what goes out to foreign systems: how each is sent to, and what was put down for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models import ID, Model


class Outlet(Model):
    """How a subscription is sent to, and how that goes: its way, the last number it was given, its state.

    `url`: of a webhook. `state`: `lagging` since sending fails or falls behind, `parked` when nothing is tried any
    more; `cause` says why, `since` from when on. `failures`: tries in a row that failed; `retry_at`: before when none
    is made. `leased_until`: a process speaks to the webhook until then at the latest. `turn_at`: when it had its turn.
    """

    __tablename__ = "outlets"
    __table_args__ = (
        CheckConstraint("way in ('queue', 'webhook')", name="way"),
        CheckConstraint("(way = 'webhook') = (url is not null)", name="url"),
        CheckConstraint("state in ('active', 'lagging', 'parked')", name="state"),
        CheckConstraint("(state = 'active') = (cause is null)", name="cause"),
    )

    subscription_id: Mapped[str] = mapped_column(ID, ForeignKey("subscriptions.subscription_id"), primary_key=True)
    way: Mapped[str] = mapped_column(server_default="queue")
    url: Mapped[str | None]
    sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    state: Mapped[str] = mapped_column(server_default="active")
    cause: Mapped[str | None]
    since: Mapped[datetime]
    failures: Mapped[int] = mapped_column(server_default="0")
    retry_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    turn_at: Mapped[datetime | None]


class Delivery(Model):
    """One event for one subscription: `waiting` until the subscriber's queue or webhook took it.

    `withheld` for good when its readers had lost their ground before it had a number. `sequence`: its number among all
    that this subscriber ever gets, given once and for ever. `source`, `subject`, `number`: its place among the events
    about one thing, as their emitter counts them. `allowed_at`: when dossier last said that somebody there may read of
    it; null where it has to be asked. `document_id`: null for what is about a record alone.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "subscription_id"),
        UniqueConstraint("subscription_id", "sequence"),
        CheckConstraint("state in ('waiting', 'published', 'withheld')", name="state"),
        CheckConstraint("state = 'waiting' or (state = 'published') = (sequence is not null)", name="sequence"),
        Index("ix_deliveries_new", "subscription_id", "delivery_id", postgresql_where=text(
            "state = 'waiting' and sequence is null")),
        Index("ix_deliveries_waiting", "subscription_id", "sequence", postgresql_where=text(
            "state = 'waiting' and sequence is not null")),
        Index("ix_deliveries_created_at", "created_at"),
        Index("ix_deliveries_document_id", "document_id", "subscription_id"),
    )  # fmt: skip

    delivery_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[str] = mapped_column(ID)
    subscription_id: Mapped[str] = mapped_column(ID, ForeignKey("subscriptions.subscription_id"))
    type: Mapped[str]
    document_id: Mapped[str | None] = mapped_column(ID)
    source: Mapped[str] = mapped_column(server_default="")
    subject: Mapped[str]
    number: Mapped[int | None] = mapped_column(BigInteger)
    time: Mapped[datetime]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    allowed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
