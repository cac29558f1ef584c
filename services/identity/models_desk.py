"""The tables of the helpdesk, of forgotten passwords and of what an account's owner is told."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.identity.models import ID, KINDS, MOMENT, Model


class HelpdeskRequest(Model):
    """A request to the helpdesk, from the public form or from a step of an activation, until it is closed.

    subject_kind, subject_id: whose account it is about, as an agent established by an identity check (or as the
    activation's letter says). message, name, reply address and answer are wiped a year after closing. The tracking
    token follows from the id and identity's key.
    """

    __tablename__ = "helpdesk_requests"
    __table_args__ = (
        sa.CheckConstraint("state in ('open', 'taken', 'answered', 'closed')", name="state"),
        sa.CheckConstraint(f"subject_kind in {KINDS}", name="subject_kind"),
        sa.Index("ix_helpdesk_requests_state", "state", "created_at", "request_id"),
    )

    request_id: Mapped[str] = mapped_column(ID, primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    topic: Mapped[str]
    language: Mapped[str]
    name: Mapped[str | None]
    reply_kind: Mapped[str | None]
    reply_value: Mapped[str | None]
    message: Mapped[str | None]
    activation_id: Mapped[str | None] = mapped_column(
        ID, sa.ForeignKey("activations.activation_id", ondelete="SET NULL"), index=True
    )
    state: Mapped[str] = mapped_column(server_default="open")
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    taken_by: Mapped[str | None] = mapped_column(ID)
    taken_at: Mapped[datetime | None] = mapped_column(MOMENT)
    subject_kind: Mapped[str | None]
    subject_id: Mapped[str | None] = mapped_column(ID)
    checked_by: Mapped[str | None] = mapped_column(ID)
    checked_at: Mapped[datetime | None] = mapped_column(MOMENT)
    check_method: Mapped[str | None]
    challenge_id: Mapped[str | None] = mapped_column(ID)
    """The code last sent to a corrected address."""
    answer: Mapped[str | None]
    answered_by: Mapped[str | None] = mapped_column(ID)
    answered_at: Mapped[datetime | None] = mapped_column(MOMENT)
    closed_at: Mapped[datetime | None] = mapped_column(MOMENT)


class PasswordReset(Model):
    """A link to choose a new password; its token follows from the id and identity's key."""

    __tablename__ = "password_resets"

    reset_id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("accounts.account_id"), index=True)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
    used_at: Mapped[datetime | None] = mapped_column(MOMENT)


class Notice(Model):
    """Something to tell an account's owner; notifications asks for it by id, so no address travels in an event.

    recipients: `[{"kind": "email"|"mobile", "value": ...}]`, as they were when it happened: the old address is told of
    its own removal. Swept after a week.
    """

    __tablename__ = "notices"

    notice_id: Mapped[str] = mapped_column(ID, primary_key=True)
    occasion: Mapped[str]
    language: Mapped[str]
    recipients: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    object_id: Mapped[str | None] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(MOMENT, index=True)
