"""What audit knows of documents, told by documents' events: as much as says who may see one, and nothing of content.

A fact is as new as the event that told it: events may come late, twice and in any order.
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from services.audit.models import Id, Model, Moment


class DocumentFact(Model):
    """A document: its type and place, its level and its author.

    `shown_since`: when others than its depositor began to see it; null until documents told so, however much else was
    told before. `named_at`, `level_at`: when what is known of its type and of its level was told.
    """

    __tablename__ = "document_facts"

    document_id: Mapped[str] = mapped_column(Id, primary_key=True)
    shown_since: Mapped[dt.datetime | None] = mapped_column(Moment)
    type: Mapped[str | None] = mapped_column(sa.Text)
    category: Mapped[str | None] = mapped_column(sa.Text)
    folder: Mapped[str | None] = mapped_column(sa.Text)
    level: Mapped[str | None] = mapped_column(sa.Text)
    author_id: Mapped[str | None] = mapped_column(Id)
    named_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    level_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class DocumentRestriction(Model):
    """Whether the holder side hides a document from a professional, as it was told last [RGD 6(3)]."""

    __tablename__ = "document_restrictions"

    document_id: Mapped[str] = mapped_column(Id, primary_key=True)
    professional_id: Mapped[str] = mapped_column(Id, primary_key=True)
    restricted: Mapped[bool] = mapped_column(sa.Boolean)
    told_at: Mapped[dt.datetime] = mapped_column(Moment)
