"""The table of what was said to whom on which way, and what became of it. No text, no code, no address."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models import ID, Model


class Message(Model):
    """One notice to one person on one channel because of one event, from its event on to what became of it.

    `happened_at`, `count`, `role`: what its words are filled with when it is sent. `record_id`, `object_type`,
    `object_id`: what it is about, for a link and for hiding what its reader may not see any more. `document_id`: the
    document it would betray, where it is about one. `due_at`: before when it is not sent (quiet hours, another try).
    `urgent`: it goes before all that is not. `digest`: it goes with the daily digest, and `digest_id` names the message
    that is, once it is made. `expires_at`: after when sending it is of no use. `attempts`: how often it could not be
    sent. `cause`: why it failed, or waits still. `history`: each state with its time, the oldest first:
    [{"state", "at", "cause"}]. `seq`: the order of the inbox.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("event_id", "recipient_id", "channel"),
        CheckConstraint("channel in ('email', 'sms', 'inbox', 'push')", name="channel"),
        CheckConstraint("state in ('queued', 'sent', 'delivered', 'bounced', 'failed')", name="state"),
        CheckConstraint("(state = 'queued') = (due_at is not null)", name="due_at"),
        CheckConstraint("read_at is null or channel = 'inbox'", name="read_at"),
        Index("ix_messages_due", "channel", text("urgent desc"), "due_at", "seq", postgresql_where=text(
            "state = 'queued' and not digest")),
        Index("ix_messages_recipient_id", "recipient_id", "seq", postgresql_where=text("channel <> 'inbox'")),
        Index("ix_messages_request_id", "request_id", "seq", postgresql_where=text("channel <> 'inbox'")),
        Index("ix_messages_inbox", "recipient_kind", "recipient_id", "seq", postgresql_where=text("channel = 'inbox'")),
        Index("ix_messages_unread", "recipient_kind", "recipient_id", postgresql_where=text(
            "channel = 'inbox' and read_at is null")),
        Index("ix_messages_digest_due", "due_at", "recipient_kind", "recipient_id", postgresql_where=text(
            "state = 'queued' and digest and digest_id is null")),
        Index("ix_messages_digest_id", "digest_id", postgresql_where=text("digest_id is not null")),
        Index("ix_messages_bounced", "seq", postgresql_where=text("state = 'bounced'")),
        Index("ix_messages_record_id", "record_id", "recipient_id", postgresql_where=text(
            "channel = 'inbox' and role in ('representative', 'assistant')")),
        Index("ix_messages_settled_at", "settled_at", postgresql_where=text("settled_at is not null")),
        Index("ix_messages_document_id", "document_id", postgresql_where=text("document_id is not null")),
    )  # fmt: skip

    message_id: Mapped[str] = mapped_column(ID, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    event_id: Mapped[str] = mapped_column(ID)
    request_id: Mapped[str | None]
    recipient_kind: Mapped[str]
    recipient_id: Mapped[str]
    channel: Mapped[str]
    occasion: Mapped[str]
    language: Mapped[str | None]
    role: Mapped[str | None]
    record_id: Mapped[str | None] = mapped_column(ID)
    object_type: Mapped[str | None]
    object_id: Mapped[str | None] = mapped_column(ID)
    document_id: Mapped[str | None] = mapped_column(ID)
    count: Mapped[int] = mapped_column(server_default="1")
    happened_at: Mapped[datetime]
    state: Mapped[str]
    due_at: Mapped[datetime | None]
    urgent: Mapped[bool] = mapped_column(server_default="false")
    digest: Mapped[bool] = mapped_column(server_default="false")
    digest_id: Mapped[str | None] = mapped_column(ID)
    expires_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    cause: Mapped[str | None]
    read_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    history: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    told_in: Mapped[int] = mapped_column(BigInteger, server_default=text("(pg_current_xact_id()::text)::bigint"))
