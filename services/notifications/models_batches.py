"""The table of print batches: which letters went to the print shop together, and whether it has printed them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.models import ID, Model


class LetterBatch(Model):
    """A pile of letters for the print shop, with its manifest. `open` until the shop confirmed that they are in the
    post; their files are deleted then. `size`: how many letters it was made of. `files_due`: its manifest has to be
    written still, or its files to be deleted.
    """

    __tablename__ = "letter_batches"
    __table_args__ = (
        CheckConstraint("state in ('open', 'confirmed')", name="state"),
        CheckConstraint("(state = 'confirmed') = (confirmed_at is not null)", name="confirmed_at"),
        Index("ix_letter_batches_made_at", "made_at", "batch_id"),
        Index("ix_letter_batches_files_due", "made_at", postgresql_where=text("files_due")),
    )

    batch_id: Mapped[str] = mapped_column(ID, primary_key=True)
    state: Mapped[str]
    size: Mapped[int]
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(ID)
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[str | None] = mapped_column(ID)
    files_due: Mapped[bool]
