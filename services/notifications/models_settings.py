"""The table of what people wish to hear of, on which way, and when."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, Time
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models import ID, Model


class NotificationSettings(Model):
    """What one person has set in one capacity; who has no row has set nothing.

    `channels`: {setting: [channel]}, where it is not the default. All times are those of the clocks in Luxembourg.
    `document_types`, `authors`: of which new documents they hear; null: of all. `account_id`: who set it, so that what
    is told to an account is told as its owner wishes.
    """

    __tablename__ = "notification_settings"
    __table_args__ = (
        CheckConstraint("person_kind in ('patient', 'professional', 'account')", name="person_kind"),
        CheckConstraint("(quiet_begin is null) = (quiet_end is null) and quiet_begin <> quiet_end", name="quiet"),
        CheckConstraint("(digest_at is null) = (digest_channel is null)", name="digest"),
        CheckConstraint("digest_channel in ('email', 'sms', 'push')", name="digest_channel"),
        CheckConstraint("version > 1", name="version"),
        Index("ix_notification_settings_account_id", "account_id"),
    )

    person_kind: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    channels: Mapped[dict[str, Any]] = mapped_column(JSONB)
    quiet_begin: Mapped[time | None] = mapped_column(Time)
    quiet_end: Mapped[time | None] = mapped_column(Time)
    digest_at: Mapped[time | None] = mapped_column(Time)
    digest_channel: Mapped[str | None]
    document_types: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    authors: Mapped[list[str] | None] = mapped_column(ARRAY(ID))
    account_id: Mapped[str] = mapped_column(ID)
    changed_at: Mapped[datetime]
