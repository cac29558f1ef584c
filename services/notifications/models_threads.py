"""The tables of secure messages: threads, who takes part in them, what was written, who hears it, what came along.

Subjects, texts and names of files are sealed with the thread's key, which the master key wraps: whoever reads these
tables alone reads who wrote to whom and when, and nothing of what.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models import ID, Model


class Thread(Model):
    """A conversation. With `record_id` it is one with the holder side of that record, otherwise among professionals.

    record_id: the record it was begun in; where that one leads by now is dossier's knowledge. holder_only: the holder's
    own, hidden from their representatives [L14 13]. last_number, last_at: of what was written last.
    """

    __tablename__ = "threads"
    __table_args__ = (
        CheckConstraint("record_id is not null or not holder_only", name="holder_only"),
        Index("ix_threads_record", "record_id", "last_at", "thread_id", postgresql_where=text("record_id is not null")),
        Index("ix_threads_last_at", "last_at"),
        Index("ix_threads_master_key", "master_key_id", "thread_id"),
    )

    thread_id: Mapped[str] = mapped_column(ID, primary_key=True)
    record_id: Mapped[str | None] = mapped_column(ID)
    holder_only: Mapped[bool] = mapped_column(server_default="false")
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    master_key_id: Mapped[str]
    subject: Mapped[bytes] = mapped_column(LargeBinary)
    begun_by_kind: Mapped[str]
    begun_by: Mapped[str] = mapped_column(ID)
    begun_at: Mapped[datetime]
    last_number: Mapped[int] = mapped_column(server_default="0")
    last_at: Mapped[datetime]


class ThreadPerson(Model):
    """What one person is to a thread. A professional takes part by this row; of the holder side it is their own reading
    alone, because who stands on that side is dossier's knowledge.

    heard_number, heard_at: of the last message a professional hears, by which their list is in order. read_number: up
    to where they have read; read_at: since when. archived_at: put aside, until something is written again.
    """

    __tablename__ = "thread_people"
    __table_args__ = (
        CheckConstraint("kind in ('patient', 'professional')", name="kind"),
        Index("ix_thread_people_person", "kind", "person_id", "heard_at", "thread_id"),
    )

    thread_id: Mapped[str] = mapped_column(
        ID, ForeignKey("threads.thread_id", ondelete="cascade"), primary_key=True
    )  # fmt: skip
    kind: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ID, primary_key=True)
    added_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    heard_number: Mapped[int] = mapped_column(server_default="0")
    heard_at: Mapped[datetime]
    read_number: Mapped[int] = mapped_column(server_default="0")
    read_at: Mapped[datetime | None]
    archived_at: Mapped[datetime | None]


class ThreadMessage(Model):
    """One message. `role`: as what somebody of the holder side wrote it."""

    __tablename__ = "thread_messages"
    __table_args__ = (UniqueConstraint("thread_id", "number"),)

    message_id: Mapped[str] = mapped_column(ID, primary_key=True)
    thread_id: Mapped[str] = mapped_column(ID, ForeignKey("threads.thread_id", ondelete="cascade"))
    number: Mapped[int]
    author_kind: Mapped[str]
    author_id: Mapped[str] = mapped_column(ID)
    role: Mapped[str | None]
    account_id: Mapped[str] = mapped_column(ID)
    text: Mapped[bytes] = mapped_column(LargeBinary)
    written_at: Mapped[datetime]


class ThreadHearing(Model):
    """That a professional hears a message: they took part, and dossier let them, when it was written."""

    __tablename__ = "thread_hearings"

    thread_id: Mapped[str] = mapped_column(
        ID, ForeignKey("threads.thread_id", ondelete="cascade"), primary_key=True
    )  # fmt: skip
    professional_id: Mapped[str] = mapped_column(ID, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class ThreadAttachment(Model):
    """A file that came, or is to come, with a message; its object in the store has the same name.

    stored_at: since when the store holds it in full. message_id: with what it was sent. checked_at: since when it may
    be opened; rejected: the virus scan found something. condemned_at: nobody shall read it any more, its object goes.
    """

    __tablename__ = "thread_attachments"
    __table_args__ = (
        CheckConstraint("message_id is null or stored_at is not null", name="message"),
        CheckConstraint("(stored_at is null) = (size is null)", name="stored"),
        Index("ix_thread_attachments_thread", "thread_id", "message_id"),
        Index("ix_thread_attachments_loose", "started_at", postgresql_where=text("message_id is null")),
        Index("ix_thread_attachments_unchecked", "attachment_id",
              postgresql_where=text("stored_at is not null and checked_at is null and condemned_at is null")),
        Index("ix_thread_attachments_condemned", "condemned_at", postgresql_where=text("condemned_at is not null")),
    )  # fmt: skip

    attachment_id: Mapped[str] = mapped_column(ID, primary_key=True)
    thread_id: Mapped[str] = mapped_column(ID)
    message_id: Mapped[str | None] = mapped_column(ID)
    place: Mapped[int] = mapped_column(server_default="0")
    account_id: Mapped[str] = mapped_column(ID)
    person_id: Mapped[str] = mapped_column(ID)
    name: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    started_at: Mapped[datetime]
    stored_at: Mapped[datetime | None]
    store_version: Mapped[str | None]
    media_type: Mapped[str | None]
    size: Mapped[int | None]
    sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    checked_at: Mapped[datetime | None]
    rejected: Mapped[bool] = mapped_column(server_default="false")
    condemned_at: Mapped[datetime | None]


class ThreadReach(Model):
    """That a professional reached these colleagues at a moment: by a message that they hear, or by letting one of them
    take part in a thread. Kept for as long as a limit counts it."""

    __tablename__ = "thread_reaches"
    __table_args__ = (
        Index("ix_thread_reaches_professional_id", "professional_id", "at"),
        Index("ix_thread_reaches_at", "at"),
    )

    reach_id: Mapped[str] = mapped_column(ID, primary_key=True)
    professional_id: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime]
    colleague_ids: Mapped[list[str]] = mapped_column(ARRAY(ID))
