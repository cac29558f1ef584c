"""The tables of the inbox: what is hidden from its readers, who is one person, devices to wake, tickets of streams."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models import ID, Model


class HiddenDocument(Model):
    """A span of time in which a document is hidden from the holder side, as documents told it; `until` null: it is now.

    `blocked` hides it from the whole side, `withheld` from representatives alone. Kept by itself: it may arrive before
    the deposit does, and its end before its beginning.
    """

    __tablename__ = "hidden_documents"
    __table_args__ = (
        CheckConstraint("kind in ('blocked', 'withheld')", name="kind"),
        Index("ix_hidden_documents_now", "document_id", postgresql_where=text("until is null")),
    )

    document_id: Mapped[str] = mapped_column(ID, primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]


class Departure(Model):
    """Somebody who was told of a record as more than its holder, and stands on its holder side no more, by dossier's
    answer of the moment in which that was heard of, `since`. Who comes back has none."""

    __tablename__ = "departures"

    record_id: Mapped[str] = mapped_column(ID, primary_key=True)
    person_id: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]


class PatientMerge(Model):
    """Two patients of the directory that are one person, as directory told it; what was told to either is in one inbox.

    A merge that was undone stays undone, in whatever order the news come.
    """

    __tablename__ = "patient_merges"
    __table_args__ = (
        Index("ix_patient_merges_survivor_id", "survivor_id", postgresql_where=text("not undone")),
        Index("ix_patient_merges_merged_id", "merged_id", postgresql_where=text("not undone")),
    )

    merge_id: Mapped[str] = mapped_column(ID, primary_key=True)
    survivor_id: Mapped[str] = mapped_column(ID)
    merged_id: Mapped[str] = mapped_column(ID)
    undone: Mapped[bool]


class Device(Model):
    """A browser or app that is woken when there is news, and the keys that only it can read by (RFC 8291).

    `endpoint_digest`: one endpoint is one device, of whoever registered it last: it rings for nobody else. `failures`,
    `retry_at`: how often in a row it could not be reached, and before when nobody tries again.
    """

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("endpoint_digest"),
        CheckConstraint("octet_length(endpoint_digest) = 32", name="endpoint_digest"),
        CheckConstraint("octet_length(public_key) = 65", name="public_key"),
        CheckConstraint("octet_length(auth) = 16", name="auth"),
        Index("ix_devices_recipient", "recipient_kind", "recipient_id"),
    )

    device_id: Mapped[str] = mapped_column(ID, primary_key=True)
    recipient_kind: Mapped[str]
    recipient_id: Mapped[str]
    endpoint: Mapped[str]
    endpoint_digest: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    auth: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str | None]
    created_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(server_default="0")
    retry_at: Mapped[datetime | None]


class WokenDevice(Model):
    """A device that was woken for a message while another of the same person could not be: it is not woken again."""

    __tablename__ = "woken_devices"

    message_id: Mapped[str] = mapped_column(ID, primary_key=True)
    device_id: Mapped[str] = mapped_column(ID, primary_key=True)


class StreamTicket(Model):
    """What opens a stream of news for a page, which can send no header with its token: as a digest, for a while."""

    __tablename__ = "stream_tickets"
    __table_args__ = (
        CheckConstraint("octet_length(ticket_digest) = 32", name="ticket_digest"),
        Index("ix_stream_tickets_expires_at", "expires_at"),
    )

    ticket_digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID)
    session_id: Mapped[str] = mapped_column(ID)
    capacity: Mapped[str]
    patient_id: Mapped[str | None] = mapped_column(ID)
    professional_id: Mapped[str | None] = mapped_column(ID)
    profession: Mapped[str | None]
    establishment_id: Mapped[str | None]
    role: Mapped[str | None]
    expires_at: Mapped[datetime]
