"""Every query of notifications."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session, sessionmaker

from services.notifications.models import Delivery, Document, Message, Restriction, Subscription
from services.notifications.rules import ForeignEvent, KnownDocument

# --- messages ---------------------------------------------------------------------------------------------------------


def message_settled(session: Session, event_id: str, recipient_id: str) -> bool:
    """Whether this event was already told to this person, or is never going to be."""
    told = (Message.event_id == event_id, Message.recipient_id == recipient_id)
    return session.scalar(sa.select(sa.exists().where(*told))) is True


def settled_recipients(session: Session, event_id: str) -> set[str]:
    """Everybody who was already told of this event, or is never going to be."""
    return set(session.scalars(sa.select(Message.recipient_id).where(Message.event_id == event_id)))


def keep_message(session: Session, **row: Any) -> None:
    """Notes what became of one notice; a second row for the same event, person and channel violates the constraint."""
    session.add(Message(**row))
    session.flush()


# --- documents, as their events tell ----------------------------------------------------------------------------------


def keep_document(session: Session, document: KnownDocument, at: datetime) -> KnownDocument:
    """Adds a deposited document to the projection; hands back what is known of it now (its level may be newer)."""
    session.execute(
        insert(Document).values(
            document_id=document.document_id, record_id=document.record_id, version_id=document.version_id,
            document_type=document.document_type, category=document.category, author_id=document.author_id,
            level=document.level, level_at=at,
        ).on_conflict_do_nothing()
    )  # fmt: skip
    known = known_document(session, document.document_id)
    assert known is not None
    return known


def keep_level(session: Session, document_id: str, level: str, at: datetime) -> KnownDocument | None:
    """Sets a document's level unless a newer one is known; None when the deposit itself has not arrived yet."""
    session.execute(
        sa.update(Document).where(Document.document_id == document_id, Document.level_at < at)
        .values(level=level, level_at=at)
    )  # fmt: skip
    return known_document(session, document_id)


def keep_version(session: Session, document_id: str, version_id: str, number: int) -> KnownDocument | None:
    """Sets a document's current version unless a later one is known; None when the deposit has not arrived yet."""
    session.execute(
        sa.update(Document).where(Document.document_id == document_id, Document.number < number)
        .values(version_id=version_id, number=number)
    )  # fmt: skip
    return known_document(session, document_id)


def keep_wording(
    session: Session, document_id: str, document_type: str, category: str, number: int
) -> KnownDocument | None:
    """Sets what a document is unless a later wording is known; None when the deposit has not arrived yet."""
    session.execute(
        sa.update(Document).where(Document.document_id == document_id, Document.wording < number)
        .values(document_type=document_type, category=category, wording=number)
    )  # fmt: skip
    return known_document(session, document_id)


def keep_restriction(session: Session, document_id: str, professional_id: str, restricted: bool, at: datetime) -> None:
    """Notes whether a document is hidden from a professional, unless something newer is known of it."""
    told = insert(Restriction).values(
        document_id=document_id, professional_id=professional_id, restricted=restricted, at=at
    )
    newer = {"restricted": told.excluded.restricted, "at": told.excluded.at}
    session.execute(
        told.on_conflict_do_update(
            index_elements=["document_id", "professional_id"], set_=newer, where=Restriction.at < told.excluded.at
        )
    )


def known_document(session: Session, document_id: str) -> KnownDocument | None:
    """What the projection holds of a document now."""
    row = session.execute(sa.select(*_DOCUMENT).where(Document.document_id == document_id)).one_or_none()
    return None if row is None else KnownDocument(**{**row._mapping, "restricted": tuple(row.restricted)})


_DOCUMENT = (
    Document.document_id, Document.record_id, Document.version_id, Document.document_type, Document.category,
    Document.author_id, Document.level,
    sa.func.array(
        sa.select(Restriction.professional_id)
        .where(Restriction.document_id == Document.document_id, Restriction.restricted)
        .order_by(Restriction.professional_id).correlate(Document).scalar_subquery(),
        type_=ARRAY(sa.Uuid(as_uuid=False)),
    ).label("restricted"),
)  # fmt: skip


# --- subscriptions ----------------------------------------------------------------------------------------------------

_SHOWN = (
    Subscription.subscription_id, Subscription.establishment_id, Subscription.event_types, Subscription.queue,
    Subscription.username, Subscription.state, Subscription.created_at, Subscription.ended_at,
)  # fmt: skip


def add_subscription(session: Session, **row: Any) -> None:
    """Notes a subscription in preparation: until it is activated nobody can use its credential."""
    session.add(Subscription(state="preparing", **row))
    session.flush()


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


def subscription(session: Session, subscription_id: str) -> dict[str, Any] | None:
    """One subscription that somebody once got, without anything secret."""
    row = session.execute(
        sa.select(*_SHOWN).where(Subscription.subscription_id == subscription_id, Subscription.state != "preparing")
    ).one_or_none()  # fmt: skip
    return None if row is None else dict(row._mapping)


