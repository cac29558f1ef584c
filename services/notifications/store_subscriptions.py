"""Queries on subscriptions and on who may use a queue."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from services.notifications import store_outlets
from services.notifications.models import ID
from services.notifications.models_deliveries import Outlet
from services.notifications.models_subscriptions import Subscription
from services.notifications.rules_subscriptions import KnownDocument, Owner
from services.plans import planned_once

_SHOWN = (
    sa.select(
        Subscription.subscription_id, Subscription.establishment_id, Subscription.client_id, Subscription.event_types,
        Subscription.document_types, Subscription.categories, Subscription.establishments, Subscription.queue,
        Subscription.username, Subscription.state, Subscription.suspended_at, Subscription.created_at,
        Subscription.ended_at, Outlet.way, Outlet.url, Outlet.state.label("delivery"), Outlet.cause, Outlet.since,
        Outlet.sequence,
    )
    .join(Outlet, Outlet.subscription_id == Subscription.subscription_id).where(Subscription.state != "preparing")
)  # fmt: skip


def add_subscription(session: Session, *, webhook: str | None = None, **row: Any) -> None:
    """Notes a subscription in preparation, to a queue or to a webhook: until it is activated nobody can use it."""
    session.add(Subscription(state="preparing", **row))
    session.flush()
    store_outlets.add_outlet(session, row["subscription_id"], webhook, row["created_at"])


def activate_subscription(session: Session, subscription_id: str) -> bool:
    """Turns a subscription in preparation into an active one; False when it was cleared away meanwhile."""
    done = session.execute(
        sa.update(Subscription).values(state="active")
        .where(Subscription.subscription_id == subscription_id, Subscription.state == "preparing")
    )  # fmt: skip
    return _rows(done) == 1


def end_subscription(session: Session, subscription_id: str, at: datetime) -> bool:
    """Ends an active subscription; False when it was not active."""
    done = session.execute(
        sa.update(Subscription).values(state="ended", ended_at=at)
        .where(Subscription.subscription_id == subscription_id, Subscription.state == "active")
    )  # fmt: skip
    return _rows(done) == 1


def subscription(session: Session, owner: Owner, subscription_id: str) -> dict[str, Any] | None:
    """One subscription that its owner once got, without anything secret."""
    row = session.execute(
        _SHOWN.where(Subscription.subscription_id == subscription_id, *_owned(owner))
    ).one_or_none()  # fmt: skip
    return None if row is None else dict(row._mapping)


def subscriptions(
    session: Session, owner: Owner, establishment_id: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """One page of an owner's subscriptions, newest first, after the one named by the cursor."""
    query = _SHOWN.where(*_owned(owner))
    if establishment_id is not None:
        query = query.where(Subscription.establishment_id == establishment_id)
    if after is not None:
        query = query.where(Subscription.subscription_id < after)
    rows = session.execute(query.order_by(Subscription.subscription_id.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]


def _owned(owner: Owner) -> list[sa.ColumnElement[bool]]:
    if owner.client_id is None:
        return []
    return [Subscription.client_id == owner.client_id, Subscription.establishment_id == owner.establishment_id]


def count_of(session: Session, establishment_id: str, client_id: str | None) -> int:
    """How many subscriptions that have not ended this software has, or the agency has for this establishment.

    Whoever counts next, for the same one, waits for this transaction: two at once count each other.
    """
    whose = client_id or establishment_id
    session.execute(sa.text("select pg_advisory_xact_lock(hashtextextended(:whose, 0))"), {"whose": whose})
    return int(session.scalar(
        sa.select(sa.func.count()).select_from(Subscription).where(
            Subscription.establishment_id == establishment_id, Subscription.client_id.is_not_distinct_from(client_id),
            Subscription.state != "ended",
        )
    ) or 0)  # fmt: skip


def change_wish(session: Session, subscription_id: str, wish: dict[str, list[str]]) -> None:
    """Changes what a subscription hears."""
    if wish:
        session.execute(
            sa.update(Subscription).where(Subscription.subscription_id == subscription_id).values(**wish)
        )  # fmt: skip


def note_client(session: Session, client_id: str, suspended: bool, at: str) -> None:
    """Notes whether a software is suspended, on all that it subscribed to, unless something later is known."""
    moment = datetime.fromisoformat(at)
    session.execute(
        sa.update(Subscription)
        .where(Subscription.client_id == client_id, Subscription.state != "ended",
               sa.or_(Subscription.client_at.is_(None), Subscription.client_at < moment))
        .values(client_at=moment, suspended_at=moment if suspended else None, queue_removed_at=None)
    )  # fmt: skip


def subscriptions_to(session: Session, event_type: str, document: KnownDocument | None = None) -> list[dict[str, Any]]:
    """The active subscriptions that wish to hear of this kind of event, where it is about a document of this one.

    A document of no establishment is none of those that anybody chose.
    """
    wished: dict[str, Any] = {"event_type": event_type}
    if document is not None:
        wished |= {"document_type": document.document_type, "category": document.category,
                   "establishment_id": document.establishment_id}  # fmt: skip
    rows = session.execute(_WISHING if document is None else _WISHING_FOR_DOCUMENT, wished)
    return [dict(row._mapping) for row in rows]


_WISHING = planned_once(
    sa.select(Subscription.subscription_id, Subscription.establishment_id, Subscription.queue)
    .where(Subscription.state == sa.literal_column("'active'"))
    .where(Subscription.event_types.any(sa.bindparam("event_type")))
    .order_by(Subscription.subscription_id)
)  # fmt: skip
_WISHING_FOR_DOCUMENT = planned_once(
    _WISHING.where(*(
        sa.or_(column == sa.text("'{}'"), column.any(sa.bindparam(said, type_=kind)))
        for column, said, kind in (
            (Subscription.document_types, "document_type", sa.Text()),
            (Subscription.categories, "category", sa.Text()),
            (Subscription.establishments, "establishment_id", ID),
        )
    ))
)  # fmt: skip


def claim_queues_to_remove(session: Session, unfinished_before: datetime, limit: int = 20) -> list[dict[str, Any]]:
    """Those ended, suspended, or cut short in preparation, whose queue may still stand; locked for us.

    gone_at: since when nothing is put into it any more; None for one that nothing was ever put into.
    """
    rows = session.execute(
        sa.select(
            Subscription.subscription_id, Subscription.queue,
            sa.func.coalesce(Subscription.ended_at, Subscription.suspended_at).label("gone_at"),
        )
        .where(
            Subscription.queue_removed_at.is_(None),
            sa.or_(
                Subscription.state == "ended",
                Subscription.suspended_at.is_not(None),
                sa.and_(Subscription.state == "preparing", Subscription.created_at < unfinished_before),
            ),
        )
        .order_by(Subscription.subscription_id).limit(limit).with_for_update(skip_locked=True)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def note_queue_removed(session: Session, subscription_id: str, at: datetime) -> None:
    """Notes that the queue of a subscription is gone; one cut short in preparation ends with it."""
    half_made = Subscription.state == "preparing"
    session.execute(
        sa.update(Subscription).where(Subscription.subscription_id == subscription_id).values(
            queue_removed_at=at, state=sa.case((half_made, "ended"), else_=Subscription.state),
            ended_at=sa.case((half_made, at), else_=Subscription.ended_at),
        )
    )  # fmt: skip


# --- who may use a queue (asked by the broker) ------------------------------------------------------------------------


Reading = sessionmaker[Session]


def reading(url: str) -> Reading:
    """Sessions that can only read, for the process that answers the broker beside the service."""
    engine = sa.create_engine(
        url, hide_parameters=True, pool_size=2, max_overflow=2, pool_timeout=3, pool_pre_ping=True,
        connect_args={"connect_timeout": 3, "options": "-c default_transaction_read_only=on -c statement_timeout=3000"},
    )  # fmt: skip
    return sessionmaker(engine)


def active_credential(session: Session, username: str) -> tuple[str, bytes] | None:
    """(queue, password digest) of the active subscription with this user name."""
    row = session.execute(
        sa.select(Subscription.queue, Subscription.password_digest)
        .where(Subscription.username == username, Subscription.state == "active", Subscription.suspended_at.is_(None))
    ).one_or_none()  # fmt: skip
    return None if row is None else (row.queue, bytes(row.password_digest))


def _rows(result: Any) -> int:
    count: int = result.rowcount
    return count
