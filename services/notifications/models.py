"""The tables of notifications: what was said to whom, who subscribes, what went out. No text, no code, no address."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Model(DeclarativeBase):
    """Base of this service's tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: DateTime(timezone=True), str: Text}


_ID = Uuid(as_uuid=False)


class Letter(Model):
    """One letter, waiting from its event on until it is printed; `due_by`: until when it must be on its way.

    The codes on it are born when it is printed, and stand nowhere but on the paper's file and, hashed, with their
    owners. `purpose`: what its activation code is for; `reference`: what it says of the invitation. `attempts`: how
    often it could not be printed, and `retry_at`: before when it is not tried again.
    """

    __tablename__ = "letters"
    __table_args__ = (
        UniqueConstraint("event_id", "recipient_id"),
        CheckConstraint("state in ('waiting', 'printed')", name="state"),
        CheckConstraint("(state = 'printed') = (printed_at is not null)", name="printed_at"),
        CheckConstraint("purpose in ('activation', 'recovery')", name="purpose"),
        Index("ix_letters_waiting", "due_by", "letter_id", postgresql_where=text("state = 'waiting'")),
        Index("ix_letters_printed", "printed_at", "letter_id", postgresql_where=text("state = 'printed'")),
    )

    letter_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    event_id: Mapped[str] = mapped_column(_ID)
    request_id: Mapped[str | None]
    occasion: Mapped[str]
    recipient_kind: Mapped[str]
    recipient_id: Mapped[str]
    record_id: Mapped[str | None] = mapped_column(_ID)
    purpose: Mapped[str]
    reference: Mapped[str]
    state: Mapped[str]
    due_by: Mapped[datetime]
    attempts: Mapped[int]
    retry_at: Mapped[datetime | None]
    language: Mapped[str | None]
    printed_at: Mapped[datetime | None]


class Message(Model):
    """One notice to one person on one channel because of one event, and what became of it."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("event_id", "recipient_id", "channel"),
        CheckConstraint("channel in ('email', 'sms')", name="channel"),
        CheckConstraint("state in ('sent', 'no_channel', 'spent', 'refused')", name="state"),
    )

    message_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    event_id: Mapped[str] = mapped_column(_ID)
    recipient_kind: Mapped[str]
    recipient_id: Mapped[str]
    channel: Mapped[str]
    occasion: Mapped[str]
    language: Mapped[str | None]
    state: Mapped[str]
    settled_at: Mapped[datetime]


class Subscription(Model):
    """A foreign system's own queue, its credential (as a digest) and what it wishes to hear."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint("queue"),
        UniqueConstraint("username"),
        CheckConstraint("state in ('preparing', 'active', 'ended')", name="state"),
        CheckConstraint("(state = 'ended') = (ended_at is not null)", name="ended_at"),
        CheckConstraint("octet_length(password_digest) = 32", name="password_digest"),
        Index("ix_subscriptions_queue_to_remove", "subscription_id", postgresql_where=text(
            "state <> 'active' and queue_removed_at is null")),
        Index("ix_subscriptions_establishment_id", "establishment_id"),
    )  # fmt: skip

    subscription_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    establishment_id: Mapped[str] = mapped_column(_ID)
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    queue: Mapped[str]
    username: Mapped[str]
    password_digest: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str]
    created_by: Mapped[str] = mapped_column(_ID)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    queue_removed_at: Mapped[datetime | None]


class Document(Model):
    """A projection of documents' events: the level by its own time, version and wording by their numbers."""

    __tablename__ = "documents"

    document_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    record_id: Mapped[str] = mapped_column(_ID)
    version_id: Mapped[str] = mapped_column(_ID)
    document_type: Mapped[str]
    category: Mapped[str]
    author_id: Mapped[str | None] = mapped_column(_ID)
    level: Mapped[str]
    level_at: Mapped[datetime]
    number: Mapped[int] = mapped_column(server_default="1")
    wording: Mapped[int] = mapped_column(server_default="1")


class Restriction(Model):
    """Whether a document is hidden from a professional, as documents told last; the latest time is the truth.

    Kept by itself: it may arrive before the deposit does.
    """

    __tablename__ = "restrictions"

    document_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    professional_id: Mapped[str] = mapped_column(_ID, primary_key=True)
    restricted: Mapped[bool]
    at: Mapped[datetime]


class Delivery(Model):
    """One event for one subscription. `waiting` until the subscriber's queue confirmed it, `withheld` for good when
    its readers had lost their ground by then."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "subscription_id"),
        CheckConstraint("state in ('waiting', 'published', 'withheld')", name="state"),
        Index("ix_deliveries_waiting", "subscription_id", "delivery_id", postgresql_where=text("state = 'waiting'")),
    )

    delivery_id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[str] = mapped_column(_ID)
    subscription_id: Mapped[str] = mapped_column(_ID, ForeignKey("subscriptions.subscription_id"))
    type: Mapped[str]
    document_id: Mapped[str] = mapped_column(_ID)
    subject: Mapped[str]
    time: Mapped[datetime]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


metadata = Model.metadata
