"""Audit's tables: what was ever accessed or done, whose rows are added, never changed and never removed; and which
records lead to which, so that one history is read of two; and which documents are hidden from whom, so that nobody
reads of them meanwhile."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = sa.Uuid(as_uuid=False)
Moment = sa.DateTime(timezone=True)
# 128 of 244 random bits; made by the database, so that an entry without one cannot be.
SALT = "substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) for 16)"


class Model(DeclarativeBase):
    """Base of the tables of audit."""


metadata = Model.metadata


class EntryRow(Model):
    """One access or action [RGD 8], as the service that answered it traced it: ids and codes only.

    `source` is the emitter as the broker vouches for it; `received_at` is our own clock beside the emitter's `at`.
    The trace's id is the entry's: an event that comes twice is one entry; it is made of its time, and by it the table
    lies in parts, one for each year. A trigger refuses every change; contents alone can be destroyed, salt and all.
    `digest`: SHA-256 of what the entry says beside, kept elsewhere.
    """

    __tablename__ = "entries"
    __table_args__ = (
        sa.CheckConstraint("outcome in ('allowed', 'refused')", name="ck_entries_outcome"),
        sa.CheckConstraint("octet_length(salt) = 16", name="ck_entries_salt"),
        sa.Index("ix_entries_of_record", "record_id", sa.text("at desc"), sa.text("trace_id desc")),
        sa.Index(
            "ix_entries_of_professional",
            "record_id",
            "professional_id",
            sa.text("at desc"),
            sa.text("trace_id desc"),
            postgresql_where=sa.text("professional_id is not null"),
        ),
        {"postgresql_partition_by": "range (trace_id)"},
    )

    trace_id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(Moment)
    received_at: Mapped[dt.datetime] = mapped_column(Moment)
    source: Mapped[str] = mapped_column(sa.Text)
    action: Mapped[str] = mapped_column(sa.Text)
    outcome: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str | None] = mapped_column(sa.Text)
    account_id: Mapped[str | None] = mapped_column(Id)
    capacity: Mapped[str | None] = mapped_column(sa.Text)
    patient_id: Mapped[str | None] = mapped_column(Id)
    professional_id: Mapped[str | None] = mapped_column(Id)
    profession: Mapped[str | None] = mapped_column(sa.Text)
    establishment_id: Mapped[str | None] = mapped_column(Id)
    record_id: Mapped[str | None] = mapped_column(Id)
    object_id: Mapped[str | None] = mapped_column(Id)
    object_type: Mapped[str | None] = mapped_column(sa.Text)
    ground: Mapped[str | None] = mapped_column(sa.Text)
    rule: Mapped[str | None] = mapped_column(sa.Text)
    purpose: Mapped[str | None] = mapped_column(sa.Text)
    session_id: Mapped[str | None] = mapped_column(Id)
    request_id: Mapped[str | None] = mapped_column(sa.Text)
    address: Mapped[str | None] = mapped_column(sa.Text)
    software: Mapped[str | None] = mapped_column(sa.Text)
    count: Mapped[int | None] = mapped_column(sa.Integer)
    digest: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    salt: Mapped[bytes] = mapped_column(sa.LargeBinary, server_default=sa.text(SALT))


class RecordMove(Model):
    """Where a record leads, as dossier told last; null once it speaks for itself again. No entry changes for it."""

    __tablename__ = "record_moves"
    __table_args__ = (
        sa.Index("ix_record_moves_leads_to", "leads_to", postgresql_where=sa.text("leads_to is not null")),
    )

    record_id: Mapped[str] = mapped_column(Id, primary_key=True)
    leads_to: Mapped[str | None] = mapped_column(Id)
    merge_id: Mapped[str] = mapped_column(Id)
    version: Mapped[int] = mapped_column(sa.Integer)


class HiddenDocument(Model):
    """A time in which a document was hidden: blocked for the patient, or withheld from the representatives.

    Told by documents when it begins and again when it ends, in whatever order the two arrive [L14 16(5), L14 13].
    """

    __tablename__ = "hidden_documents"
    __table_args__ = (
        sa.CheckConstraint("kind in ('blocked', 'withheld')", name="ck_hidden_documents_kind"),
        sa.Index("ix_hidden_documents_now", "document_id", postgresql_where=sa.text("until is null")),
    )

    document_id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    since: Mapped[dt.datetime] = mapped_column(Moment, primary_key=True)
    until: Mapped[dt.datetime | None] = mapped_column(Moment)
