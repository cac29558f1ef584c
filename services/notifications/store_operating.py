"""Queries for operators: how much waits, what is parked, and its tries again. Numbers, ids and causes alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.db import rfc3339
from services.notifications.models_deliveries import Outlet
from services.notifications.models_messages import Message
from services.notifications.models_subscriptions import Subscription

NEWEST = 10_000  # messages of which the states are counted: what they are like of late, whatever there was before
MOST = 100_000  # of rows that are counted at all
PARKED_MOST = 1000

_QUEUED = sa.text("""
    select channel, count(*) as count, count(*) filter (where attempts > 0) as failing
      from (select channel, attempts from messages where state = 'queued' limit :most) as queued group by channel
""")
_OVERDUE = sa.text("""
    select coalesce(extract(epoch from now() - min(due_at)), 0)
      from (select due_at from messages where state = 'queued' and not digest and due_at <= now() limit :most) as queued
""")
_OF_LATE = sa.text("""
    select channel, state, count(*) as count
      from (select channel, state from messages order by seq desc limit :newest) as newest group by channel, state
""")
_WAITING = sa.text("""
    select outlets.way, outlets.state, count(*) as count, coalesce(extract(epoch from now() - min(put.created_at)), 0)
           as age
      from (select subscription_id, created_at from deliveries where state = 'waiting' limit :most) as put
      join outlets using (subscription_id) group by outlets.way, outlets.state
""")
_OUTLETS = sa.text("""
    select outlets.way, outlets.state, count(*) as count
      from outlets join subscriptions using (subscription_id) where subscriptions.state = 'active'
     group by outlets.way, outlets.state
""")
_LETTERS = sa.text("select count(*) from letters where state = 'waiting'")


def figures(session: Session) -> list[dict[str, Any]]:
    """What waits here beside events, each cheap to count however much there ever was."""
    found: list[dict[str, Any]] = []

    def add(name: str, text: str, value: Any, **labels: str) -> None:
        found.append({"name": name, "text": text, "labels": labels, "value": round(float(value), 3)})

    most = {"most": MOST}
    for row in session.execute(_QUEUED, most):
        add("messages_queued", "Messages to people that are not sent yet.", row.count, channel=row.channel)
        add("messages_failing", "Those of them that failed at least once.", row.failing, channel=row.channel)
    add("messages_overdue_seconds", "For how long the eldest could have been sent.", session.scalar(_OVERDUE, most))
    for row in session.execute(_OF_LATE, {"newest": NEWEST}):
        text = f"The newest {NEWEST:,} messages to people by what became of them."
        add("messages_newest", text, row.count, channel=row.channel, state=row.state)
    for row in session.execute(_WAITING, most):
        labels = {"way": row.way, "state": row.state}
        add("deliveries_waiting", "Events that wait for subscribers in this state.", row.count, **labels)
        add("deliveries_oldest_seconds", "Age of the eldest of them.", row.age, **labels)
    for row in session.execute(_OUTLETS):
        add("subscriptions", "Subscriptions by how sending to them goes.", row.count, way=row.way, state=row.state)
    add("letters_waiting", "Letters that are not printed yet.", session.scalar(_LETTERS))
    return found


def returned_messages(session: Session) -> list[dict[str, Any]]:
    """The messages that a provider or a mail server gave back, the newest first."""
    rows = session.execute(
        sa.select(
            Message.message_id, Message.channel, Message.occasion, Message.cause, Message.attempts, Message.settled_at
        )
        .where(Message.state == "bounced").order_by(Message.seq.desc()).limit(PARKED_MOST)
    )  # fmt: skip
    return [
        {"message_id": row.message_id, "channel": row.channel, "occasion": row.occasion, "cause": row.cause,
         "attempts": row.attempts, "at": rfc3339(row.settled_at)}
        for row in rows
    ]  # fmt: skip


def parked_subscriptions(session: Session) -> list[dict[str, Any]]:
    """The subscriptions to which nothing is sent any more, and why."""
    rows = session.execute(
        sa.select(Outlet.subscription_id, Outlet.way, Outlet.cause, Outlet.failures, Outlet.since)
        .join(Subscription, Subscription.subscription_id == Outlet.subscription_id)
        .where(Subscription.state == "active", Outlet.state == "parked")
        .order_by(Outlet.since).limit(PARKED_MOST)
    )  # fmt: skip
    return [
        {"subscription_id": row.subscription_id, "way": row.way, "cause": row.cause, "attempts": row.failures,
         "at": rfc3339(row.since)}
        for row in rows
    ]  # fmt: skip


_AGAIN = sa.text("""
    with again as (
        update messages set state = 'queued', due_at = :at, attempts = 0, cause = null, settled_at = null,
               history = history || jsonb_build_array(jsonb_build_object('state', 'queued', 'at', cast(:text as text),
                                                                         'cause', 'replayed'))
         where state = 'bounced' and (expires_at is null or expires_at > :at)
           and (cast(:ids as uuid[]) is null or message_id = any(cast(:ids as uuid[])))
        returning channel
    )
    select count(pg_notify('messages_' || channel, '')) from again
""")
_RESUME = sa.text("""
    with resumed as (
        update outlets set state = 'active', cause = null, since = :at, failures = 0, retry_at = null
         where state = 'parked' and (cast(:ids as uuid[]) is null or subscription_id = any(cast(:ids as uuid[])))
           and subscription_id in (select subscription_id from subscriptions where state = 'active')
        returning way
    )
    select count(pg_notify(case way when 'queue' then 'deliveries' else 'webhooks' end, '')) from resumed
""")


def send_again(session: Session, message_ids: Sequence[str] | None, at: datetime) -> int:
    """Queues messages that came back once more, all when None, save those whose time is over; says how many."""
    return _count(session, _AGAIN, {"ids": _ids(message_ids), "at": at, "text": rfc3339(at)})


def resume(session: Session, subscription_ids: Sequence[str] | None, at: datetime) -> int:
    """Sends to parked subscriptions again, to all when None; says to how many."""
    return _count(session, _RESUME, {"ids": _ids(subscription_ids), "at": at})


def _ids(given: Sequence[str] | None) -> list[str] | None:
    return None if given is None else list(given)


def _count(session: Session, statement: sa.TextClause, values: dict[str, Any]) -> int:
    return int(session.scalar(statement, values) or 0)
