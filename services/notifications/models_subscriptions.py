"""The tables of foreign systems: who subscribes, what is known of a document, who was told of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models import ID, Model


class Subscription(Model):
    """A foreign system's own queue, its credential (as a digest) and what it wishes to hear.

    `client_id`: of the software that subscribed; null where the agency did. `document_types`, `categories`,
    `establishments` (in which a document was first deposited): empty for all there are. `suspended_at`: since when its
    software may do nothing; it hears nothing meanwhile. `client_at`: when the last was told of that software.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint("queue"),
        UniqueConstraint("username"),
        CheckConstraint("state in ('preparing', 'active', 'ended')", name="state"),
        CheckConstraint("(state = 'ended') = (ended_at is not null)", name="ended_at"),
        CheckConstraint("octet_length(password_digest) = 32", name="password_digest"),
        Index("ix_subscriptions_queue_to_remove", "subscription_id", postgresql_where=text(
            "(state <> 'active' or suspended_at is not null) and queue_removed_at is null")),
        Index("ix_subscriptions_establishment_id", "establishment_id"),
        Index("ix_subscriptions_client_id", "client_id", postgresql_where=text("client_id is not null")),
    )  # fmt: skip

    subscription_id: Mapped[str] = mapped_column(ID, primary_key=True)
    establishment_id: Mapped[str] = mapped_column(ID)
    client_id: Mapped[str | None] = mapped_column(ID)
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    document_types: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    categories: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    establishments: Mapped[list[str]] = mapped_column(ARRAY(ID), server_default="{}")
    queue: Mapped[str]
    username: Mapped[str]
    password_digest: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str]
    created_by: Mapped[str] = mapped_column(ID)
    created_at: Mapped[datetime]
    suspended_at: Mapped[datetime | None]
    client_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    queue_removed_at: Mapped[datetime | None]


class Document(Model):
    """A projection of documents' events: the level by its own time, version and wording by their numbers.

    `establishment_id`: where it was first deposited; null for a holder's own, and where it was not said.
    """

    __tablename__ = "documents"

    document_id: Mapped[str] = mapped_column(ID, primary_key=True)
    record_id: Mapped[str] = mapped_column(ID)
    version_id: Mapped[str] = mapped_column(ID)
    document_type: Mapped[str]
    category: Mapped[str]
    folder: Mapped[str] = mapped_column(server_default="")
    author_id: Mapped[str | None] = mapped_column(ID)
    establishment_id: Mapped[str | None] = mapped_column(ID)
    level: Mapped[str]
    level_at: Mapped[datetime]
    number: Mapped[int] = mapped_column(server_default="1")
    wording: Mapped[int] = mapped_column(server_default="1")


class Restriction(Model):
    """Whether a document is hidden from a professional, as documents told last; the latest time is the truth.

    Kept by itself: it may arrive before the deposit does.
    """

    __tablename__ = "restrictions"

    document_id: Mapped[str] = mapped_column(ID, primary_key=True)
    professional_id: Mapped[str] = mapped_column(ID, primary_key=True)
    restricted: Mapped[bool]
    at: Mapped[datetime]


class GoneDocument(Model):
    """A document that was removed: nothing else is kept of it. By itself, as its end may arrive before its deposit."""

    __tablename__ = "gone_documents"

    document_id: Mapped[str] = mapped_column(ID, primary_key=True)
    at: Mapped[datetime]


class ToldDocument(Model):
    """A document that a subscription was told of, and that somebody there could read when dossier was last asked.

    `record_id`: as it was told. `through_id`: the professional through whom it is read; never told to anybody.
    `ask_at`: when dossier is asked again: at once when something may have ended it, when the clock ends it, and in the
    end anyway. `loss_id`: the id of the event that tells of the loss, whoever finds it out and however often.
    """

    __tablename__ = "told_documents"
    __table_args__ = (
        Index("ix_told_documents_record_id", "record_id"),
        Index("ix_told_documents_document_id", "document_id"),
        Index("ix_told_documents_through_id", "through_id"),
        Index("ix_told_documents_ask_at", "ask_at"),
    )

    subscription_id: Mapped[str] = mapped_column(ID, ForeignKey("subscriptions.subscription_id"), primary_key=True)
    document_id: Mapped[str] = mapped_column(ID, primary_key=True)
    record_id: Mapped[str] = mapped_column(ID)
    through_id: Mapped[str] = mapped_column(ID)
    ask_at: Mapped[datetime]
    loss_id: Mapped[str] = mapped_column(ID)


class LedRecord(Model):
    """Where a record leads since two patients turned out to be one, as dossier told last: what befalls one befalls
    what was told of the other."""

    __tablename__ = "led_records"
    __table_args__ = (Index("ix_led_records_record_id", "record_id"),)

    merged_record_id: Mapped[str] = mapped_column(ID, primary_key=True)
    record_id: Mapped[str | None] = mapped_column(ID)
    version: Mapped[int]