def subscriptions(
    session: Session, establishment_id: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """One page of subscriptions, newest first, after the one named by the cursor."""
    query = sa.select(*_SHOWN).where(Subscription.state != "preparing")
    if establishment_id is not None:
        query = query.where(Subscription.establishment_id == establishment_id)
    if after is not None:
        query = query.where(Subscription.subscription_id < after)
    rows = session.execute(query.order_by(Subscription.subscription_id.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]


def subscriptions_to(session: Session, event_type: str) -> list[dict[str, Any]]:
    """The active subscriptions that wish to hear of this kind of event."""
    rows = session.execute(
        sa.select(Subscription.subscription_id, Subscription.establishment_id, Subscription.queue)
        .where(Subscription.state == "active", Subscription.event_types.any(event_type))  # type: ignore[arg-type]
        .order_by(Subscription.subscription_id)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def claim_queues_to_remove(session: Session, unfinished_before: datetime, limit: int = 20) -> list[dict[str, Any]]:
    """Those ended, or cut short in preparation, whose queue may still stand; locked for us."""
    rows = session.execute(
        sa.select(Subscription.subscription_id, Subscription.queue, Subscription.ended_at)
        .where(
            Subscription.queue_removed_at.is_(None),
            sa.or_(
                Subscription.state == "ended",
                sa.and_(Subscription.state == "preparing", Subscription.created_at < unfinished_before),
            ),
        )
        .order_by(Subscription.subscription_id).limit(limit).with_for_update(skip_locked=True)
    )  # fmt: skip
    return [dict(row._mapping) for row in rows]


def note_queue_removed(session: Session, subscription_id: str, at: datetime) -> None:
    """Notes that the queue of an ended subscription is gone; one cut short in preparation ends with it."""
    session.execute(
        sa.update(Subscription).where(Subscription.subscription_id == subscription_id)
        .values(queue_removed_at=at, state="ended", ended_at=sa.func.coalesce(Subscription.ended_at, at))
    )  # fmt: skip


# --- deliveries -------------------------------------------------------------------------------------------------------


def add_delivery(
    session: Session, event: ForeignEvent, subscription_id: str, document_id: str, at: datetime
) -> int | None:
    """Puts an event down for a subscription; None when it stands there already."""
    return session.scalar(
        insert(Delivery).values(
            event_id=event.event_id, subscription_id=subscription_id, type=event.type, document_id=document_id,
            subject=event.subject, time=event.time, data=event.data, state="waiting", created_at=at,
        ).on_conflict_do_nothing().returning(Delivery.delivery_id)
    )  # fmt: skip


def waits_behind(session: Session, subscription_id: str, delivery_id: int) -> bool:
    """Whether older deliveries of this subscription still wait: a newer one must not overtake them."""
    return session.scalar(sa.select(
        sa.exists().where(
            Delivery.subscription_id == subscription_id, Delivery.state == "waiting", Delivery.delivery_id < delivery_id
        )
    )) is True  # fmt: skip


def settle_delivery(session: Session, delivery_id: int, state: str, at: datetime) -> None:
    """Notes that a delivery was published, or withheld for good."""
    session.execute(
        sa.update(Delivery).where(Delivery.delivery_id == delivery_id).values(state=state, settled_at=at)
    )  # fmt: skip


def behind(session: Session) -> list[str]:
    """The active subscriptions for which something waits."""
    return list(session.scalars(
        sa.select(Subscription.subscription_id).where(
            Subscription.state == "active",
            sa.exists().where(
                Delivery.subscription_id == Subscription.subscription_id, Delivery.state == "waiting"
            ),
        ).order_by(Subscription.subscription_id)
    ))  # fmt: skip


def claim_subscription(session: Session, subscription_id: str) -> dict[str, Any] | None:
    """Locks an active subscription so that one replica at a time sends what waits for it; None when another does."""
    row = session.execute(
        sa.select(Subscription.subscription_id, Subscription.establishment_id, Subscription.queue)
        .where(Subscription.subscription_id == subscription_id, Subscription.state == "active")
        .with_for_update(skip_locked=True)
    ).one_or_none()  # fmt: skip
    return None if row is None else dict(row._mapping)


def waiting(session: Session, subscription_id: str, limit: int) -> Iterator[tuple[int, str, ForeignEvent]]:
    """(delivery, document, event) of what waits for a subscription, oldest first."""
    rows = session.execute(
        sa.select(
            Delivery.delivery_id, Delivery.document_id, Delivery.event_id, Delivery.type, Delivery.subject,
            Delivery.time, Delivery.data,
        )
        .where(Delivery.subscription_id == subscription_id, Delivery.state == "waiting")
        .order_by(Delivery.delivery_id).limit(limit)
    ).all()  # fmt: skip
    for row in rows:
        yield row.delivery_id, row.document_id, ForeignEvent(row.event_id, row.type, row.subject, row.time, row.data)


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
        .where(Subscription.username == username, Subscription.state == "active")
    ).one_or_none()  # fmt: skip
    return None if row is None else (row.queue, bytes(row.password_digest))


def _rows(result: Any) -> int:
    count: int = result.rowcount
    return count
