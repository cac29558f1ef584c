"""Queries on how foreign systems are sent to, and how that goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.notifications.models_deliveries import Delivery, Outlet
from services.notifications.rules_sending import Health


def add_outlet(session: Session, subscription_id: str, url: str | None, at: datetime) -> None:
    """Notes how a subscription is sent to: its webhook, or its queue where it has none."""
    way = "queue" if url is None else "webhook"
    session.add(Outlet(subscription_id=subscription_id, way=way, url=url, sequence=0, state="active", since=at))
    session.flush()


def resume(session: Session, subscription_id: str, at: datetime) -> None:
    """Has sending begin anew with the commit."""
    session.execute(
        sa.update(Outlet).where(Outlet.subscription_id == subscription_id)
        .values(state="active", cause=None, failures=0, retry_at=None,
                since=sa.case((Outlet.state == "active", Outlet.since), else_=at))
    )  # fmt: skip
    session.execute(sa.select(sa.func.pg_notify("deliveries", ""), sa.func.pg_notify("webhooks", "")))


def note_health(session: Session, subscription_id: str, health: Health) -> None:
    """Notes how sending goes; whoever had a webhook to itself lets go of it."""
    session.execute(
        sa.update(Outlet).where(Outlet.subscription_id == subscription_id).values(
            state=health.state, cause=health.cause, since=health.since, failures=health.failures,
            retry_at=health.retry_at, leased_until=None,
        )
    )  # fmt: skip


def release(session: Session, subscription_id: str) -> None:
    """Lets go of a webhook: others may have their turn with it."""
    session.execute(sa.update(Outlet).where(Outlet.subscription_id == subscription_id).values(leased_until=None))


def note_turn(session: Session, subscription_ids: Sequence[str], at: datetime) -> None:
    """Notes that these had their turn: others come first now."""
    session.execute(sa.update(Outlet).where(Outlet.subscription_id.in_(subscription_ids)).values(turn_at=at))


def park(session: Session, subscription_ids: Sequence[str], cause: str, at: datetime) -> int:
    """Stops sending to these until somebody resumes it; says how many were not parked yet."""
    done = session.execute(
        sa.update(Outlet).where(Outlet.subscription_id.in_(subscription_ids), Outlet.state != "parked")
        .values(state="parked", cause=cause, since=at, retry_at=None)
    )  # fmt: skip
    return _rows(done)


def lagging_since(session: Session, before: datetime) -> list[str]:
    """The queues that have been behind since before this time."""
    return list(session.scalars(
        sa.select(Outlet.subscription_id)
        .where(Outlet.way == "queue", Outlet.state == "lagging", Outlet.since < before)
    ))  # fmt: skip


def waiting_for(session: Session, subscription_id: str) -> int:
    """How many deliveries wait for a subscription."""
    return int(session.scalar(
        sa.select(sa.func.count()).select_from(Delivery)
        .where(Delivery.subscription_id == subscription_id, Delivery.state == "waiting")
    ) or 0)  # fmt: skip


def _rows(result: Any) -> int:
    count: int = result.rowcount
    return count
