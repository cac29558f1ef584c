"""The table of letters, and what all tables of notifications stand on. No text, no code, no address."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
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


ID = Uuid(as_uuid=False)


class Letter(Model):
    """One letter, waiting from its event on until it is printed; `due_by`: until when it must be on its way.

    The codes on it are born when it is printed, and stand nowhere but on the paper's file and, hashed, with their
    owners. `purpose`: what its activation code is for; `reference`: what it says of the invitation. `attempts`: how
    often it could not be printed, and `retry_at`: before when it is not tried again. `pages`, `digest`: of the file,
    for the manifest of the batch in which it lies at this `place`. `posted` once the print shop said so: then its file
    is deleted.
    """

    __tablename__ = "letters"
    __table_args__ = (
        UniqueConstraint("event_id", "recipient_id"),
        CheckConstraint("state in ('waiting', 'printed', 'posted')", name="state"),
        CheckConstraint("(state = 'waiting') = (printed_at is null)", name="printed_at"),
        CheckConstraint("purpose in ('activation', 'recovery')", name="purpose"),
        Index("ix_letters_waiting", "due_by", "letter_id", postgresql_where=text("state = 'waiting'")),
        Index("ix_letters_printed", "state", "printed_at", "letter_id", postgresql_where=text("state <> 'waiting'")),
        Index("ix_letters_unbatched", "due_by", "letter_id", postgresql_where=text(
            "state = 'printed' and batch_id is null")),
        Index("ix_letters_batch_id", "batch_id"),
    )  # fmt: skip

    letter_id: Mapped[str] = mapped_column(ID, primary_key=True)
    event_id: Mapped[str] = mapped_column(ID)
    request_id: Mapped[str | None]
    occasion: Mapped[str]
    recipient_kind: Mapped[str]
    recipient_id: Mapped[str]
    record_id: Mapped[str | None] = mapped_column(ID)
    purpose: Mapped[str]
    reference: Mapped[str]
    state: Mapped[str]
    due_by: Mapped[datetime]
    attempts: Mapped[int]
    retry_at: Mapped[datetime | None]
    language: Mapped[str | None]
    printed_at: Mapped[datetime | None]
    pages: Mapped[int | None]
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    batch_id: Mapped[str | None] = mapped_column(ID, ForeignKey("letter_batches.batch_id"))
    place: Mapped[int | None]


metadata = Model.metadata
